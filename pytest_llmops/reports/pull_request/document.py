"""The comment and the job's summary."""

from __future__ import annotations

from pytest_llmops.reports.pull_request.neutral import inline
from pytest_llmops.reports.pull_request.view import View, marker

COMMENT_LIMIT = 65_536
SUMMARY_LIMIT = 2**20


def comment(view: View, *, limit: int = COMMENT_LIMIT) -> str:
    """The comment in GitHub's Markdown, within so many characters (UTF-16 units), ending with its marker."""
    return f"### {inline(view.title)}: {view.conclusion}\n\n{marker(view.comment_id)}\n"[:limit]


def summary(view: View, *, limit_bytes: int = SUMMARY_LIMIT) -> str:
    """The job's summary in GitHub's Markdown, within so many bytes of UTF-8."""
    return f"### {inline(view.title)}: {view.conclusion}\n"[:limit_bytes]
