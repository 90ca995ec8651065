"""What the commands share: where they run, how they print, what they take."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from pytest_llmops.errors import did_you_mean

if TYPE_CHECKING:
    from pytest_llmops.compare import Policy
    from pytest_llmops.settings import ProjectSettings


class Parser(argparse.ArgumentParser):
    """A parser that says the closest match of a mistyped command."""

    def error(self, message: str) -> NoReturn:
        """As argparse's own, which only lists what there is."""
        wrong = re.search(r"invalid choice: '(.*?)' \(choose from (.*)\)", message)
        close = did_you_mean(wrong[1], re.findall(r"[\w-]+", wrong[2])) if wrong else ""
        super().error(message + close)


def project(folder: Path | None = None) -> ProjectSettings:
    """The settings of the project around a folder, by default this one."""
    from pytest_llmops.options import find_pyproject
    from pytest_llmops.settings import load_project

    return load_project(find_pyproject(folder or Path.cwd()))


def policy(*, alpha: float | None = None, inconclusive: str | None = None, folder: Path | None = None) -> Policy:
    """The gate's settings as pytest has them in a folder: arguments, environment, ini file, pyproject.toml.

    Args:
        alpha: ``--llm-alpha``; `inconclusive` is ``--llm-inconclusive``.
        inconclusive: see `alpha`.
        folder: default: this one.

    Raises:
        SettingsError: one of them cannot be used.
    """
    from pytest_llmops.checks import calibration
    from pytest_llmops.compare import Policy
    from pytest_llmops.ini_files import ini_settings

    settings, ini = project(folder), ini_settings(folder or Path.cwd())
    return Policy(
        alpha=_setting("alpha", alpha, ini) or 0.05,
        inconclusive=_setting("inconclusive", inconclusive, ini) or "pass",
        min_cases=settings.min_cases,
        metrics=settings.metrics,
        **calibration.required(settings.judge),
    )


def _setting(name: str, argument: object, ini: Mapping[str, str]) -> Any:
    from pytest_llmops.ini_files import flag_in
    from pytest_llmops.options import BY_NAME, resolve

    setting = BY_NAME[name]
    added = os.environ.get("PYTEST_ADDOPTS", "")
    option = argument or flag_in(f"{ini.get('addopts', '')} {added}", setting.flag)
    return resolve(name, option=option, ini=ini.get(setting.ini, ""))


def root() -> Path:
    """The project's folder: that of pyproject.toml, else this one."""
    from pytest_llmops.options import find_pyproject

    file = find_pyproject(Path.cwd())
    return file.parent if file is not None else Path.cwd()


def width() -> int:
    """Columns of the terminal."""
    return shutil.get_terminal_size((80, 24)).columns


def say(text: str) -> None:
    """Print a line of a command's output."""
    sys.stdout.write(text + "\n")


def warn(text: object) -> None:
    """Print a line about what went wrong."""
    sys.stderr.write(f"pytest-llmops: {text}\n")


def share(text: str) -> float:
    """An argument between 0 and 1."""
    from pytest_llmops.options import BY_NAME

    try:
        return float(BY_NAME["alpha"].parse(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
