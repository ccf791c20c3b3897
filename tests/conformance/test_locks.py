"""One run per host at a time, wherever the host is: the practice host, the lab, a real sshd."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from tastyops.errors import LinkLost
from tastyops.ports import Session
from tastyops.protocol.framing import Fate
from tastyops.protocol.host_lock import Holder, Lock
from tests.conformance.conftest import Target
from tests.conformance.test_sessions import Sink

Open = Callable[[str], Session]


@pytest.fixture
def opened(target: Target) -> Iterator[Open]:
    """Opens sessions of any run; none holds anything afterwards."""
    sessions: list[tuple[str, Session]] = []

    def open_session(run: str) -> Session:
        sessions.append((run, target.dialer.session(target.host, run)))
        return sessions[-1][1]

    yield open_session
    for number, (run, session) in enumerate(sessions):
        with contextlib.suppress(LinkLost):  # a test may have closed it
            session.lock(holder(run, 100 + number), take_over=True)  # only its holder drops a run
            session.forget_run()
            session.unlock()
        session.close()


@pytest.fixture
def other() -> str:
    """Another run."""
    return f"other-{time.monotonic_ns():x}"


def holder(run: str, epoch: int = 1, name: str = "web1") -> Holder:
    return Holder(
        run, epoch, name, "dwm", "deskpro", "6b0a", 4711, "99", "2026-02-11T13:00:00Z", "77aa"
    )


def change(session: Session, name: str = "s1") -> str:
    return session.change(name, ["true"], sink=Sink()).state


def test_a_session_without_the_lock_changes_nothing(opened: Open, run: str) -> None:
    session = opened(run)
    assert session.change("s1", ["cat"], sink=Sink(), stdin=b"").state == "fenced"
    assert session.fate("s1") == Fate("never")
    assert session.probe(["true"], sink=Sink()).status == 0
    assert session.lock(holder(run)) == Lock("taken")
    assert change(session) == "ended"


def test_another_run_is_refused_and_told_who_holds_it(opened: Open, run: str, other: str) -> None:
    first, second = opened(run), opened(other)
    assert first.lock(holder(run)) == Lock("taken")
    assert second.lock(holder(other)) == Lock("held", holder(run))
    assert change(second) == "fenced"
    assert change(first) == "ended"


def test_a_lock_is_free_again_when_it_is_let_go(opened: Open, run: str, other: str) -> None:
    first, second = opened(run), opened(other)
    first.lock(holder(run))
    first.forget_run()
    first.unlock()
    assert second.lock(holder(other)) == Lock("taken")


def test_it_outlives_its_session(opened: Open, run: str, other: str) -> None:
    first = opened(run)
    first.lock(holder(run))
    first.close()
    assert opened(other).lock(holder(other)).state == "held"
    assert opened(run).lock(holder(run)) == Lock("taken")


def test_a_take_over_says_whose_it_was_and_fences_them(opened: Open, run: str, other: str) -> None:
    first, second = opened(run), opened(other)
    first.lock(holder(run))
    assert change(first) == "ended"
    assert second.lock(holder(other), take_over=True) == Lock("taken", holder(run))
    assert change(first, "s2") == "fenced"
    assert first.fate("s1") == Fate("ended", 0)
    first.unlock()
    assert change(second) == "ended"


def test_a_later_epoch_of_the_run_takes_its_own_lock_and_fences_the_earlier(
    opened: Open, run: str
) -> None:
    first, second = opened(run), opened(run)
    first.lock(holder(run, 1))
    assert second.lock(holder(run, 2)) == Lock("taken", holder(run, 1))
    assert change(first) == "fenced"
    assert change(second) == "ended"
    first.forget("s1")
    first.fate("s1")  # sends what is to be forgotten
    first.forget_run()
    assert second.fate("s1") == Fate("ended", 0), "what is fenced drops nothing either"
    assert first.lock(holder(run, 1), take_over=True) == Lock("fenced", holder(run, 2))
    first.forget_run()
    assert second.fate("s1") == Fate("ended", 0)


def test_epochs_are_numbers(opened: Open, run: str) -> None:
    first, second = opened(run), opened(run)
    first.lock(holder(run, 9))
    assert second.lock(holder(run, 10)).state == "taken"
    assert first.lock(holder(run, 9)).state == "fenced"


def test_the_same_holder_takes_it_again(opened: Open, run: str) -> None:
    first, second = opened(run), opened(run)
    assert first.lock(holder(run)) == Lock("taken")
    assert second.lock(holder(run)) == Lock("taken")
    assert change(first, "s1") == change(second, "s2") == "ended"


@pytest.mark.parametrize("take_over", [False, True])
def test_two_names_for_one_machine_are_noticed(opened: Open, run: str, take_over: bool) -> None:
    first, second = opened(run), opened(run)
    first.lock(holder(run))
    assert change(first) == "ended"
    refused = second.lock(holder(run, name="web2"), take_over=take_over)
    assert refused == Lock("same", holder(run))
    assert change(second, "s2") == "fenced"
    second.forget_run()
    assert first.fate("s1") == Fate("ended", 0)
    assert change(first, "s3") == "ended"


def test_a_refused_run_leaves_no_directory(
    opened: Open, target: Target, run: str, other: str
) -> None:
    first, second = opened(run), opened(other)
    first.lock(holder(run))
    second.lock(holder(other))
    looking = ["sh", "-c", f"cat {second.hello.directory}/.room || echo gone"]
    sink = Sink()
    first.probe(looking, sink=sink)
    assert sink.stdout == b"gone\n"


def test_of_many_that_come_at_once_one_gets_it(opened: Open, run: str) -> None:
    runs = [f"{run}-{number}" for number in range(6)]
    sessions = [opened(each) for each in runs]
    together = threading.Barrier(len(runs))
    answers: dict[str, Lock] = {}

    def take(session: Session, own: str) -> None:
        together.wait(60)
        answers[own] = session.lock(holder(own))

    threads = [
        threading.Thread(target=take, args=pair) for pair in zip(sessions, runs, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(lock.state for lock in answers.values()) == ["held"] * 5 + ["taken"]
    (winner,) = (own for own, lock in answers.items() if lock.state == "taken")
    assert {lock.holder for lock in answers.values()} == {None, holder(winner)}


def test_a_main_shell_that_was_replaced_holds_it_still(opened: Open, run: str, other: str) -> None:
    session = opened(run)
    session.lock(holder(run))
    assert session.probe(["sleep", "60"], sink=Sink(), timeout=0.5).state == "timed out"
    assert change(session) == "ended"
    opened(other).lock(holder(other), take_over=True)
    assert session.probe(["sleep", "60"], sink=Sink(), timeout=0.5).state == "timed out"
    assert change(session, "s2") == "fenced"


def test_a_prober_neither_takes_nor_minds_it(target: Target, opened: Open, run: str) -> None:
    session = opened(run)
    session.lock(holder(run))
    prober = target.dialer.prober(target.host, "preview")
    try:
        assert not hasattr(prober, "lock")
        assert prober.probe(["true"], sink=Sink()).status == 0
    finally:
        prober.close()
    assert change(session) == "ended"
