"""Datasets as users meet them: one item a case, and collection that fails with file and line."""

from __future__ import annotations

import pytest

TEST = """
    import pytest

    @pytest.mark.llm_eval(dataset="data/cases.jsonl")
    def test_case(llm_case):
        assert llm_case.input == llm_case.expected
"""


@pytest.mark.parametrize("n", [None, 2])
def test_one_item_a_case(project, n):
    project.file("tests/data/cases.jsonl", '{"id": "same", "input": 1, "expected": 1}\n{"input": 1, "expected": 2}\n')
    project.file("tests/test_it.py", TEST)
    run = project.run("--llm-json=run.json", n=n)
    assert run.outcomes == {"passed": 1, "failed": 1}
    run.match("FAILED tests/test_it.py::test_case?case-2? - *")
    assert {test["case"]: test["outcome"] for test in run.record["tests"]} == {
        "tests/test_it.py::test_case[same]": "passed",
        "tests/test_it.py::test_case[case-2]": "failed",
    }
    alone = project.run("tests/test_it.py::test_case[same]")
    assert alone.outcomes == {"passed": 1}


@pytest.mark.parametrize("n", [None, 2])
def test_a_broken_line_fails_collection_in_one_line(project, n):
    path = project.file("tests/data/cases.jsonl", '{"input": 1}\n{"inptu": 2}\n')
    project.file("tests/test_it.py", TEST)
    run = project.run(n=n)
    assert run.returncode != 0
    run.match(f"*{path}:2: unknown field 'inptu'. Did you mean 'input'?*")
    run.no_match("*Traceback*")
    run.no_match("*INTERNALERROR*")


def test_groups_reach_the_record(project):
    project.file("cases.jsonl", '{"input": 1, "doc": "a"}\n{"input": 2, "doc": "a"}\n{"input": 3, "doc": 7}\n')
    project.file(
        "test_it.py",
        """
        import pytest

        @pytest.mark.llm_eval(dataset="cases.jsonl", group="doc")
        def test_case(llm_case):
            assert llm_case.doc
        """,
    )
    run = project.run("--llm-json=run.json")
    assert [test["group"] for test in run.record["tests"]] == ["a", "a", "7"]


def test_ids_in_any_script_are_readable_where_pytest_is_told_so(project):
    project.file(
        "pytest.ini", "[pytest]\ndisable_test_id_escaping_and_forfeit_all_rights_to_community_support = true\n"
    )
    project.file("data/cases.jsonl", '{"id": "đổi-trả", "input": 1, "expected": 1}\n')
    project.file("test_it.py", TEST)
    project.run("-v").match("test_it.py::test_case?đổi-trả? PASSED*")
    assert project.run("test_it.py::test_case[đổi-trả]").outcomes == {"passed": 1}
