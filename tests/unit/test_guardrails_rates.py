"""How good a guardrail is: counts, shares, and datasets that cannot be read."""

from __future__ import annotations

import gzip
import json

import pytest

from pytest_llmops.checks import guardrails
from pytest_llmops.checks.guardrails import rates
from pytest_llmops.checks.guardrails.rates import LabelledText
from pytest_llmops.errors import DatasetError, SettingsError


class Shouting:
    """Triggers on capitals."""

    name, stage = "shouting", "both"

    def check(self, text, context=None):
        return guardrails.Outcome(text.isupper(), "low", float(text.isupper()))


CASES = [
    *(LabelledText("HELP", True, "en", ("a", "b")) for _ in range(8)),
    *(LabelledText("help", True, "en", ("a",)) for _ in range(2)),
    *(LabelledText("OK", False, "pt", ("b",)) for _ in range(1)),
    *(LabelledText("fine", False, "pt") for _ in range(9)),
]


def test_counts_and_shares_over_all_by_language_and_by_tag():
    measured = rates.measure(Shouting(), CASES)
    assert {key: measured[key] for key in ("guardrail", "n", "tp", "fp", "tn", "fn")} == {
        "guardrail": "shouting", "n": 20, "tp": 8, "fp": 1, "tn": 9, "fn": 2,
    }  # fmt: skip
    assert measured["precision"] == pytest.approx(8 / 9)
    assert measured["recall"] == pytest.approx(0.8)
    assert measured["false_positive_rate"] == pytest.approx(0.1)
    assert measured["intervals"]["recall"] == pytest.approx([0.4902, 0.9433], abs=1e-4)
    assert {name: group["n"] for name, group in measured["by_language"].items()} == {"en": 10, "pt": 10}
    assert {name: group["n"] for name, group in measured["by_tag"].items()} == {"a": 10, "b": 9}


def test_what_is_undefined_is_null_and_never_nan():
    measured = rates.measure(Shouting(), CASES)
    english, portuguese = measured["by_language"]["en"], measured["by_language"]["pt"]
    assert english["false_positive_rate"] is english["intervals"]["false_positive_rate"] is None
    assert portuguese["recall"] is None
    quiet = rates.measure(Shouting(), [LabelledText("", False)])
    assert quiet["precision"] is quiet["ms_per_kb"] is None
    json.dumps(measured, allow_nan=False)


def test_the_cost_is_cpu_time_of_what_was_checked():
    class Slow(Shouting):
        def check(self, text, context=None):
            sum(range(200_000))
            return super().check(text)

    fast, slow = rates.measure(Shouting(), CASES), rates.measure(Slow(), CASES)
    assert slow["ms_per_kb"] > 0
    assert slow["ms_per_kb"] > 10 * fast["ms_per_kb"]


def test_what_is_loaded_on_first_use_is_not_counted():
    class Loading(Shouting):
        loaded = False

        def check(self, text, context=None):
            if not self.loaded:
                sum(range(20_000_000))
                self.loaded = True
            return super().check(text)

    assert rates.measure(Loading(), [LabelledText("x" * 10_000, True)])["ms_per_kb"] < 5


def test_a_context_reaches_the_guardrail(tmp_path):
    path = tmp_path / "canaries.jsonl"
    lines = [
        {"text": "it is wren-77", "expected": True, "context": {"canary": "wren-77"}},
        {"text": "it is wren-77", "expected": False, "context": {"canary": "swan-12"}},
    ]
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    measured = rates.measure(guardrails.build("canary_leak"), rates.load(path))
    assert (measured["tp"], measured["tn"]) == (1, 1)


def test_an_answer_that_is_no_outcome_is_refused():
    class Wrong(Shouting):
        def check(self, text, context=None):
            return True

    with pytest.raises(SettingsError, match=r"'shouting': check\(\) returned True, not an Outcome"):
        rates.measure(Wrong(), CASES)


def test_plain_and_gzipped_files_with_other_fields_and_empty_lines_are_read(tmp_path):
    content = '\ufeff{"text": "a\u2028b", "expected": true, "language": null, "source": "x"}\n\n'
    content += '{"text": "c", "expected": false, "tags": "t"}\n'
    (tmp_path / "plain.jsonl").write_text(content, encoding="utf-8")
    (tmp_path / "packed.jsonl.gz").write_bytes(gzip.compress(content.encode()))
    expected = [LabelledText("a\u2028b", True), LabelledText("c", False, None, ("t",))]
    assert rates.load(tmp_path / "plain.jsonl") == rates.load(tmp_path / "packed.jsonl.gz") == expected


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"text": "a", "expected": tru}', r":2: broken JSON: Expecting value at column 27"),
        ("[1]", r":2: expected an object"),
        ('{"txt": "a", "expected": true}', r":2: no 'text'\. Did you mean 'txt'"),
        ('{"text": "a"}', r":2: no 'expected'"),
        ('{"text": "a", "expected": "yes"}', r':2: expected: expected true or false, got "yes"'),
        ('{"text": 1, "expected": true}', r":2: text: expected a text, got 1"),
        ('{"text": "a", "expected": true, "tags": [1]}', r":2: tags: expected a list of texts"),
        ('{"text": "a", "expected": true, "language": 5}', r":2: language: expected a language code"),
    ],
)
def test_a_broken_line_is_an_error_with_its_number(tmp_path, line, message):
    path = tmp_path / "texts.jsonl"
    path.write_text('{"text": "a", "expected": true}\n' + line + "\n", encoding="utf-8")
    with pytest.raises(DatasetError, match=r"texts\.jsonl" + message):
        rates.load(path)


@pytest.mark.parametrize("content", [b"", b"\n\n"])
def test_an_empty_file_is_refused(tmp_path, content):
    path = tmp_path / "texts.jsonl"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match="no texts in it"):
        rates.load(path)


def test_bytes_that_are_no_text_and_missing_files_are_refused(tmp_path):
    path = tmp_path / "texts.jsonl"
    path.write_bytes(b'{"text": "a", "expected": true}\n{"text": "\xff", "expected": true}')
    with pytest.raises(DatasetError, match=r"texts\.jsonl:2: not UTF-8 \(byte 0xff\)"):
        rates.load(path)
    with pytest.raises(DatasetError, match=r"no such file\. Did you mean 'texts\.jsonl'"):
        rates.load(tmp_path / "text.jsonl")
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(b"x" * 1000)[:-10])
    with pytest.raises(DatasetError, match="cannot be read"):
        rates.load(tmp_path / "cut.jsonl.gz")
