"""Tags select and share out costs; texts that may not be kept are not; a misspelled gate is told."""

from __future__ import annotations

import pytest

from tests.conftest import Project
from tests.standin import StandIn


@pytest.fixture
def tagged(project: Project) -> Project:
    project.file("cases.jsonl", '{"id": "a", "input": "Zebra?", "tags": ["vip"]}\n{"id": "b", "input": "Yak?"}\n')
    project.file(
        "test_app.py",
        """
        import os
        import httpx, pytest

        def ask(text):
            body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": text}]}
            answer = httpx.post(os.environ["LLM_BASE"] + "/v1/chat/completions", json=body).json()
            return answer["choices"][0]["message"]["content"]

        @pytest.mark.llm_eval(dataset="cases.jsonl", tags=["smoke"], gate=GATE)
        def test_app(llm_eval, llm_case):
            text = llm_eval.run(ask, llm_case.input).text
            assert "Yak" not in text, text

        @pytest.mark.llm_eval
        def test_untagged(llm_eval):
            llm_eval.run(ask, "Third?")
        """.replace("GATE", "None"),
    )
    return project


def test_tags_select_and_share_out_costs(tagged: Project, standin: StandIn) -> None:
    env = {"LLM_BASE": standin.url}
    for words, count in (("smoke", 2), ("vip", 1), ("not smoke", 1)):
        run = tagged.run("-q", "--collect-only", "-k", words, env=env)
        assert run.out.count("test_app.py::") == count, run.out
    run = tagged.run("-q", "--llm-json=run.json", env=env)
    assert run.record is not None
    costs = run.record["cost_by_tag"]
    assert list(costs) == ["smoke", "vip"]
    assert costs["smoke"] > costs["vip"] > 0
    run.match("cost by tag: smoke $*, vip $*")


def test_texts_that_may_not_be_kept_are_not(tagged: Project, standin: StandIn) -> None:
    env = {"LLM_BASE": standin.url}
    kept = tagged.run("-q", "--llm-json=run.json", "--junitxml=junit.xml", env=env)
    assert "Zebra" in tagged.read("run.json")
    assert kept.outcomes["failed"] == 1
    tagged.run("-q", "--llm-json=run.json", "--llm-html=run.html", "-o", "llm_store_text=false", env=env)
    record = tagged.read("run.json")
    for word in ("Zebra", "Yak", "Third"):
        assert word not in record
    assert "llm_store_text" in record


def test_a_misspelled_gate_is_told(tagged: Project, standin: StandIn) -> None:
    env = {"LLM_BASE": standin.url}
    tagged.run("-q", "--llm-baseline=base.json", "--llm-update-baseline", env=env)
    tagged.file("test_app.py", tagged.read("test_app.py").replace("gate=None", 'gate=["pas"]'))
    run = tagged.run("-q", "--llm-baseline=base.json", "-k", "vip", env=env)
    assert run.returncode == 1
    run.match("*'pas' is to gate, but no test records a metric of that name. Did you mean 'pass'?")
