import pytest
from conftest import pause

pytestmark = pytest.mark.llm_eval


@pytest.mark.parametrize("i", range(3))
def test_has_subtests(subtests, i):
    for part in range(3):
        with subtests.test("part", part=part):
            print(f"in {i} {part}")
            pause()
            assert (part + i) % 3 != 0
    print("after the subtests")


def test_fails_after_subtests(subtests):
    with subtests.test(msg="fine"):
        pause()
    raise AssertionError("after them")


def test_skips_in_a_subtest(subtests):
    with subtests.test("skipped"):
        pytest.skip("only here")
    pause()
