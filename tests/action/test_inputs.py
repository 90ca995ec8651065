"""Inputs as the steps get them: every mistake is named as its author wrote it."""

from __future__ import annotations

import json

import pytest
import yaml

from pytest_llmops import baseline
from pytest_llmops.errors import GitHubError, SettingsError
from pytest_llmops.github import baselines, context, inputs, recordings, rest, steps
from pytest_llmops.records import to_json
from pytest_llmops.settings import ProjectSettings
from tests.action.hub import OWN
from tests.action.hub import REPOSITORY as REPOSITORY_NAME
from tests.action.test_verdict import record, run_of
from tests.conftest import REPOSITORY


def test_the_defaults_of_the_action_are_those_of_the_engine() -> None:
    document = yaml.safe_load((REPOSITORY / "action.yml").read_text(encoding="utf-8"))
    given = {
        inputs.PREFIX + name.upper().replace("-", "_"): str(entry["default"])
        for name, entry in document["inputs"].items()
        if name not in ("python", "github-token")
    }
    assert set(given) == {inputs.PREFIX + name.upper() for name in inputs.Inputs.__dataclass_fields__}
    read = inputs.read(given)
    assert read == inputs.Inputs(retention_days=0)
    assert read.max_cost_usd == 1.0


def test_values() -> None:
    read = inputs.read(
        {
            "LLMOPS_PATHS": "tests 'a folder' $(touch pwned)",
            "LLMOPS_PYTEST_ARGS": '-k "a or b"\n  -x',
            "LLMOPS_SHARD": "2/4",
            "LLMOPS_MAX_COST_USD": "none",
            "LLMOPS_TRIALS": "auto",
            "LLMOPS_ANNOTATE": "False",
        }
    )
    assert read.paths == ("tests", "a folder", "$(touch", "pwned)")
    assert read.pytest_args == ("-k", "a or b", "-x")
    assert (read.shard, read.max_cost_usd, read.trials, read.annotate) == ((2, 4), None, "auto", False)
    assert inputs.read({"LLMOPS_SHARD": "merge"}).shard == "merge"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("fail-on", "regresion", "input fail-on: 'regresion' is not one of: regression, failure, any, never. Did you"),
        ("comment", "no", "input comment: 'no' is not one of: auto, always, on-change, never."),
        ("shard", "5/4", "input shard: '5/4': shards are counted from 1 to 4; the job that puts all of them together"),
        ("shard", "all", "input shard: 'all' is not of the form 1/4"),
        ("max-cost-usd", "one", "input max-cost-usd: 'one' is no amount of USD, such as 1.00; none: no limit"),
        ("max-cost-usd", "-1", "input max-cost-usd: '-1' is not an amount of at least 0"),
        ("trials", "many", "input trials: 'many' is not a whole number, nor auto"),
        ("annotate", "yes", "input annotate: 'yes' is neither true nor false"),
        ("paths", "tests -p evil", "input paths: '-p' is an option; options belong in pytest-args"),
        ("pytest-args", "-k 'a", 'input pytest-args: "-k \'a" cannot be split into words: No closing quotation'),
        ("report-name", "a/b", "input report-name: 'a/b' is no name for an artifact"),
        ("comment-id", "x --> <b>", "input comment-id: 'x --> <b>' is no name"),
        ("retention-days", "999", "input retention-days: '999' is no number of days"),
    ],
)
def test_mistakes(name: str, value: str, said: str) -> None:
    with pytest.raises(SettingsError) as refused:
        inputs.read({inputs.PREFIX + name.upper().replace("-", "_"): value})
    assert str(refused.value).startswith(said)


def test_outside_of_a_runner() -> None:
    with pytest.raises(SettingsError, match="GITHUB_REPOSITORY is not set: this command is for the steps"):
        context.read({})
    assert steps.run("restore", {}) == 1


PACKS = {
    "no JSON": b"{",
    "a list": b"[]",
    "another version": b'{"version": 2, "files": {}}',
    "no files": b'{"version": 1}',
    "a number": b'{"version": 1, "files": {"a.json": {"base": null, "content": 3}}}',
    "nothing of a file": b'{"version": 1, "files": {"a.json": null}}',
    "a way out": b'{"version": 1, "files": {"a/../../b.json": {"base": null, "content": "{}"}}}',
    "an absolute path": b'{"version": 1, "files": {"/b.json": {"base": null, "content": "{}"}}}',
    "a Windows path": b'{"version": 1, "files": {"..\\\\b.json": {"base": null, "content": "{}"}}}',
    "a workflow": b'{"version": 1, "files": {".github/x.json": {"base": null, "content": "{}"}}}',
    "no cassette's name": b'{"version": 1, "files": {"conftest.py": {"base": null, "content": "{}"}}}',
}


@pytest.mark.parametrize("name", PACKS)
def test_packs_that_are_refused(name: str) -> None:
    with pytest.raises(GitHubError, match=r"recordings\.json"):
        recordings.load(PACKS[name])


def test_a_pack_travels_and_takes_nothing_away(tmp_path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    text = {name: json.dumps({"schema": 1, "test": name, "interactions": []}, indent=2) + "\n" for name in "abc"}
    for folder in (old, new):
        (folder / "cassettes").mkdir(parents=True)
        for name in "ab":
            (folder / "cassettes" / f"{name}.json").write_text(text[name])
        (folder / "package.json").write_text('{"scripts": {"test": "x"}}')
    before = recordings.snapshot(old)
    assert sorted(before) == ["cassettes/a.json", "cassettes/b.json"]
    (old / "cassettes/a.json").unlink()
    (old / "cassettes/c.json").write_text(text["c"])
    pack = recordings.load(recordings.dump(recordings.pack(old, before)).encode())
    assert recordings.apply(new, pack) == 1
    assert sorted(recordings.snapshot(new)) == [f"cassettes/{name}.json" for name in "abc"]
    assert recordings.apply(new, pack) == 0
    assert recordings.apply(new, pack, keep=False) == 1
    assert recordings.snapshot(new) == recordings.snapshot(old)


def test_what_a_commit_removed_is_not_restored(tmp_path) -> None:
    text = json.dumps({"schema": 1, "test": "a", "interactions": []})
    assert recordings.apply(tmp_path, {"a.json": recordings.Recording("0" * 64, text)}) == 0
    assert not (tmp_path / "a.json").exists()


def chosen(tmp_path, hub, event: str, changed: tuple[str, ...] = (), **given) -> baselines.Chosen:
    here = context.Context(
        event=event, repository=REPOSITORY_NAME, run_id=9, workflow="llm.yml", branch="main", workspace=tmp_path
    )
    client = rest.Client(hub.url, OWN)
    return baselines.choose(
        inputs.Inputs(**given),
        here,
        client,
        root=tmp_path,
        folder=tmp_path / "made",
        changed=baselines.Changed(changed),
        project=ProjectSettings(),
    )


def test_which_baseline(tmp_path, hub) -> None:
    committed = tmp_path / "baseline.json"
    nothing = chosen(tmp_path, hub, "pull_request")
    assert nothing.file is None
    assert "a push to main makes one" in nothing.notes[0]
    assert "needs a fixed anchor" in chosen(tmp_path, hub, "schedule").notes[0]
    with pytest.raises(SettingsError, match=r"there is no baseline at baseline\.json\. Make one and commit it: pytest"):
        chosen(tmp_path, hub, "pull_request", baseline="file")
    baseline.save(committed, baseline.update(None, run_of(record("c0"))))
    assert chosen(tmp_path, hub, "pull_request").file == committed
    assert chosen(tmp_path, hub, "pull_request", baseline="artifact").file is None
    for number, conclusion in ((5, "success"), (6, "failure")):
        hub.run(number, event="push", branch="main", sha=str(number) * 40, conclusion=conclusion)
        hub.artifact(number, "llm-report", {"run.json": to_json(run_of(record("c0")))})
    newest = chosen(tmp_path, hub, "pull_request")
    assert (newest.sha, newest.file) == ("5" * 40, tmp_path / "made/baseline.json")
    assert chosen(tmp_path, hub, "schedule").file == committed
    for written in ("baseline.json", "./baseline.json"):
        edited = chosen(tmp_path, hub, "pull_request", ("baseline.json",), baseline_path=written)
        assert edited.file == committed
    assert chosen(tmp_path, hub, "pull_request", baseline="none").file is None
    hub.refuse("GET", "/runs", 403, "Resource not accessible by integration")
    refused = chosen(tmp_path, hub, "pull_request")
    assert refused.file == committed
    assert "permissions need `actions: read`" in refused.warnings[0]


def test_a_run_that_is_passed_over_for_want_of_an_artifact(tmp_path, hub) -> None:
    hub.run(5, event="push", branch="main", sha="5" * 40)
    hub.artifact(5, "llm-report", {"run.json": to_json(run_of(record("c0")))})
    hub.run(6, event="push", branch="main", sha="6" * 40)
    hub.artifact(6, "llm-report", {"run.json": "{}"}, expired=True)
    hub.run(7, event="push", branch="main", sha="7" * 40)
    assert chosen(tmp_path, hub, "pull_request").sha == "5" * 40
    hub.run(8, event="push", branch="main", sha="8" * 40)
    hub.artifact(8, "llm-report", {"run.json": '{"schema": 99}'})
    assert "cannot be compared with" in chosen(tmp_path, hub, "pull_request").notes[0]


@pytest.mark.parametrize(("status", "said"), [(410, "Artifact has expired"), (404, "Not Found")])
def test_an_artifact_that_went_since_it_was_listed_is_passed_over(tmp_path, hub, status: int, said: str) -> None:
    for number in (5, 6):
        hub.run(number, event="push", branch="main", sha=str(number) * 40)
        hub.artifact(number, "llm-report", {"run.json": to_json(run_of(record("c0")))})
    hub.refuse("GET", rf"/actions/artifacts/{hub.artifacts[6][0]['id']}/zip", status, said)
    found = chosen(tmp_path, hub, "pull_request")
    assert (found.sha, found.problem) == ("5" * 40, None)


def test_a_broken_artifact_is_no_error_of_every_later_run(tmp_path, hub) -> None:
    hub.run(5, event="push", branch="main", sha="5" * 40)
    hub.raw_artifact(5, "llm-report", b"no zip at all")
    found = chosen(tmp_path, hub, "push")  # red, main's run would never be a baseline again
    assert found.problem is None
    assert "no zip archive" in found.notes[0]
    assert "no other baseline" in found.notes[1]
