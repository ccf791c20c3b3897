"""``lab.status``: what runs, where it listens, what was broken, where the logs are."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator

from tastyops.errors import ExitCode
from tastyops.lab import golden, record
from tastyops.lab.processes import Process
from tastyops.lab.record import Record


def arguments(parser: ArgumentParser) -> None:
    """``lab.status`` takes nothing."""


def perform(args: Namespace, *, dry: bool) -> int:
    """Prints it; 0 while the machine is on and answers, 1 otherwise."""
    built = golden.expected()
    print(f"built:    {built.folder if built.complete else 'no'}")  # noqa: T201
    found = record.read()
    if found is None:
        print("machine:  down")  # noqa: T201
        return int(ExitCode.FAILED)
    answers = found.qemu is not None and found.guest.answers()
    print("\n".join(_lines(found, answers=answers)))  # noqa: T201
    return int(ExitCode.COMPLETED if answers else ExitCode.FAILED)


def _lines(found: Record, *, answers: bool) -> Iterator[str]:
    yield f"machine:  {_shown(found.qemu, 'off')}, {found.began}, {found.accelerator}"
    yield f"ssh:      127.0.0.1 port {found.ports.ssh}, {'answers' if answers else 'silent'}"
    yield f"console:  {_shown(found.hub, 'gone')}, log {record.console_log()}"
    yield f"visitor:  log {record.visitor_log()}"
    yield f"power:    {_shown(found.bmc, 'gone')}, IPMI on 127.0.0.1 port {found.ports.lan}"
    inside = [drive.serial for drive in found.drives if drive.attached]
    yield f"disks:    {', '.join(inside) or 'none'}"
    yield f"broken:   {', '.join(found.faults) or 'nothing'}"


def _shown(process: Process | None, otherwise: str) -> str:
    return f"process {process.pid}" if process and process.alive else otherwise
