"""What the page's script reads, made small: only what it shows, each set of keys said once, long texts only once."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pytest_llmops.records import RunRecord, to_json

if TYPE_CHECKING:
    from pytest_llmops.baseline import Baseline

LONG = 48
"""UTF-16 units from which a text is said only once; loader.js knows this number, too."""
DIGITS = "{:.5g}"
LIST, TEXT = -1, -2

TEST = ("trial", "rerun", "outcome", "error", "duration_s", "tags", "prompt", "input", "output", "guardrails")
MEASUREMENT = ("value", "status", "reason")
CALL = (
    *("role", "provider", "model", "status", "finish_reason", "input_tokens", "output_tokens", "cache_read_tokens"),
    *("cost_usd", "latency_ms", "ttft_ms", "replayed", "text", "tool_calls", "error", "request"),
)


def packed(
    run: RunRecord, baseline: Baseline | None, answers: Mapping[str, list[str | None]], scripts: Sequence[str]
) -> str:
    """The run, the cases' former means, the former answers that differ, and scripts: base 85 of gzip of JSON."""
    document = json.loads(to_json(run, exclude_defaults=True))
    shown = {
        "cases": _cases(run, document.get("tests", ()), baseline, answers),
        "metrics": document.get("metrics", {}),
        "comparison": document.get("comparison"),
    }
    packer = _Packer()
    body = packer.pack(shown)
    text = json.dumps([scripts, packer.shapes, body], separators=(",", ":"), ensure_ascii=False)
    # Without "<" nothing in it can look like a tag; "," is no digit of base 85.
    return base64.b85encode(gzip.compress(text.encode("utf-8", "replace"), mtime=0)).decode().replace("<", ",")


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
    means = _stored_means(baseline)
    return [
        {
            "name": case,
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
    """Objects become ``[shape, values…]``, lists ``[-1, items…]``, a long text said before ``[-2, how many ago]``."""

    def __init__(self) -> None:
        self.shapes: list[list[str]] = []
        self._shapes: dict[tuple[str, ...], int] = {}
        self._texts: dict[str, int] = {}

    def pack(self, value: Any) -> Any:
        """A JSON value, packed."""
        if isinstance(value, str):
            return self._text(value) if len(value) >= LONG // 2 else value
        if isinstance(value, dict):
            keys = tuple(value)
            shape = self._shapes.get(keys)
            if shape is None:
                shape = self._shapes[keys] = len(self.shapes)
                self.shapes.append(list(keys))
            return [shape, *map(self.pack, value.values())]
        if isinstance(value, list):
            return [LIST, *map(self.pack, value)]
        if isinstance(value, float):
            return float(DIGITS.format(value))
        return value

    def _text(self, text: str) -> Any:
        units = len(text) if text.isascii() else len(text.encode("utf-16-le", "replace")) // 2
        if units < LONG:
            return text
        known = self._texts.get(text)
        if known is None:
            self._texts[text] = len(self._texts)
            return text
        return [TEXT, len(self._texts) - known]


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
