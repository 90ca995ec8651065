// One case, opened: each trial's prompt, answer, scores and calls.

const DIFF_MS = 300; // beyond that the two answers stand one above the other
const shown = {case: null, trial: 0, diff: true};

function openCase(one, run, trial = 0) {
  shown.case = one;
  shown.trial = Math.min(trial, Math.max(0, one.trials.length - 1));
  const place = byId('detail');
  const test = one.trials[shown.trial];
  place.replaceChildren(
    element('h3', {}, one.name),
    ...one.findings.map(({word, reason}) =>
      element('p.finding', {}, element(`span.chip.${word}`, {}, word), reason ? ` ${reason}` : '')),
    ...(one.trials.length > 1 ? [tabs(one, run)] : []),
    ...(test ? trialParts(one, test, run) : [element('p', {}, 'It did not run.'), ...formerAnswer(one.answers[0])]),
  );
  place.scrollTop = 0;
}

function tabs(one, run) {
  const strip = element('div.tabs', {});
  one.trials.forEach((test, index) => {
    const again = test.of_baseline ? 'baseline’s code' : test.confirms ? 'fresh' : 'rerun';
    const label = test.rerun ? `${again} ${(test.trial || 0) + 1}` : `trial ${test.trial || 0}`;
    const tab = element(`button.${outcomeOf(test)}`, {type: 'button', onclick: () => openCase(one, run, index)}, label);
    tab.setAttribute('aria-pressed', String(index === shown.trial));
    strip.append(tab);
  });
  return strip;
}

function trialParts(one, test, run) {
  const facts = [outcomeOf(test), `${number(test.duration_s || 0, 3)} s`, ...(test.tags || [])];
  return [
    element('p.outcome', {}, element(`span.dot.${outcomeOf(test)}`, {}), ` ${facts.join(' · ')}`),
    test.error ? written(test.error, 'pre.text.error') : null,
    ...section('Prompt', test.input === undefined || test.input === null ? null : written(asText(test.input))),
    ...answer(one, test),
    ...section('Guardrails that fired', guardrails(test.guardrails || [])),
    ...section('Scores', scores(one, test, run)),
    ...section(`Calls (${(test.calls || []).length})`, ...(test.calls || []).map(call)),
  ].filter((part) => part !== null);
}

const section = (title, ...parts) => (parts.some(Boolean) ? [element('h4', {}, title), ...parts] : []);

function answer(one, test) {
  const now = test.output;
  const before = test.rerun ? undefined : one.answers[test.trial || 0];
  if (now === undefined && before === undefined) return [];
  if (now === undefined || before === undefined || before === null || before === now) {
    const same = before === now && before !== undefined && before !== null;
    return section(same ? 'Answer, as in the baseline' : 'Answer', now === undefined ? null : written(now));
  }
  const toggle = element('button.small', {type: 'button', id: 'diff', onclick: toggleDiff});
  toggle.textContent = shown.diff ? 'plain (d)' : 'changes (d)';
  const parts = shown.diff ? worded(before, now) : [written(now), element('h5', {}, 'in the baseline'), written(before)];
  return [element('h4', {}, 'Answer, changed since the baseline ', toggle), ...parts];
}

const formerAnswer = (text) => (text ? section('Answer in the baseline', written(text)) : []);

function toggleDiff() {
  shown.diff = !shown.diff;
  openCase(shown.case, page.run, shown.trial);
}

/** Changes with nothing but blanks and punctuation between them as one: two unlike sentences stay readable. */
function joined(changes) {
  const parts = [];
  let [removed, added] = ['', ''];
  const flush = () => {
    if (removed) parts.push({value: removed, removed: true});
    if (added) parts.push({value: added, added: true});
    removed = added = '';
  };
  changes.forEach((change, index) => {
    const between = removed && added && index < changes.length - 1 && !/[\p{L}\p{N}]/u.test(change.value);
    if (!change.removed && !change.added && !between) {
      flush();
      parts.push(change);
      return;
    }
    if (!change.added) removed += change.value;
    if (!change.removed) added += change.value;
  });
  flush();
  return parts;
}

/** A word diff; languages without spaces are cut into words by the browser. */
function worded(before, now) {
  const spaced = /^[\p{Script=Latin}\p{P}\p{N}\s\p{S}]*$/u.test(before + now);
  const options = {timeout: DIFF_MS};
  if (!spaced && Intl.Segmenter) options.intlSegmenter = new Intl.Segmenter(undefined, {granularity: 'word'});
  const changes = options.intlSegmenter
    ? Diff.diffWords(before, now, options)
    : Diff.diffWordsWithSpace(before, now, options);
  if (!changes) return [written(now), element('h5', {}, 'in the baseline'), written(before)];
  const place = element('pre.text.diff', {dir: 'auto'});
  for (const change of joined(changes)) {
    place.append(element(change.added ? 'ins' : change.removed ? 'del' : 'span', {}, change.value));
  }
  return [place];
}

function guardrails(fired) {
  if (!fired.length) return null;
  const table = element('table.scores', {});
  for (const {name, stage, action, source, reason, categories} of fired) {
    table.append(
      element('tr', {},
        element('th', {scope: 'row'}, name),
        element('td', {}, `${action.replaceAll('_', ' ')}, ${stage}`),
        element('td.soft', {}, source),
        element('td.reason', {dir: 'auto'}, reason || (categories || []).join(', '))));
  }
  return table;
}

function scores(one, test, run) {
  const names = Object.keys(test.measurements || {});
  if (!names.length) return null;
  const table = element('table.scores', {});
  for (const name of names) {
    const measured = test.measurements[name];
    const {kind, unit} = (run.metrics || {})[name] || {};
    const before = one.before[name];
    const value = typeof measured.value === 'number' ? amount(measured.value, kind, unit) : measured.status || '';
    table.append(
      element('tr', {},
        element('th', {scope: 'row'}, name),
        element('td.n', {}, value),
        element('td.n.soft', {}, before === undefined ? '' : `was ${amount(before, kind, unit)}`),
        element('td.reason', {dir: 'auto'}, measured.reason || '')));
  }
  return table;
}

function call(one) {
  const tokens = one.input_tokens === undefined ? null
    : `${number(one.input_tokens)} → ${number(one.output_tokens ?? 0)} tokens`
      + (one.cache_read_tokens ? ` (${number(one.cache_read_tokens)} cached)` : '');
  const facts = [
    one.role === 'judge' ? 'judge' : null, one.model || one.provider, one.status && one.status !== 200 ? one.status : null,
    one.finish_reason, tokens, dollars(one.cost_usd), one.latency_ms === undefined ? null : amount(one.latency_ms, 'latency'),
    one.ttft_ms === undefined ? null : `first token ${amount(one.ttft_ms, 'latency')}`, one.replayed ? 'replayed' : 'live',
  ];
  const request = one.request || {};
  const parts = [
    request.system ? message('system', request.system) : null,
    ...(request.messages || []).map((said) => message(said.role || '', said.content ?? said)),
    request.tools ? message('tools', request.tools) : null,
    request.parameters ? message('parameters', request.parameters) : null,
    one.text ? message('answer', one.text) : null,
    ...(one.tool_calls || []).map((asked) => message(`calls ${asked.name}`, asked.arguments ?? '')),
    one.error ? message('error', one.error) : null,
  ];
  const about = facts.filter((fact) => fact !== null && fact !== undefined).join(' · ');
  const body = element('details.call', {}, element('summary', {}, about));
  body.addEventListener('toggle', () => body.append(...parts.filter(Boolean)), {once: true});
  return body;
}

const message = (who, text) => element('div.message', {}, element('h5', {}, who), written(asText(text)));
