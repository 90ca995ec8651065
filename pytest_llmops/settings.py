"""The project's settings: ``[tool.pytest-llmops]`` of pyproject.toml."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, cast, get_args

from pytest_llmops.errors import SettingsError, did_you_mean
from pytest_llmops.options import BY_NAME

DIRECTIONS = ("higher", "lower")
KINDS = ("score", "pass", "rate", "latency", "cost", "count")


@dataclass(frozen=True, slots=True)
class MetricSettings:
    """``[tool.pytest-llmops.metrics.NAME]``: overrides of a metric's defaults."""

    direction: Literal["higher", "lower"] | None = None
    kind: Literal["score", "pass", "rate", "latency", "cost", "count"] | None = None
    tolerance: float | None = None
    margin: float | None = None
    gate: bool | None = None
    scale: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Price:
    """``[tool.pytest-llmops.prices."provider:model"]``: USD a million tokens."""

    input: float
    output: float
    cache_read: float | None = None
    cache_write: float | None = None


JuryMethod = Literal["mean", "median", "majority"]


@dataclass(frozen=True, slots=True)
class JudgeModel:
    """One judge: ``provider:model``, where it listens, and seconds an attempt may take."""

    model: str
    base_url: str | None = None
    timeout: float = 60.0


@dataclass(frozen=True, slots=True)
class Panel:
    """Who judges a criterion.

    Args:
        members: one judge, or a jury; empty: the default judge.
        repeats: samples of each member.
        method: how several verdicts become one.
    """

    members: tuple[JudgeModel, ...] = ()
    repeats: int = 1
    method: JuryMethod = "mean"


@dataclass(frozen=True, slots=True)
class JudgeSettings:
    """``[tool.pytest-llmops.judge]``.

    Args:
        panel: judges all criteria, except those of `criteria`.
        criteria: rubric name to who judges it (``[tool.pytest-llmops.judge.criteria.NAME]``).
        calibration: the file that ``judge calibrate`` writes; beside pyproject.toml where it has a judge's settings.
        require_calibration: names of judged metrics that only gate with a calibrated judge; True: all of them.
    """

    panel: Panel = field(default_factory=Panel)
    criteria: Mapping[str, Panel] = field(default_factory=dict)
    calibration: Path = Path("judge-calibration.json")
    require_calibration: tuple[str, ...] | Literal[True] = ()

    @property
    def models(self) -> tuple[JudgeModel, ...]:
        """All judges that are named, each once."""
        panels = (self.panel, *self.criteria.values())
        return tuple(dict.fromkeys(member for panel in panels for member in panel.members))


SAFETY_LIMITS = ("unsafe_input_rate", "unsafe_output_rate", "high_risk")


@dataclass(frozen=True, slots=True)
class SafetySettings:
    """``[tool.pytest-llmops.safety]``: what the safety section marks (docs/safety.md).

    Args:
        unsafe_input_rate: largest share of inputs that may be unsafe; `unsafe_output_rate` of outputs.
        high_risk: a score from which an answer that was let through is at high risk, 0 safe to 1 dangerous.
        unsafe_score: a score from which a text counts as unsafe.
        fail: those of the three limits that fail the run; True: all of them.
    """

    unsafe_input_rate: float = 0.1
    unsafe_output_rate: float = 0.05
    high_risk: float = 0.8
    unsafe_score: float = 0.5
    fail: tuple[str, ...] | bool = False

    def fails(self, limit: str) -> bool:
        """Whether a limit that is exceeded fails the run."""
        return self.fail if isinstance(self.fail, bool) else limit in self.fail


@dataclass(frozen=True, slots=True)
class ProjectSettings:
    """``[tool.pytest-llmops]`` of pyproject.toml.

    Args:
        hosts: host (or ``host:port``) to provider, for gateways and local servers.
        prices: ``provider:model`` to price.
        scrub: regular expressions whose matches are masked in cassettes before matching and storing.
        secrets: regular expressions of what must never be written, besides the built-in ones.
        id_patterns: regular expressions of ids that differ from run to run, renamed by order in matching.
        scrub_fields: names of JSON fields whose values are masked likewise.
        ignore_fields: names of JSON request fields left out of matching, besides the built-in ones.
        min_cases: cases below which a metric is ``too_few_cases``.
        guardrails: names of those that ``llm_guardrails`` scans with; none: all that need nothing but the text.
        languages: BCP 47 codes of what answers may be written in; none: ten common ones.
        language_detector: ``py3langid``, or ``lingua`` (an extra).
        embeddings: what ``semantic_similarity`` embeds texts with: ``provider:model`` or ``model2vec:PATH``.
        moderation: a moderation endpoint, which the guardrail ``toxicity`` asks.
        toxicity: who looks for it: ``words``, ``judge``, ``moderation``; ``auto``: the endpoint where one is set, else
            the judge where one is named, else words.
        prompts: folder of prompt files; None: the nearest ``prompts/`` beside or above each test.
    """

    hosts: Mapping[str, str] = field(default_factory=dict)
    prices: Mapping[str, Price] = field(default_factory=dict)
    metrics: Mapping[str, MetricSettings] = field(default_factory=dict)
    scrub: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    id_patterns: tuple[str, ...] = ()
    scrub_fields: tuple[str, ...] = ()
    ignore_fields: tuple[str, ...] = ()
    min_cases: int = 10
    judge: JudgeSettings = field(default_factory=JudgeSettings)
    prompts: Path | None = None
    languages: tuple[str, ...] = ()
    guardrails: tuple[str, ...] = ()
    language_detector: Literal["py3langid", "lingua"] = "py3langid"
    moderation: JudgeModel | None = None
    embeddings: JudgeModel | None = None
    toxicity: Literal["auto", "words", "judge", "moderation"] = "auto"
    safety: SafetySettings = field(default_factory=SafetySettings)


def load_project(path: Path | None) -> ProjectSettings:
    """Read ``[tool.pytest-llmops]``.

    Raises:
        SettingsError: the file is no TOML, or a key or value in the table cannot be used.
    """
    if path is None:
        return ProjectSettings()
    import tomllib

    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read: {error}") from None
    tools = document.get("tool", {})
    for name in ("pytest_llmops", "llmops", "pytest-llmop"):
        if name in tools:
            raise SettingsError(f"{path} [tool.{name}]: Did you mean [tool.pytest-llmops]?")
    table = tools.get("pytest-llmops", {})
    project = _project(table, f"{path} [tool.pytest-llmops]")
    if project.prompts is not None:
        folder = path.parent / project.prompts
        if not folder.is_dir():
            raise SettingsError(f"{path} [tool.pytest-llmops] prompts: there is no folder {folder}.")
        project = replace(project, prompts=folder)
    if project.embeddings is not None:
        kind, _, place = project.embeddings.model.partition(":")
        if kind == "model2vec" and (path.parent / place).is_dir():
            local = replace(project.embeddings, model=f"{kind}:{path.parent / place}")
            project = replace(project, embeddings=local)
    if project.judge == JudgeSettings():
        return project
    return replace(project, judge=replace(project.judge, calibration=path.parent / project.judge.calibration))


def _project(table: object, where: str) -> ProjectSettings:
    for key in _mapping(table, where):
        option = BY_NAME.get(key.removeprefix("llm_"))
        if option is not None and key not in ProjectSettings.__dataclass_fields__:
            raise SettingsError(
                f"{where}: {key!r} is an option of pytest's: {option.ini} in [tool.pytest.ini_options] or pytest.ini, "
                f"or {option.flag} on the command line."
            )
    entries = _table(table, where, allowed=ProjectSettings)
    values: dict[str, Any] = {}
    for key, value in entries.items():
        inner = f"{where[:-1]}.{key}]"
        if key == "hosts":
            values[key] = {str(k): _typed(v, str, f"{inner} {k!r}") for k, v in _mapping(value, inner).items()}
        elif key == "prices":
            values[key] = {k: _price(k, v, f"{inner[:-1]}.{k!r}]") for k, v in _mapping(value, inner).items()}
        elif key == "metrics":
            values[key] = {k: _metric(v, f"{inner[:-1]}.{k}]") for k, v in _mapping(value, inner).items()}
        elif key == "judge":
            values[key] = _judge(value, inner)
        elif key == "safety":
            values[key] = _safety(value, inner)
        elif key in ("moderation", "embeddings"):
            values[key] = _judge_model(_mapping(value, inner), inner)
        elif key in _WORDS:
            if value not in _WORDS[key]:
                raise SettingsError(f"{where} {key}: {value!r}.{did_you_mean(str(value), _WORDS[key])}")
            values[key] = value
        elif key == "prompts":
            values[key] = Path(_typed(value, str, f"{where} prompts"))
        elif key == "min_cases":
            values[key] = _typed(value, int, f"{where} min_cases")
            if value < 2:
                raise SettingsError(f"{where} min_cases: {value} is not at least 2.")
        else:
            values[key] = tuple(_typed(v, str, f"{where} {key}") for v in _typed(value, list, f"{where} {key}"))
    patterns = [(name, p) for name in ("scrub", "secrets", "id_patterns") for p in values.get(name, ())]
    for key, pattern in patterns:
        try:
            re.compile(pattern)
        except re.error as error:
            raise SettingsError(f"{where} {key}: {pattern!r} is no regular expression: {error}.") from None
    return ProjectSettings(**values)


_WORDS = {"toxicity": ("auto", "words", "judge", "moderation"), "language_detector": ("py3langid", "lingua")}


def _metric(value: object, where: str) -> MetricSettings:
    entries = dict(_table(value, where, allowed=MetricSettings))
    for key, words in (
        ("direction", ("higher", "lower")),
        ("kind", ("score", "pass", "rate", "latency", "cost", "count")),
    ):
        if key in entries and entries[key] not in words:
            raise SettingsError(f"{where} {key}: {entries[key]!r} is none of {', '.join(words)}.")
    for key in ("tolerance", "margin"):
        if key in entries:
            entries[key] = _not_negative(entries[key], f"{where} {key}")
    if "gate" in entries:
        _typed(entries["gate"], bool, f"{where} gate")
    if "scale" in entries:
        scale = [
            float(_typed(v, (int, float), f"{where} scale")) for v in _typed(entries["scale"], list, f"{where} scale")
        ]
        if len(scale) != 2 or not -math.inf < scale[0] < scale[1] < math.inf:
            raise SettingsError(f"{where} scale: expected [lowest, highest], for example [1, 10].")
        entries["scale"] = (scale[0], scale[1])
    return MetricSettings(**entries)


def _safety(value: object, where: str) -> SafetySettings:
    entries = dict(_table(value, where, allowed=SafetySettings))
    for key in entries.keys() - {"fail"}:
        entries[key] = _not_negative(entries[key], f"{where} {key}")
        if entries[key] > 1:
            raise SettingsError(f"{where} {key}: {value[key]} is not between 0 and 1.")  # type: ignore[index]
    fail = entries.get("fail", False)
    if not isinstance(fail, bool):
        names = tuple(_typed(name, str, f"{where} fail") for name in _typed(fail, list, f"{where} fail"))
        for name in names:
            if name not in SAFETY_LIMITS:
                raise SettingsError(f"{where} fail: unknown limit {name!r}.{did_you_mean(name, SAFETY_LIMITS)}")
        entries["fail"] = names
    return SafetySettings(**entries)


_PANEL_KEYS = ("model", "base_url", "timeout", "jury", "repeats", "method")


def _judge(value: object, where: str) -> JudgeSettings:
    entries = _mapping(value, where)
    _known(entries, (*_PANEL_KEYS, "criteria", "calibration", "require_calibration"), where)
    panel = _panel({k: v for k, v in entries.items() if k in _PANEL_KEYS}, where, Panel())
    inner = f"{where[:-1]}.criteria]"
    criteria = {}
    for name, table in _mapping(entries.get("criteria", {}), inner).items():
        place = f"{inner[:-1]}.{name}]"
        own = _mapping(table, place)
        _known(own, _PANEL_KEYS, place)
        criteria[name] = _panel(own, place, panel)
    required = entries.get("require_calibration", [])
    if not isinstance(required, bool):
        names = _typed(required, list, f"{where} require_calibration")
        required = tuple(_typed(name, str, f"{where} require_calibration") for name in names)
    return JudgeSettings(
        panel,
        criteria,
        Path(_typed(entries.get("calibration", str(JudgeSettings().calibration)), str, f"{where} calibration")),
        required or (),
    )


def _panel(entries: Mapping[str, Any], where: str, default: Panel) -> Panel:
    if "jury" in entries and "model" in entries:
        raise SettingsError(f"{where}: model and jury exclude each other; name the model as one of the jury.")
    rows: list[object] = []
    if "model" in entries:
        rows = [{key: entries[key] for key in ("model", "base_url", "timeout") if key in entries}]
    elif "base_url" in entries or "timeout" in entries:
        raise SettingsError(f"{where}: base_url and timeout belong to a model: add model, or give each juror its own.")
    elif "jury" in entries:
        rows = list(_typed(entries["jury"], list, f"{where} jury"))
        if not rows:
            raise SettingsError(f"{where} jury: expected at least one judge.")
    repeats = _typed(entries.get("repeats", default.repeats), int, f"{where} repeats")
    if not 1 <= repeats <= 100:
        raise SettingsError(f"{where} repeats: {repeats} is not between 1 and 100.")
    method = entries.get("method", default.method)
    if method not in get_args(JuryMethod):
        raise SettingsError(f"{where} method: {method!r}.{did_you_mean(str(method), get_args(JuryMethod))}")
    place = f"{where} jury" if "jury" in entries else where
    return Panel(tuple(_judge_model(row, place) for row in rows) or default.members, repeats, method)


def _judge_model(row: object, where: str) -> JudgeModel:
    if isinstance(row, str):
        return JudgeModel(row)
    entries = _table(row, where, allowed=JudgeModel)
    model = _typed(entries.get("model"), str, f"{where} model")
    url = entries.get("base_url")
    if url is not None and not re.match(r"https?://", _typed(url, str, f"{where} base_url")):
        raise SettingsError(f"{where} base_url: {url!r} does not begin with http:// or https://.")
    timeout = _not_negative(entries.get("timeout", 60.0), f"{where} timeout")
    if not timeout:
        raise SettingsError(f"{where} timeout: 0 seconds leave no time for an answer.")
    return JudgeModel(model, url, timeout)


def _price(name: str, value: object, where: str) -> Price:
    if not all(name.partition(":")):
        raise SettingsError(f'{where}: expected provider:model, for example "openai_compatible:{name.strip(":")}".')
    entries = _table(value, where, allowed=Price)
    missing = [key for key in ("input", "output") if key not in entries]
    if missing:
        raise SettingsError(f"{where}: {' and '.join(missing)} missing (USD a million tokens).")
    return Price(**{k: _not_negative(v, f"{where} {k}") for k, v in entries.items()})


def _not_negative(value: object, where: str) -> float:
    number = float(_typed(value, (int, float), where))
    if not 0 <= number < math.inf:
        raise SettingsError(f"{where}: {value} is not a number ≥ 0.")
    return number


def _mapping(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise SettingsError(f"{where}: expected a table, got {value!r}.")
    return cast("Mapping[str, Any]", value)


def _table(value: object, where: str, *, allowed: type) -> Mapping[str, Any]:
    entries = _mapping(value, where)
    _known(entries, allowed.__dataclass_fields__, where)  # type: ignore[attr-defined]
    return entries


def _known(entries: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    for key in entries:
        if key not in known:
            raise SettingsError(f"{where}: unknown key {key!r}.{did_you_mean(key, known)}")


def _typed(value: Any, kind: type | tuple[type, ...], where: str) -> Any:
    wrong_bool = isinstance(value, bool) and kind is not bool
    if wrong_bool or not isinstance(value, kind):
        names = " or ".join(k.__name__ for k in (kind if isinstance(kind, tuple) else (kind,)))
        raise SettingsError(f"{where}: expected {names}, got {value!r}.")
    return value
