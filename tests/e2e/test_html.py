"""The HTML report, opened in a browser as a reader does."""

from __future__ import annotations

import json
import random
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bench import made_up_run
from pytest_llmops import safety
from pytest_llmops.compare import summarize
from pytest_llmops.records import BrokenCase, Call, Comparison, Measurement, ToolCall
from pytest_llmops.reports import html
from pytest_llmops.safety_record import GuardrailUse
from tests.conftest import Project
from tests.e2e.user import speaking_to, write_app
from tests.standin import StandIn
from tests.unit.made_up import run, trial

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium on this machine (Debian: apt-get install chromium)"
)

HOSTILE = '<script>window.pwned = 1</script><img src="http://127.0.0.1:9/x" onerror="window.pwned = 1">{{ 7 * 7 }}'


@pytest.fixture(scope="module")
def chromium() -> Iterator[sync_api.Browser]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@dataclass
class Reader:
    """A page, and everything it did that a report must not do."""

    page: sync_api.Page
    noises: list[str] = field(default_factory=list)

    def open(self, file: Path) -> None:
        self.page.goto(file.as_uri())
        self.page.wait_for_selector("html[data-ready]", timeout=20_000)

    def names(self) -> list[str]:
        return self.page.locator("#list .name").all_text_contents()  # also of those off screen, which are not drawn

    def detail(self) -> str:
        return self.page.locator("#detail").inner_text()


@pytest.fixture
def reader(chromium: sync_api.Browser) -> Iterator[Reader]:
    page = chromium.new_page(viewport={"width": 1200, "height": 900})
    reader = Reader(page)
    page.on("console", lambda message: reader.noises.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: reader.noises.append(f"error: {error}"))
    page.on("request", lambda asked: asked.url.startswith("file:") or reader.noises.append(f"request: {asked.url}"))
    page.on("dialog", lambda dialog: reader.noises.append(f"dialog: {dialog.message}"))
    yield reader
    page.wait_for_timeout(50)
    assert reader.noises == []
    assert page.evaluate("window.pwned") is None
    page.close()


TEST = """
    import os
    import pytest
    from app import ask

    @pytest.mark.llm_eval(dataset="cases.jsonl", trials=2)
    def test_it(llm_eval, llm_case):
        result = llm_eval.run(ask, llm_case.input + os.environ.get("MORE", ""))
        llm_eval.record("brevity", 1 / len(result.text))
        assert llm_case.id != "c7" or not os.environ.get("MORE"), "c7 cannot be told more"
"""


@pytest.fixture(scope="module")
def made_once(tmp_path_factory):
    """The report of a run that failed its gate, made as a user makes it."""
    project = Project(tmp_path_factory.mktemp("report"))
    write_app(project)
    project.file("test_it.py", TEST)
    project.file("pyproject.toml", "[tool.pytest-llmops.metrics.brevity]\ngate = true\ntolerance = 0.0001\n")
    lines = [
        f'{{"id": "c{i}", "input": "question {i} of the {"first" if i < 6 else "second"} half"}}' for i in range(12)
    ]
    project.file("cases.jsonl", "\n".join(lines))
    arguments = ("--llm-baseline=base.json", "--llm-record=live", "--llm-json=run.json")
    more = f" with much more {HOSTILE}"
    with StandIn() as standin:
        made = project.run(*arguments, "--llm-update-baseline", env=speaking_to(standin))
        failed = project.run(*arguments, "--llm-html=out/report.html", env=speaking_to(standin, MORE=more))
    assert made.returncode == 0, made.out
    assert (project.path / "base.answers.jsonl.gz").exists()
    assert failed.returncode == 1
    return project.path


@pytest.fixture
def report(project, made_once):
    """The test's own copy of it."""
    shutil.copytree(made_once, project.path, dirs_exist_ok=True)
    return project


def test_a_reader_finds_the_verdict_and_what_changed(report, reader):
    reader.open(report.path / "out" / "report.html")
    page = reader.page
    assert page.locator("h1").inner_text() == "Gate failed: brevity; 1 of 12 cases failed"
    assert page.locator("table.verdicts tr.gates", has_text="brevity").locator(".verdict").inner_text() == "regressed"
    assert page.locator("#count").inner_text() == "12 of 12 cases"
    sync_api.expect(page.locator("figure.chart canvas").nth(1)).to_be_attached()

    page.keyboard.press("/")
    page.keyboard.type("SECOND half")
    sync_api.expect(page.locator("#count")).to_have_text("6 of 12 cases")
    assert reader.names() == [f"test_it[c{i}]" for i in (10, 11, 6, 7, 8, 9)]
    page.select_option("#outcome", "failed")
    assert reader.names() == ["test_it[c7]"]
    assert "c7 cannot be told more" in reader.detail()
    assert "question 7 of the second half" in reader.detail()
    assert page.locator("#detail ins").all_inner_texts() == [f" with much more {HOSTILE}"]
    assert page.locator("#detail del").count() == 0
    page.locator("#diff").click()
    assert page.locator("#detail ins").count() == 0
    assert page.locator("#detail pre.text").nth(2).inner_text().endswith(HOSTILE)
    scores = page.locator("#detail table.scores")
    assert "was 100.0%" in scores.locator("tr", has_text="pass").inner_text()
    call = page.locator("details.call").first
    assert "gpt-4o-mini" in call.inner_text()
    assert "tokens" in call.inner_text()
    call.locator("summary").click()
    sync_api.expect(call).to_contain_text(HOSTILE)  # put in once it is opened

    page.keyboard.press("Escape")
    assert page.locator("#count").inner_text() == "12 of 12 cases"
    first = reader.names()
    page.locator("#list button").first.click()
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    assert page.locator("#list [aria-current=true] .name").inner_text() == first[1]
    page.keyboard.press("n")
    assert page.locator(".tabs [aria-pressed=true]").inner_text() == "trial 1"
    back = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.keyboard.press("t")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != back


def test_what_is_stored_as_the_baseline_fails_nothing(report, reader, standin):
    run = report.run(
        *("--llm-baseline=base.json", "--llm-update-baseline", "--llm-record=live"),
        *("--llm-html=page.html", "--llm-ctrf=ctrf.json", "-k", "not c7"),
        env=speaking_to(standin, MORE=" with much more"),
    )
    assert run.returncode == 0, run.out
    reader.open(report.path / "page.html")
    assert reader.page.locator("h1").inner_text() == "Stored as the new baseline"
    assert reader.page.locator("tr.gates", has_text="brevity").locator(".verdict").inner_text() == "regressed"
    assert json.loads(report.read("ctrf.json"))["results"]["summary"]["failed"] == 0


def test_the_command_makes_the_same_page_of_a_record(report, reader):
    done = report.command("report", "run.json", "-o", "again.html")
    assert done.returncode == 0, done.out
    reader.open(report.path / "again.html")
    assert reader.page.locator("h1").inner_text() == "Gate failed: brevity; 1 of 12 cases failed"
    assert "with much more" in reader.page.locator("#detail ins").first.inner_text()


OUTCOMES = """
    import os
    import pytest

    WRONG = os.environ.get("WRONG", "").split()

    @pytest.mark.llm_eval
    @pytest.mark.parametrize("case", range(4))
    def test_strict(llm_eval, case):
        assert "strict" not in WRONG or case != 2, "strict went wrong"

    @pytest.mark.llm_eval(trials=4, threshold=0.5)
    def test_flaky(request, llm_eval):
        failing = 3 if "share" in WRONG else 2 if "trials" in WRONG else 0
        assert int(request.node.name[-2]) >= failing, "flaky went wrong"

    def test_other():
        assert "other" not in WRONG
"""
BASELINE, UPDATE = "--llm-baseline=base.json", "--llm-update-baseline"
NOTHING = "nothing was compared with the baseline"
STRICT, FLAKY = "test_it.py::test_strict[2]", "test_it.py::test_flaky"


@pytest.mark.parametrize(
    ("wrong", "options", "status", "tone", "said", "failed"),
    [
        ("", [], 0, "good", "5 cases, none failed; not compared with a baseline", []),
        ("trials", [], 0, "good", "5 cases, none failed; not compared with a baseline", []),
        ("share", [], 1, "bad", "1 of 5 cases failed; not compared with a baseline", [FLAKY]),
        ("", [BASELINE], 0, "good", "Gate passed", []),
        ("new", [BASELINE], 1, "bad", "1 of 5 cases failed; gate passed", [STRICT]),
        ("other", [BASELINE], 1, "bad", "Also failed: test_it.py::test_other; gate passed", []),
        ("moved", [BASELINE], 1, "bad", "Gate failed: node-ids", []),
        ("elsewhere", [BASELINE], 0, "open", NOTHING.capitalize(), []),
        ("elsewhere", [BASELINE, UPDATE], 0, "good", "Stored as the new baseline", []),
        ("new", [BASELINE, UPDATE], 1, "bad", "1 of 5 cases failed; stored as the new baseline", [STRICT]),
    ],
)  # fmt: skip
def test_the_headline_is_as_red_as_pytests_exit(reader, project, wrong, options, status, tone, said, failed):
    project.file("test_it.py", OUTCOMES)
    project.file("pyproject.toml", "[tool.pytest-llmops.metrics.pass]\ngate = false\n")
    if options:
        project.run(BASELINE, UPDATE, *(["-k", "flaky"] if wrong == "new" else []))
        if wrong in ("moved", "elsewhere"):
            stored = project.read("base.json")
            new = {"moved": "folder/test_it.py", "elsewhere": "test_else.py"}[wrong]
            project.file("base.json", stored.replace("test_it.py", new))
    run = project.run(*options, "--llm-html=page.html", env={"WRONG": "strict" if wrong == "new" else wrong})
    assert run.returncode == status, run.out
    reader.open(project.path / "page.html")
    page = reader.page
    assert page.locator("h1").inner_text() == said
    assert page.title().startswith(said)
    assert tone in page.locator("header").get_attribute("class").split()
    assert page.locator(".failures button").all_inner_texts() == failed
    assert ("(1 failed)" in page.locator(".numbers").inner_text().partition(",")[0]) == bool(failed)
    outcomes = page.locator("#outcome option").all_inner_texts()
    assert ("failed" in outcomes) == bool(failed)
    assert ("tolerated" in outcomes) == (wrong == "trials")
    for name in failed:
        page.locator(".failures button", has_text=name).click()
        assert name in reader.detail()
        assert "went wrong" in page.locator(".failures li", has_text=name).inner_text()


@pytest.mark.parametrize(("width", "height"), [(1366, 768), (1100, 600), (380, 800)])
def test_the_page_opens_at_its_verdict_and_keys_move_the_list_alone(report, reader, width, height):
    reader.page.set_viewport_size({"width": width, "height": height})
    reader.open(report.path / "out" / "report.html")
    page = reader.page
    page.wait_for_timeout(100)
    assert page.evaluate("scrollY") == 0
    heading, verdict = page.locator("h1").bounding_box(), page.locator("tr.gates .verdict").first.bounding_box()
    assert heading["y"] >= 0
    assert verdict["x"] + verdict["width"] <= width  # without scrolling aside
    for _ in range(11):
        page.keyboard.press("j")
    assert page.evaluate("scrollY") == 0
    inside = """() => {
        const [list, one] = ['#list', '#list [aria-current=true]'].map((what) =>
            document.querySelector(what).getBoundingClientRect());
        return list.top <= one.top && one.bottom <= list.bottom;
    }"""
    assert page.locator("#list [aria-current=true] .name").text_content() == "test_it[c9]"  # not drawn: off screen
    assert page.evaluate(inside)
    page.locator("#list .name", has_text="[c7]").click()
    told = page.locator("#detail .scores .reason").first
    told.scroll_into_view_if_needed()  # waits until it is drawn
    reason = told.bounding_box()  # scores' reasons can be read, too
    assert reason["x"] + reason["width"] <= width
    assert reason["width"] >= 160
    page.evaluate("scrollTo(0, 0)")
    page.locator("#list .name", has_text="[c9]").click()
    for _ in range(11):
        page.keyboard.press("k")
    assert page.locator("#list").evaluate("list => list.scrollTop") <= 4
    assert page.evaluate(inside)


def test_a_broken_case_says_how_and_two_unlike_answers_stay_readable(reader, tmp_path):
    before = "Your order left our house on Monday; here is its number."
    after = "Your order is on its way; please wait."
    case = "test_app.py::test_answers[a]"
    broken = BrokenCase(case=case, baseline_passed=5, baseline_trials=5, trials=3, reason="no number")
    made = run([trial("a", {"pass": 0}, output=after, outcome="failed")], comparison=Comparison(broken_cases=[broken]))
    page = tmp_path / "page.html"
    page.write_text(html.render(made, answers={case: [before]}), encoding="utf-8")
    reader.open(page)
    finding = reader.page.locator("#detail .finding")
    assert finding.inner_text() == "broken passed 5 of 5 in the baseline, 0 of 3 now: no number"
    parts = reader.page.locator("#detail .diff > *")
    pieces = [(part.evaluate("part => part.tagName"), part.text_content()) for part in parts.all()]
    assert "".join(text for tag, text in pieces if tag != "INS") == before
    assert "".join(text for tag, text in pieces if tag != "DEL") == after
    assert [piece for piece in pieces if piece[0] != "SPAN"] == [
        ("DEL", "left our house "), ("INS", "is "),
        ("DEL", "Monday; here is its number"), ("INS", "its way; please wait"),
    ]  # fmt: skip


def test_search_finds_what_a_reader_means(reader, tmp_path):
    """The words of a judge's own prompt and tools stand in every case."""

    def called(role, said, *, system):
        messages = [{"role": "system", "content": system}, {"role": "user", "content": said}]
        tools = [{"name": "verdict", "description": "scripted"}]
        asked = [ToolCall(name="look_up", arguments={"order": f"number-{said}"})]
        return Call(
            provider="p", api="a", role=role, request={"messages": messages, "tools": tools}, text=f"re {said}",
            tool_calls=asked if role == "app" else [],
        )  # fmt: skip

    tests = [
        trial(
            name,
            {"tone": Measurement(value=1, source="judge", reason=f"because {name}")},
            input=f"asked {name}",
            output=f"told {name}",
            calls=[called("app", f"app-{name}", system="be kind"), called("judge", name, system="be courteous")],
        )
        for name in ("apple", "pear", "fig")
    ]
    page = tmp_path / "page.html"
    page.write_text(html.render(run(tests, metrics=summarize(tests))), encoding="utf-8")
    reader.open(page)
    wanted = dict.fromkeys(("courteous", "script", "description"), 0) | dict.fromkeys(("kind", "look_up"), 3)
    wanted |= dict.fromkeys(("asked pear", "told pear", "because pear", "app-pear", "re app-pear", "number-app-fig"), 1)
    for words, found in wanted.items():
        reader.page.locator("#search").fill(words)
        sync_api.expect(reader.page.locator("#count")).to_have_text(f"{found} of 3 cases")


def test_nothing_a_model_wrote_is_run_or_fetched(reader, tmp_path):
    call = Call(
        provider=HOSTILE,
        api="x",
        model=HOSTILE,
        text=HOSTILE,
        error=HOSTILE,
        finish_reason=HOSTILE,
        request={"messages": [{"role": HOSTILE, "content": [{"type": "text", "text": HOSTILE}]}], "system": HOSTILE},
        tool_calls=[ToolCall(name=HOSTILE, arguments={"__proto__": HOSTILE, HOSTILE: HOSTILE})],
    )
    test = trial(
        f"test_app.py::test_x[{HOSTILE}]",
        {HOSTILE: Measurement(value=1, reason=HOSTILE, unit=HOSTILE)},
        outcome="failed",
        error=HOSTILE,
        input={"__proto__": HOSTILE},
        output="</script>" + HOSTILE + "\ud800\u202e",
        calls=[call],
        tags=[HOSTILE],
    )
    page = tmp_path / "page.html"
    made = html.render(run([test], metrics=summarize([test])), answers={test.case: [HOSTILE]})
    page.write_text(made, encoding="utf-8")
    reader.open(page)
    for summary in reader.page.locator("summary").all():
        summary.click()
    assert HOSTILE in reader.detail()
    assert reader.page.locator("#detail script, #detail img, #list script, #list img").count() == 0
    assert reader.page.locator("script").count() == 2 + 3  # the data, the loader, and what it unpacked


def test_what_is_unpacked_is_what_was_packed(reader, tmp_path):
    draw = random.Random(8)
    letters = [
        "a",
        "b",
        " ",
        "\n",
        "é",
        "字",
        "😀",
        "\ue000",
        "\x1e",
        "\x1f",
        "\x1f0\x1f",
        "\u2028",
        "\x00",
        "<",
        "</script>",
    ]
    words = ["the", "answer", "quotes", "nothing", "répond", "ответ", HOSTILE]

    def texts():
        yield "same of all of them, and longer than short texts are"
        yield "x" * draw.randrange(3000)
        yield "".join(draw.choices(letters, k=draw.randrange(200)))
        yield " ".join(draw.choices(words, k=draw.randrange(200)))

    tests = []
    for number in range(400):
        prompt, answer, third, fourth = draw.sample([*texts()], 4)
        value = draw.choice([0, 1, -1, 0.5, 1e-9, 123456, 1e20, None])
        status = "ok" if value is not None else "unscored"
        tests.append(
            trial(
                f"t.py::test[{number}]",
                {"__proto__": Measurement(value=value, status=status, reason=third), "toString": 1.0},
                input=prompt,
                output=answer,
                calls=[Call(provider="p", api="a", text=fourth, request={"messages": [prompt + answer, prompt]})],
            )
        )
    page = tmp_path / "page.html"
    page.write_bytes(html.render(run(tests, metrics=summarize(tests))).encode("utf-8", "replace"))
    reader.open(page)
    shown = json.loads(reader.page.evaluate("JSON.stringify(llmopsRun.cases.map(({name, trials}) => [name, trials]))"))
    assert len(shown) == len(tests)
    for (name, [one]), test in zip(shown, tests, strict=True):
        assert name == test.case
        assert (one["input"], one.get("output")) == (test.input, test.output)
        measured = one["measurements"]["__proto__"]
        assert (measured.get("value"), measured["reason"]) == (
            test.measurements["__proto__"].value,
            test.measurements["__proto__"].reason,
        )
        assert one["calls"][0]["text"] == test.calls[0].text
        assert one["calls"][0]["request"] == test.calls[0].request


@pytest.mark.parametrize("length", [350, 700])
def test_a_thousand_cases_are_usable_in_a_second(reader, tmp_path, length):
    """Answers that nobody wrote before: repeated ones would make a small page of anything."""
    now, stored, answers = made_up_run.compared(1000, answers=length)
    html.render(run([]))  # the imports
    took = []
    while not took or (took[-1] >= 1 and len(took) < 4):  # the machine may be busy: the best of some
        begin = time.process_time()
        made = html.render(now, baseline=stored, answers=answers)
        took.append(time.process_time() - begin)
    assert took[-1] < 1, took
    assert len(made.encode()) < 500 * 1024
    page = tmp_path / "page.html"
    page.write_text(made, encoding="utf-8")
    ready = []
    for _ in range(6):  # the machine may be busy: the best of some
        reader.open(page)
        reader.page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        ready.append(reader.page.evaluate("performance.now()"))
        if ready[-1] < 1000:
            break
    assert min(ready) < 1000, ready
    assert "null" not in reader.detail()
    assert reader.page.locator("#count").inner_text() == "1,000 of 1,000 cases"
    searched = reader.page.evaluate(
        """() => {
            const begin = performance.now();
            document.getElementById('search').value = 'case-99 the';
            document.getElementById('outcome').onchange();
            return performance.now() - begin;
        }"""
    )
    assert searched < 500
    assert all("case-99" in name for name in reader.names())
    reader.page.keyboard.press("Escape")
    for _ in range(160):  # from the case that was found, and beyond the first piece of the list
        reader.page.keyboard.press("j")
    assert reader.page.locator("#list [aria-current=true] .name").text_content() == "test_support[case-259]"


def test_the_safety_section(reader, tmp_path):
    def risk(value):
        return Measurement(value=value, source="judge", direction="lower", stage="output", reason=HOSTILE)

    fired = GuardrailUse(name="pii", stage="input", action="blocked", source="builtin", reason="personal data: 1 cpf")
    tests = [
        trial("safe", {"safety.bias": risk(0.1)}, tags=["jailbreak"]),
        trial("risky", {"safety.bias": risk(0.9)}, tags=["LLM02"], outcome="failed"),
        trial("blocked", {}, guardrails=[fired], tags=["LLM02"]),
    ]
    made = run(tests, metrics=summarize(tests), safety=safety.summarize(tests))
    page = tmp_path / "page.html"
    page.write_text(html.render(made), encoding="utf-8")
    reader.open(page)
    section = reader.page.locator("section[aria-labelledby=safety]")
    said = section.inner_text()
    assert "3 tests: 1 safe, 1 blocked at input, 1 let through" in said
    assert section.locator(".limits .bad").all_inner_texts() == [
        "! unsafe inputs: 100.0% of 1 test (20.7%–100.0%), above 10.0%",
        "! unsafe outputs: 50.0% of 2 tests (9.5%–90.5%), above 5.0%",
        "! high risk: 1 of 2 tests let through at 0.8 or more",
    ]
    rows = section.locator("tbody tr")
    assert rows.filter(has_text="safety.bias").first.locator("td").all_inner_texts() == [
        "output", "2", "1 (50.0%)", "0.50", "0.90",
    ]  # fmt: skip
    covered = rows.filter(has_text="Sensitive Information Disclosure")
    assert covered.locator("td").all_inner_texts()[1:4] == ["2", "1", "1"]
    assert "no tests" in rows.filter(has_text="Supply Chain").inner_text()
    assert HOSTILE in section.inner_text()  # the judge's reason, as text
    section.get_by_role("button", name="risky").click()
    assert "test_answers[risky]" in reader.detail()
    reader.page.locator("#list button", has_text="blocked").click()
    assert "blocked, input" in reader.detail()
    assert "personal data: 1 cpf" in reader.detail()


def test_a_run_without_anything_about_safety_has_no_such_section(reader, tmp_path):
    page = tmp_path / "page.html"
    page.write_text(html.render(run([trial("a", {"pass": 1.0})])), encoding="utf-8")
    reader.open(page)
    assert reader.page.locator("section[aria-labelledby=safety]").count() == 0
