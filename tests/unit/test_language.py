"""Which language a text is in."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_llmops.checks.language import detect
from pytest_llmops.errors import SettingsError

PHRASES = [
    line.split("\t")
    for line in (Path(__file__).parent / "interface_phrases.txt").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
]


def test_interface_phrases_of_four_words_and_more():
    wrong = [(language, text, detect(text).code) for language, text in PHRASES if detect(text).code != language]
    assert len(PHRASES) >= 300
    assert len(wrong) <= 0.02 * len(PHRASES), wrong


def test_no_language_is_told_less_well_than_the_others():
    for code in {language for language, _ in PHRASES}:
        texts = [text for language, text in PHRASES if language == code]
        assert sum(detect(text).code == code for text in texts) >= 0.95 * len(texts), code


def test_under_four_words_it_is_undetermined_rather_than_wrong():
    for language, text in PHRASES:
        for words in (1, 2, 3):
            assert detect(" ".join(text.split()[:words])).code in ("und", language)
    for text in (
        "Ajuda",
        "Help",
        "OK",
        "Salvar tudo",
        "Cancel order now",
        "12 34 56 78",
        "",
        "   ",
        "🙂 🙂 🙂 🙂",
        "{name}",
    ):
        assert detect(text) == detect("")
        assert detect(text).code == "und"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("こんにちは", "ja"), ("コピー", "ja"), ("検索", "ja"), ("مرحبا", "ar"), ("设置", "zh"), ("打开文件夹", "zh"),
        ("設定", "und"), ("取消", "und"), ("利用規約", "und"),
    ],
)  # fmt: skip
def test_scripts_that_decide_alone_do_so_in_short_texts(text, code):
    assert detect(text).code == code


@pytest.mark.parametrize("text", ["Привет, как твои дела?", "Ελληνικά είναι αυτό εδώ", "이것은 한국어 문장 입니다"])
def test_a_script_of_none_of_the_languages_is_undetermined(text):
    assert detect(text).code == "und"
    assert detect(text, (*("pt", "en"), "ru", "el", "ko")).code in ("ru", "el", "ko")


def test_only_the_projects_languages_are_answered():
    assert detect("Não foi possível salvar as alterações", ("es", "en")).code == "es"
    assert detect("Não foi possível salvar as alterações", ("pt-BR", "en-US")).code == "pt"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("请用 Chrome 浏览器打开", "zh"),
        ("Ctrl+C を押してください", "ja"),
        ("选项 'thesaurus' 为空", "zh"),
        ("Sign in with your 微信 account now", "en"),
        ("Die Datei config.yaml fehlt hier", "de"),
    ],
)
def test_names_and_commands_in_another_script_do_not_decide(text, code):
    assert detect(text).code == code


def test_addresses_placeholders_and_numbers_do_not_count():
    assert detect("Hello {name}, welcome back to https://exemplo.com.br/inicio").code == "en"
    assert detect("3 files were deleted").code == "en"


@pytest.mark.parametrize(
    ("text", "code", "source"),
    [
        ("Ajuda", "pt-BR", "declared"),
        ("Meu servidor está em chamas!", "pt-BR", "declared"),
        ("Please help me with my server", "en", "model"),
        ("こんにちは", "ja", "script"),
    ],
)
def test_a_declared_language_decides_what_the_text_does_not(text, code, source):
    result = detect(text, declared="pt-BR")
    assert (result.code, result.source) == (code, source)


def test_an_unknown_language_is_refused():
    with pytest.raises(SettingsError, match="language 'xx' is unknown"):
        detect("one two three four five", ("xx", "en"))
    with pytest.raises(SettingsError, match="at least one language"):
        detect("one two three four five", ())


def test_other_users_of_the_model_keep_their_languages():
    import py3langid

    detect("one two three four five", ("en", "pt"))
    assert py3langid.classify("Ik weet niet waar de sleutels van het huis liggen")[0] == "nl"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Reiniciar el servidor nginx ahora", "es"),
        ("Reiniciar o servidor nginx agora", "pt"),
        ("Argumento inválido en la línea 12", "es"),
        ("Argumento inválido na linha 12", "pt"),
        ("No se encontró el fichero config.yaml", "es"),
        ("Esta opción requiere un commit", "es"),
        ("Esta opção requer um commit", "pt"),
    ],
)
def test_portuguese_and_spanish_are_told_by_what_only_one_of_them_writes(text, code):
    assert detect(text).code == code
    assert detect(text, ("pt", "en", "es")).code == code
