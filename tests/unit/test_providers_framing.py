import pytest

from pytest_llmops.providers.framing import events, framing_of
from tests.wire.exchanges import AWS_STREAM, aws_chunk, aws_event, aws_exception, frame


def data(framing: str, body: bytes) -> list[object]:
    return [event.data for event in events(framing, body)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "body",
    [
        b'data: {"a":1}\n\ndata: {"b":2}\n\n',
        b'data: {"a":1}\r\n\r\ndata: {"b":2}\r\n\r\n',
        b'data: {"a":1}\r\rdata: {"b":2}\r\r',
        b'data:{"a":1}\n\ndata:{"b":2}\n\n',
        b'\xef\xbb\xbfdata: {"a":1}\n\ndata: {"b":2}\n\n',
        b': keep-alive\n\nid: 7\nretry: 10\ndata: {"a":1}\n\n: OPENROUTER PROCESSING\n\ndata: {"b":2}\n\n',
        b'data: {"a":\ndata: 1}\n\ndata: {"b":2}\n\n',
        b'data: {"a":1}\n\ndata: {"b":2}',
        b'data: {"a":1}\ndata: {"b":2}\n\n',
        b'data: {"a":1}\n\ndata: {"b":2}\n\n\n\n\n',
        b'data\ndata: {"a":1}\n\nunknown: x\ndata: {"b":2}\n\n',
    ],
)
def test_server_sent_events(body: bytes) -> None:
    assert [found for found in data("sse", body) if found != ""] == [{"a": 1}, {"b": 2}]


def test_event_names_do_not_leak_into_the_next_event() -> None:
    found = list(events("sse", b'event: error\ndata: {"a":1}\n\ndata: {"b":2}\n\nevent: ping\n\n'))
    assert [(event.name, event.data) for event in found] == [("error", {"a": 1}), ("", {"b": 2})]


def test_an_event_ends_at_the_last_byte_of_its_data() -> None:
    body = 'data: {"a":"é"}\r\n\r\ndata: {"b":2}'.encode()
    first, second = events("sse", body)
    assert body[: first.last + 1] == 'data: {"a":"é"}\r\n'.encode()
    assert second.last == len(body) - 1


def test_cut_and_broken_events_are_no_json() -> None:
    assert data("sse", b'data: {"a":1}\n\ndata: {"b":') == [{"a": 1}, '{"b":']
    assert data("sse", b'data: {"a":"\xff\xfe"}\n\n') == [{"a": "��"}]
    assert data("sse", b"data: [DONE]\n\n") == ["[DONE]"]


def test_ndjson() -> None:
    found = list(events("ndjson", b'{"a":1}\r\n\n\x1e{"b":2}\n{"c":'))
    assert [event.data for event in found] == [{"a": 1}, {"b": 2}]
    assert found[0].last == 8


def test_json_arrays_as_far_as_they_go() -> None:
    body = '[{"a": "ü"}\n,\r\n{"b": 2}, {"c'.encode()
    found = list(events("array", body))
    assert [event.data for event in found] == [{"a": "ü"}, {"b": 2}]
    assert body[: found[0].last + 1].endswith(b"}")
    assert body[: found[1].last + 1].endswith(b'{"b": 2}')


def test_event_stream_frames() -> None:
    body = aws_event("messageStart", {"role": "assistant"}) + aws_chunk({"type": "message_stop"})
    found = list(events("eventstream", body))
    assert [(event.name, event.data) for event in found] == [
        ("messageStart", {"role": "assistant"}),
        ("chunk", {"type": "message_stop"}),
    ]
    assert found[-1].last == len(body) - 1


def test_event_stream_exceptions() -> None:
    (event,) = events("eventstream", aws_exception("throttlingException", "Too many requests"))
    assert event.data == {"error": {"type": "throttlingException", "message": "Too many requests"}}


def test_event_stream_errors_without_a_payload() -> None:
    headers = {":message-type": "error", ":error-code": "InternalError", ":error-message": "it broke"}
    (event,) = events("eventstream", frame(headers, b""))
    assert event.data == {"error": {"type": "InternalError", "message": "it broke"}}


@pytest.mark.parametrize("cut", range(0, 90, 7))
def test_event_streams_cut_anywhere_give_the_whole_frames(cut: int) -> None:
    whole = aws_event("a", {"x": 1})
    body = whole + aws_event("b", {"y": 2})[:cut]
    assert data("eventstream", body) == [{"x": 1}]


@pytest.mark.parametrize(
    ("content_type", "body", "framing"),
    [
        ("text/event-stream", b"data: 1\n\n", "sse"),
        ("text/event-stream", b'{"error": {}}', "json"),
        ("application/json", b"data: {}\n\n", "sse"),
        ("", b"event: x\ndata: {}\n\n", "sse"),
        ("application/json", b' {"a": 1}', "json"),
        ("application/x-ndjson", b'{"a": 1}\n', "ndjson"),
        ("application/stream+json", b'{"a": 1}\n', "ndjson"),
        ("application/json", b"[1]", "json"),
        (AWS_STREAM, b"\x00\x00\x00\x10", "eventstream"),
        (AWS_STREAM, b'{"message": "denied"}', "json"),
        ("text/html", b"<html>", "json"),
    ],
)
def test_framing_is_told_from_the_first_bytes(content_type: str, body: bytes, framing: str) -> None:
    assert framing_of(content_type, body) == framing


def test_only_gemini_streams_arrays() -> None:
    assert framing_of("application/json", b"[{}]", array_stream=True) == "array"
