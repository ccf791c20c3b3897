"""Every parser there is, by name."""

from __future__ import annotations

from typing import Any

from tastyops.errors import ProbeFailed
from tastyops.probes import (
    apt,
    boot,
    bootcode,
    bootside,
    console,
    disks,
    diskuse,
    filesystems,
    health,
    initrd,
    kernellog,
    lvm,
    md,
    mounts,
    power,
    reading,
    signatures,
    system,
    tables,
)
from tastyops.probes.reading import Answer, Parsers

PARSERS: Parsers = {
    **reading.PARSERS,
    **system.PARSERS,
    **apt.PARSERS,
    **boot.PARSERS,
    **bootcode.PARSERS,
    **bootside.PARSERS,
    **console.PARSERS,
    **disks.PARSERS,
    **diskuse.PARSERS,
    **filesystems.PARSERS,
    **health.PARSERS,
    **initrd.PARSERS,
    **kernellog.PARSERS,
    **lvm.PARSERS,
    **md.PARSERS,
    **mounts.PARSERS,
    **power.PARSERS,
    **signatures.PARSERS,
    **tables.PARSERS,
}


def parse(parser: str, answer: Answer) -> Any:
    """The fact in an answer. Raises ProbeFailed when there is none to be had."""
    try:
        return PARSERS[parser](answer)
    except ValueError as error:
        raise ProbeFailed(str(error)) from error
