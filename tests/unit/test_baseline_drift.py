"""Which stored answers a live run has judged again."""

from __future__ import annotations

from pytest_llmops.baseline.drift import StoredAnswers
from tests.unit.made_up import measurement, run, stored, trial


def test_a_masked_answer_is_not_judged_again():
    tests = [trial(name, {"tone": measurement("tone", 0.5, definition="d")}) for name in ("plain", "masked", "empty")]
    plain, masked, empty = (test.case for test in tests)
    answers = {plain: ["It takes 14 days [1]."], masked: ["Write to [EMAIL]."], empty: [None]}
    known = StoredAnswers(stored(run(tests)), answers)
    assert known.of(plain, "tone", "d").text == "It takes 14 days [1]."
    assert known.of(masked, "tone", "d") is None
    assert known.of(empty, "tone", "d") is None
    assert known.of(plain, "tone", "other") is None
