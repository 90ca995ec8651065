"""The run of pytest: its arguments, and what it says beside the run record."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree

import github_action_utils as runner

from pytest_llmops.cassettes.redaction import KEY_VARIABLES
from pytest_llmops.child_runs import Children, kept
from pytest_llmops.configuration import REVIEWED_VARIABLE, STORED_IN_VARIABLE
from pytest_llmops.github.context import Context
from pytest_llmops.github.inputs import PREFIX, Inputs
from pytest_llmops.records import RunRecord

GATE = "llm-baseline"
NOT_FOR_TESTS = (
    # Tokens: a test has no use for them, and what a model answers may end up anywhere.
    *("GITHUB_TOKEN", "GH_TOKEN", "ACTIONS_RUNTIME_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"),
    # Files by which a step sets the environment, the path and the outputs of those after it, which have the token:
    # BASH_ENV=… in the first would run there. The summary's file is left: what is in it is only read.
    *("GITHUB_ENV", "GITHUB_PATH", "GITHUB_OUTPUT", "GITHUB_STATE"),
)
"""What pytest's environment goes without, beside our inputs. No wall: docs/action.md says what still holds."""


KEYS_OF_CLOUDS = (
    *("AZURE_OPENAI_AD_TOKEN", "GOOGLE_APPLICATION_CREDENTIALS", "HF_TOKEN", "REPLICATE_API_TOKEN"),
    *("AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
)
"""What gives access to a model, beside the variables that end with ``_API_KEY`` and those that SDKs read."""


def has_key(environ: Mapping[str, str]) -> bool:
    """Whether a provider could be asked: a key that is not empty, as an absent secret is.

    Gateways have keys under names of their own; one too many is told by the provider, one too few would leave what
    misses unrecorded.
    """
    named = {*KEY_VARIABLES, *KEYS_OF_CLOUDS}
    return any(value.strip() and (name in named or name.endswith("_API_KEY")) for name, value in environ.items())


def arguments(
    inputs: Inputs,
    context: Context,
    *,
    record: str,
    report: Path,
    baseline: Path | None,
    accept: Path | None,
    cassettes: Path | None,
    trials: str | None,
) -> list[str]:
    """The command line for pytest; the folder `report` takes its files.

    The user's own options come later and win; only where the files lie is ours to say.
    """
    ours = [f"--llm-record={record}"]
    if baseline is not None:
        ours.append(f"--llm-baseline={baseline}")
        if accept is not None:
            ours.append(f"--llm-accept={accept}")
        if inputs.update_baseline:
            ours += ["--llm-update-baseline", "--llm-force"]
        if context.event == "schedule" and record != "none":
            ours.append("--llm-confirm")
    if cassettes is not None:
        ours.append(f"--llm-cassette-dir={cassettes}")
    if inputs.max_cost_usd is not None:
        ours.append(f"--llm-budget={inputs.max_cost_usd:g}")
    if trials is not None and (trials != "auto" or baseline is not None):  # auto asks the comparison
        ours.append(f"--llm-trials={trials}")
    if isinstance(inputs.shard, tuple):
        ours.append(f"--llm-shard={inputs.shard[0]}/{inputs.shard[1]}")
    files = [f"--llm-json={report / 'run.json'}", f"--llm-html={report / 'report.html'}"]
    # A prefix would hide whose test a JUnit case is: the evaluations' and the gate's would be taken for other tests.
    junit = [f"--junitxml={report / 'junit.xml'}", "--junit-prefix="]
    return [*inputs.paths, *ours, *inputs.pytest_args, *files, *junit]


def children(inputs: Inputs, folder: Path, rootdir: Path) -> Children:
    """How this job runs tests once more that ran in others of its matrix."""
    args, environ = inputs.pytest_args, _environ()

    def loaded(module: str, plugin: str) -> bool:
        if environ.get("PYTEST_DISABLE_PLUGIN_AUTOLOAD") or f"no:{plugin}" in args or f"-pno:{plugin}" in args:
            return False
        return find_spec(module) is not None

    return Children(
        root=rootdir,
        folder=folder,
        options=kept(args, inputs.paths),
        announce=lambda line: runner.echo(" ".join(line.split())),
        overrides=["--no-cov"] if loaded("pytest_cov", "_cov") and "no:pytest_cov" not in args else [],
        workers=0 if loaded("xdist", "xdist") else None,
        environ=environ,
    )


def _environ() -> dict[str, str]:
    environ = {
        name: value for name, value in os.environ.items() if not name.startswith(PREFIX) and name not in NOT_FOR_TESTS
    }
    environ[REVIEWED_VARIABLE] = "1"
    return environ


def run(args: list[str], root: Path, stored_in: str | None) -> int:
    """Run pytest; its exit status. Advice names `stored_in` in place of a baseline that is a temporary file."""
    environ = _environ()
    if stored_in is not None:
        environ[STORED_IN_VARIABLE] = stored_in
    sys.stdout.flush()
    return subprocess.run([sys.executable, "-m", "pytest", *args], cwd=root, env=environ, check=False).returncode


@dataclass(frozen=True, slots=True)
class JUnit:
    """What pytest's own file tells beside the run record.

    Args:
        gate: names of the gate's failures.
        others: failed tests that are no LLM evaluations, and failed reports of ours.
        messages: id of each failed evaluation (``module`` and name as JUnit has them) to what it failed with.
    """

    gate: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    messages: Mapping[tuple[str, str], str] = field(default_factory=dict)


def junit_id(nodeid: str) -> tuple[str, str]:
    """A node id as JUnit's classname and name: ``tests/test_x.py::TestA::test_y[c1]``."""
    head, bracket, argument = nodeid.partition("[")
    file, *names = head.split("::")
    if not names:
        return file.removesuffix(".py").replace("/", "."), ""
    module = file.removesuffix(".py").replace("/", ".").replace("\\", ".")
    return ".".join([module, *names[:-1]]), names[-1] + bracket + argument


def read_junit(path: Path, record: RunRecord | None) -> JUnit:
    """Read pytest's JUnit file; what there is none of is empty."""
    return parse_junit(path.read_bytes() if path.is_file() else b"", record)


def parse_junit(content: bytes, record: RunRecord | None) -> JUnit:
    """Read a JUnit file's content, beside the record of the same run."""
    try:
        root = ElementTree.fromstring(content)
    except ElementTree.ParseError:
        return JUnit()
    # A case that misses its threshold has a failed report of its own, without a trial's number.
    ours = {junit_id(name) for test in record.tests for name in (test.id, test.case)} if record else set()
    gate, others, messages = [], [], {}
    for case in root.iter("testcase"):
        failure = next((found for tag in ("failure", "error") if (found := case.find(tag)) is not None), None)
        if failure is None:
            continue
        name = case.get("classname", ""), case.get("name", "")
        text = failure.text or failure.get("message") or ""
        if name[0] == GATE:
            gate.append(name[1])
        elif name in ours:
            messages[name] = text
        else:
            others.append("::".join(filter(None, name)))
    return JUnit(tuple(gate), tuple(others), messages)


def save_junit(folder: Path, found: JUnit) -> None:
    """Keep for the next step what several files said."""
    document = [found.gate, found.others, [[*name, text] for name, text in found.messages.items()]]
    (folder / "junit.json").write_text(json.dumps(document), encoding="utf-8")


def load_junit(folder: Path) -> JUnit | None:
    """What several files said; None where one file does."""
    path = folder / "junit.json"
    if not path.is_file():
        return None
    gate, others, messages = json.loads(path.read_text(encoding="utf-8"))
    return JUnit(tuple(gate), tuple(others), {(module, name): text for module, name, text in messages})
