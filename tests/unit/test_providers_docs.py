"""docs/providers.md shows settings that work."""

import re
from pathlib import Path

from pytest_llmops.providers import detect
from pytest_llmops.providers.reader import DIALECTS
from pytest_llmops.providers.routes import PATHS
from pytest_llmops.settings import load_project

DOCS = Path(__file__).parents[2] / "docs" / "providers.md"


def test_the_settings_shown_are_read(tmp_path: Path) -> None:
    blocks = re.findall(r"```toml\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    project = tmp_path / "pyproject.toml"
    project.write_text("\n".join(blocks), encoding="utf-8")
    settings = load_project(project)
    route = detect("POST", "http://localhost:4000/v1/messages", b"{}", hosts=settings.hosts)
    assert route is not None
    assert route.provider == "anthropic"
    assert settings.prices["openai_compatible:org/model-7b"].cache_read == 0.05


def test_every_dialect_has_a_path_a_reader_and_a_line() -> None:
    text = DOCS.read_text(encoding="utf-8")
    assert {rule.api for rule in PATHS} == set(DIALECTS)
    assert [api for api in DIALECTS if f"`{api}`" not in text] == []
