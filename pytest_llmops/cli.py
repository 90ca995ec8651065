"""The ``pytest-llmops`` command."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_llmops.errors import LlmopsError

if TYPE_CHECKING:
    from pytest_llmops.baseline import Baseline
    from pytest_llmops.baseline.answers import Answers
    from pytest_llmops.compare import Policy
    from pytest_llmops.records import Comparison, RunRecord
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
    parser.add_argument("--version", action="version", version=f"pytest-llmops {version('pytest-llmops')}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _cassettes(commands.add_parser("cassettes", help="look into recordings"))
    compare = commands.add_parser("compare", help="compare a run with a baseline; exits with 1 on regression")
    compare.add_argument("baseline", type=Path, metavar="BASELINE", help="a baseline file")
    compare.add_argument("record", type=Path, metavar="RUN", help="a run record (--llm-json)")
    compare.add_argument("--json", action="store_true", help="print the comparison as JSON")
    compare.add_argument("--accept", type=Path, metavar="FILE", help="accepted changes (default: beside the baseline)")
    compare.add_argument("--alpha", type=_share, default=0.05, metavar="F", help="family-wise error rate (default .05)")
    compare.add_argument("--inconclusive", choices=("pass", "fail"), default="pass", help="default: pass")
    compare.set_defaults(run=_compare)
    merge = commands.add_parser("merge", help="put the shards of one run together; compare the result after that")
    merge.add_argument("records", nargs="+", type=Path, metavar="RUN", help="run records (--llm-json)")
    merge.add_argument("-o", "--output", type=Path, required=True, metavar="RUN", help="the whole run's record")
    merge.add_argument(
        "--allow-deselected", action="store_true", help="cases that no shard ran were left out on purpose (-k, -m)"
    )
    merge.set_defaults(run=_merge_runs)
    _guardrails(commands.add_parser("guardrails", help="measure guardrails"))
    _prompts(commands.add_parser("prompts", help="look into the prompt registry"))
    report = commands.add_parser("report", help="write a run as one HTML page, or as Markdown")
    report.add_argument("record", type=Path, metavar="RUN", help="a run record (--llm-json)")
    report.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.html", help="or FILE.md")
    report.add_argument(
        "--baseline", type=Path, metavar="BASELINE", help="compare with it (default: as the run was, if it was)"
    )
    report.set_defaults(run=_report)
    _judges(commands.add_parser("judge", help="compare judges with people"))
    init = commands.add_parser("init", help="teach this git checkout to show and merge cassettes")
    init.set_defaults(run=_init)
    baseline = commands.add_parser("baseline", help="write a baseline").add_subparsers(metavar="COMMAND", required=True)
    update = baseline.add_parser("update", help="write the cases of a run into a baseline")
    update.add_argument("record", type=Path, metavar="RUN", help="a run record (--llm-json)")
    update.add_argument("-o", "--output", type=Path, required=True, metavar="BASELINE", help="made where missing")
    update.add_argument("--prune", action="store_true", help="drop stored cases that RUN, a whole run, does not have")
    update.set_defaults(run=_update)
    action = commands.add_parser("action")  # for the steps of action.yml: without help, it is not listed
    action.add_argument("step")
    action.set_defaults(run=_action)
    return parser


def _share(text: str) -> float:
    from pytest_llmops.options import BY_NAME

    try:
        return float(BY_NAME["alpha"].parse(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


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
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    rates = commands.add_parser("eval", help="precision, recall and false positives on labelled texts")
    rates.add_argument("name", metavar="NAME", help="a built-in guardrail, or one of an installed package")
    rates.add_argument("dataset", type=Path, metavar="DATASET", help='JSONL of {"text": …, "expected": true}; .gz, too')
    rates.add_argument("--json", action="store_true", help="print the rates as JSON")
    rates.set_defaults(run=_measure_guardrail)


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
        "--threshold", type=_share, default=0.7, metavar="F", help="score that counts as good (default .7)"
    )
    calibrate.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="calibration file (default: as the settings say)"
    )
    calibrate.set_defaults(run=_calibrate)


def _prompts(parser: argparse.ArgumentParser) -> None:
    from pytest_llmops.prompts import command, registry

    def near() -> registry.Registry:
        here = Path.cwd()
        return registry.Registry.near(here, _project().prompts, Path(here.anchor))

    command.add_to(parser, near, _print)


def _project() -> ProjectSettings:
    from pytest_llmops.options import find_pyproject
    from pytest_llmops.settings import load_project

    return load_project(find_pyproject(Path.cwd()))


def _root() -> Path:
    from pytest_llmops.options import find_pyproject

    file = find_pyproject(Path.cwd())
    return file.parent if file is not None else Path.cwd()


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

    secrets, files = inspection.audit(arguments.paths, _project())
    findings = [str(finding) for finding in secrets]
    for error in inspection.calls(arguments.paths, _project())[1]:
        print(f"pytest-llmops: searched as text only: {error}", file=sys.stderr)  # noqa: T201 - a command's output
    if arguments.pii:
        from pytest_llmops import personal_data

        findings += [str(finding) for finding in personal_data.audit(arguments.paths, arguments.dataset)[0]]
    for finding in findings:
        _print(finding)
    _print(f"{files} cassette{'s' * (files != 1)} read, {len(findings)} finding{'s' * (len(findings) != 1)}")
    return 1 if findings else 0


def _prune(arguments: argparse.Namespace) -> int:
    from pytest_llmops.cassettes import upkeep
    from pytest_llmops.collecting import collect

    paths = arguments.paths or [Path()]
    tests = collect(paths)
    folders = sorted({folder for path in paths for folder in path.rglob("cassettes") if folder.is_dir()})
    gone = upkeep.unused(folders, tests.cases, tests.root) if folders else []
    for path in gone:
        _print(f"{'would remove' if arguments.dry_run else 'removed'} {path}")
        if not arguments.dry_run:
            path.unlink()
    count = len(gone)
    _print(f"{count} cassette{'s' * (count != 1)} without a test; {len(tests.cases)} cases collected")
    return 0


def _convert(arguments: argparse.Namespace) -> int:
    from pytest_llmops.cassettes import upkeep

    for one in upkeep.convert(arguments.paths, arguments.output, overwrite=arguments.overwrite):
        _print(f"{one.source} → {one.target} ({one.interactions} exchanges)")
    return 0


def _diff(arguments: argparse.Namespace) -> int:
    from pytest_llmops.cassettes import merging

    changes = merging.differences(merging.checked(arguments.before), merging.checked(arguments.after))
    for lines in changes:
        _print("\n".join(lines))
    _print(f"{len(changes)} difference{'s' * (len(changes) != 1)}")
    return 1 if changes else 0


def _textconv(arguments: argparse.Namespace) -> int:
    from pytest_llmops.cassettes import merging

    _print(merging.as_text(merging.checked(arguments.path)).rstrip("\n"))
    return 0


def _merge(arguments: argparse.Namespace) -> int:
    from pytest_llmops.cassettes import merging

    conflicts = merging.merge(arguments.base, arguments.ours, arguments.theirs)
    for conflict in conflicts:
        print(f"pytest-llmops: {conflict}", file=sys.stderr)  # noqa: T201 - a command's output
    return 1 if conflicts else 0


def _init(arguments: argparse.Namespace) -> int:
    from pytest_llmops.initialising import initialise

    for line in initialise(Path.cwd()):
        _print(line)
    return 0


def _compare(arguments: argparse.Namespace) -> int:
    from pytest_llmops import baseline, compare, safety
    from pytest_llmops.checks import calibration
    from pytest_llmops.reports import safety as safety_report
    from pytest_llmops.reports import terminal

    stored, run = baseline.load(arguments.baseline), baseline.load_run(arguments.record)
    project = _project()
    run.safety = safety.summarize(run.tests, project.safety)
    policy = compare.Policy(
        alpha=arguments.alpha,
        inconclusive=arguments.inconclusive,
        min_cases=project.min_cases,
        metrics=project.metrics,
        **calibration.required(project.judge),
    )
    comparison = _compared(arguments.baseline, stored, run, policy, arguments.accept)
    if arguments.json:
        _print(comparison.model_dump_json(indent=2))
    else:
        how: dict[str, Any] = {"width": _width(), "color": sys.stdout.isatty()}
        lines = terminal.render(comparison, run, policy=policy, **how)
        if run.safety is not None:
            lines += safety_report.render(run.safety, settings=project.safety, **how)
        for line in lines:
            _print(line)
    unsafe = any(safety_report.failures(run, project.safety))
    return 1 if unsafe or compare.failures(comparison, policy) else 0


def _compared(file: Path, stored: Baseline, run: RunRecord, policy: Policy, accept: Path | None) -> Comparison:
    from pytest_llmops import acceptance, compare

    default = file.parent / acceptance.DEFAULT_NAME
    accepted = acceptance.load(accept or default) if accept or default.exists() else ()
    comparison = compare.compare(stored, run, policy, accept=accepted)
    comparison.baseline = str(file)
    return comparison


def _report(arguments: argparse.Namespace) -> int:
    from pytest_llmops import baseline, compare
    from pytest_llmops.checks import calibration
    from pytest_llmops.reports import html, pull_request

    run, project = baseline.load_run(arguments.record), _project()
    policy = compare.Policy(min_cases=project.min_cases, metrics=project.metrics, **calibration.required(project.judge))
    file: Path | None = arguments.baseline
    stored, answers = None, {}
    if file is not None:
        stored = baseline.load(file)
        run.comparison = _compared(file, stored, run, policy, None)
    elif run.comparison is not None and run.comparison.baseline and Path(run.comparison.baseline).is_file():
        file = Path(run.comparison.baseline)
        stored = baseline.load(file)
    if file is not None:
        answers = _answers(baseline.answers.path_beside(file))
    render = pull_request.plain if arguments.output.suffix == ".md" else html.render
    page = render(run, baseline=stored, answers=answers, policy=policy)
    baseline.write(arguments.output, page, "report")
    _print(f"wrote {arguments.output}, {len(page.encode()) / 1024:.0f} KiB")
    return 0


def _answers(path: Path) -> Answers:
    """The stored answers; unreadable ones are told, and keep nothing from being done."""
    from pytest_llmops import baseline

    try:
        return baseline.answers.load(path)
    except LlmopsError as error:
        print(f"pytest-llmops: {error}", file=sys.stderr)  # noqa: T201 - a command's output
        return {}


def _merge_runs(arguments: argparse.Namespace) -> int:
    from pytest_llmops import baseline, compare

    shards = [(str(path), baseline.load_run(path)) for path in arguments.records]
    project = _project()
    run = compare.merge(
        shards, settings=project.metrics, limits=project.safety, allow_deselected=arguments.allow_deselected
    )
    baseline.save_run(arguments.output, run)
    cases = len({test.case for test in run.tests})
    _print(f"wrote {arguments.output}: {cases} cases, {len(run.tests)} tests of {len(shards)} records")
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
    _print(f"wrote {arguments.output} ({rows} rows) and {sheet.scores_file(arguments.output)} (the judge's scores)")
    _print(f"write good or bad into 'label', then: pytest-llmops judge calibrate {arguments.output}")
    return 0


def _calibrate(arguments: argparse.Namespace) -> int:
    from pytest_llmops.checks import calibration, calibration_sheet
    from pytest_llmops.reports import calibration as report

    labels = calibration_sheet.read(arguments.labels)
    found = [calibration.calibrate(name, one, threshold=arguments.threshold) for name, one in labels.items()]
    file = arguments.output or _root() / _project().judge.calibration
    written = calibration.save(file, found)
    if arguments.json:
        _print(calibration.as_json(found, file if written else None))
    else:
        _print(report.as_text(found, written, file))
    return 0


def _update(arguments: argparse.Namespace) -> int:
    from pytest_llmops import baseline

    run = baseline.load_run(arguments.record)
    old = baseline.load(arguments.output) if arguments.output.exists() else None
    updated = baseline.update(old, run, settings=_project().metrics)
    answers = baseline.answers.path_beside(arguments.output)
    stored = baseline.answers.update(_answers(answers), run)
    for case in baseline.prune(updated, run) if arguments.prune else ():
        stored.pop(case, None)
        _print(f"dropped {case}")
    baseline.save(arguments.output, updated)
    baseline.answers.save(answers, stored)
    _print(f"wrote {arguments.output}, {len(updated.cases)} cases")
    return 0


def _measure_guardrail(arguments: argparse.Namespace) -> int:
    import json

    from pytest_llmops.checks.guardrails import build, rates
    from pytest_llmops.reports import guardrails

    measured = rates.measure(build(arguments.name), rates.load(arguments.dataset))
    _print(json.dumps(measured, indent=2) if arguments.json else guardrails.as_table(measured))
    return 0


def _action(arguments: argparse.Namespace) -> int:
    try:
        from pytest_llmops.github import steps
    except ModuleNotFoundError as error:
        raise LlmopsError(f"{error.name} is not installed: pip install 'pytest-llmops[github]'") from None
    return steps.run(arguments.step)


def _pull(arguments: argparse.Namespace) -> int:
    from pytest_llmops.github import pulling

    _print(pulling.pull(arguments.pr, Path.cwd(), arguments.repository, arguments.workflow, arguments.report_name))
    return 0


def _width() -> int:
    import shutil

    return shutil.get_terminal_size((80, 24)).columns


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")
