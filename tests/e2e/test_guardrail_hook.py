"""A project's own guardrails, brought by the hook of its conftest.py or plugin, as users write them."""

from __future__ import annotations

import pytest

from tests.e2e.user import assert_no_traceback

CONFTEST = """
    from pytest_llmops.checks.guardrails import Outcome

    class NoPrices:
        name = "no_prices"
        stage = "output"
        action = "block"

        def check(self, text, context=None):
            hit = "€" in text
            return Outcome(hit, "medium" if hit else "none", float(hit), "a price" if hit else "", action="block")

    class NoShouting:
        name = "no_shouting"
        stage = "both"

        def __init__(self, share=0.5):
            self.share = share

        def check(self, text, context=None):
            return Outcome(text.isupper(), "low", 1.0, "capitals")

    def pytest_llmops_guardrails(config):
        return [NoPrices(), NoShouting]
"""
PROMPTS = """
    - id: support-v1.0.0
      user_prompt_template: "{question}"
      guardrails:
        output: [no_prices]
"""
TESTS = """
    import pytest
    from pytest_llmops import PromptTestSuite

    @pytest.mark.llm_eval
    def test_of_a_prompt():
        result = PromptTestSuite("support", app=lambda text: "It is 5 €.").run("how much?")
        assert (result.guardrail_triggered, result.blocked_at) == ("no_prices", "output")

    @pytest.mark.llm_eval
    def test_of_a_suite():
        suite = PromptTestSuite("support", app=str.lower, guardrails=["no_shouting"])
        assert suite.run("HELP").blocked_at == "input"
        assert suite.run("help").guardrail_triggered is None

    @pytest.mark.llm_eval(measure=["no_prices", "no_shouting"])
    def test_measured(llm_eval):
        llm_eval.run(lambda: "5 € each")

    def test_by_name(llm_guardrails):
        assert llm_guardrails["no_shouting"].check("HELP").triggered
        assert llm_guardrails["no_shouting"].share == 0.5
"""


@pytest.fixture
def guarded(project):
    project.file("conftest.py", CONFTEST)
    project.file("prompts/p.yaml", PROMPTS)
    project.file("test_it.py", TESTS)
    return project


@pytest.mark.parametrize("n", [None, 2])
def test_known_by_name_everywhere(guarded, n):
    run = guarded.run("--llm-json=r.json", n=n)
    assert run.outcomes == {"passed": 4}, run.out
    (test,) = [one for one in run.record["tests"] if one["id"].endswith("test_measured")]
    assert {name: test["measurements"][name]["value"] for name in ("no_prices", "no_shouting")} == {
        "no_prices": 1, "no_shouting": 0,
    }  # fmt: skip
    assert test["measurements"]["no_prices"]["source"] == "guardrail"


def test_scanned_with_where_the_settings_name_them(guarded):
    guarded.file("pyproject.toml", '[tool.pytest-llmops]\nguardrails = ["no_prices", "pii_detection"]\n')
    guarded.file(
        "test_it.py",
        """
        def test_it(llm_guardrails):
            assert list(llm_guardrails.scan("5 €, ana@example.com")) == ["no_prices", "pii_detection"]
            assert llm_guardrails.protect("5 €").blocked_by == "no_prices"
        """,
    )
    run = guarded.run()
    assert run.outcomes == {"passed": 1}, run.out


def test_a_mistyped_name_is_told_with_the_closest(guarded):
    guarded.file("test_it.py", TESTS.replace('guardrails=["no_shouting"]', 'guardrails=["no_shoutin"]'))
    run = guarded.run()
    run.match("*no guardrail is named 'no_shoutin'. Did you mean 'no_shouting'?")
    assert run.outcomes == {"passed": 3, "failed": 1}
    assert_no_traceback(run)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            "[NoPrices(), NoPrices()]",
            "two guardrails are named 'no_prices': of conftest.NoPrices, and of conftest.NoP*",
        ),
        (
            '[type("Pii", (NoPrices,), {"name": "pii_leak"})]',
            "guardrail 'pii_leak' of *Pii: a built-in one has that name*",
        ),
        ("NoPrices()", "the hook pytest_llmops_guardrails gave <conftest.NoPrices object *: expected a list*"),
        ("[object()]", "*gave builtins.object, which is no guardrail: it needs name, stage and check(text, context)."),
    ],
)
def test_mistakes_in_the_hook_are_told(guarded, given, message):
    guarded.file("conftest.py", CONFTEST.replace("[NoPrices(), NoShouting]", given))
    run = guarded.run()
    assert run.outcomes["failed"] >= 3, run.out
    run.match(f"*{message}")
    assert_no_traceback(run)


def test_a_name_that_a_package_has_taken_is_told(guarded):
    guarded.file("prices-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: prices\nVersion: 1.0\n")
    guarded.file("prices-1.0.dist-info/entry_points.txt", "[pytest_llmops.guardrails]\nno_prices = prices:Guard\n")
    run = guarded.run(env={"PYTHONPATH": f"{guarded.path}"})
    run.match("*two guardrails are named 'no_prices': of conftest.NoPrices, and of prices:Guard. Rename one of them.")


def test_a_hook_with_a_mistyped_name_is_told_by_pytest(guarded):
    guarded.file("conftest.py", CONFTEST.replace("def pytest_llmops_guardrails", "def pytest_llmops_guardrail"))
    run = guarded.run()
    assert run.returncode != 0
    run.match("*unknown hook 'pytest_llmops_guardrail'*")
