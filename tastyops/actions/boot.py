"""``boot``: start the host in a mode, or with a kernel, picked at the boot menu on its console."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from tastyops.actions import action, param
from tastyops.domain.boot import menu_start
from tastyops.domain.boot.boot_menu import Entry, start_entry
from tastyops.domain.boot.guards import guard
from tastyops.domain.boot.host_condition import Condition, need_gone
from tastyops.domain.boot.out_of_band import attach
from tastyops.domain.boot.schedule import cancel_own, schedule, wait_for_grace, work_out_order
from tastyops.domain.boot.single_user import TARGETS, guard_shell
from tastyops.domain.boot.snapshot import snapshot
from tastyops.errors import Failed, Refused, Stopped
from tastyops.facts.console_screen import Screen, look
from tastyops.facts.system import BOOT_ID, SYSTEM_STATE
from tastyops.model.action import Facts
from tastyops.model.commands import Change, Command, Offline, Output, Probe, Steps


@dataclass(frozen=True, kw_only=True)
class Boot:
    """The parameters of ``boot``."""

    mode: str = param(
        "text", "What to start: normal, single-user or emergency", "normal",
        ("normal", "single-user", "emergency"),
    )  # fmt: skip
    kernel: str | None = param(
        "text", "The kernel to pick at the boot menu: a release, or `previous`", None
    )
    ssh: bool = param("boolean", "In single-user mode, start the network and sshd", True)
    power: bool = param(
        "boolean", "Cycle the power if the host does not answer", False
    )
    grace: float = param("duration", "From the warning to the reboot", 60.0)
    message: str = param(
        "text", "The message that wall shows to users", "The system goes down for a reboot."
    )
    patience: float = param("duration", "How long each stage of the start may take", 600.0)


@action(
    "boot",
    scalar="mode",
    guarded=True,
    returns={
        "mode": "word",
        "kernel": "version",
        "previous": "version",
        "reached": "word",
        "restarted": "flag",
    },
    sentence="Machine {{ 'started in' if restarted else 'went on, without a restart, to' }}"
    " {{ mode }} mode, running kernel {{ kernel }}.",
)
def boot(params: Boot, facts: Facts) -> Steps:
    """Restart the host into a mode or a kernel, through the boot menu on its console (GRUB)."""
    if not facts.console:
        raise Refused(
            "the host has no console (`console:` in the inventory), so no entry of the boot menu"
            " can be picked"
        )
    answer: Output | Offline = yield Probe(BOOT_ID.argv, "output", offline=True)
    yield from attach(facts)
    if isinstance(answer, Offline):
        old, release, previous = "", params.kernel or "", None
        if params.mode == "normal" and not release and (yield from _shell_there()):
            return (yield from menu_start.leave_single_user(answer, params.patience, facts))
        yield from _cut(params, facts)
    else:
        old = answer.text.strip()
        state = yield Probe(*SYSTEM_STATE)
        if state == "maintenance":
            if params.mode == "normal" and not params.kernel:
                return (yield from menu_start.leave_single_user(answer, params.patience, facts))
            raise Refused("the host is in single-user mode; leave that first, with `boot: normal`")
        previous, release = yield from _orderly(params, facts)
    target = TARGETS.get(params.mode, "")
    entry = Entry(release, words=f"systemd.unit={target}" if target else "")
    yield from start_entry(entry, params.patience)
    told = yield from menu_start.arrive_in_mode(
        params.mode, old, ssh=params.ssh, patience=params.patience, facts=facts
    )
    return {**told, "previous": previous}


def _shell_there() -> Generator[Command, Any, bool]:
    screen: Screen = yield Probe(*look(0), via="console")
    return screen.state == "shell"


def _cut(params: Boot, facts: Facts) -> Generator[Command, Any, None]:
    """A host that does not answer is started anew by its power switch."""
    if not params.power or not facts.power:
        raise Refused("the host does not answer; with `power: true` its power is cycled")
    screen: Screen = yield Probe(*look(0), via="console")
    yield from need_gone(Condition(screen.state, "offline"), facts)
    cycled = yield Change(("cycle",), via="power")
    if isinstance(cycled, Output) and not cycled.ok:
        raise Failed("the power could not be cycled", {"reached": "not-back"})


def _orderly(params: Boot, facts: Facts) -> Generator[Command, Any, tuple[str, str]]:
    """Has logind restart a host that answers; gives its kernel and the release to pick."""
    if params.mode != "normal":
        yield from guard_shell(facts)
    before = yield from snapshot()
    running = before.kernel.release
    release = params.kernel or ""
    if release == "previous":
        release = yield from menu_start.previous(running)
    edited = params.mode != "normal"
    yield from guard(
        before, facts, kernel=release or None, fallback=False, chosen=True, words=edited
    )
    due = yield from work_out_order("reboot", params.grace, None, (), facts)
    try:
        yield from schedule(due, params.message, facts)
        yield from wait_for_grace(due)
    except Stopped:
        yield from cancel_own(due)
        raise
    return running, release


