"""deepeval's metrics through our judge."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from typing import Any

from pytest_llmops.checks.adapters import Asking, LibraryScore, Material, missing, quiet
from pytest_llmops.checks.judge import Judge
from pytest_llmops.checks.question import short_hash
from pytest_llmops.errors import JudgeError, SettingsError, did_you_mean
from pytest_llmops.registry import session_judge


def evaluate(metric: Any, judge: Judge, material: Material, options: dict[str, Any], sample: int = 0) -> LibraryScore:
    """Measure by a metric.

    Args:
        metric: a deepeval metric, its class, or its class' name.
        judge: takes the place of the metric's own model.
        material: becomes the test case.
        options: for a class.
        sample: the number of the measurement.

    Raises:
        JudgeError: the metric failed, or gave no number.
        SettingsError: no such metric, or deepeval is missing.
    """
    __tracebackhide__ = True
    quiet()
    try:
        library = importlib.import_module("deepeval")
        metrics = importlib.import_module("deepeval.metrics")
        LLMTestCase = importlib.import_module("deepeval.test_case").LLMTestCase
    except ImportError as error:
        raise missing("deepeval", error) from None
    if isinstance(metric, str):
        known = [name for name in dir(metrics) if name.endswith(("Metric", "GEval")) and name[0].isupper()]
        if metric not in known:
            raise SettingsError(f"deepeval has no metric {metric!r}.{did_you_mean(metric, known)}")
        metric = getattr(metrics, metric)
    name = metric.__name__ if isinstance(metric, type) else str(metric.__name__)
    asking = Asking(judge, f"deepeval {name}", sample)
    model = _model(lambda: asking)
    if isinstance(metric, type):
        metric = metric(model=model, **options)
        name = str(metric.__name__)
    metric.model, metric.using_native_model = model, False
    metric.async_mode = False  # its own loop would patch the running one
    case = LLMTestCase(
        input=material.input or "",
        actual_output=material.text,
        expected_output=material.expected,
        context=list(material.context) or None,
        retrieval_context=list(material.context) or None,
    )
    try:
        metric.measure(case, _show_indicator=False)
    except JudgeError:
        raise
    except Exception as error:  # the library's own, of many kinds: a missing field, an answer it cannot read
        raise JudgeError(f"deepeval {name} failed: {type(error).__name__}: {error}") from error
    score = metric.score
    if metric.error or score is None or not math.isfinite(float(score)):
        raise JudgeError(f"deepeval {name} gave no score: {metric.error or score}")
    described = [str(getattr(metric, part, None)) for part in ("criteria", "evaluation_steps", "strict_mode")]
    found = LibraryScore(float(score), name=f"deepeval.{name}", reason=str(metric.reason or ""), text=material.text)
    found.definition = short_hash(["deepeval", library.__version__, name, judge.model, described], 6)
    return found


def deepeval_model() -> Any:
    """The session's judge as a deepeval model: ``GEval(…, model=deepeval_model())`` wants no key of OpenAI's.

    Raises:
        SettingsError: deepeval is missing.
    """
    quiet()
    try:
        importlib.import_module("deepeval")
    except ImportError as error:
        raise missing("deepeval", error) from None

    def asking() -> Asking:
        if not session_judge:
            raise SettingsError("deepeval_model() asks the judge of a running pytest session; none is running.")
        return Asking(session_judge[-1]().lead, "deepeval")

    return _model(asking)


def _model(asking: Callable[[], Asking]) -> Any:
    """A judge as deepeval wants a model to be; which one is looked up when it is asked."""
    from deepeval.models.base_model import DeepEvalBaseLLM

    class Model(DeepEvalBaseLLM):  # type: ignore[misc]
        """Hands every prompt to the judge."""

        def load_model(self, *args: Any, **kwargs: Any) -> Any:
            return self

        def generate(self, prompt: str, schema: Any = None, **_: Any) -> Any:
            return asking().ask(prompt, schema)

        async def a_generate(self, prompt: str, schema: Any = None, **_: Any) -> Any:
            return await asking().aask(prompt, schema)

        def get_model_name(self, *args: Any, **kwargs: Any) -> str:
            return "the judge of pytest-llmops"

    return Model("judge")
