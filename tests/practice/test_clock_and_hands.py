from __future__ import annotations

from tastyops.practice.clock import PracticeClock
from tastyops.practice.hands import Hands


def test_practice_time_starts_with_the_real_time_and_runs_faster() -> None:
    clock = PracticeClock(60.0)
    same = PracticeClock(60.0, started=clock.started, origin=clock.origin)
    assert clock.real(60.0) == 1.0
    assert abs(same.time() - clock.time()) < 60
    assert clock.now().tzinfo is not None


def test_sleeping_waits_on_the_wake_and_ends_early() -> None:
    clock = PracticeClock(60.0)
    waits: list[float] = []

    def wake(seconds: float) -> bool:
        waits.append(seconds)
        return True

    clock.sleep(120.0, wake)
    clock.sleep(0.0, wake)
    assert len(waits) == 1
    assert 1.0 < waits[0] <= 2.0


def test_a_minute_takes_a_real_second() -> None:
    clock = PracticeClock(6000.0)
    before = clock.time()
    clock.sleep(60.0, lambda seconds: False)
    assert clock.time() - before >= 60.0


def test_hands_do_what_they_are_told_and_know_nothing() -> None:
    hands = Hands()
    assert hands.answer({"question": "manual", "text": "x"}, over=lambda: False) == ("done", "practice hands")
    confirmed = hands.answer({"question": "confirm", "text": "x"}, over=lambda: False)
    assert confirmed is not None
    assert confirmed[1] == "practice hands"
    assert hands.answer({"question": "ask", "text": "x", "default": None}, over=lambda: False) is None
    assert hands.answer({"question": "ask", "default": "3"}, over=lambda: False) == ("3", "practice hands")
    assert hands.answer({"question": "approve"}, over=lambda: False) is None
