"""Metrics without a model: values known from elsewhere, scripts other than Latin, and what is missing is said."""

from __future__ import annotations

import sys

import pytest
from pydantic import BaseModel

from pytest_llmops.checks import metrics
from pytest_llmops.checks.metrics import Given, measure
from pytest_llmops.checks.score import explain
from pytest_llmops.errors import SettingsError


class Ticket(BaseModel):
    id: int
    tags: list[str] = []


SCHEMA = {"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}


@pytest.mark.parametrize(
    ("name", "text", "expected", "value"),
    [
        ("exact", " Yes.\n", "Yes.", 1.0),
        ("exact", "yes.", "Yes.", 0.0),
        ("contains", "It is in Straße 5", "STRASSE", 1.0),
        ("contains", "no", "yes", 0.0),
        ("regex", "order 12345", r"\b\d{5}\b", 1.0),
        ("regex", "order 1234", r"\b\d{5}\b", 0.0),
        ("levenshtein", "kitten", "sitting", 1 - 3 / 7),
        ("levenshtein", "", "", 1.0),
        ("rougeL", "the cat sat on the mat", "the cat is on the mat", 5 / 6),
        ("rouge1", "Берлин столица", "столица Берлин", 1.0),
        ("rouge2", "a b c", "a b d", 0.5),
        ("rougeL", "我喜欢茶", "我喜欢咖啡", 2 * (3 / 4) * (3 / 5) / (3 / 4 + 3 / 5)),
        ("bleu", "the cat sat on the mat", "the cat sat on the mat", 1.0),
        ("chrf", "the cat sat on the mat", "the cat sat on the mat", 1.0),
        ("bleu", "completely different words", "the cat sat on a mat", 0.0),
    ],
)
def test_text_metrics(name, text, expected, value):
    assert measure(name, Given(text, expected=expected)) == pytest.approx(value, abs=1e-9)


def test_bleu_and_chrf_are_sacrebleu_s():
    import sacrebleu

    text, expected = "The quick brown fox jumped over a lazy dog.", "The quick brown fox jumps over the lazy dog."
    reference = sacrebleu.sentence_bleu(text, [expected], use_effective_order=True).score
    assert metrics.bleu(text, expected) == pytest.approx(reference / 100)
    assert metrics.chrf(text, expected) == pytest.approx(sacrebleu.sentence_chrf(text, [expected]).score / 100)
    assert 0.5 < metrics.bleu("我非常喜欢喝绿茶。", "我很喜欢喝绿茶。") < 1.0


def test_of_several_expected_texts_the_best_counts():
    assert measure("exact", Given("b", expected=["a", "b"])) == 1.0


@pytest.mark.parametrize(
    ("text", "schema", "value", "reason"),
    [
        ('{"id": 3}', SCHEMA, 1.0, "fits"),
        ('{"id": "3"}', SCHEMA, 0.0, "$.id: '3' is not of type 'integer'"),
        ('{"id": 3', SCHEMA, 0.0, "no JSON"),
        ('Sure! {"id": 3}', SCHEMA, 0.0, "no JSON"),
        ('{"id": 3, "tags": ["a"]}', Ticket, 1.0, "fits Ticket"),
        ('{"id": 3, "tags": [5]}', Ticket, 0.0, "tags.0: "),
        ("[" * 100_000, SCHEMA, 0.0, "no JSON"),
    ],
)
def test_json_by_schema_or_model(text, schema, value, reason):
    found = metrics.json_schema(text, schema)
    assert found == value
    assert reason in found.reason


def test_a_schema_that_is_none():
    with pytest.raises(SettingsError, match="the schema is none"):
        metrics.json_schema("{}", {"type": "nonsense"})


RANKED = ["d3", "d1", "d9", "d2"]


def test_retrieval():
    assert metrics.hit_at_k(RANKED, ["d1"], 1) == 0.0
    assert metrics.hit_at_k(RANKED, ["d1"], 2) == 1.0
    assert metrics.recall_at_k(RANKED, ["d1", "d2", "d7"], 4) == pytest.approx(2 / 3)
    assert metrics.mrr(RANKED, ["d1", "d2"]) == 0.5
    assert metrics.mrr(RANKED, ["d7"]) == 0.0
    # (1/log2(3) + 1/log2(5)) / (1/log2(2) + 1/log2(3))
    assert metrics.ndcg(RANKED, ["d1", "d2"]) == pytest.approx(0.6509209298)
    # gains 3, 2, 3, 0, 1, 2: DCG 6.861, ideal 7.141
    graded = {"a": 3, "b": 2, "c": 3, "d": 0, "e": 1, "f": 2}
    assert metrics.ndcg(list("abcdef"), graded) == pytest.approx(0.9608, abs=1e-4)
    assert metrics.ndcg(["a", "a", "a"], ["a", "b"], 2) <= 1.0


def test_retrieval_by_name_reads_the_output_and_the_case():
    given = Given(None, output={"retrieved": RANKED, "answer": "…"}, metadata={"relevant": ["d1"]})
    assert measure("hit@1", given) == 0.0
    assert measure("recall@2", given) == 1.0
    assert measure("mrr", given) == 0.5
    assert measure("ndcg@10", Given(None, output=RANKED, expected=["d3"])) == 1.0
    assert measure("ndcg", Given(None, output=RANKED, expected="d3")) == 1.0


@pytest.mark.parametrize(
    ("text", "sources", "value", "reason"),
    [
        ("Refunds take 30 days [1]. Shipping is free in Europe [2].", 2, 1.0, "2 of 2"),
        ("Refunds take 30 days [1]. Shipping is free in Europe.", 2, 0.5, "1 of 2"),
        ("Refunds take thirty full days [7].", 2, 0.0, "no such source: 7"),
        ("Refunds take 30 days. [1] Shipping is free in Europe. [2, 1]", 2, 1.0, "2 of 2"),
        ("Refunds take 30 days [handbook]. Anything else I can do?", ["handbook"], 1.0, "1 of 1"),
        ("Hello! Refunds take 30 days, all told [1].", 1, 1.0, "1 of 1"),
        ("", 1, 1.0, "0 of 0"),
    ],
)
def test_citation_coverage(text, sources, value, reason):
    found = metrics.citation_coverage(text, sources)
    assert found == value
    assert reason in found.reason


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("blue", Given("x", expected="y"), "Did you mean 'bleu'"),
        ("hit@0", Given("x", expected="y"), "no metric is named 'hit@0'"),
        ("bleu", Given("x"), "needs an expected text"),
        ("bleu", Given(None, expected="x"), "needs a text"),
        ("regex", Given("x", expected="("), "is no regular expression"),
        ("json_schema", Given("x", expected="y"), "needs a JSON schema"),
        ("mrr", Given("x", expected=["d1"]), "needs what was retrieved"),
        ("mrr", Given("x", output=["d1"]), "needs relevant ids"),
        ("ndcg", Given("x", output=["d1"], expected={"d1": 0}), "one above"),
        ("citation_coverage", Given("x"), "needs sources"),
    ],
)
def test_what_is_missing_is_said(name, given, message):
    with pytest.raises(SettingsError, match=message):
        measure(name, given)


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sacrebleu", None)
    with pytest.raises(SettingsError, match=r"sacrebleu: pip install 'pytest-llmops\[text\]'"):
        metrics.bleu("a", "b")


def test_a_failed_comparison_says_why():
    lines = explain(">=", metrics.levenshtein("abc", "abd"), 0.9)
    assert lines is not None
    assert "levenshtein: 1 edits from 'abd'" in lines
    assert explain("==", 1.0, 2.0) is None
