"""A run in its pull request: one comment, the job's summary, annotations. Pure renderings of a View."""

from pytest_llmops.reports.pull_request.annotating import remarks as annotations
from pytest_llmops.reports.pull_request.document import comment, plain, summary
from pytest_llmops.reports.pull_request.view import (
    Annotation,
    BaselineSource,
    Conclusion,
    NeedsRecording,
    View,
    costs,
    failed_before,
    fixed_cases,
    marker,
    root,
)

__all__ = [
    "Annotation",
    "BaselineSource",
    "Conclusion",
    "NeedsRecording",
    "View",
    "annotations",
    "comment",
    "costs",
    "failed_before",
    "fixed_cases",
    "marker",
    "plain",
    "root",
    "summary",
]
