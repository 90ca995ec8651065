"""A score is a float wherever it goes, and keeps its reason."""

from __future__ import annotations

import copy
import json
import math
import pickle
import statistics

import pytest

from pytest_llmops.checks import Score

SCORE = Score(
    0.75,
    criterion="tone",
    reason="Friendly.",
    evidence=("Dear Ms Roe",),
    model="anthropic:m",
    definition="ab12",
    text="Dear Ms Roe, …",
)


def test_it_behaves_as_a_float():
    assert isinstance(SCORE, float)
    assert SCORE == 0.75
    assert 0.7 < SCORE <= 0.75
    assert hash(SCORE) == hash(0.75)
    assert SCORE + 0.25 == 1.0
    assert statistics.mean([SCORE, 0.25]) == 0.5
    assert math.isclose(SCORE, 0.75)
    assert pytest.approx(0.75) == SCORE
    assert json.dumps({"score": SCORE}) == '{"score": 0.75}'
    assert (repr(SCORE), str(SCORE), f"{SCORE:.1%}", "%.2f" % SCORE) == ("0.75", "0.75", "75.0%", "0.75")  # noqa: UP031


@pytest.mark.parametrize("copied", [lambda s: pickle.loads(pickle.dumps(s)), copy.copy, copy.deepcopy])
def test_a_copy_keeps_everything(copied):
    other = copied(SCORE)
    assert type(other) is Score
    assert other == SCORE
    assert vars(other) == vars(SCORE)


@pytest.mark.parametrize("value", [-0.01, 1.01, math.nan, math.inf])
def test_nothing_outside_of_the_scale_is_a_score(value):
    with pytest.raises(ValueError, match=r"0\.\.1"):
        Score(value)
