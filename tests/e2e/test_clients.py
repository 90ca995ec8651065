"""Every HTTP client by every kind of exchange: recorded once, replayed without the provider, the same to its caller."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.conftest import Project, Run
from tests.e2e.traffic import CLIENTS, SCENARIOS, perform, provider
from tests.standin import StandIn

MATRIX = """
    import os
    import pytest
    from tests.e2e.traffic import CLIENTS, SCENARIOS, keep, perform

    URL = os.environ["STANDIN"]

    @pytest.mark.parametrize("scenario", SCENARIOS)
    @pytest.mark.parametrize("client", CLIENTS)
    @pytest.mark.llm_eval
    def test_traffic(llm_eval, client, scenario):
        result = llm_eval.run(perform, URL, client, SCENARIOS[scenario])
        calls = [call.model_dump(mode="json", exclude={"replayed", "started_at"}) for call in result.calls]
        keep(os.environ["SEEN"], f"{client} {scenario}", {"output": result.output, "calls": calls})
"""


@dataclass
class Both:
    """A suite run twice: against the provider, and without it."""

    project: Project
    recording: Run
    replay: Run
    recorded: dict[str, Any]
    replayed: dict[str, Any]
    requests: int
    requests_on_replay: int


def both(project: Project, standin: StandIn, *args: str, env: dict[str, str] | None = None) -> Both:
    runs, seen, requests = [], [], []
    for name in ("recorded", "replayed"):
        before = len(standin.requests)
        variables = {"STANDIN": standin.url, "SEEN": str(project.path / name), **(env or {})}
        (project.path / name).touch()
        if name == "replayed":
            variables["CI"] = "true"
        runs.append(project.run("-q", "--llm-record-hosts=127.0.0.1", f"--llm-json={name}.json", *args, env=variables))
        seen.append(dict(json.loads(line) for line in project.read(name).splitlines()))
        requests.append(len(standin.requests) - before)
    return Both(project, runs[0], runs[1], seen[0], seen[1], requests[0], requests[1])


@pytest.fixture(scope="module")
def provider_standin() -> Iterator[StandIn]:
    with StandIn() as standin:
        yield standin


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory, provider_standin: StandIn) -> Both:
    project = Project(tmp_path_factory.mktemp("matrix"))
    project.file("test_matrix.py", MATRIX)
    provider_standin.script(provider)
    return both(project, provider_standin)


def test_the_matrix_records_and_replays(matrix: Both) -> None:
    assert matrix.recording.outcomes == {"passed": len(CLIENTS) * len(SCENARIOS)}, matrix.recording.out[-3000:]
    assert matrix.replay.outcomes == matrix.recording.outcomes, matrix.replay.out[-3000:]
    assert matrix.requests == len(CLIENTS) * len(SCENARIOS)
    assert matrix.requests_on_replay == 0


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("client", CLIENTS)
def test_recording_changes_nothing_for_the_caller(
    matrix: Both, provider_standin: StandIn, client: str, scenario: str
) -> None:
    assert matrix.recorded[f"{client} {scenario}"]["output"] == perform(
        provider_standin.url, client, SCENARIOS[scenario]
    )


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("client", CLIENTS)
def test_replay_is_what_was_recorded(matrix: Both, client: str, scenario: str) -> None:
    recorded, replayed = matrix.recorded[f"{client} {scenario}"], matrix.replayed[f"{client} {scenario}"]
    if scenario == "429":
        recorded["output"]["headers"].pop("retry-after")
        assert replayed["output"]["headers"].pop("retry-after") == "0", "a recording needs no rest"
    if client == "urllib" and scenario in ("gzip", "deflate", "br", "zstd", "gzip stream"):
        # It leaves decoding to its caller, and our cassettes hold plain text: no such header, no such coding.
        assert base64.b64decode(recorded.pop("output")["body"])
        assert replayed.pop("output")["json"]["choices"]
    assert replayed == recorded
