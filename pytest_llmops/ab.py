"""Two variants of an application: ``@pytest.mark.llm_ab`` gives a test its arms, `assign_arm` gives a user one."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from pytest_llmops.errors import SettingsError
from pytest_llmops.options import MARKER

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_llmops.checks import Rubric

AB_MARKER = "llm_ab"
_NAME = re.compile(r"[\w.+]+")


@dataclass(frozen=True, slots=True)
class Arm:
    """A variant.

    Args:
        name: in the test's id.
        value: what the test gets as ``llm_arm``.
        index: its place among the arms.
        prefer: rubrics by which its answers are compared with the first arm's, side by side.
    """

    name: str
    value: Any
    index: int = 0
    prefer: tuple[Rubric, ...] = ()


def parse(
    args: tuple[Any, ...], kwargs: Mapping[str, Any], *, root: Path | None = None
) -> tuple[list[Arm], dict[str, Any]]:
    """The arms, and the arguments that are meant for ``llm_eval``.

    Args:
        args: the marker's.
        kwargs: the marker's.
        root: what paths of rubric files are relative to.

    Raises:
        SettingsError: no two arms, a name that cannot stand in a test's id, or no such rubric.
    """
    where = f"@pytest.mark.{AB_MARKER}"
    if args:
        raise SettingsError(f'{where} takes named arguments only, for example arms={{"a": …, "b": …}}.')
    arms = kwargs.get("arms")
    if not isinstance(arms, Mapping) or len(arms) < 2:
        raise SettingsError(f'{where}: expected at least two arms by name, for example arms={{"a": …, "b": …}}.')
    for name in arms:
        if not isinstance(name, str) or not _NAME.fullmatch(name) or re.fullmatch(r"trial\d+", name):
            raise SettingsError(f"{where}: the arm's name {name!r} must be of letters, digits, '_', '.' and '+'.")
    prefer = _rubrics(kwargs.get("prefer", ()), where, root)
    rest = {name: value for name, value in kwargs.items() if name not in ("arms", "prefer")}
    return [Arm(name, value, index, prefer) for index, (name, value) in enumerate(arms.items())], rest


def _rubrics(given: Any, where: str, root: Path | None) -> tuple[Rubric, ...]:
    if not given:
        return ()
    from pytest_llmops.checks.rubrics import resolve

    try:
        return tuple(resolve(one, root=root) for one in (given if isinstance(given, list | tuple) else [given]))
    except SettingsError as error:
        raise SettingsError(f"{where}: prefer: {error}") from None


def parametrize(metafunc: pytest.Metafunc, marker: pytest.Mark | None) -> pytest.Mark | None:
    """Give a test function its arms.

    Args:
        metafunc: the test function, marked ``llm_ab``.
        marker: its ``llm_eval`` where it has one.

    Returns:
        the ``llm_eval`` marker that holds for it.

    Raises:
        pytest.Collector.CollectError: the marker cannot be used.
    """
    given = metafunc.definition.get_closest_marker(AB_MARKER)
    assert given is not None
    try:
        arms, rest = parse(given.args, given.kwargs, root=metafunc.config.rootpath)
        if rest and marker is not None:
            raise SettingsError(
                f"@pytest.mark.{AB_MARKER}: with @pytest.mark.{MARKER} beside it, {', '.join(rest)} belongs there."
            )
    except SettingsError as error:
        raise pytest.Collector.CollectError(f"{metafunc.definition.nodeid}: {error}") from None
    own = [] if marker is not None else [getattr(pytest.mark, MARKER)(**rest)]
    metafunc.fixturenames.append("_llm_arm")
    metafunc.parametrize("_llm_arm", [pytest.param(arm, id=arm.name, marks=own) for arm in arms])
    return marker if marker is not None else own[0].mark


def arm_of(item: pytest.Item) -> Arm | None:
    """The arm that an item stands for."""
    callspec = getattr(item, "callspec", None)
    arm = callspec.params.get("_llm_arm") if callspec is not None else None
    return arm if isinstance(arm, Arm) else None


def fields_of(item: pytest.Item) -> dict[str, Any]:
    """What a test's record says of its arm."""
    arm = arm_of(item)
    return {} if arm is None else {"arm": arm.name, "arm_index": arm.index, "arm_pair": pair_key(item)}


def pair_key(item: pytest.Item) -> str:
    """What an item has in common with those of the other arms and with its other trials."""
    callspec = getattr(item, "callspec", None)
    params = dict(callspec.params) if callspec is not None else {}
    case = getattr(params.pop("_llm_trial", None), "case", None)
    params.pop("_llm_arm", None)
    parts = [f"{name}={value!r}" for name, value in sorted(params.items())]
    return f"{item.nodeid.partition('[')[0]}[{'-'.join([*parts, case.id if case else ''])}]"


def assign_arm(
    user: str, arms: Sequence[str] = ("a", "b"), *, salt: str = "", weights: Sequence[float] | None = None
) -> str:
    """The arm of a user: always the same one, spread evenly over users; the same on every machine and version.

    Args:
        user: an id.
        arms: names.
        salt: the experiment's name, so that two experiments split their users differently.
        weights: share of each arm; equal by default.

    Raises:
        SettingsError: no arms, or weights that do not fit them.
    """
    shares = [1.0] * len(arms) if weights is None else [float(weight) for weight in weights]
    usable = len(shares) == len(arms) and all(0 <= share < math.inf for share in shares)
    if not arms or not usable or not any(shares):
        raise SettingsError(
            f"assign_arm: arms {list(arms)} with weights {weights}: expected a weight ≥ 0 for each arm."
        )
    digest = hashlib.sha256(f"{salt}\0{user}".encode("utf-8", "surrogatepass")).digest()
    point = int.from_bytes(digest[:7]) / 2**56 * sum(shares)
    for arm, share in zip(arms, shares, strict=True):
        point -= share
        if point < 0:
            return arm
    return next(arm for arm, share in zip(reversed(arms), reversed(shares), strict=True) if share)
