"""Semantic versions, and references to prompts: ``support-v2.3.1``, ``support@2``, ``support@latest``."""

from __future__ import annotations

import re
from dataclasses import dataclass

LATEST = "latest"
_SEMVER = re.compile(r"v?(\d+)(?:\.(\d+))?(?:\.(\d+))?(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?")
_SUFFIX = re.compile(r"(?P<family>.+?)(?:-v|@v?)(?P<version>\d+(?:\.\d+){0,2}(?:-[0-9A-Za-z.-]+)?)")


@dataclass(frozen=True, slots=True)
class Version:
    """A semantic version, ordered as semver.org says; what is left out counts as 0."""

    major: int
    minor: int = 0
    patch: int = 0
    pre: str = ""

    @classmethod
    def parse(cls, text: str) -> Version:
        """Read ``2.3.1``, ``v2.3`` or ``2.3.1-rc.1``.

        Raises:
            ValueError: it is none.
        """
        match = _SEMVER.fullmatch(text.strip())
        if match is None:
            raise ValueError(f"{text!r} is no semantic version such as 2.3.1")
        major, minor, patch, pre = match.groups()
        return cls(int(major), int(minor or 0), int(patch or 0), pre or "")

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}" + (f"-{self.pre}" if self.pre else "")

    def __lt__(self, other: Version) -> bool:
        return self._order() < other._order()

    def _order(self) -> tuple[object, ...]:
        # Numbers go before words, and a pre-release before its release.
        parts = [(0, int(p), "") if p.isdecimal() else (1, 0, p) for p in self.pre.split(".")] if self.pre else []
        return self.major, self.minor, self.patch, not self.pre, parts


def family_of(identity: str) -> tuple[str, str | None]:
    """An id's name without version, and the version it ends in, if any."""
    match = _SUFFIX.fullmatch(identity)
    return (match["family"], match["version"]) if match else (identity, None)


def matches(version: Version, wanted: str) -> bool:
    """Whether a version is meant by ``2``, ``2.3`` or ``2.3.1``; a pre-release only by its full name."""
    exact = Version.parse(wanted)
    given = wanted.removeprefix("v").partition("-")[0].count(".") + 1
    if exact.pre or version.pre or given == 3:
        return version == exact
    return (version.major, version.minor)[:given] == (exact.major, exact.minor)[:given]
