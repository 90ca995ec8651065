"""Tapes: what each record mode finds, calls, keeps and drops."""

from __future__ import annotations

import asyncio
import gc
import json
import random
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from pytest_llmops.cassettes import storage
from pytest_llmops.cassettes.foreign import Source
from pytest_llmops.cassettes.miss import CassetteMiss
from pytest_llmops.cassettes.redaction import Scrubber
from pytest_llmops.cassettes.tape import Tape
from pytest_llmops.cassettes.tape_options import TapeOptions
from pytest_llmops.cassettes.transfer import Transfer
from pytest_llmops.errors import CassetteError
from pytest_llmops.options import RecordMode

URL = "https://api.openai.com/v1/chat/completions"
COMMAND = "pytest t.py::test --llm-record=refresh"
OPTIONS = TapeOptions()


def body(text: str, **fields: Any) -> bytes:
    return json.dumps({"model": "m", "messages": [{"role": "user", "content": text}], **fields}).encode()


def open_tape(path: Path, mode: RecordMode = "once", options: TapeOptions = OPTIONS) -> Tape:
    return Tape(None if mode == "live" else path, mode, options, test="t.py::test", command=COMMAND)


def begin(tape: Tape, text: str = "hi", **fields: Any) -> Transfer:
    transfer = tape.begin("POST", URL, body=body(text, **fields), content_type="application/json")
    assert transfer is not None
    return transfer


def ask(tape: Tape, text: str = "hi", status: int = 200, answer: bytes | None = None, **fields: Any) -> str:
    """One exchange; the answer's text, ``LIVE: …`` where the provider was asked."""
    transfer = begin(tape, text, **fields)
    if transfer.live:
        transfer.head(status, {"Content-Type": "application/json", "Set-Cookie": "secret=1", "Retry-After": "3"})
        transfer.chunk(answer if answer is not None else json.dumps({"said": text}).encode())
        transfer.end()
        return f"LIVE: {text}"
    return str(json.loads(b"".join(part for part, _ in transfer.playback().chunks))["said"])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cassettes" / "c.json"


def record(path: Path, *texts: str) -> None:
    tape = open_tape(path, "all")
    for text in texts:
        ask(tape, text)
    tape.close(passed=True)


def stored(path: Path) -> list[str]:
    return [e["request"]["body"]["json"]["messages"][0]["content"] for e in storage.load(path)] if path.exists() else []


# modes


@pytest.mark.parametrize(
    ("mode", "said", "left"),
    [
        ("none", ["a", "CassetteMiss"], ["a", "b"]),
        ("once", ["a", "CassetteMiss"], ["a", "b"]),
        ("new_episodes", ["a", "LIVE: new"], ["a", "new", "b"]),
        ("refresh", ["a", "LIVE: new"], ["a", "new"]),
        ("all", ["LIVE: a", "LIVE: new"], ["a", "new"]),
        ("live", ["LIVE: a", "LIVE: new"], ["a", "b"]),
    ],
)
def test_each_mode_with_a_cassette(path: Path, mode: RecordMode, said: list[str], left: list[str]) -> None:
    record(path, "a", "b")
    tape, heard = open_tape(path, mode), []
    for text in ("a", "new"):
        try:
            heard.append(ask(tape, text))
        except CassetteMiss:
            heard.append("CassetteMiss")
    tape.close(passed=True)
    assert heard == said
    assert stored(path) == left


@pytest.mark.parametrize("mode", ["once", "new_episodes", "refresh", "all"])
def test_each_recording_mode_without_one(path: Path, mode: RecordMode) -> None:
    tape = open_tape(path, mode)
    assert ask(tape, "a") == "LIVE: a"
    tape.close(passed=False)
    assert stored(path) == ["a"], "a failed test's recording was paid for"


@pytest.mark.parametrize("mode", ["refresh", "all"])
def test_only_a_passing_test_drops_what_it_did_not_use(path: Path, mode: RecordMode) -> None:
    record(path, "a", "b")
    tape = open_tape(path, mode)
    ask(tape, "a")
    tape.close(passed=False)
    assert stored(path) == ["a", "b"]


def test_a_replay_writes_nothing(path: Path) -> None:
    record(path, "a", "b")
    before = path.stat().st_mtime_ns, path.read_bytes()
    for mode in ("none", "once", "new_episodes"):
        tape = open_tape(path, mode)
        assert ask(tape, "a") == "a"
        tape.close(passed=True)
    assert (path.stat().st_mtime_ns, path.read_bytes()) == before


def test_what_another_process_recorded_meanwhile_stays(path: Path) -> None:
    one, other = open_tape(path), open_tape(path)
    ask(one, "a")
    ask(other, "b")
    one.close(passed=True)
    other.close(passed=True)
    assert sorted(stored(path)) == ["a", "b"]
    assert not (path.parent / ".journal").exists()


# matching


def test_equal_requests_are_told_apart_by_order(path: Path) -> None:
    tape = open_tape(path)
    for number in range(3):
        ask(tape, "same", answer=json.dumps({"said": f"answer {number}"}).encode())
    tape.close(passed=True)
    again = open_tape(path, "none")
    assert [ask(again, "same") for _ in range(3)] == ["answer 0", "answer 1", "answer 2"]
    with pytest.raises(CassetteMiss, match="recorded 3 times, and was made once more"):
        ask(again, "same")


def test_ids_the_provider_made_up_match_in_the_second_tier_and_are_told(path: Path) -> None:
    tape = open_tape(path)
    ask(tape, "x", tools=[{"id": "call_1"}])
    tape.close(passed=True)
    again = open_tape(path, "none")
    assert ask(again, "x", tools=[{"id": "call_2"}]) == "x"
    assert again.notes == ["call 1: matched after renaming ids by order"]
    with pytest.raises(CassetteMiss):
        ask(open_tape(path, "none"), "at 10:00", tools=[{"id": "call_2"}])


def test_the_projects_patterns_match_in_the_second_tier(path: Path) -> None:
    record(path, "trace 1a2b")
    options = TapeOptions(id_patterns=(re.compile(r"trace \w+"),))
    assert ask(open_tape(path, "none", options), "trace 77ff") == "trace 1a2b"


def test_scrubbed_requests_match_and_hold_nothing(path: Path) -> None:
    options = TapeOptions(scrub=Scrubber([r"\d{3}-\d{4}"]))
    tape = open_tape(path, options=options)
    ask(tape, "call 555-1234")
    tape.close(passed=True)
    assert "555" not in path.read_text()
    assert ask(open_tape(path, "none", options), "call 555-9999") == "call [scrubbed]"


def test_threads_get_each_recording_once(path: Path) -> None:
    texts = [f"q{i % 20}" for i in range(200)]
    record(path, *texts)
    tape = open_tape(path, "none")
    order = random.Random(3).sample(texts, len(texts))
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda text: ask(tape, text), order)) == order
    assert not tape.misses


@pytest.mark.parametrize("text", ["{}", "same"], ids=["different", "equal"])
def test_replaying_thousands_is_linear(path: Path, text: str) -> None:
    def seconds(count: int) -> float:
        record(path, *[text.format(i) if text == "{}" else text for i in range(count)])
        tape = open_tape(path, "none")
        gc.collect()
        gc.disable()  # the collector walks all that the suite holds, whatever the cassette's size
        try:
            started = time.process_time()
            for i in range(count):
                ask(tape, text.format(i) if text == "{}" else text)
            return time.process_time() - started
        finally:
            gc.enable()

    small, large = seconds(300), seconds(3000)
    assert large < 25 * max(small, 0.01), "ten times as many took far more than ten times as long"


# what is kept


def test_of_headers_only_the_allowed_ones(path: Path) -> None:
    record(path, "a")
    (entry,) = storage.load(path)
    assert entry["response"]["headers"] == {"content-type": "application/json", "retry-after": "3"}
    assert "headers" not in entry["request"]
    assert "secret=1" not in path.read_text()


@pytest.mark.parametrize(
    ("status", "answer", "kept"),
    [
        (200, b"{}", True),
        (400, b'{"error": "bad"}', True),
        (429, b'{"error": "rate limit"}', True),
        (500, b"oops", True),
        (529, b"{}", True),
        (401, b"{}", False),
        (402, b"{}", False),
        (403, b"{}", False),
        (429, b'{"code": "insufficient_quota"}', False),
        (400, b"Your credit balance is too low", False),
    ],
)
def test_answers_that_are_kept_and_those_that_are_shown_only(
    path: Path, status: int, answer: bytes, kept: bool
) -> None:
    tape = open_tape(path)
    ask(tape, "a", status, answer)
    tape.close(passed=True)
    assert path.exists() is kept
    assert len(tape.finished()) == 1
    assert bool(tape.notes) is not kept


def test_a_secret_refuses_the_file_and_keeps_the_rest_for_the_next_run(path: Path) -> None:
    secret = "sk-" + "ant-api03-" + "x" * 40
    tape = open_tape(path)
    ask(tape, "clean")
    ask(tape, f"my key is {secret}")
    with pytest.raises(CassetteError) as caught:
        tape.close(passed=True)
    assert "looks like a secret (Anthropic key)" in str(caught.value)
    assert secret not in str(caught.value)
    assert not path.exists()
    assert secret not in "".join(p.read_text() for p in path.parent.rglob("*") if p.is_file())
    second = open_tape(path)
    assert ask(second, "clean") == "clean"
    second.close(passed=True)
    assert stored(path) == ["clean"]
    assert not (path.parent / ".journal").exists()


def test_overlapped_calls_are_stored_in_an_order_of_their_own(path: Path, tmp_path: Path) -> None:
    def recorded(order: list[str], target: Path) -> list[str]:
        tape = open_tape(target)
        open_ones = [begin(tape, text) for text in order]
        for transfer in random.Random(len(order[0])).sample(open_ones, len(open_ones)):
            transfer.head(200, {})
            transfer.end()
        tape.close(passed=True)
        return stored(target)

    assert recorded(["a", "b", "c"], path) == recorded(["c", "a", "b"], tmp_path / "d.json")


def test_calls_one_after_another_are_stored_in_their_order(path: Path) -> None:
    record(path, "c", "a", "b")
    assert stored(path) == ["c", "a", "b"]


# ends that are none


def test_a_stream_nobody_closed_is_flushed_at_the_end(path: Path) -> None:
    tape = open_tape(path)
    transfer = begin(tape, "x", stream=True)
    transfer.head(200, {"content-type": "text/event-stream"})
    transfer.chunk(b"data: {}\n\ndata: [DONE]\n\n")
    tape.close(passed=True)
    (entry,) = storage.load(path)
    assert "truncated" not in entry["timing"], "its last event had come"
    transfer.chunk(b"late")
    transfer.end()
    assert b"late" not in path.read_bytes()


def test_reading_past_a_cut_recording_is_a_miss(path: Path) -> None:
    tape = open_tape(path)
    transfer = begin(tape, "x", stream=True)
    transfer.head(200, {"content-type": "text/event-stream"})
    transfer.chunk(b"data: {}\n\n")
    tape.close(passed=True)
    again = open_tape(path, "none")
    playback = begin(again, "x", stream=True).playback()
    assert not again.misses
    assert playback.beyond is not None
    with pytest.raises(CassetteMiss, match=r"is cut: its reader stopped there.*\n.*--llm-record=all"):
        raise playback.beyond()
    assert again.misses


def test_a_call_still_waiting_when_the_test_ends_is_given_up_on_replay_too(path: Path) -> None:
    tape = open_tape(path)
    begin(tape)
    tape.close(passed=True)
    playback = begin(open_tape(path, "none")).playback()
    assert playback.given_up
    assert not playback.status


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(), pytest.fail.Exception("timeout")])
def test_an_interrupted_call_is_no_answer(path: Path, error: BaseException) -> None:
    tape = open_tape(path)
    begin(tape).fail(error)
    tape.close(passed=False)
    assert not path.exists()


@pytest.mark.parametrize("error", [ConnectionError("reset"), asyncio.CancelledError()])
def test_a_failed_call_is_one(path: Path, error: BaseException) -> None:
    tape = open_tape(path)
    begin(tape).fail(error, reason=TimeoutError("slow") if isinstance(error, ConnectionError) else None)
    tape.close(passed=True)
    failure = begin(open_tape(path, "none")).playback().failure
    assert failure is not None
    assert failure.type in ("ConnectionError/TimeoutError", "CancelledError")


@pytest.mark.parametrize(
    ("error", "kept"), [(ConnectionError("reset"), False), (asyncio.CancelledError(), True)], ids=["outage", "given up"]
)
def test_a_failed_test_keeps_no_outage(path: Path, error: BaseException, kept: bool) -> None:
    tape = open_tape(path)
    begin(tape).fail(error)
    ask(tape, "limited", 429, b"{}")
    ask(tape, "limited")  # mended by a later try: both stay
    ask(tape, "down", 503, b"{}")
    tape.close(passed=False)
    assert stored(path) == [*(["hi"] if kept else []), "limited", "limited"]


def test_what_the_end_of_a_test_cancelled_is_not_recorded(path: Path) -> None:
    tape = open_tape(path)
    ask(tape, "answered")
    begin(tape).fail(asyncio.CancelledError())
    tape.close(passed=False)
    assert stored(path) == ["answered"]


def test_a_cancelled_call_is_no_leftover_of_a_run_that_was_stopped(path: Path) -> None:
    tape = open_tape(path)
    begin(tape).fail(asyncio.CancelledError())
    assert not (path.parent / ".journal").exists()


@pytest.mark.asyncio
async def test_a_cancelled_call_is_not_waited_for_for_good(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tape = open_tape(path)
    begin(tape).fail(asyncio.CancelledError())
    tape.close(passed=True)
    monkeypatch.setattr("pytest_llmops.cassettes.transfer._PATIENCE_S", 0.05)
    again = open_tape(path, "none")
    with pytest.raises(CassetteMiss, match=r"call 1 was cancelled after .* this time nobody cancels it"):
        await begin(again).playback().outlast()
    assert len(again.misses) == 1


def test_errors_replay_without_rest(path: Path) -> None:
    tape = open_tape(path)
    ask(tape, "a", 429, b"{}")
    tape.close(passed=True)
    headers = begin(open_tape(path, "none"), "a").playback().headers
    assert headers["retry-after"] == "0"
    assert headers["retry-after-ms"] == "1"


def test_a_body_that_cannot_be_read_is_a_miss_no_application_swallows(path: Path) -> None:
    record(path, "a")
    tape = open_tape(path, "none")
    transfer = begin(tape, "a")
    assert transfer.hit is not None
    transfer.hit["response"]["body"]["json"] = float("nan")  # as if loading had let it through
    with pytest.raises(CassetteMiss, match="a body cannot be read"):
        transfer.playback()
    assert tape.misses


# times


def test_live_and_replayed_exchanges_are_equal(path: Path) -> None:
    tape = open_tape(path)
    transfer = begin(tape, "x", stream=True)
    transfer.head(200, {"content-type": "text/event-stream", "x-other": "1"})
    for part in (b"data: 1\n", b"\n", b"data: 2\n\n"):
        time.sleep(0.002)
        transfer.chunk(part)
    transfer.end()
    tape.close(passed=True)
    live = transfer.exchange()
    replayed = begin(open_tape(path, "none"), "x", stream=True).exchange()
    assert live is not None
    assert replayed is not None
    live.replayed = True
    assert replayed == live
    assert [size for size, _ in replayed.chunks] == [8, 1, 9]
    assert replayed.response_body == b"data: 1\n\ndata: 2\n\n"
    assert replayed.elapsed_ms == pytest.approx(replayed.chunks[-1][1])


def test_the_digest_is_the_same_for_the_recording_run_and_its_replay(path: Path) -> None:
    tape = open_tape(path)
    ask(tape, "a")
    tape.close(passed=True)
    again = open_tape(path, "none")
    ask(again, "a")
    assert again.digest() == tape.digest() is not None


def test_traffic_of_others_passes_on_record_and_is_refused_on_replay(path: Path) -> None:
    assert open_tape(path).begin("GET", "https://vectors.test/q") is None
    assert open_tape(path, "none").begin("GET", "http://localhost:9/q") is None
    with pytest.raises(CassetteMiss, match="is no LLM call, and nothing leaves the machine"):
        open_tape(path, "none").begin("GET", "https://vectors.test/q")
    recorded = open_tape(path, options=TapeOptions(record_hosts=("*.test",)))
    assert recorded.begin("GET", "https://vectors.test/q") is not None


def test_loopback_does_not_let_an_llm_call_through(path: Path) -> None:
    with pytest.raises(CassetteMiss):
        open_tape(path, "none").begin("POST", "http://127.0.0.1:11434/api/chat", body=body("x"))


def test_a_thread_of_a_finished_test_is_harmless(path: Path) -> None:
    tape = open_tape(path)
    transfer = begin(tape)
    go = threading.Event()

    def late() -> None:
        go.wait()
        transfer.head(200, {})
        transfer.chunk(b"{}")
        transfer.end()

    thread = threading.Thread(target=late)
    thread.start()
    tape.close(passed=True)
    before = path.read_bytes()
    go.set()
    thread.join()
    assert path.read_bytes() == before


def test_a_part_of_another_recorders_cassette_has_the_digest_of_the_whole(tmp_path: Path) -> None:
    """The gate compares a trial that came to use only a part of its recording with what the whole was measured as."""
    entry = """
- request: {{method: POST, uri: 'https://api.openai.com/v1/chat/completions', body: '{body}', headers: {{}}}}
  response: {{status: {{code: 200, message: OK}}, headers: {{}}, body: {{string: '{{}}'}}}}"""
    bodies = ['{"model": "m", "messages": [1]}', '{"model": "m", "messages": [2]}']
    theirs = tmp_path / "theirs.yaml"
    theirs.write_text("version: 1\ninteractions:" + "".join(entry.format(body=body) for body in bodies))

    def replayed(*asked: str) -> Tape:
        tape = Tape(tmp_path / "ours.json", "none", TapeOptions(), foreign=lambda: Source([theirs], {}))
        for body in asked:
            taken = tape.begin("POST", "https://api.openai.com/v1/chat/completions", body=body.encode())
            assert taken is not None
            assert taken.hit is not None
        return tape

    whole, part = replayed(*bodies), replayed(bodies[0])
    assert whole.unused_digest() is None
    assert part.unused_digest() == whole.digest() != part.digest()
