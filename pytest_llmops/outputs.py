"""The files a run leaves: record, HTML, CTRF, and properties in pytest's own JUnit file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_llmops import carrying

if TYPE_CHECKING:
    from pytest_llmops.baseline import Baseline
    from pytest_llmops.baseline.answers import Answers
    from pytest_llmops.compare import Policy
    from pytest_llmops.configuration import Configuration
    from pytest_llmops.records import RunRecord


def configure(config: pytest.Config, settings: Configuration | None) -> None:
    """Give JUnit's test cases their properties, where pytest writes such a file."""
    if config.getoption("xmlpath", None) and (settings is None or settings.junit_properties):
        config.pluginmanager.register(JUnitProperties(), "llmops-junit")


class JUnitProperties:
    """Hands each record to JUnit's reporter."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Before JUnit's own hook takes the report's properties."""
        record = carrying.taken(report)
        if record is not None:
            from pytest_llmops.reports import junit

            report.user_properties += junit.properties(record)


def stored_answers(settings: Configuration) -> tuple[Answers, str | None]:
    """The baseline's answers, and why there are none where they cannot be read."""
    if settings.baseline is None:
        return {}, None
    from pytest_llmops.baseline import answers
    from pytest_llmops.errors import BaselineError

    try:
        return answers.beside(settings.baseline), None
    except BaselineError as error:
        return {}, str(error)


def write(
    run: RunRecord, settings: Configuration, policy: Policy, *, baseline: Baseline | None, answers: Answers
) -> Iterator[tuple[str, Path, str | None]]:
    """Write every file that was asked for; one that cannot be written keeps none of the others from it.

    Yields:
        (option, file, why it could not be written) of each.
    """
    from pytest_llmops.baseline import save_run
    from pytest_llmops.baseline import write as write_file
    from pytest_llmops.errors import LlmopsError

    def as_html(path: Path) -> None:
        from pytest_llmops.reports import html

        write_file(path, html.render(run, baseline=baseline, answers=answers, policy=policy), "HTML report")

    def as_ctrf(path: Path) -> None:
        from pytest_llmops.reports import ctrf

        write_file(path, ctrf.render(run, policy), "CTRF report")

    writers: tuple[tuple[str, Path | None, Callable[[Path], None]], ...] = (
        ("llm-json", settings.json, lambda path: save_run(path, run)),
        ("llm-html", settings.html, as_html),
        ("llm-ctrf", settings.ctrf, as_ctrf),
    )
    for option, path, writer in writers:
        if path is None:
            continue
        try:
            writer(path)
        except LlmopsError as error:
            yield option, path, str(error)
        else:
            yield option, path, None
