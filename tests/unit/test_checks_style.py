"""Style without a model: counts, reading ease by each language's formula, shouting, phrases."""

from __future__ import annotations

import pytest

from pytest_llmops.checks.style import style

EASY = {
    "en": "The cat sat on the mat. It was warm. The sun was out all day.",
    "de": "Die Katze saß da. Es war warm. Die Sonne schien den Tag lang.",
    "fr": "Le chat est là. Il fait beau. On va au bord de la mer.",
    "es": "El sol sale ya. Voy al mar. Hoy es un buen día.",
    "it": "Il sole è alto. Vado al mare. Oggi è un bel dì.",
    "pt": "O sol já saiu. Vou ao mar. Hoje é um bom dia.",
    "nl": "De zon is op. Ik ga naar zee. Het is een goede dag.",
    "ru": "Кот спит тут. День был тёплым. Я иду домой.",
}
HARD = {
    "en": "Notwithstanding preceding considerations, administrative responsibilities necessitate comprehensive "
    "documentation of organisational restructuring activities.",
    "de": "Die Inanspruchnahme vertragsrechtlicher Gewährleistungsverpflichtungen setzt ordnungsgemäße "
    "Dokumentationsverfahren innerhalb vorgeschriebener Bearbeitungsfristen voraus.",
    "fr": "L'administration départementale recommande l'application systématique des réglementations "
    "environnementales internationales préalablement déterminées.",
    "es": "La responsabilidad administrativa internacional condiciona inevitablemente las reglamentaciones "
    "medioambientales correspondientes previamente determinadas.",
    "it": "L'amministrazione dipartimentale raccomanda l'applicazione sistematica delle regolamentazioni "
    "internazionali precedentemente determinate.",
    "pt": "A responsabilidade administrativa internacional condiciona inevitavelmente as regulamentações "
    "ambientais correspondentes previamente determinadas.",
    "nl": "De verantwoordelijkheid van overheidsinstellingen veronderstelt ondubbelzinnige documentatie van "
    "administratieve reorganisatiewerkzaamheden.",
    "ru": "Административная ответственность международных организаций предполагает систематическое "
    "документирование соответствующих преобразований.",
}


@pytest.mark.parametrize("language", EASY)
def test_reading_ease_tells_easy_from_hard(language):
    easy, hard = style(EASY[language], language).readability, style(HARD[language], language).readability
    assert easy > 75
    assert hard < 30


def test_flesch_by_hand():
    # 13 words, 1 sentence, 17 syllables: 206.835 - 1.015 × 13 - 84.6 × 17 / 13
    text = "The quick brown fox jumps over the lazy dog and runs away again."
    assert style(text, "en").readability == pytest.approx(206.835 - 13.195 - 84.6 * 17 / 13, abs=0.1)


def test_without_a_formula_there_is_no_number():
    assert style("これは短い文章です。とても簡単です。", "ja").readability is None
    assert style("Hi there.", "en").readability is None


def test_counts_and_language():
    found = style("  Hello there, this is a short English text. It has two sentences.  ")
    assert (found.words, found.sentences, found.language) == (12, 2, "en")
    assert found.characters == 64
    assert style("我喜欢喝茶。你呢？").words == 7
    assert (style("").words, style("").sentences, style("").shouting) == (0, 0, 0.0)
    assert style("Version 3.5 is out").sentences == 1


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("PLEASE CALM DOWN RIGHT AWAY", 1.0),
        ("Please call NASA or the FBI", 0.0),
        ("Please RESTART the router", 1 / 3),
        ("Stop it!!", 1.0),
        ("Really?!?", 1.0),
        ("Hello!", 0.0),
        ("これは", 0.0),
    ],
)
def test_shouting(text, value):
    assert style(text, "en").shouting == pytest.approx(value)


def test_phrases():
    found = style("We’re sorry  for the\nwait. Unfortunately, you can cancel.", "en")
    assert found.missing(["we're SORRY for the wait", "refund"]) == ["refund"]
    assert found.found(["can", "cannot", "fortunately", "unfortunately,"]) == ["can", "unfortunately,"]
    assert style("请稍等一下", "zh").found(["稍等"]) == ["稍等"]
