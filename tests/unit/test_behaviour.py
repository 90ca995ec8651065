"""What an application did: words of one meaning, structured outputs of every kind, and what a judge is asked."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import pytest
from pydantic import BaseModel

from pytest_llmops import behaviour
from pytest_llmops.checks.judge_verdict import NoVerdict
from pytest_llmops.records import ToolCall


class Model(BaseModel):
    action: str = "answer"


@dataclass
class Plain:
    action: str = "answer"


@pytest.mark.parametrize(
    ("word", "action"),
    [
        ("escalate", "escalate"),
        ("Escalate to human", "escalate"),
        ("escalate_to_human", "escalate"),
        ("escalated", "escalate"),
        ("transfer_to_agent", "escalate"),
        ("hand-off", "escalate"),
        ("handoff_to_a_person", "escalate"),
        ("refused", "refuse"),
        ("ask_for_details", "clarify"),
        ("answer", "answer"),
        ("open_refund", "open_refund"),
        ("de-escalate", "de_escalate"),
        ("transfer_money", "transfer_money"),
    ],
)
def test_words_of_one_meaning_are_one_word(word, action):
    assert behaviour.normalised(word) == action
    assert behaviour.Action(word, "structured").said == word


@pytest.mark.parametrize(
    ("output", "fields"),
    [
        ({"action": "answer"}, {"action": "answer"}),
        (Model(), {"action": "answer"}),
        (Plain(), {"action": "answer"}),
        ('{"action": "answer"}', {"action": "answer"}),
        ('Sure:\n```json\n{"action": "answer"}\n```\nBye', {"action": "answer"}),
        ('Sure: {"action": "answer"} bye', {"action": "answer"}),
        ("no JSON {here}", None),
        ("[1, 2]", None),
        ("", None),
        (None, None),
        (Plain, None),
        (7, None),
    ],
)
def test_structured_outputs(output, fields):
    assert behaviour.structured(output) == fields


def test_what_the_user_reads():
    assert behaviour.visible({"response": "Hi", "action": "x"}, {"response": "Hi"}, "raw") == "Hi"
    assert behaviour.visible("plain", None, "raw") == "plain"
    assert behaviour.visible({"action": "x"}, {"action": "x"}, "raw") == "raw"
    assert behaviour.visible({"action": "x"}, {"action": "x"}, None) == ""
    assert behaviour.visible(None, None, None) == ""
    assert behaviour.visible(SimpleNamespace(), None, None).startswith("namespace")


def test_structured_output_goes_before_tools_and_a_confidence_must_be_one():
    tools = [ToolCall(name="look_up", arguments={}), ToolCall(name="escalate_to_human", arguments={"confidence": 0.6})]
    action, confidence = behaviour.read({"action": "answer", "confidence": 0.5}, tools)
    assert (action, confidence) == ("answer", 0.5)
    action, confidence = behaviour.read({"confidence": 0.5}, tools)
    assert (action, confidence) == ("escalate", 0.5)
    action, confidence = behaviour.read(None, tools)
    assert action is not None
    assert confidence is not None
    assert (action, action.source, confidence, confidence.source) == ("escalate", "tool_call", 0.6, "tool_call")
    named = [ToolCall(name="act", arguments={"action": "refuse"})]
    assert behaviour.read(None, named)[0] == "refuse"
    for wrong in (95, -1, True, "high", None):
        assert behaviour.read({"action": "answer", "confidence": wrong}, [])[1] is None
    assert behaviour.read({"action": ""}, []) == (None, None)


def test_a_judge_is_asked_for_the_expected_behaviour_too():
    asked = behaviour.WhatItDid("m", "I will call you back.", input="help", expected="offer callback")
    prompt = asked.prompt()
    assert "offer_callback: it does what its name says" in prompt.system + prompt.user
    assert prompt.schema is not None
    assert prompt.schema["properties"]["action"]["enum"][-1] == "offer_callback"
    action, confidence = asked.understood({"reason": "So.", "action": "offer_callback", "confidence": 1})
    assert (action, action.source, confidence) == ("offer_callback", "judge", 1)
    for wrong in ({"action": "x"}, {"reason": "r", "action": "x", "confidence": 7}, "nonsense"):
        with pytest.raises(NoVerdict):
            asked.understood(wrong)
