"""The commands on run records and baselines: compare, merge, report, baseline update."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_llmops.console import policy as gate_policy
from pytest_llmops.console import project, say, share, warn, width
from pytest_llmops.errors import BaselineError, LlmopsError

if TYPE_CHECKING:
    from pytest_llmops.baseline import Baseline
    from pytest_llmops.baseline.answers import Answers
    from pytest_llmops.compare import Policy
    from pytest_llmops.records import Comparison, RunRecord


def add_to(commands: Any) -> None:
    """Add them to the subparsers of ``pytest-llmops``."""
    compare = commands.add_parser("compare", help="compare a run with a baseline; exits with 1 on regression")
    compare.add_argument("baseline", type=Path, metavar="BASELINE", help="a baseline file")
    compare.add_argument("record", type=Path, metavar="RUN", help="a run record (--llm-json)")
    compare.add_argument("--json", action="store_true", help="print the comparison as JSON")
    compare.add_argument("--accept", type=Path, metavar="FILE", help="accepted changes (default: beside the baseline)")
    as_pytest = "default: as pytest's own option"
    compare.add_argument("--alpha", type=share, metavar="F", help=f"family-wise error rate ({as_pytest})")
    compare.add_argument("--inconclusive", choices=("pass", "fail"), help=as_pytest)
    compare.set_defaults(run=_compare)
    merge = commands.add_parser("merge", help="put the shards of one run together; compare the result after that")
    merge.add_argument("records", nargs="+", type=Path, metavar="RUN", help="run records (--llm-json)")
    merge.add_argument("-o", "--output", type=Path, required=True, metavar="RUN", help="the whole run's record")
    merge.add_argument(
        "--allow-deselected", action="store_true", help="cases that no shard ran were left out on purpose (-k, -m)"
    )
    merge.set_defaults(run=_merge_runs)
    report = commands.add_parser("report", help="write a run as one HTML page, or as Markdown")
    report.add_argument("record", type=Path, metavar="RUN", help="a run record (--llm-json)")
    report.add_argument(
        "-o", "--output", type=Path, metavar="FILE.html", help="or FILE.md (default: RUN's name with .html)"
    )
    report.add_argument(
        "--baseline", type=Path, metavar="BASELINE", help="compare with it (default: as the run was, if it was)"
    )
    report.set_defaults(run=_report)
    baseline = commands.add_parser("baseline", help="write a baseline").add_subparsers(metavar="COMMAND", required=True)
    update = baseline.add_parser("update", help="write the cases of a run into a baseline")
    update.add_argument("record", type=Path, metavar="RUN", help="a run record (--llm-json)")
    update.add_argument("-o", "--output", type=Path, required=True, metavar="BASELINE", help="made where missing")
    update.add_argument(
        "--prune", action="store_true", help="drop stored cases that RUN was asked for and does not have"
    )
    update.set_defaults(run=_update)


def _compare(arguments: argparse.Namespace) -> int:
    from pytest_llmops import baseline, compare, safety
    from pytest_llmops.records import to_json
    from pytest_llmops.reports import safety as safety_report
    from pytest_llmops.reports import terminal

    one, other = arguments.baseline, arguments.record
    if (baseline.kind_of(one), baseline.kind_of(other)) == ("run record", "baseline"):
        raise BaselineError(f"the other way round: pytest-llmops compare {other} {one}")
    stored, run = baseline.load(one), baseline.load_run(other)
    _refuse_stopped(other, run, "compared with the baseline")
    run.safety = safety.summarize(run.tests, project().safety)
    policy = gate_policy(alpha=arguments.alpha, inconclusive=arguments.inconclusive)
    comparison = _compared(arguments.baseline, stored, run, policy, arguments.accept)
    if arguments.json:
        say(to_json(comparison, indent=2))
    else:
        how: dict[str, Any] = {"width": width(), "color": sys.stdout.isatty()}
        lines = terminal.render(comparison, run, policy=policy, **how)
        if run.safety is not None:
            lines += safety_report.render(run.safety, **how)
        for line in lines:
            say(line)
    unsafe = any(safety_report.failures(run))
    return 1 if unsafe or compare.failures(comparison, policy) else 0


def _refuse_stopped(file: Path, run: RunRecord, what: str) -> None:
    """As pytest does: what is not whole shows neither what is missing nor that nothing regressed."""
    if run.stopped:
        raise BaselineError(f"{file}: the run was {run.stopped}; nothing was {what}. Run it to its end.")


def _compared(file: Path, stored: Baseline, run: RunRecord, policy: Policy, accept: Path | None) -> Comparison:
    from pytest_llmops import acceptance, compare

    default = file.parent / acceptance.DEFAULT_NAME
    accepted = acceptance.load(accept or default) if accept or default.exists() else ()
    comparison = compare.compare(stored, run, policy, accept=accepted)
    comparison.baseline = str(file)
    return comparison


def _report(arguments: argparse.Namespace) -> int:
    from pytest_llmops import baseline
    from pytest_llmops.reports import html, pull_request

    run, policy = baseline.load_run(arguments.record), gate_policy()
    file: Path | None = arguments.baseline
    stored, answers = None, {}
    if file is not None:
        _refuse_stopped(arguments.record, run, "compared with the baseline")
        stored = baseline.load(file)
        run.comparison = _compared(file, stored, run, policy, None)
    elif run.comparison is not None and run.comparison.baseline and Path(run.comparison.baseline).is_file():
        file = Path(run.comparison.baseline)
        stored = baseline.load(file)
    if file is not None:
        answers = _answers(file)
    output: Path = arguments.output or arguments.record.with_suffix(".html")
    render = pull_request.plain if output.suffix == ".md" else html.render
    page = render(run, baseline=stored, answers=answers, policy=policy)
    baseline.write(output, page, "report")
    say(f"wrote {output}, {len(page.encode('utf-8', 'replace')) / 1024:.0f} KiB")
    return 0


def _answers(file: Path) -> Answers:
    """A baseline's stored answers; unreadable ones are told, and keep nothing from being done."""
    from pytest_llmops import baseline

    try:
        return baseline.answers.beside(file)
    except LlmopsError as error:
        warn(error)
        return {}


def _merge_runs(arguments: argparse.Namespace) -> int:
    from pytest_llmops import baseline, compare
    from pytest_llmops.reports import text

    shards = [(str(path), baseline.load_run(path)) for path in arguments.records]
    settings = project()
    run = compare.merge(
        shards, settings=settings.metrics, limits=settings.safety, allow_deselected=arguments.allow_deselected
    )
    baseline.save_run(arguments.output, run)
    cases = text.count(len({test.case for test in run.tests}), "case")
    counts = f"{text.count(len(run.tests), 'test')} of {text.count(len(shards), 'record')}"
    say(f"wrote {arguments.output}: {cases}, {counts}")
    if run.deselected:
        some = ", ".join(run.deselected[:3]) + (" …" if len(run.deselected) > 3 else "")
        say(f"{text.count(len(run.deselected), 'case')} left out (deselected) in every record: {some}")
    return 0


def _update(arguments: argparse.Namespace) -> int:
    from pytest_llmops import baseline
    from pytest_llmops.reports import text, updates

    run = baseline.load_run(arguments.record)
    _refuse_stopped(arguments.record, run, "stored")
    if arguments.prune and run.shard is not None and run.shard[1] > 1:
        part, parts = run.shard
        raise BaselineError(
            f"{arguments.record}: this is part {part} of {parts} of a run (--llm-shard), and --prune would drop the "
            "cases of the others. Put them together first: pytest-llmops merge"
        )
    old = baseline.load(arguments.output) if arguments.output.exists() else None
    updated = baseline.update(old, run, settings=project().metrics)
    stored = baseline.answers.update(_answers(arguments.output), run)
    for case in baseline.prune(updated, run) if arguments.prune else ():
        stored.pop(case, None)
        say(f"dropped {case}")
    baseline.save(arguments.output, updated)
    baseline.answers.save(baseline.answers.path_beside(arguments.output), stored)
    say(f"wrote {arguments.output}, {text.count(len(updated.cases), 'case')}")
    for line in updates.lines(old, updated, run, project().min_cases):
        say(line)
    return 0
