"""A session whose commands a person types at the host: the suite, as far as its promises go.

The person is played by one who types at a real shell what is shown, and tells what the screen
shows. What such a session does not promise is below: streams of their own, a fate kept on the
host, input that no keyboard gives, ending a command from here.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tastyops.engine.manual_typing import Typists
from tastyops.engine.typed_session import TypedSession, typed_session
from tastyops.engine.workers import Done
from tastyops.errors import Unreachable, WaitsForPerson
from tastyops.journal.events import TYPED, Address, Answered
from tastyops.journal.state import RunState
from tastyops.model.inventory import Host
from tastyops.ports import OperatorKind
from tastyops.records.runs import RunJournal
from tastyops.redact import Masker
from tests.conformance.conftest import Target
from tests.conformance.test_sessions import (
    Sink,
    test_a_forgotten_change_is_never,
    test_a_probe_answers,
    test_a_status_is_exact,
    test_a_status_is_told,
    test_closing_twice,
    test_many_probes_stay_in_step,
    test_stop_with_nothing_to_stop,
    test_the_clock_is_compared,
    test_what_never_began_is_lost_to_a_follower,
    test_within_the_timeout,
    test_words_are_words,
)

__all__ = [
    "test_a_forgotten_change_is_never",
    "test_a_probe_answers",
    "test_a_status_is_exact",
    "test_a_status_is_told",
    "test_closing_twice",
    "test_many_probes_stay_in_step",
    "test_stop_with_nothing_to_stop",
    "test_the_clock_is_compared",
    "test_what_never_began_is_lost_to_a_follower",
    "test_within_the_timeout",
    "test_words_are_words",
]

AT = Address("kalimdor", "1.1", 1, 1)


class AtTheKeyboard:
    """Types each line at a shell of its own, and tells what both streams show on the screen."""

    kind = OperatorKind.PERSON

    def __init__(self, shell: str) -> None:
        self._shell = shell
        self.begun = threading.Event()
        self.gone = False
        self.texts: list[str] = []

    def answer(
        self, question: Mapping[str, Any], *, over: Callable[[], bool]
    ) -> tuple[str, str] | None:
        assert question["question"] == TYPED
        assert question["line"] in question["text"], "the line is what a person is shown"
        self.texts.append(question["text"])
        if self.gone:
            return None
        typed = subprocess.Popen(
            [self._shell, "-c", question["line"]], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        self.begun.set()
        while typed.poll() is None:
            if over():
                os.killpg(typed.pid, signal.SIGKILL)
                typed.communicate()
                return None
            time.sleep(0.005)
        seen, _ = typed.communicate()
        return f"{typed.returncode}\n{seen.decode('utf-8', 'surrogateescape')}", "ncm"


class ByHandDialer:
    """Sessions of one run, with a journal and a thread of its own that writes it."""

    def __init__(self, typist: AtTheKeyboard, directory: Path) -> None:
        self.typist = typist
        self.state = RunState()
        self.journal = RunJournal.create(directory / "runs", "r1", b"title: T", Masker())
        self.done: queue.SimpleQueue[Done | None] = queue.SimpleQueue()
        self.typists = Typists([typist], self.state, self.journal, self.done)  # type: ignore[arg-type]
        self._thread = threading.Thread(target=self._write)
        self._thread.start()

    def _write(self) -> None:
        while (done := self.done.get()) is not None:
            for at, body, who in done.events:
                told = self.typists.taken(at, body, who) if isinstance(body, Answered) else body
                event = self.journal.append(told, at, who=who, happened=datetime.now(UTC))
                self.state.apply(event)
                self.journal.commit()
                self.typists.event(event)

    def session(self, host: Host, run: str) -> TypedSession:
        return typed_session(self.typists, host.name, AT, lambda: False)

    prober = session

    def close(self) -> None:
        self.done.put(None)
        self._thread.join(30)
        self.journal.close()


@pytest.fixture(params=["dash", "bash"])
def dialer(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ByHandDialer]:
    found = ByHandDialer(AtTheKeyboard(request.param), tmp_path)
    yield found
    found.close()


@pytest.fixture
def target(dialer: ByHandDialer) -> Target:
    return Target(dialer, Host("kalimdor"), linked=False)


@pytest.fixture
def typed(target: Target, run: str) -> TypedSession:
    found = target.dialer.session(target.host, run)
    assert isinstance(found, TypedSession)
    return found


def test_the_host_says_who_it_is_as_far_as_it_was_told(typed: TypedSession) -> None:
    hello, uname = typed.hello, os.uname()
    assert hello.boot_id == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert (hello.hostname, hello.kernel) == (uname.nodename, uname.release)
    assert hello.uid == os.getuid()
    assert (hello.directory, hello.pid, hello.lock) == ("", 0, ""), "nothing is kept there"


def test_what_the_host_is_is_asked_once(target: Target, run: str, dialer: ByHandDialer) -> None:
    for _ in range(3):
        target.dialer.session(target.host, run).close()
    assert len(dialer.state.lane("kalimdor", "1.1").shown) == 1
    assert dialer.state.seq == 2, "a question and its answer"


def test_a_screen_shows_both_streams(typed: TypedSession) -> None:
    sink = Sink()
    argv = ["sh", "-c", "echo out; echo err >&2"]
    assert typed.probe(argv, sink=sink).status == 0
    assert (sink.stdout, sink.stderr) == (b"out\nerr\n", b"")
    assert typed.probe(["no-such-program"], sink=sink).status == 127
    assert b"no-such-program" in sink.stdout


@pytest.mark.parametrize("data", ["one\ntwo\n", "no end", "it's $HOME `x` \\ \"\n\n", "END-OF-INPUT\n"])
def test_standard_input_that_a_keyboard_gives(typed: TypedSession, data: str) -> None:
    sink = Sink()
    assert typed.change("s1", ["cat"], sink=sink, stdin=data.encode()).status == 0
    assert sink.stdout.decode() == data


@pytest.mark.parametrize("data", [b"\x00\x01", b"\xff", b"x" * 100_000, b"a\tb\n"])
def test_standard_input_that_no_keyboard_gives(typed: TypedSession, data: bytes) -> None:
    ended = typed.change("s1", ["cat"], sink=Sink(), stdin=data)
    assert ended.state == "undone"
    assert "cannot be typed by hand" in ended.why


def test_a_boot_id_is_read_without_its_checksum(typed: TypedSession) -> None:
    sink = Sink()
    assert typed.probe(["cat", "/proc/sys/kernel/random/boot_id"], sink=sink).status == 0
    assert sink.stdout == f"{typed.hello.boot_id}\n".encode()


def test_who_told_it(typed: TypedSession) -> None:
    assert typed.probe(["true"], sink=Sink()).by == "ncm"


@pytest.mark.parametrize("change", [False, True])
def test_stopping_stops_the_question(
    typed: TypedSession, dialer: ByHandDialer, change: bool
) -> None:
    dialer.typist.begun.clear()
    states: list[tuple[str, str]] = []

    def work() -> None:
        argv = ["sleep", "600"]
        ended = typed.change("s1", argv, sink=Sink()) if change else typed.probe(argv, sink=Sink())
        states.append((ended.state, ended.why))

    thread = threading.Thread(target=work)
    thread.start()
    assert dialer.typist.begun.wait(30)
    typed.stop()
    thread.join(30)
    why = "the run was stopped before anybody said what became of it"
    assert states == [("lost", why) if change else ("stopped", "")]
    assert typed.probe(["true"], sink=Sink()).status == 0


def test_a_session_that_is_closed_asks_no_more(typed: TypedSession, dialer: ByHandDialer) -> None:
    dialer.typist.begun.clear()
    thread = threading.Thread(target=typed.probe, args=(["sleep", "600"],), kwargs={"sink": Sink()})
    thread.start()
    assert dialer.typist.begun.wait(30)
    typed.close()
    thread.join(30)
    assert not thread.is_alive()


def test_nobody_is_there(typed: TypedSession, dialer: ByHandDialer) -> None:
    dialer.typist.gone = True
    with pytest.raises(WaitsForPerson):
        typed.probe(["true"], sink=Sink())


def test_what_was_shown_is_asked_about(typed: TypedSession, dialer: ByHandDialer) -> None:
    dialer.typist.gone = True
    with pytest.raises(WaitsForPerson):
        typed.change("s1", ["true"], sink=Sink())
    (asked,) = (asked for _, asked in dialer.state.questions())
    assert asked.question == TYPED
    dialer.typist.gone = False
    assert typed.change("s1", ["true"], sink=Sink()).status == 0
    assert "Do not type it now" in dialer.typist.texts[-1]


def test_whoever_is_asked_what_the_host_is_may_leave(dialer: ByHandDialer) -> None:
    dialer.typist.answer = lambda question, *, over: ("leave", "ncm")  # type: ignore[method-assign]
    with pytest.raises(Unreachable, match="nothing more is typed"):
        typed_session(dialer.typists, "kalimdor", AT, lambda: False)
