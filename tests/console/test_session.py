"""A session over a console: what its terminal does to it, and what is left of it afterwards.

What every session does is in tests/conformance; here is what can befall this one alone.
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tastyops.errors import HostUnsuitable, LinkLost
from tastyops.model.inventory import Host
from tastyops.protocol.framing import Fate
from tastyops.protocol.host_lock import Holder
from tastyops.protocol.serial_mux import BROKEN, READY, Reply, Sieve, cksum, order
from tastyops.transport.console.attached import Attached
from tastyops.transport.console.carrier import ConsoleCarrier, Patience
from tastyops.transport.console.session import session
from tastyops.transport.ssh.session import SshSession
from tastyops.transport.ssh.timing import Timing
from tests.conformance.test_sessions import Sink
from tests.console.terminals import Cable, PtyLine

HOST = Host("kalimdor")
DASH = ("dash", "-i")
NONCE = "n0123456789abcdef"


def answer(number: int, words: str, encoded: str = "", data: bytes = b"") -> bytes:
    said = f"{number} {words}".encode()
    return b"{%s %d %s\r\n%s\r\n}" % (
        NONCE.encode(), cksum(said + b"\n" + data), said, encoded.encode()
    )  # fmt: skip


# -- what comes back ---------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", b"a", b"hello\n", bytes(range(256)) * 20])
def test_the_checksum_is_cksums(data: bytes) -> None:
    told = subprocess.run(["cksum"], input=data, capture_output=True, check=True).stdout
    assert cksum(data) == int(told.split()[0])


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_answers_are_taken_out_and_the_rest_is_left(size: int) -> None:
    sieve, others = Sieve(NONCE), b""
    said = b"before\r\n" + answer(7, "1", "aGk=", b"hi") + b"{and\r\n" + answer(8, "ok") + b"# "
    for at in range(0, len(said), size):
        others += sieve.feed(said[at : at + size])
    assert sieve.replies == [Reply(7, ("1",), b"hi"), Reply(8, ("ok",))]
    assert others + sieve.finish() == b"before\r\n{and\r\n# "


@pytest.mark.parametrize("at", range(0, 51, 3))
def test_an_answer_the_kernel_wrote_into_counts_for_nothing(at: int) -> None:
    sieve, noise = Sieve(NONCE), b"[   12.345678] md: md1: data-check done.\r\n"
    whole = answer(7, "1 99", "c2VjcmV0IHdvcmRzIG9mIGEgaG9zdA==", b"secret words of a host")
    cut = len(NONCE) + 2 + at
    others = sieve.feed(whole[:cut] + noise + whole[cut:])
    assert sieve.replies == [BROKEN]
    assert b"md1: data-check done." in others
    assert b"c2VjcmV0" not in others


@pytest.mark.parametrize("changed", [b"aGo=", b"aGk", b"!Gk="])
def test_an_answer_that_is_not_itself_is_broken(changed: bytes) -> None:
    sieve = Sieve(NONCE)
    sieve.feed(answer(7, "1", "aGk=", b"hi").replace(b"aGk=", changed))
    assert sieve.replies == [BROKEN]


def test_what_the_router_says_of_a_request() -> None:
    sieve = Sieve(NONCE)
    assert sieve.feed(b"{%s ?}{%s +}" % (NONCE.encode(), NONCE.encode())) == b""
    assert sieve.replies == [BROKEN, READY]


def test_a_request_fits_a_terminals_line() -> None:
    assert len(order(NONCE, 10**9, ("w", "1", "9" * 9, "2400", "x" * 3200, "6" * 40))) < 4095


# -- a terminal --------------------------------------------------------------------------------


class Console:
    """A shell at a terminal, attached; what it says to others than the session is in ``heard``."""

    def __init__(self, locks: Path, argv: tuple[str, ...] = DASH, slow: float = 0.0) -> None:
        self.heard = b""
        self.line = PtyLine(argv, locks, slow=slow)
        self.attach()
        self.attached.until([r"[#$] $"], 10)

    def attach(self) -> None:
        self.cable = Cable(self.line)
        self.attached = Attached(self.cable, "a pty", self.hear)

    def let_go(self) -> None:
        """As if the controller had been killed: nothing is said any more, and another comes."""
        self.cable.cut()
        self.attached.close()
        self.attach()

    def close(self) -> None:
        self.attached.close()
        self.line.close()

    def hear(self, data: bytes) -> None:
        self.heard += data

    def open(self, run: str, **patience: float) -> SshSession:
        opened = session(
            self.attached, "kalimdor", run, timing=Timing(second_after=0.3),
            patience=Patience(**patience),
        )  # fmt: skip
        assert opened.lock(Holder(run, 1, "kalimdor")).state == "taken"
        return opened


@pytest.fixture
def console(tmp_path: Path) -> Iterator[Console]:
    found = Console(tmp_path)
    yield found
    found.close()


@pytest.fixture
def run() -> str:
    return f"console-{time.monotonic_ns():x}"


def test_the_prompt_comes_back_and_the_terminal_is_as_it_was(console: Console, run: str) -> None:
    opened = console.open(run)
    assert opened.probe(["echo", "hidden words"], sink=Sink()).status == 0
    opened.forget_run()
    opened.unlock()
    opened.close()
    console.attached.type(b"stty -a | tr ';' '\\n'; echo echoed-$((40 + 2))\r")
    said = console.attached.until([r"echoed-42"], 10)
    typed, _, shown = said.rpartition("echo echoed-")
    assert typed.endswith("; "), "what is typed is shown again"
    assert " echo " in shown
    assert " -echo " not in shown
    assert b"hidden words" not in console.heard
    assert b"aGlkZGVu" not in console.heard, "nor in the form in which it travelled"


def test_an_answer_that_takes_longer_than_a_request_is_waited_for(
    tmp_path: Path, run: str
) -> None:
    slow = Console(tmp_path, slow=0.1)  # so that 16 KB take three seconds and more
    try:
        opened = slow.open(run, answer=1)
        sink = Sink()
        assert opened.probe(["sh", "-c", "yes word | head -c 12000"], sink=sink).status == 0
        assert len(sink.stdout) == 12_000
        opened.close()
    finally:
        slow.close()


def test_only_where_a_shell_waits(console: Console, run: str) -> None:
    assert console.attached.session(HOST, run) is not None
    assert console.attached.session(HOST, run) is None, "one at a time"


def test_no_session_where_no_prompt_is(tmp_path: Path, run: str) -> None:
    asks = Console(tmp_path, ("sh", "-c", "printf 'web1 login: '; read -r name; printf 'again: '"))
    try:
        assert asks.attached.session(HOST, run) is None
        assert asks.attached.session(HOST, run, left=True) is None, "Enter brings no prompt"
    finally:
        asks.close()


def test_a_shell_that_does_not_take_what_is_typed(tmp_path: Path, run: str) -> None:
    deaf = Console(tmp_path, ("sh", "-c", "printf 'root@web1:~# '; cat >/dev/null"))
    try:
        with pytest.raises(HostUnsuitable, match="did not take what was typed"):
            deaf.open(run, opening=0.5)
    finally:
        deaf.close()


def test_a_router_left_behind_makes_way_for_the_next(console: Console, run: str) -> None:
    first = console.open(run)
    first.change("s1", ["sh", "-c", "echo done; exit 5"], sink=Sink())
    console.let_go()
    again = console.attached.session(HOST, run, left=True)
    assert again is not None
    assert again.lock(Holder(run, 1, "kalimdor")).state == "taken"
    assert again.fate("s1") == Fate("ended", 5)
    again.close()


def test_a_line_that_was_left_half_typed_is_no_hindrance(console: Console, run: str) -> None:
    console.open(run)
    console.cable.cut()
    console.line.write(b"0 half a request")
    console.let_go()
    again = console.attached.session(HOST, run, left=True)
    assert again is not None
    assert again.lock(Holder(run, 1, "kalimdor")).state == "taken"
    again.close()


def test_a_terminal_that_hangs_up_leaves_nothing_of_the_router(console: Console) -> None:
    carrier = ConsoleCarrier(console.attached, "kalimdor")
    carrier.open()
    places = [Path("/run/tastyops"), Path(f"/dev/shm/tastyops-{os.getuid()}")]
    places += [Path(where, "tastyops") for where in (os.environ.get("XDG_RUNTIME_DIR"),) if where]
    (mine,) = (found for place in places for found in place.glob(f"console.{carrier._nonce}"))
    console.close()
    deadline = time.monotonic() + 30
    while mine.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_console_that_goes_silent_in_mid_change_loses_the_link_and_not_the_change(
    console: Console, run: str, tmp_path: Path
) -> None:
    went, go = tmp_path / "went", tmp_path / "go"
    opened = console.open(run, answer=1, stall=3)
    argv = ["sh", "-c", f"echo x >>{went}; while [ ! -e {go} ]; do sleep 0.1; done; exit 5"]
    failed: list[LinkLost] = []

    def change() -> None:
        try:
            opened.change("s1", argv, sink=Sink())
        except LinkLost as error:
            failed.append(error)

    work = threading.Thread(target=change)
    work.start()
    deadline = time.monotonic() + 60
    while not went.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    console.line.quiet.set()
    work.join(60)
    assert failed
    assert "console was lost" in failed[0].what
    assert "kept on the host" in failed[0].still_true
    opened.close()
    console.line.quiet.clear()
    console.let_go()
    again = console.attached.session(HOST, run, left=True)
    assert again is not None
    assert again.lock(Holder(run, 1, "kalimdor")).state == "taken"
    assert again.fate("s1") == Fate("running")
    go.touch()
    assert again.follow("s1", sink=Sink()).status == 5
    assert again.change("s1", argv, sink=Sink()).state == "claimed"
    assert went.read_text() == "x\n"
    again.forget_run()
    again.unlock()
    again.close()


def test_a_session_whose_console_was_closed_types_no_more(
    console: Console, run: str, tmp_path: Path
) -> None:
    opened = console.open(run)
    console.attached.close()
    with pytest.raises(LinkLost):
        opened.probe(["true"], sink=Sink())
    typed = console.line.typed
    opened.close()
    assert console.line.typed == typed
