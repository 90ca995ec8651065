"""The prompt registry: versioned prompts in files, rendered with checked variables. docs/prompts.md."""

from pytest_llmops.prompts.model import GuardrailSpec, Prompt, RenderedPrompt
from pytest_llmops.prompts.registry import Registry
from pytest_llmops.prompts.variables import Variable
from pytest_llmops.prompts.versions import Version

__all__ = ["GuardrailSpec", "Prompt", "Registry", "RenderedPrompt", "Variable", "Version"]
