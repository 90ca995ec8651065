// What list and detail need of the cases (fields as in docs/run-record.schema.json, defaults left out).

/** The cases with findings, means now, and what list and search need. */
function prepared({cases, comparison}) {
  const byName = new Map(cases.map((one) => [one.name, one]));
  for (const one of cases) Object.assign(one, {label: one.name, findings: [], now: Object.create(null)});
  for (const {word, name, reason} of findings(comparison)) byName.get(name)?.findings.push({word, reason});
  shortenLabels(cases);
  cases.forEach(summarise);
  return cases;
}

function* findings(comparison) {
  if (!comparison) return;
  for (const one of comparison.broken_cases || []) {
    const now = one.deterministic ? 'fails now' : `0 of ${one.reruns || one.trials} now`;
    const before = `passed ${one.baseline_passed} of ${one.baseline_trials} in the baseline, ${now}`;
    yield {word: 'broken', name: one.case, reason: before + (one.reason ? `: ${one.reason}` : '')};
  }
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
  const values = Object.create(null); // a metric may be named toString
  for (const test of counted) {
    for (const [name, measured] of Object.entries(test.measurements || {})) {
      if (typeof measured.value === 'number') (values[name] ||= []).push(measured.value);
    }
  }
  for (const name of Object.keys(values)) one.now[name] = mean(values[name]);
  const outcomes = counted.map(outcomeOf);
  one.outcome = ['error', 'failed'].find((word) => outcomes.includes(word)) || outcomes[0] || 'missing';
  if (one.outcome === 'failed' && !one.fails) one.outcome = 'tolerated'; // enough of its trials passed
  one.passed = outcomes.filter((word) => word === 'passed').length;
  one.count = outcomes.length;
  one.calls = one.trials.flatMap((test) => test.calls || []);
  one.cost = one.calls.some((call) => call.cost_usd === undefined) ? null : sum(one.calls.map((call) => call.cost_usd));
}

const outcomeOf = (test) => test.outcome || 'passed';

/** What a call says; its tools and parameters are the same in all cases. */
const callTexts = ({text, model, error, request, tool_calls: asked}) => [
  model, text, error, request?.system && asText(request.system),
  ...(request?.messages || []).map((said) => asText(said.content ?? said)),
  ...(asked || []).map((tool) => `${tool.name} ${asText(tool.arguments ?? '')}`),
];

/**
 * What a reader means by the words of a case, put together on the first search only. Judges' calls are left out: their
 * prompts say the same in every case, and what they answered stands in the scores' reasons.
 */
function searched(one) {
  one.haystack ??= [
    one.name,
    ...one.findings.map((finding) => `${finding.word} ${finding.reason || ''}`),
    ...one.trials.flatMap((test) => [
      asText(test.input ?? ''), test.output, test.error, ...(test.tags || []), test.prompt,
      ...Object.values(test.measurements || {}).map((measured) => measured.reason),
      ...(test.calls || []).filter((call) => call.role !== 'judge').flatMap(callTexts),
    ]),
  ].filter(Boolean).join('\n').toLowerCase();
  return one.haystack;
}
