"""The gate: a run against its baseline. How it decides, and why, is in docs/gate.md."""

from pytest_llmops.compare.arms import compare_arms
from pytest_llmops.compare.confirming import unconfirmed
from pytest_llmops.compare.datasets import taken_out
from pytest_llmops.compare.failing import case_fails, failing_cases
from pytest_llmops.compare.failures import Failure, fails, failures, is_empty
from pytest_llmops.compare.gate import compare
from pytest_llmops.compare.policy import Policy
from pytest_llmops.compare.problems import unknown_gates
from pytest_llmops.compare.shards import merge
from pytest_llmops.compare.summary import cost_by_tag, fingerprint, summarize

__all__ = [
    "Failure",
    "Policy",
    "case_fails",
    "compare",
    "compare_arms",
    "cost_by_tag",
    "failing_cases",
    "fails",
    "failures",
    "fingerprint",
    "is_empty",
    "merge",
    "summarize",
    "taken_out",
    "unconfirmed",
    "unknown_gates",
]
