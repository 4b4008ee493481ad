/** Times, sizes and names as people read them. */

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const shortDate = new Intl.DateTimeFormat(undefined, { dateStyle: 'short' });
const longDate = new Intl.DateTimeFormat(undefined, { dateStyle: 'long' });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'short' });

export const clockTime = (date) => clock.format(date);
export const dayName = (date) => longDate.format(date);
export const fullTime = (date) => full.format(date);

export function isSameDay(a, b) {
  return a.toDateString() === b.toDateString();
}

/** "Today at 14:05", "Yesterday at 14:05" or "03/11/2026, 14:05". */
export function messageTime(date) {
  const today = new Date();
  if (isSameDay(date, today)) return `Today at ${clock.format(date)}`;
  today.setDate(today.getDate() - 1);
  if (isSameDay(date, today)) return `Yesterday at ${clock.format(date)}`;
  return `${shortDate.format(date)}, ${clock.format(date)}`;
}

/** The moment a snowflake was made. */
export function snowflakeDate(id) {
  return new Date(Number((BigInt(id) >> 22n) + 1420070400000n));
}

export function fileSize(bytes) {
  if (bytes < 1024) return `${bytes} B`;
  if (bytes < 1024 * 1024) return `${(bytes / 1024).toFixed(bytes < 10240 ? 1 : 0)} KiB`;
  return `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}

export function initials(name) {
  const parts = name.trim().split(/\s+/);
  return [...parts[0]][0].toUpperCase() + (parts.length > 1 ? [...parts.at(-1)][0].toUpperCase() : '');
}

/** "Alice", "Alice and Bob", "Alice, Bob and Chen". */
export function listNames(names) {
  if (names.length < 2) return names.join('');
  return `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
}

export function plural(count, noun) {
  return `${count.toLocaleString()} ${noun}${count === 1 ? '' : 's'}`;
}
