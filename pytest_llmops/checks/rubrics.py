"""What a judge judges by: a question and a scale."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from pytest_llmops.errors import SettingsError, did_you_mean
from pytest_llmops.registry import Direction

Form = Literal["levels", "score_reason"]
Need = Literal["input", "expected", "context"]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_FILE = re.compile(r"[^\n]+\.(ya?ml|json)")
_FILE_KEYS = ("name", "question", "levels", "direction", "form", "needs")
_WIDEST_SCALE = 100


@dataclass(frozen=True)
class Rubric:
    """A criterion with its scale.

    Args:
        name: names the metric.
        question: what is asked of the judged text.
        levels: what a text of that level looks like. The lowest and the highest are the ends of the scale and
            become 0 and 1; whole numbers between them may be left out, and are then what lies between.
        direction: ``lower`` where a high level is a bad one.
        form: ``levels`` asks for a structured verdict; ``score_reason`` for two lines of text, ``SCORE: 7`` and
            ``REASON: …`` (without levels: 1 to 10).
        needs: what must be given besides the text.

    Raises:
        SettingsError: a scale or a word that cannot be used.
    """

    name: str
    question: str
    levels: Mapping[int, str] = field(default_factory=dict)
    direction: Direction = "higher"
    form: Form = "levels"
    needs: tuple[Need, ...] = ()

    def __post_init__(self) -> None:
        if not self.name.strip() or not self.question.strip():
            raise SettingsError("a rubric needs a name and a question.")
        if not self.levels:
            default = TEN if self.form == "score_reason" else AGREEMENT
            object.__setattr__(self, "levels", default)
        where = f"rubric {self.name!r}"
        for level, text in self.levels.items():
            if not isinstance(level, int) or isinstance(level, bool) or not isinstance(text, str):
                raise SettingsError(f"{where}: levels map whole numbers to texts, got {level!r}: {text!r}.")
        if not 1 <= self.highest - self.lowest <= _WIDEST_SCALE:
            raise SettingsError(
                f"{where}: a scale needs at least two levels, for example 1 and 5, and at most {_WIDEST_SCALE} steps."
            )
        words: tuple[tuple[str, str, tuple[str, ...]], ...] = (
            ("direction", self.direction, get_args(Direction)),
            ("form", self.form, get_args(Form)),
            *(("needs", need, get_args(Need)) for need in self.needs),
        )
        for key, word, known in words:
            if word not in known:
                raise SettingsError(f"{where}: {key} {word!r} is unknown.{did_you_mean(str(word), known)}")

    @property
    def lowest(self) -> int:
        """The level that becomes 0."""
        return min(self.levels)

    @property
    def highest(self) -> int:
        """The level that becomes 1."""
        return max(self.levels)

    def share(self, level: int) -> float:
        """A level on the scale as 0..1, linearly."""
        return (level - self.lowest) / (self.highest - self.lowest)

    def text(self) -> str:
        """The rubric as the judge reads it."""
        lines = [f"Criterion: {self.question}", f"Scale: whole numbers from {self.lowest} to {self.highest}."]
        lines += [f"  {level}: {self.levels[level]}" for level in sorted(self.levels)]
        return "\n".join(lines)


AGREEMENT: Mapping[int, str] = {
    1: "The criterion is not met at all, or the opposite is the case.",
    2: "It is mostly not met: small signs of it only.",
    3: "It is met in part.",
    4: "It is met, with a small exception.",
    5: "It is fully met.",
}
"""The scale of a criterion that is a sentence."""

TEN: Mapping[int, str] = {1: "The criterion is not met at all.", 10: "It is fully met."}
"""The scale of a ``score_reason`` rubric without levels."""


def resolve(criterion: object, *, root: Path | None = None) -> Rubric:
    """The rubric that a criterion means.

    Args:
        criterion: a `Rubric`; a built-in's name; a file's path (``.yaml``, ``.yml``, ``.json``); else a sentence.
        root: what relative paths are relative to; default the working directory.

    Raises:
        SettingsError: no such name, or a file that cannot be used.
    """
    if isinstance(criterion, Rubric):
        return criterion
    if isinstance(criterion, Path):
        return load(criterion, root=root)
    if not isinstance(criterion, str):
        raise SettingsError(
            f"a judge judges by a rubric's name, a sentence, a Rubric or a rubric file's path, not by {criterion!r}."
        )
    text = criterion.strip()
    if _FILE.fullmatch(text):
        return load(Path(text), root=root)
    if text and not _NAME.fullmatch(text):
        return Rubric(text, text)

    from pytest_llmops.checks.builtin_rubrics import BUILTIN

    if text in BUILTIN:
        return BUILTIN[text]
    raise SettingsError(
        f"no rubric is named {text!r}.{did_you_mean(text, BUILTIN)} "
        "A criterion of your own is a sentence, a Rubric, or the path of a rubric file."
    )


def load(path: Path, *, root: Path | None = None) -> Rubric:
    """Read a rubric file: YAML or JSON with ``name`` (default: the file's), ``question``, ``levels`` and the rest.

    Raises:
        SettingsError: unreadable, or not a rubric; the message names the file.
    """
    import yaml

    file = (root or Path.cwd()) / path
    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"rubric file {path}: cannot be read: {error.strerror} ({file})") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"rubric file {path}: is no YAML: {error}") from None
    if not isinstance(document, dict):
        raise SettingsError(f"rubric file {path}: expected a mapping with question and levels, got {document!r}.")
    for key in document:
        if key not in _FILE_KEYS:
            raise SettingsError(f"rubric file {path}: unknown key {key!r}.{did_you_mean(str(key), _FILE_KEYS)}")
    return _from_document(document, path)


def _from_document(document: dict[str, Any], path: Path) -> Rubric:
    where = f"rubric file {path}"
    fields = {"name": path.stem, **document}
    for key in ("name", "question"):
        if not isinstance(fields.get(key), str):
            raise SettingsError(f"{where}: {key} is missing, or no text.")
    levels = fields.get("levels", {})
    if not isinstance(levels, dict):
        raise SettingsError(f"{where}: levels map whole numbers to texts, got {levels!r}.")
    # JSON has no whole numbers as keys
    fields["levels"] = {int(k) if isinstance(k, str) and k.isdecimal() else k: v for k, v in levels.items()}
    needs = fields.get("needs", [])
    if not isinstance(needs, list | str):
        raise SettingsError(f"{where}: needs is a list of {', '.join(get_args(Need))}, got {needs!r}.")
    fields["needs"] = (needs,) if isinstance(needs, str) else tuple(needs)
    try:
        return Rubric(**fields)
    except SettingsError as error:
        raise SettingsError(f"{where}: {error}") from None
