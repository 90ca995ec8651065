"""Metrics that need no judge, as parts of a Result and of its Evaluation."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from pytest_llmops.errors import JudgeError
from pytest_llmops.records import Measurement
from pytest_llmops.scanning import Assessed, Assessing

if TYPE_CHECKING:
    from pytest_llmops.checks.embeddings import Embedder
    from pytest_llmops.checks.score import Measured
    from pytest_llmops.checks.similarity import Similarity
    from pytest_llmops.checks.style import Style
    from pytest_llmops.datasets import Case
    from pytest_llmops.settings import ProjectSettings


class Compared(Assessed):
    """The part of a Result that is measured without a judge."""

    _evaluation: Comparing
    _suffix: str
    output: Any

    @property
    def style(self) -> Style:
        """Length, readability, shouting and phrases of the text, offline (docs/metrics.md)."""
        from pytest_llmops.checks.style import style

        return style(self.text or "")

    def metric(self, name: str, expected: Any = None, *, embeddings: Any = None) -> Measured:
        """Measure by a metric that needs no judge, 0..1, and record it (docs/metrics.md).

        Args:
            name: ``exact``, ``bleu``, ``rougeL``, ``similarity``, ``hit@3``, ``ndcg@10`` and the like.
            expected: in place of the case's: a text, texts of which the best counts, a schema, or relevant ids.
            embeddings: for ``semantic_similarity``, in place of the settings': ``"provider:model"``,
                ``"model2vec:PATH"``, or a function of a text.

        Raises:
            SettingsError: no such metric, or something that it needs is missing.
            JudgeError: embeddings failed; recorded as status ``error``.
        """
        __tracebackhide__ = True
        return self._evaluation.metric(self, name, expected, embeddings)

    def similarity(self, text: str, *, embeddings: Any = None) -> Similarity:
        """How similar the text reads to another, 0..1; 0 where numbers, dates or negations differ. Recorded.

        Args:
            text: the other.
            embeddings: compares by meaning in place of wording, as ``semantic_similarity``: True (the settings'),
                ``"provider:model"``, ``"model2vec:PATH"``, or a function of a text.
        """
        __tracebackhide__ = True
        if not embeddings:
            return cast("Similarity", self.metric("similarity", text))
        by = None if embeddings is True else embeddings
        return cast("Similarity", self.metric("semantic_similarity", text, embeddings=by))

    async def asimilarity(self, text: str, *, embeddings: Any = True) -> Similarity:
        """`similarity` by embeddings, without blocking the running loop."""
        __tracebackhide__ = True
        return await asyncio.to_thread(self.similarity, text, embeddings=embeddings)


class Comparing(Assessing):
    """The part of an Evaluation that measures results without a judge."""

    project: ProjectSettings
    case: Case | None
    measurements: dict[str, Measurement]

    def metric(self, result: Compared, name: str, expected: Any, embeddings: Any = None) -> Measured:
        """`Result.metric`."""
        __tracebackhide__ = True
        from pytest_llmops.checks import metrics

        case = self.case
        given = metrics.Given(
            text=result.text,
            output=result.output,
            expected=expected if expected is not None else (case.expected if case else None),
            context=case.context if case else (),
            metadata=(case.metadata or {}) if case and expected is None else {},
            embedder=self._embedder(embeddings),
        )
        try:
            measured = metrics.measure(name, given)
        except JudgeError as error:
            self.measurements[name + result._suffix] = Measurement(status="error", reason=str(error), source="library")
            raise
        self.measurements[name + result._suffix] = Measurement(
            value=float(measured),
            reason=measured.reason,
            source="library",
            kind=metrics.kind_of(name),
            definition=getattr(measured, "definition", None),
        )
        return measured

    def _embedder(self, embeddings: Any) -> Callable[[], Embedder] | None:
        chosen = self.project.embeddings
        if embeddings is None and chosen is None:
            return None

        def make() -> Embedder:
            from pytest_llmops.checks.embeddings import Embedder

            if embeddings is not None or chosen is None:
                return Embedder(embeddings)
            return Embedder(chosen.model, base_url=chosen.base_url, timeout_s=chosen.timeout)

        return make
