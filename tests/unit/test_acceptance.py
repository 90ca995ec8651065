from datetime import date

import pytest

from pytest_llmops import acceptance
from pytest_llmops.errors import BaselineError

GOOD = '[[accept]]\nmetric = "tone"\nreason = "shorter on purpose"\nexpires = 2026-12-31\nby = "Ana"\n'


def load(tmp_path, text):
    path = tmp_path / "llm-accept.toml"
    path.write_text(text)
    return acceptance.load(path)


def test_entries_are_read(tmp_path):
    tone, case = load(
        tmp_path, GOOD + '[[accept]]\ncase = "t.py::x[*]"\nreason = "gone"\nexpires = 2026-12-31T10:00:00Z\n'
    )
    assert (tone.metric, tone.by, tone.expires) == ("tone", "Ana", date(2026, 12, 31))
    assert (case.case, case.expires) == ("t.py::x[*]", date(2026, 12, 31))
    assert load(tmp_path, "") == ()


def test_globs_take_brackets_as_they_are(tmp_path):
    entries = load(tmp_path, '[[accept]]\ncase = "t.py::x[c?-*]"\nreason = "r"\nexpires = 2026-12-31\n')
    today = date(2026, 12, 31)
    assert acceptance.find(entries, today, case="t.py::x[c1-long]")
    assert not acceptance.find(entries, today, case="t.py::xc")
    assert not acceptance.find(entries, today, metric="t.py::x[c1-long]")
    assert not acceptance.find(entries, date(2027, 1, 1), case="t.py::x[c1-long]")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[accept]", "cannot be read"),
        ("[[acept]]\n", "unknown key 'acept'. Did you mean 'accept'?"),
        ("accept = 3\n", "'accept' is a list of tables"),
        (GOOD.replace("metric", "metrik"), r"\[\[accept\]\] 1: unknown key 'metrik'. Did you mean 'metric'\?"),
        (GOOD.replace('reason = "shorter on purpose"\n', ""), "reason missing"),
        (GOOD.replace("expires = 2026-12-31\n", ""), "expires missing"),
        (GOOD.replace("2026-12-31", '"2026-12-31"'), "expected a date without quotes"),
        (GOOD.replace('"shorter on purpose"', '" "'), "reason: expected a text"),
        (GOOD + 'case = "x"\n', "name either a metric or a case"),
        (GOOD.replace('metric = "tone"\n', ""), "name either a metric or a case"),
    ],
)
def test_bad_entries_are_refused(tmp_path, text, said):
    with pytest.raises(BaselineError, match=said):
        load(tmp_path, text)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(BaselineError, match="no file of accepted changes"):
        acceptance.load(tmp_path / "none.toml")
