"""Commands and their output as lines for a person, from what a run's journal holds of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tastyops.journal.events import Settled
from tastyops.journal.state import RunState
from tastyops.model.commands import blob_from_json, text_between_cuts
from tastyops.model.public_text import one_line

LINES = 5
"""Last lines of output shown under a running step."""


def visible_lines(data: bytes, count: int = LINES) -> list[str]:
    """The last lines of a command's output with everything that could steer a terminal removed.

    Bytes that are no UTF-8 are replaced; the parts of characters at the ends of a piece are not
    shown.
    """
    lines = text_between_cuts(data).replace("\r", "\n").split("\n")
    shown = [one_line(line) for line in lines if line.strip()]
    return shown[-count:]


def command_lines(argv: Sequence[str], settled: Settled) -> list[str]:
    """A command, how it ended if that is known, and the last of what it said."""
    result = settled.result
    if settled.how not in ("output", "lost") or not (argv or result):
        return []
    how = ended_with(result) if settled.how == "output" else "no exit status"
    lines = [f"  $ {one_line(command_text(argv))}    ({how})"]
    for stream in ("out", "err"):
        blob = blob_from_json(result.get(stream, {}))
        lines += [f"  | {line}" for line in visible_lines(blob.tail or blob.head, 10)]
    return lines


def doubt_lines(state: RunState, step: str) -> list[str]:
    """Why nobody knows what became of a step's changes, and what they said until then."""
    lines = []
    for host, past in state.doubts(step).items():
        settled = past.settled
        if settled is not None:
            argv = past.command.get("change", settled.command.get("change", ()))
            lines.append(one_line(f"  {host}: {settled.why}" if host else f"  {settled.why}"))
            lines += command_lines(list(argv), settled)
    return lines


def command_text(argv: Sequence[str]) -> str:
    """A command as a person would type it: ``sh -c TEXT`` is shown as the text."""
    return argv[2] if list(argv[:2]) == ["sh", "-c"] and len(argv) > 2 else " ".join(argv)


def ended_with(result: Mapping[str, Any]) -> str:
    """How a command ended, in words."""
    status = result.get("status")
    if result.get("timed_out"):
        return "stopped at its timeout"
    cut = "; the host had no room for all it printed" if result.get("cut") else ""
    return "stopped" if isinstance(status, int) and status < 0 else f"status {status}{cut}"

