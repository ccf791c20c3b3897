"""The whole proof: waiting, checking, and what is done for a host that is not back."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

from tastyops.domain.boot.health import HostLost, ask
from tastyops.domain.boot.out_of_band import power_status, read_console
from tastyops.domain.boot.snapshot import BootSnapshot
from tastyops.domain.boot.verify import to_registered, verify
from tastyops.domain.boot.waiting import MOST_BOOTS, HostBack, HostNotBack, wait
from tastyops.errors import Failed
from tastyops.facts.system import UPTIME
from tastyops.model.action import Facts
from tastyops.model.commands import Change, Command, Output, Report, Unknown
from tastyops.model.public_text import PublicText

EARLY = 10.0
"""Seconds before the time set at which a boot may seem to begin: clocks are read to the second."""

MOST_LOOKS = 10
"""Times a host may be lost while it is looked at, restarted or not."""

Choose = Callable[[BootSnapshot, Facts], Generator[Command, Any, None]]
"""Picks the kernel to fall back on at the boot menu, on the console of a host that starts."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """What is to come back, and what may be done when it does not.

    ``cycle``: the power may be cut and given again. ``choose``: then another kernel is picked.
    """

    kernel: str | None
    patience: float
    cycle: bool = False
    choose: Choose | None = None
    due: float | None = None
    """When the run's own reboot was due, by the run's clock."""


def prove(
    before: BootSnapshot, wanted: Expectation, facts: Facts
) -> Generator[Command, Any, dict[str, Any]]:
    """From going down to verified. Raises Failed with ``reached``; never ends without a word."""
    kernel, helped, boots, last = wanted.kernel, "", 0, ""
    for _ in range(MOST_LOOKS):
        try:
            back: HostBack = yield from wait(before.boot_id, wanted.patience, facts)
        except HostNotBack as lost:
            yield from _report_not_back(lost, before, facts, helped=helped, may_help=wanted.cycle)
            helped = yield from _help(before, wanted, facts)
            kernel = None if wanted.choose else kernel
            continue
        boots += back.boot_id != last
        if boots > MOST_BOOTS:
            why = f"a boot loop: it restarted {boots - 1} times by itself"
            raise Failed(why, {"reached": "boot-loop", **to_registered(before.health)})
        if last:
            again = "restarted by itself" if back.boot_id != last else "could not be reached"
            yield Report(note=f"the host {again} while it was looked at")
        last = back.boot_id
        try:
            ours = bool(helped) or (yield from _ours(wanted.due))
            told = yield from verify(before, back, kernel, wanted.patience)
        except HostLost:
            continue
        if helped and wanted.choose:
            yield Report(entry=PublicText.fixed("The machine runs its previous kernel."))
        return told | {"recovered": helped, "ours": ours}
    why = f"the host was lost {MOST_LOOKS} times while it was looked at"
    raise Failed(why, {"reached": "up", **to_registered(before.health)})


def _ours(due: float | None) -> Generator[Command, Any, bool]:
    """Whether the boot that is up began after the run's own reboot was due, and not before."""
    if due is None:
        return True
    booted: float = yield from ask(UPTIME, after=True)
    if booted >= due - EARLY:
        return True
    yield Report(note="the host was restarted before the time set, not by this run")
    return False


def _report_not_back(
    lost: HostNotBack, before: BootSnapshot, facts: Facts, *, helped: str, may_help: bool
) -> Generator[Command, Any, None]:
    """Says that it is not back and what is seen of it. Raises Failed unless it may be helped."""
    sight = lost.sight or (yield from read_console(facts))
    status = yield from power_status(facts)
    seen = [sight.words] if sight is not None else []
    if lost.restarts:  # which of its starts the console shows just now tells nothing
        seen = [f"it restarted {lost.restarts} times by itself"]
    seen += [f"its power is {status}"] if status in ("on", "off") else []
    seen += ["its power switch cannot be reached"] if status == "unreachable" else []
    if not seen:
        seen = ["it has no console to look at"]
    entry = f"The machine did not come back: {' and '.join(seen)}."
    yield Report(entry=PublicText.fixed(entry))
    told = {
        "reached": "boot-loop" if lost.restarts else "not-back",
        "seen": sight.state if sight is not None else "",
        "recovered": helped,
        **to_registered(before.health),
    }
    if helped:
        raise Failed(f"not back: {lost.why}, after a power cycle too; {'; '.join(seen)}", told)
    if not may_help or not facts.power or status == "unreachable":
        raise Failed(f"not back: {lost.why}; {'; '.join(seen)}", told)


def _help(before: BootSnapshot, wanted: Expectation, facts: Facts) -> Generator[Command, Any, str]:
    """Cuts the power and gives it again, and picks the kernel to fall back on."""
    cycled: Output | Unknown = yield Change(("cycle",), via="power")
    if not isinstance(cycled, Unknown) and not cycled.ok:
        raise Failed("not back, and the power could not be cycled", {"reached": "not-back"})
    yield Report(entry=PublicText.fixed("Power-cycled via the power switch."))
    if wanted.choose is None:
        return "power-cycle"
    yield from wanted.choose(before, facts)
    yield Report(entry=PublicText.fixed("The previous kernel was picked at the boot menu."))
    return "previous-kernel"
