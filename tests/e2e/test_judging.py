"""What surrounds a single judge: juries, calibration, other metrics, tone, two variants compared."""

from __future__ import annotations

import gzip
import json

import pytest

from tests.e2e.test_judge import APP, env, is_judged, judged, without_keys
from tests.standin import Reply
from tests.standin_judge import GullibleJudge

__all__ = ["APP", "env", "is_judged", "judged", "without_keys"]

TEST = """
    import pytest
    from app import answer

    @pytest.mark.llm_eval(dataset="cases.jsonl", measure=["helpfulness"])
    def test_helpful(llm_eval, llm_case):
        llm_eval.run(answer, llm_case.input)
"""

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


def test_a_judge_is_calibrated_and_only_then_gates(judged, env):
    judged.file("pyproject.toml", "[tool.pytest-llmops.judge]\nrequire_calibration = true\n")
    judged.file(
        "cases.jsonl",
        "\n".join(json.dumps({"id": f"c{i}", "input": f"{'GOOD' if i % 2 else 'POOR'} day {i}"}) for i in range(12)),
    )
    judged.file("test_it.py", TEST)
    stored = judged.run("--llm-baseline=b.json", "--llm-update-baseline", "--llm-json=run.json", env=env)
    assert stored.outcomes == {"passed": 12}, stored.out
    uncalibrated = judged.run("--llm-baseline=b.json", env=env)
    assert uncalibrated.returncode == 1
    uncalibrated.match("*helpfulness cannot be compared*", "*the judge is not calibrated for 'helpfulness'*")

    made = judged.command("judge", "label", "run.json", "--sample", "10", "-o", "labels.csv")
    assert made.returncode == 0, made.out
    sheet = judged.path / "labels.csv"
    lines = sheet.read_text("utf-8-sig").splitlines()
    labelled = [line[:-1] + ("good," if "GOOD" in line else "bad,") for line in lines[1:]]
    sheet.write_text("\n".join([lines[0], *labelled]), encoding="utf-8")
    done = judged.command("judge", "calibrate", "labels.csv")
    assert done.returncode == 0, done.out
    done.match(
        "helpfulness: 10 labels, 2 more judged answers*", "*kappa*1.000", "wrote *judge-calibration.json: helpfulness"
    )
    assert json.loads(judged.command("judge", "calibrate", "labels.csv", "--json").out)["calibrations"][0]["j"] == 1.0

    assert judged.run("--llm-baseline=b.json", env=env).returncode == 0
    assert judged.command("compare", "b.json", "run.json").returncode == 0
    judged.file("judge-calibration.json", "{")
    damaged = judged.run("--llm-baseline=b.json", env=env)
    assert damaged.returncode == 4
    damaged.match("*judge-calibration.json: is no calibration file*")
    damaged.no_match("*INTERNALERROR*")


@pytest.mark.parametrize(
    ("counts", "values"),
    [
        # Cohen's kappa of [[20, 5], [10, 15]] is .4
        ((20, 5, 10, 15), {"kappa": 0.4, "tpr": [0.8], "tnr": [0.6], "j": 0.4}),
        # Wilson's interval of 9 of 10
        ((9, 1, 0, 5), {"tpr": [0.9, 0.59585, 0.98212]}),
        # A drop of .05 shows as .0375
        ((18, 2, 3, 17), {"tpr": [0.9], "tnr": [0.85], "j": 0.0375 / 0.05}),
    ],
)
def test_a_sheet_of_ones_own_gives_the_reference_values(judged, counts, values):
    rows = ["1,good", "0,good", "1,bad", "0,bad"]
    lines = [row for row, count in zip(rows, counts, strict=True) for _ in range(count)]
    judged.file("labels.csv", "\n".join(["judge,label", *lines]) + "\n")
    run = judged.command("judge", "calibrate", "labels.csv", "--json")
    assert run.returncode == 0, run.out
    (found,) = json.loads(run.out)["calibrations"]
    for name, value in values.items():
        got = found[name][: len(value)] if isinstance(value, list) else found[name]
        assert got == pytest.approx(value, abs=5e-6)
    told = judged.command("judge", "calibrate", "labels.csv")
    assert ("warning: J = 0.40 is below 0.6" in told.out) == (values.get("j") == 0.4)


def test_a_sheet_without_labels_is_one_clear_message(judged):
    judged.file("labels.csv", "judge,label\n1,\n")
    run = judged.command("judge", "calibrate", "labels.csv")
    assert run.returncode == 2
    run.match("pytest-llmops: labels.csv: no row has a label*")


def test_metrics_without_a_model_by_method_and_by_name(judged, standin, env):
    judged.file("cases.jsonl", '{"id": "a", "input": "GOOD day", "expected": "Echo: GOOD night"}\n')
    judged.file(
        "test_it.py",
        """
        import pytest
        from app import answer

        @pytest.mark.llm_eval(dataset="cases.jsonl", measure=["levenshtein", "exact", "rougeL"])
        def test_it(llm_eval, llm_case):
            result = llm_eval.run(answer, llm_case.input)
            assert result.metric("contains", "good DAY")
            assert result.similarity("Echo: GOOD day!") == 1.0
            assert result.similarity("Echo: 5 GOOD days") >= 0.9
        """,
    )
    run = judged.run("--llm-json=run.json", env=env)
    assert run.outcomes == {"failed": 1}, run.out
    run.match("*assert *0.0 >= 0.9*", "*similarity: reads * alike, but the number 5 is missing*", "*the judged text:*")
    assert len(standin.requests) == 1
    measured = run.record["tests"][0]["measurements"]
    assert measured["exact"]["value"] == 0.0
    assert measured["exact"]["kind"] == "rate"
    assert 0.4 < measured["levenshtein"]["value"] < 1.0
    assert measured["rougeL"]["value"] == pytest.approx(2 / 3)
    assert measured["contains"] | {"reason": ""} == measured["contains"] | {"value": 1.0, "status": "ok", "reason": ""}
    assert {entry["source"] for name, entry in measured.items() if name in ("exact", "similarity")} == {"library"}


def test_a_metric_that_misses_something_is_one_clear_message(judged, env):
    marked = TEST.replace('"helpfulness"', '"bleu"').replace("measure=", "threshold=0.1, measure=")
    judged.file("test_it.py", marked)
    run = judged.run(env=env)
    assert run.outcomes == {"failed": 2}, run.out
    run.match("*the metric 'bleu' needs an expected text*")
    run.no_match("*metrics.py:*")


def test_tone_lies_on_the_cassette_inside_a_test_and_works_without_one(judged, standin, env):
    tone = {"reason": "Kind.", "professional": 5, "empathy": 3, "defensive": 1, "label": "friendly"}
    standin.script(lambda request: json.dumps(tone) if is_judged(request) else None)
    judged.file(
        "test_it.py",
        """
        import pytest
        from app import answer
        from pytest_llmops import EvaluationMetrics

        @pytest.mark.llm_eval
        def test_it(llm_eval):
            result = llm_eval.run(answer, "GOOD day")
            assert result.tone == "friendly"
            assert (result.tone.professional, result.tone.empathy, result.tone.defensive) == (1.0, 0.5, 0.0)
            assert result.style.words == 3
            assert EvaluationMetrics.analyze("Another text.").empathy_score == 0.5
        """,
    )
    run = judged.run("--llm-json=run.json", env=env)
    assert run.outcomes == {"passed": 1}, run.out
    assert len(standin.requests) == 3
    measured = run.record["tests"][0]["measurements"]
    assert measured["tone_empathy"]["value"] == 0.5
    assert (measured["tone_defensive"]["direction"], measured["tone_defensive"]["value"]) == ("lower", 0.0)
    assert [call["role"] for call in run.record["tests"][0]["calls"]] == ["app", "judge", "judge"]
    assert judged.run("--llm-record=none", env=without_keys(env)).outcomes == {"passed": 1}
    assert len(standin.requests) == 3

    script = "from pytest_llmops import EvaluationMetrics as E; print(E.analyze('Hi.').tone)"
    assert judged.python("-c", script, env=env).out == "friendly\n"
    assert len(standin.requests) == 4


def test_a_tone_that_cannot_be_told_is_an_error(judged, standin, env):
    standin.script(lambda request: "Sounds nice." if is_judged(request) else None)
    told = TEST.replace(', measure=["helpfulness"]', "").replace("llm_eval.run", "assert llm_eval.run")
    judged.file("test_it.py", told.replace("case.input)", "case.input).tone"))
    run = judged.run("--llm-json=run.json", env=env)
    assert run.returncode == 1
    run.match("*gave no verdict on 'tone': its answer is no whole JSON*")
    for test in run.record["tests"]:
        assert test["measurements"]["tone_empathy"]["status"] == "error"


@pytest.mark.parametrize("n", [None, 2])
def test_a_live_run_tells_a_judge_that_moved(judged, standin, env, n):
    cases = "\n".join(json.dumps({"id": f"c{i}", "input": f"GOOD day {i}"}) for i in range(12))
    judged.file("cases.jsonl", cases)
    judged.file("test_it.py", TEST)
    stored = judged.run("--llm-baseline=b.json", "--llm-update-baseline", env=env)
    assert stored.outcomes == {"passed": 12}, stored.out
    sent = len(standin.requests)
    args = ("--llm-record=live", "--llm-baseline=b.json", "--llm-json=run.json")

    steady = judged.run(*args, env=env, n=n)
    assert steady.returncode == 0, steady.out
    steady.match("*the judge of helpfulness is steady: 0.750 → 0.750 on the same 10 stored answers*")
    # the application answers as before, so what is judged again is the same text, and paid for once
    assert len(standin.requests) == sent + 24

    strict = GullibleJudge({"GOOD": 2})

    def changed(request):
        return strict(request) if is_judged(request) else Reply(f"GOOD luck {request['messages'][-1]['content']}")

    standin.script(changed)
    moved = judged.run(*args, env=env, n=n)
    assert len(standin.requests) == sent + 24 + 24 + 10
    assert moved.returncode == 1
    moved.match("*judge drift: helpfulness moved by -0.500, 0.750 → 0.250 on the same 10 stored answers*")
    assert sum("helpfulness" in test.get("rejudged", {}) for test in moved.record["tests"]) == 10


def test_making_the_baseline_anew_judges_no_answer_of_the_old_one(judged, standin, env):
    arguments = ("--llm-record=live", "--llm-baseline=b.json", "--llm-update-baseline", "--llm-json=run.json")
    cases = [json.dumps({"id": f"c{i}", "input": f"GOOD day {i}"}) for i in range(3)]
    judged.file("cases.jsonl", "\n".join(cases))
    judged.file("test_it.py", TEST)
    judged.run(*arguments, env=env)
    judged.file("cases.jsonl", "\n".join(cases[:2]))
    (judged.path / "b.json").unlink()
    again = judged.run(*arguments, env=env)
    assert again.outcomes == {"passed": 2}, again.out
    assert [test["outcome"] for test in again.record["tests"]] == ["passed"] * 2
    assert '"pass":1' in judged.read("b.json")
    assert '"pass":0' not in judged.read("b.json")
    with gzip.open(judged.path / "b.answers.jsonl.gz", "rt") as kept:
        assert len(kept.readlines()) == 2


def test_a_judge_s_tone_that_moved_is_told_too(judged, standin, env):
    def heard(level):
        tone = {"reason": "So.", "professional": level, "empathy": 3, "defensive": 1, "label": "neutral"}
        return lambda request: json.dumps(tone) if is_judged(request) else None

    judged.file("cases.jsonl", "\n".join(json.dumps({"id": f"c{i}", "input": f"day {i}"}) for i in range(12)))
    told = TEST.replace(', measure=["helpfulness"]', "").replace("llm_eval.run", "assert llm_eval.run")
    judged.file("test_it.py", told.replace("case.input)", "case.input).tone"))
    standin.script(heard(5))
    stored = judged.run("--llm-baseline=b.json", "--llm-update-baseline", env=env)
    assert stored.outcomes == {"passed": 12}, stored.out
    sent = len(standin.requests)
    standin.script(heard(3))
    moved = judged.run("--llm-record=live", "--llm-baseline=b.json", env=env)
    assert len(standin.requests) == sent + 24  # the texts are the same, and a text is asked about once
    moved.match("*judge drift: tone_professional moved by -0.500, 1.000 → 0.500 on the same 10 stored answers*")
    moved.match("*the judge of tone_empathy is steady*")


def test_two_answers_side_by_side_in_both_orders(judged, standin, env):
    def first_is_always_better(request):
        return json.dumps({"reason": "It stands first.", "choice": "first"}) if is_judged(request) else None

    standin.script(first_is_always_better)
    judged.file(
        "test_it.py",
        """
        import pytest
        from app import answer

        @pytest.mark.llm_eval
        def test_it(llm_eval):
            one = llm_eval.run(answer, "GOOD day", name="one")
            other = llm_eval.run(answer, "GOOD night", name="other")
            preference = llm_eval.prefer(one, other, "clarity")
            assert (preference, preference.position_bias) == (0.5, 1.0)
        """,
    )
    run = judged.run("--llm-json=run.json", env=env)
    assert run.outcomes == {"passed": 1}, run.out
    measured = run.record["tests"][0]["measurements"]
    assert (measured["clarity.prefers"]["value"], measured["clarity.position_bias"]["value"]) == (0.5, 1.0)
    assert [call["role"] for call in run.record["tests"][0]["calls"]].count("judge") == 2
    assert judged.run("--llm-record=none", env=without_keys(env)).outcomes == {"passed": 1}
    assert len(standin.requests) == 4


def of_all_kinds(request):
    """Two judges of different opinion, whatever they are asked."""
    if not request["model"].startswith("gpt-") or request["model"] == "gpt-x":
        return None
    kind = request["model"] == "gpt-kind"
    properties = request["response_format"]["json_schema"]["schema"]["properties"]
    level = 5 if kind else 3
    if "choice" in properties:  # the strict one takes whatever stands first
        better = "first" if not kind or "night" in request["messages"][1]["content"].split('"second"')[0] else "second"
        return json.dumps({"reason": f"I am {request['model']}.", "choice": better})
    if "label" in properties:
        label = "friendly" if kind else "neutral"
        scales = dict.fromkeys(("professional", "empathy", "defensive"), level)
        return json.dumps({"reason": f"I am {request['model']}.", **scales, "label": label})
    return json.dumps({"reason": f"I am {request['model']}.", "evidence": [], "level": level})


WHOLE_JURY = """
    import asyncio
    import pytest
    from app import answer
    from pytest_llmops import EvaluationMetrics

    class Ticking:
        \"\"\"Whether the loop went on while a judge was asked.\"\"\"

        async def __aenter__(self):
            self.ticks = 0
            self.task = asyncio.create_task(self.tick())
            await asyncio.sleep(0)

        async def tick(self):
            while True:
                self.ticks += 1
                await asyncio.sleep(0.005)

        async def __aexit__(self, *_):
            self.task.cancel()
            assert self.ticks >= MINIMUM

    @pytest.mark.asyncio
    @pytest.mark.llm_eval
    async def test_it(llm_eval):
        one = llm_eval.run(answer, "GOOD day", name="one")
        other = llm_eval.run(answer, "GOOD night", name="other")
        async with Ticking():
            tone = await one.atone()
        assert tone == "friendly"
        assert [str(vote) for vote in tone.votes] == ["friendly", "neutral"]
        assert (tone.professional, tone.disagreement["defensive"]) == (0.75, 0.5)
        async with Ticking():
            preference = await llm_eval.aprefer(one, other, "clarity")
        assert (preference, preference.position_bias, preference.disagreement) == (0.75, 0.5, 0.5)
        async with Ticking():
            assert await other.agrounded_in("Nights are good.") == 0.75
        async with Ticking():
            assert (await EvaluationMetrics.aanalyze("Another text.")).empathy_score == 0.75
"""


def test_a_whole_jury_is_asked_for_tone_and_preference_without_blocking_the_loop(settled, standin, env):
    standin.script(lambda request: text and Reply(text, latency_s=0.2) if (text := of_all_kinds(request)) else None)
    settled.file("test_it.py", WHOLE_JURY.replace("MINIMUM", "4"))
    run = settled.run("--llm-json=run.json", env=env)
    assert run.outcomes == {"passed": 1}, run.out
    assert len(standin.requests) == 2 + 2 + 4 + 2 + 2
    (test,) = run.record["tests"]
    measured = test["measurements"]
    assert measured["tone_professional#one"]["value"] == 0.75
    assert "I am gpt-strict." in measured["tone_professional#one"]["reason"]
    assert measured["tone_empathy.disagreement#one"]["value"] == 0.5
    assert (measured["clarity.prefers"]["value"], measured["clarity.prefers.disagreement"]["value"]) == (0.75, 0.5)
    assert measured["clarity.position_bias"]["value"] == 0.5
    assert [call["role"] for call in test["calls"]].count("judge") == 10
    settled.file("test_it.py", WHOLE_JURY.replace("MINIMUM", "1"))
    replayed = settled.run("--llm-json=run.json", "--llm-record=none", env=without_keys(env))
    assert replayed.outcomes == {"passed": 1}, replayed.out
    assert replayed.record["tests"][0]["measurements"] == measured
    assert len(standin.requests) == 12


def test_a_juror_that_fails_fails_the_tone_and_the_preference(settled, standin, env):
    def half(request):
        return "Nice." if request["model"] == "gpt-strict" else of_all_kinds(request)

    standin.script(half)
    settled.file(
        "test_it.py",
        """
        import pytest
        from app import answer
        from pytest_llmops.errors import JudgeError

        @pytest.mark.llm_eval
        def test_it(llm_eval):
            one = llm_eval.run(answer, "GOOD day", name="one")
            other = llm_eval.run(answer, "GOOD night", name="other")
            with pytest.raises(JudgeError, match="gpt-strict gave no verdict on 'tone'"):
                one.tone
            with pytest.raises(JudgeError, match="gpt-strict gave no verdict on 'clarity'"):
                llm_eval.prefer(one, other, "clarity")
        """,
    )
    run = settled.run("--llm-json=run.json", env=env)
    assert run.outcomes == {"passed": 1}, run.out
    measured = run.record["tests"][0]["measurements"]
    for name in ("tone_professional#one", "tone_defensive#one", "clarity.prefers"):
        assert (measured[name]["status"], measured[name]["value"]) == ("error", None)


def test_the_tone_has_a_judge_of_its_own_where_the_settings_say_so(settled, standin, env):
    settled.file(
        "pyproject.toml", JURY + '[tool.pytest-llmops.judge.criteria.tone]\nmodel = "openai_compatible:gpt-kind"'
    )
    standin.script(of_all_kinds)
    settled.file(
        "test_it.py",
        """
        import pytest
        from app import answer

        @pytest.mark.llm_eval
        def test_it(llm_eval):
            result = llm_eval.run(answer, "GOOD day")
            assert (result.tone, result.tone.professional, result.tone.votes) == ("friendly", 1.0, ())
        """,
    )
    assert settled.run(env=env).outcomes == {"passed": 1}
    assert len(standin.requests) == 2


EMBEDDED = """
    import pytest
    from app import answer

    @pytest.mark.llm_eval
    def test_a(llm_eval):
        result = llm_eval.run(answer, "GOOD day")
        assert result.similarity("Echo: GOOD 5 days", embeddings=True) == 0.0

    @pytest.mark.llm_eval(dataset="cases.jsonl", measure=["semantic_similarity"])
    def test_b(llm_eval, llm_case):
        llm_eval.run(answer, llm_case.input)

    @pytest.mark.asyncio
    @pytest.mark.llm_eval
    async def test_by_a_function(llm_eval):
        result = llm_eval.run(answer, "GOOD day")
        assert (await result.asimilarity("It says: GOOD day", embeddings=lambda text: [len(text), 1])) > 0.9
"""


def test_similarity_of_meaning_lies_on_the_cassette_and_is_not_the_application_s_cost(judged, standin, env):
    judged.file("pyproject.toml", '[tool.pytest-llmops.embeddings]\nmodel = "openai_compatible:embed-x"\n')
    judged.file("cases.jsonl", '{"id": "a", "input": "GOOD day", "expected": ["Echo: GOOD day", "Bye."]}\n')
    judged.file("test_it.py", EMBEDDED)
    run = judged.run("--llm-json=run.json", env=env)
    assert run.outcomes == {"passed": 3}, run.out
    assert [request.path for request in standin.requests].count("/v1/embeddings") == 3  # one text, one request
    test, named = run.record["tests"][0], run.record["tests"][1]
    assert named["measurements"]["semantic_similarity"]["value"] == 1.0
    measured = test["measurements"]
    assert (measured["semantic_similarity"]["value"], measured["semantic_similarity"]["source"]) == (0.0, "library")
    assert "the number 5 days is missing" in measured["semantic_similarity"]["reason"]
    assert measured["semantic_similarity"]["definition"]
    assert measured["output_tokens"]["value"] == 3
    assert [call["role"] for call in test["calls"]] == ["app", "judge", "judge"]
    sent = len(standin.requests)
    assert judged.run("--llm-record=none", env=without_keys(env)).outcomes == {"passed": 3}
    assert len(standin.requests) == sent


def test_embeddings_that_cannot_be_are_told_before_any_test(judged, env):
    judged.file("pyproject.toml", '[tool.pytest-llmops.embeddings]\nmodel = "opnai:embed-x"\n')
    run = judged.run(env=env)
    assert run.returncode == 4
    run.match("*[[]tool.pytest-llmops.embeddings]: *unknown provider 'opnai'. Did you mean 'openai'*")
