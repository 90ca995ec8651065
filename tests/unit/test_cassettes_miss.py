"""The words of a miss: what was asked, the closest recording as a diff, and the way out."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pytest_llmops.cassettes import keys, miss
from tests.patience import least_cpu_s

COMMAND = "pytest t.py::test --llm-record=refresh"


def request(
    content: Any, model: str = "gpt-x", url: str = "https://api.openai.com/v1/chat/completions"
) -> keys.Request:
    document = {"json": {"model": model, "messages": [{"role": "system", "content": content}]}}
    return keys.Request("POST", url, "application/json", document, model, None, "key")


def recording(content: Any, model: str = "gpt-x") -> dict[str, Any]:
    asked = request(content, model)
    return {"key": "k", "request": {"method": "POST", "url": asked.url, "model": model, "body": asked.body}}


def words(asked: keys.Request, *recorded: dict[str, Any], used: int = 0) -> list[str]:
    text = miss.describe(asked, cassette="c.json", call=3, recorded=recorded, used=used, command=COMMAND)
    return text.splitlines()


def test_it_is_no_exception_and_pytests_own_failure() -> None:
    error = miss.CassetteMiss("text")
    assert not isinstance(error, Exception)
    assert isinstance(error, pytest.fail.Exception)
    assert error.pytrace is False


def test_the_closest_recording_as_a_diff() -> None:
    lines = words(
        request("You are a polite support agent."),
        recording("Translate into Finnish."),
        recording("You are a support agent."),
        recording("You are a polite support agent.", model="other"),
    )
    assert lines == [
        "'c.json' has no recording for call 3",
        "  POST api.openai.com/v1/chat/completions, model 'gpt-x'",
        "  closest: interaction 2; differs in messages[0].content",
        "    - You are a support agent.",
        "    + You are a polite support agent.",
        "  re-record: pytest t.py::test --llm-record=refresh",
    ]


def test_another_model_is_the_closest_where_there_is_no_other() -> None:
    assert "  closest: interaction 1; differs in model" in words(request("a"), recording("a", model="gpt-y"))


def test_the_same_body_elsewhere() -> None:
    lines = words(request("a", url="https://api.openai.com/v1/responses"), recording("a"))
    assert lines[2] == "  closest: interaction 1, the same body sent to POST https://api.openai.com/v1/chat/completions"


def test_without_recordings_and_used_up_ones() -> None:
    assert words(request("a"))[0] == "'c.json' does not exist (call 3)"
    assert "  this very request is recorded 1 time, and was made once more" in words(
        request("a"), recording("a"), used=1
    )


def test_long_lines_are_cut_to_where_they_differ() -> None:
    before, after = "x" * 5000 + "old" + "y" * 5000, "x" * 5000 + "new" + "y" * 5000
    old, new = (line for line in words(request(after), recording(before)) if line.startswith(("    -", "    +")))
    assert "old" in old
    assert "new" in new
    assert len(old) < 200


def test_long_texts_show_the_lines_that_differ() -> None:
    text = [f"line {i}" for i in range(100)]
    lines = words(request("\n".join([*text[:50], "changed", *text[51:]])), recording("\n".join(text)))
    assert lines[3:5] == ["    - line 50", "    + changed"]


@pytest.mark.parametrize("content", [None, 5, [], {}, [{"type": "text", "text": "x"}], "\x00\x1b[31m"])
def test_bodies_of_any_shape(content: Any) -> None:
    assert words(request(content), recording("a"))[-1].startswith("  re-record")
    assert words(request("a"), recording(content))[-1].startswith("  re-record")


@pytest.mark.parametrize("body", [None, {"lines": ["a"]}, {"base64": "AA=="}, {"multipart": [{"name": "f"}]}])
def test_bodies_that_are_no_json(body: Any) -> None:
    odd = {"key": "k", "request": {"method": "POST", "url": "https://h.test", "body": body}}
    assert words(request("a"), odd)[-1].startswith("  re-record")


def test_a_large_cassette_is_searched_in_time() -> None:
    recorded = [recording(f"case {i}: " + "word " * 3000) for i in range(1000)]
    asked = request("case 7: " + "word " * 3000 + "end")
    assert json.dumps(words(asked, *recorded))
    assert least_cpu_s(lambda: words(asked, *recorded), enough=5, tries=3) < 5


def test_a_judge_that_was_never_asked_is_told_from_one_that_was_asked_something_else() -> None:
    asked = request("judge this", "judge-1")
    asked.role = "judge"
    assert "  a judge's call: no judge has been asked on this cassette yet" in words(asked, recording("hi"))
    other = recording("judge that", "judge-2") | {"role": "judge"}
    told = words(asked, recording("hi"), other)
    assert "  a judge's call: the judged answer, the rubric or the judge is another than when it was recorded" in told
    assert "  recorded with judge-2" in told
