"""What counts as a secret, where it is found, and what is masked."""

from __future__ import annotations

import base64
import json
import random
from typing import Any

import pytest

from pytest_llmops.cassettes import redaction
from pytest_llmops.cassettes.redaction import Scrubber, find_secret, locate_secret, mask
from tests.patience import least_cpu_s

A = "A1b2C3d4E5" * 10
HEX = "0123456789abcdef" * 4
# Put together here, so that no file of ours looks as if it held one.
SECRETS = {
    "Anthropic key": "sk-" + "ant-api03-" + A[:40],
    "OpenRouter key": "sk-" + "or-v1-" + HEX,
    "OpenAI key": "sk-" + "proj-" + A[:48],
    "Groq key": "gsk" + "_" + A[:52],
    "xAI key": "xai" + "-" + A[:60],
    "Google key": "AI" + "za" + A[:35],
    "Google OAuth token": "ya29" + "." + A[:60],
    "Hugging Face token": "hf" + "_" + A[:34],
    "Replicate token": "r8" + "_" + A[:37],
    "Perplexity key": "pplx" + "-" + A[:48],
    "Fireworks key": "fw" + "_" + A[:24],
    "Langfuse key": "sk-" + "lf-01234567-89ab-cdef-0123-456789abcdef",
    "LangSmith key": "lsv2" + "_pt_" + HEX[:32] + "_" + HEX[:10],
    "Pinecone key": "pcsk" + "_" + A[:50],
    "AWS access key": "AK" + "IA" + "ABCDEFGH12345678",
    "GitHub token": "gh" + "p_" + A[:36],
    "GitLab token": "glpat" + "-" + A[:20],
    "Slack token": "xox" + "b-" + A[:24],
    "Slack webhook": "https://hooks" + ".slack.com/services/T" + A[:30],
    "Stripe key": "sk" + "_live_" + A[:24],
    "SendGrid key": "SG" + "." + A[:22] + "." + A[:43],
    "npm token": "npm" + "_" + A[:36],
    "PyPI token": "pypi" + "-AgEI" + A[:60],
    "JSON web token": "ey" + "J" + A[:20] + ".ey" + "J" + A[:20] + "." + A[:30],
    "private key": "-----BEGIN " + "RSA PRIVATE KEY-----\nMIIEpQ",
    "bearer token": "Bearer " + A[:40],
    "URL with password": "postgresql://app:" + "s3cret@db.internal:5432/x",
}


@pytest.mark.parametrize("kind", SECRETS)
@pytest.mark.parametrize(
    "around", ["{}", "KEY={}", '"{}"', "https://h.test/{}/x", "see {}.", "\\n{}", "k%3D{}", "({})", "a+{}", "é{}"]
)
def test_secrets_are_found_wherever_they_stand(kind: str, around: str) -> None:
    text = around.format(SECRETS[kind])
    assert find_secret(text, {}) in (kind, "OpenAI key" if kind == "Langfuse key" else kind)
    masked = mask(json.dumps({"a": text}), {})
    assert find_secret(masked, {}) is None
    assert "[secret]" in json.loads(masked)["a"]


@pytest.mark.parametrize(
    "text",
    [
        "task-force-on-something-very-long-indeed-and-more-of-it",
        "risk-adjusted-return-on-capital-employed-and-so-on",
        "desk-top-publishing-software-of-the-nineties",
        "sk-short",
        "postgresql://localhost:5432/db",
        "postgresql://user:***@host/db",
        "https://hooks.slack.com/services/",
        "Bearer of bad news, bearer token",
        "-----BEGIN CERTIFICATE-----",
        "AKIA is a prefix",
        "the ghp_ prefix of GitHub",
        "eyJhbGciOiJIUzI1NiJ9",
    ],
)
def test_ordinary_text_is_none(text: str) -> None:
    assert find_secret(text, {}) is None
    assert mask(text, {}) == text


def test_images_hold_none() -> None:
    noise = random.Random(7)
    text = base64.b64encode(noise.randbytes(3_000_000)).decode()
    image = f"data:image/png;base64,{text}"
    assert find_secret(image, {}) is None
    took = least_cpu_s(lambda: find_secret(image, {}), enough=2)
    assert took < 2, "4 MB took seconds: the signs are no longer looked for first"


def test_values_of_key_variables_count_whatever_their_shape() -> None:
    environ = {"MISTRAL_API_KEY": 'odd "quoted" value 123', "GROQ_API_KEY": "short"}
    assert find_secret('x odd "quoted" value 123 y', environ) == "value of MISTRAL_API_KEY"
    assert find_secret("short", environ) is None
    assert "odd" not in mask(json.dumps({"a": 'odd "quoted" value 123'}), environ)


def test_a_whole_private_key_is_masked() -> None:
    key = "-----BEGIN " + "PRIVATE KEY-----\nMIIEpQIB\nAAKCAQEA\n-----END PRIVATE KEY-----"
    assert "MIIE" not in mask(json.dumps({"a": key, "b": "kept"}), {})
    assert "kept" in mask(json.dumps({"a": key, "b": "kept"}), {})


def test_the_field_is_named_and_the_first_in_reading_order() -> None:
    secret = SECRETS["Groq key"]
    document = {"request": {"messages": [{"content": "x"}, {"content": f"my {secret}"}]}, "response": {"a": secret}}
    assert locate_secret(document, {}) == ("request.messages[1].content", "Groq key")
    assert locate_secret({"a": {secret: 1}}, {}) == (f"a.{secret}", "Groq key")
    assert locate_secret({"a": ["x", 1, None, True]}, {}) is None


def test_hostile_depths_are_searched() -> None:
    deep: Any = SECRETS["Groq key"]
    for _ in range(5_000):
        deep = [deep]
    assert locate_secret(deep, {}) is not None


def test_scrubbing() -> None:
    scrub = Scrubber([r"\d{4} \d{4}", r"Mrs \w+"], ["ssn", "card"])
    document = {"ssn": {"no": 1}, "card": None, "text": "Mrs Dalloway paid with 1234 5678", "list": [{"card": "x"}, 3]}
    assert scrub(document) == {
        "ssn": "[scrubbed]",
        "card": None,
        "text": "[scrubbed] paid with [scrubbed]",
        "list": [{"card": "[scrubbed]"}, 3],
    }
    assert document["ssn"] == {"no": 1}, "the application's own document stays"
    assert scrub(scrub(document)) == scrub(document)
    assert Scrubber()(document) is document


def test_no_request_header_and_few_of_a_response_are_kept() -> None:
    for name in ("set-cookie", "openai-organization", "x-request-id", "cf-ray", "anthropic-organization-id", "date"):
        assert name not in redaction.KEPT_HEADERS
