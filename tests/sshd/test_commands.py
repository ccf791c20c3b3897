"""Commands over a real sshd: their input, their output, and exactly how they ended."""

from __future__ import annotations

import hashlib
import os
import random
import threading
from pathlib import Path

import pytest

from tastyops.protocol.framing import Fate
from tastyops.transport.ssh.session import SshProber, SshSession
from tests.sshd.conftest import Open
from tests.sshd.server import Sshd
from tests.sshd.watching import Collected, Counted, wait_for

pytestmark = [pytest.mark.sshd, pytest.mark.usefixtures("carrier")]


def test_a_prober_has_no_way_to_send_a_change() -> None:
    for name in ("change", "fate", "follow", "forget", "forget_run"):
        assert not hasattr(SshProber, name)
        assert hasattr(SshSession, name)


@pytest.mark.parametrize("way", ["probe", "change"])
def test_a_hundred_megabytes(session: SshSession, way: str) -> None:
    sink = Counted()
    argv = ["head", "-c", "100000000", "/dev/zero"]
    before = _peak()
    if way == "probe":
        ended = session.probe(argv, sink=sink)
    else:
        ended = session.change("big", argv, sink=sink)
        session.forget("big")
    assert (ended.state, ended.status, sink.bytes) == ("ended", 0, 100_000_000)
    assert _peak() - before < 40_000, "kilobytes"
    # A probe's output is not left behind in the host's memory.
    left = Path(session.hello.directory)
    assert session.fate("big").state in ("never", "ended")
    wait_for(lambda: sum(file.stat().st_size for file in left.iterdir()) < 1000)


def _peak() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmHWM")))


def test_binary_output_and_nul(session: SshSession, tmp_path: Path) -> None:
    data = random.Random(7).randbytes(3_000_000) + b"\0n" + bytes(range(256)) * 10
    (tmp_path / "binary").write_bytes(data)
    sink = Collected()
    session.probe(["cat", str(tmp_path / "binary")], sink=sink)
    assert hashlib.sha256(sink.stdout).digest() == hashlib.sha256(data).digest()


def test_both_streams_stay_apart(session: SshSession) -> None:
    script = "i=0; while [ $i -lt 500 ]; do echo out $i; echo err $i >&2; i=$((i+1)); done"
    for sink, ended in (
        ((probed := Collected()), session.probe(["sh", "-c", script], sink=probed)),
        ((changed := Collected()), session.change("s", ["sh", "-c", script], sink=changed)),
    ):
        assert ended.status == 0
        assert sink.stdout.decode() == "".join(f"out {i}\n" for i in range(500))
        assert sink.stderr.decode() == "".join(f"err {i}\n" for i in range(500))


@pytest.mark.parametrize("status", [0, 1, 2, 99, 126, 127, 128, 254, 255])
def test_exit_codes_are_exact(session: SshSession, status: int) -> None:
    argv = ["sh", "-c", f"exit {status}"]
    assert session.probe(argv, sink=Collected()).status == status
    ended = session.change(f"e{status}", argv, sink=Collected())
    assert (ended.state, ended.status) == ("ended", status)
    assert session.fate(f"e{status}") == Fate("ended", status)


@pytest.mark.parametrize(("name", "number"), [("KILL", 9), ("SEGV", 11), ("PIPE", 13)])
def test_an_exit_by_signal_is_told_as_the_shell_tells_it(
    session: SshSession, name: str, number: int
) -> None:
    argv = ["sh", "-c", f"kill -s {name} $$"]
    assert session.probe(argv, sink=Collected()).status == 128 + number
    assert session.change(f"k{name}", argv, sink=Collected()).status == 128 + number


def test_a_program_that_does_not_exist(session: SshSession) -> None:
    sink = Collected()
    assert session.probe(["no-such-program"], sink=sink).status == 127
    assert b"no-such-program" in sink.stderr


def test_words_arrive_as_they_are(session: SshSession) -> None:
    words = ["", " ", "a'b", 'c"d', "new\nline\n", "$HOME `id` $(id) \\ * ~", "é", "-n", "\udcff"]
    sink = Collected()
    session.probe(["printf", "[%s]", *words], sink=sink)
    assert sink.stdout == "".join(f"[{word}]" for word in words).encode("utf-8", "surrogateescape")


def test_a_daemons_late_output_stays_out_of_the_next_step(session: SshSession) -> None:
    def daemon(marker: str) -> list[str]:
        late = f"until [ -e {left}/go ]; do sleep 0.1; done; echo late; echo late >&2; : >{marker}"
        return ["sh", "-c", f"({late}) & echo now"]

    left = session.hello.directory
    first, second = Collected(), Collected()
    session.probe(daemon(f"{left}/probe-done"), sink=first)
    session.change("daemon", daemon(f"{left}/change-done"), sink=second)
    assert (first.stdout, second.stdout) == (b"now\n", b"now\n")
    session.probe(["sh", "-c", f": >{left}/go"], sink=Collected())  # the daemons were not waited for
    both = f"[ -e {left}/probe-done ] && [ -e {left}/change-done ]"
    wait = f"until {both}; do sleep 0.1; done"
    third = Collected()
    session.probe(["sh", "-c", f"{wait}; echo next"], sink=third)
    assert (third.stdout, third.stderr) == (b"next\n", b"")


def test_standard_input(session: SshSession) -> None:
    data = random.Random(3).randbytes(2_000_000)
    reads, ignores, none = Collected(), Collected(), Collected()
    assert session.change("reads", ["cat"], sink=reads, stdin=data).status == 0
    assert reads.stdout == data
    assert session.change("ignores", ["echo", "ok"], sink=ignores, stdin=data).status == 0
    assert ignores.stdout == b"ok\n"
    assert session.change("none", ["cat"], sink=none).status == 0
    assert none.stdout == b""
    assert session.probe(["cat"], sink=Collected()).status == 0
    assert session.probe(["echo", "in step"], sink=none).status == 0
    assert none.stdout == b"in step\n"


def test_input_left_by_an_interrupted_attempt_is_not_used(session: SshSession) -> None:
    session._link.tell("u", "again", "c3RhbGU=")
    sink = Collected()
    session.change("again", ["cat"], sink=sink, stdin=b"fresh")
    assert sink.stdout == b"fresh"


def test_a_name_is_used_once(session: SshSession, tmp_path: Path) -> None:
    count = tmp_path / "count"
    argv = ["sh", "-c", f"echo x >>{count}"]
    assert session.change("once", argv, sink=Collected()).state == "ended"
    assert session.change("once", argv, sink=Collected()).state == "claimed"
    assert count.read_text() == "x\n"


@pytest.mark.parametrize("way", ["probe", "change"])
def test_the_tail_of_a_running_command(
    session: SshSession, way: str, tmp_path: Path
) -> None:
    seen: list[tuple[bytes, bytes]] = []
    enough = tmp_path / "enough"
    until = f"until [ -e {enough} ]; do sleep 0.1; done"
    argv = ["sh", "-c", f"echo begun; echo warned >&2; {until}; echo done"]
    sink = Collected()

    def tail(out: bytes, err: bytes) -> None:
        seen.append((out, err))
        if err:
            enough.touch()

    # The files of a probe are numbered: not only the first is to be found.
    session.probe(["true"], sink=Collected())
    if way == "probe":
        session.probe(argv, sink=sink, tail=tail)
    else:
        session.change("tail", argv, sink=sink, tail=tail)
    assert seen[-1] == (b"begun\n", b"warned\n")
    assert sink.stdout == b"begun\ndone\n"


def test_short_commands_open_no_second_channel(session: SshSession) -> None:
    for number in range(20):
        session.probe(["true"], sink=Collected())
        session.change(f"short{number}", ["true"], sink=Collected())
    assert session._link._second is None


def test_probes_leave_few_files(session: SshSession) -> None:
    for _ in range(150):
        session.probe(["true"], sink=Collected())
    session.probe(["true"], sink=Collected())
    assert len(list(Path(session.hello.directory).iterdir())) < 140


def test_a_prober_leaves_nothing(sshd: Sshd) -> None:
    from tastyops.transport.ssh.session import SshDialer

    prober = SshDialer(sshd.ssh_config).prober(sshd.host(), "a-run")
    directory = prober.hello.directory
    assert "a-run" in directory
    assert os.path.isdir(directory)
    prober.close()
    wait_for(lambda: not os.path.exists(directory))


def test_a_sink_that_fails_ends_the_link(sshd: Sshd, opened: Open) -> None:
    from tastyops.errors import LinkLost

    class Full:
        def out(self, data: bytes) -> None:
            raise OSError(28, "No space left on device")

        def err(self, data: bytes) -> None:
            pass

    session = opened(sshd)
    with pytest.raises(OSError, match="No space"):
        session.probe(["echo", "x"], sink=Full())
    with pytest.raises(LinkLost):
        session.probe(["echo", "x"], sink=Collected())


def test_many_sessions_at_once(sshd: Sshd, opened: Open) -> None:
    sessions = [opened(sshd) for _ in range(8)]
    sinks = [Collected() for _ in sessions]

    def work(session: SshSession, sink: Collected) -> None:
        for number in range(30):
            session.probe(["echo", str(number)], sink=sink)

    pairs = zip(sessions, sinks, strict=True)
    threads = [threading.Thread(target=work, args=pair) for pair in pairs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = "".join(f"{number}\n" for number in range(30)).encode()
    assert [sink.stdout for sink in sinks] == [expected] * 8
