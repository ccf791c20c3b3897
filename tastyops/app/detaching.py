"""Detaches a run: it goes on in a process of its own that has no terminal.

The process that has the terminal lets go of the run. Then a fresh ``resume`` is started in a
session of its own, which nothing that happens to the terminal reaches. A fork of a process with
threads would inherit locks that none of its own threads can release. The run's secrets, a sudo
password that was typed among them, go to the new process through a pipe: no command line and no
environment shows them.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import tastyops
from tastyops.app.operators import Say
from tastyops.app.run_session import Detached, RunOptions
from tastyops.app.secrets import Secrets, packed
from tastyops.errors import ExitCode, JournalDamaged, LetGo
from tastyops.model.public_text import one_line
from tastyops.records.files import must_write
from tastyops.records.runs import is_live, read_state

OUTPUT = "detached.log"
"""The file in the run's private directory that takes the new process's output."""

PATIENCE = 60.0
"""Seconds within which the new process must take the run over."""

_LOOK = 0.2
"""Seconds between two looks at whether it has taken the run over."""

_MOST_SAID = 2000
"""Bytes of its output that are shown where it failed."""


ASKED = "it was asked to go on without this terminal"


def go_on(detached: Detached, options: RunOptions, say: Say) -> int:
    """Starts the process that goes on with the run and says how to reach it; returns the exit code.

    Raises LetGo.
    """
    directory, where = detached.directory, options.same_records()
    epoch = read_state(directory).epoch
    output = directory / OUTPUT
    with must_write(output):
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(output, flags, 0o600)
    with open(descriptor, "ab") as file:
        start = file.tell()
        # Ctrl-C and the like may be blocked here by now, and a child would inherit that.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
        process = subprocess.Popen(
            _words(detached, options), stdin=subprocess.PIPE, stdout=file, stderr=file,
            env=_environment(), start_new_session=True,
        )  # fmt: skip
    _hand_over(process, detached.hidden)
    if not _taken_up(process, directory, epoch):
        said = output.read_bytes()[start:][-_MOST_SAID:].decode("utf-8", "replace")
        raise LetGo(
            f"The process that was to go on with the run {directory.name} ended: {one_line(said)}",
            still_true="The run was let go of; its log stays In progress.",
            next_step=f"`invoke resume --run {directory.name}{where}` goes on with it.",
        )
    pid = process.pid
    process.returncode = 0  # a child that outlives us: Popen's destructor would warn of it
    name = directory.name
    say(
        f"The run {name} goes on without this terminal (process {pid}; its output: {output}).\n"
        f"  `invoke attend {name}{where}` shows it and lets you answer what it asks\n"
        f"  `invoke status{where}` shows what it is at\n"
        f"  `invoke cancel {name}{where}` ends it"
    )
    return int(ExitCode.COMPLETED if options.detach else ExitCode.IN_DOUBT)


def _words(detached: Detached, options: RunOptions) -> Sequence[str]:
    records = options.records
    places = (
        ("--inventory", options.inventory), ("--logs", records.logs), ("--runs", records.runs)
    )
    chosen = (
        ("--yes", options.yes),
        ("--json", options.json),
        ("--take-over", options.take_over and detached.untouched),
        ("--accept-changes", options.accept_changes),
    )
    return [
        sys.executable, "-m", "tastyops", "resume", "--run", detached.directory.name,
        "--wait", "--handed-over",
        *(word for option, place in places if place for word in (option, str(place))),
        *(option for option, given in chosen if given),
    ]  # fmt: skip


def _environment() -> dict[str, str]:
    """Our environment, with this copy of tastyops first on Python's path."""
    ours = str(Path(tastyops.__file__).parent.parent)
    path = os.pathsep.join(filter(None, (ours, os.environ.get("PYTHONPATH", ""))))
    return {**os.environ, "PYTHONPATH": path}


def _hand_over(process: subprocess.Popen[bytes], hidden: Secrets) -> None:
    if process.stdin is not None:
        try:
            with process.stdin as pipe:
                pipe.write(packed(hidden))
        except BrokenPipeError:
            pass  # it has ended, and says why


def _taken_up(process: subprocess.Popen[bytes], directory: Path, epoch: int) -> bool:
    """Waits until the process has locked the run's journal and written its first event."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        ended = process.poll() is not None
        try:
            if (ended or is_live(directory)) and read_state(directory).epoch > epoch:
                return True
        except JournalDamaged:
            pass  # half a line is being written
        if ended:
            return False
        time.sleep(_LOOK)
    process.kill()
    process.wait()
    return False
