"""``pytest-llmops guardrails eval``: a guardrail's rates on labelled texts, judged ones from a cassette."""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_llmops.errors import JudgeError, LlmopsError
from pytest_llmops.options import RecordMode, under_ci
from pytest_llmops.settings import ProjectSettings

if TYPE_CHECKING:
    from pytest_llmops.cassettes.tape_options import TapeOptions
    from pytest_llmops.checks.guardrails import Guardrail

Say = Callable[[str], None]
MODES = ("none", "new_episodes", "refresh", "all")


def add_to(
    parser: argparse.ArgumentParser, project: Callable[[], ProjectSettings], root: Callable[[], Path], say: Say
) -> None:
    """Give the command its subcommands.

    Args:
        parser: of ``pytest-llmops guardrails``.
        project: the project's settings.
        root: what paths in them are relative to.
        say: prints a line.
    """
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    rates = commands.add_parser("eval", help="precision, recall and false positives on labelled texts")
    rates.add_argument("name", metavar="NAME", help="built in, of an installed package, or yours: module:name")
    rates.add_argument("dataset", type=Path, metavar="DATASET", help='JSONL of {"text": …, "expected": true}; .gz, too')
    rates.add_argument("--json", action="store_true", help="print the rates as JSON")
    rates.add_argument("--judge", metavar="MODEL", help="who is asked by a judged guardrail (default: as in pytest)")
    rates.add_argument(
        "--record",
        choices=MODES,
        help="a judge's answers: none (replay only; default where CI is set), new_episodes (ask for what is not "
        "recorded; default elsewhere), refresh (the same, and drop what is no longer used), all (ask anew)",
    )
    rates.add_argument(
        "--cassette",
        type=Path,
        metavar="FILE",
        help="where a judge's answers are kept (default: cassettes/guardrails/NAME-DATASET.json beside the dataset)",
    )
    rates.set_defaults(run=lambda arguments: _eval(arguments, project(), root(), say))


def _eval(arguments: argparse.Namespace, project: ProjectSettings, root: Path, say: Say) -> int:
    from pytest_llmops import rating
    from pytest_llmops.checks.guardrails import build, rates
    from pytest_llmops.extending import surroundings
    from pytest_llmops.registry import session_guardrails
    from pytest_llmops.reports import guardrails

    around = surroundings(project, arguments.judge or os.environ.get("PYTEST_LLM_JUDGE"), root)
    session_guardrails.append(give := lambda: around)
    try:
        if ":" in arguments.name:
            sys.path.insert(0, str(Path.cwd()))  # as ``python -m`` has it, which the command's script has not
            guardrail = rating.imported(arguments.name)
        else:
            guardrail = build(arguments.name)
        texts = rates.load(arguments.dataset)
        with _taped(arguments, guardrail, project):
            measured = rates.measure(guardrail, texts)
    finally:
        session_guardrails.remove(give)
    say(json.dumps(measured, indent=2) if arguments.json else guardrails.as_table(measured))
    return 0


@contextmanager
def _taped(arguments: argparse.Namespace, guardrail: Guardrail, project: ProjectSettings) -> Iterator[None]:
    """With a cassette in force, where the guardrail asks somebody."""
    if not getattr(guardrail, "asks", False):
        yield
        return
    from pytest_llmops.cassettes import scope
    from pytest_llmops.cassettes.clients import Interception
    from pytest_llmops.cassettes.miss import CassetteMiss
    from pytest_llmops.cassettes.tape import Tape

    path = arguments.cassette or _beside(arguments.dataset, arguments.name)
    mode: RecordMode = arguments.record or ("none" if under_ci() else "new_episodes")
    asked = f" --judge={shlex.quote(arguments.judge)}" if arguments.judge else ""
    kept = f" --cassette={shlex.quote(str(arguments.cassette))}" if arguments.cassette else ""
    given = f"{shlex.quote(arguments.name)} {shlex.quote(str(arguments.dataset))}{asked}{kept}"
    again = f"pytest-llmops guardrails eval {given} --record=refresh"
    tape = Tape(path, mode, _options(project), test=f"guardrails eval {arguments.name}", command=again)
    interception = Interception()
    interception.install()
    scope.activate(tape)
    measured = False
    try:
        yield
        measured = True
    except CassetteMiss as miss:
        raise LlmopsError(str(miss)) from None
    except JudgeError as error:
        hint = f"  guardrail {arguments.name!r} asks a judge or an endpoint: name it, --judge=provider:model"
        raise JudgeError(f"{error}\n{hint}") from None
    finally:
        scope.deactivate(tape)
        tape.close(passed=measured)
        interception.uninstall()


def _beside(dataset: Path, name: str) -> Path:
    return dataset.parent / "cassettes" / "guardrails" / f"{name}-{dataset.name.partition('.')[0]}.json"


def _options(project: ProjectSettings) -> TapeOptions:
    from pytest_llmops.cassettes.keys import IGNORED_FIELDS
    from pytest_llmops.cassettes.redaction import Scrubber
    from pytest_llmops.cassettes.tape_options import TapeOptions

    return TapeOptions(
        hosts=project.hosts,
        ignored_fields=IGNORED_FIELDS | frozenset(project.ignore_fields),
        scrub=Scrubber(project.scrub, project.scrub_fields),
        secrets=tuple(re.compile(pattern) for pattern in project.secrets),
        id_patterns=tuple(re.compile(pattern) for pattern in project.id_patterns),
        folder=f"{Path.cwd()}{os.sep}",
    )
