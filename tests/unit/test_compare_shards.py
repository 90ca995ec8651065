import pytest

from pytest_llmops import compare
from pytest_llmops.errors import BaselineError
from pytest_llmops.records import Environment, Fingerprint
from tests.unit.made_up import measurement, run, stored, trial


def shard(*cases, **fields):
    return run([trial(case, {"pass": 1, "tone": value}) for case, value in cases], **fields)


def test_shards_give_what_the_whole_run_gives():
    whole = shard(*((f"c{i}", i / 20) for i in range(20)))
    parts = [shard(*((f"c{i}", i / 20) for i in range(20) if i % 3 == part)) for part in range(3)]
    for part in parts:
        part.metrics = compare.summarize(part.tests)
        part.comparison = compare.compare(stored(whole), part)
    merged = compare.merge([(f"{i}.json", part) for i, part in enumerate(parts)])
    assert merged.comparison is None
    assert merged.metrics == compare.summarize(whole.tests)
    assert merged.metrics["tone"].cases == 20
    assert {test.id for test in merged.tests} == {test.id for test in whole.tests}
    assert compare.compare(stored(whole), merged) == compare.compare(stored(whole), whole)


def test_what_was_deselected_in_one_shard_and_ran_in_another_is_not_left_out():
    one, two = shard(("a", 1), deselected=["test_app.py::test_answers[b]"]), shard(("b", 1))
    assert compare.merge([("1", one), ("2", two)]).deselected == []


def test_what_else_failed_in_a_shard_failed_in_the_whole_run():
    one, two = shard(("a", 1), also_failed=["t.py::test_x"]), shard(("b", 1))
    assert compare.merge([("1", one), ("2", two)]).also_failed == ["t.py::test_x"]


def test_the_fingerprint_is_worked_out_anew():
    one = run([trial("a", {"tone": measurement("tone", 1, definition="d1")})], fingerprint=Fingerprint(models=["old"]))
    two = run(
        [trial("b", {"brief": measurement("brief", 1, definition="d2")})], fingerprint=Fingerprint(prompts={"p": "1"})
    )
    merged = compare.merge([("1", one), ("2", two)])
    assert merged.fingerprint == Fingerprint(judge={"brief": "d2", "tone": "d1"}, prompts={"p": "1"})


@pytest.mark.parametrize(
    ("one", "two", "words"),
    [
        (shard(("a", 1), ("b", 1)), shard(("b", 1)), r"overlap: both ran .*\[b\]\.\n--llm-shard only numbers"),
        (
            shard(("a", 1), deselected=["t::b", "t::c"]),
            shard(("d", 1), deselected=["t::b"]),
            "t::b, t::c was left out .* is a shard missing",
        ),
        (shard(("a", 1), shard=(1, 3)), shard(("b", 1), shard=(3, 3)), "shard 2 of 3 missing"),
        (shard(("a", 1), shard=(1, 2)), shard(("b", 1), shard=(1, 2)), "both shard 1 of 2"),
        (shard(("a", 1), shard=(1, 2)), shard(("b", 1), shard=(2, 3)), "one of 2 shards, .* one of 3"),
        (shard(("a", 1), shard=(1, 2)), shard(("b", 1)), "2.json is no numbered shard"),
        (
            shard(("a", 1), environment=Environment(commit="a" * 40)),
            shard(("b", 1), environment=Environment(commit="b" * 40)),
            "1.json is of commit aaaaaaaaaa, 2.json of bbbbbbbbbb",
        ),
        (
            shard(("a", 1), fingerprint=Fingerprint(prompts={"p": "1"})),
            shard(("b", 1), fingerprint=Fingerprint(prompts={"p": "2"})),
            "prompts 'p' differs between 1.json and 2.json",
        ),
    ],
)
def test_what_is_no_whole_run_is_refused(one, two, words):
    with pytest.raises(BaselineError, match=words):
        compare.merge([("1.json", one), ("2.json", two)])


def test_cases_left_out_on_purpose():
    left_out = ["t::b"]
    parts = [("1", shard(("a", 1), deselected=left_out)), ("2", shard(("d", 1), deselected=left_out))]
    assert compare.merge(parts, allow_deselected=True).deselected == left_out
    for index, (_, part) in enumerate(parts, 1):
        part.shard = (index, 2)
    assert compare.merge(parts).deselected == left_out


def test_what_every_numbered_shard_left_out_is_named_by_the_comparison():
    whole = shard(("a", 1), ("b", 1), ("c", 1))
    left_out = [whole.tests[2].case]
    parts = [(str(i), shard((name, 1), shard=(i, 2), deselected=left_out)) for i, name in ((1, "a"), (2, "b"))]
    comparison = compare.compare(stored(whole), compare.merge(parts))
    assert comparison.notes == [f"1 stored case left out of this run (deselected): {left_out[0]}"]


def test_a_shard_that_was_stopped_makes_a_run_that_was():
    parts = [("1.json", shard(("a", 1), stopped="interrupted")), ("2.json", shard(("b", 1)))]
    assert compare.merge(parts).stopped == "interrupted (1.json)"
