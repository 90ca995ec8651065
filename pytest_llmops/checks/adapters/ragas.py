"""ragas' metrics (the collections) through our judge."""

from __future__ import annotations

import asyncio
import contextvars
import importlib
import inspect
import math
import re
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from pytest_llmops.checks.adapters import Asking, LibraryScore, Material, missing, quiet
from pytest_llmops.checks.embeddings import Embedder
from pytest_llmops.checks.judge import Judge
from pytest_llmops.checks.question import short_hash
from pytest_llmops.errors import JudgeError, SettingsError, did_you_mean


def evaluate(metric: Any, judge: Judge, material: Material, options: dict[str, Any], sample: int = 0) -> LibraryScore:
    """Measure by a metric.

    Args:
        metric: a metric of ``ragas.metrics.collections``, its class, or its name (``faithfulness``).
        judge: takes the place of the metric's own model.
        material: becomes what the metric asks for.
        options: for a class; what the metric's ``ascore`` takes goes there.
        sample: the number of the measurement.

    Raises:
        JudgeError: the metric failed, or gave no number.
        SettingsError: no such metric, something that it needs is missing, or ragas is.
    """
    __tracebackhide__ = True
    quiet()
    try:
        library = importlib.import_module("ragas")
        collections = importlib.import_module("ragas.metrics.collections")
    except ImportError as error:
        raise missing("ragas", error) from None
    if isinstance(metric, str):
        metric = _by_name(metric, collections)
    name = metric.__name__ if isinstance(metric, type) else type(metric).__name__
    llm = _model(Asking(judge, f"ragas {name}", sample))
    taken = inspect.signature(metric.ascore).parameters
    extra = {key: value for key, value in options.items() if key in taken}
    if isinstance(metric, type):
        own = {key: value for key, value in options.items() if key not in taken}
        metric = _made(metric, llm, own, material.embedder, name)
    elif hasattr(metric, "llm"):
        metric.llm = llm
    given = {**_fields(material), **extra}
    needed = [key for key, p in taken.items() if key != "self" and p.default is p.empty and p.kind is not p.VAR_KEYWORD]
    lacking = [key for key in needed if given.get(key) is None]
    if lacking:
        raise SettingsError(f"ragas {name} needs {', '.join(lacking)}: give the dataset's case it, or pass it.")
    try:
        result = _run(metric.ascore(**{key: value for key, value in given.items() if key in taken}))
    except JudgeError:
        raise
    except Exception as error:  # the library's own, of many kinds
        raise JudgeError(f"ragas {name} failed: {type(error).__name__}: {error}") from error
    value = result.value
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise JudgeError(f"ragas {name} gave no score but {value!r}: {result.reason or 'no reason given'}")
    found = LibraryScore(float(value), name=f"ragas.{metric.name}", reason=result.reason or "", text=material.text)
    found.definition = short_hash(["ragas", library.__version__, name, judge.model], 6)
    return found


def _by_name(name: str, collections: Any) -> Any:
    classes = {
        _snake(word): getattr(collections, word)
        for word in dir(collections)
        if isinstance(getattr(collections, word), type) and word != "BaseMetric"
    }
    if name not in classes:
        raise SettingsError(f"ragas has no metric {name!r}.{did_you_mean(name, classes)}")
    return classes[name]


def _snake(word: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", word).lower()


def _made(kind: type, llm: Any, options: dict[str, Any], embedder: Callable[[], Embedder] | None, name: str) -> Any:
    wants = inspect.signature(kind).parameters
    if "llm" in wants:
        options = {"llm": llm, **options}
    if "embeddings" in wants and "embeddings" not in options:
        if embedder is not None:
            options["embeddings"] = _embeddings(embedder())
        elif wants["embeddings"].default is inspect.Parameter.empty:
            raise SettingsError(
                f"ragas {name} needs embeddings: [tool.pytest-llmops.embeddings] model = …, or pass embeddings=…, an "
                "embedding of ragas'."
            )
    return kind(**options)


def _fields(material: Material) -> dict[str, Any]:
    contexts = list(material.context) or None
    return {
        "user_input": material.input,
        "response": material.text,
        "reference": material.expected,
        "retrieved_contexts": contexts,
        "reference_contexts": contexts,
    }


def _run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run to the end; in a thread where a loop is running, since that one must not be patched."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    context = contextvars.copy_context()
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(context.run, asyncio.run, coroutine).result()


def _embeddings(embedder: Embedder) -> Any:
    from ragas.embeddings.base import BaseRagasEmbedding

    class Embeddings(BaseRagasEmbedding):  # type: ignore[misc]
        """Hands every text to our embedder."""

        def embed_text(self, text: str, **_: Any) -> list[float]:
            return list(embedder.embed(text))

        async def aembed_text(self, text: str, **_: Any) -> list[float]:
            return list(await asyncio.to_thread(embedder.embed, text))

    return Embeddings()


def _model(asking: Asking) -> Any:
    from ragas.llms.base import InstructorBaseRagasLLM

    class Model(InstructorBaseRagasLLM):  # type: ignore[misc]
        """ragas' model over our judge."""

        def generate(self, prompt: str, response_model: Any) -> Any:
            return asking.ask(prompt, response_model)

        async def agenerate(self, prompt: str, response_model: Any) -> Any:
            return await asking.aask(prompt, response_model)

    return Model()
