"""What a Result says, live and on replay, and what a test leaves in the run record."""

from __future__ import annotations

import pytest

from tests.e2e.user import assert_no_traceback, speaking_to, write_app
from tests.standin import Reply, ToolCall

TEST = """
    import asyncio
    import threading
    import urllib.error
    import httpx
    import os
    import pytest
    from app import ask, post

    def test_plain_before():
        pass

    @pytest.mark.llm_eval
    def test_attributes(llm_eval):
        def app(question, *, suffix):
            answer = ask(question + suffix)
            return {"answer": answer}

        result = llm_eval.run(app, "one two", suffix=" three")
        assert result.output == {"answer": "Echo: one two three"}
        assert result.text == "Echo: one two three"
        assert (result.model, result.provider, result.finish_reason) == ("gpt-4o-mini", "openai_compatible", "stop")
        assert result.input_tokens > 0 and result.output_tokens == 4
        assert 0 < result.cost_usd < 0.001
        assert result.latency_ms > 0
        assert result.ttft_ms is None
        assert result.tool_calls == [] and result.refused is False and result.error is None
        (call,) = result.calls
        assert call.text == "Echo: one two three" and call.status == 200 and call.role == "app"
        assert call.request["messages"] == [{"role": "user", "content": "one two three"}]
        assert llm_eval.calls == result.calls
        assert "gpt-4o-mini" in repr(result)

    @pytest.mark.llm_eval
    def test_tools(llm_eval):
        result = llm_eval.run(post, {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "tools"}]})
        (tool,) = result.tool_calls
        assert (tool.name, tool.arguments) == ("refund", {"order": 7})
        assert result.finish_reason == "tool_calls"

    @pytest.mark.llm_eval
    def test_runs(llm_eval):
        first = llm_eval.run(ask, "one")
        second = llm_eval.run(ask, "one two")
        third = llm_eval.run(ask, "one two three", name="third")
        assert [r.text for r in (first, second, third)] == ["Echo: one", "Echo: one two", "Echo: one two three"]
        assert len(llm_eval.calls) == 3

    @pytest.mark.llm_eval
    def test_several_calls(llm_eval):
        def app():
            return ask("a"), ask("a b", model="gpt-4o")

        result = llm_eval.run(app)
        assert result.output == ("Echo: a", "Echo: a b")
        assert (result.text, result.model) == ("Echo: a b", "gpt-4o")
        assert result.input_tokens == sum(c.input_tokens for c in result.calls)
        assert result.cost_usd == sum(c.cost_usd for c in result.calls)
        assert result.latency_ms == pytest.approx(sum(c.latency_ms for c in result.calls), abs=1)

    @pytest.mark.llm_eval
    def test_overlapping(llm_eval):
        def app():
            with httpx.Client(base_url=os.environ["LLM_BASE"], timeout=9) as client:
                def send(n):
                    messages = [{"role": "user", "content": "slow"}]
                    client.post("/v1/chat/completions", json={"model": "gpt-4o-mini", "messages": messages, "n": n})

                threads = [threading.Thread(target=send, args=(n,)) for n in (1, 2, 3)]
                [t.start() for t in threads]
                [t.join() for t in threads]

        result = llm_eval.run(app)
        assert len(result.calls) == 3
        longest, added = max(c.latency_ms for c in result.calls), sum(c.latency_ms for c in result.calls)
        assert 600 < longest <= result.latency_ms + 1 < 0.7 * added

    @pytest.mark.llm_eval
    def test_retry(llm_eval):
        def app():
            for _ in range(3):
                try:
                    return ask("retry")
                except urllib.error.HTTPError as error:
                    assert error.code == 429

        result = llm_eval.run(app)
        assert result.output == "at last"
        assert [c.status for c in result.calls] == [429, 200]
        assert result.calls[0].cost_usd is None
        assert result.cost_usd == result.calls[1].cost_usd > 0
        assert result.output_tokens == 2

    def pieces(client):
        body = {"model": "gpt-4o-mini", "stream": True, "stream_options": {"include_usage": True},
                "messages": [{"role": "user", "content": "stream it please"}]}
        with client.stream("POST", os.environ["LLM_BASE"] + "/v1/chat/completions", json=body) as response:
            for line in response.iter_lines():
                if '"content":' in line:
                    yield line.split('"content":')[1].split('"')[1]

    @pytest.mark.llm_eval
    def test_generator(llm_eval):
        def app():
            with httpx.Client() as client:
                yield from pieces(client)

        result = llm_eval.run(app)
        assert result.output == result.text == "Echo: stream it please"
        assert result.ttft_ms > 0 and result.calls[0].streamed
        assert result.output_tokens == 4

    @pytest.mark.asyncio
    @pytest.mark.llm_eval
    async def test_async_generator(llm_eval):
        async def app():
            for word in await asyncio.to_thread(lambda: ask("a b").split()):
                yield word

        result = await llm_eval.arun(app)
        assert result.output == "Echo:ab"
        assert len(result.calls) == 1

    @pytest.mark.llm_eval
    def test_capture(llm_eval):
        ask("outside")
        with llm_eval.capture() as result:
            result.output = ask("inside")
        assert result.text == "Echo: inside"
        assert len(result.calls) == 1 and len(llm_eval.calls) == 2

    @pytest.mark.llm_eval
    def test_no_capture(llm_eval):
        assert ask("bare").startswith("Echo")

    @pytest.mark.llm_eval
    def test_exception(llm_eval):
        def app():
            ask("before")
            raise KeyError("order 7")

        with pytest.raises(KeyError, match="order 7"):
            llm_eval.run(app)

    @pytest.mark.llm_eval
    def test_recorded(llm_eval):
        llm_eval.record("words", 3, unit="words")
        llm_eval.record("words", 5)
        llm_eval.record("typos", True, direction="lower", tags={"lang": "pt"})
        llm_eval.record("unknown", None)
        llm_eval.record("set", 1)
"""


@pytest.fixture
def told(project, standin):
    """A project whose provider asks for tools, refuses a first attempt, and takes its time where it is asked to."""
    write_app(project)
    attempts = []

    def reply(request):
        content = request["messages"][-1]["content"]
        if content == "tools":
            return Reply(tool_calls=[ToolCall("refund", {"order": 7})])
        if content == "slow":
            return Reply("done", latency_s=0.6)
        if content == "retry":
            attempts.append(content)
            return Reply("slow down", status=429) if len(attempts) == 1 else Reply("at last")
        return None

    standin.script(reply)
    return project


def test_results_live_and_on_replay(told, standin):
    told.file("test_it.py", TEST)
    told.file(
        "pyproject.toml",
        """
        [tool.pytest-llmops.metrics.set]
        direction = "lower"
        kind = "count"
        """,
    )
    live = told.run("--llm-json=live.json", env=speaking_to(standin))
    assert live.outcomes == {"passed": 13}, live.out
    asked = len(standin.requests)
    replay = told.run("--llm-json=replay.json", "--llm-record=none", env=speaking_to(standin))
    assert replay.outcomes == {"passed": 13}, replay.out
    assert len(standin.requests) == asked
    live_tests, tests = ({t["id"].partition("::")[2]: t for t in run.record["tests"]} for run in (live, replay))
    assert all(call["replayed"] for test in tests.values() for call in test["calls"])
    for name, test in tests.items():
        assert test["measurements"] == live_tests[name]["measurements"], name

    def values(name):
        return {metric: one["value"] for metric, one in tests[name]["measurements"].items()}

    built_in = {"pass", "latency_ms", "cost_usd", "input_tokens", "output_tokens"}
    assert values("test_attributes").keys() == built_in
    named = {m + suffix for m in built_in - {"pass"} for suffix in ("", "#2", "#third")}
    assert values("test_runs").keys() == {"pass", *named}
    assert values("test_runs")["output_tokens#third"] == 4
    assert values("test_generator").keys() == {*built_in, "ttft_ms"}
    assert values("test_no_capture").keys() == built_in
    assert tests["test_exception"]["error"] == "KeyError: 'order 7'"
    assert (tests["test_exception"]["outcome"], len(tests["test_exception"]["calls"])) == ("passed", 1)
    recorded = tests["test_recorded"]["measurements"]
    assert {k: v["value"] for k, v in recorded.items()} == {
        "pass": 1, "words": 3, "words#2": 5, "typos": 1, "unknown": None, "set": 1
    }  # fmt: skip
    assert recorded["unknown"]["status"] == "unscored"
    assert (recorded["typos"]["direction"], recorded["typos"]["tags"]) == ("lower", {"lang": "pt"})
    assert (recorded["set"]["direction"], recorded["set"]["kind"]) == ("lower", "count")
    assert replay.record["metrics"]["set"]["direction"] == "lower"
    assert replay.record["metrics"]["words"]["unit"] == "words"


MISTAKES = """
    import pytest
    from app import ask

    @pytest.mark.llm_eval
    def test_async_in_run(llm_eval):
        async def app():
            pass
        llm_eval.run(app)

    @pytest.mark.llm_eval
    def test_name_twice(llm_eval):
        llm_eval.run(ask, "a", name="x")
        llm_eval.run(ask, "b", name="x")

    @pytest.mark.llm_eval
    @pytest.mark.parametrize(
        "arguments",
        [("pass", 1), ("cost_usd", 1), ("", 1), ("m", float("nan")), ("m", float("inf")), ("m", "much"), (7, 1)],
        ids=["pass", "cost", "empty", "nan", "inf", "text", "number"],
    )
    def test_record(llm_eval, arguments):
        llm_eval.record(*arguments)

    @pytest.mark.llm_eval
    def test_direction(llm_eval):
        llm_eval.record("m", 1, direction="hihger")

    @pytest.mark.llm_eval
    def test_cost(llm_eval):
        result = llm_eval.run(ask, "a", model="corp-7b")
        assert result.cost_usd is None
        assert result.cost_usd < .01

    @pytest.mark.llm_eval
    def test_cost_on_the_right(llm_eval):
        result = llm_eval.run(ask, "a", model="corp-7b")
        assert .01 > result.cost_usd * 2

    @pytest.mark.llm_eval
    def test_cost_of_a_call(llm_eval):
        llm_eval.run(ask, "a", model="corp-7b")
        assert sum(call.cost_usd for call in llm_eval.calls) < .01

    @pytest.mark.llm_eval
    def test_another_type_error(llm_eval):
        result = llm_eval.run(ask, "a", model="corp-7b")
        assert result.cost_usd is None
        assert result.ttft_ms < 300

    @pytest.mark.llm_eval
    def test_fail(llm_eval):
        llm_eval.run(ask, "a")
        pytest.fail("by hand")

    @pytest.mark.llm_eval
    @pytest.mark.parametrize("wrong", [{"unit": 3}, {"tags": {"a": 1}}, {"tags": "a"}], ids=["unit", "tag", "tags"])
    def test_more(llm_eval, wrong):
        llm_eval.record("m", 1, **wrong)

    @pytest.mark.llm_eval
    def test_output_no_json_can_hold(llm_eval):
        llm_eval.run(lambda: "cut \\ud83d")
        assert False, "seen"

    @pytest.fixture
    def made(llm_eval):
        return llm_eval.record("pass", 1)

    @pytest.mark.llm_eval
    def test_fixture(made):
        pass
"""

SAID = {
    "test_async_in_run": "app is async: use `await llm_eval.arun(app, …)` in an async test.",
    "test_name_twice": "llm_eval.run(name='x'): this test has a run of that name already.",
    "test_record[pass]": "the name is taken by a built-in metric",
    "test_record[cost]": "the name is taken by a built-in metric",
    "test_record[empty]": "expected a name",
    "test_record[nan]": "the value is nan; record None where there is no number",
    "test_record[inf]": "the value is inf",
    "test_record[text]": "the value 'much' is no number",
    "test_record[number]": "expected a name",
    "test_direction": "direction 'hihger'. Did you mean 'higher'?",
    "test_cost": "the price of openai_compatible:corp-7b is unknown; add it to pyproject.toml:",
    "test_cost_on_the_right": '[tool.pytest-llmops.prices."openai_compatible:corp-7b"]',
    "test_cost_of_a_call": "the price of openai_compatible:corp-7b is unknown; add it to pyproject.toml:",
    "test_another_type_error": "'<' not supported between instances of 'NoneType' and 'int'",
    "test_fail": "by hand",
    "test_more[unit]": "unit 3 is no text",
    "test_more[tag]": "expected texts by name",
    "test_more[tags]": "expected texts by name",
    "test_output_no_json_can_hold": "seen",
    "test_fixture": "the name is taken by a built-in metric",
}


@pytest.mark.parametrize("n", [None, 2])
def test_mistakes_say_what_and_where(told, standin, n):
    told.file("test_it.py", MISTAKES)
    run = told.run("--llm-json=run.json", env=speaking_to(standin), n=n)
    assert run.outcomes == {"failed": len(SAID) - 1, "errors": 1}, run.out
    assert_no_traceback(run)
    sections = {}
    for part in run.out.partition("\n-------")[0].split("\n____")[1:]:
        head, _, body = part.partition("\n")
        sections[head.strip("_ ").removeprefix("ERROR at setup of ")] = body
    for name, message in SAID.items():
        assert message in sections[name], sections[name]
    for name in ("test_cost", "test_cost_on_the_right", "test_cost_of_a_call"):
        assert "TypeError" not in sections[name]
        assert ">       assert" in sections[name]  # the user's own line
    assert "price" not in sections["test_another_type_error"]
    tests = {test["id"].partition("::")[2]: test for test in run.record["tests"]}
    assert tests["test_fail"]["measurements"]["pass"]["value"] == 0
    assert "corp-7b" in tests["test_cost"]["measurements"]["cost_usd"]["reason"]
    assert tests["test_cost"]["measurements"]["cost_usd"]["status"] == "unscored"


def test_a_price_in_the_settings_makes_the_cost_known(told, standin):
    told.file(
        "pyproject.toml",
        """
        [tool.pytest-llmops.prices."openai_compatible:corp-7b"]
        input = 1000
        output = 2000
        """,
    )
    told.file(
        "test_it.py",
        """
        import pytest
        from app import ask

        @pytest.mark.llm_eval
        def test_it(llm_eval):
            result = llm_eval.run(ask, "a", model="corp-7b")
            assert result.cost_usd == pytest.approx((result.input_tokens * 1000 + result.output_tokens * 2000) / 1e6)
        """,
    )
    assert told.run(env=speaking_to(standin)).outcomes == {"passed": 1}
