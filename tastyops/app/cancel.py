"""Cancels a run: asks its process to stop, or ends it where there is no process."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from tastyops.app.operators import operator
from tastyops.app.resume import resume
from tastyops.app.run_session import RunOptions, Screen
from tastyops.errors import ExitCode
from tastyops.journal.events import CancelAsked
from tastyops.model.public_text import one_line
from tastyops.records.logs import LogFile
from tastyops.records.runs import hand_in, is_live, taken

PATIENCE = 10.0
"""Seconds to wait for the run's own process to take the request, not for its end."""


def cancel_run(
    run: Path, log: LogFile, options: RunOptions, screen: Screen, because: str
) -> int:
    """Ends a run; 0 unless the run ends in doubt."""
    asked = CancelAsked(one_line(because) or "cancelled from another terminal")
    if is_live(run):
        stopping = taken(hand_in(run, operator(), asked, datetime.now(UTC)), PATIENCE)
        screen.tell(
            f"The run {run.name} is stopping." if stopping
            else f"The run {run.name} was asked to stop; its process has not answered yet."
        )
        return int(ExitCode.COMPLETED)
    code = resume(run, log, options, screen, asked)
    return code if code == ExitCode.IN_DOUBT else int(ExitCode.COMPLETED)
