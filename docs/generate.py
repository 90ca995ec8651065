"""Write the generated parts of docs/; with ``--check`` only say what is out of date (exit 1)."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from pytest_llmops.records import RunRecord

DOCS = Path(__file__).parent


def run_record_schema() -> str:
    """The JSON schema of ``--llm-json``'s file."""
    schema = RunRecord.model_json_schema(by_alias=True, mode="serialization")
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


GENERATED = {"run-record.schema.json": run_record_schema}


def main() -> int:
    """Generate or check."""
    stale = []
    for name, generate in GENERATED.items():
        path, text = DOCS / name, generate()
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        if "--check" in sys.argv[1:]:
            stale.append(f"docs/{name} is out of date: make docs")
        else:
            path.write_text(text, encoding="utf-8")
            print(f"wrote docs/{name}")
    print(*stale, sep="\n", end="\n" if stale else "")
    return 1 if stale else 0


if __name__ == "__main__":
    raise SystemExit(main())
