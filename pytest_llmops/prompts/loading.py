"""Prompt files: YAML to prompts, with file and line in every message."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from pytest_llmops import yaml_files
from pytest_llmops.errors import PromptError, did_you_mean
from pytest_llmops.prompts import templates
from pytest_llmops.prompts.model import GuardrailAction, GuardrailSpec, Prompt
from pytest_llmops.prompts.sanitising import SANITISERS
from pytest_llmops.prompts.variables import ALIASES, TYPES, Variable, parse_validation
from pytest_llmops.prompts.versions import Version, family_of

SUFFIXES = (".yaml", ".yml")
_ABOUT = ("description", "author", "owner", "created", "updated", "status", "changelog", "tags", "metadata", "fallback")
_SAME_ACTION: dict[str, GuardrailAction] = {
    **dict.fromkeys(("sanitize", "sanitise", "redact", "mask", "anonymize", "anonymise"), "rewrite"),
    **dict.fromkeys(("warn", "log"), "flag"),
}
_PROMPT = (
    "id", "name", "version", "model", "temperature", "max_tokens", "system_prompt", "user_prompt_template",
    "template_format", "variables", "guardrails", *_ABOUT,
)  # fmt: skip
_VARIABLE = (
    "name", "required", "type", "validation", "sanitization", "sanitisation", "min", "max", "min_length", "max_length",
    "pattern", "choices", "default", "description",
)  # fmt: skip


def load(path: Path) -> list[Prompt]:
    """Read a file: ``prompt_registry: {prompts: […]}``, ``prompts: […]``, a list of prompts, or a single one.

    Raises:
        PromptError: it is no such file, or a prompt in it cannot be used.
    """
    return [_prompt(fields, f"{path}:{line}", path) for line, fields in _rows(path)]


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    import yaml

    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise PromptError(f"{path}: cannot be read: {error}") from None
    with yaml_files.opened(text, path, PromptError, numbers=False) as (loader, node):
        for key in ("prompt_registry", "prompts"):
            if isinstance(node, yaml.MappingNode):
                node = next((value for name, value in node.value if name.value == key), node)
        rows = node.value if isinstance(node, yaml.SequenceNode) else [node]
        for row in rows:
            if not isinstance(row, yaml.MappingNode):
                line = row.start_mark.line + 1 if row is not None else 1
                raise PromptError(f"{path}:{line}: expected a prompt, or prompts: with a list of them.")
            _refuse_twice(row, path)
            yield row.start_mark.line + 1, loader.construct_object(row, deep=True)


def _refuse_twice(row: Any, path: Path) -> None:
    seen: dict[str, int] = {}
    for key, _ in row.value:
        line = key.start_mark.line + 1
        if key.value in seen:
            raise PromptError(f"{path}:{line}: {key.value!r} stands in line {seen[key.value]} already.")
        seen[key.value] = line


def _prompt(fields: Mapping[str, Any], where: str, path: Path) -> Prompt:
    identity = fields.get("id")
    if not isinstance(identity, str) or not identity.strip():
        raise PromptError(f"{where}: a prompt needs an id, such as customer-support-v2.3.1.")
    where = f"{where} prompt {identity}"
    _known(fields, _PROMPT, where)
    template = _text(fields, "user_prompt_template", where)
    system = _text(fields, "system_prompt", where)
    if template is None and system is None:
        raise PromptError(f"{where}: needs a user_prompt_template or a system_prompt.")
    form = fields.get("template_format")
    if form is not None and form not in get_args(templates.Format):
        raise PromptError(f"{where}: template_format {form!r}.{did_you_mean(str(form), get_args(templates.Format))}")
    guards = fields.get("guardrails") or {}
    if not isinstance(guards, Mapping):
        raise PromptError(f"{where}: guardrails: expected input: and output: with a list each.")
    _known(guards, ("input", "output"), f"{where}: guardrails")
    variables = [_variable(row, where) for row in _list(fields, "variables", where)]
    if template is None and variables and all(variable.name != "input" for variable in variables):
        variables.append(Variable("input"))
    prompt = Prompt(
        id=identity,
        version=_version(fields, identity, where),
        user_prompt_template=template if template is not None else "{input}",
        name=_text(fields, "name", where) or "",
        model=_text(fields, "model", where),
        temperature=_number(fields, "temperature", where),
        max_tokens=_whole(fields, "max_tokens", where),
        system_prompt=system,
        template_format=form,
        variables=tuple(variables),
        input_guardrails=tuple(_guardrail(row, f"{where}: guardrails.input") for row in _list(guards, "input", where)),
        output_guardrails=tuple(
            _guardrail(row, f"{where}: guardrails.output") for row in _list(guards, "output", where)
        ),
        about={key: fields[key] for key in _ABOUT if key in fields},
        where=where.partition(" prompt ")[0],
    )
    _check(prompt, where)
    return prompt


def _check(prompt: Prompt, where: str) -> None:
    names = [variable.name for variable in prompt.variables]
    for name in names:
        if names.count(name) > 1:
            raise PromptError(f"{where}: the variable {name!r} is declared twice.")
    try:
        used = prompt.placeholders
    except PromptError as error:
        raise PromptError(f"{where}: {str(error).removeprefix(f'prompt {prompt.id}: ')}") from None
    if names and (problems := templates.unknown_names(used, names)):
        raise PromptError(f"{where}: the template {problems[0]}")


def _version(fields: Mapping[str, Any], identity: str, where: str) -> Version:
    in_id = family_of(identity)[1]
    given = fields.get("version")
    text = str(given) if given is not None else in_id
    if text is None:
        raise PromptError(f"{where}: needs a version, such as version: 2.3.1.")
    try:
        version = Version.parse(text)
    except ValueError as error:
        raise PromptError(f"{where}: version: {error}.") from None
    if in_id is not None and Version.parse(in_id) != version:
        raise PromptError(f"{where}: its id says version {in_id}, its version says {text}.")
    return version


def _variable(row: Any, where: str) -> Variable:
    if isinstance(row, str):
        return Variable(row)
    if not isinstance(row, Mapping) or not isinstance(row.get("name"), str) or not row["name"].isidentifier():
        raise PromptError(f"{where}: variables: each needs a name that is a plain word, got {row!r}.")
    name = row["name"]
    where = f"{where}: variable {name!r}"
    _known(row, _VARIABLE, where)
    try:
        checks = parse_validation(_text(row, "validation", where) or "")
    except ValueError as error:
        raise PromptError(f"{where}: validation: {error}.") from None
    kind = row.get("type")
    if kind is not None:
        checks["type"] = ALIASES.get(str(kind), str(kind))
        if checks["type"] not in TYPES:
            raise PromptError(f"{where}: type {kind!r}.{did_you_mean(str(kind), TYPES)}")
    for key in ("min", "max", "min_length", "max_length"):
        if (value := _number(row, key, where)) is not None:
            checks[key[:3]] = float(value)
    if "pattern" in row:
        checks.update(parse_validation(f"pattern {_text(row, 'pattern', where)}"))
    if "choices" in row:
        checks["choices"] = tuple(_list(row, "choices", where))
    kind = checks.get("type", "string")
    checks["choices"] = tuple(_typed(value, kind, where) for value in checks.get("choices", ()))
    default = _typed(row["default"], kind, where) if row.get("default") is not None else None
    required = row.get("required", default is None)
    if not isinstance(required, bool):
        raise PromptError(f"{where}: required: expected true or false, got {required!r}.")
    return Variable(
        name=name,
        required=required and default is None,
        default=default,
        sanitization=_sanitisers(row, where),
        description=_text(row, "description", where) or "",
        **checks,
    )


def _sanitisers(row: Mapping[str, Any], where: str) -> tuple[str, ...]:
    given = row.get("sanitization", row.get("sanitisation")) or ()
    names = tuple(map(str.strip, given.split(","))) if isinstance(given, str) else tuple(map(str, given))
    for name in names:
        if name not in SANITISERS:
            raise PromptError(f"{where}: sanitization {name!r} is unknown.{did_you_mean(name, SANITISERS)}")
    return names


def _guardrail(row: Any, where: str) -> GuardrailSpec:
    if isinstance(row, str):
        return GuardrailSpec(row)
    if not isinstance(row, Mapping) or not isinstance(row.get("type"), str):
        raise PromptError(f"{where}: each needs a type, such as pii_detection; got {row!r}.")
    given: Any = row.get("action", "block")
    action: Any = _SAME_ACTION.get(str(given), given)
    if action not in get_args(GuardrailAction):
        raise PromptError(
            f"{where}.{row['type']}: action {action!r}.{did_you_mean(str(action), get_args(GuardrailAction))}"
        )
    options = {key: _plain(value) for key, value in row.items() if key not in ("type", "action", "threshold")}
    return GuardrailSpec(row["type"], action, _number(row, "threshold", f"{where}.{row['type']}"), options)


# -- values -------------------------------------------------------------------------------------------------------


def _known(fields: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    for key in fields:
        if key not in known:
            raise PromptError(f"{where}: unknown key {key!r}.{did_you_mean(str(key), known)}")


def _text(fields: Mapping[str, Any], key: str, where: str) -> str | None:
    value = fields.get(key)
    if value is not None and not isinstance(value, str):
        raise PromptError(f"{where}: {key}: expected a text, got {type(value).__name__}.")
    return value


def _list(fields: Mapping[str, Any], key: str, where: str) -> list[Any]:
    value = fields.get(key)
    if value is not None and not isinstance(value, list):
        raise PromptError(f"{where}: {key}: expected a list.")
    return value or []


def _number(fields: Mapping[str, Any], key: str, where: str) -> float | None:
    value = fields.get(key)
    if value is None:
        return None
    number = _plain(value)
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise PromptError(f"{where}: {key}: expected a number, got {value!r}.")
    return number


def _whole(fields: Mapping[str, Any], key: str, where: str) -> int | None:
    number = _number(fields, key, where)
    if number is not None and (number != int(number) or number < 1):
        raise PromptError(f"{where}: {key}: expected a whole number above 0, got {fields[key]!r}.")
    return int(number) if number is not None else None


def _typed(value: Any, kind: str, where: str) -> Any:
    typed = value if kind == "string" else _plain(value)
    if not TYPES[kind][1](typed):
        raise PromptError(f"{where}: {value!r} is not {TYPES[kind][0]}.")
    return typed


def _plain(value: Any) -> Any:
    """A value with the numbers in it read as numbers."""
    if isinstance(value, str) and re.fullmatch(r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?", value):
        return int(value) if re.fullmatch(r"[-+]?\d+", value) else float(value)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value
