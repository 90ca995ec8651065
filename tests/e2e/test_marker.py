"""The marker's arguments as users write them: what they do, and what a wrong one says."""

from __future__ import annotations

import pytest

from tests.e2e.user import assert_no_traceback, speaking_to, write_app

MISTAKES = {
    "datset='cases.jsonl'": "unknown argument 'datset'. Did you mean 'dataset'?",
    "dataset=3": "expected a text",
    "dataset=''": "expected a text",
    "trials=0": "expected a whole number from 1 to 1000",
    "trials=True": "expected a whole number from 1 to 1000",
    "trials='3'": "expected a whole number from 1 to 1000",
    "threshold=0": "expected a share above 0 and up to 1",
    "threshold=1.5": "expected a share above 0 and up to 1",
    "threshold=float('nan')": "expected a share above 0 and up to 1",
    "threshold='0.8'": "expected a share above 0 and up to 1",
    "measure='helpfulness'": "expected a list of texts: ['helpfulness']",
    "measure=[1]": "expected a list of texts",
    "measure=7": "expected a list of texts",
    "group=7": "expected a text",
    "tags='slow'": "expected a list of texts: ['slow']",
    "gate=True": "expected a list of metrics, False (none gates)",
    "gate='pass'": "expected a list of texts: ['pass']",
    "'cases.jsonl'": "takes named arguments only",
}


@pytest.mark.parametrize("n", [None, 2])
def test_a_wrong_argument_is_one_error_at_its_test(project, n):
    tests = "\n\n".join(
        f"@pytest.mark.llm_eval({argument})\ndef test_{i}(llm_eval): ran()" for i, argument in enumerate(MISTAKES)
    )
    project.file("test_it.py", f"import pytest\n\n{tests}\n\n@pytest.mark.llm_eval\ndef test_good(): pass\n")
    run = project.run("--llm-json=run.json", n=n)
    assert run.returncode == 1
    assert run.outcomes == {"passed": 1, "errors": len(MISTAKES)}
    assert_no_traceback(run)
    for i, message in enumerate(MISTAKES.values()):
        said = [line for line in run.out.splitlines() if line.startswith(f"ERROR test_it.py::test_{i} - ")]
        assert len(said) == 1
        assert message in run.out, message
    assert [t["outcome"] for t in run.record["tests"]].count("error") == len(MISTAKES)
    failed = next(test for test in run.record["tests"] if test["outcome"] == "error")
    assert failed["measurements"]["pass"]["status"] == "error"


@pytest.mark.parametrize("n", [None, 2])
def test_datasets_that_cannot_be_used_fail_collection(project, n):
    project.file("broken.jsonl", '{"input": 1}\n{"input": \n')
    project.file("twice.jsonl", '{"id": "a", "input": 1}\n{"id": "a", "input": 2}\n')
    project.file("no_input.yaml", "- id: a\n  expected: 1\n")
    for name in ("broken.jsonl", "twice.jsonl", "no_input.yaml", "absent.jsonl"):
        test = f'import pytest\n\n@pytest.mark.llm_eval(dataset="{name}")\ndef test_it(llm_case): pass\n'
        project.file(f"test_{name.partition('.')[0]}.py", test)
    run = project.run(n=n)
    assert run.returncode == 2 if n is None else run.returncode != 0
    assert_no_traceback(run)
    run.match("*broken.jsonl:2:*")
    run.match("*twice.jsonl:2:*'a'*")
    run.match("*no_input.yaml:*input*")
    run.match("*absent.jsonl*")


FEATURES = """
    import asyncio
    import pytest
    from app import ask

    @pytest.fixture
    def question(llm_case):
        return f"{llm_case.input}!"

    @pytest.fixture(params=["x", "y"])
    def letter(request):
        return request.param

    @pytest.mark.llm_eval(dataset="cases.jsonl", tags=["slow"], group="doc", gate=["pass"], threshold=None)
    def test_cases(llm_eval, question):
        assert llm_eval.run(ask, question).text == f"Echo: {question}"

    @pytest.mark.parametrize("tone", ["warm", "curt"])
    @pytest.mark.llm_eval(dataset="cases.jsonl", trials=2)
    def test_both(llm_eval, llm_case, tone, letter):
        assert llm_eval.run(ask, f"{llm_case.input} {tone} {letter}").text

    @pytest.mark.llm_eval(trials=2)
    def test_trials(llm_eval):
        assert llm_eval.run(ask, "hello").text

    @pytest.mark.llm_eval(dataset="cases.jsonl")
    class TestClass:
        def test_one(self, llm_case):
            assert llm_case.input

        @pytest.mark.parametrize("word", ["a"])
        def test_two(self, llm_eval, llm_case, word):
            assert llm_eval.run(ask, llm_case.input).text

    class TestOther:
        @pytest.mark.llm_eval(dataset="cases.jsonl")
        def test_one(self, llm_eval, llm_case):
            assert llm_eval.run(ask, "other").text

    @pytest.mark.asyncio
    @pytest.mark.llm_eval(dataset="cases.jsonl", trials=2)
    async def test_async(llm_eval, llm_case):
        async def answer(question):
            return await asyncio.to_thread(ask, question)

        one = await llm_eval.arun(answer, llm_case.input)
        assert one.output == f"Echo: {llm_case.input}" and one.model == "gpt-4o-mini"

    def test_unmarked():
        pass
"""

IDS = {
    "test_cases[a]", "test_cases[b]",
    *(f"test_both[{x}-{t}-{c}-trial{i}]" for x in "xy" for t in ("warm", "curt") for c in "ab" for i in range(2)),
    "test_trials[trial0]", "test_trials[trial1]",
    "TestClass::test_one[a]", "TestClass::test_one[b]", "TestClass::test_two[a-a]", "TestClass::test_two[a-b]",
    "TestOther::test_one[a]", "TestOther::test_one[b]",
    *(f"test_async[{c}-trial{i}]" for c in "ab" for i in range(2)),
}  # fmt: skip


def test_it_goes_with_everything_pytest_has(project, standin):
    write_app(project)
    project.file("cases.jsonl", '{"id": "a", "input": "A", "doc": "d", "tags": ["t"]}\n{"id": "b", "input": "B"}\n')
    project.file("test_it.py", FEATURES)
    env = speaking_to(standin)
    recorded = project.run("--llm-json=run.json", env=env)
    assert recorded.returncode == 0, recorded.out
    tests = {test["id"].removeprefix("test_it.py::"): test for test in recorded.record["tests"]}
    assert tests.keys() == IDS
    assert recorded.outcomes == {"passed": len(IDS) + 1}
    asked = len(standin.requests)
    one = tests["test_cases[a]"]
    assert (one["group"], one["tags"], one["gate"], one["threshold"]) == ("d", ["slow", "t"], ["pass"], None)
    assert tests["test_both[x-warm-a-trial1]"]["case"] == "test_it.py::test_both[x-warm-a]"
    assert tests["test_trials[trial1]"]["case"] == "test_it.py::test_trials"
    assert tests["test_trials[trial1]"]["trial"] == 1
    files = {test["cassette"]["file"] for test in tests.values() if test["calls"]}
    assert len(files) == len(IDS) - 2  # one recording an item; two items make no call
    replayed = project.run("--llm-record=none", "--llm-json=run.json", env=env, n=2)
    assert replayed.outcomes == recorded.outcomes, replayed.out
    assert len(standin.requests) == asked
    assert [t["id"] for t in replayed.record["tests"]] == [t["id"] for t in recorded.record["tests"]]


@pytest.mark.parametrize(
    ("fixture", "message"),
    [("llm_eval", "llm_eval needs the marker: @pytest.mark.llm_eval"), ("llm_judge", "llm_judge needs the marker")],
)
def test_a_fixture_without_the_marker_says_so(project, fixture, message):
    project.file("test_it.py", f"def test_it({fixture}): pass\n")
    run = project.run()
    assert run.outcomes == {"errors": 1}
    assert message in run.out
    assert_no_traceback(run)


def test_llm_case_without_a_dataset_says_so(project):
    project.file("test_it.py", "import pytest\n\n@pytest.mark.llm_eval\ndef test_it(llm_case): pass\n")
    run = project.run()
    assert run.outcomes == {"errors": 1}
    assert "llm_case needs a dataset: @pytest.mark.llm_eval(dataset='cases.jsonl')" in run.out
    assert_no_traceback(run)


def test_the_plugin_can_be_left_out(project):
    project.file("test_it.py", "import pytest\n\ndef test_it(): pass\n")
    run = project.run("-p", "no:llmops")
    assert run.outcomes == {"passed": 1}
