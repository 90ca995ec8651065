"""The command's cassette tools, on cassettes that the plugin itself recorded."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Project
from tests.standin import Reply, StandIn

APP = """
    import os

    import httpx


    def ask(question, model="gpt-4o-mini"):
        url = os.environ["LLM_BASE"] + "/v1/chat/completions"
        body = {"model": model, "messages": [{"role": "user", "content": question}]}
        return httpx.post(url, json=body).json()["choices"][0]["message"]["content"]
"""
TEST = """
    import pytest
    from app import ask


    @pytest.mark.llm_eval(dataset="cases.jsonl")
    def test_ask(llm_eval, llm_case):
        assert llm_eval.run(ask, llm_case.input).text
"""


@pytest.fixture
def recorded(project: Project, standin: StandIn) -> Project:
    """A project of two cases, recorded."""
    project.file("app.py", APP)
    project.file("test_app.py", TEST)
    project.file("cases.jsonl", '{"id": "one", "input": "Bom dia!"}\n{"id": "two", "input": "Xin chào!"}\n')
    standin.script(lambda request: f"You said: {request['messages'][-1]['content']}")
    run = project.run("-q", env={"LLM_BASE": standin.url})
    assert run.returncode == 0, run.out
    return project


def cassettes(project: Project) -> list[Path]:
    return sorted((project.path / "cassettes").rglob("*.json"))


def git(project: Project, *arguments: str) -> str:
    identity = ["-c", "user.name=T", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *identity, *arguments], cwd=project.path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"git {arguments}: {done.stdout}{done.stderr}"
    return done.stdout


def test_show_lists_calls_as_table_and_json(recorded: Project) -> None:
    table = recorded.command("cassettes", "show", "cassettes")
    table.match("*test_ask-one*", "*gpt-4o-mini*openai.chat*200*stop", "    You said: Bom dia!", "2 calls,*tokens in*")
    assert "$0.00…" not in table.out, "an amount cut in its middle is none"
    assert all(len(line) <= 80 for line in table.out.splitlines() if "cassettes/" not in line)
    rows = json.loads(recorded.command("cassettes", "show", "cassettes", "--json").out)
    assert [(row["text"], row["index"], row["replayed"]) for row in rows] == [
        ("You said: Bom dia!", 0, True),
        ("You said: Xin chào!", 0, True),
    ]
    assert rows[0]["file"].endswith(".json")
    assert rows[0]["api"] == "openai.chat"


def test_show_says_what_is_wrong_with_a_path(recorded: Project) -> None:
    missing = recorded.command("cassettes", "show", "nowhere")
    assert (missing.returncode, "there is no such file or folder" in missing.out) == (2, True)
    path = cassettes(recorded)[0]
    path.write_text(path.read_text()[:200])
    cut = recorded.command("cassettes", "show", str(path))
    assert (cut.returncode, "is not whole JSON" in cut.out) == (2, True)
    folder = recorded.command("cassettes", "show", "cassettes")
    assert folder.returncode == 0
    folder.match("*left out*is not whole JSON*")


def test_audit_names_file_and_line_never_the_secret(recorded: Project) -> None:
    assert recorded.command("cassettes", "audit", "cassettes").returncode == 0
    path = cassettes(recorded)[0]
    secret = "sk-ant-" + "api03-" + "x" * 40
    path.write_text(path.read_text().replace("Bom dia!", secret, 1))
    audit = recorded.command("cassettes", "audit", "cassettes")
    assert audit.returncode == 1
    audit.match(f"*{path.name}:*looks like a secret (Anthropic key)", "2 cassettes read, 1 finding")
    assert secret not in audit.out


STREAM = """
    import os

    import httpx
    import pytest


    @pytest.mark.llm_eval
    def test_stream(llm_eval):
        body = {"model": "gpt-4o-mini", "stream": True, "messages": [{"role": "user", "content": "Your key?"}]}
        with llm_eval.capture() as result:
            with httpx.stream("POST", os.environ["LLM_BASE"] + "/v1/chat/completions", json=body) as answer:
                answer.read()
        assert "sk-ant-" in result.text
"""


def test_a_secret_spelled_over_the_events_of_a_stream_is_not_written(project: Project, standin: StandIn) -> None:
    project.file("test_stream.py", STREAM)
    standin.script(Reply(pieces=["My key: ", "sk-", "ant-", "api03-", *("x" * 8 for _ in range(5)), "."]))
    run = project.run("-q", env={"LLM_BASE": standin.url})
    assert run.outcomes == {"passed": 1, "errors": 1}, run.out
    run.match("*not written: the streamed answer looks like a secret (Anthropic key)")
    assert cassettes(project) == []


def test_audit_finds_a_secret_spelled_over_the_events_of_a_stream(project: Project, standin: StandIn) -> None:
    project.file("test_stream.py", STREAM.replace("sk-ant-", "Ola"))
    standin.script(Reply(pieces=["Ola ", "zz-", "ant-", "api03-", *("x" * 8 for _ in range(5)), "."]))
    assert project.run("-q", env={"LLM_BASE": standin.url}).outcomes == {"passed": 1}
    assert project.command("cassettes", "audit", "cassettes").returncode == 0
    path = cassettes(project)[0]
    path.write_text(path.read_text().replace("zz-", "sk-"))
    audit = project.command("cassettes", "audit", "cassettes")
    assert audit.returncode == 1
    audit.match(f"*{path.name}:6: looks like a secret (Anthropic key, over several events of a stream)")


def test_prune_removes_what_no_test_uses(recorded: Project) -> None:
    recorded.file("cases.jsonl", '{"id": "one", "input": "Bom dia!"}\n')
    dry = recorded.command("cassettes", "prune", "--dry-run")
    dry.match("would remove *test_ask-two*", "1 cassette without a test; 1 cases collected")
    assert len(cassettes(recorded)) == 2
    recorded.command("cassettes", "prune").match("removed *test_ask-two*")
    assert [path.name[:12] for path in cassettes(recorded)] == ["test_ask-one"]


def test_prune_removes_nothing_where_collection_fails(recorded: Project) -> None:
    recorded.file("test_app.py", "import nothing_of_this_name\n")
    prune = recorded.command("cassettes", "prune")
    assert prune.returncode == 2
    prune.match("*could not collect the tests, so nothing is removed*")
    assert len(cassettes(recorded)) == 2


FIXTURE = """
    import pytest
    import app

    @pytest.fixture(scope="session", name="{name}")
    def _made():
        return app.ask("{name}")
"""
SKIPPED = """
    import os
    import pytest
    import app

    if "EXTRA" not in os.environ:
        pytest.skip("needs an extra", allow_module_level=True)

    @pytest.mark.llm_eval
    def test_extra(llm_eval):
        llm_eval.run(app.ask, "extra")
"""
SLOW = """
    import pytest
    import app

    @pytest.mark.slow
    @pytest.mark.llm_eval
    def test_slow(llm_eval, of_conftest, of_plugin):
        llm_eval.run(app.ask, "slow")
"""


def test_prune_keeps_what_belongs_to_tests_that_do_not_run_here(project: Project, standin: StandIn) -> None:
    """They are deselected or ignored by the project's options, or skipped; fixtures go by other names."""
    project.file("app.py", APP)
    project.file("support.py", FIXTURE.format(name="of_plugin"))
    project.file("part/conftest.py", FIXTURE.format(name="of_conftest"))
    project.file("conftest.py", 'pytest_plugins = ["support"]')
    project.file("pytest.ini", "[pytest]\npythonpath = .\nmarkers = slow")
    for name, text in {"slow": SLOW, "extra": SKIPPED, "other": SKIPPED.replace("test_extra", "test_other")}.items():
        project.file(f"part/test_{name}.py", text)
    env = {"LLM_BASE": standin.url, "EXTRA": "1"}
    for folder in ((), ("--llm-cassette-dir=kept",)):
        recording = project.run("-q", *folder, env=env)
        assert recording.outcomes == {"passed": 3}, recording.out
    ini = '[pytest]\npythonpath = .\nmarkers = slow\naddopts = -m "not slow" --ignore=part/test_other.py\n'
    project.file("pytest.ini", ini + "llm_cassette_dir = kept")
    prune = project.command("cassettes", "prune")
    prune.match("0 cassettes without a test; 1 cases collected")
    project.file("part/pytest.ini", "[pytest]\npythonpath = ..")  # run from here, the root is another
    project.command("cassettes", "prune", "part").match("0 cassettes without a test; 1 cases collected")
    (project.path / "part/test_other.py").unlink()
    (project.path / "part/pytest.ini").unlink()
    project.file("support.py", "")
    project.command("cassettes", "prune").match("4 cassettes without a test; 1 cases collected")
    left = sorted(path.name.rpartition("-")[0] for path in project.path.rglob("*.json"))
    assert left == sorted(2 * ["fixture-of_conftest", "test_slow", "test_extra"])


def test_diff_shows_new_gone_and_changed_answers(recorded: Project) -> None:
    one, two = cassettes(recorded)
    assert recorded.command("cassettes", "diff", str(one), str(one)).out.strip() == "0 differences"
    changed = one.with_name("changed.json")
    changed.write_text(one.read_text().replace("You said", "I heard"))
    diff = recorded.command("cassettes", "diff", str(one), str(changed))
    assert diff.returncode == 1
    diff.match("answered differently:", '  -*"You said: Bom dia!"*', '  [+]*"I heard: Bom dia!"*', "1 difference")
    diff.no_match("*total_tokens*")  # what did not change is left out
    asked = recorded.command("cassettes", "diff", str(one), str(two))
    asked.match("asked differently:", '  -*"Bom dia!"*', '  [+]*"Xin chào!"*', "1 difference")
    empty = one.with_name("empty.json")
    empty.write_text("")
    recorded.command("cassettes", "diff", str(one), str(empty)).match("gone:", "  - *Bom dia!*", "1 difference")
    recorded.command("cassettes", "diff", str(empty), str(one)).match("new:", "  + *Bom dia!*", "1 difference")


def test_convert_takes_over_pytest_recording(project: Project, standin: StandIn) -> None:
    standin.script("Hello from vcrpy.")
    project.file("app.py", APP)
    project.file(
        "test_app.py",
        """
        import pytest
        from app import ask

        @pytest.mark.MARK
        class TestApp:
            def test_ask(self):
                assert ask("Bom dia!") == "Hello from vcrpy."
        """.replace("MARK", "vcr"),
    )
    base = {"LLM_BASE": standin.url}
    recording = project.run("-q", "--record-mode=once", env=base)
    assert recording.returncode == 0, recording.out
    yaml = project.path / "cassettes" / "test_app" / "TestApp.test_ask.yaml"
    assert yaml.exists()
    standin.reset()
    # As it is: the marker changes, the cassette stays.
    project.file("test_app.py", project.read("test_app.py").replace("mark.vcr", "mark.llm_eval"))
    replay = project.run("-q", "--llm-record=none", env=base)
    assert (replay.returncode, len(standin.requests)) == (0, 0), replay.out
    shown = json.loads(project.command("cassettes", "show", "cassettes", "--json").out)
    assert [row["text"] for row in shown] == ["Hello from vcrpy."]
    # Converted: ours replays without it.
    project.command("cassettes", "convert", "cassettes").match(
        "*TestApp.test_ask.yaml → *TestApp-test_ask-*.json (1 exchanges)"
    )
    yaml.unlink()
    replay = project.run("-q", "--llm-record=none", env=base)
    assert (replay.returncode, len(standin.requests)) == (0, 0), replay.out
    again = project.command("cassettes", "convert", "cassettes")
    assert again.returncode == 2


def test_git_merges_two_branches_that_both_recorded(recorded: Project, standin: StandIn) -> None:
    recorded.file(".gitignore", "__pycache__/\n.pytest_cache/\n")
    git(recorded, "init", "-q", "-b", "main")
    recorded.command("init").match("added 2 lines to *gitattributes*", "git config merge.llmops-cassette.driver*")
    assert recorded.command("init").out.strip() == "nothing to do: this checkout is set up"
    test = TEST.replace("assert llm_eval.run(ask, llm_case.input).text", "[llm_eval.run(ask, q) for q in QUESTIONS]")
    recorded.file("test_app.py", test.replace("QUESTIONS", "[llm_case.input]"))
    git(recorded, "add", "-A")
    git(recorded, "commit", "-qm", "base")
    base = {"LLM_BASE": standin.url}
    for branch, question in (("left", "Left?"), ("right", "Right?")):
        git(recorded, "checkout", "-q", "-b", branch, "main")
        recorded.file("test_app.py", test.replace("QUESTIONS", f'[llm_case.input, "{question}"]'))
        run = recorded.run("-q", "--llm-record=refresh", env=base)
        assert run.returncode == 0, run.out
        git(recorded, "commit", "-qam", branch)
    git(recorded, "checkout", "-q", "left")
    git(recorded, "merge", "-q", "-X", "ours", "right")
    recorded.file("test_app.py", test.replace("QUESTIONS", '[llm_case.input, "Left?", "Right?"]'))
    standin.reset()
    merged = recorded.run("-q", "--llm-record=none", env=base)
    assert (merged.returncode, len(standin.requests)) == (0, 0), merged.out
    assert "You said: Right?" in git(recorded, "diff", "main", "left", "--", "cassettes")


def test_git_shows_and_merges_other_files_and_damaged_cassettes_as_text(recorded: Project) -> None:
    """They match the same pattern; git shows no difference of any file if one cannot be converted."""
    git(recorded, "init", "-q", "-b", "main")
    recorded.command("init")
    lines = [f'  "setting {number}": 0,' for number in range(9)]
    other = recorded.file("cassettes/more/settings.json", "\n".join(["{", *lines, '  "last": 0', "}"]) + "\n")
    git(recorded, "add", "-A")
    git(recorded, "commit", "-qm", "base")
    text = other.read_text()
    damaged = cassettes(recorded)[-1]
    whole = damaged.read_text()
    damaged.write_text("<<<<<<< HEAD\n" + whole)
    other.write_text(text.replace('"setting 1": 0', '"setting 1": 1'))
    shown = git(recorded, "diff")
    assert "+<<<<<<< HEAD" in shown
    assert '+  "setting 1": 1,' in shown
    damaged.write_text(whole)
    git(recorded, "commit", "-qam", "left")
    git(recorded, "checkout", "-q", "-b", "right", "HEAD~1")
    other.write_text(text.replace('"last": 0', '"last": 1'))
    git(recorded, "commit", "-qam", "right")
    git(recorded, "merge", "-q", "main")
    merged = other.read_text()
    assert ('"setting 1": 1' in merged, '"last": 1' in merged) == (True, True)
    other.write_text(merged.replace('"last": 1', '"last": 2'))
    git(recorded, "commit", "-qam", "two")
    git(recorded, "checkout", "-q", "-b", "third", "HEAD~1")
    other.write_text(merged.replace('"last": 1', '"last": 3'))
    git(recorded, "commit", "-qam", "three")
    with pytest.raises(AssertionError, match="Merge conflict in cassettes/more/settings"):
        git(recorded, "merge", "right")
    assert other.read_text().count("<<<<<<<") == 1, "a conflict to be solved as ever"


def test_audit_reports_personal_data_that_is_in_no_dataset(recorded: Project, standin: StandIn) -> None:
    standin.script(lambda request: "Write to ana.souza@example.com or joao@example.org, CPF 529.982.247-25.")
    recorded.file("cases.jsonl", '{"id": "one", "input": "Write to joao@example.org"}\n')
    run = recorded.run("-q", "--llm-record=refresh", env={"LLM_BASE": standin.url})
    assert run.returncode == 0, run.out
    assert recorded.command("cassettes", "audit", "cassettes").returncode == 0
    audit = recorded.command("cassettes", "audit", "cassettes", "--pii")
    assert audit.returncode == 1
    audit.match("*test_ask-one-*: interaction 1, response text: email: *[[]email]*", "*cpf: *[[]cpf]*", "*2 findings")
    for value in ("ana.souza", "529.982", "joao@"):
        assert value not in audit.out
    recorded.file("people.csv", "input\nana.souza@example.com\n529.982.247-25\n")
    assert recorded.command("cassettes", "audit", "cassettes", "--pii").returncode == 0
