"""Similarity of meaning: vectors from an endpoint, a local model or a function, with the exact checks beside them."""

from __future__ import annotations

import json

import pytest

from pytest_llmops.cassettes import scope
from pytest_llmops.cassettes.clients import Interception
from pytest_llmops.cassettes.miss import CassetteMiss
from pytest_llmops.cassettes.tape import Tape
from pytest_llmops.cassettes.tape_options import TapeOptions
from pytest_llmops.checks.embeddings import Embedder, cosine
from pytest_llmops.checks.metrics import Given, measure
from pytest_llmops.checks.similarity import similarity
from pytest_llmops.errors import JudgeError, SettingsError
from tests.standin import Reply
from tests.standin.dialects import embedding

MODEL = "openai_compatible:embed-x"
MEANINGS = {"money back": (1.0, 0.0), "refund": (0.96, 0.28), "cat": (0.0, 1.0)}


def meaning(text):
    return next((vector for words, vector in MEANINGS.items() if words in text), (0.0, 0.0))


@pytest.fixture
def host(standin, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", f"{standin.url}/v1")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    interception = Interception()
    interception.install()
    yield standin
    interception.uninstall()


@pytest.fixture
def taped(tmp_path):
    def use(mode, body):
        tape = Tape(tmp_path / "c.json", mode, TapeOptions(), command="pytest --llm-record=refresh")
        scope.activate(tape)
        try:
            body()
        finally:
            scope.deactivate(tape)
            tape.close(passed=True)
        return tape

    return use


@pytest.mark.parametrize(
    ("text", "other", "value"),
    [
        ("You get your money back.", "You get a refund.", 0.96),
        ("You get your money back.", "You get a cat.", 0.0),
        ("You get a refund.", "You do not get a refund.", 0.0),
        ("A refund in 30 days.", "A refund in 90 days.", 0.0),
        ("A refund on 3 March.", "A refund on 4 March.", 0.0),
        ("", "You get a refund.", 0.0),
        ("", " ", 1.0),
    ],
)
def test_meaning_counts_where_no_fact_differs(text, other, value):
    found = similarity(text, other, Embedder(meaning))
    assert found == pytest.approx(value)
    assert found.name == "semantic_similarity"
    assert 0 <= found.lexical <= 1
    if found.conflicts:
        assert found.semantic > 0.9
        assert "means" in found.reason
        assert ", but " in found.reason


def test_without_an_embedder_nothing_is_asked():
    assert similarity("a", "b").semantic is None


def test_of_several_texts_the_best_counts():
    given = Given("Your money back.", expected=["a cat", "a refund"], embedder=lambda: Embedder(meaning))
    assert measure("semantic_similarity", given) == pytest.approx(0.96)
    with pytest.raises(SettingsError, match=r"needs embeddings: \[tool.pytest-llmops.embeddings\]"):
        measure("semantic_similarity", Given("x", expected="y"))


def test_an_endpoint_is_asked_once_a_text_and_replays_without_it(host, taped):
    values = []

    def compare():
        embedder = Embedder(MODEL)
        values.append(similarity("A refund.", "Money back.", embedder).semantic)
        values.append(similarity("A refund.", "A refund.", embedder).semantic)

    recorded = taped("once", compare)
    assert [request.path for request in host.requests] == ["/v1/embeddings"] * 2
    assert host.requests[0].json == {"model": "embed-x", "input": "A refund.", "encoding_format": "base64"}
    assert [transfer.exchange().role for transfer in recorded.finished()] == ["judge", "judge"]
    taped("none", compare)
    assert len(host.requests) == 2
    expected = max(0.0, cosine(tuple(embedding("A refund.")), tuple(embedding("Money back."))))
    assert values == pytest.approx([expected, 1.0] * 2, abs=1e-6)
    with pytest.raises(CassetteMiss, match="has no recording"):
        taped("none", lambda: Embedder(MODEL).embed("Another text."))


def test_a_host_that_knows_no_base64(host):
    refusal = Reply("unknown field encoding_format", status=400)
    host.script(refusal, Reply(body=json.dumps({"data": [{"embedding": [1, 0.5]}]}).encode()))
    assert Embedder(MODEL).embed("Hi.") == (1.0, 0.5)
    assert "encoding_format" not in host.requests[1].json


NONSENSE = [
    ({"data": []}, "no embedding"),
    ({"data": [{"embedding": []}]}, "no vector"),
    ({"data": [{"embedding": "%%%"}]}, "no vector: %%%"),
    ({"data": [{"embedding": ["a"]}]}, "no vector"),
    ({"error": "nope"}, "no embedding: .*nope"),
    ([], "no embedding"),
]


@pytest.mark.parametrize(("body", "message"), NONSENSE)
def test_nonsense_is_an_error_and_asked_for_anew(host, taped, body, message):
    host.script(Reply(body=json.dumps(body).encode()))
    with pytest.raises(JudgeError, match=f"embeddings {MODEL}: .*{message}"):
        taped("once", lambda: Embedder(MODEL).embed("Hi."))
    host.script(Reply(body=json.dumps({"data": [{"embedding": [1, 0.5]}]}).encode()))
    taped("refresh", lambda: Embedder(MODEL).embed("Hi."))
    assert len(host.requests) == 2


@pytest.mark.parametrize(("status", "why"), [(429, "HTTP 429, after 2 retries"), (401, "HTTP 401")])
def test_a_failing_endpoint_is_an_error(host, status, why):
    host.script(Reply("no", status=status, headers={"retry-after-ms": "1"}))
    with pytest.raises(JudgeError, match=why):
        Embedder(MODEL).embed("Hi.")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("opnai:x", "Did you mean 'openai'"),
        ("anthropic:claude", "has no OpenAI-compatible /embeddings"),
        ("text-embedding-3-small", "expected provider:model"),
    ],
)
def test_a_model_that_embeds_nothing_is_refused_at_once(model, message):
    with pytest.raises(SettingsError, match=message):
        Embedder(model)


@pytest.mark.parametrize("answer", [None, 3, ["x"], [float("nan")], []])
def test_a_function_that_gives_no_vector(answer):
    with pytest.raises(JudgeError, match="no vector"):
        Embedder(lambda text: answer).embed("Hi.")


def test_vectors_of_two_lengths_do_not_compare():
    with pytest.raises(JudgeError, match="of 1 and of 2 numbers"):
        cosine((1.0,), (1.0, 2.0))
    assert cosine((0.0, 0.0), (1.0, 2.0)) == 0.0


@pytest.fixture
def local_model(tmp_path):
    """A model of model2vec's with four words, made here."""
    numpy = pytest.importorskip("numpy")
    model2vec = pytest.importorskip("model2vec", reason="model2vec (extra [semantic]) is not installed")
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    words = {"[UNK]": 0, "money": 1, "refund": 2, "cat": 3}
    tokenizer = Tokenizer(WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    vectors = numpy.array([[0, 0], [1, 0], [0.96, 0.28], [0, 1]])
    model2vec.StaticModel(vectors, tokenizer).save_pretrained(str(tmp_path / "model"))
    return tmp_path / "model"


def test_a_local_model_needs_no_network(local_model):
    embedder = Embedder(f"model2vec:{local_model}")
    assert similarity("money", "refund", embedder).semantic == pytest.approx(0.96)
    assert similarity("money", "cat", embedder).semantic == 0.0


def test_a_local_model_that_is_not_there_downloads_nothing(tmp_path, monkeypatch):
    pytest.importorskip("model2vec", reason="model2vec (extra [semantic]) is not installed")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    with pytest.raises(SettingsError, match="no such folder, and no such model in the cache"):
        Embedder("model2vec:nobody/nothing").embed("Hi.")


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "model2vec", None)
    with pytest.raises(SettingsError, match=r"pip install 'pytest-llmops\[semantic\]'"):
        Embedder("model2vec:x").embed("Hi.")
