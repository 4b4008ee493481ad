/**
 * Slash commands typed in one line: `/name option:value other:value`.
 *
 * Text without an option's name belongs to the command's first option, so that
 * `/chat how are you` needs no `message:`.
 */

export const OptionType = {
  SUBCOMMAND: 1, GROUP: 2, STRING: 3, INTEGER: 4, BOOLEAN: 5, USER: 6, CHANNEL: 7, ROLE: 8,
  MENTIONABLE: 9, NUMBER: 10,
};

/** Every command a person can type, subcommands as `parent child`. */
export function listCommands(commands) {
  return commands
    .filter((command) => (command.type ?? 1) === 1)
    .flatMap((command) => leaves(command, command.name))
    .sort((a, b) => a.name.localeCompare(b.name));
}

function leaves(node, name) {
  const children = (node.options ?? []).filter((option) => option.type <= OptionType.GROUP);
  if (!children.length) return [{ name, description: node.description, options: node.options ?? [] }];
  return children.flatMap((child) => leaves(child, `${name} ${child.name}`));
}

/**
 * Read what is typed.
 *
 * @returns `{naming: query}` while the name is not complete, else `{command, segments, current}`:
 *   a segment is `{option, text, start, end}` (positions of its value in `text`), `current` the
 *   one with the caret or null.
 */
export function parseSlash(text, caret, commands) {
  const typed = text.slice(1);
  const command = commands
    .filter(({ name }) => typed === name || /^\s/.test(typed.slice(name.length)) && typed.startsWith(name))
    .sort((a, b) => b.name.length - a.name.length)[0];
  if (!command) return { naming: typed.trimEnd() };
  const from = 1 + command.name.length;
  const segments = readSegments(text, from, command.options);
  const current = segments.find(({ start, end }) => caret >= start && caret <= end) ?? null;
  return { command, segments, current };
}

function readSegments(text, from, options) {
  const byName = new Map(options.map((option) => [option.name, option]));
  const marks = [...text.slice(from).matchAll(/(?<=\s)([\w-]+):/g)]
    .filter((found, index, all) => byName.has(found[1])
      && all.findIndex((other) => other[1] === found[1]) === index);
  const segments = [];
  const firstMark = marks.length ? from + marks[0].index : text.length;
  const leading = text.slice(from, firstMark);
  const unnamed = options.find((option) => !marks.some((found) => found[1] === option.name));
  if (leading.trim() && unnamed) {
    segments.push(segment(text, from, firstMark, unnamed));
  }
  marks.forEach((found, index) => {
    const start = from + found.index + found[0].length;
    const end = index + 1 < marks.length ? from + marks[index + 1].index : text.length;
    segments.push(segment(text, start, end, byName.get(found[1])));
  });
  return segments;
}

function segment(text, start, end, option) {
  return { option, text: text.slice(start, end).trim(), start, end };
}

/**
 * Values to send, or what is still wrong.
 *
 * @param lookUp `{user(text), channel(text)}` → id or null
 * @returns `{values, missing: [option], problem: sentence | null}`
 */
export function readValues({ command, segments }, lookUp) {
  const values = {};
  for (const { option, text } of segments) {
    if (!text) continue;
    const value = readValue(option, text, lookUp);
    if (value === null) return { values, missing: [], problem: `${option.name}: ${expectation(option)}` };
    values[option.name] = value;
  }
  const missing = command.options.filter((option) => option.required && !(option.name in values));
  return { values, missing, problem: null };
}

function readValue(option, text, lookUp) {
  const choice = option.choices?.length
    && option.choices.find(({ name }) => name.toLowerCase() === text.toLowerCase());
  if (option.choices?.length) return choice ? choice.value : null;
  switch (option.type) {
    case OptionType.INTEGER: return /^-?\d+$/.test(text) && inRange(option, Number(text)) ? Number(text) : null;
    case OptionType.NUMBER: return Number.isFinite(Number(text)) && inRange(option, Number(text)) ? Number(text) : null;
    case OptionType.BOOLEAN: return { true: true, yes: true, on: true, false: false, no: false, off: false }[text.toLowerCase()] ?? null;
    case OptionType.USER:
    case OptionType.MENTIONABLE: return lookUp.user(text);
    case OptionType.CHANNEL: return lookUp.channel(text);
    default: return text;
  }
}

function inRange(option, number) {
  return number >= (option.min_value ?? -Infinity) && number <= (option.max_value ?? Infinity);
}

function expectation(option) {
  if (option.choices?.length) return `choose one of ${option.choices.map(({ name }) => name).join(', ')}.`;
  switch (option.type) {
    case OptionType.INTEGER: return `a whole number is expected${bounds(option)}.`;
    case OptionType.NUMBER: return `a number is expected${bounds(option)}.`;
    case OptionType.BOOLEAN: return 'true or false is expected.';
    case OptionType.CHANNEL: return 'the name of a channel is expected.';
    default: return 'the name of a person is expected.';
  }
}

function bounds({ min_value: least, max_value: most }) {
  if (least !== undefined && most !== undefined) return ` from ${least} to ${most}`;
  if (least !== undefined) return `, ${least} or more`;
  return most === undefined ? '' : `, ${most} or less`;
}
