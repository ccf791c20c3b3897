"""The program, made to let go at one moment of its journal.

``python -m tests.durable.released HOW N VERB …``: event N has its number and its place in the chain,
and its line is not written yet, when the signal comes (with -N just before event N has a number).
HOW is a signal's name, or ``closed``: then the file ``close-it`` asks the test to close the terminal,
and the program goes on once that has happened.
"""

from __future__ import annotations

import os
import select
import signal
import sys
from pathlib import Path
from typing import Any

from tastyops.cli.program import main
from tastyops.records.runs import RunJournal

CLOSE_IT = "close-it"


def end(how: str) -> None:
    """What ends it."""
    if how != "closed":
        os.kill(os.getpid(), signal.Signals[how])
        return
    Path(CLOSE_IT).touch()
    hung_up = select.poll()
    hung_up.register(0, select.POLLHUP)
    while not any(events & select.POLLHUP for _, events in hung_up.poll(100)):
        pass


def end_at(moment: int, how: str) -> None:
    """Has the journal's writer end this process at that event."""
    append = RunJournal.append

    def told(journal: RunJournal, *words: Any, **more: Any) -> Any:
        if journal._seq + 1 == -moment:
            end(how)
        event = append(journal, *words, **more)
        if journal._seq == moment:
            end(how)
        return event

    RunJournal.append = told  # type: ignore[method-assign]


if __name__ == "__main__":
    for each in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_DFL)
    end_at(int(sys.argv[2]), sys.argv[1])
    sys.exit(main(sys.argv[3:]))
