import json
import os
import random
import subprocess
import sys

import pytest

from pytest_llmops import baseline
from pytest_llmops.baseline import GUARD_TRIALS, cases_below_guard
from pytest_llmops.errors import BaselineError
from pytest_llmops.records import Comparison, Fingerprint, Measurement, MetricComparison
from tests.patience import least_cpu_s
from tests.unit.made_up import NOW, measurement, run, run_of, stored, trial


@pytest.fixture
def saved(tmp_path):
    """A small baseline file."""
    record = run_of({"tone": [[0.5, 0.25]] * 3, "pass": [[1, 0]] * 3}, replayed=True, group="doc", gate=["tone"])
    record.fingerprint = Fingerprint(prompts={"support": "ab12"}, models=["gpt-4o"])
    path = tmp_path / "baseline.json"
    baseline.save(path, baseline.update(None, record))
    return path


def edit(path, old, new, count=1):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, count))


# The file


def test_one_sorted_line_a_case_and_no_dates_in_it(saved):
    lines = saved.read_text().splitlines()
    cases = [line for line in lines if line.startswith('{"case"')]
    assert [json.loads(line.rstrip(","))["case"] for line in cases] == [
        f"test_app.py::test_answers[c{i}]" for i in range(3)
    ]
    assert cases[0] == (
        '{"case":"test_app.py::test_answers[c0]","cassettes":["00000000","00000001"],"gate":["tone"],"group":"doc",'
        '"samples":{"pass":[1,0],"tone":[0.5,0.25]}},'
    )
    assert sum("2026" in line for line in lines) == 1
    assert '"tone": {"direction":"higher","kind":"score","source":"judge"}' in saved.read_text()


def test_what_is_saved_is_what_is_loaded(saved):
    first = baseline.load(saved)
    assert first.path == str(saved)
    assert first.created == NOW
    assert first.fingerprint.prompts == {"support": "ab12"}
    again = saved.with_name("again.json")
    baseline.save(again, first)
    assert again.read_bytes() == saved.read_bytes()


def test_everything_about_a_case_survives(tmp_path):
    tests = [
        trial(
            "a", {"tone": measurement("tone", 0.5, unit="points", definition="abcd"), "cost_usd": None}, threshold=0.6
        ),
        trial("a", {"tone": measurement("tone", 1.0, unit="points", definition="abcd"), "cost_usd": 1.2345678e-5}, 1),
        trial(
            "b",
            {"tone": Measurement(value=0.0, source="judge", unit="points", definition="abcd")},
            gate=False,
            threshold=None,
        ),
        trial("ä [ü]", {"pass": 1.0}, dataset_fingerprint="f00", group="Gruppe 1"),
    ]
    tests[1].threshold = 0.6
    made = stored(run(tests), str(tmp_path / "b.json"))
    baseline.save(tmp_path / "b.json", made)
    assert baseline.load(tmp_path / "b.json") == made
    assert made.cases["test_app.py::test_answers[a]"].samples["cost_usd"] == [None, 1.23457e-5]


@pytest.mark.parametrize(("repeats", "kib"), [(0.5, 85), (0.0, 100)])
def test_size_of_a_usual_baseline(tmp_path, repeats, kib):
    """200 cases, 5 trials, 10 metrics, small enough to be reviewed and kept in git: about 80 KiB.

    Scores have five levels; `repeats` is the share of cases in which a judge says the same of every trial.
    """
    draw = random.Random(1)
    tests = []
    for case in range(200):
        asked, same = float(draw.randint(50, 900)), draw.random() < repeats
        levels = {f"judge_{i}": draw.randint(0, 4) / 4 for i in range(5)}
        for number in range(5):
            measured = dict(levels) if same else {name: draw.randint(0, 4) / 4 for name in levels}
            measured |= {"pass": 1.0, "input_tokens": asked, "output_tokens": float(draw.randint(20, 400))}
            measured["latency_ms"] = round(draw.lognormvariate(7, 0.3), 1)
            measured["cost_usd"] = draw.lognormvariate(-9, 0.3)
            name = f"tests/test_support.py::test_answers[case-{case}]"
            tests.append(trial(name, measured, number, f"{draw.getrandbits(256):064x}"))
    made = stored(run(tests))
    baseline.save(tmp_path / "b.json", made)
    size = (tmp_path / "b.json").stat().st_size / 1024
    assert kib - 20 < size < kib, size
    assert baseline.load(tmp_path / "b.json").cases == made.cases


def test_a_number_alone_is_that_of_every_trial(tmp_path):
    record = run_of({"pass": [[1, 1, 1], [1, 0, 1], [1, 1, 1]], "tone": [[0.5] * 3, [0.5] * 3, [0.5, 0.5, 0.25]]})
    path = tmp_path / "b.json"
    baseline.save(path, stored(record))
    assert [line.partition(']",')[2].rstrip(",") for line in path.read_text().splitlines() if '"samples"' in line] == [
        '"trials":3,"samples":{"pass":1,"tone":0.5}}',
        '"samples":{"pass":[1,0,1],"tone":0.5}}',
        '"samples":{"pass":1,"tone":[0.5,0.5,0.25]}}',
    ]
    assert baseline.load(path).cases == stored(record).cases


# Merging


def test_update_replaces_the_cases_that_ran_and_keeps_the_others():
    old = stored(run_of({"tone": [0.5, 0.5, 0.5]}))
    new = baseline.update(old, run([trial("c1", {"tone": 0.9}), trial("c7", {"tone": 0.1})]))
    values = {case.rpartition("[")[2][:-1]: kept.samples["tone"] for case, kept in new.cases.items()}
    assert values == {"c0": [0.5], "c1": [0.9], "c2": [0.5], "c7": [0.1]}
    assert old.cases["test_app.py::test_answers[c1]"].samples == {"tone": [0.5]}, "the old one is left as it was"
    assert new.path == old.path


def test_update_takes_the_runs_own_trials_without_reruns():
    record = run_of({"tone": [[0.1, 0.2]]})
    record.tests.append(trial("c0", {"tone": 0.9}, 2, rerun=True))
    assert stored(record).cases["test_app.py::test_answers[c0]"].samples["tone"] == [0.1, 0.2]


def test_update_keeps_what_was_stored_of_skipped_and_errored_cases():
    old = stored(run_of({"tone": [0.5, 0.5, 0.5]}))
    now = run_of({"tone": [0.9, 0.9, 0.9]})
    now.tests[0].outcome, now.tests[1].outcome = "skipped", "error"
    assert [kept.samples["tone"] for kept in baseline.update(old, now).cases.values()] == [[0.5], [0.5], [0.9]]


def test_update_keeps_what_was_stored_of_a_case_with_trials_left_out():
    old = stored(run_of({"tone": [[0.5, 0.7], [0.5, 0.7]]}))
    failed = [trial("c0", {"tone": 0.1}, 1, trials=2)]
    whole = [trial("c1", {"tone": 0.1}, number, trials=2) for number in range(2)]
    updated = baseline.update(old, run(failed + whole))
    assert [kept.samples["tone"] for kept in updated.cases.values()] == [[0.5, 0.7], [0.1, 0.1]]
    assert baseline.answers.update({failed[0].case: ["kept"]}, run(failed)) == {failed[0].case: ["kept"]}


def test_update_drops_values_of_a_definition_that_is_no_more():
    def build(count, definition):
        measured = {"tone": measurement("tone", 0.5, definition=definition), "pass": 1.0}
        return run([trial(f"c{i}", measured) for i in range(count)])

    new = baseline.update(stored(build(3, "old")), build(1, "new"))
    assert new.metrics["tone"].definition == "new"
    assert [sorted(kept.samples) for kept in new.cases.values()] == [["pass"], ["pass"], ["pass", "tone"]]
    [said] = baseline.dropped(stored(build(3, "old")), new)
    assert said.startswith(
        "tone changed (judge model or rubric (old → new)): its stored values of 2 cases that did not"
    )
    assert baseline.dropped(stored(build(1, "old")), new) == []
    assert baseline.dropped(stored(build(3, "new")), new) == []


def test_update_merges_the_fingerprint_where_cases_are_kept():
    old, now = run_of({"tone": [0.5, 0.5]}), run_of({"tone": [0.5]})
    old.fingerprint = Fingerprint(prompts={"a": "1", "b": "1"}, models=["x"])
    now.fingerprint = Fingerprint(prompts={"a": "2"}, models=["y"])
    assert baseline.update(stored(old), now).fingerprint == Fingerprint(prompts={"a": "2", "b": "1"}, models=["x", "y"])
    assert baseline.update(stored(now), now).fingerprint == now.fingerprint


def test_cases_the_broken_case_guard_cannot_see():
    trials = {"a": GUARD_TRIALS, "b": GUARD_TRIALS - 1}
    tests = [trial(name, {"pass": 1.0}, number) for name, count in trials.items() for number in range(count)]
    assert cases_below_guard(stored(run(tests))) == ["test_app.py::test_answers[b]"]


# Damaged files


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (
            lambda path: path.unlink(),
            r"there is no baseline here. Make one: pytest --llm-baseline=\S+ --llm-update-baseline",
        ),
        (lambda path: path.write_text(""), "the file is empty"),
        (lambda path: path.write_text(path.read_text()[: path.stat().st_size // 2]), "ends in the middle"),
        (lambda path: path.write_text(path.read_text().rstrip()[:-1]), "ends in the middle"),
        (lambda path: path.write_text(path.read_text().partition("0.25")[0] + "0."), "ends in the middle"),
        (lambda path: path.write_text(path.read_text().partition("0.25")[0] + "-"), "ends in the middle"),
        (lambda path: path.write_text("hello"), "no JSON: line 1, column 1"),
        (lambda path: path.write_text("[1]"), "expected a JSON object"),
        (lambda path: path.write_text("{}"), "expected a 'schema' number, found None"),
        (lambda path: path.write_bytes(b'{"schema": 1, "x": "\xff"}'), "no UTF-8"),
        (lambda path: path.write_text("[" * 100_000), "nested too deeply"),
        (lambda path: path.write_text('{"schema": ' + "9" * 5000 + "}"), "Exceeds the limit"),
        (
            lambda path: edit(path, '"schema": 1', '"schema": 7'),
            "has schema 7.* reads up to 1. Upgrade: pip install -U pytest-llmops",
        ),
        (lambda path: edit(path, '"schema": 1', '"schema": "1"'), "found '1'"),
        (lambda path: edit(path, '[c1]"', '[c0]"'), r"case 'test_app.py::test_answers\[c0\]' is there twice"),
        (lambda path: edit(path, "0.25", "NaN"), "NaN is no number"),
        (lambda path: edit(path, "0.25", "1e999"), r"\[c0\]': tone: expected a number, found 'inf'"),
        (lambda path: edit(path, "0.25", "9" * 400), "tone: expected a number, found '9999"),
        (lambda path: edit(path, "0.25", '"high"'), "tone: expected a number, found 'high'"),
        (lambda path: edit(path, "0.25", "true"), "tone: expected a number, found 'True'"),
        (lambda path: edit(path, "[0.5,0.25]", '{"a": 1}'), "tone: expected a number, found"),
        (lambda path: edit(path, '"group":"doc"', '"trials":3'), "differ in their number of trials"),
        (lambda path: edit(path, '"group":"doc"', '"trials":"2"'), "trials: expected a whole number .* found '2'"),
        (lambda path: edit(path, '"group":"doc"', '"trials":9000000'), "trials: expected a whole number"),
        (lambda path: edit(path, "[0.5,0.25]", "[0.5]"), "differ in their number of trials"),
        (lambda path: edit(path, '"group":"doc"', '"group":3'), "group: expected a text, found 3"),
        (lambda path: edit(path, '"gate":["tone"]', '"gate":true'), "gate: expected a list of metrics or false"),
        (lambda path: edit(path, '"case":', '"name":'), "entry 1 has no 'case' name"),
        (
            lambda path: path.write_text('{"schema": 1, "created": "2026-03-01", "cases": {}}'),
            "cases: expected a list, found dict",
        ),
        (lambda path: edit(path, '"kind":"pass"', '"kind":"bool"'), "metric 'pass': kind 'bool' is none of score"),
        (lambda path: edit(path, '"created": "2026', '"created": "soon'), "created: expected a date"),
        (lambda path: edit(path, '"models": ["gpt-4o"]', '"models": 3'), "fingerprint: models"),
        (lambda path: edit(path, '{"case"', '<<<<<<< HEAD\n{"case"'), "line 16 is a merge conflict marker"),
    ],
)
def test_a_damaged_file_is_refused_with_one_message(saved, damage, said):
    damage(saved)
    with pytest.raises(BaselineError, match=said) as caught:
        baseline.load(saved)
    message = str(caught.value)
    assert message.startswith(f"{saved}: ")
    assert "Traceback" not in message
    assert len(message) < 600
    assert caught.value.__cause__ is None


def test_a_folder_is_no_baseline(tmp_path):
    with pytest.raises(BaselineError, match="cannot be read: Is a directory"):
        baseline.load(tmp_path)


def test_a_byte_order_mark_does_no_harm(saved):
    saved.write_bytes(b"\xef\xbb\xbf" + saved.read_bytes())
    assert len(baseline.load(saved).cases) == 3


def test_large_files_load(tmp_path):
    record = run_of({f"metric_{i}": [[0.123456, 0.654321, 0.5]] * 300 for i in range(30)})
    path = tmp_path / "b.json"
    baseline.save(path, stored(record))
    line = next(line for line in path.read_text().splitlines() if "[c1]" in line)
    many = ",\n".join(line.rstrip(",").replace("[c1]", f"[c{n}]") for n in range(20_000_000 // len(line)))
    path.write_text(path.read_text().split('"cases": [')[0] + f'"cases": [\n{many}\n]\n}}\n')
    loaded: list[baseline.Baseline] = []
    assert least_cpu_s(lambda: loaded.append(baseline.load(path)), enough=20, tries=2) < 20, "20 MB"
    assert len(loaded[0].cases) > 10_000


# Writing


def test_saving_leaves_nothing_half_written(saved, monkeypatch):
    before = saved.read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(BaselineError, match="the baseline cannot be written: No space left on device"):
        baseline.save(saved, baseline.load(saved))
    assert saved.read_bytes() == before
    assert [entry.name for entry in saved.parent.iterdir()] == [saved.name]


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    target = tmp_path / "file" / "b.json"
    with pytest.raises(BaselineError, match=r"b\.json: the baseline cannot be written: (Not a directory|File exists)"):
        baseline.save(target, stored(run_of({"tone": [0.5]})))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_named(tmp_path):
    tmp_path.chmod(0o555)
    with pytest.raises(BaselineError, match="Permission denied"):
        baseline.save(tmp_path / "b.json", stored(run_of({"tone": [0.5]})))


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
def test_mode_follows_the_umask_and_links_are_followed(tmp_path):
    (tmp_path / "real").mkdir()
    link = tmp_path / "b.json"
    link.symlink_to(tmp_path / "real" / "b.json")
    program = (
        "import os, sys; os.umask(0o022); from pathlib import Path; from pytest_llmops import baseline; "
        "from tests.unit.made_up import *; baseline.save(Path(sys.argv[1]), stored(run_of({'tone': [0.5]})))"
    )
    subprocess.run([sys.executable, "-c", program, str(link)], check=True)
    assert link.is_symlink()
    assert (tmp_path / "real" / "b.json").stat().st_mode & 0o777 == 0o644


def test_missing_folders_are_made(tmp_path):
    baseline.save(tmp_path / "new" / "folder" / "b.json", stored(run_of({"tone": [0.5]})))
    assert baseline.load(tmp_path / "new" / "folder" / "b.json").cases


# Run records


def test_run_records_round_trip(tmp_path):
    record = run_of({"tone": [[0.5, 0.25]] * 3}, replayed=True)
    record.comparison = Comparison(metrics=[MetricComparison(metric="tone", verdict="regressed", delta=-0.1)])
    baseline.save_run(tmp_path / "run.json", record)
    assert baseline.load_run(tmp_path / "run.json") == record
    assert json.loads((tmp_path / "run.json").read_text())["schema"] == 1


def test_a_run_record_holds_no_nan_and_no_lone_surrogate(tmp_path):
    record = run([trial("c0", {"tone": 0.5}, input={"x": float("nan"), "\ud800": ["\udfff", object()]}, output="ok")])
    baseline.save_run(tmp_path / "run.json", record)
    text = (tmp_path / "run.json").read_text(encoding="utf-8")
    assert "NaN" not in text
    assert baseline.load_run(tmp_path / "run.json").tests[0].input["x"] is None


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda path: path.unlink(), r"there is no run record here. Make one: pytest --llm-json="),
        (lambda path: path.write_text(path.read_text()[:-200]), "ends in the middle"),
        (lambda path: edit(path, '"schema":1', '"schema":2'), "has schema 2"),
        (lambda path: edit(path, '"value":0.5', '"value":NaN'), "NaN is no number"),
        (lambda path: edit(path, '"value":0.5', '"value":1e999'), "must be a finite number"),
        (lambda path: edit(path, '"outcome":"passed"', '"outcome":"fine"'), "tests.0.outcome: .*found 'fine'"),
        (lambda path: edit(path, '"case":', '"kase":'), "tests.0.case: Field required"),
        (lambda path: edit(path, '"tests":', '"cases":'), "this is a baseline, not a run record"),
    ],
)
def test_a_damaged_run_record_is_refused_with_one_message(tmp_path, damage, said):
    path = tmp_path / "run.json"
    baseline.save_run(path, run_of({"tone": [0.5, 0.6]}))
    damage(path)
    with pytest.raises(BaselineError, match=said) as caught:
        baseline.load_run(path)
    assert len(str(caught.value)) < 500


def test_what_a_bare_measurement_means_stands_under_metrics_or_in_its_name(tmp_path):
    """Records may come from elsewhere, with no more than the schema asks for."""
    values = {"pass": 1, "latency_ms": 900.5, "slips": 2, "tone": 0.5}
    document = {
        "schema": 1,
        "created": "2026-03-01T12:00:00Z",
        "tests": [
            {"id": "t.py::a", "case": "t.py::a", "measurements": {name: {"value": v} for name, v in values.items()}}
        ],
        "metrics": {
            "slips": {"direction": "lower", "kind": "count"},
            "tone": {"direction": "higher", "kind": "score", "source": "judge"},
        },
    }
    (tmp_path / "run.json").write_text(json.dumps(document))
    metrics = stored(baseline.load_run(tmp_path / "run.json")).metrics
    assert {name: (m.source, m.direction, m.kind) for name, m in metrics.items()} == {
        "pass": ("builtin", "higher", "pass"),
        "latency_ms": ("builtin", "lower", "latency"),
        "slips": ("recorded", "lower", "count"),
        "tone": ("judge", "higher", "score"),
    }


def test_a_run_record_is_no_baseline(tmp_path):
    baseline.save_run(tmp_path / "run.json", run_of({"tone": [0.5]}))
    with pytest.raises(BaselineError, match="pytest-llmops baseline update"):
        baseline.load(tmp_path / "run.json")


def test_created_without_a_zone_is_utc(saved):
    edit(saved, "+00:00", "")
    assert baseline.load(saved).created == NOW
