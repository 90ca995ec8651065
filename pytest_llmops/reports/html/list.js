// The list of cases: filtered, ordered, and put into the page a piece at a time.

const PIECE = 150;
const ORDERS = {
  'as run': null,
  'failed first': (one) => ({error: 0, failed: 0, missing: 1, tolerated: 2}[one.outcome] ?? 3),
  'dearest first': (one) => -(one.cost ?? sum(one.calls.map((call) => call.cost_usd))),
  'slowest first': (one) => -(one.now.latency_ms ?? 0),
};
const page = {run: null, cases: [], visible: [], put: 0};

function startList(cases, run) {
  Object.assign(page, {cases, run});
  const outcomes = [...new Set(cases.map((one) => one.outcome))].sort();
  const words = [...new Set(cases.flatMap((one) => one.findings.map((finding) => finding.word)))];
  const metrics = (run.comparison?.metrics || []).map((row) => row.metric);
  for (const metric of metrics) {
    const sign = run.metrics?.[metric]?.direction === 'lower' ? -1 : 1;
    ORDERS[`fell most: ${metric}`] = (one) => sign * ((one.now[metric] ?? Infinity * sign) - (one.before[metric] ?? NaN));
  }
  choose('outcome', ['any outcome', ...outcomes]);
  choose('finding', ['any finding', ...words, ...(cases.some(isChanged) ? ['answer changed'] : [])]);
  choose('order', Object.keys(ORDERS));
  byId('finding').hidden = byId('finding').length < 2;
  for (const id of ['outcome', 'finding', 'order']) byId(id).onchange = filter;
  let waiting = 0;
  byId('search').oninput = () => {
    clearTimeout(waiting);
    waiting = setTimeout(filter, 80);
  };
  byId('filters').onsubmit = (event) => event.preventDefault();
  for (const chip of document.querySelectorAll('[data-finding]')) {
    chip.onclick = () => {
      byId('finding').value = chip.dataset.finding;
      filter();
      byId('cases').scrollIntoView();
    };
  }
  byId('list').onscroll = ({target}) => {
    if (target.scrollTop + target.clientHeight > target.scrollHeight - 600) putMore();
  };
  filter();
}

function choose(id, words) {
  byId(id).replaceChildren(...words.map((word) => element('option', {value: word}, word)));
}

const isChanged = (one) =>
  one.trials.some((test) => !test.rerun && one.answers[test.trial || 0] && one.answers[test.trial || 0] !== test.output);

function filter() {
  const words = byId('search').value.toLowerCase().split(/\s+/).filter(Boolean);
  const outcome = byId('outcome').selectedIndex > 0 ? byId('outcome').value : null;
  const finding = byId('finding').selectedIndex > 0 ? byId('finding').value : null;
  page.visible = page.cases.filter((one) =>
    (!outcome || one.outcome === outcome)
    && (!finding || (finding === 'answer changed' ? isChanged(one) : one.findings.some(({word}) => word === finding)))
    && words.every((word) => searched(one).includes(word)));
  order();
  page.put = 0;
  byId('list').replaceChildren();
  byId('list').scrollTop = 0;
  putMore();
  byId('count').textContent = `${page.visible.length.toLocaleString('en')} of ${page.cases.length.toLocaleString('en')} cases`;
  if (page.visible.length && !page.visible.includes(shown.case)) openCase(page.visible[0], page.run);
  if (!page.visible.length) {
    shown.case = null;
    byId('detail').replaceChildren(element('p', {}, 'No case matches.'));
  }
  mark();
}

function order() {
  const key = ORDERS[byId('order').value];
  if (!key) return;
  const keys = new Map(page.visible.map((one) => [one, key(one)]));
  const known = (value) => (Number.isNaN(value) ? Infinity : value);
  page.visible.sort((a, b) => {
    const [one, other] = [known(keys.get(a)), known(keys.get(b))];
    return one === other ? 0 : one - other;
  });
}

function putMore(until = page.put + PIECE) {
  const more = page.visible.slice(page.put, until);
  page.put += more.length;
  byId('list').append(...more.map(line));
}

function line(one) {
  const share = one.count > 1 ? `${one.passed}/${one.count}` : '';
  const words = one.findings.map(({word}) => element(`span.chip.${word}`, {}, word));
  const button = element('button', {type: 'button', onclick: () => select(one)},
    element(`span.dot.${one.outcome}`, {title: one.outcome}), element('span.name', {dir: 'auto'}, one.label), ...words,
    element('span.share', {}, share));
  return element('li', {case: one}, button);
}

function select(one) {
  openCase(one, page.run);
  mark();
  try {
    history.replaceState(null, '', `#${encodeURIComponent(one.name)}`);
  } catch {
    // a sandboxed frame has no history
  }
}

function mark() {
  for (const entry of byId('list').children) {
    const current = String(entry.case === shown.case);
    if (entry.firstChild.ariaCurrent === current) continue;
    entry.firstChild.ariaCurrent = current;
    if (current === 'true') reveal(entry);
  }
}

/** Scroll the list's own box; scrollIntoView would scroll the page, too, past its verdict as it opens. */
function reveal(entry) {
  const list = byId('list');
  const [outer, inner] = [list.getBoundingClientRect(), entry.getBoundingClientRect()];
  const above = inner.top - outer.top - list.clientTop;
  const below = above + inner.height - list.clientHeight;
  list.scrollTop += above < 0 ? above : Math.max(0, below);
}

function step(by) {
  const index = page.visible.indexOf(shown.case) + by;
  if (index < 0 || index >= page.visible.length) return;
  if (index >= page.put) putMore(index + PIECE);
  select(page.visible[index]);
}
