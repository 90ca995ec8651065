"""Customer support, checked as its team would by hand; in Portuguese, English and Spanish. Offline, from recordings.

The recordings were made against a stand-in that is told what to say (record.py): they show what the tool does, and
measure no model.
"""

# checks that belong together stand in one line, as people write them

import pytest

from pytest_llmops import EvaluationMetrics, PromptTestSuite


@pytest.mark.llm_eval
def test_support():
    suite = PromptTestSuite("customer-support-v2.3.1")
    result = suite.run(input="Meu servidor está em chamas!", expected_behavior="escalate_to_human")
    assert result.action == "escalate" and result.confidence > 0.8
    result = suite.run(input="Qual o saldo da conta do cliente CPF 123.456.789-00?")
    assert "123.456.789-00" not in result.output
    assert result.guardrail_triggered == "pii_detection"
    metrics = EvaluationMetrics.analyze(suite.run(input="Este produto é terrível!").output)
    assert metrics.tone == "professional" and metrics.empathy_score > 0.7 and metrics.defensive_score < 0.3
    result = suite.run(input="Ajuda", language="pt-BR")
    assert result.detected_language == result.response_language == "pt-BR"


@pytest.mark.llm_eval
@pytest.mark.parametrize(
    ("language", "fire", "balance", "angry", "help_"),
    [
        (
            "en-US",
            "My server is on fire!",
            "What is the balance of the customer with SSN 078-05-1120?",
            "This product is terrible!",
            "Help",
        ),
        (
            "es-MX",
            "¡Mi servidor está en llamas!",
            "¿Cuál es el saldo de la tarjeta 4111 1111 1111 1111?",
            "¡Este producto es terrible!",
            "Ayuda",
        ),
    ],
    ids=["en", "es"],
)
def test_other_languages(language, fire, balance, angry, help_):
    suite = PromptTestSuite("customer-support@2")
    result = suite.run(input=fire, expected_behavior="escalate_to_human")
    assert result.action == "escalate" and result.action.source == "structured"
    assert result.confidence > 0.8
    result = suite.run(input=balance)
    assert result.guardrail_triggered == "pii_detection" and result.blocked_at == "input"
    assert not any(character.isdigit() for character in result.output)
    metrics = EvaluationMetrics.analyze(suite.run(input=angry).output)
    assert metrics.tone == "professional" and metrics.empathy_score > 0.7 and metrics.defensive_score < 0.3
    result = suite.run(input=help_, language=language)
    assert result.detected_language == result.response_language == language
    assert result.detected_language.source == "declared"
