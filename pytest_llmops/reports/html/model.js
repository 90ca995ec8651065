// From the run record (docs/run-record.schema.json, defaults left out) to cases.

async function unpacked() {
  const bytes = Uint8Array.from(atob(byId('data').textContent), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'));
  return JSON.parse(await new Response(stream).text());
}

/** Cases in the run's order: trials, reruns, findings, means now and before, and what the search looks through. */
function casesOf({run, before, answers}) {
  const cases = new Map();
  const of = (name) => {
    if (!cases.has(name)) {
      cases.set(name, {
        name, label: name, trials: [], findings: [], now: {}, before: before[name] || {}, answers: answers[name] || [],
      });
    }
    return cases.get(name);
  };
  for (const test of run.tests || []) of(test.case).trials.push(test);
  for (const {word, name, reason} of findings(run.comparison)) of(name).findings.push({word, reason});
  shortenLabels([...cases.values()]);
  for (const one of cases.values()) summarise(one);
  return [...cases.values()];
}

function* findings(comparison) {
  if (!comparison) return;
  for (const one of comparison.broken_cases || []) yield {word: 'broken', name: one.case, reason: one.reason};
  for (const one of comparison.findings || []) yield {word: one.finding, name: one.case, reason: one.reason};
  const changed = new Set(comparison.changed_cases);
  for (const name of comparison.new_cases || []) if (!changed.has(name)) yield {word: 'new', name};
}

/** The file that all cases share is said once, not in each line. */
function shortenLabels(cases) {
  const files = new Set(cases.map((one) => one.name.split('::')[0]));
  if (files.size !== 1) return;
  for (const one of cases) one.label = one.name.slice(one.name.indexOf('::') + 2);
}

function summarise(one) {
  one.trials.sort((a, b) => Number(a.rerun || false) - Number(b.rerun || false) || (a.trial || 0) - (b.trial || 0));
  const counted = one.trials.filter((test) => !test.rerun);
  const values = {};
  for (const test of counted) {
    for (const [name, measured] of Object.entries(test.measurements || {})) {
      if (typeof measured.value === 'number') (values[name] ||= []).push(measured.value);
    }
  }
  for (const name of Object.keys(values)) one.now[name] = mean(values[name]);
  const outcomes = counted.map(outcomeOf);
  one.outcome = ['error', 'failed'].find((word) => outcomes.includes(word)) || outcomes[0] || 'missing';
  one.passed = outcomes.filter((word) => word === 'passed').length;
  one.count = outcomes.length;
  one.calls = one.trials.flatMap((test) => test.calls || []);
  one.cost = one.calls.some((call) => call.cost_usd === undefined) ? null : sum(one.calls.map((call) => call.cost_usd));
}

const outcomeOf = (test) => test.outcome || 'passed';

/** Everything of a case that can be searched, put together on the first search only. */
function searched(one) {
  one.haystack ??= [
    one.name,
    ...one.findings.map((finding) => `${finding.word} ${finding.reason || ''}`),
    ...one.trials.flatMap((test) => [
      asText(test.input ?? ''), test.output, test.error, ...(test.tags || []), test.prompt,
      ...Object.values(test.measurements || {}).map((measured) => measured.reason),
      ...(test.calls || []).flatMap((call) => [call.text, call.model, JSON.stringify(call.request || '')]),
    ]),
  ].filter(Boolean).join('\n').toLowerCase();
  return one.haystack;
}
