"""``pytest-llmops prompts list|show|diff|validate``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from pytest_llmops.errors import PromptError
from pytest_llmops.prompts.model import Prompt
from pytest_llmops.prompts.registry import Registry

Say = Callable[[str], None]


def add_to(parser: argparse.ArgumentParser, registry: Callable[[], Registry], say: Say) -> None:
    """Give the command its subcommands.

    Args:
        parser: of ``pytest-llmops prompts``.
        registry: the project's prompts, where no ``--dir`` is given.
        say: prints a line.
    """
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    listing = commands.add_parser("list", help="list the prompts, oldest version first")
    show = commands.add_parser("show", help="show one prompt")
    show.add_argument("prompt", metavar="PROMPT", help="such as customer-support@2 or customer-support@latest")
    changed = commands.add_parser("diff", help="what changed from one prompt to another; exits with 1 if anything did")
    changed.add_argument("before", metavar="BEFORE")
    changed.add_argument("after", metavar="AFTER")
    validate = commands.add_parser("validate", help="check all prompt files; exits with 1 on a mistake")
    for command, run in ((listing, _list), (show, _show), (changed, _diff), (validate, _validate)):
        command.add_argument("--dir", type=Path, metavar="DIR", help="folder of prompts (default: nearest prompts/)")
        if command in (listing, show):
            command.add_argument("--json", action="store_true", help="print JSON")
        command.set_defaults(run=_with_registry(run, registry, say))


def _with_registry(
    run: Callable[[argparse.Namespace, Registry, Say], int], registry: Callable[[], Registry], say: Say
) -> Callable[[argparse.Namespace], int]:
    def command(arguments: argparse.Namespace) -> int:
        if arguments.dir is not None and not arguments.dir.is_dir():
            raise PromptError(f"{arguments.dir} is no folder.")
        found = Registry(arguments.dir) if arguments.dir is not None else registry()
        if not found.files():
            raise PromptError(
                f"no prompt files: {found.folder or 'no prompts/ folder'} has no .yaml file; name one with --dir."
            )
        return run(arguments, found, say)

    return command


def _list(arguments: argparse.Namespace, registry: Registry, say: Say) -> int:
    prompts = [registry[identity] for identity in registry]
    if arguments.json:
        say(json.dumps([_as_json(prompt) for prompt in prompts], indent=2, ensure_ascii=False, default=str))
        return 0
    rows = [("id", "version", "hash", "model", "file")]
    rows += [(p.id, str(p.version), p.hash, p.model or "", p.where) for p in prompts]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        say("  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[4]]).rstrip())
    return 0


def _show(arguments: argparse.Namespace, registry: Registry, say: Say) -> int:
    prompt = registry[arguments.prompt]
    if arguments.json:
        say(json.dumps(_as_json(prompt), indent=2, ensure_ascii=False, default=str))
        return 0
    say(f"{prompt.id}  {prompt.hash}  {prompt.where}")
    for key, value in (("name", prompt.name), *prompt.about.items()):
        if value:
            say(f"{key}: {value}")
    say(prompt.text.rstrip("\n"))
    return 0


def _diff(arguments: argparse.Namespace, registry: Registry, say: Say) -> int:
    from pytest_llmops.compare.prompts import diff

    before, after = registry[arguments.before], registry[arguments.after]
    lines = diff(before.text, after.text, names=(before.id, after.id))
    for line in lines:
        say(line)
    if not lines:
        say(f"{before.id} and {after.id} are the same ({before.hash})")
    return 1 if lines else 0


def _validate(arguments: argparse.Namespace, registry: Registry, say: Say) -> int:
    from pytest_llmops.prompts import validation

    mistakes = validation.mistakes(registry)
    for mistake in mistakes:
        say(f"error: {mistake}")
    if mistakes:
        return 1
    for identity in registry:
        for remark in validation.remarks(registry[identity]):
            say(f"note: {remark}")
    count, files = len(registry), len(registry.files())
    say(f"{count} prompt{'s' * (count != 1)} in {files} file{'s' * (files != 1)}, no mistakes")
    return 0


def _as_json(prompt: Prompt) -> dict[str, object]:
    return {"hash": prompt.hash, **asdict(prompt), "version": str(prompt.version)}
