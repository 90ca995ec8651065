"""Other evaluation libraries, driven through our judge: their calls lie on the cassette with role ``judge``."""

from __future__ import annotations

import copy
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel

from pytest_llmops.checks.embeddings import Embedder
from pytest_llmops.checks.judge import Judge
from pytest_llmops.checks.judge_prompt import Prompt
from pytest_llmops.checks.judge_verdict import validated
from pytest_llmops.checks.jury import Jury, combined, disagreement
from pytest_llmops.checks.question import Question
from pytest_llmops.checks.score import Measured
from pytest_llmops.errors import SettingsError

Model = TypeVar("Model", bound=BaseModel)

QUIET: Mapping[str, str] = {
    "DEEPEVAL_TELEMETRY_OPT_OUT": "YES",
    "DEEPEVAL_DISABLE_DOTENV": "1",
    "DEEPEVAL_UPDATE_WARNING_OPT_IN": "0",
    "ERROR_REPORTING": "0",
    "RAGAS_DO_NOT_TRACK": "true",
}
"""Set before a library is imported: no telemetry, no reading of ``.env`` files, no look for updates."""

_SYSTEM = "Do what the message asks, and hand in nothing else."


class LibraryScore(Measured):
    """A library's score, with what it means.

    Args:
        definition: hash of library, version, metric and judge model.
        votes: what each member of a jury led to; empty for a single judge's.
        disagreement: mean distance between two votes; None for a single judge's.
    """

    definition: str
    votes: tuple[LibraryScore, ...] = ()
    disagreement: float | None = None


@dataclass(frozen=True, slots=True)
class Material:
    """What a metric may look at, and the settings' embeddings, where there are any."""

    text: str
    input: str | None = None
    expected: str | None = None
    context: Sequence[str] = ()
    embedder: Callable[[], Embedder] | None = None


class Asked(Question[Any]):
    """A library's own prompt.

    Args:
        model: the judge.
        name: the metric.
        text: the prompt, whole.
        schema: what the answer must fit; None: any text.
        repeat: tells those apart that ask the same; each is a call of its own.
    """

    def __init__(self, model: str, name: str, text: str, schema: type[BaseModel] | None, repeat: object) -> None:
        self.text, self.schema = text, schema
        self._json = None if schema is None else strict(schema.model_json_schema())
        super().__init__(model, name, ["library", model, text, self._json, repeat])

    def prompt(self) -> Prompt:
        """The library's prompt as the user's message."""
        return Prompt(_SYSTEM, self.text, self._json)

    def understood(self, answer: object) -> Any:
        """The answer as the schema's instance, or as text."""
        return answer if self.schema is None else validated(answer, self.schema)


@dataclass
class Asking:
    """What the libraries' model classes call, for one measurement of one metric.

    Args:
        judge: who answers.
        metric: its name, for messages.
        sample: the number of the measurement, where a judge has several.
    """

    judge: Judge
    metric: str
    sample: int = 0
    _times: Counter[tuple[str, object]] = field(default_factory=Counter)

    def ask(self, text: str, schema: type[BaseModel] | None) -> Any:
        """The judge's answer."""
        return self.judge.settle(self._question(text, schema))

    async def aask(self, text: str, schema: type[BaseModel] | None) -> Any:
        """`ask` without blocking the running loop."""
        return await self.judge.asettle(self._question(text, schema))

    def _question(self, text: str, schema: type[BaseModel] | None) -> Asked:
        repeat = self._times[text, schema]
        self._times[text, schema] += 1
        return Asked(self.judge.model, self.metric, text, schema, [repeat, self.sample] if self.sample else repeat)


def measured(
    evaluate: Callable[[Any, Judge, Material, dict[str, Any], int], LibraryScore],
    judge: Judge | Jury,
    metric: Any,
    material: Material,
    options: dict[str, Any],
) -> LibraryScore:
    """What a metric measures; by each member of a jury, as one score.

    Args:
        evaluate: of a library's adapter.
        judge: who answers the metric's questions.
        metric: the metric, its class or its name.
        material: what it looks at.
        options: for a class.

    Raises:
        JudgeError: the metric failed with one of the judges. No vote is ever left out.
    """
    __tracebackhide__ = True
    votes = [evaluate(metric, one, material, options, sample) for one, sample in judge.seats]
    if isinstance(judge, Judge):
        return votes[0]
    found = LibraryScore(
        combined(votes, judge.method),
        name=votes[0].name,
        reason="\n".join(
            f"{one.model} {vote:g}: {vote.reason}" for (one, _), vote in zip(judge.seats, votes, strict=True)
        ),
        text=material.text,
    )
    found.definition = judge.together([vote.definition for vote in votes])
    found.votes, found.disagreement = tuple(votes), disagreement(votes)
    return found


def strict(schema: dict[str, Any]) -> dict[str, Any]:
    """A JSON schema as strict structured output wants it: every property required, no others."""
    schema = copy.deepcopy(schema)

    def tighten(node: Any) -> None:
        if isinstance(node, list):
            for one in node:
                tighten(one)
        elif isinstance(node, dict):
            if node.get("type") == "object" and isinstance(node.get("properties"), dict):
                node["required"] = list(node["properties"])
                node["additionalProperties"] = False
            if isinstance(node.get("default"), str | int | float | list | dict | None):
                node.pop("default", None)
            for one in node.values():
                tighten(one)

    tighten(schema)
    return schema


def quiet() -> None:
    """Set what keeps the libraries from phoning home, unless the user decided otherwise."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)


def missing(library: str, error: ImportError) -> SettingsError:
    """The error that names the extra."""
    return SettingsError(
        f"{library} is missing or cannot be imported ({error}): pip install 'pytest-llmops[{library}]'"
    )
