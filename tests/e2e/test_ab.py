"""Two variants of an application over the same cases, recorded, replayed and compared."""

from __future__ import annotations

import json

import pytest

from tests.e2e.user import speaking_to, write_app

TEST = """
    import pytest
    from app import ask

    @pytest.mark.llm_ab(arms={"polite": "Please", "curt": "Quick"}, dataset="cases.jsonl", trials=2)
    def test_reply(llm_eval, llm_case, llm_arm):
        result = llm_eval.run(ask, f"{llm_arm} {llm_case.input}")
        llm_eval.record("politeness", 0.9 if "Please" in result.text else 0.2 + 0.01 * int(llm_case.id[1:]))
"""


@pytest.fixture
def arms(project):
    write_app(project)
    cases = "\n".join(json.dumps({"id": f"c{i}", "input": f"question {i}"}) for i in range(12))
    project.file("cases.jsonl", cases)
    project.file("test_it.py", TEST)
    return project


@pytest.mark.parametrize("n", [None, 2])
def test_both_arms_run_over_all_cases_and_trials_and_are_compared(arms, standin, n):
    env = speaking_to(standin)
    run = arms.run("--llm-json=run.json", env=env, n=n)
    assert run.outcomes == {"passed": 48}, run.out
    assert len(standin.requests) == 48
    run.match("*A/B of test_it.py::test_reply, polite and curt*", "*politeness *polite is better*")
    (found,) = run.record["ab"]
    rows = {row["metric"]: row for row in found["metrics"]}
    assert (rows["politeness"]["winner"], rows["politeness"]["cases"]) == ("polite", 12)
    assert rows["pass"]["winner"] is None
    assert run.record["tests"][0]["id"].endswith("[curt-c0-trial0]")

    replayed = arms.run("--llm-json=again.json", "--llm-record=none", env=env)
    assert replayed.outcomes == {"passed": 48}, replayed.out
    assert replayed.record["ab"] == run.record["ab"]
    assert len(standin.requests) == 48


def test_beside_llm_eval_and_other_parameters(arms, standin):
    arms.file(
        "test_it.py",
        """
        import pytest
        from app import ask

        @pytest.mark.parametrize("lang", ["en", "de"])
        @pytest.mark.llm_ab(arms={"a": 1, "b": 2})
        @pytest.mark.llm_eval(dataset="cases.jsonl")
        def test_reply(llm_eval, llm_case, llm_arm, lang):
            llm_eval.run(ask, f"{lang} {llm_arm} {llm_case.input}")
            llm_eval.record("value", llm_arm)
        """,
    )
    run = arms.run("--llm-json=run.json", env=speaking_to(standin))
    assert run.outcomes == {"passed": 48}, run.out
    (found,) = run.record["ab"]
    value = next(row for row in found["metrics"] if row["metric"] == "value")
    assert (value["cases"], value["a"], value["b"], value["winner"]) == (24, 1.0, 2.0, "b")


@pytest.mark.parametrize(
    ("marker", "message"),
    [
        ('llm_ab(arms={"a": 1})', "*expected at least two arms*"),
        (
            'llm_ab(arms={"a": 1, "b": 2}, dataste="cases.jsonl")',
            "*unknown argument 'dataste'.*",
        ),
        ('llm_eval(dataset="cases.jsonl")', "*llm_arm needs the marker*"),
    ],
)
def test_mistakes_are_one_clear_message(arms, standin, marker, message):
    arms.file("test_it.py", f"import pytest\n\n@pytest.mark.{marker}\ndef test_it(llm_eval, llm_arm):\n    pass\n")
    run = arms.run(env=speaking_to(standin))
    assert run.returncode != 0
    run.match(message)
    run.no_match("*INTERNALERROR*")


SIDE_BY_SIDE = """
    import pytest
    from app import ask

    @pytest.mark.llm_ab(
        arms={"curt": "Quick", "polite": "Please", "also": "Please"},
        dataset="cases.jsonl", trials=2, prefer=["helpfulness", "It is polite."],
    )
    def test_reply(llm_eval, llm_case, llm_arm):
        llm_eval.run(ask, f"{llm_arm} {llm_case.input}")
"""


def likes_politeness(request):
    """Prefers the polite answer; of two alike, by the second rubric, whichever stands first."""
    if request["model"] != "gpt-judge":
        return None
    system, user = (message["content"] for message in request["messages"])
    block = user.partition("<answer-")[2].partition("\n")[2].partition("\n</answer-")[0]
    answers = json.loads(block)
    polite = [name for name in ("first", "second") if "Please" in answers[name]]
    choice = polite[0] if len(polite) == 1 else "first" if "It is polite." in system else "tie"
    return json.dumps({"reason": f"{choice} is it.", "choice": choice})


@pytest.fixture
def judged_arms(arms, standin):
    arms.file("test_it.py", SIDE_BY_SIDE)
    standin.script(likes_politeness)
    judge = {"PYTEST_LLM_JUDGE": "openai_compatible:gpt-judge", "OPENAI_BASE_URL": f"{standin.url}/v1"}
    return arms, {**speaking_to(standin), **judge}


@pytest.mark.parametrize("n", [None, 2])
def test_arms_are_judged_side_by_side_in_both_orders(judged_arms, standin, n):
    arms, env = judged_arms
    run = arms.run("--llm-json=run.json", env=env, n=n)
    assert run.outcomes == {"passed": 72}, run.out
    # Pairs with equal answers, those of the two trials and of the two arms that ask alike, are asked about once: two
    # rubrics, both orders, twelve cases.
    asked = sum(request.json["model"] == "gpt-judge" for request in standin.requests)
    assert asked == 2 * 2 * 12
    run.match(
        "*A/B of test_it.py::test_reply, curt and polite*",
        "*helpfulness.prefers *0.0% *100.0% *polite is better*",
        "*helpfulness: both orders asked, position bias +0.00*",
    )
    by_arm = {one["b"]: one for one in run.record["ab"]}
    rows = {arm: {row["metric"]: row for row in one["metrics"]} for arm, one in by_arm.items()}
    polite = rows["polite"]["helpfulness.prefers"]
    assert (polite["a"], polite["b"], polite["cases"], polite["winner"]) == (0.0, 1.0, 12, "polite")
    assert by_arm["also"]["position_bias"] == {"helpfulness": 0.0, "It is polite.": 0.0}
    test = next(test for test in run.record["tests"] if test["id"].endswith("[polite-c0-trial0]"))
    measured = test["measurements"]["helpfulness.prefers"]
    assert (measured["value"], measured["tags"]) == (1.0, {"preferred_to": "curt"})
    assert "in the other order first: first is it." in measured["reason"]
    assert [call["role"] for call in test["calls"]].count("judge") == 4

    sent = len(standin.requests)
    replayed = arms.run("--llm-json=again.json", "--llm-record=none", env=env, n=n)
    assert replayed.outcomes == {"passed": 72}, replayed.out
    assert replayed.record["ab"] == run.record["ab"]
    assert len(standin.requests) == sent


def test_the_place_that_a_judge_prefers_is_told_and_no_preference(judged_arms):
    arms, env = judged_arms
    arms.file("test_it.py", SIDE_BY_SIDE.replace("Quick", "Please"))
    run = arms.run("--llm-json=run.json", env=env)
    assert run.outcomes == {"passed": 72}, run.out
    run.match("*It is polite.: both orders asked, position bias +1.00: by its place alone, whichever stood first*")
    found = run.record["ab"][0]
    assert found["position_bias"] == {"helpfulness": 0.0, "It is polite.": 1.0}
    row = next(row for row in found["metrics"] if row["metric"] == "It is polite..prefers")
    assert (row["a"], row["b"], row["winner"]) == (0.5, 0.5, None)


def test_pairs_without_a_recording_or_a_verdict_fail_the_run(judged_arms, standin):
    arms, env = judged_arms
    arms.file("test_it.py", SIDE_BY_SIDE.replace(', "also": "Please"', "").replace(', "It is polite."', ""))
    standin.script(lambda request: "Both are nice." if request["model"] == "gpt-judge" else None)
    failed = arms.run("--llm-json=run.json", env=env)
    assert failed.returncode == 1
    failed.match(
        "24 pairs of arms could not be compared:",
        "*test_reply[[]polite-c0*: judge openai_compatible:gpt-judge gave no verdict on 'helpfulness'*",
        "*… and * more*",
        "FAILED llm-ab::test_it.py::test_reply*",
    )
    test = next(test for test in failed.record["tests"] if "polite" in test["id"])
    measured = test["measurements"]["helpfulness.prefers"]
    assert (measured["status"], measured["value"]) == ("error", None)

    missed = arms.run("--llm-record=none", "--llm-judge=openai_compatible:gpt-other", env=env)
    assert missed.returncode == 1
    missed.match("*has no recording*", "*re-record: pytest test_it.py::test_reply --llm-record=refresh*")

    standin.script(likes_politeness)
    sent = len(standin.requests)
    again = arms.run("--llm-record=refresh", env=env)
    assert again.outcomes == {"passed": 48}, again.out
    assert {request.json["model"] for request in standin.requests[sent:]} == {"gpt-judge"}
    assert arms.run("--llm-record=none", env=env).outcomes == {"passed": 48}


def test_without_the_first_arm_nothing_is_compared(judged_arms, standin):
    arms, env = judged_arms
    run = arms.run("-k", "polite", "--llm-json=run.json", env=env)
    assert run.outcomes == {"passed": 24, "deselected": 48}, run.out
    measured = run.record["tests"][0]["measurements"]["helpfulness.prefers"]
    assert (measured["status"], measured["reason"]) == (
        "unscored",
        "no answer of the first arm or of polite to compare",
    )
    assert not any(request.json["model"] == "gpt-judge" for request in standin.requests)


def test_a_misspelt_preference_is_one_clear_message(judged_arms):
    arms, env = judged_arms
    arms.file("test_it.py", SIDE_BY_SIDE.replace('"helpfulness"', '"helpfulnes"'))
    run = arms.run(env=env)
    assert run.returncode != 0
    run.match("*llm_ab: prefer: *'helpfulnes'*Did you mean 'helpfulness'*")
    run.no_match("*INTERNALERROR*")
