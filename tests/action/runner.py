"""A runner for composite actions: their steps under bash, with the files and variables that GitHub's runner gives."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.action import expressions
from tests.action.hub import OWN, REPOSITORY, Hub
from tests.conftest import REPOSITORY as ROOT
from tests.warm_python import WarmPython, can_run

# What a job has of this machine; everything else comes from the runner.
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT")
_COMMAND = re.compile(r"^::(?P<name>[a-z-]+)(?: (?P<options>[^:]*(?::(?!:)[^:]*)*))?::(?P<message>.*)$")

_COMMANDS = WarmPython("pytest_llmops.cli", "pytest_llmops.github.steps")


@dataclass
class Step:
    name: str
    outcome: str
    log: str = ""
    outputs: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Command:
    """A workflow command that the runner obeyed."""

    name: str
    options: dict[str, str]
    message: str


@dataclass
class Job:
    """What a use of the action left behind."""

    conclusion: str
    outputs: dict[str, str]
    steps: list[Step]
    summary: str
    commands: list[Command]

    @property
    def log(self) -> str:
        return "\n".join(f"=== {step.name}: {step.outcome}\n{step.log}" for step in self.steps)

    def step(self, name: str) -> Step:
        return next(step for step in self.steps if step.name == name)

    def annotations(self, level: str = "error") -> list[Command]:
        return [command for command in self.commands if command.name == level]


class Runner:
    """A runner in a folder of its own.

    Args:
        folder: takes its temporary files.
        hub: the GitHub it belongs to.
        action: the action's file.
    """

    def __init__(self, folder: Path, hub: Hub, action: Path = ROOT / "action.yml") -> None:
        self._folder, self._hub = folder, hub
        self._action = action
        self._definition = yaml.safe_load(action.read_text(encoding="utf-8"))
        self.installed: list[str] = []

    def use(
        self,
        workspace: Path,
        event: str,
        payload: Mapping[str, Any],
        *,
        run: int,
        attempt: int = 1,
        inputs: Mapping[str, str] | None = None,
        env: Mapping[str, str] | None = None,
        token: str = OWN,
        sha: str = "c" * 40,
        ref: str = "main",
        cancel: str = "",
    ) -> Job:
        """Run the action's steps as a job's step would.

        Args:
            cancel: the step in which the job is cancelled; something in it has to end it.
            env: the job's own variables, such as a provider's key.
            token: the workflow's.
        """
        temp = self._folder / f"run{run}-{attempt}-{len(list(self._folder.iterdir()))}"
        temp.mkdir(parents=True)
        (temp / "event.json").write_text(json.dumps(payload), encoding="utf-8")
        given = {
            name: str((inputs or {}).get(name, self._default(spec, token)))
            for name, spec in self._definition["inputs"].items()
        }
        unknown = set(inputs or {}) - set(given)
        assert not unknown, f"no such inputs: {unknown}"
        github = {"event_name": event, "event": payload, "token": token, "repository": REPOSITORY}
        job = {
            **{name: os.environ[name] for name in _KEPT if name in os.environ},
            **(env or {}),
            "PATH": f"{self._shims(temp)}{os.pathsep}{os.environ['PATH']}",
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_EVENT_NAME": event,
            "GITHUB_EVENT_PATH": str(temp / "event.json"),
            "GITHUB_RUN_ID": str(run),
            "GITHUB_RUN_ATTEMPT": str(attempt),
            "GITHUB_SHA": sha,
            "GITHUB_REF_NAME": ref,
            "GITHUB_WORKFLOW_REF": f"{REPOSITORY}/.github/workflows/llm.yml@refs/heads/main",
            "GITHUB_API_URL": self._hub.url,
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_WORKSPACE": str(workspace),
            "GITHUB_ACTION_PATH": str(self._action.parent),
            "RUNNER_TEMP": str(temp),
        }
        return _Use(self, self._definition, given, github, job, workspace, temp, run, self._hub, cancel).go()

    @staticmethod
    def _default(spec: Mapping[str, Any], token: str) -> str:
        return expressions.interpolate(str(spec.get("default", "")), {"github": {"token": token}})

    def _shims(self, temp: Path) -> Path:
        """``python`` is this one; what pip would fetch is there already, and only noted."""
        folder = temp / "bin"
        folder.mkdir()
        shim = folder / "python"
        warm = ""
        if can_run(("-m", "pytest_llmops"), os.environ):
            client = f'"{sys.executable}" -I -S "{ROOT}/tests/warm_client.py" "{_COMMANDS.address()}"'
            warm = f'if [ "$1 $2 $3" = "-P -m pytest_llmops" ]; then exec {client} "$@"; fi\n'
        shim.write_text(
            f'#!/bin/sh\nif [ "$1 $2 $3" = "-P -m pip" ]; then echo "$@" >>"{temp}/pip.log"; exit 0; fi\n'
            f'{warm}exec "{sys.executable}" "$@"\n'
        )
        shim.chmod(0o755)
        return folder


class _Use:
    def __init__(
        self,
        runner: Runner,
        definition: Mapping[str, Any],
        inputs: Mapping[str, str],
        github: Mapping[str, Any],
        job: Mapping[str, str],
        workspace: Path,
        temp: Path,
        run: int,
        hub: Hub,
        cancel: str,
    ) -> None:
        self._cancel = cancel
        self._runner, self._definition = runner, definition
        self._inputs, self._github, self._job = inputs, github, dict(job)
        self._workspace, self._temp, self._run, self._hub = workspace, temp, run, hub
        self._steps: list[Step] = []
        self._named: dict[str, Any] = {}
        self._commands: list[Command] = []
        self._summary = ""
        self._failed = self._cancelled = False

    def go(self) -> Job:
        for number, spec in enumerate(self._definition["runs"]["steps"]):
            step = Step(spec["name"], "skipped")
            if expressions.holds(spec.get("if", "success()"), self._contexts(), self._status()):
                (self._uses if "uses" in spec else self._script)(step, spec, number)
                self._failed = self._failed or step.outcome == "failure"
                self._cancelled = self._cancelled or step.name == self._cancel
            self._steps.append(step)
            if "id" in spec:
                self._named[spec["id"]] = {"outputs": step.outputs, "outcome": step.outcome, "conclusion": step.outcome}
        outputs = {
            name: expressions.interpolate(spec["value"], self._contexts())
            for name, spec in self._definition["outputs"].items()
        }
        return Job("failure" if self._failed else "success", outputs, self._steps, self._summary, self._commands)

    def _contexts(self) -> dict[str, Any]:
        status = "cancelled" if self._cancelled else "failure" if self._failed else "success"
        return {"inputs": self._inputs, "github": self._github, "steps": self._named, "job": {"status": status}}

    def _status(self) -> dict[str, Any]:
        return {
            "always": lambda: True,
            "success": lambda: not self._failed and not self._cancelled,
            "failure": lambda: self._failed and not self._cancelled,
            "cancelled": lambda: self._cancelled,
        }

    def _script(self, step: Step, spec: Mapping[str, Any], number: int) -> None:
        assert spec["shell"] == "bash", "composite steps name their shell"
        files = {name: self._temp / f"{number}-{name}" for name in ("OUTPUT", "ENV", "STEP_SUMMARY", "PATH", "STATE")}
        for file in files.values():
            file.touch()
        script = self._temp / f"{number}.sh"
        script.write_text(expressions.interpolate(spec["run"], self._contexts()), encoding="utf-8")
        given = spec.get("env", {})
        own = {name: expressions.interpolate(str(value), self._contexts()) for name, value in given.items()}
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", str(script)],
            cwd=self._workspace,
            env={**self._job, **own, **{f"GITHUB_{name}": str(file) for name, file in files.items()}},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=180,
            check=False,
        )
        step.outcome = "success" if done.returncode == 0 else "failure"
        step.log = done.stdout
        step.outputs = _file_commands(files["OUTPUT"].read_text(encoding="utf-8"))
        self._job |= _file_commands(files["ENV"].read_text(encoding="utf-8"))
        summary = files["STEP_SUMMARY"].read_bytes()
        assert len(summary) <= 2**20, "GitHub drops a summary of more than 1 MiB"
        self._summary += summary.decode("utf-8")
        self._commands += _obeyed(done.stdout, ended=done.returncode < 128 and step.name != self._cancel)

    def _uses(self, step: Step, spec: Mapping[str, Any], number: int) -> None:
        name, _, commit = spec["uses"].partition("@")
        assert re.fullmatch(r"[0-9a-f]{40}", commit), f"{name} is not pinned"
        given = {key: expressions.interpolate(str(value), self._contexts()) for key, value in spec["with"].items()}
        step.outcome = "success"
        if name == "actions/upload-artifact":
            self._upload(step, given)
        elif name == "actions/setup-python":
            step.log = f"python {given['python-version']}"
        else:
            raise AssertionError(f"the runner knows no {name}")

    def _upload(self, step: Step, given: Mapping[str, str]) -> None:
        path = Path(given["path"])
        found = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
        if not found:
            assert given["if-no-files-found"] == "ignore"
            return
        kept = self._hub.artifacts.setdefault(self._run, [])
        known = [entry for entry in kept if entry["name"] == given["name"]]
        if known and given.get("overwrite") != "true":
            step.outcome, step.log = "failure", "an artifact with this name already exists"
            return
        for entry in known:
            kept.remove(entry)
        base = path.parent if path.is_file() else path
        files = {file.relative_to(base).as_posix(): file.read_bytes() for file in found}
        number = self._hub.artifact(self._run, given["name"], files)
        step.outputs = {
            "artifact-id": str(number),
            "artifact-url": f"https://github.com/{REPOSITORY}/actions/runs/{self._run}/artifacts/{number}",
        }


def _file_commands(text: str) -> dict[str, str]:
    """``name=value`` and ``name<<delimiter``, as the runner reads them."""
    found: dict[str, str] = {}
    lines = iter(text.splitlines())
    for line in lines:
        name, sign, value = line.partition("<<") if "<<" in line.partition("=")[0] else line.partition("=")
        if sign == "<<":
            inner = []
            for more in lines:
                if more == value:
                    break
                inner.append(more)
            found[name] = "\n".join(inner)
        elif sign:
            found[name] = value
    return found


def _obeyed(log: str, *, ended: bool) -> list[Command]:
    """The workflow commands of a log; between ``stop-commands`` and its token there are none.

    One who `ended` by themselves has to resume them.
    """
    found: list[Command] = []
    token: str | None = None
    for line in log.splitlines():
        if token is not None:
            token = None if line == f"::{token}::" else token
            continue
        match = _COMMAND.match(line)
        if match is None:
            continue
        if match["name"] == "stop-commands":
            token = match["message"]
            continue
        options = dict(part.partition("=")[::2] for part in (match["options"] or "").split(",") if part)
        found.append(Command(match["name"], options, _unescaped(match["message"])))
    assert token is None or not ended, "commands were stopped and never resumed"
    return found


def _unescaped(text: str) -> str:
    return text.replace("%0A", "\n").replace("%0D", "\r").replace("%25", "%")
