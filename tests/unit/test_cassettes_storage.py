"""Cassette files: named, written whole, read with a clear word about everything else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pytest_llmops.cassettes import shape, storage
from pytest_llmops.errors import CassetteError
from tests.patience import least_cpu_s


def entry(text: str = "hi", key: str = "k1", **fields: Any) -> storage.Interaction:
    return {
        "key": key,
        "role": "app",
        "recorded_at": "2026-01-01T00:00:00+00:00",
        "request": {"method": "POST", "url": "https://h.test/v1", "body": {"json": {"q": text}}},
        "response": {"status": 200, "headers": {"content-type": "application/json"}, "body": {"json": {"a": text}}},
        "timing": {"at_ms": 0.0, "elapsed_ms": 12.5, "chunks": "10@1.5 20@12.5"},
        **fields,
    }


def test_written_and_read(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "c.json"
    entries = [entry("é 東京 🗼"), entry("line\nbreak", "k2")]
    storage.save(path, entries, test="t.py::test_é")
    assert storage.load(path) == entries
    assert storage.header(path) == "t.py::test_é"
    assert "東京" in path.read_text(encoding="utf-8"), "a review shows the text"
    assert [p.name for p in path.parent.iterdir()] == ["c.json"]


@pytest.mark.skipif(os.name == "nt", reason="modes of POSIX")
def test_the_file_has_the_mode_that_others_expect(tmp_path: Path) -> None:
    storage.save(tmp_path / "c.json", [entry()], test="t")
    umask = os.umask(0)
    os.umask(umask)
    assert (tmp_path / "c.json").stat().st_mode & 0o777 == 0o666 & ~umask


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "c.json"
    storage.save(path, [entry()], test="t")
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CassetteError, match=r"c\.json: cannot be written: No space left on device"):
        storage.save(path, [entry("other")], test="t")
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["c.json"]


@pytest.mark.parametrize(
    "name", ["test_a[x/y:z]", "test_ü[Grüße 東京]", "../../etc/passwd", "t" * 500, "[]", "CON", "a\nb"]
)
def test_file_names_are_safe_and_distinct(name: str) -> None:
    made = storage.file_name(name)
    assert len(made.encode()) < 255
    assert "/" not in made
    assert "\n" not in made
    assert not made.startswith((".", "-"))
    assert made != storage.file_name(name + "!")


def damaged(data: bytes, tmp_path: Path) -> str:
    path = tmp_path / "c.json"
    path.write_bytes(data)
    with pytest.raises(CassetteError) as caught:
        storage.load(path, hint="pytest t.py --llm-record=all")
    assert caught.value.__cause__ is None
    return str(caught.value)


WHOLE = storage.dump([entry()], "t.py::test")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (WHOLE[: len(WHOLE) // 2], "is not whole JSON"),
        (b"<<<<<<< a\n" + WHOLE + b"=======\n>>>>>>> b\n", "git conflict markers"),
        (
            WHOLE.replace(b'"schema": 1', b'"schema": 2'),
            "written by a newer pytest-llmops (format 2, this one reads 1)",
        ),
        (WHOLE.replace(b'"schema": 1', b'"schema": "1"'), "'schema' is '1', expected 1"),
        (WHOLE.replace(b'"schema": 1', b'"schema": -1'), "'schema' is -1, expected 1"),
        (WHOLE.replace(b'"schema": 1', b'"schema": true'), "'schema' is True, expected 1"),
        (b"[" * 500_000, "nested too deeply"),
        (b'{"a":' * 200_000, "nested too deeply"),
        (b'{"schema": ' + b"1" * 6000 + b"}", "is not whole JSON"),
        (WHOLE.replace(b"12.5", b"1e999"), "1e999 is no number a cassette can hold"),
        (WHOLE.replace(b"12.5", b"-Infinity"), "-Infinity is no JSON"),
        (WHOLE.replace(b'"hi"', b'"h\\ud83di"'), "holds half a character"),
        (WHOLE.replace(b'"hi"', b'"\xed\xa0\x80"'), "is not whole JSON"),
        (b'{"schema": 1}', "no 'interactions'"),
        (b'{"schema": 1, "interactions": {}}', "'interactions' is no list"),
        (b'"text"', "is no cassette"),
        (b"\xff\xfe\x00", "is not whole JSON"),
        (b"", "is not whole JSON"),
    ],
)
def test_a_damaged_file_is_one_clear_message(data: bytes, words: str, tmp_path: Path) -> None:
    message = damaged(data, tmp_path)
    assert words in message
    assert message.startswith(str(tmp_path / "c.json"))
    assert "record it again: pytest t.py --llm-record=all" in message or "pip install -U" in message


def test_a_folder_in_its_place(tmp_path: Path) -> None:
    with pytest.raises(CassetteError, match="cannot be read"):
        storage.load(tmp_path)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"key": 1}, "lacks key, request or response"),
        ({"request": []}, "lacks key, request or response"),
        ({"role": "other"}, "role is neither app nor judge"),
        ({"role": []}, "role is neither app nor judge"),
        ({"recorded_at": "yesterday"}, "recorded_at is no date"),
        ({"recorded_at": 5}, "recorded_at is no date"),
        ({"recorded_at": "2026-01-01T00:00:00"}, "recorded_at names no offset from UTC"),
        ({"timing": 5}, "timing is no object"),
        ({"timing": {"at_ms": "1"}}, "timing.at_ms is no number"),
        ({"timing": {"elapsed_ms": 10**400}}, "timing.elapsed_ms is no number"),
        ({"timing": {"chunks": "1@2,3@4"}}, "timing.chunks is no list of bytes@ms"),
        ({"timing": {"chunks": "9" * 5000 + "@1"}}, "timing.chunks is no list of bytes@ms"),
        ({"request": {"url": 5}}, "request.url is no text"),
        ({"request": {"url": "http://[x"}}, "request.url is no URL"),
        ({"request": {"body": {"base64": "abc"}}}, "request.body.base64 is no base64"),
        ({"request": {"body": {"json": 1, "sse": []}}}, "request.body is of no known kind"),
        ({"request": {"body": "x"}}, "request.body is of no known kind"),
        ({"response": {"status": "200"}}, "response.status is no HTTP status"),
        ({"response": {"status": 10**30}}, "response.status is no HTTP status"),
        ({"response": {"status": True}}, "response.status is no HTTP status"),
        ({"response": {}}, "response.status is no HTTP status"),
        ({"response": {"error": "x"}}, "response.error lacks type or message"),
        ({"response": {"status": 200, "headers": {"a": 1}}}, "response.headers is no object of texts"),
        ({"response": {"status": 200, "body": {"sse": [1]}}}, "response.body.sse is no list of texts"),
        ({"response": {"status": 200, "body": {"multipart": []}}}, "response.body is of no known kind"),
    ],
)
def test_faults_of_an_interaction(change: dict[str, Any], fault: str, tmp_path: Path) -> None:
    assert shape.fault({**entry(), **change}) == fault
    data = json.dumps({"schema": 1, "interactions": [entry(), {**entry(), **change}]}).encode()
    assert f"interaction 2: {fault}" in damaged(data, tmp_path)


@pytest.mark.parametrize("time", [float("nan"), float("inf")])
def test_times_that_are_no_numbers(time: float) -> None:
    assert shape.fault(entry(timing={"elapsed_ms": time})) == "timing.elapsed_ms is no number"


def test_escapes_of_whole_characters_are_read(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_bytes(WHOLE.replace(b'"hi"', b'"\\ud83d\\ude00 \\\\ud83d"'))
    (read,) = storage.load(tmp_path / "c.json")
    assert read["request"]["body"]["json"]["q"] == "\N{GRINNING FACE} \\ud83d"


def test_what_is_recorded_has_no_fault() -> None:
    assert shape.fault(entry()) is None
    assert shape.fault(entry(response={"error": {"type": "ReadTimeout", "message": ""}}, timing=None)) is None
    assert shape.fault(entry(timing={"chunks": "1@0 2@1e+06 300@1234567.8"})) is None


def test_fifty_megabytes(tmp_path: Path) -> None:
    path = tmp_path / "big.json"
    storage.save(path, [entry("x" * 1_000_000, f"k{i}") for i in range(26)], test="t")
    assert path.stat().st_size > 50_000_000
    assert least_cpu_s(lambda: storage.load(path), enough=5) < 5
    assert len(storage.load(path)) == 26


@pytest.mark.parametrize(
    "head", [b'{"test": "\\x"}', b'{"test": "\xff"}', b'{"test": "a\nb"}', b"", b"\x00" * 5000, b"{}"]
)
def test_a_header_that_says_nothing(head: bytes, tmp_path: Path) -> None:
    (tmp_path / "c.json").write_bytes(head)
    assert storage.header(tmp_path / "c.json") is None
    assert storage.header(tmp_path / "absent.json") is None


def test_digest_does_not_depend_on_order() -> None:
    one, two = entry("a", "k1"), entry("b", "k2")
    assert storage.digest([one, two]) == storage.digest([two, one])
    assert storage.digest([one]) != storage.digest([one, two])
    assert storage.digest([]) is None


def test_the_lock_holds_other_processes_off(tmp_path: Path) -> None:
    cassette = tmp_path / "c.json"
    code = (
        "import sys, pathlib; from pytest_llmops.cassettes import storage\n"
        "print('before', flush=True)\n"
        "with storage.locked(pathlib.Path(sys.argv[1])): print('in', flush=True)"
    )
    with storage.locked(cassette):
        other = subprocess.Popen([sys.executable, "-c", code, str(cassette)], stdout=subprocess.PIPE, text=True)
        assert other.stdout is not None
        assert other.stdout.readline() == "before\n"
        with pytest.raises(subprocess.TimeoutExpired):
            other.wait(0.5)
    assert other.communicate(timeout=60) == ("in\n", None)


def test_without_a_place_for_the_lock_work_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage.tempfile, "gettempdir", lambda: str(tmp_path / "absent"))
    with storage.locked(tmp_path / "c.json"):
        storage.save(tmp_path / "d.json", [entry()], test="t")
