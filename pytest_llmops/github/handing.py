"""What one step of the action hands to the next, and a run to the job that comments on it."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from pytest_llmops.errors import SettingsError
from pytest_llmops.github.inputs import Inputs
from pytest_llmops.options import RecordMode
from pytest_llmops.reports.pull_request import BaselineSource, View

FILE = "state.json"
VIEW = "view.json"
LARGEST_VIEW = 64 * 2**20
MOST_ANSWERS = 4 * 2**20
"""Characters of the baseline's answers that go with a view; above, the comment goes without former answers."""


@dataclass
class State:
    """What the steps of one use of the action know of the run so far.

    Args:
        root: the working directory; `recordings_root` the folder whose cassettes are kept, another one for `live`.
        checked_out: hashes of the cassettes there, as checked out.
        complete: the recordings have what everything merged until now had recorded.
        can_record: whether who opened the pull request could have had a miss recorded.
        baseline: its answers are beside its file; `before` as it was before this run updates it.
        accept: the file of accepted changes.
        changed: paths of the repository that this pull request changes.
        exit_code: pytest's; None where it did not come to its end. `problem` is what else makes the run an error.
        red: why the gate fails; None where it does not.
    """

    inputs: Inputs
    root: Path
    recordings_root: Path
    record: RecordMode = "none"
    cassette_dir: Path | None = None
    complete: bool = True
    can_record: bool = True
    checked_out: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    baseline: Path | None = None
    before: Path | None = None
    source: BaselineSource | None = None
    accept: Path | None = None
    changed: tuple[str, ...] = ()
    exit_code: int | None = None
    problem: str | None = None
    conclusion: str = "error"
    red: bool = True
    why: str = "the steps before the gate did not come to their end"

    @property
    def compared(self) -> Path | None:
        """The baseline that this run is compared with."""
        return self.before or self.baseline

    @property
    def stored_in(self) -> str | None:
        """What advice names in place of a baseline that lies in a temporary folder; None where it does not."""
        ours = self.compared is not None and self.compared != self.root / self.inputs.baseline_path
        return self.inputs.baseline_path if ours else None


_STATE = TypeAdapter(State)
_VIEW = TypeAdapter(View)


def save(folder: Path, state: State) -> None:
    """Write the state for the next step."""
    (folder / FILE).write_bytes(_STATE.dump_json(state))


def load(folder: Path) -> State:
    """Read what the former step wrote.

    Raises:
        SettingsError: there is none.
    """
    try:
        return _STATE.validate_json((folder / FILE).read_bytes())
    except (OSError, ValidationError) as error:
        raise SettingsError(f"{folder / FILE}: no state of a former step of the action: {error}") from None


def save_view(path: Path, view: View) -> None:
    """Write a view without its run, which lies beside it."""
    if sum(len(text or "") for texts in view.answers.values() for text in texts) > MOST_ANSWERS:
        view = dataclasses.replace(view, answers={})
    document = _VIEW.dump_python(dataclasses.replace(view, run=None), mode="json")
    path.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")


def load_view(content: bytes) -> View:
    """Read a view from an artifact; nothing of it is to be trusted.

    Raises:
        SettingsError: it is none.
    """
    try:
        return _VIEW.validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise SettingsError(f"{VIEW} in the artifact is no view of a run: {where}: {first['msg']}") from None
