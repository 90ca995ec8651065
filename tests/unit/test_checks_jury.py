"""Several judges make one score, say how far apart they were, and hide no failure."""

from __future__ import annotations

import asyncio
import pickle

import pytest

from pytest_llmops.checks import Judge, Jury
from pytest_llmops.checks.jury import Bench, combined, configured, disagreement
from pytest_llmops.errors import JudgeError, SettingsError
from pytest_llmops.settings import load_project


def giving(*levels, name="a"):
    """A judge that gives these levels in turn."""
    rest = list(levels)

    def judge(system, user, schema):
        return {"level": rest.pop(0), "reason": f"Said by {name}.", "evidence": ["Hi"]}

    judge.__qualname__ = name
    return Judge(judge)


@pytest.mark.parametrize(
    ("method", "votes", "value"),
    [
        ("mean", [0.0, 0.5, 1.0, 1.0], 0.625),
        ("median", [0.0, 0.75, 1.0], 0.75),
        ("median", [0.5, 1.0], 0.75),
        ("majority", [0.25, 1.0, 1.0], 1.0),
        ("majority", [0.25, 1.0], 0.25),
    ],
)
def test_votes_become_one_number(method, votes, value):
    assert combined(votes, method) == value


def test_of_tied_values_the_worse_one_counts_whichever_that_is():
    assert Jury([giving(1), giving(5)], method="majority").score("clarity", text="Hi") == 0.0
    assert Jury([giving(1), giving(5)], method="majority").score("defensiveness", text="Hi") == 1.0


@pytest.mark.parametrize(("votes", "value"), [([0.5], 0.0), ([0.5, 0.5], 0.0), ([0.0, 1.0], 1.0), ([0, 0.5, 1], 2 / 3)])
def test_disagreement_is_the_mean_distance_of_two_votes(votes, value):
    assert disagreement(votes) == pytest.approx(value)


@pytest.mark.parametrize("how", ["sync", "async"])
def test_a_jury_s_score_shows_every_vote(how):
    jury = Jury([giving(5, name="kind"), giving(2, name="strict")])
    score = jury.score("clarity", text="Hi") if how == "sync" else asyncio.run(jury.ascore("clarity", text="Hi"))
    assert (score, score.disagreement, score.criterion) == (0.625, 0.75, "clarity")
    assert [float(vote) for vote in score.votes] == [1.0, 0.25]
    assert "kind 1.00: Said by kind." in score.reason
    assert "strict 0.25: Said by strict." in score.reason
    assert score.evidence == ("Hi",)
    again = pickle.loads(pickle.dumps(score))
    assert (again.votes, again.disagreement) == (score.votes, 0.75)


def test_repeats_are_samples_of_one_judge():
    score = Jury([giving(5, 4, 3)], repeats=3, method="median").score("clarity", text="Hi")
    assert (score, score.disagreement) == (0.75, pytest.approx(1 / 3))
    assert score.model.endswith("×3")


@pytest.mark.parametrize("how", ["sync", "async"])
def test_one_failing_member_fails_the_jury(how):
    jury = Jury([giving(5), giving(11, name="broken"), giving(4)])
    ask = jury.score if how == "sync" else lambda *args, **what: asyncio.run(jury.ascore(*args, **what))
    with pytest.raises(JudgeError, match=r"broken gave no verdict on 'clarity': level 11"):
        ask("clarity", text="Hi")


def test_members_repeats_and_method_are_part_of_what_a_score_means():
    a, b = giving(name="a"), giving(name="b")
    definitions = {
        Jury([a, b]).definition("clarity"),
        Jury([a]).definition("clarity"),
        Jury([a, b], repeats=2).definition("clarity"),
        Jury([a, b], method="median").definition("clarity"),
        Jury([a, b]).definition("tone"),
        a.definition("clarity"),
    }
    assert len(definitions) == 6
    score = Jury([giving(5, name="a"), giving(5, name="b")]).score("clarity", text="Hi")
    assert score.definition == Jury([a, b]).definition("clarity")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([],), "at least one judge"),
        (([giving(1)], 0), "repeats"),
        (([giving(1)], 1, "mode"), r"'mode'\..*mean"),
    ],
)
def test_a_jury_that_cannot_be(arguments, message):
    judges, repeats, method = (*arguments, 1, "mean")[:3] if len(arguments) < 3 else arguments
    with pytest.raises(SettingsError, match=message):
        Jury(judges, repeats=repeats, method=method)


def settings(tmp_path, text):
    file = tmp_path / "pyproject.toml"
    file.write_text(text, encoding="utf-8")
    return load_project(file).judge


def test_the_settings_seat_a_jury_and_another_one_for_a_criterion(tmp_path):
    found = settings(
        tmp_path,
        """
        [tool.pytest-llmops.judge]
        jury = ["openai:a", {model = "openai_compatible:b", base_url = "http://localhost:1/v1", timeout = 5}]
        method = "median"
        [tool.pytest-llmops.judge.criteria.tone]
        model = "anthropic:c"
        repeats = 3
        """,
    )
    bench = configured(found, None, hosts={}, root=tmp_path)
    assert isinstance(bench, Bench)
    assert isinstance(bench.default, Jury)
    first, second = bench.default.judges
    assert (first.model, second.model, second.base_url, second.timeout_s) == (
        "openai:a",
        "openai_compatible:b",
        "http://localhost:1/v1",
        5.0,
    )
    assert bench.of("clarity") is bench.default
    tone = bench.of("tone")
    assert (tone.model, tone.method) == ("median of anthropic:c ×3", "median")
    assert bench.lead is first
    assert bench.definition("tone") == tone.definition("tone")


def test_the_option_takes_the_place_of_every_model(tmp_path):
    found = settings(tmp_path, '[tool.pytest-llmops.judge]\njury = ["openai:a", "openai:b"]\n')
    assert configured(found, "openai:x", hosts={}, root=tmp_path).model == "openai:x"
    plain = settings(tmp_path, "")
    assert configured(plain, None, hosts={}, root=tmp_path).model.startswith("anthropic:")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('models = "x"', "unknown key 'models'. Did you mean 'model'"),
        ('model = "a:b"\njury = ["a:b"]', "exclude each other"),
        ('base_url = "http://x"', "belong to a model"),
        ("jury = []", "at least one judge"),
        ("jury = [3]", r"jury\]: expected a table, got 3|jury.*got 3"),
        ('jury = [{modl = "a:b"}]', "unknown key 'modl'"),
        ("repeats = 0", "not between 1 and 100"),
        ('method = "men"', "Did you mean 'mean'"),
        ('model = "a:b"\nbase_url = "localhost"', "does not begin with http"),
        ('model = "a:b"\ntimeout = 0', "timeout"),
        ("require_calibration = [1]", "expected str"),
        ("[tool.pytest-llmops.judge.criteria.tone]\nrepeat = 2", r"criteria.tone\]: unknown key 'repeat'"),
    ],
)
def test_a_judge_setting_that_cannot_be_used_says_where(tmp_path, text, message):
    with pytest.raises(SettingsError, match=message):
        settings(tmp_path, f"[tool.pytest-llmops.judge]\n{text}\n")
