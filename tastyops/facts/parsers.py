"""Every parser there is, by name."""

from __future__ import annotations

from typing import Any

from tastyops.errors import ProbeFailed
from tastyops.facts import (
    apt,
    boot_code,
    boot_source,
    console_screen,
    disk_health,
    disk_use,
    disks,
    filesystems,
    grub,
    initrd,
    kernel_log,
    lvm,
    md,
    mounts,
    partition_tables,
    power_state,
    readings,
    signatures,
    system,
)
from tastyops.facts.readings import Answer, Parsers

PARSERS: Parsers = {
    **readings.PARSERS,
    **system.PARSERS,
    **apt.PARSERS,
    **grub.PARSERS,
    **boot_code.PARSERS,
    **boot_source.PARSERS,
    **console_screen.PARSERS,
    **disks.PARSERS,
    **disk_use.PARSERS,
    **filesystems.PARSERS,
    **disk_health.PARSERS,
    **initrd.PARSERS,
    **kernel_log.PARSERS,
    **lvm.PARSERS,
    **md.PARSERS,
    **mounts.PARSERS,
    **power_state.PARSERS,
    **signatures.PARSERS,
    **partition_tables.PARSERS,
}


def parse(parser: str, answer: Answer) -> Any:
    """The fact in an answer. Raises ProbeFailed when there is none to be had."""
    try:
        return PARSERS[parser](answer)
    except ValueError as error:
        raise ProbeFailed(str(error)) from error
