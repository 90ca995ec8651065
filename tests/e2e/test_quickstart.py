"""The quickstart and README's first screen, as a stranger runs them."""

from __future__ import annotations

import os
import re
import subprocess
import sys

from tests.conftest import REPOSITORY

QUICKSTART = REPOSITORY / "examples" / "quickstart"


def test_the_demo_passes_and_catches_the_regression_that_readme_shows() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment |= {"COLUMNS": "80", "ANTHROPIC_BASE_URL": "http://127.0.0.1:9"}
    done = subprocess.run(
        [sys.executable, str(QUICKSTART / "demo.py")], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "first run: exit 0 (passed), second run: exit 1 (regression caught)" in done.stdout
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    block = readme.partition("<!-- generated: output -->\n```text\n")[2].partition("\n```")[0]
    second = done.stdout.partition("=== A colleague")[2]
    shown = [line.rstrip() for line in re.sub(r" in [\d.]+s\b.*$", "", second, flags=re.MULTILINE).splitlines()]
    missing = [line for line in block.splitlines() if line not in shown]
    assert not missing, "make docs:\n" + "\n".join(missing)


def test_readme_shows_the_quickstarts_test() -> None:
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    source = (QUICKSTART / "test_support.py").read_text(encoding="utf-8")
    assert f"```python\n{source}```" in readme
    assert len(source.splitlines()) <= 10


def test_the_committed_recordings_hold_no_secret_and_say_where_they_come_from() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest_llmops", "cassettes", "audit", str(QUICKSTART)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "measure no model" in (REPOSITORY / "README.md").read_text(encoding="utf-8")
