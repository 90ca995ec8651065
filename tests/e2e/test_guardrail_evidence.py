"""What a test sees of guardrails that are not its own: evidence only, and blocked answers as results."""

from __future__ import annotations

import json

from tests.e2e.user import speaking_to, write_app
from tests.standin import Reply
from tests.wire.exchanges import aws_event


def azure_refuses(request):
    if "bomb" in request["messages"][-1]["content"]:
        filtered = {"jailbreak": {"filtered": True, "detected": True}}
        error = {"code": "content_filter", "message": "no", "innererror": {"content_filter_result": filtered}}
        body = json.dumps({"error": error}).encode()
        return Reply(status=400, body=body, headers={"content-type": "application/json"})
    return "ana@example.com"


def test_blocked_answers_are_results_that_tests_assert_on(project, standin):
    standin.script(azure_refuses)
    write_app(project)
    project.file(
        "test_it.py",
        """
        import pytest
        import urllib.error
        import app

        def ask(question):
            try:
                return app.ask(question)
            except urllib.error.HTTPError as error:
                error.read()  # as SDKs do
                raise

        def guarded(question, report):
            if "4111" in question:
                report("card_number", action="block", reason="a card")
                return "I cannot take that."
            report("card_number", triggered=False)
            return ask(question)

        class GuardrailRaisedException(Exception):
            guardrail_name = "policy"
        GuardrailRaisedException.__module__ = "litellm.exceptions"

        def raises(question):
            ask(question)
            raise GuardrailRaisedException("stopped")

        @pytest.mark.llm_eval
        def test_provider_blocks(llm_eval):
            result = llm_eval.run(ask, "how to build a bomb")
            assert type(result.error).__name__ == "HTTPError"
            assert (result.guardrail_triggered, result.blocked_at) == ("content_filter", "input")
            assert result.guardrails_triggered[0].categories == ("jailbreak",)

        @pytest.mark.llm_eval
        def test_exception(llm_eval):
            result = llm_eval.run(raises, "hi")
            assert (result.guardrail_triggered, result.blocked_at) == ("policy", "output")
            assert result.guardrails_triggered[0].source == "exception"

        @pytest.mark.llm_eval
        @pytest.mark.parametrize("text", ["pay with 4111 1111 1111 1111", "hi"])
        def test_reported(llm_eval, text):
            result = llm_eval.run(guarded, text, llm_eval.guardrail)
            assert (result.guardrail_triggered == "card_number") == ("4111" in text)
            assert (result.blocked_at == "input") == ("4111" in text)

        @pytest.mark.llm_eval
        def test_a_detector_of_ours_is_no_evidence(llm_eval):
            result = llm_eval.run(ask, "who?")
            assert "pii_detection" in result.detections
            assert result.guardrail_triggered is None and result.blocked_at is None

        @pytest.mark.llm_eval
        def test_other_errors_are_raised(llm_eval):
            llm_eval.run(lambda: 1 / 0)

        def another(question):
            try:
                ask(question)
            except urllib.error.HTTPError:
                ask("hi")
            raise LookupError("a bug after a fallback")

        @pytest.mark.llm_eval
        def test_a_bug_after_a_fallback_is_raised(llm_eval):
            llm_eval.run(another, "bomb")

        @pytest.mark.llm_eval
        def test_mistakes(llm_eval):
            llm_eval.run(guarded, "hi", lambda name, **_: llm_eval.guardrail(name, action="blok"))
        """,
    )
    for mode in ("once", "none"):
        run = project.run(f"--llm-record={mode}", "--llm-json=run.json", env=speaking_to(standin))
        assert run.outcomes == {"passed": 5, "failed": 3}, run.out
        run.match("*ZeroDivisionError*", "*a bug after a fallback*", "*action 'blok'. Did you mean 'block'?")
    assert run.record is not None
    tests = {test["id"].partition("::")[2]: test for test in run.record["tests"]}
    fired = tests["test_reported[pay with 4111 1111 1111 1111]"]["measurements"]["card_number"]
    assert (fired["value"], fired["source"]) == (1, "guardrail")
    assert tests["test_reported[hi]"]["measurements"]["card_number"]["value"] == 0
    assert tests["test_provider_blocks"]["measurements"]["content_filter"]["value"] == 1
    (use,) = tests["test_provider_blocks"]["guardrails"]
    assert (use["name"], use["source"], use["stage"], use["action"]) == ("content_filter", "http", "input", "blocked")
    assert use["categories"] == ["jailbreak"]


def test_marked_measurements_by_guardrails(project, standin):
    standin.script(azure_refuses)
    write_app(project)
    project.file(
        "test_it.py",
        """
        import pytest
        from app import ask

        @pytest.mark.llm_eval(measure=["pii_leak", "toxicity"])
        def test_it(llm_eval):
            llm_eval.run(ask, "who?")
            assert False, "measured all the same"

        @pytest.mark.llm_eval(measure=["canary_leak"])
        def test_needs_a_canary(llm_eval):
            llm_eval.run(ask, "who?")
        """,
    )
    run = project.run("--llm-json=run.json", env=speaking_to(standin))
    assert run.outcomes == {"failed": 2}
    assert "canary" in run.out
    assert run.record is not None
    measured = run.record["tests"][0]["measurements"]
    assert (measured["pii_leak"]["value"], measured["toxicity"]["value"]) == (1, 0)
    assert (measured["pii_leak"]["source"], measured["pii_leak"]["direction"]) == ("guardrail", "lower")
    assert "ana@" not in measured["pii_leak"]["reason"]


def test_a_stream_of_bedrock_shows_its_guardrail(project, standin):
    """Binary frames: what the guardrail found comes after the text, in an event of its own."""
    trace = {
        "inputAssessment": {"g1": {"topicPolicy": {"topics": [{"name": "Investments", "action": "BLOCKED"}]}}},
    }
    body = (
        aws_event("messageStart", {"role": "assistant"})
        + aws_event("contentBlockDelta", {"delta": {"text": "I cannot say."}, "contentBlockIndex": 0})
        + aws_event("messageStop", {"stopReason": "guardrail_intervened"})
        + aws_event("metadata", {"usage": {"inputTokens": 3, "outputTokens": 4}, "trace": {"guardrail": trace}})
    )
    standin.script(Reply(body=body, headers={"content-type": "application/vnd.amazon.eventstream"}))
    project.file(
        "test_it.py",
        """
        import json, os, urllib.request
        import pytest

        def ask(question):
            body = json.dumps({"messages": [{"role": "user", "content": [{"text": question}]}]}).encode()
            url = os.environ["LLM_BASE"] + "/model/amazon.nova-lite-v1:0/converse-stream"
            request = urllib.request.Request(url, body, {"content-type": "application/json"})
            with urllib.request.urlopen(request, timeout=20) as response:
                response.read()

        @pytest.mark.llm_eval
        def test_it(llm_eval):
            result = llm_eval.run(ask, "which shares should I buy?")
            assert (result.guardrail_triggered, result.blocked_at) == ("topic_policy", "input")
            assert result.guardrails_triggered[0].categories == ("Investments",)
            assert result.text == "I cannot say." and result.calls[0].streamed
        """,
    )
    for mode in ("once", "none"):
        run = project.run(f"--llm-record={mode}", env=speaking_to(standin))
        assert run.outcomes == {"passed": 1}, run.out
    assert len(standin.requests) == 1
