"""The ``pytest-llmops`` command."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_llmops.errors import LlmopsError

if TYPE_CHECKING:
    from pytest_llmops.settings import ProjectSettings


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        0 where all is well, 1 where something was found (a regression, a secret), 2 for a mistake in the call.
    """
    arguments = _parser().parse_args(argv)
    try:
        return int(arguments.run(arguments))
    except LlmopsError as error:
        print(f"pytest-llmops: {error}", file=sys.stderr)  # noqa: T201 - a command's output
        return 2
    except BrokenPipeError:  # `… | head`
        sys.stderr.close()
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pytest-llmops", description="Cassettes, baselines and reports of LLM evaluations, without pytest."
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _cassettes(commands.add_parser("cassettes", help="look into recordings"))
    compare = commands.add_parser("compare", help="compare a run with a baseline; exits with 1 on regression")
    compare.add_argument("baseline", type=Path, metavar="BASELINE", help="a baseline file")
    compare.add_argument("record", type=Path, metavar="RUN", help="a run record (--llm-json)")
    compare.add_argument("--json", action="store_true", help="print the comparison as JSON")
    compare.add_argument("--accept", type=Path, metavar="FILE", help="accepted changes (default: beside the baseline)")
    compare.add_argument("--alpha", type=float, default=0.05, metavar="F", help="family-wise error rate (default .05)")
    compare.add_argument("--inconclusive", choices=("pass", "fail"), default="pass", help="default: pass")
    compare.set_defaults(run=_compare)
    baseline = commands.add_parser("baseline", help="write a baseline").add_subparsers(metavar="COMMAND", required=True)
    update = baseline.add_parser("update", help="write the cases of a run into a baseline")
    update.add_argument("record", type=Path, metavar="RUN", help="a run record (--llm-json)")
    update.add_argument("-o", "--output", type=Path, required=True, metavar="BASELINE", help="made where missing")
    update.set_defaults(run=_update)
    return parser


def _cassettes(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    show = commands.add_parser("show", help="list the calls in cassettes, ours and vcrpy's")
    show.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="cassette files, or folders of them")
    show.add_argument("--json", action="store_true", help="print a list of calls as JSON")
    show.add_argument("--all", action="store_true", help="also exchanges that are no LLM's")
    show.set_defaults(run=_show)
    audit = commands.add_parser("audit", help="look for secrets in cassettes; exits with 1 if any is found")
    audit.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="cassette files, or folders of them")
    audit.set_defaults(run=_audit)


def _project() -> ProjectSettings:
    from pytest_llmops.settings import find_pyproject, load_project

    return load_project(find_pyproject(Path.cwd()))


def _show(arguments: argparse.Namespace) -> int:
    from pytest_llmops.cassettes import inspection
    from pytest_llmops.reports import cassettes

    calls, unread = inspection.calls(arguments.paths, _project(), everything=arguments.all)
    for error in unread:
        print(f"pytest-llmops: left out: {error}", file=sys.stderr)  # noqa: T201 - a command's output
    _print(cassettes.as_json(calls) if arguments.json else cassettes.as_table(calls, width=_width()))
    return 0


def _audit(arguments: argparse.Namespace) -> int:
    from pytest_llmops.cassettes import inspection

    findings, files = inspection.audit(arguments.paths)
    for finding in findings:
        _print(str(finding))
    _print(f"{files} cassette{'s' * (files != 1)} read, {len(findings)} finding{'s' * (len(findings) != 1)}")
    return 1 if findings else 0


def _compare(arguments: argparse.Namespace) -> int:
    from pytest_llmops import acceptance, baseline, compare
    from pytest_llmops.reports import terminal

    stored, run = baseline.load(arguments.baseline), baseline.load_run(arguments.record)
    project = _project()
    policy = compare.Policy(
        alpha=arguments.alpha,
        inconclusive=arguments.inconclusive,
        min_cases=project.min_cases,
        metrics=project.metrics,
    )
    accept = arguments.accept or arguments.baseline.parent / acceptance.DEFAULT_NAME
    accepted = acceptance.load(accept) if arguments.accept or accept.exists() else ()
    comparison = compare.compare(stored, run, policy, accept=accepted)
    comparison.baseline = str(arguments.baseline)
    if arguments.json:
        _print(comparison.model_dump_json(indent=2))
    else:
        for line in terminal.render(comparison, run, width=_width(), color=sys.stdout.isatty(), policy=policy):
            _print(line)
    return 1 if compare.failures(comparison, policy) else 0


def _update(arguments: argparse.Namespace) -> int:
    from pytest_llmops import baseline

    run = baseline.load_run(arguments.record)
    old = baseline.load(arguments.output) if arguments.output.exists() else None
    updated = baseline.update(old, run, settings=_project().metrics)
    baseline.save(arguments.output, updated)
    _print(f"wrote {arguments.output}, {len(updated.cases)} cases")
    return 0


def _width() -> int:
    import shutil

    return shutil.get_terminal_size((80, 24)).columns


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")
