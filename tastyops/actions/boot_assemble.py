"""``boot.assemble``: bring up the arrays an initial ramdisk left out, and let the boot go on."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tastyops.actions import action, param
from tastyops.domain.boot.boot_menu import press
from tastyops.domain.boot.menu_start import arrive_in_mode
from tastyops.domain.boot.single_user import command
from tastyops.errors import Failed, Refused
from tastyops.facts.console_screen import Screen, look
from tastyops.model.action import DONE, Facts, Registered
from tastyops.model.commands import Probe, Report, Steps

LIST = "mdadm --examine --scan > /run/found.conf; cat /run/found.conf"
ASSEMBLE = "mdadm --assemble --scan --config=/run/found.conf; grep -c '^md.* active' /proc/mdstat"
"""By what the superblocks say: the ramdisk's own mdadm.conf is what is wrong (mdadm(8))."""

VOLUMES = "lvm vgchange --activate y"
LEAVE = b"exit\r"
"""initramfs-tools(7): the shell's end makes it look for the root again."""


@dataclass(frozen=True, kw_only=True)
class BootAssemble:
    """The parameters of ``boot.assemble``."""

    wait: float = param("duration", "How long the initramfs prompt may take to appear", 0.0)
    patience: float = param("duration", "How long the boot may take after that", 600.0)


def _ending(registered: Registered) -> str:
    """Whether all of them run."""
    some = (registered.get("arrays") or 0) < (registered.get("found") or 0)
    return "some" if some else DONE


@action(
    "boot.assemble",
    returns={"arrays": "count", "found": "count", "kernel": "version"},
    sentence="Arrays assembled over the console; the boot went on with kernel {{ kernel }}.",
    endings={
        "some": "Of {{ found }} arrays, {{ arrays }} were assembled over the console; the boot went"
        " on with kernel {{ kernel }}."
    },
    ending=_ending,
)
def boot_assemble(params: BootAssemble, facts: Facts) -> Steps:
    """At the initramfs prompt, assemble the arrays, activate the volumes, and go on booting.

    Nothing on the disks is changed but what assembling writes.
    """
    if not facts.console:
        raise Refused("the host has no console (`console:` in the inventory)")
    screen: Screen = yield Probe(*look(params.wait, r"(?m)^\(initramfs\)"), via="console")
    if screen.state != "initramfs":
        raise Refused("the console does not show the initramfs prompt")
    _, said = yield from command(LIST, 120)
    found = len(re.findall(r"(?m)^ARRAY ", said))
    if not found:
        raise Failed("mdadm finds no array on the disks that the initial ramdisk sees")
    _, said = yield from command(ASSEMBLE, 120)
    counts = re.findall(r"(?m)^(\d+)$", said)
    active = int(counts[-1]) if counts else 0
    if not active:
        raise Failed("no array could be assembled at the initramfs prompt")
    yield Report(note=f"{active} of {found} arrays run")
    yield from command(VOLUMES, 120)  # without LVM there is none to activate
    yield from press(LEAVE)
    told = yield from arrive_in_mode("normal", "", ssh=False, patience=params.patience, facts=facts)
    return {"arrays": active, "found": found, "kernel": told["kernel"]}
