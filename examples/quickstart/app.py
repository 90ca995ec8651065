"""A support assistant: the application under test. It knows nothing of pytest-llmops."""

import os
from pathlib import Path

import anthropic

FOLDER = Path(__file__).parent


def answer(question: str) -> str:
    """Answer a customer's question."""
    prompt = FOLDER / "prompts" / os.environ.get("SUPPORT_PROMPT", "support.txt")
    client = anthropic.Anthropic()
    message = client.messages.create(
        model="claude-haiku-4-5",
        max_tokens=300,
        system=prompt.read_text(encoding="utf-8"),
        messages=[{"role": "user", "content": question}],
    )
    return message.content[0].text
