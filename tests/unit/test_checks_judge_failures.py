"""Whatever a judge is asked, one that fails is an error that says so: never a number, never silence."""

from __future__ import annotations

import asyncio
import json

import pytest
from pydantic import BaseModel

from pytest_llmops import EvaluationMetrics
from pytest_llmops.checks import Judge, Jury
from pytest_llmops.checks.adapters import Asking
from pytest_llmops.checks.builtin_rubrics import BUILTIN
from pytest_llmops.checks.pairwise import aprefer, prefer
from pytest_llmops.errors import JudgeError
from tests.standin import Reply, ToolCall

MODELS = ["anthropic:claude-sonnet-5-5", "openai:gpt-x"]
AT_ONCE = {"retry-after-ms": "1"}


class Wanted(BaseModel):
    """What a library asks for."""

    score: int


QUESTIONS = {
    "score": lambda judge: judge.score("clarity", text="Hi."),
    "ascore": lambda judge: asyncio.run(judge.ascore("clarity", text="Hi.")),
    "tone": lambda judge: EvaluationMetrics.analyze("Hi.", judge=judge),
    "atone": lambda judge: asyncio.run(EvaluationMetrics.aanalyze("Hi.", judge=judge)),
    "prefer": lambda judge: prefer(judge, BUILTIN["clarity"], "Hi.", "Ho."),
    "aprefer": lambda judge: asyncio.run(aprefer(judge, BUILTIN["clarity"], "Hi.", "Ho.")),
    "library": lambda judge: Asking(judge.lead, "metric").ask("How good?", Wanted),
}


def in_tool(arguments, **reply):
    return Reply(json.dumps(arguments), tool_calls=[ToolCall("submit_verdict", arguments)], **reply)


FAILURES = {
    "timeout": (Reply("late", latency_s=3), "no answer within"),
    "429": (Reply("slow down", status=429, headers=AT_ONCE), "HTTP 429, after 2 retries"),
    "500": (Reply("oh", status=500, headers=AT_ONCE), "HTTP 500, after 2 retries"),
    "refusal": (Reply("I can't help with that."), "no whole JSON"),
    "half a JSON": (Reply('{"score": 3, "level": 4, "reas'), "no whole JSON"),
    "11": (
        in_tool({"level": 11, "score": "11/10", "professional": 11, "choice": "11", "reason": "Wow."}),
        "11|Field required",
    ),
    "a string": (
        in_tool({"level": "good", "score": "good", "professional": "good", "choice": "good", "reason": "x"}),
        "good|Field required",
    ),
    "nothing": (Reply(""), "empty"),
}


@pytest.fixture
def host(standin, monkeypatch):
    monkeypatch.setenv("ANTHROPIC_BASE_URL", standin.url)
    monkeypatch.setenv("OPENAI_BASE_URL", f"{standin.url}/v1")
    for name in ("ANTHROPIC_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.setenv(name, "placeholder")
    monkeypatch.setattr("pytest_llmops.checks.judge_client.FIRST_WAIT_S", 0.001)
    monkeypatch.setattr("anthropic._base_client.INITIAL_RETRY_DELAY", 0.001)
    return standin


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("question", QUESTIONS)
def test_a_judge_that_fails_is_an_error(host, question, failure, model):
    reply, message = FAILURES[failure]
    host.script(reply)
    with pytest.raises(JudgeError, match=message) as caught:
        QUESTIONS[question](Judge(model, timeout_s=0.1 if failure == "timeout" else 30))
    assert f"judge {model} gave no verdict on " in str(caught.value)


@pytest.mark.parametrize("question", [name for name in QUESTIONS if name != "library"])
def test_one_that_fails_fails_its_jury(host, question):
    answers = {
        "reason": "Fine.",
        "level": 4,
        "evidence": [],
        "professional": 4,
        "empathy": 4,
        "defensive": 1,
        "label": "neutral",
        "choice": "tie",
    }
    host.script(lambda request: json.dumps(answers) if request["model"] == "good" else "No.")
    assert QUESTIONS[question](Jury([Judge("openai:good")], repeats=2)) is not None
    with pytest.raises(JudgeError, match="judge openai:bad gave no verdict"):
        QUESTIONS[question](Jury([Judge("openai:good"), Judge("openai:bad")]))
