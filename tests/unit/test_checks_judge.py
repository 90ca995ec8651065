"""The judge asks, and reads strictly what comes back: over Anthropic's and OpenAI's wire, and from functions."""

from __future__ import annotations

import asyncio
import json
import threading

import pytest

from pytest_llmops.checks import Judge, Rubric, Score
from pytest_llmops.checks.builtin_rubrics import BUILTIN
from pytest_llmops.errors import JudgeError, SettingsError
from tests.patience import eventually
from tests.standin import Reply, ToolCall
from tests.standin_judge import GullibleJudge, messages_of, understood

ANTHROPIC, OPENAI = "anthropic:claude-sonnet-5-5", "openai:gpt-x"
GOOD = {"level": 4, "reason": "It names the date.", "evidence": ["by Friday"]}
TEXT = "You get your money back by Friday."
TEN = Rubric("overall", "How good is the answer?", form="score_reason")
AT_ONCE = {"retry-after-ms": "1"}


@pytest.fixture
def host(standin, monkeypatch):
    """The stand-in, found through the environment as a user's gateway is."""
    monkeypatch.setenv("ANTHROPIC_BASE_URL", standin.url)
    monkeypatch.setenv("OPENAI_BASE_URL", f"{standin.url}/v1")
    for name in ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GROQ_API_KEY"):
        monkeypatch.setenv(name, "placeholder")
    return standin


@pytest.fixture
def impatient(monkeypatch):
    """Retries without rest."""
    monkeypatch.setattr("pytest_llmops.checks.judge_client.FIRST_WAIT_S", 0.001)
    monkeypatch.setattr("anthropic._base_client.INITIAL_RETRY_DELAY", 0.001)


def spoken(model: str, verdict: object, **reply) -> Reply:
    """A verdict in the channel of the model's dialect."""
    if model == ANTHROPIC:
        return Reply(tool_calls=[ToolCall("submit_verdict", verdict)], **reply)
    return Reply(json.dumps(verdict), **reply)


def ask(how: str, judge: Judge, criterion: object = "clarity", **what) -> Score:
    what = {"text": TEXT, **what}
    return judge.score(criterion, **what) if how == "sync" else asyncio.run(judge.ascore(criterion, **what))


both_dialects = pytest.mark.parametrize("model", [ANTHROPIC, OPENAI])
both_ways = pytest.mark.parametrize("how", ["sync", "async"])


@both_dialects
@both_ways
def test_a_verdict_becomes_a_score(host, model, how):
    host.script(spoken(model, GOOD))
    score = ask(how, Judge(model))
    assert score == 0.75
    assert (score.criterion, score.reason, score.evidence) == ("clarity", "It names the date.", ("by Friday",))
    assert (score.model, score.text, score.definition) == (model, TEXT, Judge(model).definition("clarity"))


def test_anthropic_is_asked_through_a_forced_tool_and_without_a_temperature(host):
    host.script(spoken(ANTHROPIC, GOOD))
    ask("sync", Judge(ANTHROPIC))
    request = host.requests[0].json
    assert host.requests[0].path == "/v1/messages"
    assert request["tool_choice"] == {"type": "tool", "name": "submit_verdict", "disable_parallel_tool_use": True}
    assert "temperature" not in request


@pytest.mark.parametrize(
    ("model", "temperature"),
    [
        ("claude-haiku-4-5", 0.0),
        ("claude-sonnet-4-20250514", 0.0),
        ("claude-opus-4-6", 0.0),
        ("claude-opus-4-7", None),
        ("claude-haiku-5-5", None),
    ],
)
@pytest.mark.filterwarnings("ignore:The model:DeprecationWarning")
def test_temperature_goes_to_the_models_that_take_it(host, model, temperature):
    host.script(spoken(ANTHROPIC, GOOD))
    ask("sync", Judge(f"anthropic:{model}"))
    assert host.requests[0].json.get("temperature") == temperature


def test_openai_is_asked_for_a_schema_with_the_reason_before_the_level(host):
    host.script(spoken(OPENAI, GOOD))
    ask("sync", Judge(OPENAI))
    schema = host.requests[0].json["response_format"]["json_schema"]
    assert schema["strict"] is True
    assert list(schema["schema"]["properties"]) == ["evidence", "reason", "level"]
    assert schema["schema"]["properties"]["level"]["enum"] == [1, 2, 3, 4, 5]


def test_a_base_url_of_ones_own_wins_over_the_environment(host, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    host.script(spoken(OPENAI, GOOD))
    judge = Judge("groq:llama-x", base_url=f"{host.url}/openai/v1")
    assert ask("sync", judge) == 0.75
    assert host.requests[0].path == "/openai/v1/chat/completions"
    assert host.requests[0].headers["authorization"] == "Bearer placeholder"


def test_a_compatible_host_needs_no_key(host, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    host.script(spoken(OPENAI, GOOD))
    assert ask("sync", Judge("openai_compatible:qwen3:8b")) == 0.75
    assert host.requests[0].json["model"] == "qwen3:8b"
    assert "authorization" not in host.requests[0].headers


# what a host does not take is left out


@both_ways
def test_a_host_without_schemas_is_asked_in_words(host, how):
    refusal = Reply("This response_format type is unavailable now", status=400)
    host.script(refusal, spoken(OPENAI, GOOD))
    assert ask(how, Judge(OPENAI)) == 0.75
    second = host.requests[1].json
    assert "response_format" not in second
    assert '"level"' in messages_of(second)[0]


@both_ways
def test_a_model_that_thinks_is_asked_to_call_the_tool_by_itself(host, how):
    refusal = Reply("Thinking may not be enabled when tool_choice forces tool use.", status=400)
    host.script(refusal, spoken(ANTHROPIC, GOOD))
    assert ask(how, Judge(ANTHROPIC)) == 0.75
    assert host.requests[1].json["tool_choice"]["type"] == "auto"
    assert "submit_verdict" in host.requests[1].json["system"]


@pytest.mark.parametrize("model", ["anthropic:claude-haiku-4-5", OPENAI])
def test_a_model_that_takes_no_temperature_gets_none(host, model):
    reply = spoken(ANTHROPIC if model.startswith("anthropic") else OPENAI, GOOD)
    host.script(Reply("`temperature` is deprecated for this model.", status=400), reply)
    assert ask("sync", Judge(model)) == 0.75
    assert "temperature" in host.requests[0].json
    assert "temperature" not in host.requests[1].json


@both_dialects
def test_a_request_that_is_wrong_anyhow_is_not_sent_forever(host, model):
    host.script(Reply("prompt is too long", status=400))
    with pytest.raises(JudgeError, match=r"HTTP 400: .*prompt is too long"):
        ask("sync", Judge(model))
    assert len(host.requests) <= 2


# nonsense is an error, never a score

NONSENSE = [
    ({**GOOD, "level": 11}, "level 11 is not on the scale 1–5"),
    ({**GOOD, "level": 0}, "level 0 is not on the scale"),
    ({**GOOD, "level": "4"}, "level is no number but '4'"),
    ({**GOOD, "level": "excellent"}, "level is no number"),
    ({**GOOD, "level": True}, "level is no number"),
    ({**GOOD, "level": 3.5}, "level: .*integer"),
    ({**GOOD, "level": None}, "level is no number"),
    ({"reason": "Good."}, "level: Field required"),
    ({"level": 4}, "reason: Field required"),
    ({**GOOD, "reason": "  "}, "reason: "),
    ({**GOOD, "evidence": "by Friday"}, "evidence: "),
    ([GOOD], "no JSON object"),
]


@both_dialects
@pytest.mark.parametrize(("verdict", "message"), NONSENSE)
def test_nonsense_is_an_error_that_shows_what_came(host, model, verdict, message):
    if model == ANTHROPIC and not isinstance(verdict, dict):
        pytest.skip("the stand-in's tool calls have objects as arguments")
    host.script(spoken(model, verdict))
    with pytest.raises(JudgeError, match=message) as caught:
        ask("sync", Judge(model))
    said = str(caught.value)
    assert model in said
    assert "'clarity'" in said
    assert "it answered: " in said
    assert "--llm-judge=MODEL" in said


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"level": 4, "reason": "It na', "no whole JSON"),
        ('{"level": NaN, "reason": "x"}', "level"),
        ('{"level": 1e999, "reason": "x"}', "level"),
        (f"Sure! {json.dumps(GOOD)}", "no whole JSON"),
        (json.dumps(GOOD) * 2, "no whole JSON"),
        ("4", "no JSON object"),
        ("I'd say four out of five.", "no whole JSON"),
        ("[" * 100_000, "no whole JSON"),
        ("", "its answer is empty"),
        (None, "its answer is empty"),
    ],
)
def test_half_a_json_prose_and_silence_are_errors(host, text, message):
    host.script(Reply(text))
    with pytest.raises(JudgeError, match=message):
        ask("sync", Judge(OPENAI))


def test_a_fenced_verdict_and_a_whole_float_are_read(host):
    host.script(Reply('```json\n{"level": 4.0, "reason": "Good."}\n```'))
    assert ask("sync", Judge(OPENAI)) == 0.75


def test_two_verdicts_at_once_are_none(host):
    host.script(Reply(tool_calls=[ToolCall("submit_verdict", GOOD), ToolCall("submit_verdict", {**GOOD, "level": 5})]))
    with pytest.raises(JudgeError, match="2 verdicts at once"):
        ask("sync", Judge(ANTHROPIC))


@pytest.mark.parametrize(
    ("model", "reply", "message"),
    [
        (ANTHROPIC, Reply("I can't help with that.", finish_reason="refusal"), "it refused to judge"),
        (OPENAI, Reply("", finish_reason="content_filter"), "it refused to judge"),
        (ANTHROPIC, Reply("Let me th", finish_reason="max_tokens"), r"cut off \(max_tokens\)"),
        (ANTHROPIC, spoken(ANTHROPIC, GOOD, finish_reason="max_tokens"), r"cut off \(max_tokens\)"),
        (OPENAI, spoken(OPENAI, GOOD, finish_reason="length"), r"cut off \(length\)"),
        (ANTHROPIC, Reply("It is good, I'd say 4."), "no whole JSON"),
        (ANTHROPIC, Reply(body=b"<html>gateway</html>", headers={"content-type": "text/html"}), "gateway"),
        (OPENAI, Reply(body=b'{"error": {"message": "no such model"}}'), "no such model"),
    ],
)
def test_a_refusal_and_a_cut_answer_are_errors(host, model, reply, message):
    host.script(reply)
    with pytest.raises(JudgeError, match=message):
        ask("sync", Judge(model))


@both_dialects
@both_ways
@pytest.mark.parametrize("status", [429, 500, 529])
def test_a_busy_provider_is_asked_three_times(host, model, how, status):
    busy = Reply("try later", status=status, headers=AT_ONCE)
    host.script(busy, busy, spoken(model, GOOD))
    assert ask(how, Judge(model)) == 0.75
    host.script(busy)
    with pytest.raises(JudgeError, match=f"HTTP {status}, after 2 retries: .*try later"):
        ask(how, Judge(model))
    assert len(host.requests) == 6


@both_dialects
def test_a_wrong_key_says_what_to_set(host, model):
    host.script(Reply("invalid key", status=401))
    with pytest.raises(JudgeError, match=r"HTTP 401(.|\n)*set the provider's API key \((ANTHROPIC|OPENAI)_API_KEY\)"):
        ask("sync", Judge(model))
    assert len(host.requests) == 1


@pytest.mark.parametrize(("model", "key"), [(ANTHROPIC, "ANTHROPIC_API_KEY"), (OPENAI, "OPENAI_API_KEY")])
@both_ways
def test_a_missing_key_is_named_and_nothing_sent(host, monkeypatch, tmp_path, model, key, how):
    monkeypatch.delenv(key)
    monkeypatch.setenv("HOME", str(tmp_path))  # the SDK also knows profiles
    with pytest.raises(JudgeError, match=f"{key} is not set"):
        ask(how, Judge(model))
    assert host.requests == []


@both_dialects
@both_ways
def test_a_timeout_is_an_error_in_time(host, impatient, model, how):
    host.script(Reply("late", latency_s=5))
    with pytest.raises(JudgeError, match=r"no answer within 0\.1 s"):
        ask(how, Judge(model, timeout_s=0.1))
    eventually(lambda: len(host.requests) >= 3)  # the host's thread may read it after the client gave up
    assert len(host.requests) == 3


@both_dialects
@both_ways
def test_a_dead_host_is_an_error(host, impatient, model, how):
    with pytest.raises(JudgeError, match="the connection failed"):
        ask(how, Judge(model, base_url="http://127.0.0.1:9/v1"))


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("localhost:8000/v1", "is no URL"),
        ("http://", "is no URL"),
        ("http://host:port/v1", "is no URL"),
        ("http://localhost:8000/v1/chat/completions/", "leave out /chat/completions"),
    ],
)
@both_ways
def test_a_base_url_that_is_none_names_its_variable(host, monkeypatch, how, url, message):
    monkeypatch.setenv("OPENAI_BASE_URL", url)
    with pytest.raises(SettingsError, match=f"OPENAI_BASE_URL '.*{message}"):
        ask(how, Judge(OPENAI))
    with pytest.raises(SettingsError, match=f"base_url '.*{message}"):
        ask(how, Judge(ANTHROPIC, base_url=url))
    assert host.requests == []


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("claude-sonnet-5-5", "expected provider:model"),
        ("anthropic:", "expected provider:model"),
        ("antropic:claude", "Did you mean 'anthropic'"),
        ("vllm:qwen", "openai_compatible"),
    ],
)
def test_an_unknown_judge_is_refused_at_once(model, message):
    with pytest.raises(SettingsError, match=message):
        Judge(model)


def test_a_compatible_host_must_be_told(monkeypatch):
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(JudgeError, match=r"set OPENAI_BASE_URL(.|\n)*nothing was sent"):
        ask("sync", Judge("openai_compatible:qwen"))


# rubrics


@both_dialects
@pytest.mark.parametrize("name", sorted(BUILTIN))
def test_every_built_in_rubric_tells_good_from_bad(host, model, name):
    worst, best = (5, 1) if BUILTIN[name].direction == "lower" else (1, 5)
    host.script(GullibleJudge({"GOOD": best, "BAD": worst}))
    given = {"input": "How do I get a refund?", "expected": "Within 30 days.", "context": ["Refunds: 30 days.", "Hi."]}
    good = ask("sync", Judge(model), name, text="GOOD answer", **given)
    bad = ask("sync", Judge(model), name, text="BAD answer", **given)
    assert (good, bad) == ((0.0, 1.0) if good.direction == "lower" else (1.0, 0.0))
    assert good.direction == BUILTIN[name].direction
    blocks, instructions = understood(host.requests[0].json)
    assert blocks == {
        "input": ["How do I get a refund?"],
        "expected": ["Within 30 days."],
        "context": ["Refunds: 30 days.", "Hi."],
        "answer": ["GOOD answer"],
    }
    assert all(text in instructions for text in (BUILTIN[name].question, *BUILTIN[name].levels.values()))


@pytest.mark.parametrize(
    ("name", "need"), [("correctness", "expected"), ("faithfulness", "context"), ("relevance", "input")]
)
def test_what_a_rubric_needs_is_asked_for(host, name, need):
    with pytest.raises(SettingsError, match=f"'{name}' needs '{need}'"):
        ask("sync", Judge(ANTHROPIC), name)
    assert host.requests == []


@both_dialects
@both_ways
def test_the_score_reason_judge(host, model, how):
    host.script(Reply("SCORE: 7\nREASON: Polite.\nIt quotes: SCORE: 10"))
    score = ask(how, Judge(model), TEN)
    assert score == pytest.approx(6 / 9)
    assert score.reason == "Polite.\nIt quotes: SCORE: 10"
    assert "from 1 to 10" in messages_of(host.requests[0].json)[0]
    assert not {"tools", "response_format"} & set(host.requests[0].json)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("SCORE: 11\nREASON: Wow.", "level 11 is not on the scale 1–10"),
        ("SCORE: 0\nREASON: Bad.", "level 0 is not on the scale"),
        ("SCORE: 7.5\nREASON: Fine.", "integer"),
        ("SCORE: 70/100\nREASON: Fine.", "another scale"),
        ("SCORE: high\nREASON: Fine.", "on two lines"),
        ("SCORE: 7", "on two lines"),
        ("The text says SCORE: 10\nSCORE: 2\nREASON: Bad.", "on two lines"),
        ("REASON: Fine.\nSCORE: 7", "on two lines"),
    ],
)
def test_a_score_reason_answer_in_another_form_is_an_error(host, text, message):
    host.script(Reply(text))
    with pytest.raises(JudgeError, match=message):
        ask("sync", Judge(OPENAI), TEN)


def test_evidence_is_what_the_text_says(host):
    text = "He said: “You get\nyour money <b>back</b>”."
    quotes = ['"You get your money', "by Monday", "", "<b>back</b>", "<b>back</b>"]
    host.script(spoken(ANTHROPIC, {**GOOD, "evidence": quotes}))
    assert ask("sync", Judge(ANTHROPIC), text=text).evidence == ('"You get your money', "<b>back</b>")


def test_a_definition_tells_model_rubric_and_scale_apart():
    judge = Judge(ANTHROPIC)
    definitions = [
        judge.definition("tone"),
        judge.definition("clarity"),
        Judge(OPENAI).definition("tone"),
        judge.definition(Rubric("mine", "How?", {1: "a", 5: "b"})),
        judge.definition(Rubric("mine", "How?", {1: "a", 10: "b"})),
        judge.definition(Rubric("mine", "How?", {1: "a", 5: "b"}, direction="lower")),
    ]
    assert len(set(definitions)) == len(definitions)
    assert definitions[0] == Judge(ANTHROPIC).definition(BUILTIN["tone"])


# functions


def test_a_function_is_a_judge():
    seen = []

    def strict(system, user, schema):
        seen.append((system, user, schema))
        return GOOD

    score = Judge(strict).score("clarity", text=TEXT)
    assert score == 0.75
    assert score.model.endswith("strict")
    ((system, user, schema),) = seen
    assert BUILTIN["clarity"].question in system
    assert TEXT in user
    assert schema["properties"]["level"]["enum"] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("answer", ['{"level": 4, "reason": "Good."}', {"level": 4, "reason": "Good."}])
def test_a_function_answers_with_a_dict_or_json(answer):
    assert Judge(lambda *_: answer).score("clarity", text=TEXT) == 0.75


@pytest.mark.parametrize("answer", [{"level": 9, "reason": "x"}, "good", None, 0.7, [], float("nan")])
@both_ways
def test_a_function_that_answers_nonsense_is_no_judge(answer, how):
    with pytest.raises(JudgeError, match="no verdict on 'clarity'"):
        ask(how, Judge(lambda *_: answer))


@both_ways
def test_a_function_that_raises_is_a_judge_that_failed(how):
    def broken(system, user, schema):
        raise ZeroDivisionError("oh")

    with pytest.raises(JudgeError, match="ZeroDivisionError: oh"):
        ask(how, Judge(broken))


def test_an_async_function_is_awaited_and_not_called_in_vain():
    async def judge(system, user, schema):
        await asyncio.sleep(0)
        return GOOD

    assert asyncio.run(Judge(judge).ascore("clarity", text=TEXT)) == 0.75
    with pytest.raises(SettingsError, match="await"):
        Judge(judge).score("clarity", text=TEXT)


def test_a_function_that_waits_does_not_hold_up_the_loop():
    asked, went_on = threading.Event(), threading.Event()

    def slow(system, user, schema):
        asked.set()
        assert went_on.wait(10), "the loop stood still meanwhile"
        return GOOD

    async def go_on():
        while not asked.is_set():
            await asyncio.sleep(0.001)
        went_on.set()

    async def judged():
        going_on = asyncio.create_task(go_on())
        score = await Judge(slow).ascore("clarity", text=TEXT)
        await going_on
        return score

    assert asyncio.run(judged()) == 0.75


def test_what_is_no_text_is_not_judged():
    with pytest.raises(SettingsError, match="judges a str"):
        Judge(ANTHROPIC).score("clarity", text={"answer": "x"})
