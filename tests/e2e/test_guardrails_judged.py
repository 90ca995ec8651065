"""Judged guardrails as users meet them: by name everywhere, recorded once, and an error where the judge fails."""

from __future__ import annotations

import json
import re

import pytest

from tests.conftest import REPOSITORY
from tests.e2e.user import assert_no_traceback
from tests.standin import Reply
from tests.standin_judge import GullibleJudge, GullibleSafetyJudge, messages_of

JUDGE = "openai:gpt-judge"
APP = """
    import json, os, urllib.request

    def ask(question):
        body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": question}]}
        request = urllib.request.Request(
            os.environ["OPENAI_BASE_URL"] + "/chat/completions", json.dumps(body).encode(),
            {"content-type": "application/json"},
        )
        with urllib.request.urlopen(request) as response:
            return json.load(response)["choices"][0]["message"]["content"]
"""
PROMPTS = """
    - id: support-v1.0.0
      model: gpt-4o-mini
      user_prompt_template: "{question}"
      guardrails:
        input:
          - {type: inappropriate, action: block, threshold: 0.8}
        output:
          - {type: content_safety, action: block}
          - {type: hallucination, action: flag, knowledge_base: support-docs}
"""


def answering(request):
    """Judges dangers and rubrics; everything else gets an echo."""
    if request.get("model") != "gpt-judge":
        return None
    if "Category toxicity:" in messages_of(request)[0]:
        return GullibleSafetyJudge({"VENOM": {"toxicity": 9, "bias": 5}, "RECIPE": {"inappropriate": 10}})(request)
    return GullibleJudge({"INVENTED": 1, "": 5})(request)


@pytest.fixture
def judged(project, standin):
    standin.script(answering)
    project.file("conftest.py", "")
    project.file("app.py", APP)
    project.file("prompts/p.yaml", PROMPTS)
    return project


@pytest.fixture
def env(standin):
    return {
        "OPENAI_BASE_URL": f"{standin.url}/v1",
        "OPENAI_API_KEY": "placeholder",
        "PYTEST_LLM_JUDGE": JUDGE,
    }


def offline(env):
    return {name: value for name, value in env.items() if not name.endswith("_KEY")}


def measured(run, test):
    (found,) = [one for one in run.record["tests"] if one["id"].endswith(f"::{test}")]
    return found["measurements"]


def test_the_safety_of_an_answer_is_recorded_once(judged, standin, env):
    judged.file("cases.jsonl", '{"id": "a", "input": "hello"}\n{"id": "b", "input": "VENOM"}\n')
    judged.file(
        "test_it.py",
        """
        import pytest
        from app import ask

        @pytest.mark.llm_eval(dataset="cases.jsonl")
        def test_it(llm_eval, llm_case):
            result = llm_eval.run(ask, llm_case.input)
            safety = result.safety
            assert (safety.recommendation == "block") == (llm_case.id == "b")
            assert result.safety.toxicity < 0.5, "shows why"

        @pytest.mark.asyncio
        @pytest.mark.llm_eval
        async def test_async(llm_eval, llm_guardrails):
            result = llm_eval.run(ask, "RECIPE")
            asked = await result.acheck_safety(stage="input")
            assert asked.inappropriate.detected and asked.stage == "input"
            outcome = await llm_guardrails["inappropriate"].acheck(result.text)
            assert outcome.triggered and outcome.source == "judge"
        """,
    )
    run = judged.run("--llm-json=r.json", env=env)
    assert run.outcomes == {"passed": 2, "failed": 1}, run.out
    run.match(
        "*assert 0.9 < 0.5*", f"*toxicity, judged by {JUDGE}: As it looks to me.", "*the judged text:*", "*VENOM*"
    )
    sent = len(standin.requests)
    again = judged.run("--llm-json=r.json", "--llm-record=none", env=offline(env))
    assert again.outcomes == run.outcomes, again.out
    assert len(standin.requests) == sent == 3 + 4
    found = measured(again, "test_it[b]")
    assert {name: one["value"] for name, one in found.items() if name.startswith("safety.")} == {
        "safety.toxicity": 0.9, "safety.bias": 0.5, "safety.misinformation": 0, "safety.inappropriate": 0,
        "safety.privacy": 0, "safety.overall": 0.9,
    }  # fmt: skip
    toxicity = found["safety.toxicity"]
    assert (toxicity["source"], toxicity["direction"], toxicity["stage"]) == ("judge", "lower", "output")
    assert toxicity["definition"]
    assert toxicity["reason"] == "As it looks to me."
    assert measured(again, "test_async")["safety.inappropriate#input"]["value"] == 1
    (test,) = [one for one in again.record["tests"] if one["id"].endswith("[b]")]
    assert [call["role"] for call in test["calls"]] == ["app", "judge"]


def test_measured_by_the_marker(judged, standin, env):
    judged.file("cases.jsonl", '{"id": "a", "input": "INVENTED VENOM", "context": ["c"], "expected": "e"}\n')
    judged.file(
        "test_it.py",
        """
        import pytest
        from app import ask

        NAMES = ["content_safety", "bias", "hallucination", "factual_accuracy", "instruction_adherence", "safety"]

        @pytest.mark.llm_eval(dataset="cases.jsonl", measure=NAMES)
        def test_it(llm_eval, llm_case):
            llm_eval.run(ask, llm_case.input)
        """,
    )
    run = judged.run("--llm-json=r.json", env=env)
    assert run.outcomes == {"passed": 1}, run.out
    found = {name: one["value"] for name, one in measured(run, "test_it[a]").items()}
    assert (found["content_safety"], found["safety.overall"], found["safety.toxicity"]) == (1, 0.9, 0.9)
    assert (found["bias"], found["safety.bias"]) == (1, 0.5)
    assert (found["hallucination"], found["hallucination.score"]) == (1, 1)
    # names of rubrics are scored by them: high is good
    assert (found["factual_accuracy"], found["instruction_adherence"], found["safety"]) == (0, 0, 0)
    assert len(standin.requests) == 1 + 1 + 4
    assert judged.run("--llm-record=none", env=offline(env)).outcomes == {"passed": 1}


@pytest.mark.parametrize(
    ("name", "close"), [("hallucinaton", "hallucination"), ("helpfull", "helpfulness"), ("blue", "bleu")]
)
def test_a_mistyped_measure_is_told_with_the_closest(judged, env, name, close):
    judged.file(
        "test_it.py",
        f"""
        import pytest
        from app import ask

        @pytest.mark.llm_eval(measure=["{name}"])
        def test_it(llm_eval):
            llm_eval.run(ask, "hi")
        """,
    )
    run = judged.run(env=env)
    assert run.outcomes == {"failed": 1}
    run.match(f"*no rubric, metric or guardrail is named '{name}'. Did you mean '{close}'?*")
    assert_no_traceback(run)


def test_a_judge_that_fails_is_an_error_everywhere(judged, standin, env):
    standin.script(lambda request: "I cannot say." if request.get("model") == "gpt-judge" else None)
    judged.file(
        "test_it.py",
        """
        import pytest
        from pytest_llmops import PromptTestSuite
        from app import ask

        @pytest.mark.llm_eval
        def test_asked(llm_eval):
            assert llm_eval.run(ask, "hi").safety < 1

        @pytest.mark.llm_eval(measure=["privacy"])
        def test_marked(llm_eval):
            llm_eval.run(ask, "hi")

        @pytest.mark.llm_eval
        def test_suite():
            result = PromptTestSuite("support", app=str, guardrails=["bias"]).run("hi")
            assert result.blocked_at == "input", "a failed judge is no block"
        """,
    )
    run = judged.run("--llm-json=r.json", env=env)
    assert run.outcomes == {"failed": 3}, run.out
    assert run.out.count("gave no verdict on 'safety': its answer is no whole JSON") >= 3
    assert "a failed judge is no block" not in run.out.split("short test summary")[1]
    assert_no_traceback(run)
    for test, names in (
        ("test_asked", ["safety.toxicity", "safety.overall"]),
        ("test_marked", ["privacy", "safety.privacy"]),
        ("test_suite", ["bias", "safety.bias#input"]),
    ):
        found = measured(run, test)
        for name in (*names, "pass"):
            assert (found[name]["status"], found[name]["value"]) == ("error", None), (test, name)


def test_guards_of_a_suite_and_of_a_prompt(judged, standin, env):
    judged.file(
        "test_it.py",
        """
        import pytest
        from pytest_llmops import PromptTestSuite

        @pytest.mark.llm_eval
        def test_input():
            result = PromptTestSuite("support", app=lambda text: 1 / 0).run("the RECIPE")
            assert (result.guardrail_triggered, result.blocked_at) == ("inappropriate", "input")
            (trigger,) = result.guardrails_triggered
            assert (trigger.source, trigger.categories, trigger.score) == ("judge", ("inappropriate",), 1.0)
            assert result.output == "I cannot help with this request."

        @pytest.mark.llm_eval
        def test_output():
            result = PromptTestSuite("support", app=lambda text: "VENOM").run("hi", context=["c"])
            assert (result.guardrail_triggered, result.blocked_at) == ("content_safety", "output")
            assert result.guardrails_triggered[0].categories == ("toxicity", "bias")

        @pytest.mark.llm_eval
        @pytest.mark.asyncio
        async def test_async():
            async def app(text):
                return "INVENTED"
            result = await PromptTestSuite("support", app=app).arun("hi", context=["c"])
            assert result.output == "INVENTED" and result.blocked_at is None
            assert result.guardrail_triggered == "hallucination"

        @pytest.mark.llm_eval(measure=["factual_accuracy"])
        def test_beside_the_rubric_of_its_name():
            suite = PromptTestSuite("support", app=lambda text: "INVENTED", guardrails=["factual_accuracy"])
            assert suite.run("hi").blocked_at == "output"

        @pytest.mark.llm_eval
        def test_of_the_suite():
            suite = PromptTestSuite("support", app=str.upper, guardrails=["toxicity", "pii_detection"])
            assert suite.run("venom, ana@example.com").output == "VENOM, [EMAIL]"
            assert suite.run("venom").guardrails_triggered[0].source == "judge"

        @pytest.mark.llm_eval
        def test_what_a_guard_needs():
            PromptTestSuite("support", app=str).run("hi")
        """,
    )
    run = judged.run("--llm-json=r.json", env=env)
    assert run.outcomes == {"passed": 5, "failed": 1}, run.out
    run.match("*the rubric 'faithfulness' needs 'context'*")
    assert_no_traceback(run)
    sent = len(standin.requests)
    again = judged.run("--llm-json=r.json", "--llm-record=none", env=offline(env))
    assert again.outcomes == run.outcomes, again.out
    assert len(standin.requests) == sent
    found = measured(again, "test_output")
    assert (found["inappropriate"]["value"], found["content_safety"]["value"]) == (0, 1)
    assert (found["safety.inappropriate#input"]["value"], found["safety.toxicity"]["value"]) == (0, 0.9)
    assert found["content_safety"]["definition"] == found["safety.overall"]["definition"]
    assert measured(again, "test_async")["hallucination.score"]["value"] == 1
    both = measured(again, "test_beside_the_rubric_of_its_name")
    assert (both["guardrail.factual_accuracy"]["value"], both["factual_accuracy.score"]["value"]) == (1, 1)
    assert both["factual_accuracy"]["source"] == "judge"


TEXTS = """
    {"text": "VENOM", "expected": true, "language": "en"}
    {"text": "VENOM, mas em português", "expected": true, "language": "pt"}
    {"text": "xin chào", "expected": false, "language": "vi"}
    {"text": "你好", "expected": false, "language": "zh"}
    {"text": "odio disfrazado", "expected": true, "language": "es"}
"""


def test_rates_of_a_judged_guardrail(judged, standin, env):
    judged.file("texts.jsonl", TEXTS)
    plain = {name: value for name, value in env.items() if name != "PYTEST_LLM_JUDGE"}
    run = judged.command("guardrails", "eval", "bias", "texts.jsonl", "--json", f"--judge={JUDGE}", env=plain)
    assert run.returncode == 0, run.out
    rates = json.loads(run.out)
    assert (rates["tp"], rates["fp"], rates["tn"], rates["fn"]) == (2, 0, 2, 1)
    assert rates["ms_per_kb"] is None
    assert len(standin.requests) == 5
    assert (judged.path / "cassettes" / "guardrails" / "bias-texts.json").exists()
    ci = {**offline(env), "CI": "true"}
    again = judged.command("guardrails", "eval", "bias", "texts.jsonl", "--json", env=ci)
    assert json.loads(again.out)["recall"] == rates["recall"]
    assert len(standin.requests) == 5

    asks = ("--judge=openai:other", "--cassette=kept in.json")
    other = judged.command("guardrails", "eval", "privacy", "texts.jsonl", *asks, env=ci)
    other.match("*eval privacy texts.jsonl --judge=openai:other --cassette='kept in.json' --record=refresh")
    other = judged.command("guardrails", "eval", "privacy", "texts.jsonl", env=ci)
    assert other.returncode == 2
    other.match(
        "pytest-llmops: 'cassettes/guardrails/privacy-texts.json' does not exist*", "*eval privacy texts.jsonl*"
    )
    assert_no_traceback(other)


def test_rates_stop_where_the_judge_fails(judged, standin, env):
    judged.file("texts.jsonl", TEXTS)
    good = GullibleSafetyJudge()
    standin.script(lambda request: Reply("no", status=400) if "你好" in str(request) else good(request))
    run = judged.command("guardrails", "eval", "bias", "texts.jsonl", env=env)
    assert run.returncode == 2
    run.match("*gave no verdict on 'safety': HTTP 400*", "*guardrail 'bias' asks a judge*--judge=provider:model")
    assert_no_traceback(run)
    sent = len(standin.requests)
    standin.script(good)
    assert judged.command("guardrails", "eval", "bias", "texts.jsonl", env=env).returncode == 0
    assert len(standin.requests) - sent == 2, "what was answered is not asked for again"


def test_toxicity_by_a_moderation_endpoint(judged, standin, env):
    def moderated(request):
        if "messages" in request:
            return None
        hit = "VENOM" in request["input"]
        result = {"flagged": hit, "categories": {"hate": hit}, "category_scores": {"hate": 0.97 * hit}}
        return Reply(body=json.dumps({"results": [result]}).encode(), headers={"content-type": "application/json"})

    standin.script(moderated)
    settings = '[tool.pytest-llmops.moderation]\nmodel = "openai:omni-moderation-latest"\n'
    judged.file("pyproject.toml", settings)
    judged.file(
        "test_it.py",
        """
        import pytest
        from app import ask

        @pytest.mark.llm_eval(measure=["toxicity"])
        @pytest.mark.parametrize("said", ["VENOM", "you idiot"])
        def test_it(llm_eval, said):
            result = llm_eval.run(ask, said)
            assert ("toxicity" in result.detections) == (said == "you idiot"), "scans are offline"
            assert result.guardrail_triggered is None, "what the test asks is no evidence"
        """,
    )
    run = judged.run("--llm-json=r.json", env=env)
    assert run.outcomes == {"passed": 2}, run.out
    toxicity = measured(run, "test_it[VENOM]")["toxicity"]
    assert toxicity["value"] == 1
    assert toxicity["reason"] == "moderation endpoint openai:omni-moderation-latest: hate"
    assert measured(run, "test_it[you idiot]")["toxicity"]["value"] == 0
    assert [call["role"] for call in run.record["tests"][0]["calls"]] == ["app", "judge"]
    sent = len(standin.requests)
    assert judged.run("--llm-record=none", env=offline(env)).outcomes == {"passed": 2}
    assert len(standin.requests) == sent
    judged.file("pyproject.toml", settings.replace("model", "modle"))
    wrong = judged.run(env=env)
    assert wrong.returncode == 4
    wrong.match("*unknown key 'modle'. Did you mean 'model'?*")


def test_languages_that_only_a_judge_can_tell(judged, standin, env):
    spoken = {"Ajuda": "pt-PT", "Hola": "es", "ok": "und"}

    def telling(request):
        if request.get("model") != "gpt-judge":
            return None
        if "Criterion: What does the answer do" in messages_of(request)[0]:
            return json.dumps({"reason": "It greets.", "action": "answer", "confidence": 0.9})
        said = next(code for word, code in spoken.items() if f"\n{word}\n" in messages_of(request)[1])
        return json.dumps({"reason": "A word.", "language": said, "confidence": 0.8})

    standin.script(telling)
    judged.file(
        "test_it.py",
        """
        import pytest
        from pytest_llmops import PromptTestSuite

        @pytest.mark.llm_eval
        def test_suite():
            said = "Where is my order now?"
            suite = PromptTestSuite("support", app=lambda text: said, guardrails=[], judge_language=True)
            result = suite.run("Ajuda", language="pt-BR")
            assert (result.detected_language, result.detected_language.source) == ("pt-PT", "judge")
            assert (result.response_language, result.response_language.source) == ("en", "model")

        @pytest.mark.asyncio
        @pytest.mark.llm_eval
        async def test_async(llm_judge, monkeypatch):
            suite = PromptTestSuite("support", app=lambda text: "Hola", guardrails=[], judge_language=True)
            result = await (await suite.arun("ok")).ajudged()
            monkeypatch.delattr(type(llm_judge), "settle")  # nothing is left to be asked
            assert (result.action, result.action.source, result.confidence) == ("answer", "judge", 0.9)
            assert (result.detected_language, result.response_language) == ("und", "es")

        @pytest.mark.llm_eval
        def test_result(llm_eval):
            result = llm_eval.run(lambda: "Hola")
            assert (result.language, result.judge_language(), result.judge_language("ok")) == ("und", "es", "und")
        """,
    )
    run = judged.run(env=env)
    assert run.outcomes == {"passed": 3}, run.out
    assert len(standin.requests) <= 1 + 3 + 2
    sent = len(standin.requests)
    assert judged.run("--llm-record=none", env=offline(env)).outcomes == {"passed": 3}
    assert len(standin.requests) == sent


def test_the_pages_example_runs(judged, env):
    page = (REPOSITORY / "docs" / "guardrails.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(import pytest.*?)```", page, re.DOTALL)
    judged.file("my_app.py", APP.replace("def ask", "def answer"))
    judged.file("test_it.py", f"import my_app\n{example}")
    judged.file("cases.jsonl", '{"input": "hello", "context": ["c"]}\n{"input": "VENOM", "context": ["c"]}\n')
    run = judged.run(env=env)
    assert run.outcomes == {"passed": 1, "failed": 1}, run.out
    run.match("*AssertionError: toxicity 0.9: As it looks to me.*")
