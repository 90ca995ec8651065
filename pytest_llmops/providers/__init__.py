"""Which LLM provider and dialect an exchange speaks, and what its call was: `detect`, `read`.

A dialect is one file: how its whole answers, its events and its requests are read into one shape (`answer.Answer`).
Hosts and paths are rows in `routes`; how streams are cut into events is `framing`'s.
"""

from pytest_llmops.providers.reader import read
from pytest_llmops.providers.routes import Route, detect

__all__ = ["Route", "detect", "read"]
