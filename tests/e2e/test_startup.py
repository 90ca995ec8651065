"""What the plugin costs a project that has no LLM tests: next to nothing."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.conftest import REPOSITORY, Project

HEAVY = {
    "aiohttp", "anthropic", "asyncio", "genai_prices", "httpx", "httpx2", "numpy", "openai", "pydantic", "requests",
    "rich", "scipy", "tomllib", "urllib3", "vcr", "yaml",
}  # fmt: skip
PROBE = """
    import http.client, json, sys
    from pathlib import Path

    REQUEST = http.client.HTTPConnection.request

    def pytest_sessionfinish(session):
        untouched = http.client.HTTPConnection.request is REQUEST
        Path("probe.json").write_text(json.dumps([untouched, sorted(sys.modules)]))
"""


def modules_after(project: Project, *args: str) -> set[str]:
    environ = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": f"{REPOSITORY}:{project.path}", "PATH": ""}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "pytest_llmops.plugin", "-p", "probe", *args]
    done = subprocess.run(command, cwd=project.path, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    untouched, modules = json.loads(project.read("probe.json"))
    assert untouched
    return set(modules)


def test_a_project_without_llm_tests_loads_nothing_heavy(project):
    project.file("probe.py", PROBE)
    project.file("test_it.py", "def test_plain(): assert True\n")
    modules = modules_after(project)
    assert modules & HEAVY == set()
    assert {name for name in modules if name.startswith("pytest_llmops.")} == {
        "pytest_llmops.carrying",
        "pytest_llmops.clock",
        "pytest_llmops.controller",
        "pytest_llmops.errors",
        "pytest_llmops.hookspecs",
        "pytest_llmops.made_up",
        "pytest_llmops.options",
        "pytest_llmops.plugin",
    }


def test_selecting_and_listing_marked_tests_reaches_no_client(project):
    project.file("probe.py", PROBE)
    project.file("test_it.py", "import pytest\n\n@pytest.mark.llm_eval(trials=2)\ndef test_it(): pass\n")
    modules = modules_after(project, "--collect-only")
    assert modules & {"anthropic", "genai_prices", "httpx", "httpx2", "numpy", "openai", "scipy", "vcr"} == set()
