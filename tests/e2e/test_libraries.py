"""Metrics of deepeval and ragas, driven by our judge: recorded, replayed, counted and priced as its calls."""

from __future__ import annotations

import json
from importlib.util import find_spec

import pytest

from tests.e2e.test_judge import APP, env, is_judged, judged, without_keys

__all__ = ["APP", "env", "is_judged", "judged", "without_keys"]

needs_deepeval = pytest.mark.skipif(not find_spec("deepeval"), reason="deepeval (extra [deepeval]) is not installed")
needs_litellm = pytest.mark.skipif(not find_spec("litellm"), reason="litellm (extra [litellm]) is not installed")
needs_ragas = pytest.mark.skipif(not find_spec("ragas"), reason="ragas (extra [ragas]) is not installed")


class LibraryJudge:
    """Answers in the schema that is asked for; `wrong` in place of every score."""

    def __init__(self, wrong=None):
        self.wrong = wrong

    def __call__(self, request):
        if not is_judged(request):
            return None
        schema = request["response_format"]["json_schema"]["schema"]
        names = set(schema["properties"])
        if names == {"steps"}:
            return json.dumps({"steps": ["Read it.", "Judge it."]})
        if names == {"verdicts"}:
            return json.dumps({"verdicts": [{"verdict": verdict, "reason": "So."} for verdict in ("yes", "no")]})
        if names == {"reason"}:
            return json.dumps({"reason": "Half of it."})
        if "score" in names:
            score = 8 if self.wrong is None else self.wrong
            return json.dumps({"score": score, "reason": "Mostly right."})
        if "statement" in json.dumps(schema) and "verdict" in json.dumps(schema):
            rows = [{"statement": f"S{v}", "reason": "Because.", "verdict": v} for v in (1, 0)]
            return json.dumps({"statements": rows if self.wrong is None else []})
        return json.dumps({"statements": ["S1", "S0"] if self.wrong is None else []})


DEEPEVAL = """
    import pytest
    from app import answer
    from deepeval.metrics import GEval
    from deepeval.test_case import SingleTurnParams as P

    @pytest.mark.llm_eval(dataset="cases.jsonl")
    def test_it(llm_eval, llm_case):
        result = llm_eval.run(answer, llm_case.input)
        score = result.deepeval(GEval, name="right", criteria="Is it right?", evaluation_params=[P.ACTUAL_OUTPUT])
        assert score == 0.8
        assert score.reason == "Mostly right."
"""
RAGAS = """
    import pytest
    from app import answer

    @pytest.mark.llm_eval(dataset="cases.jsonl")
    def test_it(llm_eval, llm_case):
        result = llm_eval.run(answer, llm_case.input)
        assert result.ragas("faithfulness") == 0.5
"""


PRICED = """
    [tool.pytest-llmops.prices."openai_compatible:gpt-judge"]
    input = 1.0
    output = 2.0
"""


def recorded_and_replayed(judged, standin, env, test, metric, calls, value):
    judged.file("cases.jsonl", '{"id": "a", "input": "GOOD day", "context": ["Days are good."]}\n')
    judged.file("test_it.py", test)
    judged.file("pyproject.toml", PRICED)
    standin.script(LibraryJudge())
    args = ("-p", "no:deepeval", "--llm-json=run.json")
    recorded = judged.run(*args, env=env)
    assert recorded.outcomes == {"passed": 1}, recorded.out
    assert len(standin.requests) == calls + 1
    replayed = judged.run(*args, "--llm-record=none", env=without_keys(env))
    assert replayed.outcomes == {"passed": 1}, replayed.out
    assert len(standin.requests) == calls + 1
    for run in (recorded, replayed):
        (record,) = run.record["tests"]
        measured = record["measurements"][metric]
        assert (measured["value"], measured["source"], measured["status"]) == (value, "library", "ok")
        assert [call["role"] for call in record["calls"]] == ["app"] + ["judge"] * calls
        for call in record["calls"][1:]:
            tokens = call["input_tokens"] * 1e-6 + call["output_tokens"] * 2e-6
            assert call["cost_usd"] == pytest.approx(tokens)
            assert tokens > 0
        # "Echo: GOOD day" on three words: the library's tokens are not the application's
        assert record["measurements"]["output_tokens"]["value"] == 3


@needs_deepeval
def test_deepeval_s_metrics_are_recorded_and_replayed(judged, standin, env):
    recorded_and_replayed(judged, standin, env, DEEPEVAL, "deepeval.right [GEval]", 2, 0.8)


OBJECT = """
    import pytest
    from app import answer
    from deepeval import assert_test
    from deepeval.metrics import GEval
    from deepeval.test_case import LLMTestCase, SingleTurnParams as P
    from pytest_llmops import deepeval_model

    PARAMS = [P.ACTUAL_OUTPUT]
    metric = GEval(name="right", criteria="Is it right?", evaluation_params=PARAMS, model=deepeval_model())

    @pytest.mark.llm_eval
    def test_ours(llm_eval):
        assert llm_eval.run(answer, "GOOD day").deepeval(metric) == 0.8

    @pytest.mark.llm_eval
    def test_its_own_way(llm_eval):
        text = llm_eval.run(answer, "GOOD day").text
        mine = GEval(name="mine", criteria="Is it?", evaluation_params=PARAMS, model=deepeval_model(), async_mode=False)
        mine.measure(LLMTestCase(input="GOOD day", actual_output=text))
        assert mine.score == 0.8
"""


@needs_deepeval
def test_a_metric_object_of_deepeval_s_needs_no_key(judged, standin, env):
    judged.file("test_it.py", OBJECT)
    standin.script(LibraryJudge())
    env = without_keys(env)
    recorded = judged.run("-p", "no:deepeval", "--llm-json=run.json", env=env)
    assert recorded.outcomes == {"passed": 2}, recorded.out
    sent = len(standin.requests)
    for test in recorded.record["tests"]:
        assert [call["role"] for call in test["calls"]] == ["app", "judge", "judge"]
    replayed = judged.run("-p", "no:deepeval", "--llm-record=none", env=env)
    assert replayed.outcomes == {"passed": 2}, replayed.out
    assert len(standin.requests) == sent


@needs_ragas
def test_ragas_metrics_are_recorded_and_replayed(judged, standin, env):
    recorded_and_replayed(judged, standin, env, RAGAS, "ragas.faithfulness", 2, 0.5)


@needs_ragas
def test_a_ragas_metric_that_needs_embeddings_has_those_of_the_settings(judged, standin, env):
    judged.file("cases.jsonl", '{"id": "a", "input": "GOOD day"}\n')
    judged.file("pyproject.toml", '[tool.pytest-llmops.embeddings]\nmodel = "openai_compatible:embed-x"\n')
    judged.file("test_it.py", RAGAS.replace('"faithfulness") == 0.5', '"answer_relevancy") == pytest.approx(1.0)'))

    def asked_back(request):
        question = json.dumps({"question": "GOOD day", "noncommittal": 0})
        return question if request["model"] == "gpt-judge" else None

    standin.script(asked_back)
    run = judged.run("-p", "no:deepeval", "--llm-json=run.json", env=env)
    assert run.outcomes == {"passed": 1}, run.out
    (test,) = run.record["tests"]
    assert [call["role"] for call in test["calls"]] == ["app"] + ["judge"] * (len(test["calls"]) - 1)
    sent = len(standin.requests)
    paths = [request.path for request in standin.requests]
    assert (paths.count("/v1/embeddings"), paths.count("/v1/chat/completions")) == (1, 1 + 3)
    replayed = judged.run("-p", "no:deepeval", "--llm-record=none", env=without_keys(env))
    assert replayed.outcomes == {"passed": 1}, replayed.out
    assert len(standin.requests) == sent


@needs_ragas
def test_ragas_inside_a_running_loop(judged, standin, env):
    awaiting = RAGAS.replace("    def test", "    @pytest.mark.asyncio\n    async def test")
    recorded_and_replayed(judged, standin, env, awaiting, "ragas.faithfulness", 2, 0.5)


JURY = """
    [tool.pytest-llmops.judge]
    jury = ["openai_compatible:gpt-judge", "openai_compatible:gpt-other"]
    repeats = 2
"""
WITHOUT_BLOCKING = """
    import asyncio
    import os
    import pytest
    from app import answer

    async def ticking(ticks):
        while True:
            ticks.append(1)
            await asyncio.sleep(0.001)

    @pytest.mark.asyncio
    @pytest.mark.llm_eval(dataset="cases.jsonl")
    async def test_it(llm_eval, llm_case):
        result = llm_eval.run(answer, llm_case.input)
        task = asyncio.create_task(ticking(ticks := []))
        score = await result.CALL
        task.cancel()
        assert score == 0.5
        assert [float(vote) for vote in score.votes] == [0.5] * 4
        assert score.disagreement == 0.0
        assert len(ticks) > 1  # the loop went on meanwhile
        assert not hasattr(asyncio, "_nest_patched")
        assert "FROM_DOTENV" not in os.environ
"""


def each_with_its_own(judge):
    """The libraries' judge under either name."""
    return lambda request: judge({**request, "model": "gpt-judge"}) if request["model"] != "gpt-x" else None


@pytest.mark.parametrize(
    ("call", "metric", "calls"),
    [
        pytest.param('aragas("faithfulness")', "ragas.faithfulness", 2, marks=needs_ragas),
        pytest.param('adeepeval("AnswerRelevancyMetric")', "deepeval.Answer Relevancy", 3, marks=needs_deepeval),
    ],
)
def test_a_whole_jury_drives_a_metric_in_an_async_test_and_nothing_phones_home(
    judged, standin, env, call, metric, calls
):
    del env["PYTEST_LLM_JUDGE"]
    judged.file("pyproject.toml", JURY)
    judged.file(".env", "FROM_DOTENV=1\n")
    judged.file("cases.jsonl", '{"id": "a", "input": "GOOD day", "context": ["Days are good."]}\n')
    judged.file("test_it.py", WITHOUT_BLOCKING.replace("CALL", call))
    standin.script(each_with_its_own(LibraryJudge()))
    recorded = judged.run("-p", "no:deepeval", "--llm-json=run.json", env=env)
    assert recorded.outcomes == {"passed": 1}, recorded.out
    assert len(standin.requests) == 1 + 4 * calls
    replayed = judged.run("-p", "no:deepeval", "--llm-json=run.json", "--llm-record=none", env=without_keys(env))
    assert replayed.outcomes == {"passed": 1}, replayed.out
    assert len(standin.requests) == 1 + 4 * calls
    measured = replayed.record["tests"][0]["measurements"]
    assert (measured[metric]["value"], measured[f"{metric}.disagreement"]["value"]) == (0.5, 0.0)
    assert measured[metric]["reason"].count("openai_compatible:gpt-other 0.5") == 2
    assert not list(judged.path.glob(".deepeval*"))


@needs_ragas
def test_a_metric_without_a_number_is_an_error(judged, standin, env):
    judged.file("cases.jsonl", '{"id": "a", "input": "GOOD day", "context": ["Days are good."]}\n')
    judged.file("test_it.py", RAGAS)
    standin.script(LibraryJudge(wrong=0))  # no statements: ragas answers NaN
    run = judged.run("--llm-json=run.json", "-p", "no:deepeval", env=env)
    assert run.returncode == 1
    run.match("*ragas Faithfulness gave no score but nan*")
    (record,) = run.record["tests"]
    assert record["measurements"]["ragas.faithfulness"]["status"] == "error"


@needs_deepeval
def test_a_judge_that_answers_nonsense_to_deepeval(judged, standin, env):
    judged.file("cases.jsonl", '{"id": "a", "input": "GOOD day"}\n')
    judged.file("test_it.py", DEEPEVAL)
    standin.script(LibraryJudge(wrong="high"))
    run = judged.run("--llm-json=run.json", "-p", "no:deepeval", env=env)
    assert run.returncode == 1
    run.match("*gave no verdict on 'deepeval *score: *")
    assert "0.8" not in json.dumps(run.record["tests"][0]["measurements"].get("deepeval.right [GEval]", {}))


@needs_ragas
@pytest.mark.parametrize(
    ("call", "message"),
    [
        ('"faithfulnes"', "*ragas has no metric 'faithfulnes'. Did you mean 'faithfulness'*"),
        ('"faithfulness"', "*ragas Faithfulness needs retrieved_contexts*"),
        ('"answer_relevancy"', "*needs embeddings*"),
    ],
)
def test_mistakes_with_ragas_are_clear(judged, standin, env, call, message):
    judged.file("cases.jsonl", '{"id": "a", "input": "GOOD day"}\n')
    judged.file("test_it.py", RAGAS.replace('"faithfulness"', call))
    run = judged.run("-p", "no:deepeval", env=env)
    assert run.outcomes == {"failed": 1}, run.out
    run.match(message)


@pytest.mark.parametrize("library", ["deepeval", "ragas"])
def test_a_missing_library_names_its_extra(judged, env, library):
    judged.file("cases.jsonl", '{"id": "a", "input": "GOOD day"}\n')
    judged.file(
        "test_it.py",
        f"""
        import sys
        import pytest
        from app import answer

        @pytest.mark.llm_eval(dataset="cases.jsonl")
        def test_it(llm_eval, llm_case, monkeypatch):
            monkeypatch.setitem(sys.modules, "{library}", None)
            llm_eval.run(answer, llm_case.input).{library}("anything")
        """,
    )
    run = judged.run("-p", "no:deepeval", env=env)
    assert run.outcomes == {"failed": 1}, run.out
    run.match(f"*pip install 'pytest-llmops[[]{library}]'*")


@needs_litellm
def test_a_judge_behind_litellm(judged, standin, env):
    env = {**env, "PYTEST_LLM_JUDGE": "litellm:openai/gpt-judge", "OPENAI_API_BASE": env["OPENAI_BASE_URL"]}
    recorded = judged.run("--llm-json=run.json", env=env)
    assert recorded.outcomes == {"passed": 2}, recorded.out
    assert len(standin.requests) == 4
    replayed = judged.run("--llm-json=run.json", "--llm-record=none", env=without_keys(env))
    assert replayed.outcomes == {"passed": 2}, replayed.out
    assert len(standin.requests) == 4
    for test in replayed.record["tests"]:
        assert test["measurements"]["helpfulness"]["value"] == 0.75
        assert [call["role"] for call in test["calls"]] == ["app", "judge"]
    missed = judged.run("--llm-record=none", "--llm-judge=litellm:openai/gpt-other", env=without_keys(env))
    assert missed.outcomes == {"failed": 2}, missed.out
    missed.match("*has no recording*")


@pytest.mark.skipif(bool(find_spec("litellm")), reason="litellm is installed")
def test_litellm_missing_names_its_extra(judged, env):
    run = judged.run("--llm-judge=litellm:openai/gpt-judge", env=env)
    assert run.outcomes == {"failed": 2}, run.out
    run.match("*pip install 'pytest-llmops[[]litellm]'*")
