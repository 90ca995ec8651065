"""Presidio's recognisers as a guardrail: without a model, without the network; an extra."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pytest_llmops.checks import guardrails
from pytest_llmops.errors import SettingsError

TEXT = "mail joe@example.com, call +1 212 555 0123, card 4111 1111 1111 1111, from 10.1.2.3"


def test_without_presidio_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "presidio_analyzer", None)
    guardrail = guardrails.build("pii_presidio", language="xx")
    with pytest.raises(SettingsError, match=r"pip install 'pytest-llmops\[presidio\]'"):
        guardrail.check("x")


def test_it_finds_and_quotes_nothing():
    pytest.importorskip("presidio_analyzer")
    outcome = guardrails.build("pii_presidio").check(TEXT)
    assert outcome.triggered
    assert {"email_address", "phone_number", "credit_card", "ip_address"} <= {span.type for span in outcome.spans}
    cards = [TEXT[span.start : span.end] for span in outcome.spans if span.type == "credit_card"]
    assert cards == ["4111 1111 1111 1111"]
    assert "joe" not in outcome.reason
    assert outcome.action == "rewrite"


@pytest.mark.parametrize("text", ["Where is my order?", "see https://example.com/a on 2024-05-01", "version 2.10.3"])
def test_harmless_texts_pass(text):
    pytest.importorskip("presidio_analyzer")
    assert not guardrails.build("pii_presidio").check(text).triggered


def test_types_and_threshold():
    pytest.importorskip("presidio_analyzer")
    only = guardrails.build("pii_presidio", types=["IP_ADDRESS"]).check(TEXT)
    assert {span.type for span in only.spans} == {"ip_address"}
    assert not guardrails.build("pii_presidio", types=["PHONE_NUMBER"], threshold=0.9).check(TEXT).triggered


def test_it_asks_neither_network_nor_model():
    pytest.importorskip("presidio_analyzer")
    program = f"""
import socket
def refuse(*args, **kwargs):
    raise SystemExit(f"asked the network: {{args}}")
socket.socket.connect = socket.getaddrinfo = socket.create_connection = refuse
import sys
from pytest_llmops.checks import guardrails
guardrail = guardrails.build("pii_presidio")
assert not {{"presidio_analyzer", "spacy", "tldextract"}} & set(sys.modules)
print(guardrail.check({TEXT!r}).triggered)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout == "True\n", done.stderr
