"""A repository with LLM tests, its GitHub, and a runner."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.action.hub import OWN, REPOSITORY, Hub
from tests.action.runner import Job, Runner
from tests.e2e.user import APP
from tests.standin import Reply, StandIn

TESTS = """
    import pathlib
    import pytest
    from app import ask

    PROMPT = pathlib.Path(__file__).with_name("prompt.txt")

    @pytest.mark.llm_eval(dataset="cases.jsonl", gate=["pass", "facts"])
    def test_shop(llm_eval, llm_case):
        result = llm_eval.run(ask, PROMPT.read_text() + llm_case.input)
        llm_eval.record("facts", float(llm_case.expected in result.text))
        assert result.text
"""
KEY = {"OPENAI_API_KEY": "sk-test"}
SHA = "c" * 40


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as github:
        yield github


def reply(request: Any) -> Reply:
    """A model that names the fact it is asked for, unless the prompt wants it short."""
    question = request["messages"][-1]["content"]
    return Reply(text="Yes." if "short" in question else f"Yes: {question.rpartition(' ')[2]}.")


class Shop:
    """The repository's checkout on a runner.

    Its workflow is llm.yml; run numbers rise. Whatever it uploads goes to the hub.
    """

    def __init__(self, folder: Path, hub: Hub, provider: StandIn) -> None:
        self.hub, self.provider = hub, provider
        self.folder = folder / "checkout"
        self._runner = Runner(folder / "runner", hub)
        (folder / "runner").mkdir()
        self.runs = 100
        self.committed: Mapping[str, bytes] = {}
        """Recordings that are in git."""
        self.file("app.py", APP)
        self.file("conftest.py", "")
        self.file("prompt.txt", "Answer: ")
        self.file("test_shop.py", TESTS)
        self.cases(12)

    def file(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")
        return path

    def cases(self, count: int) -> None:
        lines = [f'{{"id": "c{n}", "input": "what of fact{n}", "expected": "fact{n}"}}\n' for n in range(count)]
        self.file("cases.jsonl", "".join(lines))

    def record(self) -> None:
        """As a developer does, before they commit."""
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "--llm-record=refresh"],
            cwd=self.folder,
            env={**os.environ, "LLM_BASE": self.provider.url},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout

    def forget_recordings(self) -> None:
        """As checked out anew: what is not committed is gone."""
        shutil.rmtree(self.folder / "cassettes", ignore_errors=True)
        for name, content in self.committed.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    @property
    def cassettes(self) -> list[Path]:
        return sorted(self.folder.rglob("cassettes/**/*.json"))

    def use(self, event: str, payload: dict[str, Any], *, run: int | None = None, **how: Any) -> Job:
        """Run the action; the provider is at hand, and a key is where `env` has one."""
        if run is None:
            self.runs += 1
            run = self.runs
        env = {"LLM_BASE": self.provider.url, **how.pop("env", {})}
        return self._runner.use(self.folder, event, payload, run=run, env=env, **how)

    def push(
        self, *, key: bool = True, branch: str = "main", sha: str = "a" * 40, at: str = "10:00", **how: Any
    ) -> Job:
        """A push run of the workflow, and its entry among the runs."""
        self.runs += 1
        self.hub.run(self.runs, event="push", branch=branch, sha=sha, conclusion=None, at=at)
        env = (KEY if key else {}) | how.pop("env", {})
        payload = {"before": "0" * 40, "repository": {"default_branch": "main"}}
        job = self.use("push", payload, run=self.runs, env=env, sha=sha, ref=branch, **how)
        self.hub.run(self.runs, event="push", branch=branch, sha=sha, conclusion=job.conclusion, at=at)
        return job

    def pushed(self, before: Pushed, *, sha: str = "a" * 40) -> None:
        """As `push`, of a run that was made for many tests."""
        self.runs += 1
        self.hub.run(self.runs, event="push", branch="main", sha=sha)
        for name, content in before.artifacts.items():
            self.hub.raw_artifact(self.runs, name, content)
        self.committed = before.cassettes
        self.forget_recordings()

    def pull_request(
        self,
        number: int = 7,
        branch: str = "shorter",
        *,
        head: str = REPOSITORY,
        sha: str = SHA,
        key: bool = True,
        token: str = OWN,
        run: int | None = None,
        **how: Any,
    ) -> Job:
        """A pull request's run of the workflow, and its entry among the runs."""
        pull = self.hub.pulls.get(number) or self.hub.pull(number, branch, head=head, sha=sha)
        pull["head"]["sha"] = sha
        if run is None:
            self.runs += 1
            run = self.runs
        self.hub.run(run, event="pull_request", branch=branch, sha=sha, head=head, conclusion=None)
        env = (KEY if key else {}) | how.pop("env", {})
        job = self.use(
            "pull_request",
            {"pull_request": pull},
            run=run,
            env=env,
            token=token,
            sha="e" * 40,
            ref=f"{number}/merge",
            **how,
        )
        self.hub.run(run, event="pull_request", branch=branch, sha=sha, head=head, conclusion=job.conclusion)
        return job

    def comment_job(self, run: int, **how: Any) -> Job:
        """The second workflow, when a run of the first has finished; it has no checkout."""
        empty = self.folder.parent / "empty"
        empty.mkdir(exist_ok=True)
        entry = next(entry for entry in self.hub.runs if entry["id"] == run)
        self.runs += 1
        return self._runner.use(
            empty, "workflow_run", {"workflow_run": {**entry, "pull_requests": []}}, run=self.runs, **how
        )


@dataclass(frozen=True)
class Pushed:
    """What a push run of the shop left behind."""

    artifacts: dict[str, bytes]
    cassettes: dict[str, bytes]


@contextmanager
def opened(folder: Path, hub: Hub) -> Iterator[Shop]:
    with StandIn() as provider:
        provider.script(reply)
        (folder / "checkout").mkdir()
        yield Shop(folder, hub, provider)


@pytest.fixture
def shop(tmp_path: Path, hub: Hub) -> Iterator[Shop]:
    with opened(tmp_path, hub) as shop:
        yield shop


@pytest.fixture(scope="session")
def push_run(tmp_path_factory: pytest.TempPathFactory) -> Pushed:
    """One push run of the shop for all tests that only need there to be one."""
    with Hub() as hub, opened(tmp_path_factory.mktemp("pushed"), hub) as shop:
        shop.record()
        job = shop.push()
        assert job.outputs["conclusion"] == "success", job.log
        files = {path.relative_to(shop.folder).as_posix(): path.read_bytes() for path in shop.cassettes}
        return Pushed({"llm-report": hub.raw(shop.runs, "llm-report")}, files)


@pytest.fixture
def main(shop: Shop, push_run: Pushed) -> Shop:
    """The shop after a push to main."""
    shop.pushed(push_run)
    return shop
