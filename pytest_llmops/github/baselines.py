"""Which baseline a run is compared with: the base branch's newest run, or the committed file."""

from __future__ import annotations

import dataclasses
import os
import shlex
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from pytest_llmops import acceptance, baseline
from pytest_llmops.errors import ArtifactError, GitHubError, LlmopsError, SettingsError
from pytest_llmops.github import artifacts, rest
from pytest_llmops.github.context import Context
from pytest_llmops.github.inputs import Inputs
from pytest_llmops.settings import ProjectSettings

RECORD = "run.json"
MOST_FILES_OF_A_PUSH = 300
MOST_FILES_OF_A_PULL_REQUEST = 3000
"""GitHub names no more of the files that are changed, on whatever page."""


class Changed(NamedTuple):
    """Paths of the repository that a run's code changes, and why there may be more; None where these are all."""

    paths: tuple[str, ...] = ()
    unknown: str | None = None


@dataclass(frozen=True, slots=True)
class Chosen:
    """The baseline of a run.

    Args:
        file: None: nothing is compared.
        ref: the branch and `sha` the commit whose run made it; both None where it is the committed file.
        warnings: notes that somebody should act on.
        problem: why nothing could be compared though there may be a baseline: the run is an error.
    """

    file: Path | None = None
    ref: str | None = None
    sha: str | None = None
    created: datetime | None = None
    notes: tuple[str, ...] = field(default=())
    warnings: tuple[str, ...] = field(default=())
    problem: str | None = None


def choose(
    inputs: Inputs,
    context: Context,
    client: rest.Client,
    *,
    root: Path,
    folder: Path,
    changed: Changed,
    project: ProjectSettings,
) -> Chosen:
    """Find the baseline: in the working directory `root`, or made of an artifact's record in `folder`.

    Raises:
        SettingsError: ``baseline: file``, and there is none.
    """
    committed = root / inputs.baseline_path
    if inputs.baseline == "none":
        return Chosen()
    if inputs.baseline == "file" or inputs.update_baseline:
        if not committed.is_file() and not inputs.update_baseline:
            raise SettingsError(
                f"input baseline-path: there is no baseline at {inputs.baseline_path}. Make one and commit it: "
                f"pytest --llm-baseline={shlex.quote(inputs.baseline_path)} --llm-update-baseline --llm-trials=5"
            )
        return Chosen(committed)
    if inputs.baseline == "auto" and context.event == "schedule":  # only a fixed anchor shows a slow drift
        missing = f"Nothing was compared: a schedule needs a fixed anchor, commit {inputs.baseline_path}."
        return Chosen(committed) if committed.is_file() else Chosen(notes=(missing,))
    notes: tuple[str, ...] = ()
    if inputs.baseline == "auto" and committed.is_file():
        path = Path(os.path.relpath(committed, context.workspace.resolve())).as_posix()
        if path in changed.paths:
            # An edited file is meant, or nothing could ever get in: the base branch's run knows nothing of it.
            return Chosen(committed, notes=(f"{inputs.baseline_path} is changed here, and is what was compared with.",))
        if changed.unknown is not None:
            notes = (
                f"Whether {inputs.baseline_path} is edited here is not known: {changed.unknown}. If it is, that does "
                "not count; `baseline: file` compares with it.",
            )
    found = _of_branch(inputs, context, client, folder, project)
    if found.problem is not None:
        found = _not_asked(inputs, context, client, committed, found.problem)
    elif found.file is None and inputs.baseline == "auto" and committed.is_file():
        found = dataclasses.replace(found, file=committed)
    elif found.file is None:
        made = f"a push to {context.branch} makes one" if context.branch else "commit one"
        missing = "no other baseline" if found.notes else "no baseline yet"
        told = f"Nothing was compared: there is {missing}; {made}."
        found = dataclasses.replace(found, notes=(*found.notes, told))
    return dataclasses.replace(found, notes=(*notes, *found.notes))


def _of_branch(inputs: Inputs, context: Context, client: rest.Client, folder: Path, project: ProjectSettings) -> Chosen:
    """What the branch's own runs have made; where a new branch has none, the default branch's."""
    if not context.branch:
        return Chosen()
    found = _from_artifact(inputs, context, client, folder, project, context.branch)
    if found != Chosen() or not context.fallback:
        return found
    other = _from_artifact(inputs, context, client, folder, project, context.fallback)
    if other.file is None:
        return other
    note = f"{context.branch} has no baseline of its own yet: compared with {context.fallback}'s."
    return dataclasses.replace(other, notes=(note,))


def _from_artifact(
    inputs: Inputs, context: Context, client: rest.Client, folder: Path, project: ProjectSettings, branch: str
) -> Chosen:
    """The record of the newest successful push run of this workflow on a branch, as a baseline."""
    try:
        for run in artifacts.own_runs(client, context, branch=branch, event="push", status="success"):
            if run.id == context.run_id:
                continue
            read = artifacts.read(client, context, run.id, inputs.report_name, RECORD)
            if read and RECORD in read:
                file = _as_baseline(read[RECORD], folder, project)
                return Chosen(file, run.branch, run.sha, run.created)
    except LlmopsError as error:
        if isinstance(error, GitHubError) and not isinstance(error, ArtifactError):
            return Chosen(problem=str(error))
        return Chosen(notes=(f"The record of {branch}'s newest run cannot be compared with: {error}",))
    return Chosen()


def _not_asked(inputs: Inputs, context: Context, client: rest.Client, committed: Path, said: str) -> Chosen:
    """Where GitHub does not tell of runs: nobody knows that there is no baseline, and green would be a guess."""
    what = f"The baseline of {context.branch} could not be asked for"
    helpless = context.foreign or client.anonymous
    if inputs.baseline == "auto" and committed.is_file():
        told = (f"{what}: the committed {inputs.baseline_path} was compared with instead. {said}",)
        return Chosen(committed, notes=told) if helpless else Chosen(committed, warnings=told)
    if helpless:
        return Chosen(notes=(f"Nothing was compared. {what}: {said}",))
    return Chosen(problem=f"nothing was compared: the baseline of {context.branch} could not be asked for: {said}")


def _as_baseline(record: bytes, folder: Path, project: ProjectSettings) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    source, file = folder / RECORD, folder / "baseline.json"
    source.write_bytes(record)
    run = baseline.load_run(source)
    baseline.save(file, baseline.update(None, run, settings=project.metrics))
    baseline.answers.save(baseline.answers.path_beside(file), baseline.answers.update({}, run))
    return file


def accept_file(inputs: Inputs, root: Path) -> Path | None:
    """The pull request's own ``llm-accept.toml``, beside the committed baseline's place."""
    file = (root / inputs.baseline_path).parent / acceptance.DEFAULT_NAME
    return file if file.is_file() else None


def changed_paths(context: Context, client: rest.Client) -> Changed:
    """Paths of the repository that the pull request, the push or the merge queue's group changes."""
    try:
        if context.pull_request is not None:
            path = f"/repos/{context.repository}/pulls/{context.pull_request.number}/files"
            return _changed(client.pages(path, needs="pull-requests: read"), MOST_FILES_OF_A_PULL_REQUEST)
        if context.before and set(context.before) != {"0"}:  # a new branch has none
            path = f"/repos/{context.repository}/compare/{quote(context.before)}...{context.sha}"
            return _changed(client.get(path).get("files", ()), MOST_FILES_OF_A_PUSH)
    except GitHubError as error:
        return Changed(unknown=str(error))
    return Changed()


def _changed(entries: Iterable[Any], most: int) -> Changed:
    paths = tuple(str(entry["filename"]) for entry in entries)
    return Changed(paths, f"GitHub names no more than {most:,} changed files" if len(paths) >= most else None)
