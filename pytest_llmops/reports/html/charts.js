// A histogram of the cases' means for each metric: bars are this run, outlines the baseline.

const BINS = 20;
const drawn = [];

function charts(cases, run) {
  const place = byId('charts');
  const compared = new Map((run.comparison?.metrics || []).map((row) => [row.metric, row]));
  const names = Object.keys(run.metrics || {});
  names.sort((a, b) => Number(compared.get(b)?.gate || false) - Number(compared.get(a)?.gate || false));
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries.filter((one) => one.isIntersecting)) {
      watcher.unobserve(entry.target);
      draw(entry.target, entry.target.bins);
    }
  });
  for (const name of names) {
    const {kind, unit} = run.metrics[name];
    const bins = binned(cases, name, kind);
    if (bins === null) continue;
    const said = element('p.range', {}, `${amount(bins.low, kind, unit)} … ${amount(bins.high, kind, unit)}`);
    const now = cases.filter((one) => one.now[name] !== undefined);
    const figure = element('figure.chart', {}, element('figcaption', {}, name), element('div.plot', {}), said);
    figure.bins = {...bins, name, kind: kind || 'score', unit};
    figure.setAttribute('role', 'img');
    figure.setAttribute('aria-label', `${name}: ${now.length} cases from ${amount(bins.low, kind, unit)} to ${amount(bins.high, kind, unit)}`);
    place.append(figure);
    watcher.observe(figure);
  }
  if (!place.children.length) place.append('No numbers were measured.');
}

function binned(cases, name, kind) {
  const now = cases.map((one) => one.now[name]).filter((value) => value !== undefined);
  const before = cases.map((one) => one.before[name]).filter((value) => value !== undefined);
  const all = [...now, ...before];
  if (!now.length) return null;
  let low = Infinity;
  let high = -Infinity;
  for (const value of all) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  const share = (kind === 'pass' || kind === 'rate') && low >= 0 && high <= 1;
  const width = share ? 1 / BINS : (high - low) / BINS || Math.abs(high) / BINS || 1;
  const start = share ? 0 : low === high ? low - (width * (BINS + 1)) / 2 : low; // a single value stands in the middle
  const count = (values) => {
    const bins = new Array(BINS).fill(0);
    for (const value of values) bins[Math.min(BINS - 1, Math.floor((value - start) / width))] += 1;
    return bins.map((cases) => cases || null); // no line along the floor
  };
  return {
    low,
    high,
    range: [start - width / 2, start + (BINS + 0.5) * width],
    middles: Array.from({length: BINS}, (_, index) => start + (index + 0.5) * width),
    now: count(now),
    before: before.length ? count(before) : null,
  };
}

function draw(figure, bins) {
  const place = figure.querySelector('.plot');
  const shade = (name) => () => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const axis = {stroke: shade('--soft'), grid: {stroke: shade('--line'), width: 1}, ticks: {show: false}, font: '11px system-ui'};
  const series = [
    {},
    {stroke: shade('--accent'), fill: shade('--accent-soft'), paths: uPlot.paths.bars({size: [0.9]}), points: {show: false}},
  ];
  const data = [bins.middles, bins.now];
  if (bins.before) {
    series.push({stroke: shade('--text'), width: 1.5, paths: uPlot.paths.bars({size: [1]}), points: {show: false}});
    data.push(bins.before);
  }
  const label = (_, values) => values.map((value) => (value === null ? '' : amount(value, bins.kind, bins.unit)));
  const whole = (_, values) => values.map((value) => (Number.isInteger(value) ? String(value) : ''));
  const options = {
    width: place.clientWidth || 280,
    height: 130,
    legend: {show: false},
    cursor: {show: false},
    scales: {x: {time: false, range: bins.range}, y: {range: (_, _low, high) => [0, Math.max(1, high) * 1.1]}},
    axes: [{...axis, values: label, space: 70, size: 24}, {...axis, values: whole, size: 34}],
    series,
  };
  drawn.push(new uPlot(options, data, place));
}
