"""The journal's cost: an event appended and made durable, one at a time and many at a time."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.figures import JournalFigures, Spread
from tastyops.journal.events import Address, Settled
from tastyops.records.runs import RunJournal
from tastyops.redact import Masker

BATCH = 40
"""Events to one commit: as when 40 hosts end a step together."""

_LINE = b"x" * 300

_BODY = Settled(
    "0" * 32,
    "output",
    {"status": 0, "seconds": 0.001},
    {"probe": ["sh", "-c", "true"], "parser": "output", "sudo": None, "offline": False},
)


def measure(folder: Path, repeats: int, events: int) -> JournalFigures:
    """Each way ``events`` times in every repeat."""
    single, batched, disk = [], [], []
    for repeat in range(repeats):
        single.append(_journal(folder / f"single{repeat}", events, 1))
        batched.append(_journal(folder / f"batched{repeat}", events, BATCH))
        disk.append(_disk(folder / f"disk{repeat}", events))
    return JournalFigures(Spread(tuple(single)), Spread(tuple(batched)), BATCH, Spread(tuple(disk)))


def _journal(folder: Path, events: int, batch: int) -> float:
    """Milliseconds an event."""
    journal = RunJournal.create(folder, "bench", b"", Masker())
    began = time.perf_counter()
    for number in range(events):
        at = Address("host", "1.1", 1, number + 1)
        journal.append(_BODY, at, who="bench", happened=datetime.now(UTC))
        if (number + 1) % batch == 0:
            journal.commit()
    journal.commit()
    took = time.perf_counter() - began
    journal.close()
    return took / events * 1000


def _disk(path: Path, times: int) -> float:
    """What the same number of bytes costs without us."""
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        began = time.perf_counter()
        for _ in range(times):
            os.write(fd, _LINE)
            os.fdatasync(fd)
        return (time.perf_counter() - began) / times * 1000
    finally:
        os.close(fd)
