"""What guardrails find around them: the session's judge, its moderation endpoint, and guardrails of users' plugins."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pytest_llmops.registry import session_guardrails, session_judge

if TYPE_CHECKING:
    from pytest_llmops.checks.jury import Judging
    from pytest_llmops.checks.moderation import Moderator

ToxicityBy = Literal["auto", "words", "judge", "moderation"]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a session adds to guardrails.

    Args:
        judge: makes the judge; None: that of the running test, or the default one.
        judged: a judge was named in the settings, and is not only the default.
        moderator: makes the client of the moderation endpoint; None: there is none.
        toxicity: who looks for it where the guardrail's own ``by`` is ``auto``.
        others: guardrails of plugins, by name, with what brought them.
    """

    judge: Callable[[], Judging] | None = None
    judged: bool = False
    moderator: Callable[[], Moderator] | None = None
    toxicity: ToxicityBy = "auto"
    others: Callable[[], Mapping[str, tuple[str, Any]]] = field(default=dict)


def current() -> Surroundings:
    """The running session's; outside of any, what the environment says."""
    if session_guardrails:
        found: Surroundings = session_guardrails[-1]()
        return found
    return Surroundings(judged="PYTEST_LLM_JUDGE" in os.environ)


def judging() -> Judging:
    """The judge that is asked where nothing else is said."""
    if session_judge:
        judge: Judging = session_judge[-1]()
        return judge
    make = current().judge
    if make is not None:
        return make()
    from pytest_llmops.checks.judge import DEFAULT_JUDGE, Judge

    return Judge(os.environ.get("PYTEST_LLM_JUDGE") or DEFAULT_JUDGE)
