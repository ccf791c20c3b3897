"""Cancels a run, or a shutdown that a run has scheduled."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tastyops.app.foreign_run import RecordPairs
from tastyops.app.loading import Loaded, parse_runbook
from tastyops.app.operators import operator
from tastyops.app.record_lookup import Records
from tastyops.app.resume import resume
from tastyops.app.run_session import RunOptions, Screen
from tastyops.app.scheduled_shutdowns import OBJECT, scheduled_under_way, to_come
from tastyops.errors import ExitCode, JournalDamaged, Locked, UsageError
from tastyops.journal.events import CancelAsked
from tastyops.model.public_text import one_line
from tastyops.records.logs import LogFile
from tastyops.records.runs import hand_in, is_live, read_state, run_directories, taken

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


# -- scheduled shutdowns -----------------------------------------------------------------------


@dataclass(frozen=True)
class Cancellation:
    """A run that cancels a scheduled shutdown: its runbook, and the log it writes into."""

    loaded: Loaded
    into: str | None


def cancellation(wanted: str, records: Records) -> Cancellation:
    """What cancels a host's scheduled shutdown (``HOST:shutdown``). Raises UsageError, Locked."""
    host = wanted.removesuffix(OBJECT)
    pairs = records.pairs()
    found = [each for each in to_come(pairs, records.inventory) if each.one.host == host]
    ahead = [each for each in found if each.can_be_cancelled]
    if not ahead:
        _of_a_step_under_way(host, pairs)
        late = " Its time has passed." if found else ""
        raise UsageError(
            f"No run here has scheduled a shutdown of {host} that is still to come.{late}",
            still_true="No host was touched.",
            next_step="`invoke status` shows the scheduled shutdowns.",
        )
    one = ahead[0].one
    title = f"Cancel the scheduled shutdown of {host}"
    step = {"shutdown.cancel": {"due": one.due, "kind": one.kind}}
    book = {
        "title": title, "hosts": host, "works": [{"work": title, "steps": [step]}],
    }  # fmt: skip
    data, path = json.dumps(book).encode(), Path("cancel-shutdown.yml")
    loaded = parse_runbook(data, path, records.inventory)
    return Cancellation(loaded, _open_log(pairs, ahead[0].log))


def _of_a_step_under_way(host: str, pairs: RecordPairs) -> None:
    """Raises Locked where a step that has not ended has scheduled the shutdown."""
    for directory, _ in pairs:
        for run in run_directories(directory):
            with contextlib.suppress(JournalDamaged):
                state = read_state(run)
                found = scheduled_under_way(state) if state.closed is None else []
                for one in found:
                    if one["host"] == host:
                        raise Locked(
                            f"The {one['what']} of {host} at {one['at']} belongs to step "
                            f"{one['step']} of the run {run.name} of {state.started_by}, which is "
                            "not over.",
                            still_true="It stays scheduled.",
                            next_step=f"`invoke cancel {run.name}` ends the run and takes it back.",
                        )


def _open_log(pairs: RecordPairs, number: str) -> str | None:
    """The log in which the shutdown was scheduled; None, for a new log, where that is closed."""
    for _, book in pairs:
        log = book.find(number) if number else None
        if log is not None:
            return None if log.document().closed else number
    return None


