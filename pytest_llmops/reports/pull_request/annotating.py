"""Annotations: remarks in the list of changed files."""

from __future__ import annotations

from pytest_llmops.reports.pull_request.view import Annotation, View


def annotations(view: View, *, most: int = 9) -> list[Annotation]:
    """At most so many remarks; the last one says how many there are besides."""
    return [Annotation(message=f"{view.title}: {view.conclusion}", title=view.title)][:most]
