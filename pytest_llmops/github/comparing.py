"""The comparison outside of pytest: of shards that were merged, and of a rerun that replayed."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from pytest_llmops import acceptance, baseline, compare, console, rerunning
from pytest_llmops.baseline import Baseline
from pytest_llmops.baseline.answers import Answers
from pytest_llmops.child_runs import Children
from pytest_llmops.compare.failures import Failure
from pytest_llmops.errors import LlmopsError
from pytest_llmops.github.handing import State
from pytest_llmops.records import Comparison, RunRecord, TestRecord
from pytest_llmops.reports import html
from pytest_llmops.rerunning import Terms
from pytest_llmops.settings import ProjectSettings


@dataclass(frozen=True, slots=True)
class Again:
    """More trials for what a comparison finds: who runs them, and on what terms."""

    children: Children
    terms: Terms


def compare_with(run: RunRecord, state: State, again: Again | None = None) -> list[Failure]:
    """Compare a run with its baseline, and keep the comparison in it.

    Args:
        run: the run.
        state: what it is compared with.
        again: has more trials run where the comparison asks for them; None: nothing is run.

    Returns:
        What of it fails the run.
    """
    file, accept = state.compared, state.accept
    if file is None or not file.is_file() or run.stopped:
        return []
    policy = console.policy(folder=state.root)
    accepted = acceptance.load(accept) if accept is not None else ()
    stored = baseline.load(file)
    run.taken_out = compare.taken_out(stored, run, state.root / (run.environment.rootdir or "."))

    def compared() -> Comparison:
        return compare.compare(stored, run, policy, accept=accepted)

    if again is None:
        run.comparison = compared()
    else:
        run.comparison = rerunning.settle(again.children, again.terms, run, compared, policy)
    # As pytest names it: seen from the working directory, where people run what advice says.
    run.comparison.baseline, run.comparison.stored_in = os.path.relpath(file, state.root), state.stored_in
    return compare.failures(run.comparison, policy)


def write_html(path: Path, run: RunRecord, file: Path | None, root: Path) -> None:
    """Write the page of a run, with the gate's settings of the folder `root`."""
    stored = load(file)
    page = html.render(run, baseline=stored, answers=answers(file), policy=console.policy(folder=root))
    baseline.write(path, page, "HTML report")


def update(file: Path, run: RunRecord, project: ProjectSettings) -> None:
    """Write the cases of a run into a baseline file, and its answers beside it."""
    baseline.save(file, baseline.update(load(file), run, settings=project.metrics))
    beside = baseline.answers.path_beside(file)
    baseline.answers.save(beside, baseline.answers.update(answers(file), run))


def copied(file: Path, folder: Path) -> Path:
    """A copy of a baseline and its answers, as far as there are any."""
    folder.mkdir()
    for path in (file, baseline.answers.path_beside(file)):
        if path.is_file():
            shutil.copy(path, folder)
    return folder / file.name


def load(file: Path | None) -> Baseline | None:
    """A baseline, where there is one."""
    return baseline.load(file) if file is not None and file.is_file() else None


def answers(file: Path | None) -> Answers:
    """A baseline's answers; none where they cannot be read: only the reports show them."""
    if file is None:
        return {}
    try:
        return baseline.answers.beside(file)
    except LlmopsError:
        return {}


def with_former_reruns(run: RunRecord, former: RunRecord) -> bool:
    """Take over the fresh trials that the former attempt of this very commit paid for.

    They are made without cassettes; a rerun that replays has none, and would be green for want of them.

    Returns:
        Whether there were any.
    """
    if any(test.rerun or test.confirms for test in run.tests) or any(test.cassette.live for test in run.tests):
        return False  # this attempt asked the provider itself
    extra = reruns_of(former, run)
    run.tests += extra
    return bool(extra)


def reruns_of(former: RunRecord, run: RunRecord) -> list[TestRecord]:
    """The fresh trials in a former record of cases that a run has."""
    ran = {test.case for test in run.tests}
    return [test for test in former.tests if (test.rerun or test.confirms) and test.case in ran]
