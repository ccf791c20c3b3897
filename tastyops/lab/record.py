"""The record of a running lab: what was started, where it listens. One file, replaced whole."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import socket
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tastyops.errors import LabFailed
from tastyops.lab import places
from tastyops.lab.bmc import Bmc
from tastyops.lab.golden import Golden
from tastyops.lab.guest import Guest
from tastyops.lab.processes import Process, from_file
from tastyops.lab.qemu import Drive, Machine, pristine

RECORD = "record.json"
"""The file's name, in the state directory."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Ports on 127.0.0.1, kept over a reset so that the inventory stays true."""

    ssh: int
    console: int
    machine: int
    lan: int

    @classmethod
    def free(cls) -> Ports:
        """Four that are free now, all different. Raises LabFailed."""
        with ExitStack() as held:
            return cls(*(_free(held, kind) for kind in _KINDS))

    @property
    def usable(self) -> bool:
        """Whether nobody else has taken one of them meanwhile."""
        numbers = (self.ssh, self.console, self.machine, self.lan)
        with ExitStack() as held:
            try:
                for kind, number in zip(_KINDS, numbers, strict=True):
                    _bound(held, kind, number)
            except OSError:
                return False
        return True


_RANGE = range(20000, 32000)
"""Below what outgoing connections are given: nobody takes one while the machine is off."""

_KINDS = (socket.SOCK_STREAM, socket.SOCK_STREAM, socket.SOCK_STREAM, socket.SOCK_DGRAM)


def _free(held: ExitStack, kind: socket.SocketKind) -> int:
    for number in random.sample(_RANGE, len(_RANGE)):
        with contextlib.suppress(OSError):
            return _bound(held, kind, number)
    raise LabFailed(f"No port of 127.0.0.1 from {_RANGE[0]} to {_RANGE[-1]} is free.")


def _bound(held: ExitStack, kind: socket.SocketKind, number: int) -> int:
    taken = held.enter_context(socket.socket(socket.AF_INET, kind))
    if kind == socket.SOCK_STREAM:  # as QEMU does: connections that just ended do not count
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    taken.bind(("127.0.0.1", number))
    return int(taken.getsockname()[1])


@dataclass(frozen=True, slots=True)
class Record:
    """One lab, as it was started."""

    golden: Golden
    accelerator: str
    folder: Path
    """Sockets, pid file, the switch's files: short, private, gone after ``lab.down``."""
    ports: Ports
    began: str
    """``restored`` or ``cold``."""
    drives: tuple[Drive, ...]
    """Its disks, pulled ones too: what is in the machine now, and after the next power cycle."""
    hub: Process | None = None
    bmc: Process | None = None
    faults: tuple[str, ...] = ()

    @property
    def machine(self) -> Machine:
        """QEMU's command line for it."""
        return Machine(
            self.accelerator, self.drives, self.folder, self.ports.ssh, visitor_log(),
            self.ports.machine,
        )  # fmt: skip

    @property
    def switch(self) -> Bmc:
        """Its power switch."""
        ports, secret = self.ports, places.state() / "ipmi-password"
        return Bmc(self.folder, secret, ports.lan, ports.machine, ports.console)

    @property
    def guest(self) -> Guest:
        """The way in."""
        return Guest(self.ports.ssh, self.golden.key, places.state() / "known_hosts")

    @property
    def qemu(self) -> Process | None:
        """QEMU, whoever started it: we, or the power switch."""
        return from_file(self.machine.pid_file, str(self.machine.pid_file))

    @property
    def console(self) -> Path:
        """The hub's socket for whoever wants the serial console."""
        return self.folder / "console"

    @property
    def start_script(self) -> Path:
        """What switches the machine on."""
        return self.folder / "start"

    def write_start_script(self) -> None:
        """Writes it anew: the disks it starts the machine with are those in place now."""
        fresh = self.start_script.with_suffix(".new")
        fresh.write_text(self.machine.script())
        fresh.chmod(0o700)
        fresh.replace(self.start_script)

    def save(self) -> None:
        """Writes it down."""
        path = places.state() / RECORD
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(self._plain(), indent=1) + "\n")
        fresh.replace(path)

    def _plain(self) -> dict[str, Any]:
        return {
            "golden": str(self.golden.folder), "accelerator": self.accelerator,
            "folder": str(self.folder), "began": self.began, "faults": list(self.faults),
            "ports": [self.ports.ssh, self.ports.console, self.ports.machine, self.ports.lan],
            "drives": [
                [drive.name, drive.serial, str(drive.path), drive.sector, drive.attached]
                for drive in self.drives
            ],
            "hub": _pair(self.hub), "bmc": _pair(self.bmc),
        }  # fmt: skip

    def forget(self) -> None:
        """Removes it, and what only made sense while it ran."""
        (places.state() / RECORD).unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)
        for drive in self.drives:
            drive.path.unlink(missing_ok=True)


def read() -> Record | None:
    """The lab on record; None if there is none, or its record cannot be read."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        plain = json.loads((places.state() / RECORD).read_text())
        return Record(
            Golden(Path(plain["golden"])), plain["accelerator"], Path(plain["folder"]),
            Ports(*plain["ports"]), plain["began"],
            _drives(plain),
            _process(plain["hub"]), _process(plain["bmc"]), tuple(plain["faults"]),
        )
    return None


def _drives(plain: dict[str, Any]) -> tuple[Drive, ...]:
    """Its disks; a lab begun by a tastyops that could not swap them has the recipe's."""
    if "drives" not in plain:
        return pristine(places.state())
    return tuple(Drive(a, b, Path(c), int(d), bool(e)) for a, b, c, d, e in plain["drives"])


def console_log() -> Path:
    """Everything the machine said on its serial console."""
    return places.state() / "console.log"


def visitor_log() -> Path:
    """Everything the logged-in visitor's terminal showed."""
    return places.state() / "visitor.log"


def _pair(process: Process | None) -> list[int] | None:
    return [process.pid, process.started] if process else None


def _process(pair: list[int] | None) -> Process | None:
    return Process(*pair) if pair else None


def writable() -> Path:
    """The state directory, made if need be, for nobody else to read."""
    folder = places.state()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.chmod(folder, 0o700)
    return folder
