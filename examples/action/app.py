"""A support assistant: the application under test. It knows nothing of pytest-llmops."""

from pathlib import Path

import anthropic

PROMPT = Path(__file__).parent / "prompts" / "support.txt"


def answer(question: str) -> str:
    """Answer a customer's question."""
    client = anthropic.Anthropic()
    message = client.messages.create(
        model="claude-haiku-4-5",
        max_tokens=300,
        system=PROMPT.read_text(encoding="utf-8"),
        messages=[{"role": "user", "content": question}],
    )
    return message.content[0].text
