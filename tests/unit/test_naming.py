"""Node ids, cases, trials and cassette names."""

from __future__ import annotations

import pytest

from pytest_llmops.cassettes import storage
from pytest_llmops.naming import trial_number, without_trial


@pytest.mark.parametrize(
    ("nodeid", "case", "trial"),
    [
        ("a/test_x.py::test_y", "a/test_x.py::test_y", 0),
        ("test_x.py::test_y[c1]", "test_x.py::test_y[c1]", 0),
        ("test_x.py::test_y[c1-trial0]", "test_x.py::test_y[c1]", 0),
        ("test_x.py::test_y[trial12]", "test_x.py::test_y", 12),
        ("test_x.py::TestA::test_y[warm-c1-trial3]", "test_x.py::TestA::test_y[warm-c1]", 3),
        ("test_x.py::test_y[trial1-trial2]", "test_x.py::test_y[trial1]", 2),
        ("test_x.py::test_y[đổi-trả-trial1]", "test_x.py::test_y[đổi-trả]", 1),
        ("test-trial1/test_x.py::test_y[a]", "test-trial1/test_x.py::test_y[a]", 0),
        ("test_x.py::test_y[a-trialling]", "test_x.py::test_y[a-trialling]", 0),
    ],
)
def test_a_case_is_the_node_id_without_its_trial(nodeid, case, trial):
    assert without_trial(nodeid) == case
    assert trial_number(nodeid) == trial


def test_file_names_are_safe_short_and_one_for_each_name():
    names = ["test_a[x/y]", "test_a[x-y]", "test_a[x y]", "TestA-test_a", "test_a[" + "é" * 300 + "]", "test_a[../..]"]
    files = [storage.file_name(name) for name in names]
    assert len(set(files)) == len(names)
    for file in files:
        assert "/" not in file
        assert not file.startswith(".")
        assert len(file) < 100
    assert storage.file_name(names[0]) == files[0]
