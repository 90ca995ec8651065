"""The prompts of a project, found by reference."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from pytest_llmops.errors import PromptError, did_you_mean
from pytest_llmops.prompts import loading
from pytest_llmops.prompts.model import Prompt
from pytest_llmops.prompts.versions import LATEST, Version, family_of, matches

FOLDER = "prompts"


class Registry(Mapping[str, Prompt]):
    """Prompts by reference: ``registry["customer-support@2"]``. Files are read on first use.

    Args:
        folder: where the files lie, in subfolders, too; None: there is none, and looking for a prompt says so.
        start: where the folder was looked for, for messages.
    """

    def __init__(self, folder: Path | None, *, start: Path | None = None) -> None:
        self.folder, self._start = folder, start
        self._tell: Callable[[Prompt], None] | None = None
        self._loaded = self
        self._read: dict[str, Prompt] | None = None

    @classmethod
    def near(cls, start: Path, folder: Path | None, root: Path) -> Registry:
        """The registry of a test file's folder: `folder` where set, else the nearest ``prompts/`` up to `root`."""
        return cls(folder or find_folder(start, stop=root), start=start)

    def told(self, tell: Callable[[Prompt], None]) -> Registry:
        """The same prompts; `tell` hears of each that is taken out."""
        other = Registry(self.folder, start=self._start)
        other._tell, other._loaded = tell, self
        return other

    def __repr__(self) -> str:
        return f"Registry({str(self.folder)!r})"

    @property
    def _prompts(self) -> dict[str, Prompt]:
        owner = self._loaded
        if owner._read is None:
            owner._read = owner._all()
        return owner._read

    def _all(self) -> dict[str, Prompt]:
        found: dict[str, Prompt] = {}
        for path in self.files():
            for prompt in loading.load(path):
                other = next((o for o in found.values() if _same(o, prompt)), None)
                if other is not None:
                    raise PromptError(
                        f"{prompt.where}: {prompt.id} is in {other.where} already; every version is written once."
                    )
                found[prompt.id] = prompt
        return found

    def files(self) -> list[Path]:
        """The files that prompts are read from."""
        if self.folder is None:
            return []
        return sorted(path for path in self.folder.rglob("*") if path.suffix in loading.SUFFIXES and path.is_file())

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._prompts, key=lambda i: (self._prompts[i].family, self._prompts[i].version)))

    def __len__(self) -> int:
        return len(self._prompts)

    def __contains__(self, reference: object) -> bool:
        return isinstance(reference, str) and not isinstance(self._find(reference), str)

    def __getitem__(self, reference: str) -> Prompt:
        """The prompt meant by an id, ``name@2.3.1``, ``name@2``, ``name@latest`` or the name alone (the latest).

        Raises:
            PromptError: there is none; the message names the closest.
        """
        __tracebackhide__ = True
        found = self._find(reference)
        if isinstance(found, str):
            raise PromptError(found)
        if self._tell is not None:
            self._tell(found)
        return found

    def _find(self, reference: str) -> Prompt | str:
        """The prompt, or why there is none."""
        prompts = self._prompts
        if reference in prompts:
            return prompts[reference]
        family, wanted = _parts(reference)
        members = sorted((p for p in prompts.values() if p.family == family), key=lambda p: p.version)
        if not members:
            place = f"in {self.folder}" if self.folder else f"no {FOLDER}/ folder at or above {self._start or '.'}"
            # Ids close to a wrong name are those of its family; the family's name itself says more.
            names = {*prompts, *(p.family for p in prompts.values())}
            hint = did_you_mean(reference if wanted else family, names) if names else ""
            return f"no prompt {reference!r} ({place}).{hint}"
        if wanted is None:
            return next((p for p in reversed(members) if not p.version.pre), members[-1])
        try:
            chosen = [p for p in members if matches(p.version, wanted)]
        except ValueError as error:
            return f"prompt {reference!r}: {error}, nor {LATEST!r}."
        if chosen:
            return chosen[-1]
        versions = [str(p.version) for p in members]
        return f"prompt {reference!r}: {family} has no such version. Known: {', '.join(versions)}."


def find_folder(start: Path, *, stop: Path) -> Path | None:
    """The nearest ``prompts/`` folder beside or above `start`, up to `stop`, that has a prompt file."""
    for folder in (start, *start.parents):
        candidate = folder / FOLDER
        if candidate.is_dir() and any(path.suffix in loading.SUFFIXES for path in candidate.rglob("*")):
            return candidate
        if folder == stop:
            break
    return None


def _parts(reference: str) -> tuple[str, str | None]:
    family, at, wanted = reference.rpartition("@")
    if at:
        return family, None if wanted == LATEST else wanted
    return family_of(reference)


def _same(one: Prompt, other: Prompt) -> bool:
    return one.id == other.id or (one.family == other.family and Version.__eq__(one.version, other.version))
