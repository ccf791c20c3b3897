"""The hosts this controller works on: each belongs to one live process.

The kernel keeps these locks (flock(2)) and drops them when their process dies, however it dies;
what a file says is only who took it last. So there is nothing stale here to clear away, and
nothing to take over: the process that holds one is alive.

``logs/.host-NAME.lock`` is the run that works on a host. A lock's file is never removed: whoever
waits for one that was would hold something nobody else can see. That a run itself belongs to one
process is the lock on its journal (``store.runs``).
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path

from tastyops.errors import Locked
from tastyops.local.controller import this_controller
from tastyops.local.plain_files import make_public_directory, open_plain
from tastyops.records.files import lock_soon, must_write, try_lock

_MOST_BYTES = 100_000


@dataclass(frozen=True, slots=True)
class Owner:
    """A process that drives a run: since when, for whom, on which hosts."""

    run: str
    who: str
    epoch: int
    hosts: tuple[str, ...]
    machine: str
    boot_id: str
    pid: int
    started: str
    since: str

    @classmethod
    def of(cls, run: str, who: str, hosts: Sequence[str], *, epoch: int = 1) -> Owner:
        """The record of this process, beginning now."""
        here = this_controller()
        since = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        return cls(
            run, who, epoch, tuple(hosts), here.machine, here.boot_id, here.pid, here.started, since
        )

    def __str__(self) -> str:
        return (
            f"run {self.run} (epoch {self.epoch}) of {self.who}, process {self.pid} on "
            f"{self.machine}, since {self.since}"
        )


@contextlib.contextmanager
def holding_hosts(logs: Path, owner: Owner) -> Iterator[None]:
    """Holds the owner's hosts on this controller, all or none. Raises Locked, JournalUnwritable."""
    with must_write(logs):
        make_public_directory(logs)
    record = json.dumps(asdict(owner)).encode() + b"\n"
    with contextlib.ExitStack() as stack:
        for name in sorted(set(owner.hosts)):
            try:
                fd = _take(_host_lock(logs, name), record)
            except _HeldError as held:
                raise Locked(
                    f"{name} is being worked on by {held}.",
                    still_true="No host was touched.",
                    next_step="Wait for that run or end it; `invoke status` shows it. --take-over "
                    "is for a host whose run is over, and this one's process is alive.",
                ) from None
            stack.callback(_let_go, fd)
        yield


def hosts_held(logs: Path) -> dict[str, Owner | None]:
    """The hosts runs of this controller work on now, and which runs those are."""
    found: dict[str, Owner | None] = {}
    for path in sorted(logs.glob(".host-*.lock")):
        owner, alive = _look(path)
        if alive:
            found[path.name.removeprefix(".host-").removesuffix(".lock")] = owner
    return found


def _host_lock(logs: Path, name: str) -> Path:
    return logs / f".host-{name}.lock"


class _HeldError(Exception):
    """Another process holds the lock."""

    def __init__(self, owner: Owner | None) -> None:
        super().__init__(str(owner or "a run that has just begun"))


def _take(path: Path, record: bytes) -> int:
    """Takes a lock and writes its owner's record into it; returns the descriptor that keeps it."""
    with must_write(path):
        fd = open_plain(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    if not lock_soon(fd):
        held = _HeldError(_read(fd))
        os.close(fd)
        raise held
    try:
        with must_write(path):
            os.ftruncate(fd, 0)
            os.pwrite(fd, record, 0)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _let_go(fd: int) -> None:
    with contextlib.suppress(OSError):
        os.ftruncate(fd, 0)  # it is nobody's now
    os.close(fd)


def _look(path: Path) -> tuple[Owner | None, bool]:
    try:
        fd = open_plain(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return None, False
    try:
        return _read(fd), not try_lock(fd, shared=True)
    finally:
        os.close(fd)


def _read(fd: int) -> Owner | None:
    try:
        data = json.loads(os.pread(fd, _MOST_BYTES, 0))
        data["hosts"] = tuple(data["hosts"])
        return Owner(**{field.name: data[field.name] for field in fields(Owner)})
    except (OSError, ValueError, KeyError, TypeError):
        return None
