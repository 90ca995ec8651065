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
