"""Languages by lingua: an extra, by a setting; the same promises as without it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pytest_llmops.checks import language_lingua
from pytest_llmops.checks.language import detect
from pytest_llmops.errors import SettingsError
from tests.unit.test_language import PHRASES


def test_without_lingua_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "lingua", None)
    language_lingua._detector.cache_clear()
    with pytest.raises(SettingsError, match=r"pip install 'pytest-llmops\[lingua\]'"):
        detect("Where is my order of yesterday?", ("en", "pt"), detector="lingua")


def test_interface_phrases():
    pytest.importorskip("lingua")
    right = [detect(text, detector="lingua").code == language for language, text in PHRASES]
    assert sum(right) >= 0.98 * len(PHRASES)


def test_short_texts_declared_ones_and_single_languages():
    pytest.importorskip("lingua")
    assert detect("Ajuda", detector="lingua").code == "und"
    assert detect("Onde está o meu pedido de ontem?", ("pt", "es"), declared="pt-BR", detector="lingua").code == "pt-BR"
    assert detect("Where is my order of yesterday?", ("en",), detector="lingua").code == "en"
    with pytest.raises(SettingsError, match="'xx' is unknown to lingua"):
        detect("Where is my order of yesterday?", ("en", "xx"), detector="lingua")


def test_nothing_is_loaded_before_it_is_asked_for():
    program = "import sys\nfrom pytest_llmops.checks.language import detect\ndetect('a b c d e')\n"
    program += "print('lingua' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
