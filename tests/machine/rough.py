"""A host that keeps the fate of changes like a real one, behind a link that fails on request."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tastyops.errors import Unreachable
from tastyops.model.inventory import Host
from tastyops.ports import Ended, Sink, Tail
from tastyops.protocol.framing import Fate
from tests.core.fake import FakeHost, FakeSession, lost

Fault = Literal["", "before", "after", "meanwhile"]
"""When the link is lost: before the request arrives, after the command ended, while it runs."""


@dataclass
class RoughHost(FakeHost):
    """``done`` counts the changes that were really begun here, by name; it survives reboots."""

    name: str = ""
    faults: deque[Fault] = field(default_factory=deque)
    """What becomes of the next requests; none when it is empty."""
    kept: dict[str, int | None] = field(default_factory=dict)
    """The changes the run's directory knows: their statuses, None while they run."""
    gone: set[str] = field(default_factory=set)
    """Those whose process ended without leaving a status."""
    directory: bool = False
    done: Counter[str] = field(default_factory=Counter)
    ledger: list[tuple[str, str]] = field(default_factory=list)
    away: deque[Literal["", "reboot", "wipe"]] = field(default_factory=deque)
    """What happens there before each of the next links is opened."""
    before_change: Callable[[str, str, str], None] = lambda host, name, text: None
    losses: int = 0

    def reboot(self, boot: int) -> None:
        """All that lay in memory is gone: the run's directory, its running changes, the lock."""
        self.boot_id = f"{boot:08}-1111-1111-1111-111111111111"
        self.wipe()

    def wipe(self) -> None:
        """The run's directory is removed, as systemd does with an account's last session."""
        self.kept.clear()
        self.gone.clear()
        self.directory = False

    def opened(self) -> None:
        """A link is about to be opened."""
        self.links += 1
        match self.away.popleft() if self.away else "":
            case "reboot":
                self.reboot(1000 + self.links)
            case "wipe":
                self.wipe()

    def fault(self) -> Fault:
        return self.faults.popleft() if self.faults else ""


class RoughSession(FakeSession):
    """A session of ``FakeHost`` that dies with its link and with the host's boot."""

    def __init__(self, host: RoughHost) -> None:
        if not host.directory:
            host.record, host.directory = f"b{host.links}", True
        super().__init__(host)
        self.rough, self.dead, self._boot = host, False, host.boot_id

    def _ask(self) -> Fault:
        """One request: raises LinkLost where it does not arrive."""
        fault = self.rough.fault()
        if self.dead or self._boot != self.rough.boot_id or fault == "before":
            self._answered("before")
        return fault

    def _answered(self, fault: Fault) -> None:
        if fault:
            self.rough.losses += not self.dead
            self.dead = True
            raise lost()

    def probe(
        self, argv: Sequence[str], *, sink: Sink, sudo: bool = False,
        timeout: float | None = None, tail: Tail | None = None,
    ) -> Ended:
        self._answered(self._ask())
        return super().probe(argv, sink=sink, sudo=sudo)

    def change(
        self, name: str, argv: Sequence[str], *, sink: Sink, sudo: bool = False,
        stdin: bytes = b"", timeout: float | None = None, tail: Tail | None = None,
    ) -> Ended:
        host = self.rough
        text = argv[2] if list(argv[:2]) == ["sh", "-c"] else " ".join(argv)
        fault = self._ask()
        if not self._holding():
            return Ended(-1, 0.01, "fenced")
        if name in host.kept or name in host.gone:
            self._answered(fault)
            return Ended(-1, 0.01, "claimed")
        host.before_change(host.name, name, text)
        host.done[name] += 1
        host.ledger.append((name, text))
        host.sent.append(text)
        status, out, err = host.answer(argv)
        host.kept[name] = None if fault == "meanwhile" else status
        if fault == "meanwhile":
            host.fates[name] = Fate("ended", status)
        self._answered(fault)
        sink.out(out.encode())
        sink.err(err.encode())
        return Ended(status, 0.01)

    def fate(self, name: str) -> Fate:
        self._answered(self._ask())
        host = self.rough
        if name in host.gone:
            return Fate("lost")
        if name not in host.kept:
            return Fate("never")
        status = host.kept[name]
        return Fate("running") if status is None else Fate("ended", status)

    def follow(
        self, name: str, *, sink: Sink, sudo: bool = False,
        timeout: float | None = None, tail: Tail | None = None,
    ) -> Ended:
        self._answered(self._ask())
        host = self.rough
        if name in host.gone:
            return Ended(-1, 0.01, "lost")
        if host.kept[name] is None:
            host.kept[name] = host.fates[name].status
        sink.out(b"followed\n")
        return Ended(host.kept[name] or 0, 0.01)

    def forget(self, name: str) -> None:
        self._answered(self._ask())
        if self._holding():
            self.rough.kept.pop(name, None)
            self.rough.forgotten.append(name)

    def forget_run(self) -> None:
        self._answered(self._ask())
        if self._holding():
            self.rough.kept.clear()
            self.rough.directory = False


class RoughDialer:
    """Links to rough hosts; one that refuses does so as often as it was told to."""

    def __init__(self, hosts: dict[str, RoughHost]) -> None:
        self.hosts = hosts

    def session(self, host: Host, run: str) -> RoughSession:
        rough = self.hosts[host.name]
        if rough.refuse:
            rough.refuse -= 1
            raise Unreachable(f"{host.name} refuses.")
        rough.opened()
        return RoughSession(rough)

    prober = session
