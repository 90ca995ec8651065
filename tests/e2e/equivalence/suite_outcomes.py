import sys

import pytest
from conftest import pause

pytestmark = pytest.mark.llm_eval


def test_passes():
    pause()


def test_fails():
    pause()
    assert {"a": 1, "b": [1, 2, 3]} == {"a": 1, "b": [1, 2, 4]}


def test_fails_with_a_message():
    pause()
    assert 1 + 1 == 3, "arithmetic"


def test_raises():
    pause()
    raise ValueError("no such value")


def test_raises_from():
    pause()
    try:
        {}["missing"]
    except KeyError as error:
        raise RuntimeError("wrapped") from error


def test_raises_stop_iteration():
    next(iter(()))


def test_exits_the_process():
    pause()
    sys.exit(3)


def test_fails_without_traceback():
    pause()
    pytest.fail("plainly", pytrace=False)


def test_fails_by_call():
    pytest.fail("with traceback")


def test_skips():
    pause()
    pytest.skip("not today")


@pytest.mark.skip(reason="never")
def test_is_skipped():
    raise AssertionError


@pytest.mark.skipif(True, reason="condition")
def test_is_skipped_if():
    raise AssertionError


def test_imports_or_skips():
    pytest.importorskip("there_is_no_such_module")


def test_xfails():
    pause()
    pytest.xfail("known")


@pytest.mark.xfail
def test_is_expected_to_fail():
    pause()
    raise AssertionError("expected")


@pytest.mark.xfail(reason="known bug", raises=ValueError)
def test_is_expected_to_raise():
    raise ValueError


@pytest.mark.xfail(raises=ValueError)
def test_is_expected_to_raise_another():
    pause()
    raise TypeError("another")


@pytest.mark.xfail
def test_passes_unexpectedly():
    pause()


@pytest.mark.xfail(strict=True)
def test_passes_unexpectedly_and_strictly():
    pause()


@pytest.mark.xfail(run=False, reason="would hang")
def test_is_not_run():
    raise SystemExit("it was run")


def test_with_broken_setup(broken):
    raise AssertionError


def test_with_broken_teardown(broken_later):
    pause()


def test_fails_with_broken_teardown(broken_later):
    raise AssertionError("and teardown fails as well")


def test_with_a_skipping_fixture(skipping):
    raise AssertionError


def test_asks_for_no_fixture(there_is_no_such_fixture):
    raise AssertionError


def test_raises_a_group():
    pause()
    raise ExceptionGroup("several", [ValueError("one"), TypeError("two")])


def test_raises_with_a_note():
    error = ValueError("noted")
    error.add_note("the note")
    raise error


def test_raises_within_pytest_raises():
    with pytest.raises(ValueError, match="inside"):  # noqa: PT012
        pause()
        raise ValueError("inside")


def test_misses_in_pytest_raises():
    with pytest.raises(ValueError, match="never"):
        pause()


@pytest.mark.llm_eval(no_such_argument=1)
def test_with_a_bad_marker():
    raise AssertionError


@pytest.mark.llm_serial
def test_on_its_own():
    pause()


def test_passes_after_all():
    pause()
