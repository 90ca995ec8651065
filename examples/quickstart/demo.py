"""The quickstart, offline: a passing gate, then the regression that a shorter prompt brings. No key, no network."""

import os
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent


def run(title: str, *arguments: str, **environment: str) -> int:
    shown = " ".join([*(f"{name}={value}" for name, value in environment.items()), "pytest", *arguments])
    print(f"\n=== {title}\n$ {shown}\n", flush=True)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    keyless = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
    return subprocess.run(command, cwd=FOLDER, env={**keyless, "CI": "true", **environment}, check=False).returncode


def main() -> int:
    passing = run("The committed prompt: replayed offline, compared with the baseline", "--llm-baseline=baseline.json")
    caught = run(
        "A colleague makes the prompt shorter: every test still passes, the gate does not",
        "--llm-baseline=baseline.json",
        "--llm-cassette-dir=cassettes-shorter",
        SUPPORT_PROMPT="shorter.txt",
    )
    print(f"\nfirst run: exit {passing} (passed), second run: exit {caught} (regression caught)")
    return 0 if (passing, caught) == (0, 1) else 1


if __name__ == "__main__":
    sys.exit(main())
