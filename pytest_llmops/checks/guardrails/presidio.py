"""Personal data by Microsoft Presidio's recognisers, without a language model and without the network."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from pytest_llmops.checks.guardrails.outcome import Action, Context, Outcome, Span, Stage, severity_of
from pytest_llmops.errors import SettingsError

if TYPE_CHECKING:
    from presidio_analyzer import AnalyzerEngine


_IMPERSONAL = {"URL", "DATE_TIME", "UUID"}


@dataclass(frozen=True)
class PresidioGuardrail:
    """Triggers on what Presidio's patterns and checksums find; names and places need a model, and are not found.

    Args:
        types: Presidio's entities that count, such as ``EMAIL_ADDRESS``; default all that are about a person.
        threshold: 0..1; Presidio gives phone numbers .4 where no word beside them is looked at.
        language: whose recognisers are used.
    """

    name: str = "pii_presidio"
    stage: Stage = "both"
    types: Collection[str] | None = None
    threshold: float = 0.4
    language: str = "en"
    action: Action = "rewrite"

    def check(self, text: str, context: Context | None = None) -> Outcome:
        """Analyze a text; the reason counts the findings by type and quotes none.

        Raises:
            SettingsError: Presidio is not installed.
        """
        analyzer = _analyzer(self.language)
        entities = (
            set(analyzer.get_supported_entities(self.language)) - _IMPERSONAL if self.types is None else self.types
        )
        found = analyzer.analyze(text, language=self.language, entities=list(entities), score_threshold=self.threshold)
        if not found:
            return Outcome(False)
        spans = tuple(
            Span(one.entity_type.lower(), one.start, one.end, one.score)
            for one in sorted(found, key=lambda one: (one.start, one.end))
        )
        types = [span.type for span in spans]
        counts = ", ".join(f"{types.count(kind)} {kind}" for kind in dict.fromkeys(types))
        score = max(span.score for span in spans)
        return Outcome(True, severity_of(max(score, 0.5)), score, f"Presidio: {counts}", spans, self.action)


@cache
def _analyzer(language: str) -> AnalyzerEngine:
    try:
        import tldextract
        from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
        from presidio_analyzer.nlp_engine import NoOpNlpEngine
        from presidio_analyzer.predefined_recognizers import EmailRecognizer
    except ImportError as error:
        raise SettingsError(
            f"guardrail 'pii_presidio' needs Presidio, and {error.name} is not installed: "
            "pip install 'pytest-llmops[presidio]'. 'pii_detection' needs nothing."
        ) from None
    engine = NoOpNlpEngine([{"lang_code": language, "model_name": "none"}])
    engine.load()
    registry = RecognizerRegistry(supported_languages=[language])
    registry.load_predefined_recognizers(languages=[language])
    registry.remove_recognizer("SpacyRecognizer")  # it would load a model
    domains = tldextract.TLDExtract(cache_dir=None, suffix_list_urls=())  # else it fetches a list at first use
    for recogniser in registry.recognizers:
        if isinstance(recogniser, EmailRecognizer):
            vars(recogniser)["validate_result"] = lambda found: bool(domains(found).fqdn)
    return AnalyzerEngine(registry=registry, nlp_engine=engine, supported_languages=[language])
