"""Templates: Jinja2 in its sandbox, or plain ``{name}`` braces without attribute access."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from pytest_llmops.errors import PromptError, did_you_mean

if TYPE_CHECKING:
    from jinja2.sandbox import SandboxedEnvironment

Format = Literal["jinja2", "braces"]
_JINJA = re.compile(r"\{%|\{#|\{\{\s*[A-Za-z_(\[]")
_BRACES = re.compile(r"\{\{|\}\}|\{\s*([A-Za-z_]\w*)\s*([.\[!][^{}]*|:[^\s{}][^{}]*)?\}")


@dataclass(frozen=True)
class Template:
    """A compiled text and the variables it uses."""

    names: frozenset[str]
    render: Callable[[Mapping[str, Any]], str]


def compile(text: str, format: Format | None, where: str, known: Collection[str]) -> Template:
    """Make a template of a text.

    Args:
        text: the template.
        format: None: Jinja2 where the text has ``{{ name }}`` or ``{% … %}``, else braces.
        where: begins messages.
        known: declared variables; with braces ``{name.attribute}`` of one is an error, other braces are text.

    Raises:
        PromptError: broken syntax, or attribute access in braces.
    """
    kind = format or ("jinja2" if _JINJA.search(text) else "braces")
    return _jinja(text, where) if kind == "jinja2" else _braces(text, where, known)


def _braces(text: str, where: str, known: Collection[str]) -> Template:
    names = set()
    for match in _BRACES.finditer(text):
        name, access = match.groups()
        if name is None:
            continue
        if access is None:
            names.add(name)
        elif name in known:
            raise PromptError(
                f"{where}: {match[0]}: braces take a plain name, {{{name}}}; attributes, indices and formats need "
                f"Jinja2, {{{{ {name}{access if access[0] in '.[' else ''} }}}}."
            )

    def render(values: Mapping[str, Any]) -> str:
        def filled(match: re.Match[str]) -> str:
            if match[1] is None:
                return match[0][0]
            return match[0] if match[2] else str(values[match[1]])

        return _BRACES.sub(filled, text)

    return Template(frozenset(names), render)


def _jinja(text: str, where: str) -> Template:
    from jinja2 import TemplateError, TemplateSyntaxError, meta

    environment = _environment()
    try:
        names = frozenset(meta.find_undeclared_variables(environment.parse(text)))
        template = environment.from_string(text)
    except TemplateSyntaxError as error:
        raise PromptError(f"{where}, line {error.lineno}: {error.message}") from None
    except TemplateError as error:  # an unknown filter or test
        raise PromptError(f"{where}: {error}") from None

    def render(values: Mapping[str, Any]) -> str:
        try:
            return template.render(values)
        except TemplateError as error:  # the sandbox's SecurityError is one
            raise PromptError(f"{where}: {error}") from None

    return Template(names, render)


@lru_cache(maxsize=1)
def _environment() -> SandboxedEnvironment:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    return ImmutableSandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)


def unknown_names(names: Collection[str], known: Collection[str]) -> list[str]:
    """Messages on names that no variable has."""
    return [
        f"uses the variable {name!r}, which is not declared.{did_you_mean(name, known)}"
        for name in sorted(set(names) - set(known))
    ]
