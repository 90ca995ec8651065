"""A judged text is paid for once: its calls lie on the cassette, with role judge, under the judge's own key."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from contextlib import contextmanager

import pytest

from pytest_llmops import providers
from pytest_llmops.cassettes import scope
from pytest_llmops.cassettes.clients import Interception
from pytest_llmops.cassettes.miss import CassetteMiss
from pytest_llmops.cassettes.tape import Tape
from pytest_llmops.cassettes.tape_options import TapeOptions
from pytest_llmops.checks import Judge
from pytest_llmops.errors import JudgeError
from pytest_llmops.registry import current_role
from tests.patience import least_cpu_s
from tests.standin import Reply, ToolCall

ANTHROPIC, OPENAI = "anthropic:claude-sonnet-5-5", "openai:gpt-x"
VERDICT = {"level": 4, "reason": "Short.", "evidence": []}
BOTH = Reply(json.dumps(VERDICT), tool_calls=[ToolCall("submit_verdict", VERDICT)])
KEYS = ("ANTHROPIC_API_KEY", "OPENAI_API_KEY")


@pytest.fixture
def host(standin, monkeypatch):
    monkeypatch.setenv("ANTHROPIC_BASE_URL", standin.url)
    monkeypatch.setenv("OPENAI_BASE_URL", f"{standin.url}/v1")
    for key in KEYS:
        monkeypatch.setenv(key, "placeholder")
    standin.script(BOTH)
    interception = Interception()
    interception.install()
    yield standin
    interception.uninstall()


@pytest.fixture
def taped(tmp_path):
    """A tape in force, written at the end: ``with taped("once") as tape``."""

    @contextmanager
    def use(mode, passed=True):
        tape = Tape(tmp_path / "c.json", mode, TapeOptions(), command="pytest --llm-record=refresh")
        scope.activate(tape)
        try:
            yield tape
        finally:
            scope.deactivate(tape)
            tape.close(passed=passed)

    return use


def exchanges(tape):
    return [transfer.exchange() for transfer in tape.finished()]


def ask(how, model, **what):
    judge, what = Judge(model), {"text": "Hi.", **what}
    return judge.score("clarity", **what) if how == "sync" else asyncio.run(judge.ascore("clarity", **what))


every_way = pytest.mark.parametrize(
    ("model", "how"), [(model, how) for model in (ANTHROPIC, OPENAI) for how in ("sync", "async")]
)


@every_way
def test_the_second_run_makes_no_request_and_scores_the_same(host, taped, monkeypatch, model, how):
    with taped("once"):
        first = ask(how, model)
    assert len(host.requests) == 1
    for key in KEYS:
        monkeypatch.delenv(key)
    with taped("none") as tape:
        second = ask(how, model)
    assert len(host.requests) == 1
    assert (second, vars(second)) == (first, vars(first))
    (exchange,) = exchanges(tape)
    assert exchange.role == "judge"
    assert exchange.replayed
    call = providers.read(exchange)
    assert (call.role, call.status) == ("judge", 200)


def test_another_model_in_the_answer_does_not_matter_another_judge_does(host, taped):
    with taped("once"):
        ask("sync", ANTHROPIC)
    with taped("none"), pytest.raises(CassetteMiss, match="has no recording"):
        ask("sync", "anthropic:claude-haiku-5-5")


@every_way
def test_a_miss_passes_through_with_or_without_a_key(host, taped, monkeypatch, model, how):
    with taped("once"):
        ask(how, model)
    for _ in range(2):
        with taped("none") as tape, pytest.raises(CassetteMiss, match=r"re-record: pytest --llm-record=refresh"):
            ask(how, model, text="Something else.")
        assert len(tape.misses) == 1
        for key in KEYS:
            monkeypatch.delenv(key, raising=False)
    assert len(host.requests) == 1


def test_the_same_question_twice_is_paid_for_once(host, taped):
    for mode in ("once", "none"):
        with taped(mode):
            assert ask("sync", ANTHROPIC) == ask("sync", ANTHROPIC) == 0.75
    assert len(host.requests) == 1


def test_each_repeat_is_a_sample_of_its_own(host, taped):
    replies = [
        Reply(tool_calls=[ToolCall("submit_verdict", {"level": n, "reason": "x", "evidence": []})]) for n in (2, 4)
    ]
    host.script(*replies)
    with taped("once"):
        assert [ask("sync", ANTHROPIC, repeat=n) for n in (0, 1)] == [0.25, 0.75]
    with taped("none"):
        assert [ask("sync", ANTHROPIC, repeat=n) for n in (1, 0)] == [0.75, 0.25]
        with pytest.raises(CassetteMiss):
            ask("sync", ANTHROPIC, repeat=2)
    assert len(host.requests) == 2


@every_way
def test_what_was_retried_or_relaxed_replays_as_its_last_answer(host, taped, model, how):
    busy = Reply("later", status=429, headers={"retry-after-ms": "1"})
    refused = Reply("tool_choice and response_format are not for me", status=400)
    host.script(busy, refused, BOTH)
    with taped("once"):
        first = ask(how, model)
    assert len(host.requests) == 3
    with taped("none"):
        assert ask(how, model) == first
    assert len(host.requests) == 3


def test_nonsense_replays_as_the_same_error(host, taped):
    host.script(Reply(tool_calls=[ToolCall("submit_verdict", {**VERDICT, "level": 11})]))
    said = []
    for mode in ("once", "none"):
        with taped(mode, passed=False), pytest.raises(JudgeError, match="level 11") as caught:
            ask("sync", ANTHROPIC)
        said.append(str(caught.value))
    assert said[0] == said[1]
    assert len(host.requests) == 1


@every_way
@pytest.mark.parametrize("mode", ["refresh", "new_episodes"])
def test_nonsense_that_was_recorded_is_asked_anew_and_nothing_else_is(host, taped, mode, model, how):
    host.script(Reply(json.dumps({**VERDICT, "level": 11}), tool_calls=[ToolCall("submit_verdict", {"level": 11})]))
    with taped("once", passed=False), pytest.raises(JudgeError, match="only it: pytest --llm-record=refresh"):
        ask(how, model)
    host.script(BOTH)
    with taped("once"), pytest.raises(JudgeError, match="no verdict"):  # the cassette is there: nothing is sent
        ask(how, model)
    assert len(host.requests) == 1
    with taped(mode) as tape:
        assert ask(how, model) == 0.75
        assert [call.live for call in tape.finished()] == [True]
    with taped("none") as tape:
        assert ask(how, model) == 0.75
        assert len(tape.finished()) == 1
    assert len(host.requests) == 2


@pytest.mark.parametrize("how", ["sync", "async"])
def test_a_function_whose_recorded_answer_is_nonsense_is_asked_anew(host, taped, how):
    import openai

    def gateway(system, user, schema):
        asked = [{"role": "user", "content": system + user}]
        answer = openai.OpenAI(max_retries=0).chat.completions.create(model="gpt-x", messages=asked)
        return answer.choices[0].message.content

    def score():
        what = {"text": "Hi."}
        judge = Judge(gateway)
        return judge.score("clarity", **what) if how == "sync" else asyncio.run(judge.ascore("clarity", **what))

    host.script('{"level": 11, "reason": "Wow."}')
    for mode in ("once", "none"):
        with taped(mode, passed=False), pytest.raises(JudgeError, match="level 11"):
            score()
    assert len(host.requests) == 1
    host.script(BOTH)
    with taped("refresh") as tape:
        assert score() == 0.75
        assert [transfer.live for transfer in tape.finished()] == [True]
    with taped("none"):
        assert score() == 0.75
    assert len(host.requests) == 2


def test_nonsense_is_not_asked_for_twice_in_one_run(host, taped):
    host.script('{"level": 11, "reason": "Wow."}')
    with taped("refresh", passed=False):
        for _ in range(2):
            with pytest.raises(JudgeError, match="level 11"):
                ask("sync", OPENAI)
    assert len(host.requests) == 1


@every_way
def test_a_missing_key_is_told_before_anything_is_sent(host, taped, monkeypatch, tmp_path, model, how):
    monkeypatch.setenv("HOME", str(tmp_path))
    for key in KEYS:
        monkeypatch.delenv(key)
    for mode in ("once", "refresh", "all", "live"):
        with taped(mode, passed=False), pytest.raises(JudgeError, match=r"_API_KEY is not set\n  nothing was sent"):
            ask(how, model)
    assert host.requests == []


def test_a_request_that_the_judge_s_host_refused_is_put_again(host, taped):
    host.script(Reply("no such thing", status=400))
    with taped("once", passed=False), pytest.raises(JudgeError, match="HTTP 400"):
        ask("sync", OPENAI)
    host.script(BOTH)
    with taped("new_episodes"):
        assert ask("sync", OPENAI) == 0.75
    with taped("none"):
        assert ask("sync", OPENAI) == 0.75


def test_an_application_s_own_calls_stay_its_own(host, taped):
    import openai

    with taped("once") as tape:
        client = openai.OpenAI(max_retries=0)
        client.chat.completions.create(model="gpt-x", messages=[{"role": "user", "content": "Hi"}])
        ask("sync", OPENAI)
        client.chat.completions.create(model="gpt-x", messages=[{"role": "user", "content": "Ho"}])
    assert [exchange.role for exchange in exchanges(tape)] == ["app", "judge", "app"]
    assert (current_role.get(), scope.key.get()) == ("app", None)


def test_a_function_s_requests_are_the_judge_s_and_found_by_what_they_ask(host, taped):
    import openai

    def two_steps(system, user, schema):
        client = openai.OpenAI(max_retries=0)
        for prompt in (system, user):
            asked = [{"role": "user", "content": prompt}]
            answer = client.chat.completions.create(model="gpt-x", messages=asked)
        return answer.choices[0].message.content

    for mode in ("once", "none"):
        with taped(mode) as tape:
            assert Judge(two_steps).score("clarity", text="Hi.") == 0.75
        assert [exchange.role for exchange in exchanges(tape)] == ["judge", "judge"]
    assert len(host.requests) == 2


def test_replay_is_fast(host, taped):
    """Issue 4: 200 judged replays a second; measured here with room for a busy machine."""
    texts = [f"Answer number {number}." for number in range(100)]
    judge = Judge(OPENAI)
    with taped("once"):
        for text in texts:
            judge.score("clarity", text=text)

    def replayed():
        with taped("none"):
            for text in texts:
                judge.score("clarity", text=text)

    assert least_cpu_s(replayed, enough=0.5) < 0.5
    assert len(host.requests) == 100


def test_replay_imports_no_sdk(host, taped, tmp_path):
    with taped("once"):
        ask("sync", ANTHROPIC)
    code = f"""
import sys
from pathlib import Path
from pytest_llmops.cassettes import scope
from pytest_llmops.cassettes.tape import Tape
from pytest_llmops.cassettes.tape_options import TapeOptions
from pytest_llmops.checks import Judge
scope.activate(Tape(Path({str(tmp_path / "c.json")!r}), "none", TapeOptions()))
print(Judge({ANTHROPIC!r}).score("clarity", text="Hi."))
print([name for name in ("anthropic", "openai") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.split("\n")[:2] == ["0.75", "[]"], done.stderr
