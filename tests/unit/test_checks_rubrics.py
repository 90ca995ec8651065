"""Rubrics: what a criterion means, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_llmops.checks.builtin_rubrics import BUILTIN
from pytest_llmops.checks.rubrics import Rubric, load, resolve
from pytest_llmops.errors import SettingsError

PROMISED = {
    *("helpfulness", "relevance", "correctness", "completeness", "clarity", "faithfulness"),
    *("instruction_adherence", "tone", "empathy", "defensiveness", "safety"),
    "factual_accuracy",
}


def test_all_promised_rubrics_are_built_in_with_five_described_levels():
    assert set(BUILTIN) == PROMISED
    for name, rubric in BUILTIN.items():
        assert resolve(name) is rubric
        assert sorted(rubric.levels) == [1, 2, 3, 4, 5]
        assert len(set(rubric.levels.values())) == 5


def test_only_defensiveness_is_better_low():
    assert [name for name, rubric in BUILTIN.items() if rubric.direction == "lower"] == ["defensiveness"]


@pytest.mark.parametrize(
    ("criterion", "closest"), [("helpfulnes", "helpfulness"), ("Tone", "tone"), ("faithfull", "faithfulness")]
)
def test_a_mistyped_name_is_refused_with_the_closest(criterion, closest):
    with pytest.raises(SettingsError, match=f"Did you mean '{closest}'"):
        resolve(criterion)


@pytest.mark.parametrize("criterion", ["", "   ", 7, None, ["tone"]])
def test_what_is_no_criterion_is_refused(criterion):
    with pytest.raises(SettingsError):
        resolve(criterion)


@pytest.mark.parametrize("sentence", ["The answer names a refund date.", "回答应该有礼貌", "Höflich?", "is polite"])
def test_a_sentence_is_its_own_criterion_on_the_scale_of_agreement(sentence):
    rubric = resolve(sentence)
    assert rubric.name == rubric.question == sentence
    assert (rubric.lowest, rubric.highest, len(rubric.levels)) == (1, 5, 5)


@pytest.mark.parametrize(("level", "share"), [(1, 0.0), (2, 0.25), (3, 0.5), (5, 1.0)])
def test_levels_are_shares_of_the_scale(level, share):
    assert BUILTIN["tone"].share(level) == share


def test_a_scale_need_not_start_at_one_nor_describe_every_level():
    rubric = Rubric("depth", "How deep?", {0: "Not at all.", 4: "To the bottom."})
    assert [rubric.share(level) for level in (0, 1, 4)] == [0.0, 0.25, 1.0]


def test_score_reason_is_one_to_ten_without_levels():
    rubric = Rubric("overall", "How good?", form="score_reason")
    assert (rubric.lowest, rubric.highest) == (1, 10)
    assert rubric.share(10) == 1.0


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"levels": {3: "only one"}}, "at least two levels"),
        ({"levels": {1: "a", 2000: "b"}}, "at most 100"),
        ({"levels": {"a": "b", 1: "c"}}, "whole numbers"),
        ({"levels": {True: "b", 3: "c"}}, "whole numbers"),
        ({"levels": {1: "b", 3: None}}, "whole numbers to texts"),
        ({"direction": "down"}, "direction 'down'"),
        ({"form": "score-reason"}, "Did you mean 'score_reason'"),
        ({"needs": ("expcted",)}, "Did you mean 'expected'"),
        ({"question": " "}, "question"),
    ],
)
def test_an_unusable_rubric_is_refused(fields, message):
    with pytest.raises(SettingsError, match=message):
        Rubric(**{"name": "mine", "question": "How?", **fields})


YAML = """\
name: refund_policy
question: Does the answer state the refund policy?
levels:
  1: It states another policy.
  3: It states the policy as it is.
needs: [expected]
"""


def test_a_file_is_a_rubric(tmp_path: Path):
    (tmp_path / "refund.yaml").write_text(YAML)
    rubric = resolve("refund.yaml", root=tmp_path)
    assert rubric == resolve(tmp_path / "refund.yaml")
    assert (rubric.name, rubric.needs, rubric.share(2)) == ("refund_policy", ("expected",), 0.5)


def test_a_json_file_without_a_name_is_named_after_itself(tmp_path: Path):
    (tmp_path / "depth.json").write_text('{"question": "How deep?", "levels": {"1": "flat", "2": "deep"}}')
    assert resolve(tmp_path / "depth.json").name == "depth"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("question: [", "is no YAML"),
        ("- a\n- b", "expected a mapping"),
        ("qestion: How?", "Did you mean 'question'"),
        ("name: x", "question is missing"),
        ("name: 3\nquestion: How?", "name is missing, or no text"),
        ("question: How?\nlevels: [a, b]", "levels map whole numbers"),
        ("question: How?\nlevels: {1: a}", "at least two levels"),
        ("question: How?\nneeds: 3", "needs is a list of input, expected, context"),
        ("question: How?\nneeds: contxt", "Did you mean 'context'"),
    ],
)
def test_a_broken_file_is_named_in_the_message(tmp_path: Path, text, message):
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(SettingsError, match=message) as caught:
        load(Path("mine.yaml"), root=tmp_path)
    assert "mine.yaml" in str(caught.value)


def test_a_missing_file_is_a_clear_error(tmp_path: Path):
    with pytest.raises(SettingsError, match=r"gone\.yaml: cannot be read: No such file"):
        resolve("gone.yaml", root=tmp_path)
