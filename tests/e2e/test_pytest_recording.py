"""Cassettes of pytest-recording replay unchanged, wherever a project told it to keep them."""

from __future__ import annotations

from tests.conftest import Project
from tests.standin import StandIn

REMOVED = ["-p", "no:recording"]
APP = """
    import os

    import httpx


    def ask(question):
        body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": question}]}
        answer = httpx.post(os.environ["LLM_BASE"] + "/v1/chat/completions", json=body)
        return answer.json()["choices"][0]["message"]["content"]
"""
ASKS = """
    import pytest
    from app import ask

    @pytest.mark.llm_eval
    def test_it():
        ask("Hi")
"""


def test_cassettes_that_pytest_recording_was_told_to_share(project: Project, standin: StandIn) -> None:
    project.file("app.py", APP)
    text = """
        import pytest
        from app import ask

        @pytest.mark.default_cassette("shared")
        @pytest.mark.MARK
        class TestApp:
            def test_one(self):
                assert ask("Bom dia!")

            @pytest.mark.default_cassette("folder/own.yaml")
            def test_two(self):
                assert ask("Bonjour!")
        """
    project.file("test_app.py", text.replace("MARK", "vcr"))
    base = {"LLM_BASE": standin.url}
    assert project.run("-q", "--record-mode=once", env=base).returncode == 0
    folder = project.path / "cassettes" / "test_app"
    assert sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.yaml")) == [
        "folder/own.yaml",
        "shared.yaml",
    ]
    standin.reset()
    project.file("test_app.py", text.replace("MARK", "llm_eval"))
    replay = project.run("-q", "--llm-record=none", env=base)
    assert (replay.returncode, len(standin.requests)) == (0, 0), replay.out


def test_its_marker_may_stay_on_an_evaluation_while_it_is_installed(project: Project, standin: StandIn) -> None:
    project.file("app.py", APP)
    text = """
        import pytest
        from app import ask

        @pytest.mark.vcr
        class TestApp:
            def test_one(self, FIXTURE):
                assert RUN == "Echo: Bom dia!"

        def test_other(vcr):
            assert vcr is None
        """
    project.file("test_app.py", text.replace("FIXTURE", "vcr").replace("RUN", 'ask("Bom dia!")'))
    base = {"LLM_BASE": standin.url}
    assert project.run("-q", "--record-mode=once", env=base).returncode == 0
    standin.reset()
    ours = text.replace("@pytest.mark.vcr", "@pytest.mark.llm_eval\n        @pytest.mark.vcr")
    project.file(
        "test_app.py", ours.replace("FIXTURE", "llm_eval").replace("RUN", 'llm_eval.run(ask, "Bom dia!").text')
    )
    for args in ((), ("--record-mode=none",), ("-n2",)):
        replay = project.run("-q", "--llm-record=none", "--llm-json=run.json", *args, env=base)
        assert (replay.outcomes, len(standin.requests)) == ({"passed": 2}, 0), replay.out
        assert [call["replayed"] for call in replay.record["tests"][0]["calls"]] == [True]
    live = project.run("-q", "--llm-record=live", "--llm-concurrency=2", env=base)
    assert (live.returncode, len(standin.requests)) == (0, 1), live.out


PLACES = {
    "a folder for all": """
        import pytest

        @pytest.fixture(scope="session")
        def vcr_cassette_dir():
            return "recorded/here"
        """,
    "a folder a module": """
        import pytest

        @pytest.fixture(scope="module")
        def vcr_cassette_dir(request):
            return str(request.path.parent / "data" / request.path.stem)
        """,
    "a folder that a fixture of the test knows": """
        import pytest

        @pytest.fixture
        def place():
            return "by_test"

        @pytest.fixture
        def vcr_cassette_dir(request, place):
            return f"{place}/{request.node.originalname}"
        """,
    "names of its own": """
        import pytest

        @pytest.fixture
        def default_cassette_name(request):
            return "called_" + request.node.name
        """,
    "vcrpy's library": """
        import pytest

        @pytest.fixture(scope="module")
        def vcr_config():
            return {"cassette_library_dir": "library", "filter_headers": ["authorization"]}
        """,
    "JSON": """
        import pytest

        @pytest.fixture(scope="module")
        def vcr_config():
            return {"serializer": "json"}
        """,
    "paths of its own making": """
        import pytest

        @pytest.fixture
        def vcr_config():
            return {"path_transformer": lambda path: path + ".cassette"}
        """,
    "filters": """
        import json
        import pytest

        def masked(request):
            body = json.loads(request.body)
            body["messages"][-1]["content"] = body["messages"][-1]["content"].replace("Ana", "NAME")
            request.body = json.dumps(body).encode()
            return request

        @pytest.fixture
        def vcr_config():
            return {"before_record_request": masked, "filter_post_data_parameters": [("model", "MODEL")]}
        """,
}


ARGUMENTS = {
    "as they are": [],
    "in mode none, without pytest-recording": ["--llm-record=none", *REMOVED],
    "in mode refresh, without pytest-recording": ["--llm-record=refresh", *REMOVED],
    "overlapped": ["--llm-concurrency=4"],
}


def test_cassettes_where_the_project_told_pytest_recording_to_keep_them(project: Project, standin: StandIn) -> None:
    text = """
        import pytest
        from app import ask

        @pytest.fixture(autouse=True)
        def greeted():
            assert ask("Olá!")  # asked before the body: what places the cassettes must have been set up by then

        @pytest.mark.MARK
        @pytest.mark.parametrize("name", ["Ana", "Binh"])
        def test_greets(name):
            assert ask(f"Bom dia, {name}!")
        """
    project.file("app.py", APP)
    project.file("pytest.ini", "[pytest]\npythonpath = .\n")
    for number, conftest in enumerate(PLACES.values()):
        project.file(f"place_{number}/conftest.py", conftest)
        project.file(f"place_{number}/test_place_{number}.py", text.replace("MARK", "vcr"))
    base = {"LLM_BASE": standin.url}
    recording = project.run("-q", "--record-mode=once", env=base)
    assert recording.returncode == 0, recording.out
    before = files(project)
    standin.reset()
    for number in range(len(PLACES)):
        project.file(f"place_{number}/test_place_{number}.py", text.replace("MARK", "llm_eval"))
    for how, arguments in ARGUMENTS.items():
        replay = project.run("-q", *arguments, env=base)
        assert (replay.returncode, len(standin.requests)) == (0, 0), f"{how}: {replay.out}"
        replay.match(f"*{2 * len(PLACES)} passed*")
        assert files(project) == before, f"{how}: nothing is written where nothing is new"


def files(project: Project) -> list[str]:
    return sorted(
        path.relative_to(project.path).as_posix()
        for path in project.path.rglob("*")
        if path.is_file() and not {"__pycache__", ".pytest_cache"}.intersection(path.parts)
    )


def test_its_fixtures_are_left_alone_where_there_is_a_cassette_of_ours(project: Project, standin: StandIn) -> None:
    project.file("app.py", APP)
    project.file("test_app.py", ASKS)
    base = {"LLM_BASE": standin.url}
    assert project.run("-q", env=base).returncode == 0
    project.file(
        "conftest.py",
        """
        import pytest

        @pytest.fixture
        def vcr_config(request):
            raise RuntimeError("a fixture of other tests")
        """,
    )
    for arguments in ([], ["--llm-record=live"]):
        run = project.run("-q", *arguments, env=base)
        assert run.returncode == 0, run.out


def test_further_cassettes_that_the_marker_of_pytest_recording_names(project: Project, standin: StandIn) -> None:
    project.file("app.py", APP)
    project.file("conftest.py", PLACES["a folder for all"])
    recorded = """
        import pytest
        from app import ask

        @pytest.mark.vcr
        def test_first():
            assert ask("Bom dia!")

        @pytest.mark.vcr
        def test_second():
            assert ask("Bonjour!")
        """
    project.file("test_app.py", recorded)
    base = {"LLM_BASE": standin.url}
    assert project.run("-q", "--record-mode=once", env=base).returncode == 0
    standin.reset()
    project.file(
        "test_app.py",
        """
        import pytest
        from app import ask

        @pytest.mark.llm_eval
        @pytest.mark.vcr("test_first.yaml")
        def test_second():
            assert ask("Bom dia!")
            assert ask("Bonjour!")
        """,
    )
    for arguments in ([], REMOVED):
        replay = project.run("-q", "--llm-record=none", *arguments, env=base)
        assert (replay.returncode, len(standin.requests)) == (0, 0), replay.out


def test_a_cassette_of_pytest_recording_that_cannot_be_read_is_told(project: Project, standin: StandIn) -> None:
    project.file("app.py", APP)
    project.file("conftest.py", PLACES["a folder for all"])
    project.file("test_app.py", ASKS)
    project.file("recorded/here/test_it.yaml", "interactions: [{request: !!python/object:os.x {}}]")
    run = project.run("-q", env={"LLM_BASE": standin.url})
    assert (run.returncode, len(standin.requests)) == (1, 0)
    run.match("*recorded/here/test_it.yaml: cannot be read as a cassette of vcrpy*")
    run.no_match("*Traceback*")


def test_a_filter_of_vcrpy_that_fails_is_told(project: Project, standin: StandIn) -> None:
    project.file("app.py", APP)
    project.file("conftest.py", PLACES["filters"].replace('body["messages"]', 'body["lines"]'))
    project.file("test_app.py", ASKS)
    project.file("cassettes/test_app/test_it.yaml", "interactions: []\nversion: 1\n")
    run = project.run("-q", env={"LLM_BASE": standin.url})
    assert (run.returncode, len(standin.requests)) == (1, 0)
    run.match("*before_record_request*as this project sets it, fails on POST*KeyError: 'lines'*")


def test_names_too_long_for_a_file(project: Project, standin: StandIn) -> None:
    project.file("app.py", APP)
    name = "test_" + "long" * 70
    text = f"import pytest\nfrom app import ask\n\n@pytest.mark.vcr\ndef {name}():\n    ask('Hi')\n"
    project.file("test_app.py", text)
    base = {"LLM_BASE": standin.url}
    assert project.run("-q", "--record-mode=once", env=base).returncode == 0
    standin.reset()
    project.file("test_app.py", text.replace("mark.vcr", "mark.llm_eval"))
    replay = project.run("-q", "--llm-record=none", *REMOVED, env=base)
    assert (replay.returncode, len(standin.requests)) == (0, 0), replay.out
