"""Which baseline a run is compared with: the base branch's newest run, or the committed file."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path, PurePosixPath

from pytest_llmops import acceptance, baseline
from pytest_llmops.errors import GitHubError, LlmopsError, SettingsError
from pytest_llmops.github import artifacts, rest
from pytest_llmops.github.context import Context
from pytest_llmops.github.inputs import Inputs
from pytest_llmops.settings import ProjectSettings

RECORD = "run.json"


@dataclass(frozen=True, slots=True)
class Chosen:
    """The baseline of a run.

    Args:
        file: None: nothing is compared.
        ref: the branch and `sha` the commit whose run made it; both None where it is the committed file.
    """

    file: Path | None = None
    ref: str | None = None
    sha: str | None = None
    created: datetime | None = None
    notes: tuple[str, ...] = field(default=())


def choose(
    inputs: Inputs,
    context: Context,
    client: rest.Client,
    *,
    root: Path,
    folder: Path,
    changed: Collection[str],
    project: ProjectSettings,
) -> Chosen:
    """Find the baseline: in the working directory `root`, or made of an artifact's record in `folder`.

    `changed` holds the paths below `root` that this pull request or push changes.

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
                f"pytest --llm-baseline={inputs.baseline_path} --llm-update-baseline --llm-trials=5"
            )
        return Chosen(committed)
    if inputs.baseline == "auto" and context.event == "schedule":  # only a fixed anchor shows a slow drift
        missing = f"Nothing was compared: a schedule needs a fixed anchor, commit {inputs.baseline_path}."
        return Chosen(committed) if committed.is_file() else Chosen(notes=(missing,))
    if inputs.baseline == "auto" and committed.is_file() and PurePosixPath(inputs.baseline_path).as_posix() in changed:
        # An edited file is meant, or nothing could ever get in: the base branch's run knows nothing of it.
        return Chosen(committed, notes=(f"{inputs.baseline_path} is changed here, and is what was compared with.",))
    found = _from_artifact(inputs, context, client, folder, project)
    if found.file is None and inputs.baseline == "auto" and committed.is_file():
        return dataclasses.replace(found, file=committed)
    if found.file is not None:
        return found
    made = f"a push to {context.branch} makes one" if context.branch else "commit one"
    return dataclasses.replace(found, notes=(*found.notes, f"Nothing was compared: there is no baseline yet; {made}."))


def _from_artifact(
    inputs: Inputs, context: Context, client: rest.Client, folder: Path, project: ProjectSettings
) -> Chosen:
    """The record of the newest successful push run of this workflow on the branch, as a baseline."""
    if not context.branch:
        return Chosen()
    try:
        for run in artifacts.own_runs(client, context, branch=context.branch, event="push", status="success"):
            if run.id == context.run_id:
                continue
            read = artifacts.read(client, context, run.id, inputs.report_name, RECORD)
            if read and RECORD in read:
                file = _as_baseline(read[RECORD], folder, project)
                return Chosen(file, run.branch, run.sha, run.created)
    except GitHubError as error:
        return Chosen(notes=(f"The baseline of {context.branch} could not be fetched: {error}",))
    except LlmopsError as error:
        return Chosen(notes=(f"The record of {context.branch}'s newest run cannot be compared with: {error}",))
    return Chosen()


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


def changed_paths(context: Context, client: rest.Client) -> tuple[str, ...]:
    """Paths of the repository that the pull request, or the push, changes; none where GitHub does not say."""
    try:
        if context.pull_request is not None:
            path = f"/repos/{context.repository}/pulls/{context.pull_request.number}/files"
            return tuple(str(file["filename"]) for file in client.pages(path, needs="pull-requests: read"))
        if context.before and set(context.before) != {"0"}:  # a new branch has none
            path = f"/repos/{context.repository}/compare/{context.before}...{context.sha}"
            return tuple(str(file["filename"]) for file in client.get(path).get("files", ()))
    except GitHubError:
        return ()
    return ()
