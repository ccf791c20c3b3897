"""Starts and ends the lab's processes, by process id and start time."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tastyops.errors import LabFailed
from tastyops.protocol import process_stat

POLL = 0.1


@dataclass(frozen=True, slots=True)
class Process:
    """A process; the start time tells it from a later process with the same id."""

    pid: int
    started: int

    @property
    def alive(self) -> bool:
        """Whether the process runs; a zombie does not."""
        return start_time(self.pid) == self.started

    def end(self, patience: float = 5.0) -> None:
        """Ends the process with SIGTERM, then SIGKILL. A process that has ended is ignored."""
        for what in (signal.SIGTERM, signal.SIGKILL):
            if not self.alive:
                break
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, what)
            if wait_for(lambda: not self.alive, patience):
                break
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, os.WNOHANG)


def start_time(pid: int) -> int | None:
    """Start time of a process in the kernel's ticks; None if it does not run."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return None
    started = process_stat.start_time(stat, remains=False)
    return int(started) if started else None


def find_process(pid: int) -> Process | None:
    """The running process with an id."""
    started = start_time(pid)
    return None if started is None else Process(pid, started)


def from_file(path: Path, mark: str) -> Process | None:
    """The process whose id a file holds, if its command line contains the mark."""
    try:
        pid = int(path.read_text("ascii"))
        line = Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace")
    except (OSError, ValueError):
        return None
    return find_process(pid) if mark in line else None


def start(argv: Sequence[str], log: Path, *, folder: Path | None = None) -> Process:
    """Starts a process in a new session that outlives this one; a file takes its output."""
    with log.open("ab") as output:
        child = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            cwd=folder, start_new_session=True,
        )
    process = find_process(child.pid)
    # Popen's destructor would warn about a child that is meant to outlive this process.
    child.returncode = 0
    if process is None:
        raise LabFailed(f"{argv[0]} ended at once: {last_words(log)}")
    return process


def run_to_end(
    argv: Sequence[str], log: Path, *, timeout: float, environment: Mapping[str, str] | None = None,
    stdin: bytes = b"", what: str = "",
) -> None:
    """Runs a command to its end, output to a file. Raises LabFailed with the last lines."""
    name = what or argv[0]
    with log.open("ab") as output:
        try:
            ended = subprocess.run(
                argv, input=stdin, stdout=output, stderr=subprocess.STDOUT, timeout=timeout,
                env=None if environment is None else {**os.environ, **environment}, check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise LabFailed(
                f"{name} took longer than {timeout:g} seconds.",
                next_step=f"Its output is in {log}.",
            ) from error
        except OSError as error:
            raise LabFailed(f"{name} cannot be started: {error.strerror}.") from error
    if ended.returncode:
        raise LabFailed(
            f"{name} failed with status {ended.returncode}: {last_words(log)}",
            next_step=f"Its output is in {log}.",
        )


def last_words(log: Path, lines: int = 5) -> str:
    """The last lines of a log."""
    with contextlib.suppress(OSError):
        return "\n".join(log.read_text("utf-8", "replace").splitlines()[-lines:])
    return ""


def wait_for(so: Callable[[], bool], patience: float, poll: float = POLL) -> bool:
    """Waits until ``so()`` is true, at most ``patience`` seconds; tells whether it became true."""
    due = time.monotonic() + patience
    while not so():
        if time.monotonic() > due:
            return False
        time.sleep(poll)
    return True
