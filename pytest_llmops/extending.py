"""What a session adds to guardrails: its judge and moderation endpoint, and what plugins bring by hook."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_llmops.configuration import configuration
from pytest_llmops.errors import SettingsError
from pytest_llmops.registry import session_guardrails
from pytest_llmops.settings import JudgeModel, ProjectSettings

if TYPE_CHECKING:
    from pytest_llmops.checks.guardrails.surroundings import Surroundings
    from pytest_llmops.checks.moderation import Moderator

_KEY = pytest.StashKey[bool]()


def extend_guardrails(config: pytest.Config) -> None:
    """Make the session's settings and its plugins' guardrails known until it ends; read when one is asked for."""
    if _KEY in config.stash:
        return

    @cache
    def give() -> Surroundings:
        settings = configuration(config)
        return surroundings(settings.project, settings.judge, config.rootpath, cache(partial(_of_hooks, config)))

    config.stash[_KEY] = True
    session_guardrails.append(give)
    config.add_cleanup(partial(session_guardrails.remove, give))


def surroundings(
    project: ProjectSettings,
    judge: str | None,
    root: Path,
    others: Callable[[], Mapping[str, tuple[str, Any]]] = dict,
) -> Surroundings:
    """What the settings say.

    Args:
        project: ``[tool.pytest-llmops]``.
        judge: ``--llm-judge``.
        root: what paths are relative to.
        others: guardrails of plugins.
    """
    from pytest_llmops.checks.guardrails.surroundings import Surroundings
    from pytest_llmops.checks.jury import configured

    moderation = project.moderation
    return Surroundings(
        judge=cache(lambda: configured(project.judge, judge, hosts=project.hosts, root=root)),
        judged=bool(judge or project.judge.panel.members or "safety" in project.judge.criteria),
        moderator=None if moderation is None else cache(lambda: _moderator(moderation)),
        toxicity=project.toxicity,
        others=others,
    )


def _moderator(settings: JudgeModel) -> Moderator:
    from pytest_llmops.checks.moderation import Moderator

    return Moderator(settings.model, base_url=settings.base_url, timeout_s=settings.timeout)


def _of_hooks(config: pytest.Config) -> dict[str, tuple[str, Any]]:
    from pytest_llmops.checks.guardrails import BUILTIN

    found: dict[str, tuple[str, Any]] = {}
    for given in config.hook.pytest_llmops_guardrails(config=config):
        if isinstance(given, str | Mapping) or not isinstance(given, Iterable):
            raise SettingsError(f"the hook pytest_llmops_guardrails gave {given!r}: expected a list of guardrails.")
        for guardrail in given:
            name, where = _told(guardrail)
            if name in BUILTIN:
                raise SettingsError(f"guardrail {name!r} of {where}: a built-in one has that name. Choose another.")
            if name in found:
                raise SettingsError(
                    f"two guardrails are named {name!r}: of {found[name][0]}, and of {where}. Rename one of them."
                )
            found[name] = where, guardrail
    return found


def _told(guardrail: Any) -> tuple[str, str]:
    """Its name, and where it is written."""
    from pytest_llmops.checks.guardrails import Guardrail

    kind = guardrail if isinstance(guardrail, type) else type(guardrail)
    where = f"{kind.__module__}.{kind.__qualname__}"
    name = getattr(guardrail, "name", None)
    if not isinstance(name, str) or not name or not isinstance(guardrail, Guardrail):
        raise SettingsError(
            f"the hook pytest_llmops_guardrails gave {where}, which is no guardrail: it needs name, stage and "
            "check(text, context)."
        )
    return name, where
