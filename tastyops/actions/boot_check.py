"""``boot.check``: can the host start again, and what is there to fall back on?"""

from __future__ import annotations

from dataclasses import dataclass

from tastyops.actions import action, param
from tastyops.domain.boot.next_start import findings, menu_line, starting
from tastyops.errors import Failed
from tastyops.facts.system import KERNEL, Kernel
from tastyops.model.action import DONE, Facts, Registered
from tastyops.model.commands import Probe, Report, Steps


@dataclass(frozen=True, kw_only=True)
class BootCheck:
    """The parameters of ``boot.check``."""

    kernel: str | None = param(
        "text", "The kernel to check; default: the one that the boot menu starts", None
    )


def _ending(registered: Registered) -> str:
    """Whether all of it could be judged."""
    lines = [str(line) for line in registered.get("findings") or ()]
    return "not-known" if any(": not known" in line for line in lines) else DONE


@action(
    "boot.check",
    scalar="kernel",
    returns={
        "kernel": "version",
        "fallback": "version",
        "proven": "flag",
        "disks": "device",
        "findings": "private",
    },
    sentence="Boot loader and initial ramdisk checked.",
    endings={
        "not-known": "Boot loader and initial ramdisk checked; not all of it can be judged."
    },
    ending=_ending,
)
def boot_check(params: BootCheck, facts: Facts) -> Steps:
    """Check what the next boot depends on; changes nothing (GRUB, BIOS, Debian's file names)."""
    running: Kernel = yield Probe(*KERNEL)
    found = yield from starting(running.release, params.kernel)
    lines = [*findings(found), *([menu_line(found)] if facts.console else ())]
    for line in lines:
        yield Report(note=str(line))
    registered = {
        "kernel": found.target or None,
        "fallback": found.fallback or None,
        "proven": found.proven,
        "disks": [f"/dev/{disk}" for disk in found.disks.good],
        "findings": [str(line) for line in lines],
    }
    failed = [line for line in lines if line.state == "failed"]
    if failed:
        raise Failed("; ".join(f"{line.subject}: {line.detail}" for line in failed), registered)
    return registered
