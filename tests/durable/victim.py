"""The program, killed by SIGKILL at one moment of its journal.

``python -m tests.durable.victim N VERB …``: once event N is in the file and nothing after it; what
is to be written together is cut there, so that every boundary between two events is met. With -N
just before event N would be written: what it tells of has happened, and nobody wrote it down.
"""

from __future__ import annotations

import os
import signal
import sys

from tastyops.cli.program import main
from tastyops.records.files import append_all
from tastyops.records.runs import RunJournal


def die_at(moment: int) -> None:
    """Has the journal's writer end this process at that event."""
    commit = RunJournal.commit
    last = moment if moment > 0 else -moment - 1

    def cut(journal: RunJournal, durable: bool = True) -> None:
        written = journal._seq - len(journal._pending)
        if journal._seq < abs(moment):
            commit(journal, durable)
            return
        append_all(journal._fd, b"".join(journal._pending[: last - written]))
        os.fdatasync(journal._fd)
        os.kill(os.getpid(), signal.SIGKILL)

    RunJournal.commit = cut  # type: ignore[method-assign]


if __name__ == "__main__":
    die_at(int(sys.argv[1]))
    sys.exit(main(sys.argv[2:]))
