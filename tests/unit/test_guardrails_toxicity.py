"""Toxicity: who is asked, what each says, and what is an error."""

from __future__ import annotations

import asyncio
import json

import pytest

from pytest_llmops.checks import Judge, guardrails
from pytest_llmops.checks.guardrails.surroundings import Surroundings
from pytest_llmops.checks.moderation import Moderator
from pytest_llmops.errors import JudgeError, SettingsError
from pytest_llmops.observed import detections_in
from pytest_llmops.registry import session_guardrails
from tests.standin import Reply
from tests.standin_judge import GullibleSafetyJudge

INSULT = "You are an idiot"
CLEAN = "You people should not be let near children."
MODEL = "openai:omni-moderation-latest"


def moderation(**scores: float) -> Reply:
    categories = {name: score >= 0.5 for name, score in scores.items()}
    result = {"flagged": any(categories.values()), "categories": categories, "category_scores": scores}
    return Reply(body=json.dumps({"id": "modr-1", "model": "omni", "results": [result]}).encode())


@pytest.fixture
def host(standin, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", f"{standin.url}/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "placeholder")
    monkeypatch.delenv("PYTEST_LLM_JUDGE", raising=False)
    return standin


@pytest.fixture
def around():
    """Put surroundings in force: ``around(judged=True)``."""
    given = []

    def use(**fields):
        found = Surroundings(**fields)
        given.append(lambda: found)
        session_guardrails.append(given[-1])

    yield use
    for one in given:
        session_guardrails.remove(one)


def judge():
    return Judge("openai:gpt-x")


def moderator():
    return Moderator(MODEL)


def test_without_anything_else_it_is_the_word_list(host):
    outcome = guardrails.build("toxicity").check(INSULT)
    assert (outcome.triggered, outcome.source, outcome.reason) == (True, "builtin", "word list: insult")
    assert host.requests == []


def test_a_judge_that_was_named_is_asked(host, around):
    around(judge=judge, judged=True)
    host.script(GullibleSafetyJudge({CLEAN: {"toxicity": 8}}))
    outcome = guardrails.build("toxicity").check(CLEAN)
    assert (outcome.triggered, outcome.score, outcome.source, outcome.action) == (True, 0.8, "judge", "flag")
    assert outcome.reason == "judged by openai:gpt-x: As it looks to me."
    assert list(outcome.scores) == ["safety.toxicity"]


def test_a_default_judge_is_not(host, around):
    around(judge=judge, judged=False)
    assert guardrails.build("toxicity").check(INSULT).source == "builtin"


def test_an_endpoint_goes_before_the_judge(host, around):
    around(judge=judge, judged=True, moderator=moderator)
    host.script(moderation(hate=0.1, harassment=0.93, violence=0.7))
    for outcome in (
        guardrails.build("toxicity").check(CLEAN),
        asyncio.run(guardrails.build("toxicity").acheck(CLEAN)),
    ):
        assert (outcome.triggered, outcome.score, outcome.source) == (True, 0.93, "moderation")
        assert outcome.reason == f"moderation endpoint {MODEL}: harassment"
    request = host.requests[0]
    assert (request.path, request.json) == (
        "/v1/moderations",
        {"model": "omni-moderation-latest", "input": CLEAN},
    )


def test_what_is_not_toxic_is_not_its_business(host, around):
    around(moderator=moderator)
    host.script(moderation(**{"hate": 0.1, "self-harm": 0.9, "violence": 0.99}))
    outcome = guardrails.build("toxicity").check("x")
    assert (outcome.triggered, outcome.score) == (False, 0.1)


def test_a_threshold_of_ones_own(host, around):
    around(moderator=moderator)
    host.script(moderation(hate=0.6))
    assert guardrails.build("toxicity", threshold=0.7).check("x").triggered is False
    assert guardrails.build("toxicity", threshold=0.3).check("x").triggered is True


@pytest.mark.parametrize("by", ["words", "judge", "moderation"])
@pytest.mark.parametrize("where", ["option", "setting"])
def test_it_can_be_said_who(host, around, by, where):
    around(judge=judge, judged=True, moderator=moderator, toxicity=by if where == "setting" else "auto")
    replies = {"words": None, "judge": GullibleSafetyJudge({INSULT: 9}), "moderation": moderation(hate=0.9)}
    host.script(replies[by])
    outcome = guardrails.build("toxicity", **({"by": by} if where == "option" else {})).check(INSULT)
    assert outcome.triggered
    assert outcome.source == {"words": "builtin"}.get(by, by)


def test_scans_ask_nobody(host, around):
    around(judge=judge, judged=True, moderator=moderator)
    assert list(detections_in(INSULT)) == ["toxicity"]
    assert host.requests == []


@pytest.mark.parametrize(
    "reply",
    [
        Reply("down", status=400),
        Reply(body=b"<html>"),
        Reply(body=b'{"results": []}'),
        Reply(body=b'{"results": [{"flagged": true, "categories": {}}]}'),
        Reply(body=b'{"results": [{"categories": {"hate": "maybe"}}]}'),
    ],
)
def test_an_endpoint_that_fails_is_an_error_and_not_harmless(host, around, reply):
    around(moderator=moderator)
    host.script(reply)
    with pytest.raises(JudgeError, match=r"moderation endpoint openai:omni-moderation-latest gave no answer"):
        guardrails.build("toxicity").check("x")


def test_mistakes_are_told(host):
    with pytest.raises(SettingsError, match=r"toxicity: by='judg'\. Did you mean 'judge'"):
        guardrails.build("toxicity", by="judg")
    with pytest.raises(SettingsError, match="no endpoint is set"):
        guardrails.build("toxicity", by="moderation").check("x")
    with pytest.raises(SettingsError, match="anthropic has no moderation endpoint"):
        Moderator("anthropic:claude-sonnet-5-5")
