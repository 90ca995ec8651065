"""Trials, their threshold, and the recordings that belong to them."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest

from tests.e2e.user import assert_no_traceback, speaking_to, write_app
from tests.standin import Reply

THRESHOLD = """
    import pytest

    # Which trials fail is told by name, so that any process knows: c has two of five, d three.
    FAILING = {"b": {3}, "c": {0, 1}, "d": {0, 1, 2}}

    @pytest.mark.llm_eval(dataset="cases.jsonl", trials=5, threshold=0.6)
    def test_share(llm_case, request):
        trial = int(request.node.name[-2])
        assert trial not in FAILING.get(llm_case.id, ()), f"trial {trial} of {llm_case.id} is wrong"

    @pytest.mark.llm_eval(trials=2, threshold=None)
    def test_recorded_only():
        assert False, "never"

    def test_unmarked():
        pass
"""


@pytest.fixture
def shares(project):
    project.file("cases.jsonl", "".join(f'{{"id": "{name}", "input": 1}}\n' for name in "abcd"))
    project.file("test_it.py", THRESHOLD)
    return project


@pytest.mark.parametrize("n", [None, 2])
def test_a_case_fails_where_the_share_is_missed(shares, n):
    run = shares.run("--junitxml=junit.xml", "--llm-json=run.json", n=n)
    assert run.returncode == 1
    run.match(
        "*___ test_share?d? ___*", "2 of 5 trials passed (40%), threshold 60%", "  trial 0: failed: trial 0 of d is *"
    )
    failed = [line for line in run.out.splitlines() if line.startswith("FAILED")]
    assert len(failed) == 1
    assert failed[0].startswith("FAILED test_it.py::test_share[d] - 2 of 5 trials passed")
    # 20 trials of test_share of which 6 fail, two of test_recorded_only, and one unmarked test
    run.match("*=== 15 passed, 8 trial failed in *")
    suite = ElementTree.parse(shares.path / "junit.xml").getroot().find("testsuite")
    assert suite is not None
    assert (suite.get("failures"), suite.get("errors")) == ("1", "0")
    failures = [(case.get("name"), e.get("message")) for case in suite for e in case if e.tag == "failure"]
    assert failures == [("test_share[d]", "2 of 5 trials passed (40%), threshold 60%")]
    records = {test["id"].partition("::")[2]: test for test in run.record["tests"]}
    assert len(records) == 22
    wrong = records["test_share[b-trial3]"]
    assert (wrong["outcome"], wrong["error"]) == ("failed", "trial 3 of b is wrong")
    assert (wrong["measurements"]["pass"]["value"], wrong["threshold"], wrong["trial"]) == (0, 0.6, 3)
    assert records["test_recorded_only[trial0]"]["threshold"] is None
    cached = json.loads(shares.read(".pytest_cache/v/cache/lastfailed"))
    assert len(cached) == 8
    assert all("trial" in name for name in cached)
    again = shares.run("--lf", "-v", n=n)
    assert "8 trial failed" in again.out, again.out
    assert "test_share[a-" not in again.out
    assert_no_traceback(again)


@pytest.mark.parametrize("n", [None, 2])
def test_running_the_failed_trials_again_judges_and_stores_no_share(shares, n):
    shares.file("cases.jsonl", "".join(f'{{"id": "{name}", "input": 1}}\n' for name in "abc"))
    arguments = ("--llm-baseline=b.json", "-k", "share")
    first = shares.run(*arguments, "--llm-update-baseline", n=n)
    assert first.returncode == 0, first.out
    stored = shares.read("b.json").split('"cases"')[1]
    again = shares.run(*arguments, "--lf", "--llm-update-baseline", n=n)
    assert again.returncode == 0, again.out
    again.match(
        "llmops: 2 cases not judged by threshold and not stored, since some trials did not run: test_it.py::test_sh*"
    )
    again.no_match("*failed all their trials*")
    assert shares.read("b.json").split('"cases"')[1] == stored


@pytest.mark.parametrize("n", [None, 2])
def test_tolerated_trials_do_not_fail_the_run(shares, n):
    words = shares.run("-k", "share and not d-trial", "-x", "-v", "--junitxml=junit.xml", n=n)
    assert words.returncode == 0, words.out
    assert "12 passed" in words.out
    assert "3 trial failed" in words.out
    assert "stopping after" not in words.out
    words.match("*test_share?b-trial3?*TRIAL FAILED*" if n is None else "*TRIAL FAILED*test_share?b-trial3?*")
    root = ElementTree.parse(shares.path / "junit.xml").getroot()
    assert root.find("testsuite").get("failures") == "0"
    if n is None:
        shares.run("-k", "share and b").match("test_it.py ...t. *")


def test_a_miss_is_never_tolerated(project, standin):
    write_app(project)
    project.file(
        "test_it.py",
        """
        import pytest
        from app import ask

        @pytest.mark.llm_eval(trials=2, threshold=0.5)
        def test_it(llm_eval, request):
            question = "a" if "trial0" in request.node.name else "b"
            llm_eval.run(ask, question)

        @pytest.mark.llm_eval(trials=2, threshold=0.5)
        def test_swallowed(llm_eval):
            def app():
                try:
                    return ask("c")
                except BaseException:
                    return "nothing"
            llm_eval.run(app)
        """,
    )
    assert project.run("-k", "trial0 or trial1", "--llm-trials=1", env=speaking_to(standin)).returncode == 5
    asked = len(standin.requests)
    run = project.run("--llm-record=none", "--llm-json=run.json", env=speaking_to(standin))
    assert run.outcomes == {"failed": 4}
    assert run.returncode == 1
    run.match(
        "*does not exist*", "*re-record: pytest test_it.py::test_it --llm-record=refresh*", "FAILED *CassetteMiss*"
    )
    run.no_match("*trials passed*")
    assert_no_traceback(run)
    assert len(standin.requests) == asked
    for test in run.record["tests"]:
        assert test["measurements"]["pass"]["status"] == "error"


TRIALS = """
    import pytest
    from app import ask

    @pytest.mark.llm_eval(dataset="cases.jsonl")
    def test_it(llm_eval, llm_case):
        assert llm_eval.run(ask, llm_case.input).text

    class TestOne:
        @pytest.mark.llm_eval
        def test_same(self, llm_eval):
            assert llm_eval.run(ask, "same").text == "answer 1"

    class TestTwo:
        @pytest.mark.llm_eval
        def test_same(self, llm_eval):
            assert llm_eval.run(ask, "same").text == "answer 2"
"""


def test_recordings_belong_to_test_case_and_trial(project, standin):
    """Raising trials keeps what was paid for; renamed tests, cases and modules find their recordings."""
    write_app(project)
    project.file("cases.jsonl", '{"id": "a", "input": "A"}\n{"id": "b", "input": "B"}\n')
    project.file("test_it.py", TRIALS)
    same = iter(range(1, 99))
    standin.script(lambda request: Reply(f"answer {next(same)}") if "same" in str(request) else None)
    env = speaking_to(standin)

    def run(*args, passed, sent):
        standin.requests.clear()
        done = project.run(*args, env=env)
        assert (done.returncode, done.outcomes["passed"]) == (0, passed), done.out
        assert len(standin.requests) == sent
        return done

    run(passed=4, sent=4)
    raised = run("-k", "test_it and not same", "--llm-trials=3", "--llm-json=run.json", passed=6, sent=4)
    recorded = {test["id"].partition("::")[2]: test["cassette"] for test in raised.record["tests"]}
    assert recorded["test_it[a-trial0]"]["live"] == 0
    assert recorded["test_it[a-trial2]"]["live"] == 1
    run("--llm-trials=3", "-k", "test_it and not same", "--llm-record=none", passed=6, sent=0)

    # a renamed case and a renamed test, then a renamed module: none is recorded anew
    project.file("cases.jsonl", '{"id": "a", "input": "A"}\n{"id": "bee", "input": "B"}\n')
    run("--llm-record=none", passed=4, sent=0)
    project.file("test_it.py", TRIALS.replace("def test_it", "def test_asks"))
    run("--llm-record=none", passed=4, sent=0)
    (project.path / "test_it.py").rename(project.path / "test_other.py")
    run("--llm-record=none", passed=4, sent=0)
    run(passed=4, sent=0)
    # mode once took the recordings over: they lie where the tests are now
    assert len(list((project.path / "cassettes/test_other").glob("*.json"))) == 4
