"""The ``pytest-llmops`` command."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from pytest_llmops import run_commands
from pytest_llmops.console import Parser, project, root, say, share, warn, width
from pytest_llmops.errors import CassetteError, LlmopsError


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        0 where all is well, 1 where something was found (a regression, a secret), 2 for a mistake in the call.
    """
    arguments = _parser().parse_args(argv)
    try:
        return int(arguments.run(arguments))
    except LlmopsError as error:
        warn(error)
        return 2
    except BrokenPipeError:  # `… | head`
        sys.stderr.close()
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="pytest-llmops", description="Cassettes, baselines and reports of LLM evaluations, without pytest."
    )
    parser.add_argument("--version", action="version", version=f"pytest-llmops {version('pytest-llmops')}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _cassettes(commands.add_parser("cassettes", help="look into recordings"))
    _guardrails(commands.add_parser("guardrails", help="measure guardrails"))
    _prompts(commands.add_parser("prompts", help="look into the prompt registry"))
    run_commands.add_to(commands)
    _judges(commands.add_parser("judge", help="compare judges with people"))
    init = commands.add_parser("init", help="teach this git checkout to show and merge cassettes")
    init.set_defaults(run=_init)
    action = commands.add_parser("action")  # for the steps of action.yml: without help, it is not listed
    action.add_argument("step")
    action.set_defaults(run=_action)
    return parser


def _cassettes(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    show = commands.add_parser("show", help="list the calls in cassettes, ours and vcrpy's")
    show.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="cassette files, or folders of them")
    show.add_argument("--json", action="store_true", help="print a list of calls as JSON")
    show.add_argument("--all", action="store_true", help="also exchanges that are no LLM's")
    show.set_defaults(run=_show)
    audit = commands.add_parser(
        "audit", help="look for secrets in cassettes, and personal data; exits with 1 if any is found"
    )
    audit.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="cassette files, or folders of them")
    audit.add_argument("--pii", action="store_true", help="also personal data that is in no dataset")
    audit.add_argument(
        "--dataset",
        action="append",
        type=Path,
        default=[],
        metavar="FILE",
        help="with --pii: a dataset (default: every data file beside the cassettes)",
    )
    audit.set_defaults(run=_audit)
    prune = commands.add_parser("prune", help="remove cassettes whose test or case is gone")
    prune.add_argument("paths", nargs="*", type=Path, metavar="PATH", help="test folders (default: this one)")
    prune.add_argument("--dry-run", action="store_true", help="only list them")
    prune.set_defaults(run=_prune)
    convert = commands.add_parser("convert", help="write cassettes of vcrpy and pytest-recording as ours")
    convert.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="YAML or JSON files, or folders of them")
    convert.add_argument("-o", "--output", type=Path, metavar="DIR", help="another place (default: beside them)")
    convert.add_argument("--overwrite", action="store_true", help="replace cassettes that are there already")
    convert.set_defaults(run=_convert)
    pull = commands.add_parser("pull", help="fetch what the runs of a pull request recorded on GitHub, to commit it")
    pull.add_argument("--pr", type=int, required=True, metavar="N", help="the pull request's number")
    pull.add_argument("--repository", metavar="OWNER/NAME", help="default: that of the git remote 'origin'")
    pull.add_argument("--workflow", metavar="FILE", help="the workflow's file, such as llm.yml (default: any)")
    pull.add_argument("--report-name", default="llm-report", metavar="NAME", help="as the action's input")
    pull.set_defaults(run=_pull)
    diff = commands.add_parser("diff", help="what one cassette has that another has not, and answers that differ")
    diff.add_argument("before", type=Path, metavar="BEFORE")
    diff.add_argument("after", type=Path, metavar="AFTER")
    diff.set_defaults(run=_diff)
    textconv = commands.add_parser("textconv", help="a cassette as text, for git diff (see `pytest-llmops init`)")
    textconv.add_argument("path", type=Path, metavar="FILE")
    textconv.set_defaults(run=_textconv)
    merge = commands.add_parser("merge", help="merge THEIRS into OURS, for git (see `pytest-llmops init`)")
    for name in ("base", "ours", "theirs"):
        merge.add_argument(name, type=Path, metavar=name.upper())
    merge.set_defaults(run=_merge)


def _guardrails(parser: argparse.ArgumentParser) -> None:
    from pytest_llmops import guardrail_command

    guardrail_command.add_to(parser, project, root, say)


def _judges(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    label = commands.add_parser("label", help="make the sheet in which people label judged answers")
    label.add_argument("record", type=Path, metavar="RUN", help="a run record (--llm-json)")
    label.add_argument("--sample", type=int, default=100, metavar="N", help="answers of each criterion (default 100)")
    label.add_argument("--criterion", metavar="NAME", help="only what was judged by this")
    label.add_argument("--seed", type=int, default=0, metavar="N", help="another sample")
    label.add_argument("-o", "--output", type=Path, required=True, metavar="LABELS", help="the sheet, a CSV file")
    label.set_defaults(run=_label)
    calibrate = commands.add_parser("calibrate", help="compare the judge with the labels of a sheet")
    calibrate.add_argument("labels", type=Path, metavar="LABELS", help="a sheet with labels")
    calibrate.add_argument("--json", action="store_true", help="print the numbers as JSON")
    calibrate.add_argument(
        "--threshold", type=share, default=0.7, metavar="F", help="score that counts as good (default .7)"
    )
    calibrate.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="calibration file (default: as the settings say)"
    )
    calibrate.set_defaults(run=_calibrate)


def _prompts(parser: argparse.ArgumentParser) -> None:
    from pytest_llmops.prompts import command, registry

    def near() -> registry.Registry:
        here = Path.cwd()
        return registry.Registry.near(here, project().prompts, Path(here.anchor))

    command.add_to(parser, near, say)


def _show(arguments: argparse.Namespace) -> int:
    from pytest_llmops.cassettes import inspection
    from pytest_llmops.reports import cassettes

    calls, unread = inspection.calls(arguments.paths, project(), everything=arguments.all)
    for error in unread:
        warn(f"left out: {error}")
    say(cassettes.as_json(calls) if arguments.json else cassettes.as_table(calls, width=width()))
    return 0


def _audit(arguments: argparse.Namespace) -> int:
    from pytest_llmops.cassettes import inspection

    secrets, files = inspection.audit(arguments.paths, project())
    findings = [str(finding) for finding in secrets]
    for error in inspection.calls(arguments.paths, project())[1]:
        warn(f"searched as text only: {error}")
    if arguments.pii:
        from pytest_llmops import personal_data

        findings += [str(finding) for finding in personal_data.audit(arguments.paths, arguments.dataset)[0]]
    for finding in findings:
        say(finding)
    say(f"{files} cassette{'s' * (files != 1)} read, {len(findings)} finding{'s' * (len(findings) != 1)}")
    return 1 if findings else 0


def _prune(arguments: argparse.Namespace) -> int:
    from pytest_llmops.cassettes import upkeep
    from pytest_llmops.collecting import collect

    paths = arguments.paths or [Path()]
    tests = collect(paths)
    folders = {folder for path in paths for folder in path.rglob("cassettes") if folder.is_dir()}
    if tests.folder is not None and tests.folder.is_dir():
        folders.add(tests.folder)
    gone = upkeep.unused(sorted(folders), tests) if folders else []
    for path in gone:
        say(f"{'would remove' if arguments.dry_run else 'removed'} {path}")
        if not arguments.dry_run:
            path.unlink()
    count = len(gone)
    say(f"{count} cassette{'s' * (count != 1)} without a test; {len(tests.cases)} cases collected")
    return 0


def _convert(arguments: argparse.Namespace) -> int:
    from pytest_llmops.cassettes import upkeep

    for one in upkeep.convert(arguments.paths, project(), arguments.output, overwrite=arguments.overwrite):
        say(f"{one.source} → {one.target} ({one.interactions} exchanges)")
    return 0


def _diff(arguments: argparse.Namespace) -> int:
    from pytest_llmops.cassettes import merging

    changes = merging.differences(merging.checked(arguments.before), merging.checked(arguments.after))
    for lines in changes:
        say("\n".join(lines))
    say(f"{len(changes)} difference{'s' * (len(changes) != 1)}")
    return 1 if changes else 0


def _textconv(arguments: argparse.Namespace) -> int:
    from pytest_llmops.cassettes import merging

    try:
        text = merging.as_text(merging.checked(arguments.path))
    except CassetteError as error:  # git would show nothing at all, of no file, if this failed
        text = merging.as_it_is(arguments.path, error)
    say(text.rstrip("\n"))
    return 0


def _merge(arguments: argparse.Namespace) -> int:
    from pytest_llmops.cassettes import merging

    try:
        conflicts = merging.merge(arguments.base, arguments.ours, arguments.theirs)
    except CassetteError as error:  # another tool's file, or one that is damaged
        warn(f"{error}: merged as text")
        return merging.merge_as_text(arguments.base, arguments.ours, arguments.theirs)
    for conflict in conflicts:
        warn(f"{conflict}")
    return 1 if conflicts else 0


def _init(arguments: argparse.Namespace) -> int:
    from pytest_llmops.initialising import initialise

    for line in initialise(Path.cwd()):
        say(line)
    return 0


def _label(arguments: argparse.Namespace) -> int:
    from pytest_llmops import baseline
    from pytest_llmops.checks import calibration_sheet as sheet

    if arguments.sample < 1:
        raise LlmopsError(f"--sample: {arguments.sample} is not at least 1.")
    run = baseline.load_run(arguments.record)
    made = sheet.make(
        run, arguments.output, sample=arguments.sample, criterion=arguments.criterion, seed=arguments.seed
    )
    rows = ", ".join(f"{name} {count}" for name, count in made.items())
    say(f"wrote {arguments.output} ({rows} rows) and {sheet.scores_file(arguments.output)} (the judge's scores)")
    say(f"write good or bad into 'label', then: pytest-llmops judge calibrate {arguments.output}")
    return 0


def _calibrate(arguments: argparse.Namespace) -> int:
    from pytest_llmops.checks import calibration, calibration_sheet
    from pytest_llmops.reports import calibration as report

    labels = calibration_sheet.read(arguments.labels)
    found = [calibration.calibrate(name, one, threshold=arguments.threshold) for name, one in labels.items()]
    file = arguments.output or root() / project().judge.calibration
    written = calibration.save(file, found)
    if arguments.json:
        say(calibration.as_json(found, file if written else None))
    else:
        say(report.as_text(found, written, file))
    return 0


def _action(arguments: argparse.Namespace) -> int:
    try:
        from pytest_llmops.github import steps
    except ModuleNotFoundError as error:
        raise LlmopsError(f"{error.name} is not installed: pip install 'pytest-llmops[github]'") from None
    return steps.run(arguments.step)


def _pull(arguments: argparse.Namespace) -> int:
    from pytest_llmops.github import pulling

    say(pulling.pull(arguments.pr, Path.cwd(), arguments.repository, arguments.workflow, arguments.report_name))
    return 0
