"""Metrics that need no model: of texts against an expected one, of what was retrieved, of citations.

Plain functions for use in tests, and a table by name for ``result.metric(name)`` and the marker's ``measure``.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from pytest_llmops.checks.score import Measured
from pytest_llmops.errors import SettingsError, did_you_mean
from pytest_llmops.registry import MetricKind

if TYPE_CHECKING:
    from pydantic import BaseModel

    from pytest_llmops.checks.embeddings import Embedder

_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_SENTENCE = re.compile(r"[^.!?。！？\n]+(?:[.!?。！？]+(?=\s|$)|[。！？]|\n|$|[.!?])(?:\s*\[[^\]\n]{1,60}\])*")
_CITATION = re.compile(r"\[([^\]\n]{1,60})\]")


# -- texts --------------------------------------------------------------------------------------------------------


def exact(text: str, expected: str) -> Measured:
    """1 where the texts are equal but for white space around them."""
    return _yes_no("exact", text.strip() == expected.strip(), text, f"expected {_short(expected)!r}")


def contains(text: str, expected: str) -> Measured:
    """1 where `text` contains `expected`, in any case."""
    return _yes_no("contains", expected.casefold() in text.casefold(), text, f"expected {_short(expected)!r} in it")


def regex(text: str, pattern: str) -> Measured:
    """1 where `pattern` is found in the text (``re.search``).

    Raises:
        SettingsError: it is no regular expression.
    """
    try:
        found = re.search(pattern, text)
    except re.error as error:
        raise SettingsError(f"regex: {pattern!r} is no regular expression: {error}.") from None
    return _yes_no("regex", found is not None, text, f"expected a match of {_short(pattern)!r}")


def json_schema(text: str, schema: Mapping[str, Any] | type[BaseModel]) -> Measured:
    """1 where the whole text is JSON that fits a JSON schema or a pydantic model; the reason says where it does not.

    Raises:
        SettingsError: the schema is none, or the extra ``[text]`` is missing (JSON schemas only).
    """
    from pydantic import ValidationError

    if isinstance(schema, type):
        try:
            schema.model_validate_json(text)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False)[0]
            return _yes_no("json_schema", False, text, f"{'.'.join(map(str, first['loc'])) or 'text'}: {first['msg']}")
        return _yes_no("json_schema", True, text, f"fits {schema.__name__}")
    jsonschema = _extra("jsonschema")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        return _yes_no("json_schema", False, text, f"it is no JSON: {error}")
    validator = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
    try:
        validator.check_schema(schema)
    except jsonschema.SchemaError as error:
        raise SettingsError(f"json_schema: the schema is none: {error.message}") from None
    wrong = jsonschema.exceptions.best_match(validator(schema).iter_errors(document))
    why = "fits the schema" if wrong is None else f"{wrong.json_path}: {_short(wrong.message)}"
    return _yes_no("json_schema", wrong is None, text, why)


def levenshtein(text: str, expected: str) -> Measured:
    """1 - edit distance / length of the longer text."""
    from rapidfuzz.distance import Levenshtein

    distance = Levenshtein.distance(text, expected)
    value = Levenshtein.normalized_similarity(text, expected)
    return Measured(value, name="levenshtein", text=text, reason=f"{distance} edits from {_short(expected)!r}")


def bleu(text: str, expected: str) -> Measured:
    """Sentence BLEU by sacrebleu, 0..1, with effective order; by character in Chinese, Japanese and Korean."""
    sacrebleu = _extra("sacrebleu")
    tokenize = "char" if _CJK.search(expected) else "13a"
    score = sacrebleu.sentence_bleu(text, [expected], use_effective_order=True, tokenize=tokenize)
    return Measured(min(1.0, score.score / 100), name="bleu", text=text, reason=f"against {_short(expected)!r}")


def chrf(text: str, expected: str) -> Measured:
    """chrF2 by sacrebleu, 0..1."""
    score = _extra("sacrebleu").sentence_chrf(text, [expected])
    return Measured(min(1.0, score.score / 100), name="chrf", text=text, reason=f"against {_short(expected)!r}")


def rouge(text: str, expected: str, kind: Literal["1", "2", "L"] = "L") -> Measured:
    """ROUGE F1 by rouge-score; words in any script, characters in Chinese, Japanese and Korean."""
    name = f"rouge{kind}"
    # Its own tokenizer knows a-z only, and scores everything else 0.
    scorer = _extra("rouge_score.rouge_scorer").RougeScorer([name], tokenizer=_Words())
    score = scorer.score(expected, text)[name].fmeasure
    return Measured(score, name=name, text=text, reason=f"against {_short(expected)!r}")


class _Words:
    def tokenize(self, text: str) -> list[str]:
        return re.findall(rf"{_CJK.pattern}|[^\W_{_CJK.pattern[1:-1]}]+", text.casefold())


# -- retrieval ----------------------------------------------------------------------------------------------------


def hit_at_k(retrieved: Sequence[str], relevant: Iterable[str], k: int) -> Measured:
    """1 where one of the first `k` is relevant."""
    wanted = _relevant(relevant)
    found = [one for one in retrieved[:k] if one in wanted]
    return _yes_no(f"hit@{k}", bool(found), "", f"relevant among the first {k}: {_listed(found)}")


def recall_at_k(retrieved: Sequence[str], relevant: Iterable[str], k: int) -> Measured:
    """Share of the relevant that is among the first `k`."""
    wanted = _relevant(relevant)
    found = wanted & set(retrieved[:k])
    missing = sorted(map(str, wanted - found))
    return Measured(len(found) / len(wanted), name=f"recall@{k}", reason=f"missing: {_listed(missing)}")


def mrr(retrieved: Sequence[str], relevant: Iterable[str]) -> Measured:
    """1 / rank of the first relevant one (reciprocal rank; its mean over cases is the MRR); 0 without any."""
    wanted = _relevant(relevant)
    rank = next((i for i, one in enumerate(retrieved, 1) if one in wanted), None)
    reason = f"first relevant at rank {rank}" if rank else f"none relevant among {len(retrieved)}"
    return Measured(1 / rank if rank else 0.0, name="mrr", reason=reason)


def ndcg(retrieved: Sequence[str], relevant: Mapping[str, float] | Iterable[str], k: int | None = None) -> Measured:
    """Normalised discounted cumulative gain of the first `k` (all by default); what is retrieved twice counts once.

    Args:
        retrieved: best first.
        relevant: with gains ≥ 0, or each of gain 1.
        k: how many count.
    """
    gains = dict(relevant) if isinstance(relevant, Mapping) else dict.fromkeys(_relevant(relevant), 1.0)
    unusable = [gain for gain in gains.values() if not 0 <= gain < math.inf]
    if unusable or not any(gains.values()):
        raise SettingsError(f"ndcg: gains must be numbers ≥ 0, and one above: got {gains}.")
    name, unique = ("ndcg" if k is None else f"ndcg@{k}"), list(dict.fromkeys(retrieved))
    got = _discounted([gains.get(one, 0.0) for one in unique[:k]])
    best = _discounted(sorted(gains.values(), reverse=True)[:k])
    return Measured(got / best, name=name, reason=f"gain {got:.3g} of {best:.3g}")


def _discounted(gains: Iterable[float]) -> float:
    return sum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, 1))


def citation_coverage(text: str, sources: int | Iterable[str]) -> Measured:
    """Share of sentences that cite an existing source, as ``[1]`` or ``[1, 3]`` or ``[handbook]``.

    Args:
        text: the answer; questions and sentences of less than four words need no citation.
        sources: how many there are, numbered from 1, or their names.
    """
    known = {str(i) for i in range(1, sources + 1)} if isinstance(sources, int) else {str(one) for one in sources}
    claims = [one.strip() for one in _SENTENCE.findall(text)]
    claims = [
        one for one in claims if not one.rstrip().endswith(("?", "？")) and len(_Words().tokenize(_uncited(one))) > 3
    ]
    cited = {one: {part.strip() for found in _CITATION.findall(one) for part in found.split(",")} for one in claims}
    backed = [one for one in claims if cited[one] & known]
    invented = sorted({name for names in cited.values() for name in names} - known)
    reason = f"{len(backed)} of {len(claims)} sentences cite a source"
    if invented:
        reason += f"; no such source: {_listed(invented)}"
    return Measured(len(backed) / len(claims) if claims else 1.0, name="citation_coverage", text=text, reason=reason)


def _uncited(sentence: str) -> str:
    return _CITATION.sub(" ", sentence)


def _relevant(relevant: Iterable[str]) -> set[str]:
    wanted = set(relevant)
    if not wanted:
        raise SettingsError("retrieval metrics need at least one relevant document.")
    return wanted


# -- by name ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Given:
    """What a metric by name may draw on: a result and its case."""

    text: str | None
    output: Any = None
    expected: Any = None
    context: Sequence[str] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    embedder: Callable[[], Embedder] | None = None
    """Makes the one that the settings name, for ``semantic_similarity``."""


def known(name: str) -> bool:
    """Whether a metric of this name is here."""
    return name in _TEXT or name in _OTHERS or (_RANKED.fullmatch(name) is not None)


def names() -> tuple[str, ...]:
    """The metrics, without those that end in ``@k``."""
    return (*_TEXT, *_OTHERS)


def kind_of(name: str) -> MetricKind:
    """How it is compared: shares of yes as ``rate``, the rest as ``score``."""
    return "rate" if name.partition("@")[0] in ("exact", "contains", "regex", "json_schema", "hit") else "score"


def measure(name: str, given: Given) -> Measured:
    """A metric by its name.

    Args:
        name: ``exact``, ``contains``, ``regex``, ``json_schema``, ``levenshtein``, ``bleu``, ``chrf``, ``rouge1``,
            ``rouge2``, ``rougeL``, ``similarity``, ``semantic_similarity``, ``hit@3``, ``recall@3``, ``mrr``, ``ndcg``,
            ``ndcg@10``, ``citation_coverage``.
        given: an expected list counts by its best member (texts), or is the relevant documents (retrieval).

    Raises:
        SettingsError: no such metric, or something that it needs is missing.
    """
    if name in _TEXT:
        return _best(name, given)
    if name == "json_schema":
        schema = given.metadata.get("json_schema", given.expected)
        if not isinstance(schema, Mapping | type):
            raise _missing(name, "a JSON schema or a pydantic model")
        return json_schema(_text(name, given), schema)
    if name == "citation_coverage":
        sources = given.metadata.get("sources", len(given.context))
        if not sources:
            raise _missing(name, "sources: the case's context, or a list in its metadata")
        return citation_coverage(_text(name, given), sources)
    ranked = _RANKED.fullmatch(name)
    if ranked is None:
        raise SettingsError(f"no metric is named {name!r}.{did_you_mean(name, [*_TEXT, *_OTHERS, 'hit@3', 'ndcg@10'])}")
    return _retrieval(ranked["name"] or ranked["plain"], int(ranked["k"]) if ranked["k"] else None, given)


_TEXT: Mapping[str, Callable[[str, str], Measured]] = {
    "exact": exact,
    "contains": contains,
    "regex": regex,
    "levenshtein": levenshtein,
    "bleu": bleu,
    "chrf": chrf,
    "rouge1": lambda text, expected: rouge(text, expected, "1"),
    "rouge2": lambda text, expected: rouge(text, expected, "2"),
    "rougeL": rouge,
    "similarity": lambda text, expected: _similarity(text, expected),
    "semantic_similarity": lambda text, expected: _similarity(text, expected),
}
_OTHERS = ("json_schema", "citation_coverage", "mrr", "ndcg")
_RANKED = re.compile(r"(?P<name>hit|recall|ndcg)@(?P<k>[1-9]\d{0,3})|(?P<plain>mrr|ndcg)")


def _best(name: str, given: Given) -> Measured:
    expected = given.metadata.get("regex", given.expected) if name == "regex" else given.expected
    options = [expected] if isinstance(expected, str) else expected
    if not isinstance(options, Sequence) or not options or not all(isinstance(one, str) for one in options):
        raise _missing(name, "an expected text (the case's, or expected=…), or a list of them")
    text, by = _text(name, given), _TEXT[name]
    if name == "semantic_similarity":
        if given.embedder is None:
            raise _missing(name, "embeddings: [tool.pytest-llmops.embeddings] model = …, or embeddings=…")
        by = partial(_similarity, embedder=given.embedder())
    return max((by(text, one) for one in options), key=float)


def _similarity(text: str, expected: str, embedder: Embedder | None = None) -> Measured:
    from pytest_llmops.checks.similarity import similarity

    return similarity(text, expected, embedder)


def _retrieval(name: str, k: int | None, given: Given) -> Measured:
    retrieved = given.output.get("retrieved") if isinstance(given.output, Mapping) else given.output
    if isinstance(retrieved, str) or not isinstance(retrieved, Sequence):
        raise _missing(name, "what was retrieved: the run's output, a list of ids or a dict with 'retrieved'")
    relevant = given.metadata.get("relevant", given.expected)
    if isinstance(relevant, str):
        relevant = [relevant]
    if not isinstance(relevant, Sequence | Mapping | frozenset | set) or not relevant:
        raise _missing(name, "relevant ids: the case's expected, or 'relevant' in its metadata")
    if name == "hit":
        return hit_at_k(retrieved, relevant, k or 1)
    if name == "recall":
        return recall_at_k(retrieved, relevant, k or 1)
    return ndcg(retrieved, relevant, k) if name == "ndcg" else mrr(retrieved, relevant)


def _text(name: str, given: Given) -> str:
    if given.text is None:
        raise _missing(name, "a text: the run returned no str, and no call answered with a text")
    return given.text


def _missing(name: str, what: str) -> SettingsError:
    return SettingsError(f"the metric {name!r} needs {what}.")


def _extra(module: str) -> Any:
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError:
        raise SettingsError(
            f"this metric needs {module.partition('.')[0]}: pip install 'pytest-llmops[text]'"
        ) from None


def _yes_no(name: str, holds: bool, text: str, reason: str) -> Measured:
    return Measured(float(holds), name=name, text=text, reason=reason)


def _listed(names: Sequence[object]) -> str:
    return ", ".join(map(str, names[:5])) + (" …" if len(names) > 5 else "") if names else "none"


def _short(text: str, limit: int = 80) -> str:
    return text if len(text) <= limit else text[:limit] + "…"
