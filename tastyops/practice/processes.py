"""The modelled machine's processes: numbers, groups, signals, and waiting that a signal ends.

One lock guards the whole machine. A command holds the lock while it runs and releases it only to
sleep, so two commands never change the model at once.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from tastyops.practice.clock import PracticeClock

SIGNALS = {
    "0": 0,
    "HUP": 1,
    "INT": 2,
    "QUIT": 3,
    "KILL": 9,
    "USR1": 10,
    "USR2": 12,
    "PIPE": 13,
    "ALRM": 14,
    "TERM": 15,
    "CHLD": 17,
    "CONT": 18,
    "STOP": 19,
    "TSTP": 20,
    "WINCH": 28,
}
"""The signals the model knows, by name, with Linux's numbers."""

_HARMLESS = {0, SIGNALS["CHLD"], SIGNALS["WINCH"]}
_STOPPING = {SIGNALS["STOP"], SIGNALS["TSTP"]}
_UNBLOCKABLE = {SIGNALS["KILL"], SIGNALS["STOP"]}
TICKS = 100
"""Clock ticks a second in /proc/PID/stat."""


def signal_number(name: str) -> int | None:
    """The number of a signal, given as ``TERM``, ``SIGTERM`` or ``15``; None for no signal."""
    name = name.upper().removeprefix("SIG")
    if name.isdigit():
        return int(name) if int(name) in SIGNALS.values() else None
    return SIGNALS.get(name)


class Killed(Exception):
    """Raised in a command whose process a signal has ended."""

    def __init__(self, signal: int) -> None:
        super().__init__(f"signal {signal}")
        self.signal = signal


@dataclass(eq=False)
class Process:
    """One process of the model; ``signal`` is the fatal one it has received, if any."""

    pid: int
    parent: int
    group: int
    name: str
    started: int
    uid: int = 0
    signal: int | None = None
    stopped: bool = False
    ignored: set[int] = field(default_factory=set)
    on_death: Callable[[], None] | None = None

    def check(self) -> None:
        """Raises Killed once a fatal signal has arrived."""
        if self.signal is not None:
            raise Killed(self.signal)


class Processes:
    """The process table and the machine's one lock, a condition that every change notifies."""

    def __init__(self, clock: PracticeClock) -> None:
        self.clock = clock
        self.lock = threading.Condition()
        self.booted = clock.time()
        self._table: dict[int, Process] = {}
        self._threads: set[threading.Thread] = set()
        self._pids = itertools.count(611)

    def begin(
        self, name: str, parent: Process | None = None, *, leader: bool = False, uid: int = 0
    ) -> Process:
        """Starts a process; ``leader`` makes it the leader of a new process group."""
        with self.lock:
            pid = next(self._pids)
            process = Process(
                pid=pid,
                parent=parent.pid if parent else 1,
                group=pid if leader or parent is None else parent.group,
                name=name[:15],
                started=max(0, round((self.clock.time() - self.booted) * TICKS)),
                uid=parent.uid if parent else uid,
                ignored=set(parent.ignored) if parent else set(),
            )
            # A child begun by a parent that has just been killed would outlive its group.
            if parent and parent.signal is not None and not leader:
                process.signal = parent.signal
            self._table[pid] = process
            return process

    def end(self, process: Process) -> None:
        """Removes a process from the table."""
        with self.lock:
            self._table.pop(process.pid, None)
            self.lock.notify_all()

    def notify(self) -> None:
        """Wakes everybody who waits for a change of the machine."""
        with self.lock:
            self.lock.notify_all()

    def alive(self, process: Process) -> bool:
        """Whether the process is still in the table."""
        return process.pid in self._table

    def spawn(self, process: Process, target: Callable[[], None]) -> None:
        """Runs ``target`` as the process, in a new thread; a signal ends the thread silently."""

        def body() -> None:
            try:
                with self.lock:
                    target()
            except Killed:
                pass
            finally:
                self.end(process)
                with self.lock:
                    self._threads.discard(threading.current_thread())

        thread = threading.Thread(target=body, name=f"practice-{process.name}", daemon=True)
        with self.lock:
            self._threads.add(thread)
            thread.start()

    def sleep(self, process: Process, seconds: float) -> None:
        """Sleeps for a number of practice seconds. Raises Killed when a signal ends the process."""
        due = self.clock.time() + seconds
        while (left := due - self.clock.time()) > 0 or process.stopped:
            process.check()
            self.lock.wait(self.clock.real(left) if left > 0 else None)
        process.check()

    def wait_for(self, process: Process, done: Callable[[], bool]) -> None:
        """Waits until ``done()`` is true. Raises Killed."""
        while not done():
            process.check()
            self.lock.wait()

    def signal(self, number: int, *, pid: int = 0, group: int = 0) -> bool:
        """Sends a signal to a process or a group; False where there is none."""
        with self.lock:
            found = [p for p in self._table.values() if p.pid == pid or p.group == group]
            for process in found:
                self._deliver(process, number)
            self.lock.notify_all()
            return bool(found)

    def _deliver(self, process: Process, number: int) -> None:
        if number in process.ignored - _UNBLOCKABLE or number in _HARMLESS:
            return
        if number in _STOPPING or number == SIGNALS["CONT"]:
            process.stopped = number in _STOPPING
        elif process.signal is None:
            process.signal = number
            process.stopped = False
            if process.on_death:
                process.on_death()

    def end_all(self) -> None:
        """Kills every process, as the end of a shutdown does."""
        with self.lock:
            for process in list(self._table.values()):
                process.ignored.clear()
                self._deliver(process, SIGNALS["KILL"])
            self._table.clear()
            self.lock.notify_all()

    def join(self, seconds: float = 10.0) -> None:
        """Waits for the threads of processes that were killed."""
        with self.lock:
            threads = list(self._threads)
        for thread in threads:
            thread.join(seconds)

    def stat(self, pid: int) -> str:
        """The line of /proc/PID/stat, empty when there is no such process (proc(5))."""
        process = self._table.get(pid)
        if process is None:
            return ""
        state = "T" if process.stopped else "S"
        head = f"{pid} ({process.name}) {state} {process.parent} {process.group} {process.group}"
        tail = " ".join(["0"] * 29)
        return f"{head} 0 -1 4194304 120 0 0 0 0 0 0 0 20 0 1 0 {process.started} 2576384 {tail}"
