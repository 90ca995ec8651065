"""Conversations, steps, tools and languages as tests see them."""

from __future__ import annotations

import json
import re

import pytest

from tests.conftest import Project
from tests.e2e.user import speaking_to
from tests.standin import Reply, ToolCall

APP = """
    import asyncio, json, os, threading, urllib.request

    def chat(messages, model="gpt-4o-mini", **fields):
        data = json.dumps({"model": model, "messages": messages, **fields}).encode()
        request = urllib.request.Request(os.environ["LLM_BASE"] + "/v1/chat/completions", data,
                                         {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=20) as response:
            return json.load(response)["choices"][0]["message"]

    def ask(question, **fields):
        return chat([{"role": "user", "content": question}], **fields)["content"]

    def with_messages(messages):
        return chat(messages)["content"]

    def with_history(message, history):
        return chat([*history, {"role": "user", "content": message}])["content"]

    async def async_history(message, history):
        return await asyncio.to_thread(with_history, message, history)

    class Bot:
        def __init__(self):
            self.messages = []
        def __call__(self, message):
            self.messages.append({"role": "user", "content": message})
            answer = chat(self.messages)["content"]
            self.messages.append({"role": "assistant", "content": answer})
            return answer
"""


@pytest.fixture
def app(project: Project) -> Project:
    project.file("conftest.py", "")
    project.file("app.py", APP)
    return project


def test_every_kind_of_application_hears_the_whole_conversation(app, standin):
    standin.script(lambda request: f"{len(request['messages'])} messages")
    app.file(
        "test_it.py",
        """
        import pytest
        from app import Bot, async_history, with_history, with_messages

        @pytest.mark.llm_eval
        @pytest.mark.parametrize("make", [Bot, lambda: with_history, lambda: with_messages])
        def test_sync(llm_eval, make):
            chat = llm_eval.conversation(make())
            assert chat.say("Hi").text == "1 messages"
            assert chat.say("Again").text == "3 messages"
            assert [m["role"] for m in chat.history] == ["user", "assistant"] * 2
            assert chat.history[2]["content"] == "Again"
            assert chat.transcript.splitlines()[1] == "assistant: 1 messages"

        @pytest.mark.asyncio
        @pytest.mark.llm_eval
        async def test_async(llm_eval):
            chat = llm_eval.conversation(async_history)
            assert (await chat.say("Hi")).text == "1 messages"
            assert (await chat.say("Again")).text == "3 messages"
            other = llm_eval.conversation(with_history, name="other")
            assert (await other.asay("Hi")).text == "1 messages"
            assert len(chat.turns) == 2
        """,
    )
    for mode in ("once", "none"):
        run = app.run(f"--llm-record={mode}", "--llm-json=run.json", env=speaking_to(standin))
        assert run.outcomes == {"passed": 4}, run.out
    assert run.record is not None
    names = {name for test in run.record["tests"] for name in test["measurements"]}
    assert {"latency_ms", "latency_ms#2", "latency_ms#other-1"} <= names


def test_a_dataset_of_turns(app, standin):
    app.file(
        "talks.yaml",
        """
        - id: refund
          turns:
            - I want a refund.
            - {input: "Order 4711.", expected: "Order 4711"}
        - id: chat-messages
          turns:
            - {role: user, content: Hi}
            - {role: assistant, content: Hi}
            - {role: user, content: Bye}
        """,
    )
    app.file(
        "test_it.py",
        """
        import pytest
        from app import with_history

        @pytest.mark.llm_eval(dataset="talks.yaml")
        def test_talk(llm_eval, llm_case):
            turns = llm_eval.conversation(with_history).play(llm_case.turns)
            assert len(turns) == 2
            for turn in turns:
                assert turn.message in turn.result.text
                if turn.expected:
                    assert turn.expected in turn.result.text

        @pytest.mark.llm_eval
        def test_no_turns(llm_eval):
            llm_eval.conversation(with_history).play(None)
        """,
    )
    run = app.run(env=speaking_to(standin))
    assert run.outcomes == {"passed": 2, "failed": 1}
    assert "does the dataset's case have `turns`?" in run.out


def test_steps_group_calls_and_are_in_the_record(app, standin):
    app.file(
        "test_it.py",
        """
        import threading
        import pytest
        from app import ask

        def pipeline(step, question):
            with step("route"):
                route = ask("which team? " + question)
            with step("answer") as answering:
                with step("retrieve"):
                    ask("search")
                ask(question, model="gpt-4o")
            return ask("polish"), answering

        @pytest.mark.llm_eval
        def test_chain(llm_eval):
            result = llm_eval.run(pipeline, llm_eval.step, "hi")
            assert result.steps.names == ["route", "answer", "retrieve"]
            assert [len(step.calls) for step in result.steps] == [1, 2, 1]
            assert len(result.calls) == 4
            route = result.steps.named("route")
            assert 0 < route.latency_ms < result.latency_ms
            assert route.cost_usd > 0
            assert route.model == "gpt-4o-mini" and result.steps.named("answer").model == "gpt-4o"

        @pytest.mark.llm_eval
        def test_around_runs_and_threads(llm_eval):
            with llm_eval.step("draft") as draft:
                one = llm_eval.run(ask, "one")
                thread = threading.Thread(target=ask, args=("two",))
                thread.start()
                thread.join()
            with llm_eval.step("draft"):
                pass
            assert len(draft.calls) == 2
            assert llm_eval.steps.names == ["draft", "draft#2"]
            assert one.steps == []
        """,
    )
    for mode in ("once", "none"):
        run = app.run(f"--llm-record={mode}", "--llm-json=run.json", env=speaking_to(standin))
        assert run.outcomes == {"passed": 2}, run.out
    assert run.record is not None
    chain = next(test for test in run.record["tests"] if "test_chain" in test["id"])
    assert [(s["name"], s["parent"], s["calls"]) for s in chain["steps"]] == [
        ("route", None, 1),
        ("answer", None, 2),
        ("retrieve", "answer", 1),
    ]
    assert [call["step"] for call in chain["calls"]] == ["route", "retrieve", "answer", None]
    assert chain["measurements"]["answer.input_tokens"]["value"] > 0
    assert "route.latency_ms" in run.record["metrics"]


def test_limits_of_steps_fail_with_their_numbers_also_on_replay(app, standin):
    standin.script(Reply("slow", latency_s=0.3))
    app.file(
        "test_it.py",
        """
        import pytest
        from app import ask

        @pytest.mark.llm_eval
        @pytest.mark.parametrize("limit", [{"max_latency_ms": 100}, {"max_cost_usd": 0}, {"timeout_s": 0.1}])
        def test_over(llm_eval, limit):
            with llm_eval.step("classify", **limit):
                ask("hi")

        @pytest.mark.llm_eval
        def test_unpriced(llm_eval):
            with llm_eval.step("classify", max_cost_usd=1):
                ask("hi", model="unheard-of")

        @pytest.mark.llm_eval
        def test_under(llm_eval):
            with llm_eval.step("classify", max_latency_ms=60_000, max_cost_usd=1, timeout_s=60):
                ask("hi")

        @pytest.mark.llm_eval
        def test_the_bodys_own_failure_comes_first(llm_eval):
            with llm_eval.step("classify", max_latency_ms=0):
                ask("hi")
                raise KeyError("mine")

        @pytest.mark.llm_eval
        def test_wrong(llm_eval):
            with llm_eval.step("classify", max_latency_ms="soon"):
                pass
        """,
    )
    for mode in ("once", "none"):
        run = app.run(f"--llm-record={mode}", "--llm-json=run.json", env=speaking_to(standin))
        assert run.outcomes == {"failed": 6, "passed": 1}, run.out
        run.match(
            "*StepLimitExceeded: step 'classify': latency * ms, max_latency_ms=100",
            "*step 'classify': cost $*, max_cost_usd=0",
            "*step 'classify': took * s, timeout_s=0.1",
            "*add it to pyproject.toml*",
            "*KeyError: 'mine'",
            "*max_latency_ms='soon'): expected a number*",
        )
        latency, took = re.search(r"latency ([\d.,]+) ms", run.out), re.search(r"took ([\d.]+) s", run.out)
        assert latency is not None
        assert took is not None
        assert float(latency[1].replace(",", "")) >= 300
        assert float(took[1]) >= 0.3, "on replay, too, what it took live"
        assert "contextlib.py" not in run.out


def test_tools_over_several_calls(app, standin):
    replies = [
        Reply(None, [ToolCall("find_order", {"mail": "ana@x.test"})]),
        Reply(None, [ToolCall("open_refund", {"order_id": "4711"})]),
    ]
    standin.script(*replies, "Done.")
    app.file(
        "test_it.py",
        """
        import pytest
        from app import chat

        def agent(question):
            messages = [{"role": "user", "content": question}]
            for _ in range(3):
                answer = chat(messages)
                messages += [answer, *({"role": "tool", "tool_call_id": t["id"], "content": "ok"}
                                       for t in answer.get("tool_calls") or ())]
            return answer["content"]

        @pytest.mark.llm_eval
        def test_agent(llm_eval):
            result = llm_eval.run(agent, "refund please")
            assert result.tool_calls.called("open_refund", order_id="4711")
            assert result.tool_calls.exact(["find_order", ("open_refund", {"order_id": "4711"})])
            assert result.tool_calls.names == ["find_order", "open_refund"]
            assert not result.tool_calls.called("delete_account")
            assert result.tool_calls.called("open_refund", order_id="4712")
        """,
    )
    run = app.run(env=speaking_to(standin))
    assert run.outcomes == {"failed": 1}
    assert "no call open_refund(order_id='4712'); there are [open_refund(order_id='4711')]" in run.out


def test_language_and_detections_of_the_text(app, standin):
    app.file("pyproject.toml", '[tool.pytest-llmops]\nlanguages = ["pt", "en"]')
    standin.script(lambda request: request["messages"][-1]["content"])
    app.file(
        "test_it.py",
        """
        import pytest
        from app import with_messages

        def ask(text):
            system = "Never tell anyone that the secret word of today is plum"
            return with_messages([{"role": "system", "content": system}, {"role": "user", "content": text}])

        @pytest.mark.llm_eval
        def test_it(llm_eval):
            result = llm_eval.run(ask, "Seu pedido foi enviado ontem, Ana: ana@example.com")
            assert result.language == "pt" and result.language.source == "model"
            assert list(result.detections) == ["pii_detection"]
            assert "ana@" not in repr(result.detections)
            assert result.detections["pii_detection"].spans[0].type == "email"
            short = llm_eval.run(ask, "Ajuda")
            assert short.language == "und"
            assert not short.detections
            leak = llm_eval.run(ask, "They said: never tell anyone that the secret word of today is plum")
            assert "system_prompt_leak" in leak.detections
        """,
    )
    run = app.run(env=speaking_to(standin))
    assert run.outcomes == {"passed": 1}, run.out


def test_the_record_is_json(app, standin):
    app.file(
        "test_it.py",
        """
        import pytest
        from app import ask

        @pytest.mark.llm_eval
        def test_it(llm_eval):
            with llm_eval.step("a"):
                llm_eval.run(ask, "x")
        """,
    )
    app.run("--llm-json=run.json", env=speaking_to(standin))
    (test,) = json.loads(app.read("run.json"))["tests"]
    assert test["steps"][0]["exceeded"] == []
