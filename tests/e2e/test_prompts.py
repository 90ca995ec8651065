"""The prompt registry as a user meets it: fixture, marker, command, and a regression that shows the prompt's diff."""

from __future__ import annotations

import json

import pytest

from tests.conftest import Project
from tests.e2e.user import assert_no_traceback, speaking_to, write_app
from tests.standin import StandIn

PROMPTS = """
    prompt_registry:
      prompts:
        - id: support-v1.0.0
          model: gpt-4o-mini
          system_prompt: Be brief.
          user_prompt_template: "Customer: {question}"
          variables:
            - {name: question, validation: "string, max 40 chars", sanitization: strip_html}
        - id: support-v1.1.0
          model: gpt-4o-mini
          system_prompt: Be polite.
          user_prompt_template: "Customer: {question}"
"""

TESTS = """
    import pytest
    from app import ask

    @pytest.mark.llm_eval(prompt="support@1.0", trials=6, threshold=None, gate=["pass", "polite"])
    @pytest.mark.parametrize("n", range(10))
    def test_polite(llm_eval, llm_prompts, n):
        rendered = llm_prompts["support@1.0"].render(question=f"<b>refund</b> {n}")
        answer = llm_eval.run(ask, rendered.system + " " + rendered.user)
        llm_eval.record("polite", "please" in answer.text)
        assert "please" in answer.text
"""


@pytest.fixture
def support(project: Project) -> Project:
    write_app(project)
    project.file("prompts/support.yaml", PROMPTS)
    return project


def test_a_rendered_prompt_is_what_the_model_gets(support, standin):
    support.file(
        "test_it.py",
        """
        import pytest
        from app import ask

        @pytest.mark.llm_eval
        def test_it(llm_eval, llm_prompts):
            rendered = llm_prompts["support@1.0.0"].render(question="<i>late</i> & {x}")
            assert rendered.sanitised == {"question": ("2 HTML tags",)}
            llm_eval.run(ask, rendered.user)

        def test_unmarked(llm_prompts):
            assert list(llm_prompts) == ["support-v1.0.0", "support-v1.1.0"]
            assert llm_prompts["support@latest"].system_prompt == "Be polite."
        """,
    )
    run = support.run("--llm-json=run.json", env=speaking_to(standin))
    assert run.outcomes == {"passed": 2}
    (request,) = standin.requests
    assert request.json["messages"][0]["content"] == "Customer: late & {x}"
    assert run.record is not None
    (test,) = run.record["tests"]
    assert test["prompt"] == "support-v1.0.0"
    assert run.record["fingerprint"]["prompts"] == test["prompts"]
    assert list(test["prompts"]) == ["support-v1.0.0"]


@pytest.mark.parametrize("n", [None, 2])
def test_mistakes_are_failures_without_a_traceback(support, standin, n):
    support.file(
        "test_it.py",
        """
        import pytest

        @pytest.mark.llm_eval(prompt="suport@1")
        def test_marker(llm_eval):
            pass

        @pytest.mark.llm_eval
        def test_variables(llm_eval, llm_prompts):
            llm_prompts["support-v1.0.0"].render(question="x" * 41, qestion="y")
        """,
    )
    run = support.run(env=speaking_to(standin), n=n)
    assert run.outcomes == {"errors": 1, "failed": 1}
    assert "no prompt 'suport@1'" in run.out
    assert "Did you mean 'support'" in run.out
    run.match("*unknown variable 'qestion'. Did you mean 'question'?", "*'question' is too long: 41 characters, at*")
    assert_no_traceback(run)


def test_a_regression_names_the_prompt_and_shows_what_changed(support: Project, standin: StandIn):
    def model(request):
        return "please wait" if "Be brief. Customer" in request["messages"][0]["content"] else "no"

    standin.script(model)
    support.file("test_it.py", TESTS)
    env = speaking_to(standin)
    first = support.run("--llm-baseline=b.json", "--llm-update-baseline", "-q", env=env, n=2)
    assert first.returncode == 0, first.out
    changed = PROMPTS.replace("Be brief.", "Be very brief.")
    support.file("prompts/support.yaml", changed)
    run = support.run("--llm-baseline=b.json", "--llm-record=refresh", "--llm-json=r.json", "-q", env=env)
    assert run.returncode == 1
    run.match(
        "*prompt 'support-v1.0.0' changed since the baseline:",
        "*--- support-v1.0.0 (baseline)",
        "*-  Be brief.",
        "*+  Be very brief.",
    )
    assert run.record is not None
    (change,) = run.record["comparison"]["prompt_changes"]
    assert (change["before"], change["after"]) == ("support-v1.0.0", "support-v1.0.0")


def test_texts_are_kept_out_of_records_where_asked(support, standin):
    support.file("test_it.py", TESTS.replace("range(10)", "range(1)"))
    run = support.run("--llm-json=r.json", "--llm-store-text=false", env=speaking_to(standin))
    assert run.record is not None
    assert run.record["fingerprint"]["prompts"]
    assert run.record["fingerprint"]["prompt_texts"] == {}


def test_the_command(support):
    listed = support.command("prompts", "list")
    listed.match("id *", "support-v1.0.0  1.0.0 *", "support-v1.1.0 *")
    shown = json.loads(support.command("prompts", "show", "support@1.0", "--json").out)
    assert shown["system_prompt"] == "Be brief."
    diff = support.command("prompts", "diff", "support@1.0", "support@1.1")
    assert diff.returncode == 1
    diff.match("-  Be brief.", "+  Be polite.")
    assert support.command("prompts", "validate").returncode == 0
    support.file("prompts/broken.yaml", "- {id: broken, user_prompt_template: x}")
    broken = support.command("prompts", "validate")
    assert broken.returncode == 1
    assert "broken.yaml:1 prompt broken: needs a version" in broken.out
    missing = support.command("prompts", "list", "--dir", "nowhere")
    assert (missing.returncode, missing.out) == (2, "pytest-llmops: nowhere is no folder.\n")


def test_another_folder_by_setting(support, standin):
    (support.path / "prompts").rename(support.path / "texts")
    support.file("pyproject.toml", '[tool.pytest-llmops]\nprompts = "texts"')
    support.file("tests/test_it.py", "def test_it(llm_prompts):\n    assert len(llm_prompts) == 2")
    assert support.run(env=speaking_to(standin)).outcomes == {"passed": 1}
    assert support.command("prompts", "list").returncode == 0
    support.file("pyproject.toml", '[tool.pytest-llmops]\nprompts = "text"')
    run = support.run(env=speaking_to(standin))
    assert run.returncode == 4
    assert "there is no folder" in run.out
