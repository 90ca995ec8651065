import base64
import hashlib
import re
from html.parser import HTMLParser

from pytest_llmops import compare
from pytest_llmops.compare import summarize
from pytest_llmops.records import CaseFinding, Comparison, Measurement
from pytest_llmops.reports import html
from tests.unit.made_up import run, run_of, stored, trial

HOSTILE = "</script><script>alert(1)</script><b onclick=x>"


class Parts(HTMLParser):
    """What a browser would run or fetch."""

    def __init__(self, page):
        super().__init__()
        self.code, self.tags, self.addresses, self.policy = [], [], [], ""
        self._inside = None
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.tags.append(tag)
        self.addresses += [value for name, value in attributes if name in ("src", "href", "action", "data")]
        if given.get("http-equiv") == "Content-Security-Policy":
            self.policy = given["content"]
        assert not any(name.startswith("on") or name == "style" for name in given), given
        self._inside = tag if tag == "style" or (tag == "script" and "type" not in given) else None

    def handle_data(self, data):
        if self._inside:
            self.code.append(data)
            self._inside = None


def test_only_what_the_policy_names_can_run_and_nothing_is_fetched():
    parts = Parts(html.render(run_of({"pass": [1, 0]})))
    assert parts.policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in parts.policy
    assert parts.addresses == []
    assert len(parts.code) == 3
    for source in parts.code:
        digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in parts.policy


def test_what_models_and_users_wrote_is_no_markup():
    test = trial(
        f"t.py::test[{HOSTILE}]",
        {HOSTILE: Measurement(value=1, reason=HOSTILE)},
        output=HOSTILE,
        input=HOSTILE,
        error=HOSTILE,
    )
    made = run([test], metrics=summarize([test]))
    made.fingerprint.models = [HOSTILE]
    made.comparison = Comparison(
        baseline=HOSTILE,
        notes=[HOSTILE],
        findings=[CaseFinding(case=HOSTILE, finding="missing", reason=HOSTILE, fails=True)],
    )
    page = html.render(made, answers={test.case: [HOSTILE]})
    assert HOSTILE not in page
    parts = Parts(page)
    assert parts.tags.count("script") == 2
    assert "b" not in parts.tags


def test_verdicts_stand_on_top_without_any_script():
    before, now = run_of({"pass": [1] * 20}), run_of({"pass": [0] * 20})
    now.metrics = summarize(now.tests)
    now.comparison = compare.compare(stored(before), now)
    page = re.sub(r"<script.*?</script>", "", html.render(now, baseline=stored(before)), flags=re.DOTALL)
    assert "<h1>Gate failed: pass</h1>" in page
    assert '<span class="verdict bad">regressed</span>' in page
    assert "100.0%" in page
    fine = html.render(run_of({"pass": [1] * 20}))
    assert "<h1>20 cases, none failed; not compared with a baseline</h1>" in fine


def test_a_run_of_nothing_has_a_page():
    assert "0 cases, 0 trials" in html.render(run([]))
