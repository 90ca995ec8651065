"""What the page's script reads, made small: only what it shows, kinds of data apart, long texts said only once."""

from __future__ import annotations

import base64
import bz2
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pytest_llmops.compare import failing_cases
from pytest_llmops.records import RunRecord, to_json

if TYPE_CHECKING:
    from pytest_llmops.baseline import Baseline

LONG = 48
"""Characters from which a text is said only once, with the other texts."""
NEAR = 8
"""Texts said before in which a quotation is looked for."""
DIGITS = "{:.5g}"
LIST = -1
NUMBER, TEXT, SAID = 0, 1, 2
AGO = "ago"
SEPARATOR, QUOTE = "\x1e", "\x1f"
WORDS = 4000
FIRST_SIGN = 0xE000
"""Where Unicode's private characters begin; there are 6,400."""
MARKS = re.compile(f"[{SEPARATOR}{QUOTE}\ue000-\uf8ff]")
"""A text that has one of these is left where it is."""

TEST = (
    "trial",
    "rerun",
    "confirms",
    "of_baseline",
    "outcome",
    "error",
    "duration_s",
    "tags",
    "prompt",
    "input",
    "output",
    "guardrails",
)
MEASUREMENT = ("value", "status", "reason")
CALL = (
    *("role", "provider", "model", "status", "finish_reason", "input_tokens", "output_tokens", "cache_read_tokens"),
    *("cost_usd", "latency_ms", "ttft_ms", "replayed", "text", "tool_calls", "error", "request"),
)


def packed(
    run: RunRecord, baseline: Baseline | None, answers: Mapping[str, list[str | None]], scripts: Sequence[str]
) -> str:
    """The run, the cases' former means, the former answers that differ, and scripts: three streams, base 85."""
    document = json.loads(to_json(run, exclude_defaults=True))
    shown = {
        "cases": _cases(run, document.get("tests", ()), baseline, answers),
        "metrics": document.get("metrics", {}),
        "comparison": document.get("comparison"),
    }
    packer = _Packer()
    structure = packer.pack(shown)
    data = _json([packer.shapes, structure, packer.numbers])
    streams = (_json(scripts), data, _shorthand(SEPARATOR.join(packer.texts)))
    return " ".join(map(_compressed, streams))


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _shorthand(text: str) -> str:
    """Words that come often as one character each, and in front which is which."""
    parts = re.split(r"(\w{3,})", text)
    words = [word for word, count in Counter(parts[1::2]).most_common(WORDS) if count > 3]
    signs = {word: chr(FIRST_SIGN + index) for index, word in enumerate(words)}
    parts[1::2] = [signs.get(word, word) for word in parts[1::2]]
    return " ".join(words) + SEPARATOR + "".join(parts)


def _compressed(text: str) -> str:
    """Base 85 of bzip2: of texts it makes three quarters of what deflate does."""
    # Without "<" nothing in it can look like a tag; "," is no digit of base 85.
    return base64.b85encode(bz2.compress(text.encode("utf-8", "replace"))).decode().replace("<", ",")


def _cases(
    run: RunRecord,
    tests: Sequence[dict[str, Any]],
    baseline: Baseline | None,
    answers: Mapping[str, list[str | None]],
) -> list[dict[str, Any]]:
    """Cases in the run's order, then those it missed."""
    trials: dict[str, list[dict[str, Any]]] = {}
    for test in tests:
        trials.setdefault(test["case"], []).append(_test(test))
    for one in run.comparison.findings if run.comparison else ():
        trials.setdefault(one.case, [])
    means, failing = _stored_means(baseline), failing_cases(run.tests)
    return [
        {
            "name": case,
            "fails": case in failing,
            "trials": of_case,
            "before": means.get(case, {}),
            "answers": _other_answers(of_case, answers.get(case, [])),
        }
        for case, of_case in trials.items()
    ]


def _test(test: dict[str, Any]) -> dict[str, Any]:
    shown = _only(test, TEST)
    shown["measurements"] = {name: _only(one, MEASUREMENT) for name, one in test.get("measurements", {}).items()}
    shown["calls"] = [_only(call, CALL) for call in test.get("calls", ())]
    return shown


def _only(entry: dict[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: entry[key] for key in keys if key in entry}


class _Packer:
    """A JSON value in three streams, each of a kind: the structure, the numbers by key, and the long texts.

    Objects become ``[shape, values…]``, lists ``[-1, items…]``. A number stands for what is elsewhere: 0 for the next
    number of its key, 1 for the next long text, 2 for one said before.
    """

    def __init__(self) -> None:
        self.shapes: list[list[str]] = []
        self.numbers: dict[str, list[float]] = {}
        self.texts: list[str] = []
        self._shapes: dict[tuple[str, ...], int] = {}
        self._said: set[str] = set()
        self._recent: list[str] = []  # what was said, the latest last

    def pack(self, value: Any, parent: str = "", key: str = "") -> Any:
        """The structure of a JSON value."""
        if isinstance(value, str):
            return self._text(value) if len(value) >= LONG and not MARKS.search(value) else value
        if isinstance(value, dict):
            keys = tuple(value)
            shape = self._shapes.get(keys)
            if shape is None:
                shape = self._shapes[keys] = len(self.shapes)
                self.shapes.append(list(keys))
            return [shape, *(self.pack(one, key, name) for name, one in value.items())]
        if isinstance(value, list):
            return [LIST, *(self.pack(one, parent, key) for one in value)]
        if value is None or value is True or value is False:
            return value
        fraction = isinstance(value, float) and not value.is_integer()  # counts are shown to the last digit
        number = float(DIGITS.format(value)) if fraction else value
        self.numbers.setdefault(f"{parent}.{key}", []).append(number)
        return NUMBER

    def _text(self, text: str) -> int:
        if text in self._said:
            ago = next(ago for ago, one in enumerate(reversed(self._recent)) if one == text)
            del self._recent[len(self._recent) - 1 - ago]
            self._recent.append(text)
            self.numbers.setdefault(AGO, []).append(ago)
            return SAID
        self.texts.append(self._quoted(text))
        self._said.add(text)
        self._recent.append(text)
        return TEXT

    def _quoted(self, text: str) -> str:
        """The text with what it quotes of those said just before (a judge is shown prompt and answer) left out."""
        near = sorted(enumerate(reversed(self._recent[-NEAR:])), key=lambda one: -len(one[1]))
        for ago, one in near:
            text = text.replace(one, f"{QUOTE}{ago}{QUOTE}")
        return text


def _stored_means(baseline: Baseline | None) -> dict[str, dict[str, float]]:
    """Case to metric to the mean of its stored trials."""
    if baseline is None:
        return {}
    found: dict[str, dict[str, float]] = {}
    for case, stored in baseline.cases.items():
        of_case = found[case] = {}
        for metric, samples in stored.samples.items():
            values = [value for value in samples if value is not None]
            if values:
                of_case[metric] = sum(values) / len(values)
    return found


def _other_answers(trials: Sequence[dict[str, Any]], stored: list[str | None]) -> list[str | None]:
    """A case's stored answers where one of them differs from what the run answered."""
    now = {test.get("trial", 0): test.get("output") for test in trials if not test.get("rerun")}
    same = bool(now) and all(number >= len(stored) or text == stored[number] for number, text in now.items())
    return [] if same else stored
