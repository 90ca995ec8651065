"""The project fixture runs commands as on a user's machine: own process, no CI, no keys, no settings of this run's."""

from __future__ import annotations

import pytest


def test_the_environment_is_a_users_not_ours(project, monkeypatch):
    for name in ("CI", "GITHUB_SHA", "OPENAI_API_KEY", "PYTEST_ADDOPTS", "HTTPS_PROXY", "PYTEST_LLM_RECORD"):
        monkeypatch.setenv(name, "ours")
    project.file("show.py", "import os; print(sorted(n for n, v in os.environ.items() if v in ('ours', 'theirs')))")
    assert project.python("show.py").out == "[]\n"
    assert project.python("show.py", env={"CI": "theirs"}).out == "['CI']\n"


def test_files_are_dedented_and_folders_made(project):
    project.file(
        "a/b.txt",
        """
        one
          two
        """,
    )
    assert project.read("a/b.txt") == "one\n  two\n"


def test_output_is_matched_in_order(project):
    run = project.python("-c", "print('one'); import sys; sys.stdout.flush(); print('two', file=sys.stderr); exit(3)")
    assert run.returncode == 3
    run.match("o*", "two")
    with pytest.raises(pytest.fail.Exception, match="remains unmatched"):
        run.match("two", "one")
    with pytest.raises(pytest.fail.Exception):
        run.no_match("two")
