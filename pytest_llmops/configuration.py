"""A session's settings, resolved once: flags, environment, ini and pyproject.toml."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

import pytest

from pytest_llmops.errors import LlmopsError, SettingsError
from pytest_llmops.options import BY_NAME, SETTINGS, Age, RecordMode, find_pyproject, resolve, under_ci
from pytest_llmops.settings import JudgeModel, ProjectSettings, load_project

RERUN_VARIABLE = "PYTEST_LLMOPS_RERUN"
"""Set by child_runs.py for its child: JSON of the record mode, trials, the budget, and where the record goes."""
STORED_IN_VARIABLE = "PYTEST_LLMOPS_STORED_IN"
"""Set by the GitHub Action: the project's own baseline file, where the one compared with is made of an artifact."""
REVIEWED_VARIABLE = "PYTEST_LLMOPS_REVIEWED"
"""Set by the GitHub Action: whoever takes a case out of a dataset shows it in a pull request, so that it counts."""
MOST_TRIALS = 5
"""Of ``--llm-trials=auto``, and of a suspect's reruns."""
_KEY = pytest.StashKey["Configuration"]()


@dataclass(frozen=True, slots=True)
class Configuration:
    """What this session was asked to do.

    Args:
        base: the folder that relative paths given on the command line start from.
        trials: overrides every marker's; None: each its own.
        adaptive: one trial first, and more only where the gate needs them.
        concurrency: evaluations that may overlap in one process.
        timeout: seconds for the body of an evaluation; None: no limit.
        budget: USD for the run's live calls; None: no limit.
        stored_in: what advice names in place of `baseline`, where that is nobody's to update.
        reviewed: a case that was taken out of its dataset is accepted, not missing.
        apart_from: of a child that runs other code: the folder of the code it must not run.
    """

    base: Path
    project: ProjectSettings
    record: RecordMode
    cassette_dir: Path | None
    baseline: Path | None
    accept: Path | None
    update_baseline: bool
    inconclusive: Literal["pass", "fail"]
    alpha: float
    confirm: bool
    confirm_baseline: Path | None
    trials: int | None
    adaptive: bool
    concurrency: int
    concurrency_report: bool
    timeout: float | None
    budget: float | None
    max_rpm: float | None
    max_tpm: float | None
    stale_after: Age | None
    replay_speed: float
    resume: bool
    json: Path | None
    html: Path | None
    ctrf: Path | None
    junit_properties: bool
    shard: tuple[int, int] | None
    judge: str | None
    store_text: bool
    record_hosts: tuple[str, ...]
    allowed_hosts: tuple[str, ...]
    ci: bool
    stored_in: str | None = None
    reviewed: bool = False
    apart_from: Path | None = None


def configuration(config: pytest.Config) -> Configuration:
    """The session's configuration, made on first use.

    Raises:
        pytest.UsageError: a setting cannot be used; pytest exits with 4.
    """
    known = config.stash.get(_KEY, None)
    if known is None:
        try:
            known = config.stash[_KEY] = _ordered(_resolved(config))
        except LlmopsError as error:
            raise pytest.UsageError(str(error)) from None
    return known


def _ordered(known: Configuration, environ: Mapping[str, str] = os.environ) -> Configuration:
    """A child with more trials leaves nothing but its record, and its cassettes if it is to record."""
    if RERUN_VARIABLE not in environ:
        return known
    orders = json.loads(environ[RERUN_VARIABLE])
    return replace(
        known,
        record=orders["record"],
        trials=orders["trials"],
        adaptive=False,
        budget=orders["budget"],
        json=Path(orders["json"]),
        apart_from=Path(orders["apart_from"]) if "apart_from" in orders else None,
        baseline=None,
        accept=None,
        html=None,
        ctrf=None,
        shard=None,
        update_baseline=False,
        resume=False,
    )


def _checkout(folder: Path | None, *, confirm: bool) -> Path | None:
    if folder is None:
        return None
    if not confirm:
        raise SettingsError("--llm-confirm-baseline goes with --llm-confirm.")
    if not folder.is_dir():
        raise SettingsError(
            f"--llm-confirm-baseline: there is no folder {folder}. Make one: git worktree add {folder} COMMIT"
        )
    return folder.resolve()


def _resolved(config: pytest.Config) -> Configuration:
    given: dict[str, Any] = {
        s.name: resolve(s.name, option=config.getoption(s.ini), ini=config.getini(s.ini)) for s in SETTINGS
    }
    base = config.invocation_params.dir

    def path(name: str) -> Path | None:
        if not given[name]:
            return None
        file, setting = Path(given[name]), BY_NAME[name]
        # As with pytest's own: what an ini file names is the same from whichever folder pytest is called.
        start = base if config.getoption(setting.ini) or os.environ.get(setting.environment) else config.rootpath
        try:
            return start / file.expanduser()  # no shell does it behind "--llm-json="
        except RuntimeError:  # there is no such user: a file whose name begins with ~
            return start / file

    ci = under_ci()
    update = bool(given["update_baseline"])
    if update and not given["baseline"]:
        raise SettingsError("--llm-update-baseline needs the file to write: --llm-baseline=baseline.json")
    if update and ci and not given["force"]:
        raise SettingsError(
            "--llm-update-baseline is refused where CI is set: a baseline is updated by hand and reviewed.\n"
            "If this job is meant to do it, add --llm-force."
        )
    if given["resume"] and given["record"] != "live":
        raise SettingsError(
            "--llm-resume goes with --llm-record=live; what other modes record is taken up by itself after a crash."
        )
    auto, trials = given["trials"] == "auto", given["trials"]
    if auto and not given["baseline"]:
        raise SettingsError("--llm-trials=auto needs a baseline to compare with: --llm-baseline=baseline.json")
    if auto:
        trials = MOST_TRIALS if update else 1
    _check_apart({name: path(name) for name in ("baseline", "accept", "json", "html", "ctrf")})
    project = load_project(find_pyproject(config.rootpath))
    _check_judges(given["judge"], project)
    return Configuration(
        base=base,
        project=project,
        record=cast("RecordMode", given["record"] or ("none" if ci else "once")),
        cassette_dir=path("cassette_dir"),
        baseline=path("baseline"),
        accept=path("accept"),
        update_baseline=update,
        inconclusive=given["inconclusive"] or "pass",
        alpha=given["alpha"] or 0.05,
        confirm=bool(given["confirm"]),
        confirm_baseline=_checkout(path("confirm_baseline"), confirm=bool(given["confirm"])),
        trials=trials,
        adaptive=auto and not update,
        concurrency=given["concurrency"] or 1,
        concurrency_report=bool(given["concurrency_report"]),
        timeout=given["timeout"],
        budget=given["budget"],
        max_rpm=given["max_rpm"],
        max_tpm=given["max_tpm"],
        stale_after=given["stale_after"],
        replay_speed=given["replay_speed"] or 0.0,
        resume=bool(given["resume"]),
        json=path("json"),
        html=path("html"),
        ctrf=path("ctrf"),
        junit_properties=given["junit_properties"] is not False,
        shard=given["shard"],
        judge=given["judge"],
        store_text=given["store_text"] is not False,
        record_hosts=tuple(given["record_hosts"] or ()),
        allowed_hosts=tuple(given["allowed_hosts"] or ()),
        ci=ci,
        stored_in=os.environ.get(STORED_IN_VARIABLE) or None,
        reviewed=bool(os.environ.get(REVIEWED_VARIABLE)),
    )


def _check_apart(files: Mapping[str, Path | None]) -> None:
    """One file cannot be two things: the report would be written over the baseline."""
    taken: dict[Path, str] = {}
    for name, path in files.items():
        if path is None:
            continue
        try:
            if path.exists() and not path.is_file():  # /dev/null takes any number of them
                continue
            file = path.resolve()
        except (OSError, RuntimeError):  # reading or writing it says why
            continue
        other = taken.setdefault(file, name)
        if other != name:
            raise SettingsError(f"--llm-{other} and --llm-{name} both name {path}; give one of them another file.")


def _check_judges(chosen: str | None, project: ProjectSettings) -> None:
    """A judge or an embedding that cannot be is told before any test."""
    where = "--llm-judge" if chosen else "[tool.pytest-llmops.judge]"
    models = [(where, one) for one in _judges(chosen, project)]
    if project.embeddings is not None and not project.embeddings.model.startswith("model2vec:"):
        models.append(("[tool.pytest-llmops.embeddings]", project.embeddings))
    if not models:
        return
    from pytest_llmops.checks import judge_models

    for where, one in models:
        try:
            provider, _ = judge_models.parse_model(one.model)
            if provider != "litellm":
                judge_models.address(provider, one.base_url)
        except SettingsError as error:
            raise SettingsError(f"{where}: {error}") from None


def unable_judges(settings: Configuration) -> list[str]:
    """What the judges that were chosen lack in a run that may have to ask them, a line each."""
    models = _judges(settings.judge, settings.project)
    if settings.record == "none" or not models:
        return []
    from pytest_llmops.checks import judge_models

    missing = {one.model: judge_models.lacking(one.model, one.base_url) for one in models}
    return [f"llmops: {model} can judge from cassettes only: {why}" for model, why in missing.items() if why]


def _judges(chosen: str | None, project: ProjectSettings) -> tuple[JudgeModel, ...]:
    return (JudgeModel(chosen),) if chosen else project.judge.models
