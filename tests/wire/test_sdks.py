"""The official SDKs replay real exchanges through the whole plugin: what they return and what the Call says agree."""

from __future__ import annotations

import gzip
import importlib.util
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from pytest_llmops.cassettes import bodies, keys, storage
from pytest_llmops.providers import detect
from tests.conftest import Project
from tests.standin import StandIn
from tests.wire.sdks import SDKS, Line, content_type, sdk_of, streamed
from tests.wire.test_corpus import CORPUS, FIELDS, exchange_of

SUITE = """
    import asyncio, gzip, json, os
    import pytest
    from pytest_llmops.cassettes.miss import CassetteMiss
    from tests.e2e.traffic import keep
    from tests.wire.sdks import SDKS, sdk_of
    from tests.wire.test_corpus import CORPUS

    with gzip.open(CORPUS, "rt", encoding="utf-8") as file:
        LINES = {line["id"]: line for line in map(json.loads, file)}
    IDS = os.environ["IDS"].split()

    @pytest.mark.parametrize("way", ["sync", "async"])
    @pytest.mark.parametrize("line_id", IDS)
    @pytest.mark.llm_eval(threshold=None)
    def test_replay(llm_eval, line_id, way):
        line = LINES[line_id]
        sdk = SDKS[sdk_of(line)]
        found = {}
        try:
            if way == "sync":
                result = llm_eval.run(sdk.ask, line)
            else:
                result = llm_eval.run(lambda: asyncio.run(sdk.aask(line)))
            (call,) = result.calls
            found = {"sdk": result.output, "call": call.model_dump(mode="json")}
        except CassetteMiss as miss:
            found = {"miss": str(miss)}
            raise
        except Exception as error:
            found = {"error": f"{type(error).__name__}: {error}"[:500]}
            raise
        finally:
            keep(os.environ["SEEN"], f"{line_id} {way}", found)
"""


def interaction(line: dict[str, Any]) -> storage.Interaction:
    """The exchange as a recording would have stored it."""
    exchange = exchange_of(line)
    document = keys.body_document(exchange.request_body, "application/json", keys.IGNORED_FIELDS)
    url = keys.clean_url(exchange.url)
    route = detect(exchange.method, url, exchange.request_body)
    return {
        "key": keys.key_of(keys.address(exchange.method, url, route), document),
        "role": "app",
        "recorded_at": "2026-01-01T00:00:00+00:00",
        "request": {"method": exchange.method, "url": url, "content_type": "application/json", "body": document},
        "response": {
            "status": exchange.status,
            "headers": {"content-type": content_type(line)},
            "body": bodies.encode(exchange.response_body, content_type(line)),
        },
        "timing": {"at_ms": 0.0, "elapsed_ms": 100.0, "first_byte_ms": 50.0},
    }


A_GROUP = 5
"""Exchanges of each SDK, streamed and whole, with tools and without."""

OLDER = {"ollama": "today's SDK sends empty lists of tools and images that the recordings' SDK did not"}


def chosen(lines: dict[str, Line]) -> dict[str, str]:
    """Exchanges to replay, by id: the SDK of each."""
    groups: dict[tuple[str, bool, bool], list[str]] = defaultdict(list)
    for line in lines.values():
        name = sdk_of(line)
        if name is not None and importlib.util.find_spec(SDKS[name].module):
            groups[name, streamed(line), '"tools"' in line["request"]].append(line["id"])
    return {
        line_id: name
        for (name, _, _), found in groups.items()
        for line_id in found[:: max(1, len(found) // A_GROUP)][:A_GROUP]
    }


@dataclass
class Replays:
    """What SDK and Call said of each exchange, by ``ID WAY``."""

    seen: dict[str, dict[str, Any]]
    sdks: dict[str, str]
    lines: dict[str, Line]
    out: str

    def of(self, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
        for key, what in self.seen.items():
            if self.sdks[key.split()[0]] == name and not ("miss" in what and name in OLDER):
                yield key, what


@pytest.fixture(scope="module")
def replays(tmp_path_factory: pytest.TempPathFactory) -> Replays:
    if not CORPUS.is_file():
        pytest.skip(f"no corpus at {CORPUS}; set LLMOPS_CORPUS to the folder of wire-dev.jsonl.gz")
    with gzip.open(CORPUS, "rt", encoding="utf-8") as file:
        lines = {line["id"]: line for line in map(json.loads, file)}
    sdks = chosen(lines)
    project = Project(tmp_path_factory.mktemp("sdks"))
    project.file("test_sdk.py", SUITE)
    for line_id in sdks:
        for way in ("sync", "async"):
            name = f"test_replay[{line_id}-{way}]"
            path = project.path / "cassettes" / "test_sdk" / storage.file_name(name)
            storage.save(path, [interaction(lines[line_id])], test=f"test_sdk.py::{name}")
    run = project.run("-q", "--tb=short", env={"CI": "1", "IDS": " ".join(sdks), "SEEN": str(project.path / "seen")})
    seen = dict(json.loads(text) for text in project.read("seen").splitlines())
    return Replays(seen, sdks, {line_id: lines[line_id] for line_id in sdks}, run.out)


@pytest.mark.parametrize("name", SDKS)
def test_the_sdk_gets_its_recording(replays: Replays, name: str) -> None:
    if not importlib.util.find_spec(SDKS[name].module):
        pytest.skip(f"{SDKS[name].module} is not installed")
    failed = {key: what.get("miss") or what["error"] for key, what in replays.of(name) if "sdk" not in what}
    assert not failed, "\n".join(f"{key}: {why}" for key, why in failed.items())
    ways = Counter((key.split()[1], streamed(replays.lines[key.split()[0]])) for key, _ in replays.of(name))
    assert ways["sync", False] == ways["async", False] > 0
    assert ways["sync", True] == ways["async", True] > 0
    print(f"\n{name}: {sum(ways.values())} replays")


@pytest.mark.parametrize("name", SDKS)
def test_sdk_and_call_agree(replays: Replays, name: str) -> None:
    differences = []
    for key, what in replays.of(name):
        if "sdk" in what:
            sdk, call = what["sdk"], what["call"]
            said = {
                "text": call["text"] or None,
                "finish": call["finish_reason"],
                "tools": [tool["name"] for tool in call["tool_calls"]],
                "input_tokens": call["input_tokens"],
                "output_tokens": call["output_tokens"],
            }
            sdk["text"] = sdk["text"] or None
            differences += [f"{key} {k}: SDK {sdk[k]!r:.200}, Call {said[k]!r:.200}" for k in sdk if sdk[k] != said[k]]
    assert not differences, "\n".join(differences)


def test_the_call_is_what_the_corpus_expects(replays: Replays) -> None:
    differences = []
    for key, what in replays.seen.items():
        if "call" in what:
            expected = replays.lines[key.split()[0]]["expected"]
            for theirs, ours in FIELDS.items():
                if expected[theirs] != what["call"][ours]:
                    differences.append(f"{key} {ours}: expected {expected[theirs]!r:.200}, {what['call'][ours]!r:.200}")
            if not what["call"]["replayed"]:
                differences.append(f"{key}: was not replayed")
    assert not differences, "\n".join(differences)


def test_litellm_replays_through_the_provider_it_calls(project: Project) -> None:
    if not importlib.util.find_spec("litellm"):
        pytest.skip("litellm is not installed here: it pulls openai down to 2.x, so it has an environment of its own")
    project.file(
        "test_litellm.py",
        """
        import asyncio, os, litellm, pytest

        MESSAGES = [{"role": "user", "content": "Say hello"}]
        BASE = os.environ["STANDIN"] + "/v1"

        def whole():
            done = litellm.completion("openai/gpt-4o-mini", messages=MESSAGES, api_base=BASE, api_key="test-key")
            return done.choices[0].message.content

        async def stream():
            parts = await litellm.acompletion("openai/gpt-4o-mini", messages=MESSAGES, api_base=BASE,
                                              api_key="test-key", stream=True)
            return "".join([part.choices[0].delta.content or "" async for part in parts])

        @pytest.mark.llm_eval
        def test_whole(llm_eval):
            result = llm_eval.run(whole)
            assert result.output == result.calls[0].text == "Echo: Say hello"

        @pytest.mark.llm_eval
        def test_stream(llm_eval):
            result = llm_eval.run(lambda: asyncio.run(stream()))
            assert result.output == result.calls[0].text == "Echo: Say hello"
            assert result.calls[0].streamed
        """,
    )
    with StandIn() as standin:
        env = {"STANDIN": standin.url, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
        first = project.run("-q", env=env)
        assert first.outcomes["passed"] == 2, first.out
        made = len(standin.requests)
        again = project.run("-q", env={**env, "CI": "1"})
        assert again.outcomes["passed"] == 2, again.out
        assert len(standin.requests) == made
