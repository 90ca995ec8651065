"""YAML as users write it: few types are guessed, and a mistake is told with file and line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pytest_llmops.errors import LlmopsError

_TYPES = {
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    "int": (r"-?(?:0|[1-9][0-9]*)", list("-0123456789")),
    "float": (r"-?(?:0|[1-9][0-9]*)\.[0-9]+(?:[eE][-+]?[0-9]+)?", list("-0123456789")),
    "merge": (r"<<", ["<"]),
}
"""What is no text, with its first characters: ``expected: no`` and ``007`` stay the texts they look like."""


@contextmanager
def opened(text: str, path: Path, error: type[LlmopsError], *, numbers: bool = True) -> Iterator[tuple[Any, Any]]:
    """The loader and the root node (None where there is nothing) of a YAML text, safely loaded.

    Args:
        text: the file's.
        path: for messages.
        error: what a broken file raises, inside the block, too.
        numbers: False leaves them as they are written: version 2.10 is not 2.1.
    """
    import yaml

    too_deep = error(f"{path}:1: YAML that is nested too deeply.")
    loader = _loader(tuple(name for name in _TYPES if numbers or name not in ("int", "float")))(text)
    try:
        yield loader, loader.get_single_node()
    except yaml.MarkedYAMLError as broken:
        mark = broken.problem_mark or broken.context_mark
        line = mark.line + 1 if mark else 1
        if "nesting depth" in str(broken.problem):  # PyYAML 6.0.4 has a limit of its own
            raise too_deep from None
        raise error(f"{path}:{line}: broken YAML: {broken.problem or broken.context}.") from None
    except yaml.reader.ReaderError as broken:
        line = text.count("\n", 0, broken.position) + 1
        raise error(f"{path}:{line}: broken YAML: {broken.reason}.") from None
    except RecursionError:
        raise too_deep from None
    finally:
        loader.dispose()


def _loader(types: tuple[str, ...]) -> Any:
    import yaml

    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    class PlainLoader(base):  # type: ignore[misc]
        yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  # PyYAML reads it from the class

    for name in types:
        pattern, first = _TYPES[name]
        PlainLoader.add_implicit_resolver(f"tag:yaml.org,2002:{name}", re.compile(rf"(?:{pattern})\Z"), first)
    return PlainLoader
