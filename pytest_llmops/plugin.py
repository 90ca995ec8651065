"""The pytest plugin: options, marker, fixtures. What costs time is imported when a marked test needs it."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

from pytest_llmops import clock  # noqa: F401 - before a test or a conftest.py freezes it
from pytest_llmops.options import MARKER, SETTINGS, USAGE, find_pyproject, under_ci

if TYPE_CHECKING:
    from pytest_llmops.checks.jury import Judging
    from pytest_llmops.datasets import Case
    from pytest_llmops.evaluation import Evaluation
    from pytest_llmops.guarding import GuardrailSuite
    from pytest_llmops.prompts import Registry
    from pytest_llmops.session import ItemSession


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add every setting as a flag and as its ini twin."""
    group = parser.getgroup("llmops", "LLM evaluations (pytest-llmops)")
    for setting in SETTINGS:
        if setting.switch:
            group.addoption(setting.flag, dest=setting.ini, action="store_true", default=None, help=setting.help)
        else:
            group.addoption(setting.flag, dest=setting.ini, default=None, metavar=setting.metavar, help=setting.help)
        parser.addini(setting.ini, f"as {setting.flag}: {setting.help}", default="")


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Add the hooks that a project may implement."""
    from pytest_llmops import hookspecs

    pluginmanager.add_hookspecs(hookspecs)


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, and what the options ask for."""
    config.addinivalue_line("markers", USAGE)
    config.addinivalue_line(
        "markers",
        'llm_ab(arms={"a": …, "b": …}): run an LLM evaluation with each arm (fixture llm_arm) and compare them; '
        'prefer=["helpfulness"] has a judge compare their answers side by side; takes llm_eval\'s arguments, too',
    )
    config.addinivalue_line("markers", "llm_serial: run this LLM evaluation on its own, never overlapped with others")
    settings = None
    if _is_set_up(config):
        from pytest_llmops.configuration import configuration

        settings = configuration(config)
        if settings.concurrency > 1:
            from pytest_llmops import concurrency

            concurrency.configure(config, settings)
        if any(limit is not None for limit in (settings.budget, settings.max_rpm, settings.max_tpm)):
            from pytest_llmops import limits

            limits.configure(config, settings)
    from pytest_llmops.controller import Controller, WorkerOutput

    if config.getoption("xmlpath", None) and not hasattr(config, "workerinput"):
        from pytest_llmops import outputs

        outputs.configure(config, settings)
    if sys.stdout.isatty() and not under_ci() and (settings is None or settings.record != "none"):
        from pytest_llmops import progress

        progress.configure(config)
    if (file := getattr(config, "workerinput", {}).get("llmops_flying")) is not None:
        from pytest_llmops import flying

        flying.tell(config, file)
    part = WorkerOutput(config) if hasattr(config, "workerinput") else Controller(config, settings, _item_session)
    config.pluginmanager.register(part, "llmops-controller")


def _is_set_up(config: pytest.Config) -> bool:
    """Whether a flag, a variable, an ini line or pyproject.toml speaks to this plugin: mistakes there are told now."""
    if any(config.getoption(s.ini) is not None or config.getini(s.ini) for s in SETTINGS):
        return True
    if any(setting.environment in os.environ for setting in SETTINGS):
        return True
    file = find_pyproject(config.rootpath)
    try:
        return file is not None and b"tool.pytest-llmops" in file.read_bytes()
    except OSError:
        return True


@pytest.hookimpl(trylast=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrise a marked test: one item a case and trial."""
    marker = metafunc.definition.get_closest_marker(MARKER)
    if metafunc.definition.get_closest_marker("llm_ab") is not None:
        from pytest_llmops.ab import parametrize

        marker = parametrize(metafunc, marker)
    if marker is None:
        return
    from pytest_llmops.configuration import configuration
    from pytest_llmops.session import trials_of

    trials = trials_of(metafunc, marker, configuration(metafunc.config).trials)
    if trials is not None:
        metafunc.fixturenames.append("_llm_trial")
        metafunc.parametrize("_llm_trial", trials, ids=[trial.id for trial in trials])


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Register what runs marked tests, where there are any; let ``-k`` select them by tag."""
    marked = [item for item in items if item.get_closest_marker(MARKER)]
    if marked:
        _item_session(config).prepare(marked)
        from pytest_llmops.naming import tags_of

        for item in marked:
            item.extra_keyword_matches.update(tags_of(item))


def _item_session(config: pytest.Config) -> ItemSession:
    plugin: ItemSession | None = config.pluginmanager.get_plugin("llmops-items")
    if plugin is None:
        from pytest_llmops import concurrency
        from pytest_llmops.configuration import configuration
        from pytest_llmops.session import ItemSession

        plugin = ItemSession(config, configuration(config))
        config.pluginmanager.register(plugin, "llmops-items")
        concurrency.support(config, configuration(config))
    return plugin


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """Explain a failed comparison of a score or metric by its reason and the text it is about."""
    if not any(type(side).__module__.startswith("pytest_llmops.checks.") for side in (left, right)):
        return None
    from pytest_llmops.checks.score import explain

    return explain(op, left, right)


@pytest.fixture
def llm_eval(request: pytest.FixtureRequest) -> Evaluation:
    """This test's evaluation: ``run``, ``arun``, ``capture``, ``calls``, ``record``."""
    return _evaluation(request, "llm_eval")


@pytest.fixture
def llm_arm(request: pytest.FixtureRequest) -> Any:
    """The value of the arm that this item runs (``@pytest.mark.llm_ab(arms={"a": …, "b": …})``)."""
    from pytest_llmops.ab import arm_of

    arm = arm_of(request.node)
    if arm is None:
        pytest.fail(
            f'{request.node.nodeid}: llm_arm needs the marker: @pytest.mark.llm_ab(arms={{"a": …, "b": …}})',
            pytrace=False,
        )
    return arm.value


@pytest.fixture
def llm_case(request: pytest.FixtureRequest) -> Case:
    """This item's dataset case: ``id``, ``input``, ``expected``, ``context``, ``metadata``, ``tags``, ``turns``."""
    evaluation = _evaluation(request, "llm_case")
    if evaluation.case is None:
        pytest.fail(
            f"{request.node.nodeid}: llm_case needs a dataset: @pytest.mark.{MARKER}(dataset='cases.jsonl')",
            pytrace=False,
        )
    return evaluation.case


@pytest.fixture
def llm_judge(request: pytest.FixtureRequest) -> Judging:
    """The configured judge (``--llm-judge``): ``score(criterion, text=…)``, ``ascore``."""
    return _evaluation(request, "llm_judge").judge()


@pytest.fixture
def llm_prompts(request: pytest.FixtureRequest) -> Registry:
    """The prompt registry: ``llm_prompts["customer-support@2"].render(question=…)``."""
    plugin: ItemSession | None = request.config.pluginmanager.get_plugin("llmops-items")
    evaluation = plugin.evaluation_of(request.node) if plugin is not None else None
    if evaluation is not None:
        return evaluation.prompt_registry
    from pytest_llmops.configuration import configuration
    from pytest_llmops.prompts import Registry

    project = configuration(request.config).project
    return Registry.near(request.path.parent, project.prompts, request.config.rootpath)


@pytest.fixture
def llm_guardrails(request: pytest.FixtureRequest) -> GuardrailSuite:
    """The configured guardrails: ``llm_guardrails.scan(text)``, ``llm_guardrails["pii_detection"].check(text)``."""
    from pytest_llmops.configuration import configuration
    from pytest_llmops.errors import SettingsError
    from pytest_llmops.extending import extend_guardrails
    from pytest_llmops.guarding import GuardrailSuite

    extend_guardrails(request.config)
    try:
        suite = GuardrailSuite(configuration(request.config).project.guardrails)
    except SettingsError as error:
        pytest.fail(f"{request.node.nodeid}: llm_guardrails: {error}", pytrace=False)
    plugin: ItemSession | None = request.config.pluginmanager.get_plugin("llmops-items")
    suite.evaluation = plugin.evaluation_of(request.node) if plugin is not None else None
    suite.folder = request.path.parent
    return suite


def _evaluation(request: pytest.FixtureRequest, fixture: str) -> Evaluation:
    plugin: ItemSession | None = request.config.pluginmanager.get_plugin("llmops-items")
    evaluation = plugin.evaluation_of(request.node) if plugin is not None else None
    if evaluation is None:
        pytest.fail(
            f"{request.node.nodeid}: the fixture {fixture} needs the marker: @pytest.mark.{MARKER}", pytrace=False
        )
    return evaluation
