"""What a reboot or a shutdown is refused for."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from tastyops.commands import Command, Probe
from tastyops.errors import Refused
from tastyops.model.action import Facts
from tastyops.probes.boot import BOOT_MENU, BootMenu
from tastyops.probes.system import SCHEDULED, Scheduled
from tastyops.reboot.schedule import foreign
from tastyops.reboot.snapshot import Before


def guard(before: Before, facts: Facts, *, fallback: bool) -> Generator[Command, Any, None]:
    """Refuses what would hurt: the wrong machine, our own, a shutdown already set, no fallback.

    ``force:`` overrules the machine's name and the fallback, never the other two.
    """
    if before.boot_id == facts.controller:
        raise Refused("that is the machine tastyops itself runs on")
    _guard_name(before.hostname, facts)
    already: Scheduled | None = yield Probe(*SCHEDULED)
    if already is not None:
        raise Refused(foreign(already, facts))
    if fallback and not facts.force:
        menu: BootMenu = yield Probe(*BOOT_MENU, sudo=True)
        if menu.starting(before.kernel.release) is None:
            raise Refused("the boot menu has no entry for the running kernel to fall back on")


def _guard_name(hostname: str, facts: Facts) -> None:
    """The host's own name against the inventory's: what molly-guard asks, answered beforehand."""
    if facts.force:
        return
    known = {facts.host, facts.address, str(facts.names.get("hostname", ""))}
    if hostname.partition(".")[0] not in {name.partition(".")[0] for name in known if name}:
        raise Refused(
            f"the host calls itself {hostname}, the inventory calls it {facts.host}"
            " (if that is right, give the host `vars: {hostname: …}`)"
        )
