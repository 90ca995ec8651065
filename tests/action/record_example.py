"""Record examples/action anew, without a provider: `python -m tests.action.record_example`."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from typing import Any

from tests.conftest import REPOSITORY
from tests.standin import Reply, StandIn

FOLDER = REPOSITORY / "examples" / "action"


def answers() -> dict[bool, dict[str, str]]:
    """What the stand-in says in the quickstart, by whether it is told to be short, and by case."""
    spec = importlib.util.spec_from_file_location("quickstart", REPOSITORY / "examples/quickstart/record.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return {False: module.FULL, True: module.SHORT}


def reply(request: Any) -> Reply:
    cases = [json.loads(line) for line in (FOLDER / "cases.jsonl").read_text(encoding="utf-8").splitlines()]
    names = {case["input"]: case["id"] for case in cases}
    return Reply(text=answers()["one short sentence" in request["system"]][names[request["messages"][-1]["content"]]])


def main() -> None:
    shutil.rmtree(FOLDER / "cassettes", ignore_errors=True)
    (FOLDER / "baseline.json").unlink(missing_ok=True)
    with StandIn(latency_s=0.2) as standin:
        standin.script(reply)
        subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--llm-record=all"),
                *("--llm-baseline=baseline.json", "--llm-update-baseline", "--llm-force"),
            ],
            cwd=FOLDER,
            env={**os.environ, "ANTHROPIC_BASE_URL": standin.url, "ANTHROPIC_API_KEY": "stand-in"},
            check=True,
        )
    (FOLDER / "baseline.answers.jsonl.gz").unlink(missing_ok=True)


if __name__ == "__main__":
    main()
