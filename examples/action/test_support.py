import pytest
from app import answer


@pytest.mark.llm_eval(dataset="cases.jsonl", gate=["pass", "facts"])
def test_support(llm_eval, llm_case):
    result = llm_eval.run(answer, llm_case.input)
    named = [fact for fact in llm_case.expected if fact in result.text]
    llm_eval.record("facts", len(named) / len(llm_case.expected))
    assert not result.refused
