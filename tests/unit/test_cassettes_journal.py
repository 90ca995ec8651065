"""The journal: exchanges survive the death of their run, once, and nothing else does."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_llmops.cassettes.journal import FOLDER, Journal, Leftovers, RunJournal
from pytest_llmops.cassettes.storage import Interaction


def entry(text: str) -> Interaction:
    return {"key": text, "request": {"method": "POST"}, "response": {"status": 200, "body": {"lines": [text]}}}


@pytest.fixture
def cassette(tmp_path: Path) -> Path:
    return tmp_path / "cassettes" / "test_a-1.json"


def left(cassette: Path) -> list[str]:
    return [found["key"] for found in Leftovers(cassette).interactions]


def test_nothing_is_made_before_the_first_exchange(cassette: Path) -> None:
    Journal(cassette).discard()
    Journal(cassette).close()
    assert not cassette.parent.exists()
    assert left(cassette) == []


def test_a_living_journal_is_nobodys_leftover(cassette: Path) -> None:
    journal = Journal(cassette)
    journal.append(entry("one"))
    journal.append(entry("zwei é"))
    assert journal.keeps
    assert left(cassette) == []
    journal.close()
    assert left(cassette) == ["one", "zwei é"]


def test_a_discarded_journal_leaves_no_trace(cassette: Path) -> None:
    journal, other = Journal(cassette), Journal(cassette.with_name("test_b.json"))
    journal.append(entry("one"))
    other.append(entry("two"))
    journal.discard()
    assert (cassette.parent / FOLDER).is_dir(), "another recording is under way"
    other.discard()
    assert not (cassette.parent / FOLDER).exists()


def test_git_is_told_to_ignore_it(cassette: Path) -> None:
    Journal(cassette).append(entry("one"))
    assert (cassette.parent / FOLDER / ".gitignore").read_text() == "*\n"


def test_leftovers_are_those_of_the_cassette_and_go_when_discarded(cassette: Path) -> None:
    for name in ("test_a-1.json", "test_a-12.json", "test_a.json"):
        journal = Journal(cassette.with_name(name))
        journal.append(entry(name))
        journal.close()
    leftovers = Leftovers(cassette)
    assert [found["key"] for found in leftovers.interactions] == ["test_a-1.json"]
    leftovers.discard()
    assert left(cassette) == []
    assert left(cassette.with_name("test_a.json")) == ["test_a.json"]


def test_what_a_killed_process_wrote_is_there(cassette: Path) -> None:
    code = (
        "import os, pathlib, sys; from pytest_llmops.cassettes.journal import Journal\n"
        "journal = Journal(pathlib.Path(sys.argv[1]))\n"
        "journal.append({'key': 'paid', 'request': {}, 'response': {'status': 200}})\n"
        "os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(cassette)], check=False).returncode == -9
    assert left(cassette) == ["paid"]


@pytest.mark.parametrize(
    "line",
    [
        '{"key": "cut", "requ',
        "null",
        "5",
        "{}",
        '{"key": 1, "request": {}, "response": {}}',
        "[" * 100_000,
        "\x00",
        "\ud800",
    ],
)
def test_a_broken_line_is_passed_over(cassette: Path, line: str) -> None:
    journal = Journal(cassette)
    journal.append(entry("one"))
    journal.close()
    (path,) = (cassette.parent / FOLDER).glob("*.jsonl")
    with path.open("ab") as file:
        file.write(line.encode(errors="surrogatepass") + b"\n" + json.dumps(entry("two")).encode() + b"\n")
    assert left(cassette) == ["one", "two"]


def test_a_folder_that_takes_nothing_breaks_the_journal_only(cassette: Path) -> None:
    cassette.parent.write_text("a file in the folder's place")
    journal = Journal(cassette)
    journal.append(entry("one"))
    assert journal.broken
    assert not journal.keeps
    journal.append(entry("two"))
    journal.close()
    journal.discard()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_breaks_the_journal_only(cassette: Path) -> None:
    journal = Journal(cassette)
    journal.append(entry("one"))
    (path,) = (cassette.parent / FOLDER).glob("*.jsonl")
    journal.close()
    path.unlink()
    path.symlink_to("/dev/full")
    again = Journal(cassette)
    again.append(entry("x" * 100_000))
    assert again.broken
    again.discard()


def test_a_folder_removed_by_another_process_is_made_again(cassette: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, real = [], Path.open

    def removed_meanwhile(self: Path, *args: object, **kwargs: object) -> object:
        if self.suffix == ".jsonl" and not made:
            made.append(self)
            (self.parent / ".gitignore").unlink()
            self.parent.rmdir()
        return real(self, *args, **kwargs)

    monkeypatch.setattr(Path, "open", removed_meanwhile)
    journal = Journal(cassette)
    journal.append(entry("one"))
    assert made
    assert journal.keeps


# -- a run's journal --------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "llmops-live"


def resumed(folder: Path, *names: str) -> list[list[str]]:
    journal = RunJournal(folder, resumed=True)
    return [[found["key"] for found in journal.left(folder / name)] for name in names]


def test_tapes_of_a_run_share_one_file_and_get_back_their_own(folder: Path) -> None:
    journal = RunJournal(folder, resumed=False)
    assert not folder.exists(), "nothing is made before the first exchange"
    one, two = journal.part(folder / "test_a" / "one.json"), journal.part(folder / "two.json")
    one.append(entry("a"))
    two.append(entry("b"))
    one.append(entry("c é"))
    assert one.keeps
    assert two.keeps
    assert not journal.part(folder / "three.json").keeps
    assert len(list(folder.iterdir())) == 1
    journal.close()
    assert resumed(folder, "test_a/one.json", "two.json", "three.json") == [["a", "c é"], ["b"], []]
    assert [found["key"] for found in RunJournal(folder, resumed=False).left(folder / "two.json")] == []


def test_what_a_tape_takes_back_is_asked_for_anew(folder: Path) -> None:
    journal = RunJournal(folder, resumed=False)
    first, other = journal.part(folder / "a.json"), journal.part(folder / "b.json")
    first.append(entry("429"))
    other.append(entry("kept"))
    first.discard()
    other_again = journal.part(folder / "b.json")
    other_again.discard()  # it has put in nothing, so there is nothing to take back
    again = journal.part(folder / "a.json")
    again.append(entry("answered"))
    journal.close()
    assert resumed(folder, "a.json", "b.json") == [["answered"], ["kept"]]


def test_a_living_run_is_nobodys_leftover_and_a_dead_one_is_read_by_every_worker(folder: Path) -> None:
    living = RunJournal(folder, resumed=False)
    living.part(folder / "a.json").append(entry("one"))
    assert resumed(folder, "a.json") == [[]]
    living.close()
    readers = [RunJournal(folder, resumed=True) for _ in range(2)]
    readers[0].part(folder / "b.json").append(entry("two"))
    assert [[found["key"] for found in reader.left(folder / "a.json")] for reader in readers] == [["one"], ["one"]]
    readers[0].close()
    assert resumed(folder, "a.json", "b.json") == [["one"], ["two"]], "a second resume finds both"


@pytest.mark.parametrize(
    "line",
    ['{"tape": "a.json", "exch', "null", "5", "{}", '{"tape": 3, "exchange": {}}', '{"tape": "a.json", "exchange": 5}'],
)
def test_a_broken_line_of_a_run_is_passed_over(folder: Path, line: str) -> None:
    journal = RunJournal(folder, resumed=False)
    journal.part(folder / "a.json").append(entry("one"))
    journal.close()
    (path,) = folder.glob("*.jsonl")
    with path.open("a") as file:
        file.write(line + "\n" + json.dumps({"tape": "a.json", "exchange": entry("two")}) + "\n")
    assert resumed(folder, "a.json") == [["one", "two"]]


def test_a_run_whose_disk_takes_nothing_goes_on(folder: Path) -> None:
    folder.write_text("a file in the folder's place")
    journal = RunJournal(folder, resumed=False)
    part = journal.part(folder / "a.json")
    part.append(entry("one"))
    assert part.broken
    assert not part.keeps
    part.append(entry("two"))
    part.discard()
    journal.close()
