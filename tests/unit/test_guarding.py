"""Guards around a text: their order, what each action does, and what fails closed."""

from __future__ import annotations

import pytest

from pytest_llmops import guarding
from pytest_llmops.checks.guardrails import Outcome, Span
from pytest_llmops.errors import SettingsError
from pytest_llmops.guarding import Guard, GuardrailSuite
from pytest_llmops.prompts import GuardrailSpec, Prompt, Version


class Finds:
    """Triggers on a word."""

    stage = "both"

    def __init__(self, word: str, *, spans: bool = True) -> None:
        self.name, self.word, self.spans = word, word, spans

    def check(self, text, context=None):
        start = text.find(self.word)
        if start < 0:
            return Outcome(False)
        spans = (Span("word", start, start + len(self.word)),) if self.spans else ()
        return Outcome(True, "high", 1.0, "found", spans, "block")


def through(text: str, *guards: Guard) -> guarding.Guarded:
    return guarding.apply(guards, "input", text, {})


def test_guards_look_one_after_the_other_and_a_block_ends_it():
    guards = [
        Guard(Finds("a"), "input", "flag"),
        Guard(Finds("b"), "input", "block"),
        Guard(Finds("c"), "input", "block"),
    ]
    passed = through("abc", *guards)
    assert passed.blocked_by == "b"
    assert passed.checked == ("a", "b")
    assert [(t.name, t.action) for t in passed.triggers] == [("a", "detected"), ("b", "blocked")]
    passed = through("xyz", *guards)
    assert (passed.text, passed.checked, passed.triggers) == ("xyz", ("a", "b", "c"), ())


def test_a_rewritten_text_goes_on():
    passed = through("a secret b", Guard(Finds("secret"), "input", "rewrite"), Guard(Finds("secret"), "input", "block"))
    assert (passed.text, passed.blocked_by) == ("a [removed] b", None)


def test_what_cannot_be_cut_out_is_blocked():
    passed = through("a secret", Guard(Finds("secret", spans=False), "input", "rewrite"))
    assert passed.blocked_by == "secret"


def test_the_other_side_is_not_looked_at():
    assert through("a", Guard(Finds("a"), "output", "block")).checked == ()


def test_names_stand_at_their_own_sides():
    both, block = guarding.of_names(["pii_detection"]), guarding.of_names(["prompt_injection", Finds("x")])
    assert [(g.stage, g.action) for g in both] == [("input", "rewrite"), ("output", "rewrite")]
    assert [(g.stage, g.action) for g in block] == [("input", "block"), ("input", "block"), ("output", "block")]
    with pytest.raises(SettingsError, match="pii_detection"):
        guarding.of_names(["pii_detektion"])


def prompt(*specs: GuardrailSpec) -> Prompt:
    return Prompt("p-v1.0.0", Version(1), "x", input_guardrails=specs, where="p.yaml:1")


def test_a_prompts_own_section():
    guards, unknown = guarding.of_prompt(
        prompt(GuardrailSpec("pii_detection", "flag", 0.9), GuardrailSpec("hallucination_check"))
    )
    assert [(g.guardrail.name, g.stage, g.action) for g in guards] == [("pii_detection", "input", "flag")]
    assert unknown == ("hallucination_check",)
    with pytest.raises(SettingsError, match=r"p.yaml:1: p-v1.0.0: guardrails.input: .*treshold"):
        guarding.of_prompt(prompt(GuardrailSpec("toxicity", options={"treshold": 1})))


def test_the_suite_of_the_fixture():
    suite = GuardrailSuite(["pii_detection", "toxicity"])
    assert list(suite) == ["pii_detection", "toxicity"]
    assert list(suite.scan("mail ana@example.com")) == ["pii_detection"]
    assert suite.protect("mail ana@example.com").text == "mail [EMAIL]"
    assert suite["prompt_injection"].check("hi").triggered is False
    with pytest.raises(SettingsError, match="Did you mean"):
        GuardrailSuite(["pii_detektion"])
