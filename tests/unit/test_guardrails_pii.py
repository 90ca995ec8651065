"""Personal data: what is found, as what, where, and what is left alone."""

from __future__ import annotations

import random

import pytest
from stdnum.br import cnpj, cpf

from pytest_llmops.checks import guardrails
from pytest_llmops.checks.guardrails import pii


def found(text):
    return [(span.type, text[span.start : span.end]) for span in pii.scan(text)]


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("Escreva para joão.silva@exemplo.com.br, por favor", "email", "joão.silva@exemplo.com.br"),
        ("joe@x.test", "email", "joe@x.test"),
        ("Mail <joe+news@mail.example.co.uk>.", "email", "joe+news@mail.example.co.uk"),
        ("write to joe [at] example [dot] com", "email", "joe [at] example [dot] com"),
        ("my host is 192.168.1.10.", "ip", "192.168.1.10"),
        ("http://10.1.2.3/status", "ip", "10.1.2.3"),
        ("ping 2001:db8::8a2e:370:7334 fails", "ip", "2001:db8::8a2e:370:7334"),
        ("Card 4111 1111 1111 1111 please", "card", "4111 1111 1111 1111"),
        ("paid with 378282246310005", "card", "378282246310005"),
        ("DE89 3704 0044 0532 0130 00 is mine", "iban", "DE89 3704 0044 0532 0130 00"),
        ("iban gb82west12345698765432", "iban", "gb82west12345698765432"),
        ("It is 219-09-9998.", "ssn", "219-09-9998"),
        ("cliente 529.982.247-25", "cpf", "529.982.247-25"),
        ("empresa 11.222.333/0001-81", "cnpj", "11.222.333/0001-81"),
        ("CNPJ 12.ABC.345/01DE-35", "cnpj", "12.ABC.345/01DE-35"),
        ("codice RSSMRA85T10A562S", "codice_fiscale", "RSSMRA85T10A562S"),
        ("我的身份证号码是11010519491231002X", "ric", "11010519491231002X"),
        ("DNI 12345678Z", "dni", "12345678Z"),
        ("NIR 2 95 10 99 126 111 93", "nir", "2 95 10 99 126 111 93"),
        ("passport number X1234567", "passport", "X1234567"),
    ],
)
def test_personal_data_is_found_with_its_type_and_place(text, kind, value):
    assert found(text) == [(kind, value)]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Qual o saldo da conta do cliente CPF 123.456.789-00?", "cpf"),
        ("CPF do titular: 12345678900", "cpf"),
        ("meu cpf é 123 456 789 00", "cpf"),
        ("CNPJ nº 11.111.111/1111-11", "cnpj"),
        ("SSN: 000-12-3456", "ssn"),
        ("my social security number is 123456789", "ssn"),
        ("card number 1234 5678 9012 3456", "card"),
        ("Número do cartão: 4111111111111112", "card"),
        ("mi tarjeta es la 4111-1111-1111-1112", "card"),
        ("Numéro de carte bancaire : 4111 1111 1111 1112", "card"),
        ("Meine Kreditkartennummer lautet 4111111111111112", "card"),
        ("il numero della mia carta è 4111111111111112", "card"),
        ("我的信用卡号是4111111111111112", "card"),
        ("IBAN: DE00 3704 0044 0532 0130 00", "iban"),
        ("National insurance number: QQ123456C", "nino"),
        ("mi DNI es 12.345.678", "dni"),
        ("Il mio codice fiscale: RSSMRA85T10A562X", "codice_fiscale"),
    ],
)
def test_a_labelled_number_counts_with_wrong_check_digits(text, kind):
    assert [name for name, _ in found(text)] == [kind]


@pytest.mark.parametrize(
    "text",
    [
        "+55 11 98765-4321",
        "0044 20 7946 0958",
        "Ligue para (11) 98765-4321",
        "11 98765-4321",
        "meu celular é 11987654321",
        "Mi teléfono es 612 345 678",
        "Appelez-moi au 06 12 34 56 78",
        "06 12 34 56 78",
        "Rufen Sie mich unter 030 1234567 an",
        "il mio cellulare: 347 1234567",
        "Số điện thoại của tôi là 0912 345 678",
        "我的电话是13812345678",
        "電話番号は090-1234-5678です",
        "رقم هاتفي 0501234567",
        "call me at 555 0123",
        "555-123-4567",
        "(555) 123-4567 x22",
        "21 232 945 1338 office",
    ],
)
def test_phones_in_international_and_national_formats(text):
    assert [name for name, _ in found(text)] == ["phone"]


@pytest.mark.parametrize(
    "text",
    [
        "Update to v10.0.0.1, or version 1.2.3.4, or foo==1.2.3.4",
        "**deps**: upgrade V8 to 4.1.0.27",
        "<Buffer 08 07 06 05>, model-08-2024, Boston 02110-1301, commit 0300598315",
        "Mozilla/5.0 Chrome/91.0.4472.124 Safari/537.36",
        "see section 4.1.2.3",
        "127.0.0.1 with netmask 255.255.255.0",
        "std::dec, a::b, 12:30:45 and aa:bb:cc:dd:ee:ff",
        "git@github.com:owner/repository.git and logo@2x.png and package@1.2.3",
        "The meeting is on 2024-01-31 at 10:30, or on 31/01/2024",
        "We sold 1.234.567 units for R$ 12.345.678,90",
        "order number 4111111111111112, order 123-4567890-1234567",
        "ISBN 978-3-16-148410-0, doi 10.1038/s41586-020-2649-2",
        "uuid 123e4567-e89b-12d3-a456-426614174000",
        "1 2 3 4 5 6 7 8 9 10 11 12",
        "timestamps 1700000000000 and 20240131123456",
        "call 911, ligue 190",
        "call the function 10000 times, the phone sold 1200000 times",
        "How can I request a new credit card pin?",
        "3... 2... 1... liftoff!",
        "Calculate 123456 * 654321",
        "pi is 3.14159265358979",
        "",
    ],
)
def test_other_numbers_are_left_alone(text):
    assert found(text) == []


def test_generated_cpf_and_cnpj_are_found_as_such_labelled_or_not():
    chance = random.Random(11)
    frames = ["{}", "CPF/CNPJ {}", "O documento do cliente é {}.", "cadastre {} no sistema", '{{"documento": "{}"}}']
    missed = []
    for number in range(400):
        digits = "".join(str(chance.randrange(10)) for _ in range(9))
        person = next(p for p in (f"{digits}{check:02}" for check in range(100)) if cpf.is_valid(p))
        company = next(c for c in (f"{digits[:8]}0001{check:02}" for check in range(100)) if cnpj.is_valid(c))
        kind, value = ("cpf", person) if number % 2 else ("cnpj", company)
        written = {"cpf": cpf, "cnpj": cnpj}[kind].format(value) if number % 4 < 2 else value
        text = frames[number % len(frames)].format(written)
        if kind not in [name for name, _ in found(text)]:
            missed.append(text)
    assert len(missed) <= 12, missed


def test_masking_keeps_the_rest_of_the_text():
    text = "CPF 123.456.789-00, e-mail ana@exemplo.com.br; pedido 77."
    assert pii.mask(text) == "CPF [CPF], e-mail [EMAIL]; pedido 77."
    assert pii.mask("nada aqui") == "nada aqui"


def test_the_outcome_counts_types_and_quotes_no_data():
    outcome = guardrails.build("pii_detection").check("ana@exemplo.com, bia@exemplo.com, CPF 123.456.789-00")
    assert (outcome.triggered, outcome.severity, outcome.action) == (True, "high", "rewrite")
    assert outcome.reason == "personal data: 2 email, 1 cpf"
    assert [span.type for span in outcome.spans] == ["email", "email", "cpf"]


def test_types_and_threshold_narrow_what_counts():
    text = "ana@exemplo.com and 10.1.2.3"
    assert [s.type for s in guardrails.build("pii_leak", types={"ip"}).check(text).spans] == ["ip"]
    assert not guardrails.build("pii_detection", types={"card"}).check(text).triggered
    unlabelled = "123.456.789-00"  # wrong check digits
    assert guardrails.build("pii_detection").check(unlabelled).triggered
    assert not guardrails.build("pii_detection", threshold=0.9).check(unlabelled).triggered
