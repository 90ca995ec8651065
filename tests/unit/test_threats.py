"""Tags that name threats."""

from __future__ import annotations

import re

import pytest

from pytest_llmops import threats
from pytest_llmops.errors import SettingsError
from tests.conftest import REPOSITORY


@pytest.mark.parametrize(
    ("tag", "owasp", "atlas"),
    [
        ("threat:prompt-injection", ("LLM01",), ("AML.T0051.000",)),
        ("threat:indirect_prompt_injection", ("LLM01",), ("AML.T0051.001",)),
        ("Threat: System prompt extraction", ("LLM07",), ("AML.T0056",)),
        ("jailbreak", ("LLM01",), ("AML.T0054",)),
        ("toxicity", (), ("AML.T0048.001", "AML.T0048.003")),
        ("rag-poisoning", ("LLM08", "LLM04"), ("AML.T0070", "AML.T0071")),
        ("threat:cost", ("LLM10",), ("AML.T0029", "AML.T0034")),
        ("LLM02", ("LLM02",), ("AML.T0057", "AML.T0024")),
        ("llm01:2025", ("LLM01",), None),
        ("OWASP-LLM03", ("LLM03",), ()),
        ("threat:excessive-agency", ("LLM06",), None),
        ("AML.T0051", ("LLM01",), ("AML.T0051",)),
        ("aml.t0051.000", ("LLM01",), ("AML.T0051.000",)),
        ("AML.T0048", ("LLM09",), ("AML.T0048",)),
        ("AML.T0048.003", (), ("AML.T0048.003",)),
        ("AML.T0043", (), ("AML.T0043",)),
    ],
)
def test_names_and_ids(tag, owasp, atlas):
    found = threats.of_tag(tag)
    assert found.owasp == owasp
    assert atlas is None or found.atlas == atlas


@pytest.mark.parametrize(
    "tag", ["slow", "cost", "llama", "LLMs", "refund", "threatening", "llm-3", "AML2024", "aml-screening"]
)
def test_other_tags_are_none(tag):
    assert threats.of_tag(tag) is None


@pytest.mark.parametrize(
    ("tag", "closest"),
    [
        ("threat:prompt-injecton", "prompt-injection"),
        ("threat:jailbrake", "jailbreak"),
        ("LLM1", "LLM01"),
        ("LLM11", "LLM10"),
        ("AML.0054", "AML.T0054"),
        ("threat:supplychain", "supply-chain"),
    ],
)
def test_a_typo_is_told_with_the_closest(tag, closest):
    with pytest.raises(SettingsError, match=rf"{re.escape(tag)}.*Did you mean '{re.escape(closest)}'\?"):
        threats.of_tag(tag)


def test_groups_are_owasp_ids_and_names_without_one():
    tags = ["LLM01", "threat:jailbreak", "AML.T0070", "toxicity", "slow"]
    assert threats.groups(tags) == ["LLM01", "LLM08", "LLM04", "toxicity"]


def test_the_page_has_the_table():
    page = (REPOSITORY / "docs" / "safety.md").read_text(encoding="utf-8")
    for name, (owasp, atlas) in threats.THREATS.items():
        row = next(line for line in page.splitlines() if line.startswith(f"| `{name}` |"))
        assert re.findall(r"LLM\d\d", row) == list(owasp)
        assert re.findall(r"AML\.T[\d.]+\d", row) == list(atlas)
    for number, title in threats.OWASP.items():
        assert f"{number} {title}" in page
