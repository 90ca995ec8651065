"""Bodies as readable documents: what goes in comes out, whatever it is."""

from __future__ import annotations

import gzip
import json
import zlib

import pytest

from pytest_llmops.cassettes import bodies
from pytest_llmops.errors import CassetteError

SSE = "text/event-stream; charset=utf-8"


@pytest.mark.parametrize(
    ("data", "content_type", "kind"),
    [
        (b'{"a":[1,2.5,null,"\xc3\xa9"]}', "application/json", "json"),
        (b'data: {"a":1}\n\ndata: [DONE]\n\n', SSE, "sse"),
        (b"event: x\r\ndata: 1\r\n\r\n", SSE, "sse"),
        (b'{"a":1}\n{"b":2}\n', "application/x-ndjson", "lines"),
        (b"a=1&b=2", "application/x-www-form-urlencoded", "lines"),
        (b"\x00\xff\xfe", "audio/mpeg", "base64"),
        (b'{"a": NaN}', "application/json", "lines"),
        (b'{"a":1,"a":2}', "application/json", "lines"),
        (b'{"a": 1e999}', "application/json", "lines"),
        (b'{"a":"\\ud800"}', "application/json", "lines"),
        (b'{"a":' + b"9" * 5000 + b"}", "application/json", "lines"),
        (b"[" * 100_000, "application/json", "lines"),
        (b"[" * 400 + b"]" * 400, "application/json", "lines"),
        (b"", "application/json", None),
    ],
)
def test_what_goes_in_comes_out(data: bytes, content_type: str, kind: str | None) -> None:
    body = bodies.encode(data, content_type)
    assert (next(iter(body)) if body else None) == kind
    assert bodies.decode(body) == data
    json.dumps(body, allow_nan=False)


def test_white_space_of_json_is_kept_where_chunks_point_into_it() -> None:
    data = b'{ "a": 1 }'
    assert bodies.encode(data, "application/json") == {"json": {"a": 1}}
    assert bodies.decode(bodies.encode(data, "application/json", exact=True)) == data


@pytest.mark.parametrize("body", [{"yaml": 1}, {"sse": [1]}, {"lines": None}, {"base64": "a"}, {"sse": ["\ud800"]}, {}])
def test_a_body_nobody_wrote_is_a_clear_error(body: dict[str, object]) -> None:
    with pytest.raises(CassetteError, match=r"c\.json: a body .*; record this test again"):
        bodies.decode(body, "c.json")


def form(boundary: str, payload: bytes, purpose: str = "evals") -> bodies.Body:
    data = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\n{purpose}\r\n'
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n'
    ).encode()
    return bodies.multipart(
        data + payload + f"\r\n--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"
    )


def test_forms_are_the_same_whatever_their_boundary() -> None:
    assert form("x1", b"\x00\xff") == form("another", b"\x00\xff")
    assert form("x1", b"\x00\xff") != form("x1", b"\x00\xfe")
    assert form("x1", b"\x00\xff") != form("x1", b"\x00\xff", purpose="batch")
    first, second = form("x1", b"\x00\xff")["multipart"]
    assert first["value"] == "evals"
    assert second["size"] == 2
    assert "value" not in second


@pytest.mark.parametrize(
    "content_type", ["multipart/form-data", "multipart/form-data; boundary=", "multipart/x; boundary=é"]
)
def test_a_broken_form_is_no_crash(content_type: str) -> None:
    assert "multipart" in bodies.multipart(b"\xff\x00 no form", content_type)


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "deflate", "identity", "GZIP", "deflate, gzip", "br", "zstd"])
def test_content_encodings(encoding: str) -> None:
    plain = b'{"a":1}' * 50
    packed = {
        "gzip": gzip.compress,
        "x-gzip": gzip.compress,
        "GZIP": gzip.compress,
        "deflate": zlib.compress,
        "identity": bytes,
        "deflate, gzip": lambda data: gzip.compress(zlib.compress(data)),
        "br": lambda data: pytest.importorskip("brotli").compress(data),
        "zstd": lambda data: pytest.importorskip("zstandard").compress(data),
    }[encoding](plain)
    assert bodies.without_content_encoding(packed, encoding) == plain


def test_raw_deflate_is_read_too() -> None:
    worker = zlib.compressobj(wbits=-15)
    assert bodies.without_content_encoding(worker.compress(b"abc") + worker.flush(), "deflate") == b"abc"


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "own", "gzip, own"])
def test_what_cannot_be_decoded_is_left_alone(encoding: str) -> None:
    assert bodies.without_content_encoding(b"\x01not packed", encoding) is None
