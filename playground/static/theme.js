/** Light and dark: the system's choice, unless the person made another one. */

const KEY = 'playground.theme';
const systemDark = matchMedia('(prefers-color-scheme: dark)');

function apply() {
  const chosen = localStorage.getItem(KEY);
  if (chosen) document.documentElement.dataset.theme = chosen;
  else delete document.documentElement.dataset.theme;
}

/** 'light' or 'dark', as shown now. */
export function currentTheme() {
  return localStorage.getItem(KEY) ?? (systemDark.matches ? 'dark' : 'light');
}

/** Show the other theme from now on; back at the system's own, follow the system again. */
export function toggleTheme() {
  const wanted = currentTheme() === 'dark' ? 'light' : 'dark';
  if (wanted === (systemDark.matches ? 'dark' : 'light')) localStorage.removeItem(KEY);
  else localStorage.setItem(KEY, wanted);
  apply();
}

/** Call `listener` when the system's choice changes. */
export function onSystemThemeChange(listener) {
  systemDark.addEventListener('change', listener);
}

apply();
