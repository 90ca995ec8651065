import pytest
from conftest import pause


def test_unmarked():
    pause()


@pytest.mark.llm_eval
@pytest.mark.parametrize("i", range(3))
def test_marked(i, shared):
    pause()


def test_unmarked_fails(shared):
    assert not shared["open"]


@pytest.mark.llm_eval
def test_marked_again(shared):
    assert shared["open"]
