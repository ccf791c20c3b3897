"""A shutdown through logind, at an absolute time: asked for, read back, waited for, taken back."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

from tastyops.domain.boot.moment import exact_time, log_time, next_occurrence
from tastyops.errors import Failed, Refused
from tastyops.facts.system import CLOCK, EPOCH, SCHEDULED, HostClock, Scheduled, logind_call
from tastyops.model.action import Facts
from tastyops.model.commands import Change, Command, Offline, Output, Probe, Report, Sleep, Unknown
from tastyops.model.duration import format_duration, parse_duration
from tastyops.model.public_text import PublicText

TOLERANCE = 60.0
"""Seconds by which a clock, or the time read back from logind, may be off."""

GRACE = 60.0
"""Seconds from the warning to the shutdown where a runbook says neither ``grace`` nor ``at``."""

WORDS = {"reboot": "reboot", "poweroff": "shutdown", "halt": "halt"}


@dataclass(frozen=True, slots=True)
class Order:
    """What is to happen and when, in seconds since the epoch by the host's clock."""

    kind: str
    at: float
    asked: float
    """When it was asked for."""
    clock_time: bool = False
    """Whether the runbook named a time and not a span."""
    reminders: tuple[float, ...] = ()
    """Seconds before it at which the users are reminded."""
    skew: float = 0.0
    """Seconds the host's clock is ahead of the run's."""


def work_out_order(
    kind: str,
    grace: float | None,
    at: str | None,
    reminders: Sequence[Any],
    facts: Facts,
) -> Generator[Command, Any, Order]:
    """Works out the moment. Raises Refused for a time that has passed or a clock that is wrong.

    A host whose clock is off would go down early or late, and its logs would tell another time.
    """
    if at is not None and grace is not None:
        raise Refused("the step has both `grace` and `at`; remove one of them")
    spans = tuple(sorted(map(_span, reminders), reverse=True))
    clock: HostClock = yield Probe(*CLOCK)
    if abs(clock.skew) > TOLERANCE and not facts.force:
        ahead = "ahead of" if clock.skew > 0 else "behind"
        raise Refused(
            f"its clock is {format_duration(round(abs(clock.skew)))} {ahead} ours;"
            " a shutdown is scheduled by it"
        )
    if at is None:
        due = clock.now + (GRACE if grace is None else grace)
        return Order(kind, due, clock.now, reminders=spans, skew=clock.skew)
    return Order(
        kind, next_occurrence(at, facts.zone, clock.now), clock.now, True, spans, clock.skew
    )


def _span(value: Any) -> float:
    try:
        return parse_duration(value)
    except ValueError as error:
        raise Refused(f"reminders: {error}") from None


def schedule(
    order: Order, message: str, facts: Facts, *, tell: bool = True
) -> Generator[Command, Any, None]:
    """Has logind do it at that time, with wall, and reads the schedule back; ``tell`` the log.

    Where logind does not answer nothing is scheduled: there is no other way that would not rather
    go down at once (shutdown(8)).
    """
    what = WORDS[order.kind]
    yield from set_reminders(order.kind, order.at, order.asked, order.reminders, message)
    spoken = yield Change(logind_call("SetWallMessage", "sb", message, "true"), sudo=True)
    _need(spoken, "logind did not take the wall message; nothing was scheduled")
    asked = yield Change(
        logind_call("ScheduleShutdown", "st", order.kind, str(round(order.at * 1_000_000))),
        sudo=True,
        settle=Probe(*SCHEDULED),
    )
    _need(asked, f"logind did not take the {what}; nothing was scheduled")
    yield from _read_back(order, facts)
    if tell:
        yield Report(entry=PublicText.fixed(_entry(order, facts)))


def _need(output: Output | Unknown, why: str) -> None:
    if not isinstance(output, Unknown) and not output.ok:
        raise Failed(why, {"status": output.status})


def _read_back(order: Order, facts: Facts) -> Generator[Command, Any, None]:
    soon = order.at - order.asked < TOLERANCE
    found: Scheduled | Offline | Unknown | None = yield Probe(*SCHEDULED, offline=soon)
    if isinstance(found, Offline | Unknown):
        return  # it went down already, or was not asked to, in a dry run
    what = WORDS[order.kind]
    if found is None:
        now: int | Offline = yield Probe(*EPOCH, offline=soon)
        if isinstance(now, Offline) or now >= order.at:
            # logind forgets one that it could not begin: whether it did is seen by what follows.
            yield Report(note=f"logind shows no {what} any more: its time has come")
            return
        raise Failed(f"logind does not show the {what} that was asked for")
    if not _same(found, order):
        raise Failed(
            f"logind shows a {_word(found)} at {exact_time(found.at, facts)}, not the {what} at"
            f" {exact_time(order.at, facts)} that was asked for; it stays scheduled"
        )
    yield Report(note=f"logind shows the {what} at {exact_time(found.at, facts)}")


def _same(found: Scheduled, order: Order) -> bool:
    return found.type == order.kind and abs(found.at - order.at) <= TOLERANCE


def _word(found: Scheduled) -> str:
    return WORDS.get(found.type, found.type)


def _entry(order: Order, facts: Facts) -> str:
    if order.clock_time:
        when = log_time(order.at, facts, order.asked)
        return f"{WORDS[order.kind].capitalize()} scheduled; the machine goes down at {when}hrs."
    what = WORDS[order.kind].capitalize()
    return f"{what} ordered; the machine goes down in {grace_text(order.at - order.asked)}."


def grace_text(seconds: float) -> str:
    """``1 minute``, ``90 seconds``: a grace period as the log shows it."""
    minutes, rest = divmod(seconds, 60)
    count, unit = (minutes, "minute") if minutes and not rest else (seconds, "second")
    return f"{count:g} {unit}{'' if count == 1 else 's'}"


def describe_foreign(found: Scheduled, facts: Facts) -> str:
    """What is said of a shutdown that somebody else has scheduled; it is shown, not replaced."""
    when = exact_time(found.at, facts)
    return f"a {found.type} is already scheduled there by somebody else, at {when}"


def wait_for_grace(order: Order) -> Generator[Command, Any, None]:
    """Waits for the time set; the link stays open, since logins may be refused by then.

    systemd refuses them from five minutes before (/run/nologin, pam_nologin(8)).
    """
    found: int | Offline = yield Probe(*EPOCH, offline=True)
    now = found.at if isinstance(found, Offline) else found
    if order.at > now:
        yield Sleep(order.at - now, "the grace period to end")
    yield Report(note="the host is to go down now")


def cancel_own(order: Order) -> Generator[Command, Any, None]:
    """Takes back what was scheduled, when a person cancels the run before its time."""
    found: Scheduled | Offline | None = yield Probe(*SCHEDULED, offline=True)
    if isinstance(found, Scheduled) and _same(found, order):
        yield from cancel(order.kind, order.at, reminded=bool(order.reminders))
        yield Report(entry=PublicText.fixed(f"Scheduled {WORDS[order.kind]} cancelled."))


def cancel(kind: str, due: float, *, reminded: bool = True) -> Generator[Command, Any, None]:
    """Takes back what is scheduled, and its reminders. Whose it is has been looked at before."""
    taken = yield Change(logind_call("CancelScheduledShutdown"), sudo=True)
    _need(taken, f"the scheduled {WORDS[kind]} could not be taken back: it will happen")
    if reminded:
        yield from stop_reminders(kind, due)


# -- reminders -----------------------------------------------------------------------------------

def set_reminders(
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
            yield from stop_reminders(kind, due)
            raise Failed(
                f"the reminder {left} before could not be set; nothing was scheduled",
                {"status": made.status},
            )


def stop_reminders(kind: str, due: float) -> Generator[Command, Any, None]:
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
