"""Wording may differ; numbers, dates and negations may not."""

from __future__ import annotations

import pickle

import pytest

from pytest_llmops.checks.similarity import conflicts, facts, similarity

FLIPS = [
    ("You cannot return it.", "You can return it.", "negates (cannot)"),
    ("You can return it.", "You can't return it.", "only the other text negates"),
    ("Refunds take 90 days.", "Refunds take 30 days.", "30 days is missing, it says 90 days"),
    ("Refunds take days.", "Refunds take 30 days.", "30 days is missing"),
    ("Within 30 weeks.", "Within 30 days.", "30 days is missing"),
    ("Within ninety days.", "Within thirty days.", "missing"),
    ("It costs 5 €.", "It costs 5 $.", "missing"),
    ("The item is non-refundable.", "The item is refundable.", "non-refundable"),
    ("The item is available.", "The item is unavailable.", "'available' for 'unavailable'"),
    ("The claim was rejected.", "The claim was approved.", "'rejected' for 'approved'"),
    ("Pets are forbidden.", "Pets are allowed.", "forbidden"),
    ("It ends on 3 March 2026.", "It ends on 4 March 2026.", "date"),
    ("It ends on 2026-03-03.", "It ends on 2025-03-03.", "date"),
    ("Wir öffnen um 9:30.", "Wir öffnen um 8:30.", "number"),
    ("Das ist nicht möglich.", "Das ist möglich.", "nicht"),
    ("Wir nehmen keine Karten.", "Wir nehmen Karten.", "keine"),
    ("Ce n'est pas possible.", "C'est possible.", "pas"),
    ("No es posible.", "Es posible.", "no"),
    ("Não é possível.", "É possível.", "não"),
    ("Non è possibile.", "È possibile.", "non"),
    ("不能退货。", "能退货。", "不"),
    ("Это невозможно, возврат не принят.", "Возврат принят.", "не"),
    ("Without a receipt.", "With a receipt.", "without"),
]


@pytest.mark.parametrize(("text", "other", "why"), FLIPS, ids=[flip[0] for flip in FLIPS])
def test_flips_of_meaning_are_not_similar(text, other, why):
    found = similarity(text, other)
    assert found == 0.0
    assert found.lexical > 0.4
    assert why in found.reason


SAME = [
    ("Refunds take thirty days.", "Refunds take 30 days."),
    ("Refunds take twenty-five days.", "Refunds take 25 days."),
    ("It ends on March 3rd, 2026.", "It ends on 3 March 2026."),
    ("It ends on 03/04/2026.", "It ends on 4 March 2026."),
    ("Es endet am 3. März 2026.", "Es endet am 03.03.2026."),
    ("It costs €1,000.50 in all.", "It costs 1000.50 € in all."),
    ("Es kostet 1.000 €.", "Es kostet 1000 Euro."),
    ("You are unable to return it.", "You cannot return it."),
    ("You can't return it.", "You cannot return it."),
    ("No problem, you can return it today.", "You can return it today."),
    ("Please do not hesitate to return it.", "Please return it."),
    ("We open at 9:30 pm today.", "We open at 21:30 today."),
    ("You may return it within 30 days.", "You may return it within 30 days, 60 days for members."),
    ("Returns are not forbidden here.", "Returns are allowed here."),
    ("Você encontra o pedido no armazém.", "Você encontra o pedido em armazém."),
]


@pytest.mark.parametrize(("other", "text"), SAME, ids=[pair[0] for pair in SAME])
def test_other_ways_to_say_the_same_are_no_conflict(text, other):
    assert conflicts(text, other) == []
    assert similarity(text, other) > 0.5


def test_it_reads_as_alike_as_its_words():
    assert similarity("Hello, world!", "hello world") == 1.0
    assert similarity("world hello", "hello world") == 1.0
    assert similarity("", "") == similarity("…", "…") == 1.0
    assert similarity("", "Hello") == 0.0
    assert similarity("Thank you for waiting", "quantum chromodynamics") < 0.5
    again = pickle.loads(pickle.dumps(similarity("5 days", "6 days")))
    assert again.conflicts == ("the number 6 days is missing, it says 5 days",)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1,234.5", {1234.5}),
        ("1.234,5", {1234.5}),
        ("1.234", {1.234, 1234.0}),
        ("1,234,567", {1234567.0}),
        ("12,5", {12.5}),
        ("1’000", {1000.0}),
        ("-4", {-4.0}),
        ("192.168.0.1", {19216801.0}),
    ],
)
def test_readings_of_a_number(text, values):
    (number,) = facts(text).numbers
    assert number.values == values


def test_a_long_text_takes_no_time():
    text = "On 3 March 2026 we cannot refund 1,234.50 € within thirty days. " * 500
    assert similarity(text, text) == 1.0


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("您可以在30天内退货", "30天内可以退货"),
        ("within 30 days", "在30天内"),
        ("截止2024年5月1日", "截止2024-05-01前"),
        ("60일 이내에 반품", "60일 이내"),
        ("Hoàn tiền 100.000đ", "100.000 đồng được hoàn"),
        ("Bạn có cần giúp không?", "Bạn cần giúp"),
        ("Custa R$ 30", "São 30 reais"),
    ],
)
def test_the_same_facts_in_scripts_without_spaces_and_in_vietnamese(text, other):
    assert conflicts(text, other) == []


@pytest.mark.parametrize(
    ("text", "other", "said"),
    [
        ("您可以在30天内退货", "您可以在60天内退货", "60 天"),
        ("价格是30元", "价格是90元", "90 元"),
        ("配送需要3到5个工作日", "配送需要3到7个工作日", "7"),
        ("在30天内", "within 30 weeks", "30 weeks"),
        ("截止2024-05-01前", "截止2024-05-02前", "2024-05-02"),
        ("下午3:30", "下午3:40", "3:40"),
        ("返品は30日以内", "返品は60日以内", "60 日"),
        ("반품은30일", "반품은60일", "60 일"),
        ("trong 30 ngày", "trong 30 tuần", "30 tuần"),
        ("Bạn có thể trả hàng", "Bạn không thể trả hàng", "không"),
        ("Custa R$ 30", "It costs $ 30", "30 $"),
    ],
)
def test_other_facts_in_scripts_without_spaces_and_in_vietnamese(text, other, said):
    (conflict,) = conflicts(text, other)
    assert said in conflict
