"""Guardrails by name."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from pytest_llmops.checks import guardrails
from pytest_llmops.errors import SettingsError
from tests.conftest import REPOSITORY

STAGES = {
    "pii_detection": "both",
    "pii_leak": "output",
    "prompt_injection": "input",
    "jailbreak_detection": "input",
    "toxicity": "both",
    "context_size": "input",
    "system_prompt_leak": "output",
    "canary_leak": "output",
    "pii_presidio": "both",
    "content_safety": "both",
    "bias": "both",
    "misinformation": "output",
    "inappropriate": "both",
    "privacy": "both",
    "hallucination": "output",
    "factual_accuracy": "output",
    "instruction_adherence": "output",
}


def test_the_promised_guardrails_are_built_in():
    assert {name: guardrails.build(name).stage for name in guardrails.BUILTIN} == STAGES
    for name in STAGES:
        guardrail = guardrails.build(name)
        assert guardrail.name == name
        assert isinstance(guardrail, guardrails.Guardrail)


def test_a_mistyped_name_is_refused_with_the_closest():
    with pytest.raises(SettingsError, match=r"no guardrail is named 'pii'\..*pii_leak"):
        guardrails.build("pii")
    with pytest.raises(SettingsError, match="Did you mean 'jailbreak_detection'"):
        guardrails.build("jailbreak_detecton")


def test_an_unknown_option_is_refused_with_the_closest():
    with pytest.raises(SettingsError, match=r"Unknown option 'treshold'\. Did you mean 'threshold'"):
        guardrails.build("toxicity", treshold=0.7)


def test_the_action_is_the_users_choice():
    outcome = guardrails.build("toxicity", action="block").check("You are an idiot")
    assert outcome.action == "block"


def test_what_does_not_trigger_is_allowed():
    outcome = guardrails.build("prompt_injection").check("Hello!")
    assert (outcome.triggered, outcome.action, outcome.severity, outcome.spans) == (False, "allow", "none", ())


def test_no_detector_is_loaded_before_it_is_used():
    program = (
        "import sys; from pytest_llmops.checks import guardrails, language; guardrails.build('pii_detection');"
        "print({'stdnum', 'phonenumbers', 'py3langid', 'numpy'} & set(sys.modules))"
    )
    assert (
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "set()\n"
    )


def test_the_page_names_every_guardrail_and_its_examples_run():
    page = (REPOSITORY / "docs" / "guardrails.md").read_text(encoding="utf-8")
    table = page.partition("| name | stage |")[2].partition("\n\n")[0]
    named = {name for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    assert named == set(guardrails.BUILTIN)
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    examples = [block for block in blocks if "pytest.mark" not in block]  # tests are run in e2e/test_safety.py
    assert len(examples) == 3
    for example in examples:
        exec(example, {"__name__": "example"})
