"""Reminders before a shutdown: timers of systemd on the host, so that they need no controller."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

from tastyops.errors import Failed
from tastyops.model.commands import Change, Command, Report, Unknown
from tastyops.model.duration import format_duration


def remind(
    kind: str, due: float, now: float, reminders: Sequence[float], message: str
) -> Generator[Command, Any, None]:
    """Sets a timer for each span before ``due``; one whose time has passed is left out.

    systemd-run(1); they vanish with the boot, or with ``forget``. Before anything is scheduled.
    """
    for before in reminders:
        left = format_duration(before)
        if due - before <= now:
            yield Report(note=f"no reminder {left} before: that is past")
            continue
        made = yield Change(_timer(kind, due, before, f"{message} ({left} left)"), sudo=True)
        if not isinstance(made, Unknown) and not made.ok:
            yield from forget(kind, due)
            raise Failed(
                f"the reminder {left} before could not be set; nothing was scheduled",
                {"status": made.status},
            )


def forget(kind: str, due: float) -> Generator[Command, Any, None]:
    """Stops the timers of a shutdown that was taken back; there may be none."""
    yield Change(("systemctl", "stop", f"{_name(kind, due)}-*.timer"), sudo=True)


def _name(kind: str, due: float) -> str:
    return f"tastyops-{kind}-{round(due)}"


def _timer(kind: str, due: float, before: float, text: str) -> tuple[str, ...]:
    return (
        "systemd-run",
        "--quiet",
        "--collect",
        f"--unit={_name(kind, due)}-{round(before)}",
        f"--on-calendar=@{round(due - before)}",
        "--timer-property=AccuracySec=1s",
        "wall",
        "--",
        text.replace("$", "$$"),  # systemd.service(5) expands variables in it
    )
