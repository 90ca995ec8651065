"""A loopback stand-in for LLM providers: real sockets, scripted answers, nothing but the standard library.

    with StandIn(latency_s=0.05) as standin:
        standin.script("Paris.", Reply(status=429, headers={"retry-after": "1"}), lambda request: request["model"])
        client = openai.OpenAI(base_url=f"{standin.url}/v1", api_key="placeholder")

Speaks OpenAI chat completions, responses and embeddings (also under Azure's deployment paths), Anthropic messages and
Ollama chat, whole and streamed. Unscripted, it echoes the last user message. ``python -m tests.standin`` runs it alone.
"""

from tests.standin.reply import Reply, ToolCall
from tests.standin.server import Received, StandIn

__all__ = ["Received", "Reply", "StandIn", "ToolCall"]
