"""What GitHub and its tools would say of the action and the workflows, without GitHub."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.action import expressions
from tests.conftest import REPOSITORY

ACTION = REPOSITORY / "action.yml"
WORKFLOWS = sorted(
    path for folder in (REPOSITORY, REPOSITORY / "examples/action") for path in folder.glob(".github/workflows/*.yml")
)
EVERY = [ACTION, *WORKFLOWS]
PACKAGES = ("@actions/languageservice@0.3.61", "@actions/expressions@0.3.61", "esbuild@0.25.12")
CACHE = REPOSITORY / ".cache" / "npm"
_USED = re.compile(r"uses: (\S+)")


def tool(name: str) -> str:
    """A program of this environment."""
    found = shutil.which(name, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert found, f"{name} is missing; it is in the dependency group 'test'"
    return found


def run(*command: str | Path, given: str | None = None, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command], input=given, capture_output=True, text=True, timeout=timeout, check=False
    )


def test_zizmor_finds_nothing() -> None:
    done = run(tool("zizmor"), "--offline", "--strict-collection", "--no-config", "--persona=pedantic", *EVERY)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_zizmor_is_told_to_ignore_has_a_reason() -> None:
    for path in EVERY:
        for line in path.read_text(encoding="utf-8").splitlines():
            if "zizmor: ignore" in line:
                assert re.search(r"zizmor: ignore\[[a-z-]+\] \w+ \w+", line), f"{path}: {line}"


def test_the_files_are_of_githubs_schemas() -> None:
    for schema, files in (("vendor.github-actions", [ACTION]), ("vendor.github-workflows", WORKFLOWS)):
        done = run(tool("check-jsonschema"), "--builtin-schema", schema, *files)
        assert done.returncode == 0, done.stdout + done.stderr


def scripts() -> list[tuple[str, str]]:
    found = []
    for path in EVERY:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        jobs = [document["runs"]] if "runs" in document else document["jobs"].values()
        found += [(path.name, step["run"]) for job in jobs for step in job["steps"] if "run" in step]
    return found


def test_shellcheck_finds_nothing(tmp_path: Path) -> None:
    files = []
    for number, (name, script) in enumerate(scripts()):
        files.append(tmp_path / f"{number}-{name}.sh")
        files[-1].write_text(f"#!/usr/bin/env bash\nset -eo pipefail\n{script}", encoding="utf-8")
    done = run(tool("shellcheck"), *files)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_script_holds_an_expression() -> None:
    assert not [(name, script) for name, script in scripts() if "${{" in script]


def test_every_action_is_pinned() -> None:
    pins: dict[str, set[str]] = {}
    for path in EVERY:
        for used in _USED.findall(path.read_text(encoding="utf-8")):
            if used == "$/" or used.startswith("OWNER/"):  # this action itself
                continue
            name, _, commit = used.partition("@")
            assert re.fullmatch(r"[0-9a-f]{40}", commit), f"{path}: {used}"
            pins.setdefault(name, set()).add(commit)
    assert {name: len(commits) for name, commits in pins.items()} == dict.fromkeys(pins, 1), "one version of each"


def test_inputs_outputs_and_their_order() -> None:
    document = yaml.safe_load(ACTION.read_text(encoding="utf-8"))
    assert list(document["inputs"]) == INPUTS
    assert list(document["outputs"]) == OUTPUTS
    assert document["inputs"]["max-cost-usd"]["default"] == "1.00"
    order = [step["name"] for step in document["runs"]["steps"]]
    wanted = ["Restore recordings", "Find the baseline", "Test", "Report", "Upload the report", "Gate"]
    assert [name for name in order if name in wanted] == wanted
    assert order[-1] == "Gate"


def test_the_token_is_not_there_while_tests_run() -> None:
    (test,) = [step for step in yaml.safe_load(ACTION.read_text())["runs"]["steps"] if step["name"] == "Test"]
    assert "token" not in json.dumps(test).lower()


INPUTS = [
    "paths", "pytest-args", "python", "working-directory", "mode", "baseline", "baseline-path", "update-baseline",
    "fail-on", "comment", "comment-id", "max-cost-usd", "trials", "report-name", "retention-days", "junit-path",
    "annotate", "shard", "commit-cassettes", "github-token",
]  # fmt: skip
OUTPUTS = [
    "conclusion", "exit-code", "regressed", "total", "passed", "failed", "new", "removed", "cost-usd", "baseline-sha",
    "report-json", "report-url", "comment-url",
]  # fmt: skip


# -- GitHub's own packages ------------------------------------------------------------------------------------------


def installed() -> Path:
    """Where GitHub's packages are; skips where they cannot be had."""
    why = why_not_installed()
    if why is not None:
        pytest.skip(f"GitHub's own validator is not asked: {why}")
    return CACHE


@cache
def why_not_installed() -> str | None:
    """Install them at the first time, whole or not at all: several workers may want them."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        return "npm is not installed"
    if CACHE.is_dir():
        return None
    CACHE.parent.mkdir(exist_ok=True)
    fresh = tempfile.mkdtemp(dir=CACHE.parent)
    quiet = ("--no-save", "--no-audit", "--no-fund", "--fetch-retries=1", "--fetch-timeout=20000")
    try:
        done = run("npm", "install", *quiet, "--prefix", fresh, *PACKAGES, timeout=120)
    except subprocess.TimeoutExpired:
        shutil.rmtree(fresh, ignore_errors=True)
        return "npm did not end within two minutes"
    if done.returncode:
        shutil.rmtree(fresh)
        return f"npm could not install it: {done.stderr.strip()[-300:]}"
    with contextlib.suppress(OSError):  # another worker was faster
        Path(fresh).rename(CACHE)
    return None


def asked_of_github(question: dict[str, Any], folder: Path) -> dict[str, Any]:
    """What toolchain.mjs says, beside `folder`'s files of its own."""
    packages, bundle = installed() / "node_modules", folder / "toolchain.bundle.mjs"
    banner = "--banner:js=import {createRequire} from 'module'; const require = createRequire(import.meta.url);"
    # Node reads the packages' JSON imports only from one file, as their own users bundle them.
    bundled = subprocess.run(
        [
            packages / ".bin/esbuild", Path(__file__).with_name("toolchain.mjs"),
            "--bundle", "--platform=node", "--format=esm", f"--outfile={bundle}", banner,
        ],
        env={**os.environ, "NODE_PATH": str(packages)}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert bundled.returncode == 0, bundled.stderr
    done = run("node", bundle, given=json.dumps(question))
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


EXPRESSIONS = [
    "inputs.python", "inputs.none", "inputs.python == '3.12'", "inputs.python != ''", "!inputs.none",
    "startsWith(inputs.python, '3.')", "startsWith(inputs.none, '')", "contains(inputs.word, 'B')",
    "inputs.none || 'other'", "inputs.word && 'yes' || 'no'", "inputs.none && 'yes' || 'no'",
    "inputs.word == 'ABC'", "inputs.number == 3", "inputs.number == '3'", "inputs.none == 0", "true == 1",
    "(inputs.none == '' && github.event_name == 'push') || false", "steps.upload.outputs.artifact-url",
    "steps.none.outputs.anything || 'nothing'", "!startsWith(inputs.python, '3.') && inputs.python || 'python'",
    "inputs.word == null", "'it''s'", "!(inputs.word == 'abc') || inputs.number != 4",
]  # fmt: skip
CONTEXTS = {
    "inputs": {"python": "3.12", "word": "abc", "number": 3, "empty": ""},
    "github": {"event_name": "push"},
    "steps": {"upload": {"outputs": {"artifact-url": "https://github.com/x"}}},
}


def test_githubs_validator_finds_nothing_and_its_evaluator_agrees_with_the_runner(tmp_path: Path) -> None:
    question = {"files": [str(path) for path in EVERY], "expressions": EXPRESSIONS, "contexts": CONTEXTS}
    answer = asked_of_github(question, tmp_path)
    assert answer["files"] == {str(path): [] for path in EVERY}
    ours = [expressions.as_text(expressions.evaluate(text, CONTEXTS)) for text in EXPRESSIONS]
    assert dict(zip(EXPRESSIONS, ours, strict=True)) == dict(zip(EXPRESSIONS, answer["expressions"], strict=True))


def test_githubs_validator_would_find_a_mistake(tmp_path: Path) -> None:
    wrong = tmp_path / "action.yml"
    for before, after in (("shell: bash", "shel: bash"), ("startsWith(inputs.python", "startWith(inputs.python")):
        wrong.write_text(ACTION.read_text(encoding="utf-8").replace(before, after), encoding="utf-8")
        answer = asked_of_github({"files": [str(wrong)], "expressions": [], "contexts": {}}, tmp_path)
        assert answer["files"][str(wrong)], after
