// Start, keys, and dark mode.

const KEYS = {
  '/': () => byId('search').focus(),
  j: () => step(1),
  k: () => step(-1),
  n: () => shown.case && openCase(shown.case, page.run, (shown.trial + 1) % Math.max(1, shown.case.trials.length)),
  d: () => byId('diff') && toggleDiff(),
  t: () => changeTheme(),
};

function changeTheme() {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
  root.dataset.theme = dark ? 'light' : 'dark';
  redraw();
}

const redraw = () => drawn.forEach((plot) => plot.redraw());

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === 'Escape') {
    byId('search').value = '';
    byId('outcome').selectedIndex = byId('finding').selectedIndex = 0;
    document.activeElement?.blur();
    filter();
    return;
  }
  if (/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
  const act = KEYS[event.key];
  if (!act) return;
  event.preventDefault();
  act();
}

function show(cases, name) {
  const one = cases.find((known) => known.name === name);
  if (!one) return;
  putMore(page.visible.indexOf(one) + PIECE);
  select(one);
  byId('cases').scrollIntoView();
}

function start(run) {
  const cases = prepared(run);
  startList(cases, run);
  charts(cases, run);
  const wanted = cases.find((one) => `#${encodeURIComponent(one.name)}` === location.hash);
  if (wanted) show(cases, wanted.name);
  for (const button of document.querySelectorAll('[data-case]')) button.onclick = () => show(cases, button.dataset.case);
  document.addEventListener('keydown', onKey);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redraw);
  byId('theme').onclick = changeTheme;
  document.documentElement.dataset.ready = 'true';
}

start(window.llmopsRun);
