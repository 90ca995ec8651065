"""What surrounds a single judge: juries, calibration, other metrics, tone, two variants compared."""

from __future__ import annotations

import json

import pytest

from tests.e2e.test_judge import APP, env, is_judged, judged, without_keys

__all__ = ["APP", "env", "is_judged", "judged", "without_keys"]

JURY = """
    [tool.pytest-llmops.judge]
    jury = ["openai_compatible:gpt-kind", "openai_compatible:gpt-strict"]
    method = "mean"
"""


def opinion(request):
    """Two judges of different opinion."""
    levels = {"gpt-kind": 5, "gpt-strict": 3}
    if request["model"] in levels:
        return json.dumps({"level": levels[request["model"]], "reason": f"I am {request['model']}.", "evidence": []})
    return None


@pytest.fixture
def settled(judged, standin, env):
    """The judged project with a jury in its settings, and what it runs in."""
    judged.file("pyproject.toml", JURY)
    standin.script(opinion)
    del env["PYTEST_LLM_JUDGE"]
    return judged


def test_a_jury_scores_disagrees_and_replays(settled, standin, env):
    recorded = settled.run("--llm-json=run.json", env=env)
    assert recorded.outcomes == {"passed": 2}, recorded.out
    assert len(standin.requests) == 6
    for test in recorded.record["tests"]:
        measured = test["measurements"]
        assert measured["helpfulness"]["value"] == 0.75
        assert "I am gpt-strict." in measured["helpfulness"]["reason"]
        assert measured["helpfulness.disagreement"]["value"] == 0.5
        assert measured["helpfulness.disagreement"]["direction"] == "lower"
        assert [call["role"] for call in test["calls"]] == ["app", "judge", "judge"]
    replayed = settled.run("--llm-json=run.json", "--llm-record=none", env=without_keys(env))
    assert replayed.outcomes == {"passed": 2}, replayed.out
    assert len(standin.requests) == 6
    alone = settled.run("--llm-json=run.json", "--llm-judge=openai_compatible:gpt-kind", env=env)
    assert alone.outcomes == {"passed": 2}, alone.out
    assert all(test["measurements"]["helpfulness"]["value"] == 1.0 for test in alone.record["tests"])


def test_a_bad_judge_setting_is_told_before_any_test(settled, env):
    settled.file("pyproject.toml", '[tool.pytest-llmops.judge]\nmethd = "mean"\n')
    run = settled.run(env=env)
    assert run.returncode == 4
    run.match("*unknown key 'methd'. Did you mean 'method'*")
