"""``cassettes audit --pii``: personal data that is in a cassette and in no dataset.

What a dataset holds was put there on purpose, and reviewed; what a model or an application added was not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_llmops import providers
from pytest_llmops.cassettes import inspection, redaction
from pytest_llmops.cassettes.journal import FOLDER
from pytest_llmops.cassettes.storage import Interaction
from pytest_llmops.cassettes.transfer import to_exchange
from pytest_llmops.checks.guardrails import Span, pii
from pytest_llmops.errors import CassetteError

DATASET_SUFFIXES = frozenset({".jsonl", ".json", ".yaml", ".yml", ".csv"})


@dataclass(frozen=True, slots=True)
class PersonalData:
    """One find.

    Args:
        index: the interaction's number in the file, from 0.
        field: where in it.
        masked: the text around it, itself masked.
    """

    file: Path
    index: int
    field: str
    kind: str
    masked: str

    def __str__(self) -> str:
        return f"{self.file}: interaction {self.index + 1}, {self.field}: {self.kind}: {self.masked}"


def audit(paths: Sequence[Path], datasets: Sequence[Path] = ()) -> tuple[list[PersonalData], int]:
    """Look for personal data in cassettes.

    Args:
        paths: cassette files, or folders of them.
        datasets: dataset files; by default every data file below the folders that hold the ``cassettes`` folders.

    Returns:
        What was found, and how many files were read.
    """
    files = inspection.files(paths)
    known = "\n".join(_text(path) for path in (datasets or _datasets(files)))
    found = []
    for path in files:
        try:
            entries = inspection.interactions(path)
        except CassetteError:
            if path in paths:
                raise
            continue  # other JSON or YAML in a folder
        for index, entry in enumerate(entries):
            found += [PersonalData(path, index, field, kind, masked) for field, kind, masked in _finds(entry, known)]
    return found, len(files)


def _datasets(files: Sequence[Path]) -> list[Path]:
    roots = {parent.parent for path in files for parent in path.absolute().parents if parent.name == "cassettes"}
    return [
        path
        for root in sorted(roots)
        for path in sorted(root.rglob("*"))
        if path.suffix in DATASET_SUFFIXES and not {"cassettes", FOLDER} & set(path.relative_to(root).parts)
    ]


def _text(path: Path) -> str:
    """A data file's text; JSON escapes undone, so that a value is found however it is written there."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise CassetteError(f"{path}: cannot be read: {error.strerror or error}") from None
    return text if "\\u" not in text else text + text.encode("latin-1", "ignore").decode("unicode_escape", "ignore")


def _finds(entry: Interaction, known: str) -> Iterator[tuple[str, str, str]]:
    seen: set[str] = set()
    for field, text in _texts(entry):
        spans = pii.scan(text)
        for span in spans:
            value = text[span.start : span.end]
            if value in seen or value in known:
                continue
            seen.add(value)
            yield field, span.type, _around(text, span, spans)


def _around(text: str, span: Span, spans: Sequence[Span]) -> str:
    """A find in its sentence, with every other find around it masked as well."""
    parts: list[str] = []
    position = begin = 0
    for other in spans:
        if other.start >= position:
            parts += [text[position : other.start], f"[{other.type}]"]
            if other is span:
                begin = sum(map(len, parts[:-1]))
            position = other.end
    masked = "".join([*parts, text[position:]])
    return " ".join(masked[max(0, begin - 20) : begin + len(span.type) + 22].split())


def _texts(entry: Interaction) -> Iterator[tuple[str, str]]:
    """What people and models wrote: the request's strings, and the answer as it is read (streams joined)."""
    yield from redaction.strings(entry["request"].get("body") or {}, "request")
    call = providers.read(to_exchange(entry))
    if call is None:
        yield from redaction.strings(entry["response"].get("body") or {}, "response")
        return
    if call.text:
        yield "response text", call.text
    for tool in call.tool_calls:
        yield from redaction.strings(tool.arguments, f"response {tool.name}()")
