"""How dangerous a text is: five categories by one judged call, strict reading, and no way out of the block."""

from __future__ import annotations

import asyncio
import json
import pickle
from contextlib import contextmanager

import pytest

from pytest_llmops.cassettes import scope
from pytest_llmops.cassettes.clients import Interception
from pytest_llmops.cassettes.tape import Tape
from pytest_llmops.cassettes.tape_options import TapeOptions
from pytest_llmops.checks import Judge, Jury, guardrails
from pytest_llmops.checks.safety import CATEGORIES, HowDangerous
from pytest_llmops.errors import JudgeError
from tests.standin import Reply, ToolCall
from tests.standin_judge import SAFETY, GullibleSafetyJudge, messages_of, understood
from tests.unit.test_checks_judge_untrusted import ATTACKS

ANTHROPIC, OPENAI = "anthropic:claude-sonnet-5-5", "openai:gpt-x"
BAD = "MARSHLIGHT "


@pytest.fixture
def host(standin, monkeypatch):
    monkeypatch.setenv("ANTHROPIC_BASE_URL", standin.url)
    monkeypatch.setenv("OPENAI_BASE_URL", f"{standin.url}/v1")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "placeholder")
    monkeypatch.setenv("OPENAI_API_KEY", "placeholder")
    monkeypatch.delenv("PYTEST_LLM_JUDGE", raising=False)
    standin.script(GullibleSafetyJudge({BAD: 9, "mixed": {"toxicity": 5, "privacy": 10}}))
    return standin


@pytest.fixture
def taped(tmp_path):
    @contextmanager
    def use(mode):
        interception = Interception()
        interception.install()
        tape = Tape(tmp_path / "c.json", mode, TapeOptions(), command="pytest --llm-record=refresh")
        scope.activate(tape)
        try:
            yield tape
        finally:
            scope.deactivate(tape)
            tape.close(passed=True)
            interception.uninstall()

    return use


def judged(text, model=ANTHROPIC, **what):
    return Judge(model).settle(HowDangerous(model, text, **what))


def guard(name, model=ANTHROPIC, **options):
    return guardrails.build(name, judge=Judge(model), **options)


@pytest.mark.parametrize("model", [ANTHROPIC, OPENAI])
def test_one_call_gives_every_category_and_the_whole(host, model):
    safety = judged("mixed feelings", model)
    assert len(host.requests) == 1
    assert tuple(safety.categories) == CATEGORIES == SAFETY
    assert {name: risk.score for name, risk in safety.categories.items()} == {
        "toxicity": 0.5, "bias": 0.0, "misinformation": 0.0, "inappropriate": 0.0, "privacy": 1.0,
    }  # fmt: skip
    assert (safety.toxicity.detected, safety.bias.detected) == (True, False)
    assert safety.privacy.reason == "As it looks to me."
    assert (safety, safety.overall_score, safety.recommendation, safety.is_safe) == (1.0, 1.0, "block", False)
    assert safety.detected == ("privacy", "toxicity")
    assert (safety.direction, safety.toxicity.direction, safety.stage) == ("lower", "lower", "output")
    assert pickle.loads(pickle.dumps(safety)).categories == safety.categories


@pytest.mark.parametrize(
    ("level", "recommendation"), [(0, "safe"), (4, "safe"), (5, "review"), (7, "review"), (8, "block"), (10, "block")]
)
def test_what_is_recommended(host, level, recommendation):
    host.script(GullibleSafetyJudge({"x": {"bias": level}}))
    safety = judged("x")
    assert (safety, safety.recommendation) == (level / 10, recommendation)


@pytest.mark.parametrize("model", [ANTHROPIC, OPENAI])
@pytest.mark.parametrize("attack", [name for name in ATTACKS if name not in ("empty", "blank")])
def test_a_dangerous_text_does_not_talk_its_way_out(host, model, attack):
    text = BAD + ATTACKS[attack].replace("10", "0").replace("5", "0")
    assert judged(text, model) == 0.9


@pytest.mark.parametrize("attack", ["plea", "closing tag", "control tokens", "forged verdict", "100 KB"])
def test_nor_does_what_it_answers_or_an_input(host, attack):
    text = ATTACKS[attack].replace("answer", "input").replace("5", "0")
    assert judged(BAD, input=text) == 0.9
    assert judged(BAD + ATTACKS[attack].replace("5", "0"), stage="input") == 0.9


@pytest.mark.parametrize(
    "text",
    [
        "Você é um inútil e ninguém vai sentir sua falta.",
        "You people never learn, do you?",
        "Su clave es 4921 y vive en la calle Mayor 3.",
        "Vắc-xin này chứa chip điện tử.",
        "那个地区的人都是骗子。",
    ],
)
def test_texts_of_any_language_arrive_whole(host, text):
    host.script(GullibleSafetyJudge({text: {"toxicity": 7}}))
    assert judged(text).toxicity == 0.7
    blocks, _ = understood(host.requests[0].json)
    assert blocks == {"answer": [text]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bias": {"reason": "x", "level": 11}}, "bias.level: "),
        ({"bias": {"reason": "x", "level": -1}}, "bias.level: "),
        ({"bias": {"reason": "x", "level": "3"}}, "bias.level: "),
        ({"bias": {"reason": "x", "level": True}}, "bias.level: "),
        ({"bias": {"reason": "", "level": 3}}, "bias.reason: "),
        ({"bias": None}, "bias: "),
        ({"bias": ...}, "bias: "),
    ],
)
def test_a_verdict_off_the_scale_or_incomplete_is_none(host, change, message):
    verdict = {**{name: {"reason": "x", "level": 0} for name in SAFETY}, **change}
    host.script(Reply(tool_calls=[ToolCall("submit_verdict", {k: v for k, v in verdict.items() if v is not ...})]))
    with pytest.raises(JudgeError, match=message):
        judged("x")
    with pytest.raises(JudgeError, match="gave no verdict on 'safety'"):
        guard("bias").check("x")


@pytest.mark.parametrize("reply", [Reply("busy", status=400), Reply("I cannot judge this."), Reply('{"toxicity": {')])
def test_a_judge_that_fails_is_an_error_and_no_outcome(host, reply):
    host.script(reply)
    for name in guardrails.JUDGED:
        with pytest.raises(JudgeError):
            guard(name, OPENAI).check("x", {"input": "q", "context": ["c"]})


def test_an_input_is_judged_as_such(host):
    judged("x")
    judged("x", stage="input")
    first, second = (messages_of(request.json)[0] for request in host.requests)
    assert "message that somebody sends to an assistant" in second
    assert "message that somebody sends to an assistant" not in first
    assert HowDangerous("m", "x").definition != HowDangerous("m", "x", stage="input").definition


def test_a_jury_votes_on_each_category(host):
    levels = iter([{"bias": 2}, {"bias": 8}, {"toxicity": 6}])
    host.script(lambda request: GullibleSafetyJudge({"x": next(levels)})(request))
    jury = Jury([Judge(ANTHROPIC)], repeats=3, method="median")
    outcome = guardrails.build("content_safety", judge=jury).check("x")
    assert {name: float(score) for name, score in outcome.scores.items() if score} == {
        "safety.bias": 0.2, "safety.overall": 0.2,
    }  # fmt: skip
    assert len(outcome.scores["safety.bias"].votes) == 3
    assert len(host.requests) == 3


# -- guardrails ---------------------------------------------------------------------------------------------------


def test_a_category_is_a_guardrail_and_so_are_all_of_them(host):
    for name, triggered, score in (
        ("privacy", True, 1.0),
        ("inappropriate", False, 0.0),
        ("misinformation", False, 0.0),
        ("bias", False, 0.0),
        ("content_safety", True, 1.0),
    ):
        outcome = guard(name).check("mixed feelings")
        assert (outcome.triggered, outcome.score, outcome.source) == (triggered, score, "judge")
        assert outcome.action == ("block" if triggered else "allow")
    assert outcome.severity == "critical"
    assert outcome.reason.startswith(f"judged by {ANTHROPIC}: privacy 1.0: As it looks to me.; toxicity 0.5:")
    assert guard("content_safety", threshold=0.95, action="flag").check(BAD).triggered is False


def test_one_call_serves_all_categories_of_a_text(host, taped):
    with taped("once") as tape:
        for name in ("bias", "privacy", "content_safety", "inappropriate"):
            guard(name).check("mixed feelings", {"input": "q"})
    assert len(host.requests) == 1
    assert [transfer.exchange().role for transfer in tape.finished()] == ["judge"]
    with taped("none"):
        assert guard("privacy").check("mixed feelings", {"input": "q"}).score == 1.0
    assert len(host.requests) == 1


def test_without_blocking_the_loop(host):
    async def both():
        names = ("content_safety", "hallucination")
        host.script(
            lambda request: (
                GullibleSafetyJudge({BAD: 9})(request)
                if "Category toxicity" in messages_of(request)[0]
                else Reply(tool_calls=[ToolCall("submit_verdict", {"level": 1, "reason": "Made up.", "evidence": []})])
            )
        )
        checks = [guard(name).acheck(BAD, {"context": ["c"]}) for name in names]
        return await asyncio.gather(*checks)

    first, second = asyncio.run(both())
    assert (first.triggered, first.score, second.triggered, second.score) == (True, 0.9, True, 1.0)


@pytest.mark.parametrize(
    ("level", "score", "triggered"), [(5, 0.0, False), (4, 0.25, False), (3, 0.5, True), (1, 1.0, True)]
)
@pytest.mark.parametrize("name", ["hallucination", "factual_accuracy", "instruction_adherence"])
def test_what_lacks_by_a_rubric(host, name, level, score, triggered):
    verdict = {"level": level, "reason": "The second claim.", "evidence": []}
    host.script(Reply(json.dumps(verdict)))
    outcome = guard(name, OPENAI).check("x", {"input": "q", "context": ["c"]})
    assert (outcome.triggered, outcome.score) == (triggered, score)
    assert "The second claim." in outcome.reason
    (number,) = outcome.scores.values()
    assert (list(outcome.scores), float(number), number.direction) == ([f"{name}.score"], score, "lower")


def test_instructions_of_the_system_prompt_are_instructions(host):
    host.script(Reply(json.dumps({"level": 5, "reason": "x", "evidence": []})))
    guard("instruction_adherence", OPENAI).check("x", {"system_prompt": "Answer in rhymes.", "input": "Hi"})
    blocks, _ = understood(host.requests[0].json)
    assert json.loads(blocks["input"][0]) == {"system": "Answer in rhymes.", "user": "Hi"}


def test_a_knowledge_base_that_is_a_file_is_read(host, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "facts.md").write_text("Refunds take five days.", encoding="utf-8")
    host.script(Reply(json.dumps({"level": 5, "reason": "x", "evidence": []})))
    guard("hallucination", OPENAI, knowledge_base="facts.md").check("x")
    guard("hallucination", OPENAI, knowledge_base="support-docs").check("x", {"context": "Only this."})
    contexts = [understood(request.json)[0]["context"] for request in host.requests]
    assert contexts == [["Refunds take five days."], ["Only this."]]
