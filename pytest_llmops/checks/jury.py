"""Several judges, or several samples of one, and one score out of their verdicts."""

from __future__ import annotations

import asyncio
import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, get_args

from pytest_llmops.checks.judge import Judge
from pytest_llmops.checks.judge_models import DEFAULT_JUDGE
from pytest_llmops.checks.question import Answer, Question, short_hash
from pytest_llmops.checks.rubrics import resolve
from pytest_llmops.checks.score import Score
from pytest_llmops.errors import SettingsError, did_you_mean
from pytest_llmops.settings import JudgeModel, JudgeSettings, JuryMethod, Panel


class Jury:
    """Judges that score a text each by themselves.

    Args:
        judges: the members.
        repeats: samples of each member, every one a call and a recording of its own.
        method: ``mean``, ``median``, or ``majority`` (the score most gave; of tied ones the worse).

    Raises:
        SettingsError: no judge, or no such method.
    """

    def __init__(self, judges: Sequence[Judge], *, repeats: int = 1, method: JuryMethod = "mean") -> None:
        if not judges:
            raise SettingsError("a jury needs at least one judge.")
        if repeats < 1:
            raise SettingsError(f"a jury's repeats: {repeats} is not at least 1.")
        if method not in get_args(JuryMethod):
            raise SettingsError(f"a jury's method: {method!r}.{did_you_mean(str(method), get_args(JuryMethod))}")
        self.judges, self.repeats, self.method = tuple(judges), repeats, method
        self.root = judges[0].root

    def __repr__(self) -> str:
        return f"Jury({self.model!r})"

    @property
    def model(self) -> str:
        """All members, as in ``median of openai:a, anthropic:b ×3``."""
        names = ", ".join(judge.model for judge in self.judges)
        return f"{self.method} of {names}" + (f" ×{self.repeats}" if self.repeats > 1 else "")

    @property
    def lead(self) -> Judge:
        """The first member: it answers what is no score and no choice, such as what an application did."""
        return self.judges[0]

    def definition(self, criterion: object) -> str:
        """Short hash of what a score by this criterion means: every member's definition, repeats and method."""
        rubric = resolve(criterion, root=self.root)
        return self.together([judge.definition(rubric) for judge in self.judges])

    @property
    def seats(self) -> list[tuple[Judge, int]]:
        """Who is asked: each member, with the number of the sample."""
        return [(judge, i) for judge in self.judges for i in range(self.repeats)]

    def named(self, name: str) -> Jury:
        """Itself: who judges what is called `name`."""
        return self

    def together(self, definitions: Sequence[str]) -> str:
        """Short hash of what one answer out of several means, by what each of them means."""
        return short_hash([list(definitions), self.repeats, self.method], 6)

    def score(self, criterion: object, **what: Any) -> Score:
        """Score a text, as `Judge.score`; the score carries its ``votes`` and their ``disagreement``.

        Raises:
            JudgeError: a member failed. No vote is ever left out.
        """
        __tracebackhide__ = True
        rubric = resolve(criterion, root=self.root)
        votes = self.poll(lambda judge, i: judge.question(rubric, repeat=i, **what))
        return self._score(votes, self.definition(rubric))

    async def ascore(self, criterion: object, **what: Any) -> Score:
        """`score`, all members asked at once."""
        __tracebackhide__ = True
        rubric = resolve(criterion, root=self.root)
        votes = await self.apoll(lambda judge, i: judge.question(rubric, repeat=i, **what))
        return self._score(votes, self.definition(rubric))

    def poll(self, question: Callable[[Judge, int], Question[Answer]]) -> list[Answer]:
        """What each member says, in each of its samples.

        Args:
            question: (judge, number of the sample) to what it is asked.

        Raises:
            JudgeError: a member failed. No vote is ever left out.
        """
        __tracebackhide__ = True
        return [judge.settle(question(judge, i)) for judge, i in self.seats]

    async def apoll(self, question: Callable[[Judge, int], Question[Answer]]) -> list[Answer]:
        """`poll`, all members asked at once."""
        __tracebackhide__ = True
        asked = [judge.asettle(question(judge, i)) for judge, i in self.seats]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        failed = [answer for answer in answers if isinstance(answer, BaseException)]
        if failed:  # raised only once all are done: none goes on in the background after its test
            raise failed[0]
        return [answer for answer in answers if not isinstance(answer, BaseException)]

    def _score(self, votes: list[Score], definition: str) -> Score:
        first = votes[0]
        return Score(
            combined(votes, self.method, worse=max if first.direction == "lower" else min),
            criterion=first.criterion,
            reason="\n".join(f"{vote.model} {float(vote):.2f}: {vote.reason}" for vote in votes),
            evidence=tuple(dict.fromkeys(quote for vote in votes for quote in vote.evidence)),
            model=self.model,
            definition=definition,
            text=first.text,
            direction=first.direction,
            votes=tuple(votes),
            disagreement=disagreement(votes),
        )


def combined(votes: Sequence[float], method: JuryMethod, *, worse: Any = min) -> float:
    """One number out of several.

    Args:
        votes: 0..1, at least one.
        method: how.
        worse: ``min`` or ``max``: picks among values that equally many gave.
    """
    if method == "mean":
        return statistics.fmean(votes)
    if method == "median":
        return float(statistics.median([float(vote) for vote in votes]))
    counts = Counter(float(vote) for vote in votes)
    most = max(counts.values())
    return float(worse(value for value, count in counts.items() if count == most))


def disagreement(votes: Sequence[float]) -> float:
    """Mean distance between two votes, 0..1; 0 for a single one."""
    pairs = [abs(float(a) - float(b)) for a, b in combinations(votes, 2)]
    return statistics.fmean(pairs) if pairs else 0.0


class Bench:
    """Another judge for some criteria.

    Args:
        default: judges all the others.
        criteria: by name of what is judged.
    """

    def __init__(self, default: Judge | Jury, criteria: Mapping[str, Judge | Jury]) -> None:
        self.default, self.criteria, self.root = default, criteria, default.root

    def __repr__(self) -> str:
        return f"Bench({self.default!r}, {dict(self.criteria)!r})"

    @property
    def lead(self) -> Judge:
        """The default's lead."""
        return self.default.lead

    def named(self, name: str) -> Judge | Jury:
        """Who judges what is called `name`: a rubric, ``tone``, a library's metric."""
        return self.criteria.get(name, self.default)

    def of(self, criterion: object) -> Judge | Jury:
        """Who judges by this criterion."""
        return self.named(resolve(criterion, root=self.root).name)

    def definition(self, criterion: object) -> str:
        """As of the judge of this criterion."""
        return self.of(criterion).definition(criterion)

    def score(self, criterion: object, **what: Any) -> Score:
        """Score a text by the judge of this criterion."""
        __tracebackhide__ = True
        return self.of(criterion).score(criterion, **what)

    async def ascore(self, criterion: object, **what: Any) -> Score:
        """`score` without blocking the running loop."""
        __tracebackhide__ = True
        return await self.of(criterion).ascore(criterion, **what)


Judging = Judge | Jury | Bench


def configured(settings: JudgeSettings, model: str | None, *, hosts: Mapping[str, str], root: Path) -> Judging:
    """The judge that the project's settings describe.

    Args:
        settings: ``[tool.pytest-llmops.judge]``.
        model: ``--llm-judge``: takes the place of every model and jury of the settings.
        hosts: ``[tool.pytest-llmops.hosts]``.
        root: what paths of rubric files are relative to.

    Raises:
        SettingsError: a model names no known provider.
    """
    given = (JudgeModel(model),) if model else None

    def seated(panel: Panel) -> Judge | Jury:
        members = given or panel.members or (JudgeModel(DEFAULT_JUDGE),)
        judges = [
            Judge(one.model, timeout_s=one.timeout, base_url=one.base_url, hosts=hosts, root=root) for one in members
        ]
        if len(judges) == panel.repeats == 1:
            return judges[0]
        return Jury(judges, repeats=panel.repeats, method=panel.method)

    default = seated(settings.panel)
    if not settings.criteria:
        return default
    return Bench(default, {name: seated(panel) for name, panel in settings.criteria.items()})
