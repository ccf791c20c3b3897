"""The lab machine: build, start, stop, reset, break, change its disks, and reach it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial

from tastyops.app.inventory import known_inventories
from tastyops.app.operators import Say
from tastyops.errors import UsageError
from tastyops.lab import bays, faults, golden, inventory, lifecycle, needs, recipe, record, terminal
from tastyops.lab.processes import Process
from tastyops.lab.record import Record

CONNECT_SECONDS = 60
"""Seconds that ssh may take to connect to the lab machine."""

USERS = ("root", recipe.OPERATOR)
CONSOLE_PASSWORD = recipe.CONSOLE_PASSWORD
SECTORS = bays.SECTORS


def build(say: Say, *, install: bool) -> None:
    """Builds the lab machine's disks unless they are in the cache. Raises UsageError."""
    _meet_needs(say, install=install)
    say(f"The lab is built: {golden.build(say).folder}")


def start(say: Say, *, cold: bool, install: bool) -> None:
    """Starts the lab machine unless it runs; ``cold`` boots it instead of restoring it."""
    _meet_needs(say, install=install)
    _introduce(lifecycle.up(say, cold=cold), say)


def reset(say: Say, *, cold: bool, install: bool) -> None:
    """Stops the lab machine and starts a newly built one."""
    _meet_needs(say, install=install)
    _introduce(lifecycle.reset(say, cold=cold), say)


def stop(say: Say) -> None:
    """Stops the lab machine and everything that was started for it."""
    lifecycle.down(say)


def _meet_needs(say: Say, *, install: bool) -> None:
    """Installs the missing programs, or raises UsageError that names them."""
    building = not golden.expected().complete
    needs.ensure_installed(
        say, record.writable() / "install.log", building=building, install=install
    )


def _introduce(made: Record, say: Say) -> None:
    """Writes the lab's inventory and says how to reach the machine."""
    path = inventory.write(made, known_inventories())
    say(f"The lab is up on 127.0.0.1 port {made.ports.ssh}; its inventory is {path}.")
    say("Try `invoke run runbooks/kernel-upgrade.yml --inventory lab --yes`.")
    say("`invoke lab.down` ends it.")


def _the_lab() -> Record:
    """The lab on record. Raises UsageError when there is none."""
    found = record.read()
    if found is None:
        raise UsageError("The lab is down.", next_step="`invoke lab.up` starts it.")
    return found


def break_lab(fault: str, say: Say) -> None:
    """Breaks the lab machine in one of the ways of ``faults``. Raises UsageError."""
    faults.inject(_the_lab(), fault)
    say(f"Broken: {faults.BY_NAME[fault].help}. `invoke lab.reset` resets the machine.")


def fault_lines() -> list[str]:
    """The ways to break the lab machine, a line each."""
    return [f"  {fault.name:9} {fault.help}" for fault in faults.FAULTS]


def change_disk(what: str, serial: str, *, size: str, sector: int, say: Say) -> None:
    """Pulls a disk, inserts one, or boots from one alone."""
    _the_lab()
    if what == "alone":
        lifecycle.boot_from(serial, say)
    elif what == "pull":
        lifecycle.change_disks(partial(bays.pull, serial=serial))
    else:
        lifecycle.change_disks(partial(bays.insert, serial=serial, size=size, sector=sector))


def disk_lines() -> list[str]:
    """The lab machine's disks, a line each."""
    return [
        f"{drive.serial:20} {'in the machine' if drive.attached else 'out'}, {drive.path.name}, "
        f"sectors of {drive.sector}"
        for drive in _the_lab().drives
    ]


def status() -> tuple[list[str], bool]:
    """What runs, where it listens, what was broken; and whether the machine answers."""
    built = golden.expected()
    lines = [f"built:    {built.folder if built.complete else 'no'}"]
    found = record.read()
    if found is None:
        return [*lines, "machine:  down"], False
    answers = found.qemu is not None and found.guest.answers()
    return [*lines, *_status_lines(found, answers=answers)], answers


def _status_lines(found: Record, *, answers: bool) -> Iterator[str]:
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


def ssh_words(user: str, command: str | None) -> list[str]:
    """The command line of ssh that opens a shell on the lab machine, or runs a command there."""
    guest = _the_lab().guest
    return [
        "ssh", "-F", "none", "-i", str(guest.key), "-p", str(guest.port),
        "-o", f"UserKnownHostsFile={guest.known_hosts}", "-o", "StrictHostKeyChecking=yes",
        "-o", "IdentitiesOnly=yes", "-o", f"ConnectTimeout={CONNECT_SECONDS}",
        "-o", "ServerAliveInterval=15", "-o", "LogLevel=ERROR", f"{user}@127.0.0.1",
        *([command] if command else []),
    ]  # fmt: skip


def join_console(raw: Callable[[int], AbstractContextManager[None]], say: Say) -> None:
    """Joins the serial console until Ctrl-]; ``raw`` makes a terminal raw and restores it."""
    made = _the_lab()
    say(f"Ctrl-] leaves. The login is root, the password {CONSOLE_PASSWORD}.")
    terminal.join(made.console, raw)
