"""Slots: what a provider's answers do to the number of bodies that run at once."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from email.utils import formatdate
from threading import Condition
from typing import Any

import pytest

from pytest_llmops.concurrency import slots as module
from pytest_llmops.concurrency.slots import LONGEST_PAUSE_S, Slots, retry_after


@dataclass
class Request:
    route: object | None = field(default_factory=object)
    url: str = "https://api.openai.com/v1/chat/completions"


@dataclass
class Answer:
    """What slots read of a transfer."""

    status: int | None
    headers: dict[str, str] = field(default_factory=dict)
    request: Request = field(default_factory=Request)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    class Clock:
        now = 100.0

        def monotonic(self) -> float:
            return self.now

        time = staticmethod(time.time)

    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def slots(maximum: int = 32) -> Slots:
    return Slots(maximum, Condition())


def see(slots: Slots, *answers: Answer) -> None:
    for answer in answers:
        slots.completed(answer)  # type: ignore[arg-type]


def test_all_slots_are_used_while_nobody_objects(clock: Any) -> None:
    subject = slots()
    see(subject, *[Answer(200)] * 100)
    assert (subject.limit, subject.pause()) == (32, 0)


def test_429_takes_a_fifth_of_the_slots_and_pauses(clock: Any) -> None:
    subject = slots()
    see(subject, Answer(429, {"retry-after": "7"}))
    assert (subject.limit, subject.pause()) == (25, 7)
    clock.now += 7
    assert subject.pause() == 0


def test_the_pause_of_one_provider_holds_up_no_request_to_another(clock: Any) -> None:
    subject = slots()
    see(subject, Answer(429, {"retry-after": "7"}))
    other = Answer(None, request=Request(url="https://api.anthropic.com/v1/messages"))
    assert subject.begins(Answer(None)) == 7  # type: ignore[arg-type]
    assert subject.begins(other) == 0  # type: ignore[arg-type]


def test_a_request_held_back_waits_on_for_a_pause_asked_meanwhile(clock: Any) -> None:
    subject = slots()
    see(subject, Answer(429, {"retry-after": "2"}))
    held = Answer(None)
    assert subject.begins(held) == 2  # type: ignore[arg-type]
    clock.now += 1
    see(subject, Answer(429, {"retry-after": "5"}))
    clock.now += 1
    assert subject.resumes(held) == 4  # type: ignore[arg-type]
    clock.now += 4
    assert subject.resumes(held) == 0  # type: ignore[arg-type]


def test_requests_refused_together_take_slots_once(clock: Any) -> None:
    subject = slots()
    see(subject, *[Answer(429, {"retry-after": "1"})] * 20)
    assert subject.limit == 25
    clock.now += 1.5
    see(subject, Answer(429))
    assert subject.limit == 20


def test_one_slot_is_left_at_least(clock: Any) -> None:
    subject = slots(2)
    for _ in range(50):
        clock.now += 5
        see(subject, Answer(429))
    assert subject.limit == 1


def test_slots_come_back_one_a_round(clock: Any) -> None:
    subject = slots()
    see(subject, Answer(429))
    clock.now += 2
    see(subject, *[Answer(200)] * 26)
    assert subject.limit == 26
    see(subject, *[Answer(200)] * 1000)
    assert subject.limit == 32


def test_nothing_grows_during_the_pause_or_after_a_server_error(clock: Any) -> None:
    subject = slots()
    see(subject, Answer(429, {"retry-after": "5"}), *[Answer(200)] * 100)
    assert subject.limit == 25
    clock.now += 6
    see(subject, Answer(503), *[Answer(200)] * 100)
    assert subject.limit == 25
    clock.now += 11
    see(subject, *[Answer(200)] * 30)
    assert subject.limit > 25


def test_a_failed_connection_or_a_bad_request_says_nothing(clock: Any) -> None:
    subject = slots()
    see(subject, Answer(429))
    clock.now += 2
    see(subject, *[Answer(None)] * 100, *[Answer(400)] * 100)
    assert subject.limit == 25


def test_requests_wait_for_the_end_of_the_pause_but_only_a_providers(clock: Any) -> None:
    subject = slots()
    see(subject, Answer(429, {"retry-after": "3"}))
    assert subject.begins(Answer(None)) == 3  # type: ignore[arg-type]
    assert subject.begins(Answer(None, request=Request(route=None))) == 0  # type: ignore[arg-type]


def test_a_pause_of_a_day_is_cut_short(clock: Any) -> None:
    subject = slots()
    see(subject, Answer(429, {"retry-after": "86400"}))
    assert subject.pause() == LONGEST_PAUSE_S


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "2"}, 2.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "-4"}, 0.0),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({}, None),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


def test_retry_after_a_date_to_come() -> None:
    now = time.time()
    seconds = retry_after({"retry-after": formatdate(now + 30, usegmt=True)})
    assert seconds is not None
    assert 29 - (time.time() - now) <= seconds <= 30, "whole seconds in the header, and the time since"


@pytest.mark.parametrize("text", ["nan", "inf"])
def test_retry_after_a_number_that_is_none(text: str, clock: Any) -> None:
    subject = slots()
    see(subject, Answer(429, {"retry-after": text}))
    assert 0 <= subject.pause() <= LONGEST_PAUSE_S
