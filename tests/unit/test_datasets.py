"""Datasets in each format, and every way a file can be wrong: where, what, and what to do."""

from __future__ import annotations

import copy
import json
import pickle
import re
from pathlib import Path

import pytest

from pytest_llmops.datasets import Case, load
from pytest_llmops.errors import DatasetError
from tests.patience import least_cpu_s

YAML_LIST = """
- id: refund
  input: How long do refunds take?
  expected: 14 days
  context: [Refunds within 14 days., No refunds on sale.]
  tags: [policy, easy]
  group: doc-7
  difficulty: 3
  metadata: {author: Lan}
- turns:
    - {role: user, content: Hi}
"""
JSON_ROWS = [
    {
        "id": "refund",
        "input": "How long do refunds take?",
        "expected": "14 days",
        "context": ["Refunds within 14 days.", "No refunds on sale."],
        "tags": ["policy", "easy"],
        "group": "doc-7",
        "difficulty": 3,
        "metadata": {"author": "Lan"},
    },
    {"turns": [{"role": "user", "content": "Hi"}]},
]
CSV_TEXT = (
    "id,input,expected,context,tags,group,metadata,turns\r\n"
    "refund,How long do refunds take?,14 days,Refunds within 14 days.| No refunds on sale.,policy|easy,doc-7,"
    '"{""author"": ""Lan"", ""difficulty"": 3}",\r\n'
    ',,,,,,,"[{""role"": ""user"", ""content"": ""Hi""}]"\r\n'
)


@pytest.fixture
def dataset(tmp_path):
    def write(name, text):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


@pytest.mark.parametrize(
    ("name", "text", "second"),
    [
        ("cases.jsonl", "\n".join(map(json.dumps, JSON_ROWS)), "case-2"),
        ("cases.ndjson", "\r\n".join(map(json.dumps, JSON_ROWS)) + "\r\n", "case-2"),
        ("cases.JSON", json.dumps(JSON_ROWS), "case-2"),
        ("cases.json", json.dumps({"about": [{"cases": [1]}], "cases": JSON_ROWS}, indent=2), "case-2"),
        ("cases.yaml", YAML_LIST, "case-2"),
        ("cases.yml", "about: refunds\ncases:" + YAML_LIST.replace("\n", "\n  "), "case-2"),
        ("cases.csv", CSV_TEXT, "case-2"),
        ("bom.jsonl", b"\xef\xbb\xbf" + "\n".join(map(json.dumps, JSON_ROWS)).encode(), "case-2"),
        ("bom.csv", b"\xef\xbb\xbf" + CSV_TEXT.encode(), "case-2"),
        ("blank.jsonl", "\n\n".join(map(json.dumps, JSON_ROWS)), "case-3"),
    ],
)
def test_every_format_gives_the_same_cases(dataset, name, text, second):
    first, last = load(dataset(name, text))
    assert first == Case(
        id="refund",
        input="How long do refunds take?",
        expected="14 days",
        context=("Refunds within 14 days.", "No refunds on sale."),
        metadata={"author": "Lan", "difficulty": 3},
        tags=("policy", "easy"),
        group="doc-7",
    )
    assert (last.id, last.input, last.turns) == (second, None, [{"role": "user", "content": "Hi"}])
    assert last.expected is None
    assert (last.context, last.tags, last.group, last.metadata) == ((), (), None, {})


def test_metadata_reads_as_attributes(dataset):
    (case,) = load(dataset("a.jsonl", '{"input": "x", "difficulty": "hard"}'))
    assert case.difficulty == "hard"
    with pytest.raises(AttributeError, match=r"case 'case-1' has no 'dificulty'\. Did you mean 'difficulty'\?"):
        _ = case.dificulty
    assert copy.deepcopy(case) == case
    assert pickle.loads(pickle.dumps(case)) == case
    assert not hasattr(case, "__wrapped__")


@pytest.mark.parametrize(
    ("name", "text", "lines"),
    [
        ("a.jsonl", '{"input": 1}\n\n{"input": 2}', [1, 3]),
        ("a.json", '\n[\n  {"input": 1},\n\n  {"input": 2}, {"input":\n3},\n  {"input": 4}\n]', [3, 5, 5, 7]),
        ("a.json", '{"x": {"cases": [0]},\n "y": 1, "cases" : [{"input": 1},\n{"input": 2}]}', [2, 3]),
        ("a.yaml", "# about\n- input: |\n    two\n    lines\n\n- input: 2\n", [2, 6]),
        ("a.csv", 'input,expected\n"two\nlines",x\n\nb,y\n', [2, 5]),
    ],
)
def test_lines(dataset, name, text, lines):
    assert [case.line for case in load(dataset(name, text))] == lines


def test_fingerprint_follows_what_is_asked_and_expected_only(dataset):
    def fingerprint(**fields):
        return load(dataset("a.jsonl", json.dumps({"input": {"b": 1, "a": "é"}, **fields})))[0].fingerprint

    base = fingerprint()
    assert re.fullmatch("[0-9a-f]{12}", base)
    assert fingerprint(id="other", tags=["x"], metadata={"y": 1}, group="g") == base
    assert fingerprint(input={"a": "é", "b": 1}) == base
    changed = [fingerprint(**{name: ["x"]}) for name in ("input", "expected", "context", "turns")]
    assert len({base, *changed}) == 5


def test_yaml_texts_stay_texts(dataset):
    text = "- {id: 007, input: no, expected: Yes, at: 2026-01-02, clock: 12:30, n: 3, r: 0.5, t: true, z: ~, s: 1_000}"
    (case,) = load(dataset("a.yaml", text))
    assert (case.id, case.input, case.expected) == ("007", "no", "Yes")
    assert case.metadata == {
        "at": "2026-01-02", "clock": "12:30", "n": 3, "r": 0.5, "t": True, "z": None, "s": "1_000",
    }  # fmt: skip


def test_yaml_anchors_and_merges(dataset):
    cases = load(dataset("a.yaml", "- &base {input: a, tags: [x]}\n- {<<: *base, input: b}\n"))
    assert [(case.input, case.tags) for case in cases] == [("a", ("x",)), ("b", ("x",))]


def test_csv_cells_are_text_and_empty_ones_are_not_there(dataset):
    (case,) = load(dataset("a.csv", "input,expected,zip,note\n12,,007,\n"))
    assert (case.input, case.expected, case.metadata) == ("12", None, {"zip": "007"})


def test_a_csv_cell_may_be_long(dataset):
    (case,) = load(dataset("a.csv", "input\n" + "x" * 500_000))
    assert len(case.input) == 500_000


def test_unicode_line_separators_may_stand_in_jsonl(dataset):
    (case,) = load(dataset("a.jsonl", '{"input": "a\u2028b\x85c"}'))
    assert case.input == "a\u2028b\x85c"


@pytest.mark.parametrize("name", ["đổi-trả", "退款", "is it red, or blue?", "a/b", "🎉"])
def test_ids_keep_their_script(dataset, name):
    assert load(dataset("a.jsonl", json.dumps({"id": name, "input": "x"})))[0].id == name


def test_ids_are_composed(dataset):
    decomposed = "đô\u0309i"
    assert load(dataset("a.jsonl", json.dumps({"id": decomposed, "input": "x"})))[0].id == "đổi"


def test_ids_may_be_whole_numbers(dataset):
    assert [case.id for case in load(dataset("a.json", '[{"id": 7, "input": ""}]'))] == ["7"]


def test_one_text_is_a_list_of_one(dataset):
    (case,) = load(dataset("a.jsonl", '{"input": "x", "context": "only this", "tags": "t"}'))
    assert (case.context, case.tags) == (("only this",), ("t",))


@pytest.mark.parametrize(("field", "groups"), [("doc", ["7", "a", None]), ("group", ["g", None, None])])
def test_groups(dataset, field, groups):
    path = dataset("a.jsonl", '{"input": 1, "group": "g", "doc": 7}\n{"input": 2, "doc": "a"}\n{"input": 3}')
    assert [case.group for case in load(path, group=field)] == groups


def test_an_unknown_group_field(dataset):
    path = dataset("a.jsonl", '{"input": 1, "document": 7}')
    with pytest.raises(DatasetError, match=r"no case has a field 'docment' \(.*Did you mean 'document'\?"):
        load(path, group="docment")


def test_a_group_that_is_no_text(dataset):
    path = dataset("a.jsonl", '{"input": 1, "doc": "a"}\n{"input": 1, "doc": [7]}')
    with pytest.raises(DatasetError, match=r"a.jsonl:2: doc: expected a text or a number, got \[7\]"):
        load(path, group="doc")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        # the file
        ("a.txt", "", ": unknown kind of dataset '.txt'. Known: .jsonl, .ndjson, .json, .yaml, .yml, .csv."),
        ("a.jsonl", "", ': no cases in it. Each needs at least an input: {"input": "…"'),
        ("a.jsonl", "\n \n", ": no cases in it."),
        ("a.json", " ", ": no cases in it."),
        ("a.json", "[]", ": no cases in it."),
        ("a.json", '{"cases": [ ]}', ": no cases in it."),
        ("a.yaml", "# nothing yet\n", ": no cases in it. Each needs at least an input: - input: …"),
        ("a.yaml", "[]", ": no cases in it."),
        ("a.csv", "", ": no cases in it. Each needs at least an input: a header line"),
        ("a.csv", "input\n", ": no cases in it."),
        ("a.jsonl", b'{"input": 1}\n{"input": "caf\xe9"}', ":2: not UTF-8 (byte 0xe9). Save the file as UTF-8."),
        ("a.csv", "input\nx".encode("utf-16"), ":1: not UTF-8 (UTF-16). Save the file as UTF-8."),
        # JSON lines
        ("a.jsonl", '{"input": 1}\n{"input": 1,}', ":2: broken JSON: "),
        ("a.jsonl", '{\n  "input": 1\n}', ":1: broken JSON: "),
        ("a.jsonl", '{"input": 1} {"input": 2}', ":1: broken JSON: Extra data at column 14. Each line is one whole"),
        ("a.jsonl", '{"input": NaN}', ":1: JSON that cannot be used: NaN is no JSON value. "),
        ("a.jsonl", '{"input": ' + "9" * 5000 + "}", ":1: JSON that cannot be used: Exceeds the limit"),
        ("a.jsonl", "[" * 100_000, ":1: "),
        ("a.jsonl", '"hello"', ':1: a case is an object such as {"input": "…"}, got "hello".'),
        # JSON
        ("a.json", '[\n{"input": 1},\n{"input" 2}]', ":3: broken JSON: Expecting ':' delimiter at column 10."),
        ("a.json", '"x"', ':1: expected a list of cases, got "x".'),
        ("a.json", '{"case": []}', ":1: expected a list of cases, or an object with a list \"cases\"; it has 'case'."),
        (
            "a.json",
            '{"cases": {}}',
            ":1: expected a list of cases, or an object with a list \"cases\"; it has 'cases'.",
        ),
        ("a.json", "{}", ':1: expected a list of cases, or an object with a list "cases"; it has nothing.'),
        ("a.json", '[{"input": 1},\n\n{"expected": 2}]', ":3: no 'input' (nor 'turns'); the case has 'expected'."),
        # YAML
        ("a.yaml", "- input: 1\n- input: [1\n", ":3: broken YAML: did not find expected ',' or ']'."),
        ("a.yaml", "- input: 1\n- input: !!python/name:os.system x\n", ":2: broken YAML: could not determine a con"),
        ("a.yaml", "- input: 1\n---\n- input: 2\n", ":2: broken YAML: but found another document."),
        ("a.yaml", "- input: a\n- input: \x07\n", ":2: broken YAML: control characters are not allowed."),
        ("a.yaml", "just text", ':1: expected a list of cases, got "just text".'),
        ("a.yaml", "cases: 3", ":1: expected a list of cases, or an object with a list \"cases\"; it has 'cases'."),
        ("a.yaml", "- input: 1\n- input: &a [*a]\n", ":2: broken YAML: found unconstructable recursive node."),
        ("a.yaml", "- input: 1\n- input: !!float .nan\n", ":2: a value that JSON cannot hold: "),
        ("a.yaml", "- " * 2_000, ":1: YAML that is nested too deeply."),
        ("a.yaml", "- input: 1\n- just text\n", ':2: a case is an object such as {"input": "…"}, got "just text".'),
        # CSV
        ("a.csv", "input,input\n", ":1: column 'input' stands twice in the header."),
        ("a.csv", "input,\n", ":1: column 2 has no name in the header."),
        ("a.csv", "inputs,expected\n", ":1: no column 'input' in the header. Did you mean 'inputs'?"),
        (
            "a.csv",
            "input;expected\n",
            ":1: no column 'input' in the header. Columns are divided by commas, not by ';'.",
        ),
        ("a.csv", "input,expected\na,b\nc,d,e\n", ":3: 3 cells under 2 columns. Put a text with commas in double q"),
        ("a.csv", 'input,expected\na,b\n"c,d\n', ":3: broken CSV: unexpected end of data. Is a quote left open?"),
        ("a.csv", "input,metadata\na,{b\n", ":2: broken JSON: "),
        ("a.csv", "input,expected\na,b\n,d\n", ":3: no 'input' (nor 'turns'); the case has 'expected'."),
        # the case
        ("a.jsonl", "{}", ":1: no 'input' (nor 'turns'); the case has nothing."),
        ("a.jsonl", '{"input": null}', ":1: no 'input' (nor 'turns'); the case has 'input'."),
        (
            "a.jsonl",
            '{"Input": "x"}',
            ":1: unknown field 'Input'. Did you mean 'input'? If 'Input' is your own, put it",
        ),
        ("a.jsonl", '{"input": "x", "expeced": 1}', ":1: unknown field 'expeced'. Did you mean 'expected'?"),
        ("a.jsonl", '{"input": "x", "metadata": 1}', ":1: metadata: expected an object, got 1."),
        ("a.jsonl", '{"input": "x", "n": 1, "metadata": {"n": 2}}', ":1: 'n' stands both beside and inside metadata."),
        ("a.jsonl", '{"turns": "x"}', ':1: turns: expected a list with at least one turn, got "x".'),
        ("a.jsonl", '{"turns": []}', ":1: turns: expected a list with at least one turn, got []."),
        ("a.jsonl", '{"input": "x", "context": [1]}', ":1: context: expected a list of texts, got [1]."),
        ("a.jsonl", '{"input": "x", "context": {}}', ":1: context: expected a list of texts, got {}."),
        ("a.jsonl", '{"input": "x", "tags": 3}', ":1: tags: expected a list of texts, got 3."),
        ("a.jsonl", '{"input": "x", "group": ["a"]}', ':1: group: expected a text or a number, got ["a"].'),
        # the id
        ("a.jsonl", '{"id": 1.5, "input": "x"}', ":1: id: expected a text, got 1.5."),
        ("a.jsonl", '{"id": true, "input": "x"}', ":1: id: expected a text, got true."),
        ("a.jsonl", '{"id": " ", "input": "x"}', ":1: id is empty. Leave it out for case-1, case-2, … by line."),
        ("a.jsonl", '{"id": "a\\nb", "input": "x"}', ":1: id 'a\\nb': '\\n' cannot be part of a test's name."),
        ("a.jsonl", '{"id": "a[0]", "input": "x"}', ":1: id 'a[0]': '[' cannot be part of a test's name."),
        ("a.jsonl", '{"id": "a::b", "input": "x"}', ":1: id 'a::b': '::' cannot be part of a test's name."),
        ("a.jsonl", '{"id": "\\ud800", "input": "x"}', ":1: id '\\ud800': '\\ud800' cannot be part of a test's name."),
        ("a.jsonl", '{"id": "a-trial1", "input": "x"}', ":1: id 'a-trial1' is named like a trial (trial0)."),
        ("a.jsonl", '{"id": "trial12", "input": "x"}', ":1: id 'trial12' is named like a trial (trial0)."),
        ("a.jsonl", '{"id": "a", "input": 1}\n\n{"id": "a", "input": 2}', ":3: id 'a' is taken by the case in line 1."),
        ("a.jsonl", '{"id": "case-2", "input": 1}\n{"input": 2}', ":2: id 'case-2' is taken by the case in line 1."),
    ],
)
def test_what_cannot_be_read_is_refused_with_file_and_line(dataset, name, text, message):
    path = dataset(name, text)
    with pytest.raises(DatasetError) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}{message}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("key", ["target", "source", "text", "topic", "question", "language", "description"])
def test_a_field_of_ones_own_is_not_taken_for_a_misspelled_one(dataset, key):
    (case,) = load(dataset("a.jsonl", json.dumps({"input": "x", key: "y"})))
    assert case.metadata == {key: "y"}


def test_a_missing_file_names_the_closest_one(dataset, tmp_path):
    dataset("golden.jsonl", "")
    dataset("golden.py", "")
    with pytest.raises(DatasetError, match=r"golden.json: no such file. Did you mean 'golden.jsonl'\?"):
        load(tmp_path / "golden.json")
    with pytest.raises(DatasetError, match=r"zzz.csv: no such file. Known: golden.jsonl\."):
        load(tmp_path / "zzz.csv")
    with pytest.raises(DatasetError, match=r"no such file. There is no folder .*/data either. A dataset's path is rel"):
        load(tmp_path / "data" / "golden.jsonl")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match=r"no such file. There is no dataset at all in .*/empty\."):
        load(tmp_path / "empty" / "golden.jsonl")


def test_a_folder_is_no_dataset(tmp_path):
    (tmp_path / "a.jsonl").mkdir()
    with pytest.raises(DatasetError, match=r"a.jsonl: cannot be read: Is a directory\."):
        load(tmp_path / "a.jsonl")


@pytest.mark.parametrize("suffix", ["jsonl", "json", "csv"])
def test_ten_thousand_cases_load_in_well_under_a_second(dataset, suffix):
    rows = [{"id": f"q{n}", "input": f"question {n} " * 20, "expected": "x" * 50} for n in range(10_000)]
    text = {
        "jsonl": lambda: "\n".join(map(json.dumps, rows)),
        "json": lambda: json.dumps(rows, indent=1),
        "csv": lambda: "id,input,expected\n" + "\n".join(",".join(row.values()) for row in rows),
    }[suffix]()
    path = dataset(f"big.{suffix}", text)
    assert len(load(path)) == 10_000
    assert least_cpu_s(lambda: load(path), enough=1) < 1


def test_the_documented_example_loads(dataset):
    page = (Path(__file__).parents[2] / "docs" / "datasets.md").read_text(encoding="utf-8")
    example = page.split("```json\n")[1].split("```")[0]
    first, second = load(dataset("cases.jsonl", example))
    assert (first.id, first.tags, second.id, second.language) == ("refund", ("policy",), "đổi-trả", "vi")
