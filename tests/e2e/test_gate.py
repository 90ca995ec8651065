"""The gate as a user meets it: baseline, comparison, verdicts, exit status, run record."""

from __future__ import annotations

import json
import re
from xml.etree import ElementTree

import jsonschema
import pytest

from tests.conftest import REPOSITORY
from tests.e2e.user import assert_no_traceback, speaking_to, write_app

TEST = """
    import os
    import pytest
    from app import ask

    @pytest.mark.llm_eval(dataset="cases.jsonl", trials=2)
    def test_it(llm_eval, llm_case):
        result = llm_eval.run(ask, os.environ.get("PROMPT", "Well: ") + llm_case.input)
        words = result.text.split()
        llm_eval.record("brevity", 1 / len(words))
        llm_eval.record("curses", words.count("damn"), direction="lower")
        assert "fail" not in words

    @pytest.mark.llm_eval
    def test_alone(llm_eval):
        assert llm_eval.run(ask, "alone").text
"""
SETTINGS = """
    [tool.pytest-llmops.metrics.brevity]
    gate = true
    [tool.pytest-llmops.metrics.curses]
    gate = true
"""
BASELINE = "--llm-baseline=base.json"


def cases(*names):
    return "".join(f'{{"id": "{name}", "input": "{name} and {name}"}}\n' for name in names)


NAMES = [f"c{i}" for i in range(12)]


@pytest.fixture
def suite(project, standin):
    """A recorded suite of 13 cases with its baseline."""
    write_app(project)
    project.file("test_it.py", TEST)
    project.file("pyproject.toml", SETTINGS)
    project.file("cases.jsonl", cases(*NAMES))
    made = project.run("--llm-update-baseline", BASELINE, "--llm-json=made.json", env=speaking_to(standin))
    assert made.outcomes == {"passed": 25}, made.out
    made.match("llmops: wrote base.json, 13 cases.", "*13 of 13 cases have fewer than 5 trials*", "*--llm-trials=5*$*")
    assert made.record["comparison"] is None
    return project


def valid(record):
    """The record is what the published schema says, and JSON without NaN."""
    schema = json.loads((REPOSITORY / "docs" / "run-record.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(record, schema)
    json.dumps(record, allow_nan=False)
    return record


def comparable(record):
    """A record without what differs from run to run."""
    for test in record["tests"]:
        test.pop("duration_s")
    return {key: record[key] for key in ("tests", "metrics", "comparison", "deselected", "fingerprint")}


def test_a_replay_passes_and_says_so(suite, standin):
    env = speaking_to(standin, COLUMNS="80")
    alone = suite.run(BASELINE, "--llm-record=none", "--llm-json=run.json", env=env)
    assert alone.returncode == 0, alone.out
    alone.match("llmops: record mode none, baseline base.json", "*gate: passed (3 *")
    table = alone.out[alone.out.index("LLM evaluations") :].splitlines()
    assert max(map(len, table)) <= 80
    comparison = valid(alone.record)["comparison"]
    assert comparison["deterministic"] is True
    assert comparison["baseline"] == "base.json"
    assert {row["verdict"] for row in comparison["metrics"]} == {"no_regression"}
    both = suite.run(BASELINE, "--llm-record=none", "--llm-json=run2.json", env=env, n=2)
    assert both.returncode == 0, both.out
    assert comparable(both.record) == comparable(alone.record)
    command = suite.command("compare", "base.json", "run.json", "--json")
    assert command.returncode == 0
    assert json.loads(command.out)["metrics"] == comparison["metrics"]


def test_a_regression_is_a_failure_of_the_run(suite, standin):
    env = speaking_to(standin, COLUMNS="80", PROMPT="Be thorough, please, and damn it, ")
    args = (BASELINE, "--llm-record=refresh", "--llm-json=run.json", "--junitxml=junit.xml", "--llm-cassette-dir=other")
    alone = suite.run(*args, env=env)
    assert alone.returncode == 1
    assert alone.outcomes == {"passed": 25}  # each of pytest's tests passed; the gate is none of them
    failed = [line for line in alone.out.splitlines() if line.startswith("FAILED")]
    assert [line.split(" - ")[0] for line in failed] == [
        "FAILED llm-baseline::brevity",
        "FAILED llm-baseline::curses",
    ]
    alone.match("*gate: FAILED (brevity, curses)*")
    assert max(map(len, alone.out[alone.out.index("LLM evaluations") :].splitlines()[:-5])) <= 80
    suites = ElementTree.parse(suite.path / "junit.xml").getroot().find("testsuite")
    assert suites.get("failures") == "2"
    names = [f"{case.get('classname')}::{case.get('name')}" for case in suites if case.find("failure") is not None]
    assert names == ["llm-baseline::brevity", "llm-baseline::curses"]
    verdicts = {row["metric"]: row for row in valid(alone.record)["comparison"]["metrics"]}
    assert verdicts["brevity"]["verdict"] == verdicts["curses"]["verdict"] == "regressed"
    assert verdicts["brevity"]["delta"] < 0 < verdicts["curses"]["delta"]
    assert (
        not (suite.path / ".pytest_cache/v/cache/lastfailed").exists()
        or json.loads(suite.read(".pytest_cache/v/cache/lastfailed")) == {}
    )
    both = suite.run(*args, env=env, n=2)
    assert both.returncode == 1
    assert [line for line in both.out.splitlines() if line.startswith("FAILED")] == failed
    assert both.outcomes == {"passed": 25}
    assert {r["metric"]: r["verdict"] for r in both.record["comparison"]["metrics"]} == {
        name: row["verdict"] for name, row in verdicts.items()
    }
    command = suite.command("compare", "base.json", "run.json")
    assert command.returncode == 1
    assert "gate: FAILED (brevity, curses)" in command.out

    # accepted in writing: reported, and no longer red
    suite.file(
        "llm-accept.toml",
        """
        [[accept]]
        metric = "brevity"
        reason = "thorough is what we want"
        expires = 2999-12-31
        [[accept]]
        metric = "curses"
        reason = "so be it"
        expires = 2999-12-31
        """,
    )
    accepted = suite.run(*args, env=env)
    assert accepted.returncode == 0, accepted.out
    accepted.match("*accepted: brevity *thorough is what*")
    (suite.path / "llm-accept.toml").unlink()
    # stored: shown, and never red
    stored = suite.run(*args, "--llm-update-baseline", env=env)
    assert stored.returncode == 0, stored.out
    stored.match("*REGRESSED*", "llmops: wrote base.json, 13 cases.")


def test_the_gate_needs_no_terminal(suite, standin):
    env = speaking_to(standin, PROMPT="Be thorough, please, and damn it, ")
    args = ("-p", "no:terminal", BASELINE, "--llm-json=run.json")
    same = suite.run(*args, "--llm-record=none", env=speaking_to(standin))
    assert (same.returncode, same.out) == (0, "")
    worse = suite.run(*args, "--llm-record=live", env=env)
    assert (worse.returncode, worse.out) == (1, "")
    assert "regressed" in {row["verdict"] for row in worse.record["comparison"]["metrics"]}


def test_gate_settings_by_flag_and_marker(suite, standin):
    env = speaking_to(standin, PROMPT="Be thorough, please, and damn it, ")
    suite.file("test_it.py", TEST.replace("trials=2", 'trials=2, gate=["pass"]'))
    shown = suite.run(BASELINE, "--llm-record=refresh", "--llm-cassette-dir=other", env=env)
    assert shown.returncode == 0, shown.out
    shown.match("*gate: passed (1 *")
    suite.file(
        "test_it.py", TEST.replace("trials=2", "trials=2, gate=False").replace("llm_eval\n", "llm_eval(gate=False)\n")
    )
    none = suite.run(BASELINE, "--llm-record=refresh", "--llm-cassette-dir=other", env=env)
    assert none.returncode == 0, none.out
    none.match("*gate: passed (0 *")


def test_what_did_not_run_is_not_missing_and_what_is_gone_is(suite, standin):
    env = speaking_to(standin)

    def missing(*args, n=None):
        run = suite.run(BASELINE, "--llm-record=none", "--llm-json=run.json", *args, env=env, n=n)
        assert_no_traceback(run)
        return run, run.record["comparison"]["missing_cases"]

    run, gone = missing("test_it.py::test_it[c1-trial0]", "test_it.py::test_it[c2-trial1]", "test_it.py::test_alone")
    assert (run.returncode, gone) == (0, []), run.out
    run, gone = missing("-k", "c3", n=2)
    assert (run.returncode, gone) == (0, []), run.out
    # --lf runs what failed, and leaves the rest out without a word to plugins
    failing = TEST.replace('assert "fail" not in words', 'assert llm_case.id != "c5"')
    suite.file("test_it.py", failing)
    suite.run("--llm-record=none", env=env)
    for n in (None, 2):
        run, gone = missing("--lf", n=n)
        assert gone == [], run.out
        assert run.outcomes["failed"] == 2
    suite.file("test_it.py", TEST)

    suite.file("cases.jsonl", cases(*NAMES[:-2]) + cases("new"))
    suite.run("--llm-record=refresh", env=env)
    run, gone = missing()
    assert gone == ["test_it.py::test_it[c10]", "test_it.py::test_it[c11]"]
    assert run.returncode == 1
    run.match(
        "Meant? Accept the case in llm-accept.toml, or take it out of the baseline with a whole run's record:",
        "  pytest --llm-json=run.json, then pytest-llmops baseline update run.json -o base.json --prune",
        "FAILED llm-baseline::missing-cases - 2 cases missing",
    )
    assert run.record["comparison"]["new_cases"] == ["test_it.py::test_it[new]"]
    # an update merges only what ran
    before = set(re.findall(r'"case":"([^"]+)"', suite.read("base.json")))
    suite.run(BASELINE, "--llm-update-baseline", "--llm-record=none", "-k", "new", env=env)
    after = set(re.findall(r'"case":"([^"]+)"', suite.read("base.json")))
    assert after - before == {"test_it.py::test_it[new]"}
    assert before <= after


def test_a_run_that_is_not_whole_is_not_compared(suite, standin):
    env = speaking_to(standin)
    stored = suite.read("base.json")
    suite.file("test_it.py", TEST.replace('assert "fail" not in words', 'assert llm_case.id != "c5"'))
    line = "nothing was compared with the baseline"
    for args, returncode, n in (
        (["-x"], 1, None),
        (["-x"], 2, 2),
        (["--maxfail=1", "--llm-update-baseline"], 1, None),
        (["--collect-only", "-q"], 0, None),
        (["-k", "nothing"], 5, None),
    ):
        run = suite.run(BASELINE, "--llm-record=none", "--llm-json=run.json", *args, env=env, n=n)
        assert_no_traceback(run)
        assert run.returncode == returncode, run.out
        assert run.out.count(line) == 1, run.out
        assert "llm-baseline::" not in run.out
    suite.file("test_it.py", TEST + "\n    import absent\n")
    run = suite.run(BASELINE, env=env)
    assert (run.returncode, run.out.count(line)) == (2, 1), run.out
    suite.file("test_it.py", TEST.replace('assert "fail" not in words', "raise KeyboardInterrupt"))
    run = suite.run(BASELINE, "--llm-record=none", env=env)
    assert (run.returncode, run.out.count(line)) == (2, 1), run.out
    assert suite.read("base.json") == stored


def test_the_record_s_file_that_cannot_be_written(suite, standin):
    env = speaking_to(standin)
    made = suite.run(BASELINE, "--llm-record=none", "--llm-json=deep/er/run.json", env=env)
    assert made.returncode == 0
    valid(made.record)
    suite.file("taken", "a file")
    run = suite.run(BASELINE, "--llm-record=none", "--llm-json=taken/run.json", env=env)
    assert run.returncode == 1
    run.match(
        "*taken/run.json: the run record cannot be written: *", "*gate: passed*", "FAILED llm-json - *taken/run.json: *"
    )
    assert_no_traceback(run)


def test_a_failed_judge_is_status_error_in_the_record(project, standin):
    write_app(project)
    project.file(
        "test_it.py",
        """
        import pytest
        from app import ask

        @pytest.mark.llm_eval(measure=["helpfulness"])
        def test_judged(llm_eval):
            llm_eval.run(ask, "a")
            assert False, "the body's own"

        @pytest.mark.llm_eval(measure=["helpfulness"], trials=2, threshold=0.5)
        def test_passing(llm_eval):
            llm_eval.run(ask, "a")
        """,
    )
    env = speaking_to(standin, OPENAI_BASE_URL=f"{standin.url}/v1", OPENAI_API_KEY="placeholder")
    run = project.run("--llm-judge=openai:gpt-judge", "--llm-json=run.json", env=env)
    assert run.outcomes == {"failed": 3}, run.out  # never tolerated
    assert_no_traceback(run)
    for test in valid(run.record)["tests"]:
        measured = test["measurements"]["helpfulness"]
        assert (measured["status"], measured["value"]) == ("error", None)
        assert measured["reason"]
    first = run.record["tests"][0]
    assert (first["error"], first["measurements"]["pass"]["value"]) == ("the body's own", 0)
    assert run.record["tests"][1]["measurements"]["pass"]["status"] == "error"


def test_a_changed_price_is_no_regression(project, standin):
    """Both sides of a cost comparison use one price table."""
    project.file(
        "test_app.py",
        """
        import os
        import httpx, pytest

        @pytest.mark.llm_eval
        @pytest.mark.parametrize("n", range(12))
        def test_app(llm_eval, n):
            words = os.environ.get("WORDS", "") + f"Question {n}"
            body = {"model": "my-own", "messages": [{"role": "user", "content": words}]}
            llm_eval.run(httpx.post, os.environ["LLM_BASE"] + "/v1/chat/completions", json=body)
        """,
    )
    settings = """
        [tool.pytest-llmops.metrics.cost_usd]
        gate = true
        [tool.pytest-llmops.prices."openai_compatible:my-own"]
        input = {price}
        output = 1
        """
    project.file("pyproject.toml", settings.format(price=1))
    env = {"LLM_BASE": standin.url}
    first = project.run("-q", "--llm-baseline=base.json", "--llm-update-baseline", env=env)
    assert first.returncode == 0, first.out
    assert '"openai_compatible:my-own":"1/1"' in project.read("base.json").replace(" ", "")
    project.file("pyproject.toml", settings.format(price=4))
    for arguments in (("--llm-record=none",), ("--llm-record=all",)):
        run = project.run("-q", "--llm-baseline=base.json", "--llm-json=run.json", *arguments, env=env)
        assert run.returncode == 0, run.out
        [row] = [row for row in run.record["comparison"]["metrics"] if row["metric"] == "cost_usd"]
        assert (row["verdict"], row["gate"], row["cases"], row["delta"]) == ("no_regression", True, 12, 0)
        run.match("*cost_usd: at the baseline's prices, which changed since (openai_compatible:my-own 1/1 → 4/1)*")
    # What got dearer by itself is seen all the same.
    longer = project.run(
        "-q",
        "--llm-baseline=base.json",
        "--llm-record=all",
        "--llm-cassette-dir=other",
        env={**env, "WORDS": "so " * 20},
    )
    assert longer.returncode == 1
    longer.match("FAILED llm-baseline::cost_usd - cost_usd regressed*")

    # an update of one case keeps no costs of the others, which had another price
    part = project.run("-q", "--llm-baseline=base.json", "--llm-update-baseline", "-k", "test_app and 11", env=env)
    part.match("llmops: cost_usd changed (price of openai_compatible:my-own 1/1 → 4/1): its stored values of 11 cases*")
    run = project.run("-q", "--llm-baseline=base.json", "--llm-json=run.json", "--llm-record=none", env=env)
    [row] = [row for row in run.record["comparison"]["metrics"] if row["metric"] == "cost_usd"]
    assert (run.returncode, row["verdict"], row["cases"], row["delta"]) == (0, "no_regression", 1, 0), run.out


def test_a_baseline_that_is_not_there(suite, standin):
    run = suite.run("--llm-baseline=bse.json", "--llm-record=none", env=speaking_to(standin))
    assert run.returncode == 4
    run.match(
        "ERROR: *bse.json: there is no baseline here. Did you mean 'base.json'? "
        "Make one: pytest --llm-baseline=*bse.json --llm-update-baseline"
    )
    assert_no_traceback(run)
    taken = suite.run("--llm-baseline=made.json", "--llm-record=none", env=speaking_to(standin))
    assert taken.returncode == 4
    taken.match("ERROR: *made.json: this is a run record, not a baseline. Make one of it: pytest-llmops baseline *")


def test_the_command_gives_pytest_s_verdict(suite, standin):
    """Settings of the gate count the same, and so does what makes a comparison void."""
    env = speaking_to(standin)

    def both(*patterns, status=1, environment=(), arguments=()):
        here = {**env, **dict(environment)}
        run = suite.run(BASELINE, "--llm-record=none", "--llm-json=run.json", *arguments, env=here)
        compared = suite.command("compare", "base.json", "run.json", env=here)
        assert (run.returncode, compared.returncode) == (status, status), run.out + compared.out
        for one in (run, compared):
            one.match(*patterns)
        assert_no_traceback(compared)

    # brevity depends on the prompt's length, live: neither a regression nor ruled out
    suite.file("test_it.py", TEST.replace("1 / len(words)", "1 / len(words) + (hash(llm_case.input) % 7 - 3) / 9"))
    args = ("--llm-record=live", BASELINE, "--llm-json=run.json")
    shown = suite.run(*args, env={**env, "PYTHONHASHSEED": "1"})
    verdicts = {row["metric"]: row["verdict"] for row in shown.record["comparison"]["metrics"]}
    assert (shown.returncode, verdicts["brevity"]) == (0, "inconclusive"), shown.out
    assert suite.command("compare", "base.json", "run.json").returncode == 0
    strict = {"PYTEST_LLM_INCONCLUSIVE": "fail"}
    assert suite.command("compare", "base.json", "run.json", env=strict).returncode == 1
    assert suite.command("compare", "base.json", "run.json", "--inconclusive=pass", env=strict).returncode == 0
    for line in ('llm_inconclusive = "fail"', 'addopts = "--llm-inconclusive=fail"'):
        suite.file("pyproject.toml", SETTINGS + f"    [tool.pytest.ini_options]\n    {line}\n")
        assert suite.command("compare", "base.json", "run.json").returncode == 1, line
    suite.file("pyproject.toml", SETTINGS)
    suite.file("pytest.ini", "[pytest]\nllm_inconclusive = perhaps\n")
    wrong = suite.command("compare", "base.json", "run.json")
    assert wrong.returncode == 2
    wrong.match("*ini setting llm_inconclusive: 'perhaps' is not one of: pass, fail*")
    (suite.path / "pytest.ini").unlink()

    suite.file("test_it.py", TEST.replace("trials=2", 'trials=2, gate=["pass", "brevty"]'))
    both("*'brevty' is to gate, but no test records *")
    suite.file("test_it.py", TEST)
    (suite.path / "pyproject.toml").unlink()
    stored = suite.read("base.json")
    suite.file("base.json", stored.replace('"case":"test_it.py', '"case":"sub/test_it.py'))
    both("*nothing was compared: the baseline knows 'sub/test_it.py::*")


def test_a_run_that_was_stopped_is_neither_compared_nor_stored_by_the_command(suite, standin):
    env = speaking_to(standin)
    stored = suite.read("base.json")
    suite.file("test_it.py", TEST.replace('assert "fail" not in words', 'assert llm_case.id != "c5"'))
    run = suite.run("--llm-record=none", "--llm-json=run.json", "-x", env=env)
    assert valid(run.record)["stopped"]
    compared = suite.command("compare", "base.json", "run.json")
    assert compared.returncode == 2
    compared.match("pytest-llmops: run.json: the run was *stopped*; nothing was compared with the baseline. *")
    for prune in ((), ("--prune",)):
        updated = suite.command("baseline", "update", "run.json", "-o", "base.json", *prune)
        assert updated.returncode == 2
        updated.match("*the run was *stopped*; nothing was stored. *")
    assert suite.read("base.json") == stored
    merged = suite.command("merge", "run.json", "-o", "all.json")
    assert merged.returncode == 0, merged.out
    assert suite.command("compare", "base.json", "all.json").returncode == 2


def test_an_update_by_the_command_warns_as_pytest_does(suite, standin):
    suite.file("test_it.py", TEST.replace('assert "fail" not in words', 'assert llm_case.id != "c5"'))
    suite.run("--llm-record=none", "--llm-json=run.json", env=speaking_to(standin))
    updated = suite.command("baseline", "update", "run.json", "-o", "base.json")
    assert updated.returncode == 0
    updated.match(
        "wrote base.json, 13 cases",
        "1 of 13 cases failed all their trials, and the baseline holds that now: test_it.py::test_it[[]c5]",
        "13 of 13 cases have fewer than 5 trials*",
    )


def test_the_price_of_more_trials_is_that_of_all_cases_named(suite, standin):
    priced = re.compile(r"--llm-trials=5, about \$(\d+\.\d+)")

    def price(*arguments):
        run = suite.run(BASELINE, "--llm-update-baseline", "--llm-record=none", *arguments, env=speaking_to(standin))
        return float(priced.search(run.out)[1])

    assert price("-k", "c1-") == pytest.approx(price(), rel=0.5)


def test_a_case_whose_worker_died_is_errored_by_its_own_gate(project):
    test = """
        import os
        import pytest

        @pytest.mark.llm_eval(dataset="cases.jsonl", threshold=None, gate=["quality"])
        def test_it(llm_eval, llm_case):
            if llm_case.id == os.environ.get("DIES"):
                os._exit(1)
            llm_eval.record("quality", 0.5)
        """
    project.file("cases.jsonl", cases(*NAMES))
    project.file("test_it.py", test)
    assert project.run(BASELINE, "--llm-update-baseline").returncode == 0
    run = project.run(BASELINE, "--llm-json=run.json", env={"DIES": "c3"}, n=2)
    assert run.returncode == 1
    run.match("FAILED llm-baseline::errored-cases - 1 case errored")
    run.no_match("*does not gate*")
    run.no_match("*gate changed*")


def test_a_case_that_breaks_between_two_calls_is_broken_on_replay(project, standin):
    write_app(project)
    test = """
        import pytest
        from app import ask

        @pytest.mark.llm_eval(dataset="cases.jsonl", threshold=None)
        def test_two(llm_eval, llm_case):
            first = llm_eval.run(ask, "first " + llm_case.input).text
            BREAK
            llm_eval.run(ask, "second " + llm_case.input)
        """
    project.file("cases.jsonl", cases(*NAMES))
    project.file("test_two.py", test.replace("BREAK", "assert first"))
    env = speaking_to(standin)
    assert project.run(BASELINE, "--llm-update-baseline", env=env).returncode == 0
    project.file("test_two.py", test.replace("BREAK", 'assert llm_case.id != "c3"'))
    run = project.run(BASELINE, "--llm-record=none", "--llm-json=run.json", env=env)
    assert run.returncode == 1, run.out
    run.match("*FAILED llm-baseline::broken-cases - 1 case broken")
    [broken] = valid(run.record)["comparison"]["broken_cases"]
    assert (broken["case"], broken["deterministic"]) == ("test_two.py::test_two[c3]", True)
    project.file("test_two.py", test.replace("BREAK", "llm_eval.gone()"))  # before any second call, in all cases
    assert project.run(BASELINE, "--llm-record=none", env=env).returncode == 1


def test_values_that_an_update_drops_are_told(suite, standin):
    suite.file("pyproject.toml", SETTINGS + '    direction = "higher"\n')
    arguments = (BASELINE, "--llm-update-baseline", "--llm-record=none", "-k", "c1-")
    run = suite.run(*arguments, env=speaking_to(standin))
    assert run.returncode == 0, run.out
    run.match(
        "llmops: wrote base.json, 13 cases.",
        "llmops: curses changed (direction lower → higher): its stored values of 11 cases that did not run are "
        "dropped, since they mean something else: test_it.py::test_it[[]c0], *",
    )
    assert suite.read("base.json").count('"curses":') == 1 + 1  # its definition, and c1


def test_files_that_were_written_are_named(suite, standin):
    arguments = (BASELINE, "--llm-record=none", "--llm-json=run.json", "--llm-html=out/report.html")
    run = suite.run(*arguments, env=speaking_to(standin))
    run.match("llmops: wrote run.json, out/report.html")
    suite.run(*arguments, "-q", env=speaking_to(standin)).no_match("llmops: wrote*")


def test_missing_recordings_are_one_message_with_the_command(suite, standin):
    for file in (suite.path / "cassettes/test_it").glob("test_it-c[0-4]*.json"):
        file.unlink()
    env = speaking_to(standin)
    run = suite.run(BASELINE, "--llm-record=none", "--llm-json=run.json", "--tb=no", "-q", env=env)
    assert run.returncode == 1
    run.match(
        "7 cases without a recording: nothing was measured in them",
        "  test_it.py::test_it[[]c0]",
        "  Record what is missing: pytest --llm-record=refresh",
        "gate: FAILED (errored-cases)",
        "FAILED llm-baseline::errored-cases - 7 cases errored: no recording",
    )
    run.no_match("*not comparable*")
    run.no_match("note: *")
    compared = suite.command("compare", "base.json", "run.json")
    assert compared.returncode == 1
    assert "7 cases without a recording" in compared.out
    assert suite.run(BASELINE, "--llm-record=refresh", "-q", env=env).returncode == 0


def test_called_from_another_folder(project, standin):
    """The rootdir is that of the tests: what its ini file names is found, and FAILED lines read as they do there."""
    write_app(project)
    project.file(
        "part/tests/test_it.py",
        """
        import os, pytest

        @pytest.mark.llm_eval
        @pytest.mark.parametrize("n", range(12))
        def test_it(llm_eval, n):
            llm_eval.record("facts", 0.9 - float(os.environ.get("LESS", 0)) - n / 1000)
    """,
    )
    project.file("part/pytest.ini", "[pytest]\nllm_baseline = base.json\nllm_html = report.html\n")
    project.file("part/pyproject.toml", "[tool.pytest-llmops.metrics.facts]\ngate = true\n")
    made = project.run("part", "--llm-update-baseline", "--llm-html=here.html")
    assert made.returncode == 0, made.out
    assert (project.path / "part" / "base.json").exists()
    assert (project.path / "here.html").exists()
    worse = project.run("part/tests", "--llm-json=run.json", "--junitxml=junit.xml", env={"LESS": ".1"})
    assert worse.returncode == 1
    worse.match("FAILED llm-baseline::facts - facts regressed: *")
    assert (project.path / "part" / "report.html").exists()
    cases = ElementTree.parse(project.path / "junit.xml").iter("testcase")
    assert ("llm-baseline", "facts") in {(case.get("classname"), case.get("name")) for case in cases}
