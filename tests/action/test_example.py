"""examples/action does what docs/action.md says, from nothing to a red pull request; and this repository's own use."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.action import record_example
from tests.action.conftest import KEY, SHA
from tests.action.hub import OWN, Hub
from tests.action.runner import Job, Runner
from tests.conftest import REPOSITORY
from tests.standin import StandIn

EXAMPLE = REPOSITORY / "examples" / "action"


def inputs_of(workflow: Path) -> dict[str, str]:
    """What a workflow gives to this action."""
    (job,) = yaml.safe_load(workflow.read_text(encoding="utf-8"))["jobs"].values()
    (step,) = [step for step in job["steps"] if step.get("uses", "").startswith(("$/", "OWNER/"))]
    return {name: str(value) for name, value in step.get("with", {}).items()}


@pytest.fixture
def runner(tmp_path: Path, hub: Hub) -> Runner:
    (tmp_path / "runner").mkdir()
    return Runner(tmp_path / "runner", hub)


def test_from_nothing_to_a_red_pull_request(tmp_path: Path, hub: Hub, runner: Runner) -> None:
    checkout = tmp_path / "support"
    shutil.copytree(EXAMPLE, checkout, ignore=shutil.ignore_patterns("__pycache__", ".pytest_cache"))
    given = inputs_of(checkout / ".github/workflows/llm.yml")
    hub.pull(1, "shorter", sha=SHA)
    hub.files[1] = ["prompts/support.txt"]

    def use(event: str, payload: dict[str, Any], run: int, env: dict[str, str]) -> Job:
        return runner.use(checkout, event, payload, run=run, inputs=given, env=env)

    hub.run(1, event="push", branch="main", sha="a" * 40, conclusion=None)
    first = use("push", {"before": "0" * 40}, 1, {})
    assert (first.conclusion, first.outputs["total"]) == ("success", "12"), first.log
    hub.run(1, event="push", branch="main", sha="a" * 40)
    whole = (checkout / "app.py").read_text(encoding="utf-8")
    (checkout / "app.py").write_text(whole.replace("[0].text", "[0].text[:20]"), encoding="utf-8")
    broken = use("pull_request", {"pull_request": hub.pulls[1]}, 4, {})
    assert (broken.conclusion, broken.outputs["conclusion"]) == ("failure", "regression"), broken.log
    (checkout / "app.py").write_text(whole, encoding="utf-8")
    prompt = checkout / "prompts/support.txt"
    prompt.write_text("Answer in the customer's language, in one short sentence.\n", encoding="utf-8")
    without = use("pull_request", {"pull_request": hub.pulls[1]}, 2, {})
    assert (without.conclusion, without.outputs["conclusion"]) == ("success", "needs-recording"), without.log
    with StandIn() as provider:
        provider.script(record_example.reply)
        keyed = {"ANTHROPIC_BASE_URL": provider.url, "ANTHROPIC_API_KEY": "sk-ant-test"}
        red = use("pull_request", {"pull_request": hub.pulls[1]}, 3, keyed)
    assert (red.conclusion, red.outputs["conclusion"]) == ("failure", "regression"), red.log
    (comment,) = hub.comments[1]
    assert "facts regressed" in comment["body"]
    assert "prompts/support.txt" in comment["body"]


def test_this_repository_uses_its_own_action(tmp_path: Path, hub: Hub, runner: Runner) -> None:
    given = inputs_of(REPOSITORY / ".github/workflows/llm.yml")
    shutil.copytree(REPOSITORY / "examples/quickstart", tmp_path / "checkout/examples/quickstart")
    hub.pull(5, "topic", sha=SHA)
    payload = {"pull_request": hub.pulls[5]}
    given["python"] = ""  # a version would be set up by an action that the runner only names
    job = runner.use(tmp_path / "checkout", "pull_request", payload, run=9, inputs=given, token=OWN, env=KEY)
    assert (job.conclusion, job.outputs["total"], job.outputs["cost-usd"]) == ("success", "12", "0.000000"), job.log
    assert given["comment-id"] == inputs_of(REPOSITORY / ".github/workflows/llm-comment.yml")["comment-id"]
