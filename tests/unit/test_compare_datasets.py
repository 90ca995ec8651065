import pytest

from pytest_llmops.compare import compare, failures, taken_out
from tests.unit.made_up import run, stored, trial

TEST = "tests/test_app.py::test_answers"


def of(*names, dataset="tests/cases.jsonl"):
    return [trial(f"{TEST}[{name}]", {"pass": 1.0}, dataset=dataset) for name in names]


@pytest.fixture
def root(tmp_path):
    (tmp_path / "tests").mkdir()
    return tmp_path


def write(root, *ids):
    lines = [f'{{"id": "{one}", "input": "?"}}\n' for one in ids]
    (root / "tests" / "cases.jsonl").write_text("".join(lines), encoding="utf-8")


def test_a_case_that_its_dataset_no_longer_has(root):
    before, now = stored(run(of("a", "b", "c"))), run(of("a"))
    write(root, "a", "c")  # the test lost c all the same
    now.taken_out = taken_out(before, now, root)
    assert now.taken_out == {f"{TEST}[b]": "tests/cases.jsonl"}
    comparison = compare(before, now)
    assert comparison.missing_cases == [f"{TEST}[b]", f"{TEST}[c]"]
    gone, lost = comparison.findings
    assert (gone.case, gone.reason, gone.taken_out_of) == (
        f"{TEST}[b]",
        "taken out of tests/cases.jsonl",
        "tests/cases.jsonl",
    )
    assert comparison.accepted == [f"{TEST}[b] (missing): {gone.accepted}"]
    assert (lost.accepted, lost.taken_out_of) == (None, None)
    (failure,) = failures(comparison)
    assert f"{TEST}[c]" in failure.message
    assert f"{TEST}[b]" not in failure.message


@pytest.mark.parametrize(
    "argument", ["a", "a-short", "short-a", "pt-a-short", "caf\\xe9", "café", "\\u4f60\\u597d-short"]
)
def test_it_is_told_among_other_parameters_and_as_pytest_escapes_it(root, argument):
    write(root, "a", "café", "你好")
    assert taken_out(stored(run(of("x", argument))), run(of("x")), root) == {}


def test_names_with_hyphens(root):
    write(root, "refund", "order-2")
    before, now = stored(run(of("refund", "refund-2", "order", "order-2"))), run(of("refund", "order-2"))
    assert [*taken_out(before, now, root)] == [f"{TEST}[order]", f"{TEST}[refund-2]"]


@pytest.mark.parametrize("argument", ["aa", "ab-short", "shorta", "caf", "A"])
def test_a_part_of_a_name_is_another_name(root, argument):
    write(root, "a", "café")
    assert taken_out(stored(run(of("x", argument))), run(of("x")), root) == {f"{TEST}[{argument}]": "tests/cases.jsonl"}


def test_what_says_nothing_of_the_dataset(root):
    before = stored(run(of("a", "b")))
    assert taken_out(before, run(of("a")), root) == {}, "the file is gone, or cannot be read, since the test read it"
    write(root, "a")
    assert taken_out(before, run(of("a", dataset=None)), root) == {}, "the test has no dataset"
    other = run([trial("tests/test_app.py::test_other[a]", {"pass": 1.0}, dataset="tests/cases.jsonl")])
    assert taken_out(before, other, root) == {}, "its test did not run"
    apart = run(of("a"))
    apart.deselected = [f"{TEST}[b]"]
    assert taken_out(before, apart, root) == {}, "it was left out on purpose"
