"""A host that gives the answers a test prepared, and fails loudly on anything else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from tastyops.errors import LinkLost, Unreachable
from tastyops.facts.md import ARRAYS
from tastyops.facts.mounts import FSTAB, MOUNTED
from tastyops.model.inventory import Host
from tastyops.ports import Ended, Sink, Tail
from tastyops.protocol.framing import Fate, Hello
from tastyops.protocol.host_lock import Holder, Lock

Answer = tuple[int, str] | tuple[int, str, str] | Exception | Callable[[], "Answer"]


START = datetime(2026, 2, 11, 13, 0, tzinfo=UTC)


class FakeClock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.time = START
        self.slept: list[float] = []

    def now(self) -> datetime:
        return self.time

    def sleep(self, seconds: float, wake: Callable[[float], bool]) -> None:
        self.slept.append(seconds)
        self.time += timedelta(seconds=seconds)


SOUND: dict[str, Answer | list[Answer]] = {
    "cat /proc/sys/kernel/random/boot_id": (0, "11111111-1111-1111-1111-111111111111"),
    "uname -rv": (0, "6.1.0 #1"),
    "uname -n": (0, "web1"),
    "systemctl list-units --state=failed --output=json --no-pager": (0, "[]"),
    ARRAYS.argv[2]: (0, ""),
    " ".join(FSTAB.argv): (0, '{"filesystems": []}'),
    " ".join(MOUNTED.argv): (0, '{"filesystems": []}'),
    "date +%s": (0, f"{START.timestamp():.0f}"),
}
"""What a host that may be rebooted answers, when it is called web1."""


@dataclass
class FakeHost:
    """Answers by the command's text; a list is used up one answer at a time."""

    answers: dict[str, Answer | list[Answer]] = field(default_factory=dict)
    boot_id: str = "11111111-1111-1111-1111-111111111111"
    sent: list[str] = field(default_factory=list)
    probed: list[str] = field(default_factory=list)
    fates: dict[str, Fate] = field(default_factory=dict)
    refuse: int = 0
    links: int = 0
    cuts: int = 0
    """How often its links were cut while nothing was asked over them."""
    forgotten: list[str] = field(default_factory=list)
    uid: int = 0
    elevated: list[str] = field(default_factory=list)
    clock: FakeClock | None = None
    time: int = 0
    """Its clock's seconds since 1970, and ``up`` those since its start, as its greeting says."""
    up: int = -1
    record: str = "b1"
    """Which directory the run has there; another once it was removed and made again."""
    stopped: Callable[[], None] = lambda: None
    lock: Holder | None = None
    """Who holds the host. It is lost with a reboot, which a new ``boot_id`` is."""
    locked_boot: str = ""

    def holder(self) -> Holder | None:
        if self.locked_boot and self.locked_boot != self.boot_id:
            self.lock, self.locked_boot = None, ""
        return self.lock

    def answer(self, argv: Sequence[str]) -> tuple[int, str, str]:
        text = argv[2] if list(argv[:2]) == ["sh", "-c"] else " ".join(argv)
        if text not in self.answers:
            raise AssertionError(f"nobody said what {text!r} answers")
        found = self.answers[text]
        if isinstance(found, list):
            found = found.pop(0) if len(found) > 1 else found[0]
        if callable(found):
            found = found()
        if isinstance(found, Exception):
            raise found
        assert isinstance(found, tuple)
        return (found[0], found[1], found[2] if len(found) > 2 else "")


class FakeSession:
    def __init__(self, host: FakeHost) -> None:
        self._host = host
        self.hello = Hello(
            host.uid, host.boot_id, "/run/tastyops/x", 1, "fake", "6.1.0", host.time, "",
            record=host.record, up=host.up,
        )  # fmt: skip
        self.skew = 0.0
        self.closed = False
        self._cuts = host.cuts
        self._taken: Holder | None = None

    @property
    def lost(self) -> str:
        return "The link was cut." if self._host.cuts > self._cuts else ""

    def lock(self, holder: Holder, *, take_over: bool = False) -> Lock:
        before = self._host.holder()
        if before is not None and before.run == holder.run and before.epoch == holder.epoch:
            if before.name != holder.name:
                return Lock("same", before)
            before = None
        elif before is not None and before.run == holder.run and before.epoch > holder.epoch:
            return Lock("fenced", before)
        elif before is not None and before.run != holder.run and not take_over:
            return Lock("held", before)
        self._host.lock, self._host.locked_boot = holder, self._host.boot_id
        self._taken = holder
        return Lock("taken", before)

    def _holding(self) -> bool:
        found, ours = self._host.holder(), self._taken
        if found is None or ours is None:
            return False
        return (found.run, found.epoch, found.name) == (ours.run, ours.epoch, ours.name)

    def unlock(self) -> None:
        if self._holding():
            self._host.lock = None

    def _run(self, argv: Sequence[str], sink: Sink) -> Ended:
        status, out, err = self._host.answer(argv)
        sink.out(out.encode())
        sink.err(err.encode())
        return Ended(status, 0.01)

    def probe(
        self,
        argv: Sequence[str],
        *,
        sink: Sink,
        sudo: bool = False,
        timeout: float | None = None,
        tail: Tail | None = None,
    ) -> Ended:
        self._host.probed.append(" ".join(argv))
        if sudo:
            self._host.elevated.append(" ".join(argv))
        return self._run(argv, sink)

    def change(
        self,
        name: str,
        argv: Sequence[str],
        *,
        sink: Sink,
        sudo: bool = False,
        stdin: bytes = b"",
        timeout: float | None = None,
        tail: Tail | None = None,
    ) -> Ended:
        text = argv[2] if list(argv[:2]) == ["sh", "-c"] else " ".join(argv)
        if not self._holding():
            return Ended(-1, 0.01, "fenced")
        self._host.sent.append(text)
        return self._run(argv, sink)

    def fate(self, name: str) -> Fate:
        return self._host.fates.get(name, Fate("never"))

    def follow(
        self,
        name: str,
        *,
        sink: Sink,
        sudo: bool = False,
        timeout: float | None = None,
        tail: Tail | None = None,
    ) -> Ended:
        fate = self._host.fates[name]
        sink.out(b"followed\n")
        if fate.state == "lost":
            return Ended(-1, 0.01, "lost")
        return Ended(fate.status or 0, 0.01)

    def forget(self, name: str) -> None:
        self._host.forgotten.append(name)

    def forget_run(self) -> None:
        self._host.forgotten.append("*")

    def stop(self) -> None:
        self._host.stopped()

    def close(self) -> None:
        self.closed = True


class FakeDialer:
    def __init__(self, **hosts: FakeHost) -> None:
        self.hosts = hosts

    def session(self, host: Host, run: str) -> FakeSession:
        fake = self.hosts[host.name]
        if fake.refuse:
            fake.refuse -= 1
            raise Unreachable(f"{host.name} refuses.")
        fake.links += 1
        return FakeSession(fake)

    prober = session


def lost() -> LinkLost:
    return LinkLost("The link was cut.")
