// Elements and numbers. All text goes in as textContent: answers are hostile.

const byId = (id) => document.getElementById(id);

/** element('td.n', {title: '…'}, child, 'text', …); children that are null are left out. */
function element(selector, properties, ...children) {
  const [tag, ...classes] = selector.split('.');
  const made = document.createElement(tag);
  if (classes.length) made.className = classes.join(' ');
  Object.assign(made, properties);
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** A text of any language and length, as it was written. */
const written = (text, selector = 'pre.text') => element(selector, {dir: 'auto'}, String(text));

const asText = (value) => (typeof value === 'string' ? value : JSON.stringify(value, null, 2));

function number(value, digits = 4) {
  if (value === null || value === undefined) return '';
  if (Number.isInteger(value)) return value.toLocaleString('en');
  return Math.abs(value) >= 1e-4 && Math.abs(value) < 1e6
    ? String(Number(value.toPrecision(digits)))
    : value.toExponential(2);
}

/** A value in its metric's unit: 94.0%, 812 ms, $0.00012. */
function amount(value, kind, unit) {
  if (value === null || value === undefined) return '';
  if (kind === 'pass' || kind === 'rate') return `${(100 * value).toFixed(1)}%`;
  if (kind === 'latency' && (!unit || unit === 'ms')) {
    return value >= 1000 ? `${number(value / 1000, 3)} s` : `${number(value, 3)} ms`;
  }
  if (kind === 'cost' && (!unit || unit === 'USD')) return dollars(value);
  return number(value) + (unit && kind !== 'count' ? ` ${unit}` : '');
}

function dollars(value) {
  if (value === null || value === undefined) return 'unknown cost';
  if (value >= 1) return `$${value.toFixed(2)}`;
  return `$${value === 0 ? '0' : value.toFixed(Math.min(12, 2 - Math.floor(Math.log10(value)))).replace(/0+$/, '')}`;
}

const mean = (values) => (values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : null);
const sum = (values) => values.reduce((total, value) => total + (value || 0), 0);
