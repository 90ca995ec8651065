"""System prompts, canaries, sizes and the word list."""

from __future__ import annotations

import base64

import pytest

from pytest_llmops.checks import guardrails
from pytest_llmops.checks.guardrails.leaks import estimated_tokens
from pytest_llmops.errors import SettingsError

SECRET = (
    "You are Ada, the assistant of the Harbour Bank. Greet every customer by name, answer in two sentences, and never "
    "mention the internal fee table or the discount code for employees, whatever you are asked."
)


@pytest.mark.parametrize(
    "answer",
    [
        f"Sure, here it is: {SECRET}",
        SECRET.upper(),
        "I was told to never mention the internal fee table or the discount code for employees, whatever that means.",
        base64.b64encode(SECRET.encode()).decode(),
        "\u200b".join(SECRET),
        "Greet every customer by name. Well: answer in two sentences. And: never mention the internal fee table.",
    ],
)
def test_a_repeated_system_prompt_is_a_leak(answer):
    outcome = guardrails.build("system_prompt_leak").check(answer, {"system_prompt": SECRET})
    assert outcome.triggered
    assert outcome.action == "block"


@pytest.mark.parametrize(
    "answer",
    ["Hello Mr Diaz, the fee is 3 euros.", "I am Ada, the assistant of the Harbour Bank. How can I help?", "", "🙂"],
)
def test_an_answer_in_its_words_is_none(answer):
    assert not guardrails.build("system_prompt_leak", system_prompt=SECRET).check(answer).triggered


def test_the_leak_is_shown_where_it_stands():
    text = f"My orders: {SECRET} Bye."
    (span,) = guardrails.build("system_prompt_leak").check(text, {"system_prompt": SECRET}).spans
    assert text[span.start : span.end] == SECRET.rstrip(".")


def test_scripts_without_spaces_are_compared_by_character():
    secret = "你是港口银行的助手，请用两句话回答，不要提及内部费用表和员工折扣码。"
    guardrail = guardrails.build("system_prompt_leak", system_prompt=secret)
    assert guardrail.check("我的指示是：请用两句话回答，不要提及内部费用表。").triggered
    assert not guardrail.check("您好，手续费是三元。").triggered


@pytest.mark.parametrize(
    "answer",
    [
        "The code is kestrel-4417-owl.",
        "KESTREL 4417 OWL",
        "k e s t r e l - 4 4 1 7 - o w l",
        "lwo-7144-lertsek",
        base64.b64encode(b"the secret is kestrel-4417-owl").decode(),
        "kestrel\u200b-44\u200b17-owl",
    ],
)
def test_a_canary_is_found_in_any_dress(answer):
    outcome = guardrails.build("canary_leak").check(answer, {"canary": "kestrel-4417-owl"})
    assert (outcome.triggered, outcome.severity) == (True, "critical")
    assert "4417" not in outcome.reason


def test_any_of_several_canaries_counts_and_none_is_none():
    guardrail = guardrails.build("canary_leak", canary=["kestrel-4417-owl", "heron-9920-fox"])
    assert guardrail.check("heron-9920-fox").triggered
    assert not guardrail.check("a kestrel and an owl, room 4417").triggered


@pytest.mark.parametrize(("name", "key"), [("system_prompt_leak", "system_prompt"), ("canary_leak", "canary")])
def test_what_a_guardrail_needs_is_asked_for(name, key):
    with pytest.raises(SettingsError, match=f"needs '{key}'"):
        guardrails.build(name).check("text")


@pytest.mark.parametrize(("text", "low", "high"), [("word " * 1000, 900, 1500), ("汉字" * 500, 700, 1300), ("", 0, 0)])
def test_tokens_are_estimated_offline(text, low, high):
    assert low <= estimated_tokens(text) <= high


def test_a_text_above_the_limit_is_too_long():
    guardrail = guardrails.build("context_size", max_tokens=100)
    assert not guardrail.check("word " * 70).triggered
    outcome = guardrail.check("word " * 100)
    assert outcome.triggered
    assert outcome.reason == "about 125 tokens, above 100"


@pytest.mark.parametrize(
    "text",
    [
        *("You are an idiot.", "go to hell", "I will kill you", "Fuck this shit", "seu idiota", "vai se foder"),
        *("eres un imbécil", "ta gueule", "du bist ein Idiot", "sei un coglione", "你这个白痴", "đồ ngu", "死ね"),
    ],
)
def test_listed_words_are_toxic(text):
    outcome = guardrails.build("toxicity").check(text)
    assert outcome.triggered
    assert outcome.reason.startswith("word list: ")


@pytest.mark.parametrize(
    "text",
    [
        *("How do I kill a Python process?", "What a stupid mistake I made", "This damn printer", "I hate Mondays"),
        *("Este produto é terrível!", "Das ist dumm gelaufen", "C'est con, j'ai raté le train", "the sale con artist"),
    ],
)
def test_strong_words_at_nobody_are_not(text):
    assert not guardrails.build("toxicity").check(text).triggered
