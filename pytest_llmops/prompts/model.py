"""What a prompt is: texts with variables, the model they are for, and the guardrails around it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, cast

from pytest_llmops.errors import PromptError, did_you_mean
from pytest_llmops.prompts import sanitising, templates
from pytest_llmops.prompts.variables import Variable
from pytest_llmops.prompts.versions import Version, family_of

GuardrailAction = Literal["block", "rewrite", "flag"]


@dataclass(frozen=True)
class GuardrailSpec:
    """A line of a prompt's ``guardrails`` section.

    Args:
        type: the guardrail's name.
        threshold: 0..1; None: the guardrail's own.
        options: whatever else stands there, such as ``knowledge_base``.
    """

    type: str
    action: GuardrailAction = "block"
    threshold: float | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RenderedPrompt:
    """A prompt with its variables filled in.

    Args:
        system: None where the prompt has no system prompt.
        sanitised: variable to what was taken out of its value.
    """

    prompt: Prompt
    system: str | None
    user: str
    sanitised: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def messages(self) -> list[dict[str, str]]:
        """As chat messages, the system prompt first."""
        head = [{"role": "system", "content": self.system}] if self.system is not None else []
        return [*head, {"role": "user", "content": self.user}]


@dataclass(frozen=True)
class Prompt:
    """One version of a prompt.

    Args:
        id: as the file names it, such as ``customer-support-v2.3.1``.
        model: with or without provider, ``anthropic:claude-sonnet-5-5``; None: the application decides.
        about: description, author, changelog and the like: kept, not interpreted, and not part of the hash.
        where: ``file:line``.
    """

    id: str
    version: Version
    user_prompt_template: str
    name: str = ""
    model: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    system_prompt: str | None = None
    template_format: templates.Format | None = None
    variables: tuple[Variable, ...] = ()
    input_guardrails: tuple[GuardrailSpec, ...] = ()
    output_guardrails: tuple[GuardrailSpec, ...] = ()
    about: Mapping[str, Any] = field(default_factory=dict)
    where: str = ""

    def __repr__(self) -> str:
        return f"<Prompt {self.id} {self.hash}>"

    @property
    def family(self) -> str:
        """The id without its version: ``customer-support``."""
        return family_of(self.id)[0]

    @cached_property
    def hash(self) -> str:
        """12 hex digits of SHA-256 over all that reaches the model or guards it."""
        text = json.dumps(self._content(), ensure_ascii=True, sort_keys=True, separators=(",", ":"), default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def text(self) -> str:
        """All that the hash covers, as text to be compared line by line."""
        content = self._content()
        lines = []
        for key in ("model", "temperature", "max_tokens"):
            if content[key] is not None:
                lines.append(f"{key}: {content[key]}")
        for key in ("system_prompt", "user_prompt_template"):
            if content[key] is not None:
                lines += [f"{key}:", *(f"  {line}" for line in content[key].splitlines())]
        for key in ("variables", "input_guardrails", "output_guardrails"):
            rows = [json.dumps(_given(row), ensure_ascii=False, default=str) for row in content[key]]
            lines += [f"{key}:", *(f"  {row}" for row in rows)] if rows else []
        return "\n".join(lines) + "\n"

    def _content(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "temperature": self.temperature,
            "max_tokens": self.max_tokens,
            "system_prompt": self.system_prompt,
            "user_prompt_template": self.user_prompt_template,
            "template_format": self.template_format,
            "variables": [asdict(replace(variable, description="")) for variable in self.variables],
            "input_guardrails": [asdict(one) for one in self.input_guardrails],
            "output_guardrails": [asdict(one) for one in self.output_guardrails],
        }

    @cached_property
    def placeholders(self) -> frozenset[str]:
        """The variables that the texts use.

        Raises:
            PromptError: a text is no valid template.
        """
        return frozenset().union(*(template.names for template in self._templates.values()))

    @cached_property
    def _templates(self) -> dict[str, templates.Template]:
        found = {}
        for key, text in (("system_prompt", self.system_prompt), ("user_prompt_template", self.user_prompt_template)):
            if text is not None:
                known = {variable.name for variable in self.variables}
                found[key] = templates.compile(text, self.template_format, f"prompt {self.id}: {key}", known)
        return found

    @property
    def all_variables(self) -> tuple[Variable, ...]:
        """The declared variables; where none are, those that the texts use, each a required string."""
        return self.variables or tuple(Variable(name) for name in sorted(self.placeholders))

    def render(self, values: Mapping[str, Any] | None = None, /, **more: Any) -> RenderedPrompt:
        """Fill in the variables: checked, then sanitised.

        Raises:
            PromptError: variables that are missing, unknown, too long or of the wrong type, all named.
        """
        __tracebackhide__ = True
        given = {**(values or {}), **more}
        variables = {variable.name: variable for variable in self.all_variables}
        problems = [f"unknown variable {n!r}.{did_you_mean(n, variables)}" for n in given if n not in variables]
        filled: dict[str, Any] = {}
        removed: dict[str, tuple[str, ...]] = {}
        for name, variable in variables.items():
            value = given.get(name, variable.default)
            if value is None:
                if variable.required:
                    problems.append(f"variable {name!r} is missing")
                filled[name] = ""
                continue
            problem = variable.problem(value)
            if problem is not None:
                problems.append(f"variable {name!r} {problem}")
                continue
            filled[name], removed[name] = sanitising.apply(value, variable.sanitization)
        if problems:
            raise PromptError(f"prompt {self.id} ({self.where}):\n  " + "\n  ".join(problems))
        texts = {key: template.render(filled) for key, template in self._templates.items()}
        return RenderedPrompt(
            self, texts.get("system_prompt"), texts["user_prompt_template"], {n: r for n, r in removed.items() if r}
        )


def _given(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in cast("dict[str, Any]", row).items() if value not in (None, "", (), {}, [])}
