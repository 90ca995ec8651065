"""Which requests are the same, and what of a request is stored at all."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from pytest_llmops.cassettes import keys
from pytest_llmops.providers import detect

URL = "https://api.openai.com/v1/chat/completions"
BODY = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "temperature": 0}


def key(body: Any = BODY, url: str = URL, method: str = "POST") -> str:
    data = json.dumps(body).encode()
    document = keys.body_document(data, "application/json", keys.IGNORED_FIELDS)
    return keys.key_of(keys.address(method, keys.clean_url(url), detect(method, url, data)), document)


@pytest.mark.parametrize(
    "other",
    [
        dict(reversed(BODY.items())),
        {**BODY, "tools": None},
        {**BODY, "user": "u1", "metadata": {"run": 7}, "service_tier": "auto", "store": True},
    ],
)
def test_what_does_not_count(other: dict[str, Any]) -> None:
    assert key(other) == key()


@pytest.mark.parametrize(
    "other",
    [
        {**BODY, "stream": True},
        {**BODY, "temperature": 1},
        {**BODY, "tools": []},
        {**BODY, "messages": [{"role": "user", "content": "hi", "user": "u1"}]},
        {**BODY, "messages": [{"role": "user", "content": "hi "}]},
        {**BODY, "messages": BODY["messages"] * 2},
    ],
)
def test_what_counts(other: dict[str, Any]) -> None:
    assert key(other) != key()


def test_the_same_call_through_a_gateway_is_the_same_call() -> None:
    assert key(url="http://localhost:8080/v1/chat/completions") == key(url="http://127.0.0.1:9/v1/chat/completions")
    assert key(url="https://api.openai.com:443/v1/chat/completions") == key()
    assert key(url="https://api.openai.com/v1/responses") != key()
    assert key(method="PUT") != key()


def test_the_query_counts_without_its_secrets_and_in_any_order() -> None:
    azure = "https://x.openai.azure.com/openai/deployments/d/chat/completions"
    assert key(url=f"{azure}?api-version=1&key=abc") == key(url=f"{azure}?api-version=1")
    assert key(url=f"{azure}?a=1&b=2") == key(url=f"{azure}?b=2&a=1")
    assert key(url=f"{azure}?api-version=1") != key(url=f"{azure}?api-version=2")


@pytest.mark.parametrize(
    ("url", "clean"),
    [
        ("https://u:pw@h.test/p?key=1&a=&b=%20x#f", "https://h.test/p?a=&b=+x"),
        ("https://h.test:443/p", "https://h.test/p"),
        ("http://h.test:80/p", "http://h.test/p"),
        ("http://h.test:443/p", "http://h.test:443/p"),
        ("https://h.test:8443/p?API_KEY=1", "https://h.test:8443/p"),
        ("http://[::1]:11434/api/chat", "http://[::1]:11434/api/chat"),
        ("https://h.test/p?sig=1&X-Amz-Signature=2&X-Amz-Credential=3", "https://h.test/p"),
    ],
)
def test_urls_are_stored_without_secrets(url: str, clean: str) -> None:
    assert keys.clean_url(url) == clean


def normalised(body: dict[str, Any], *patterns: str) -> str:
    return keys.normalised_key("POST x", {"json": body}, [re.compile(p) for p in patterns])


def test_ids_are_renamed_by_order_in_the_second_tier() -> None:
    def turn(one: str, two: str) -> dict[str, Any]:
        return {"messages": [{"tool_calls": [{"id": one}, {"id": two}]}, {"tool_call_id": one}, {"tool_call_id": two}]}

    assert normalised(turn("call_a", "call_b")) == normalised(turn("call_x", "call_y"))
    assert normalised(turn("call_a", "call_b")) != normalised(turn("call_a", "call_a"))


def test_free_text_is_never_renamed_but_by_the_projects_patterns() -> None:
    def booking(text: str) -> dict[str, Any]:
        return {"content": text}

    assert normalised(booking("at 10:00")) != normalised(booking("at 11:00"))
    assert normalised(booking("trace 1f2e"), r"trace \w+") == normalised(booking("trace 77aa"), r"trace \w+")


def test_deep_requests_have_keys() -> None:
    deep: Any = "x"
    for _ in range(150):
        deep = {"a": [deep]}
    assert key({"model": "m", "deep": deep}) == key({"model": "m", "deep": deep})
    assert normalised({"deep": deep})
