"""Prompt files: what loads, what is refused with which words, and which prompt a reference means."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from pytest_llmops.compare.prompts import diff
from pytest_llmops.errors import PromptError
from pytest_llmops.prompts import Registry, Version
from pytest_llmops.prompts.registry import find_folder

AS_SPECIFIED = """
    prompt_registry:
      prompts:
        - id: customer-support-v2.3.1
          name: Customer support
          version: 2.3.1
          model: claude-sonnet-5-5
          temperature: 0.3
          max_tokens: 500
          system_prompt: 'You help customers. Answer as {"action": "…"}.'
          user_prompt_template: "Customer says: {user_input}"
          variables:
            - name: user_input
              required: true
              validation: "string, max 2000 chars"
              sanitization: "strip_html, prevent_injection"
          guardrails:
            input:
              - type: pii_detection
                action: block
            output:
              - type: hallucination_check
                threshold: 0.8
                action: rewrite
                knowledge_base: support-docs
"""


def prompt_of(folder: Path, text: str, name: str = "one.yaml") -> Registry:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(textwrap.dedent(text), encoding="utf-8")
    return Registry(folder)


def test_the_specified_shape_loads_whole(tmp_path):
    prompt = prompt_of(tmp_path, AS_SPECIFIED)["customer-support-v2.3.1"]
    assert (prompt.name, str(prompt.version), prompt.model) == ("Customer support", "2.3.1", "claude-sonnet-5-5")
    assert (prompt.temperature, prompt.max_tokens) == (0.3, 500)
    (variable,) = prompt.variables
    assert (variable.type, variable.max, variable.unit) == ("string", 2000, "characters")
    assert variable.sanitization == ("strip_html", "prevent_injection")
    (guard,) = prompt.input_guardrails
    assert (guard.type, guard.action, guard.threshold) == ("pii_detection", "block", None)
    (guard,) = prompt.output_guardrails
    assert (guard.action, guard.threshold, guard.options) == ("rewrite", 0.8, {"knowledge_base": "support-docs"})


@pytest.mark.parametrize(
    "text",
    [
        "prompts:\n  - {id: a-v1.0.0, user_prompt_template: hi}",
        "- {id: a-v1.0.0, user_prompt_template: hi}",
        "{id: a, version: 1.0.0, user_prompt_template: hi}",
        "{id: a@1, user_prompt_template: hi}",
    ],
)
def test_other_shapes(tmp_path, text):
    assert prompt_of(tmp_path, text)["a@1.0.0"].version == Version(1)


VERSIONS = """
    - {id: s-v1.0.0, user_prompt_template: a}
    - {id: s-v2.3.1, user_prompt_template: b}
    - {id: s, version: 2.10, user_prompt_template: c}
    - {id: s-v3.0.0-rc.1, user_prompt_template: d}
    - {id: x-ray, version: 1.0.0, user_prompt_template: e}
"""


@pytest.mark.parametrize(
    ("reference", "version"),
    [
        ("s-v2.3.1", "2.3.1"),
        ("s@2.3.1", "2.3.1"),
        ("s@v2.3.1", "2.3.1"),
        ("s@2.3", "2.3.1"),
        ("s@2", "2.10.0"),
        ("s@1", "1.0.0"),
        ("s@latest", "2.10.0"),
        ("s@3.0.0-rc.1", "3.0.0-rc.1"),
        ("x-ray@latest", "1.0.0"),
        ("x-ray", "1.0.0"),
    ],
)
def test_references(tmp_path, reference, version):
    registry = prompt_of(tmp_path, VERSIONS)
    assert str(registry[reference].version) == version
    assert reference in registry


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("s@3", "s has no such version. Known: 1.0.0, 2.3.1, 2.10.0, 3.0.0-rc.1."),
        ("s-v9.0.0", "s has no such version"),
        ("s@new", "'new' is no semantic version such as 2.3.1, nor 'latest'"),
        ("x-rey@1", "Did you mean 'x-ray'?"),
    ],
)
def test_a_reference_to_nothing_names_what_there_is(tmp_path, reference, words):
    registry = prompt_of(tmp_path, VERSIONS)
    with pytest.raises(PromptError, match=r"prompt '") as caught:
        registry[reference]
    assert words in str(caught.value)
    assert reference not in registry


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- {id: a-v1.0.0, user_prompt: hi}", "one.yaml:1 prompt a-v1.0.0: unknown key 'user_prompt'"),
        ("\n- {version: 1.0.0, user_prompt_template: hi}", "one.yaml:2: a prompt needs an id"),
        ("- {id: a, user_prompt_template: hi}", "needs a version"),
        ("- {id: a, version: new, user_prompt_template: hi}", "'new' is no semantic version"),
        ("- {id: a-v1.0.0, version: 1.0.1, user_prompt_template: hi}", "its id says version 1.0.0"),
        ("- {id: a-v1.0.0}", "needs a user_prompt_template or a system_prompt"),
        ("- {id: a-v1.0.0, temperature: warm, user_prompt_template: hi}", "temperature: expected a number"),
        ("- {id: a-v1.0.0, max_tokens: 1.5, user_prompt_template: hi}", "max_tokens: expected a whole number"),
        ("- id: a-v1.0.0\n  id: b-v1.0.0", "one.yaml:2: 'id' stands in line 1 already"),
        ("- id: a-v1.0.0\n  user_prompt_template: 'x", ": broken YAML"),
        ("just words", "expected a prompt"),
        ("", "expected a prompt"),
        ("- {id: a-v1, user_prompt_template: '{nam}', variables: [name]}", "'nam', which is not declared. Did you"),
        ("- {id: a-v1, user_prompt_template: '{name.x}', variables: [name]}", "braces take a plain name"),
        ("- {id: a-v1, user_prompt_template: '{% if %}'}", "one.yaml:1 prompt a-v1: user_prompt_template, line 1"),
        ("- {id: a-v1, user_prompt_template: '{{ x|nope }}'}", "nope"),
        ("- {id: a-v1, user_prompt_template: x, variables: [{name: x, sanitization: strip_htm}]}", "'strip_html'?"),
        ("- {id: a-v1, user_prompt_template: x, variables: [{name: x, type: strng}]}", "Did you mean 'string'?"),
        ("- {id: a-v1, user_prompt_template: x, variables: [{name: x, validation: shortish}]}", "is not understood"),
        ("- {id: a-v1, user_prompt_template: x, variables: [x, x]}", "'x' is declared twice"),
        ("- {id: a-v1, user_prompt_template: x, guardrails: {inputs: []}}", "Did you mean 'input'?"),
        ("- {id: a-v1, user_prompt_template: x, guardrails: {input: [{type: p, action: blok}]}}", "'block'?"),
        ("- {id: a-v1, user_prompt_template: x}\n- {id: a@1.0.0, user_prompt_template: y}", "one.yaml:1 already"),
    ],
)
def test_mistakes_in_files_are_told_with_file_and_line(tmp_path, text, words):
    with pytest.raises(PromptError) as caught:
        list(prompt_of(tmp_path, text))
    assert words in str(caught.value)


def test_actions_of_one_meaning(tmp_path):
    guards = "[{type: p, action: sanitize}, {type: q, action: warn}]"
    text = f"- {{id: a-v1, user_prompt_template: x, guardrails: {{input: {guards}}}}}"
    assert [one.action for one in prompt_of(tmp_path, text)["a"].input_guardrails] == ["rewrite", "flag"]


def test_the_nearest_folder_with_prompts_counts(tmp_path):
    inner = tmp_path / "tests" / "support"
    (inner / "prompts").mkdir(parents=True)
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "a.yaml").write_text("id: a")
    assert find_folder(inner, stop=tmp_path) == tmp_path / "prompts"
    (inner / "prompts" / "a.yml").write_text("id: a")
    assert find_folder(inner, stop=tmp_path) == inner / "prompts"
    assert find_folder(tmp_path / "tests", stop=tmp_path / "tests") is None


def test_the_hash_covers_what_reaches_the_model_and_nothing_else(tmp_path):
    first = prompt_of(tmp_path / "a", AS_SPECIFIED)["customer-support"]
    renamed = prompt_of(tmp_path / "b", AS_SPECIFIED.replace("name: Customer support", "name: Other"))
    assert renamed["customer-support"].hash == first.hash
    for old, new in (("You help", "You must help"), ("0.3", "0.4"), ("block", "flag"), ("2000", "2001")):
        changed = prompt_of(tmp_path / "c", AS_SPECIFIED.replace(old, new))["customer-support"]
        assert changed.hash != first.hash, new
        assert [line for line in diff(first.text, changed.text) if line.startswith("+") and new in line]


def test_versions_are_ordered_as_semver_says():
    written = ["1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0", "1.2.0"]
    assert [str(v) for v in sorted(map(Version.parse, reversed(written)))] == written
