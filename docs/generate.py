"""Write the generated parts of the docs; with ``--check`` only say what is out of date (exit 1).

Whole files, and blocks of Markdown files between ``<!-- generated: NAME -->`` and ``<!-- end -->``.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import timedelta
from functools import cache
from pathlib import Path

from pytest_llmops import baseline
from pytest_llmops.options import SETTINGS
from pytest_llmops.records import RunRecord
from pytest_llmops.reports import pull_request

DOCS = Path(__file__).parent
REPOSITORY = DOCS.parent
QUICKSTART = REPOSITORY / "examples" / "quickstart"


def run_record_schema() -> str:
    """The JSON schema of ``--llm-json``'s file."""
    schema = RunRecord.model_json_schema(by_alias=True, mode="serialization")
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def options() -> str:
    """The table of options."""
    rows = ["| flag | ini | environment | meaning |", "|---|---|---|---|"]
    for one in SETTINGS:
        value = f"={one.metavar}" if one.metavar else ""
        meaning = one.help[0].upper() + one.help[1:].replace("|", "\\|")
        rows.append(
            f"| `{one.flag}{value}` | `{one.ini}` | `{one.environment}` | {meaning} |".replace(
                "pass|fail", "pass\\|fail"
            )
        )
    return "\n".join(rows)


def quickstart_test() -> str:
    """The quickstart's test."""
    return f"```python\n{(QUICKSTART / 'test_support.py').read_text(encoding='utf-8')}```"


@cache
def quickstart_run() -> tuple[str, RunRecord]:
    """The quickstart's second run: what it prints at 80 columns, and its record."""
    environment = {**os.environ, "CI": "true", "SUPPORT_PROMPT": "shorter.txt", "COLUMNS": "80"}
    arguments = ["-q", "-p", "no:cacheprovider", "--llm-baseline=baseline.json", "--llm-cassette-dir=cassettes-shorter"]
    with tempfile.TemporaryDirectory() as folder:
        record = Path(folder, "run.json")
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *arguments, f"--llm-json={record}"],
            cwd=QUICKSTART,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            check=False,
        )
        return done.stdout, baseline.load_run(record)


def quickstart_output() -> str:
    """What the quickstart's second run prints, without its duration."""
    lines = re.sub(r" in [\d.]+s\b.*$", "", quickstart_run()[0].strip()).splitlines()
    return "\n".join(["```text", *(line.rstrip() for line in lines), "```"])


def quickstart_comment() -> str:
    """The quickstart's second run as its pull request would show it."""
    run, file = quickstart_run()[1], QUICKSTART / "baseline.json"
    stored = baseline.load(file)
    before, now = pull_request.costs(stored, run)
    view = pull_request.View(
        run,
        "regression",
        # A made-up run of a made-up repository
        baseline=pull_request.BaselineSource("main", "0123456789" * 4, run.created - timedelta(days=2)),
        repository="OWNER/support",
        head_sha="abcdef0123" * 4,
        run_url="https://github.com/OWNER/support/actions/runs/1",
        report_url="https://github.com/OWNER/support/actions/runs/1/artifacts/1",
        changed=("prompts/support.txt",),
        answers=baseline.answers.load(baseline.answers.path_beside(file)),
        cost_before=before,
        cost_now=now,
    )
    return pull_request.comment(view).rstrip()


def action_table(what: str) -> Callable[[], str]:
    """The action's inputs or outputs."""

    def block() -> str:
        import yaml

        document = yaml.safe_load((REPOSITORY / "action.yml").read_text(encoding="utf-8"))
        inputs = what == "inputs"
        rows = ["| input | default | meaning |", "|---|---|---|"] if inputs else ["| output | meaning |", "|---|---|"]
        for name, entry in document[what].items():
            default = str(entry.get("default", "")).replace("${{ github.token }}", "the workflow's")
            shown = f" {f'`{default}`' if default else ''} |" if inputs else ""
            rows.append(f"| `{name}` |{shown} {entry['description'].strip()} |")
        return "\n".join(rows)

    return block


def help_of(*command: str) -> Callable[[], str]:
    """What ``pytest-llmops COMMAND --help`` prints, at 80 columns."""

    def block() -> str:
        done = subprocess.run(
            [sys.executable, "-m", "pytest_llmops", *command, "--help"],
            env={**os.environ, "COLUMNS": "80", "NO_COLOR": "1"},
            capture_output=True,
            text=True,
            check=True,
        )
        return f"```text\n{done.stdout.rstrip()}\n```"

    return block


FILES: dict[Path, Callable[[], str]] = {DOCS / "run-record.schema.json": run_record_schema}
BLOCKS: dict[Path, dict[str, Callable[[], str]]] = {
    REPOSITORY / "README.md": {"test": quickstart_test, "output": quickstart_output},
    DOCS / "reference.md": {"options": options},
    DOCS / "action.md": {
        "comment": quickstart_comment,
        "inputs": action_table("inputs"),
        "outputs": action_table("outputs"),
    },
}


def generated() -> dict[Path, str]:
    """Every file with generated parts, as it should be."""
    found = {path: make() for path, make in FILES.items()}
    for path, blocks in BLOCKS.items():
        text = path.read_text(encoding="utf-8")
        for name, make in blocks.items():
            pattern = re.compile(rf"(<!-- generated: {name} -->\n).*?(\n<!-- end -->)", re.DOTALL)
            if pattern.search(text) is None:
                raise SystemExit(f"{path}: there is no block <!-- generated: {name} --> … <!-- end -->")
            block = make()
            text = pattern.sub(lambda match, block=block: match[1] + block + match[2], text)
        found[path] = text
    return found


def main() -> int:
    """Generate or check."""
    stale = []
    for path, text in generated().items():
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        name = path.relative_to(REPOSITORY)
        if "--check" in sys.argv[1:]:
            stale.append(f"{name} is out of date: make docs")
        else:
            path.write_text(text, encoding="utf-8")
            print(f"wrote {name}")
    print(*stale, sep="\n", end="\n" if stale else "")
    return 1 if stale else 0


if __name__ == "__main__":
    raise SystemExit(main())
