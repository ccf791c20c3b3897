"""The running lab: its ports, disks and programs, kept in one file that is replaced whole.

``Bmc`` is the simulated management controller, ``Guest`` the way into the machine over SSH.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import random
import shlex
import shutil
import socket
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paramiko

from tastyops.errors import LabFailed
from tastyops.lab import places
from tastyops.lab.golden import Golden
from tastyops.lab.processes import Process, from_file
from tastyops.lab.qemu import Drive, Machine, pristine

PROGRAM = "ipmi_sim"
USER = "admin"
PASSWORD = "labpass"  # noqa: S105  of a switch that only loopback reaches

_LEVELS = ("callback", "user", "operator", "admin")

_EMULATOR = """\
mc_setbmc 0x20
mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr
sel_enable 0x20 1000 0x0a
sensor_add 0x20 0 0 35 1
mc_enable 0x20
"""


@dataclass(frozen=True, slots=True)
class Bmc:
    """A management controller (OpenIPMI's simulator): its UDP port ``lan``, the ports of QEMU and
    the console hub, and its files.
    """

    folder: Path
    password_file: Path
    """File with the password, which keeps it off every command line."""
    lan: int
    machine: int
    console: int

    def write(self, start_script: Path) -> None:
        """Writes the configuration files."""
        (self.folder / "lan.conf").write_text(self.configuration(start_script))
        (self.folder / "lab.emu").write_text(_EMULATOR)
        (self.folder / "ipmi-state").mkdir(exist_ok=True)
        self.password_file.write_text(PASSWORD)
        self.password_file.chmod(0o600)

    def configuration(self, start_script: Path) -> str:
        """Text of ``lan.conf``; ``start_script`` switches the machine on."""
        levels = "\n".join(f"    allowed_auths_{name} none md2 md5 straight" for name in _LEVELS)
        return f"""\
name "lab"
set_working_mc 0x20
  startlan 1
    addr 127.0.0.1 {self.lan}
    priv_limit admin
{levels}
    guid a123456789abcdefa123456789abcdef
  endlan
  serial 15 127.0.0.1 {self.machine} codec VM
  sol "telnet:127.0.0.1:{self.console}" 115200
  startcmd "{start_script}"
  startnow false
  poweroff_wait 10
  kill_wait 5
  user 1 true ""        "test"       user  10 none md2 md5 straight
  user 2 true "{USER}" "{PASSWORD}" admin 10 none md2 md5 straight
"""

    def arguments(self) -> list[str]:
        """Command line of the simulator."""
        folder = self.folder
        return [
            PROGRAM, "-n", "-c", str(folder / "lan.conf"), "-f", str(folder / "lab.emu"),
            "-s", str(folder / "ipmi-state"),
        ]  # fmt: skip

    def command(self, *words: str) -> str:
        """An ``ipmitool`` command line; ``-C 3`` avoids ten seconds of cipher negotiation."""
        return shlex.join([
            "ipmitool", "-I", "lanplus", "-C", "3", "-H", "127.0.0.1", "-p", str(self.lan),
            "-U", USER, "-f", str(self.password_file), *words,
        ])  # fmt: skip


_PATIENCE = 60.0
_SETTING = 0.5
"""Seconds from sending a time until a shell on a slow machine has set it."""

_UNANSWERED = (OSError, EOFError, paramiko.SSHException)

# Without a handler of its own the logging module prints paramiko's errors on the terminal.
logging.getLogger("paramiko").addHandler(logging.NullHandler())


@dataclass(frozen=True, slots=True)
class Guest:
    """Commands in the lab machine as root over SSH: port on loopback, client key, known hosts."""

    port: int
    key: Path
    known_hosts: Path

    def run(self, command: str, *, timeout: float = 120.0) -> str:
        """Runs a shell command and gives its output. Raises LabFailed on failure or timeout."""
        try:
            with self._connected() as client:
                status, output = _answer(client, command, timeout)
        except _UNANSWERED as error:
            raise LabFailed(f"The lab machine does not answer over SSH: {error!r}.") from error
        if status:
            raise LabFailed(f"In the lab machine {command!r} ended with {status}: {output.strip()}")
        return output

    def answers(self, timeout: float = 5.0) -> bool:
        """Whether sshd sends its banner; QEMU accepts a forwarded connection without sshd."""
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", self.port), timeout) as link,
        ):
            link.settimeout(timeout)
            return link.recv(4) == b"SSH-"
        return False

    def wait(self, patience: float) -> None:
        """Waits until a command succeeds in the machine. Raises LabFailed."""
        due = time.monotonic() + patience
        while True:
            if self.answers():
                with contextlib.suppress(LabFailed):
                    self.run("true", timeout=20)
                    return
            if time.monotonic() > due:
                raise LabFailed(
                    f"The lab machine did not answer over SSH within {patience:g} seconds.",
                    next_step="Its console is in the log `invoke lab.status` names.",
                )
            time.sleep(0.2)

    def set_clock(self) -> None:
        """Sets the clock to this machine's time; a restored machine has its snapshot's time."""
        try:
            with self._connected() as client:  # first: on a busy machine a login takes its time
                now = time.time() + _SETTING
                set_both = f"date -u -s @{now:.2f} >/dev/null; hwclock -w -u 2>/dev/null || true"
                _answer(client, set_both, _PATIENCE)
        except _UNANSWERED as error:
            raise LabFailed(f"The lab machine's clock cannot be set: {error!r}.") from error

    def _connected(self) -> paramiko.SSHClient:
        client = paramiko.SSHClient()
        client.load_host_keys(str(self.known_hosts))
        client.set_missing_host_key_policy(paramiko.RejectPolicy())
        try:
            client.connect(
                "127.0.0.1",
                self.port,
                "root",
                key_filename=str(self.key),
                look_for_keys=False,
                allow_agent=False,
                timeout=_PATIENCE,
                banner_timeout=_PATIENCE,
                auth_timeout=_PATIENCE,
                channel_timeout=_PATIENCE,
            )
        except BaseException:
            client.close()
            raise
        return client


def _answer(client: paramiko.SSHClient, command: str, timeout: float) -> tuple[int, str]:
    transport = client.get_transport()
    if transport is None:
        raise EOFError("the connection is gone")
    channel = transport.open_session(timeout=_PATIENCE)
    channel.settimeout(timeout)
    channel.set_combine_stderr(True)
    channel.exec_command(command)
    due, output = time.monotonic() + timeout, bytearray()
    while piece := channel.recv(65536):
        output += piece
        if time.monotonic() > due:
            raise TimeoutError(f"{command!r} took longer than {timeout:g} seconds")
    if not channel.status_event.wait(max(1.0, due - time.monotonic())):
        raise TimeoutError(f"{command!r} did not say how it ended")
    return channel.recv_exit_status(), output.decode("utf-8", "replace")


RECORD = "record.json"
"""Name of the file in the state directory."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Ports on 127.0.0.1; a reset keeps them, so that the inventory stays valid."""

    ssh: int
    console: int
    machine: int
    lan: int

    @classmethod
    def free(cls) -> Ports:
        """Picks four different free ports. Raises LabFailed."""
        with ExitStack() as held:
            return cls(*(_free(held, kind) for kind in _KINDS))

    @property
    def usable(self) -> bool:
        """Whether all ports are free."""
        numbers = (self.ssh, self.console, self.machine, self.lan)
        with ExitStack() as held:
            try:
                for kind, number in zip(_KINDS, numbers, strict=True):
                    _bound(held, kind, number)
            except OSError:
                return False
        return True


_RANGE = range(20000, 32000)
"""Ports below those of outgoing connections, which could take one while the machine is off."""

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
    """A lab as it was started."""

    golden: Golden
    accelerator: str
    folder: Path
    """Directory of sockets, pid file and the controller's files; ``lab.down`` removes it."""
    ports: Ports
    began: str
    """``restored`` or ``cold``."""
    drives: tuple[Drive, ...]
    """All disks, pulled ones too, as they are now and after the next power cycle."""
    hub: Process | None = None
    bmc: Process | None = None
    faults: tuple[str, ...] = ()

    @property
    def machine(self) -> Machine:
        """The QEMU machine."""
        return Machine(
            self.accelerator, self.drives, self.folder, self.ports.ssh, visitor_log(),
            self.ports.machine,
        )  # fmt: skip

    @property
    def switch(self) -> Bmc:
        """The management controller, which is the power switch."""
        ports, secret = self.ports, places.state() / "ipmi-password"
        return Bmc(self.folder, secret, ports.lan, ports.machine, ports.console)

    @property
    def guest(self) -> Guest:
        """Access to the machine over SSH."""
        return Guest(self.ports.ssh, self.golden.key, places.state() / "known_hosts")

    @property
    def qemu(self) -> Process | None:
        """The QEMU process, whether the lab or the power switch started it."""
        return from_file(self.machine.pid_file, str(self.machine.pid_file))

    @property
    def console(self) -> Path:
        """The hub's socket for clients of the serial console."""
        return self.folder / "console"

    @property
    def start_script(self) -> Path:
        """Script that switches the machine on."""
        return self.folder / "start"

    def write_start_script(self) -> None:
        """Writes the start script for the disks that are in place now."""
        fresh = self.start_script.with_suffix(".new")
        fresh.write_text(self.machine.script())
        fresh.chmod(0o700)
        fresh.replace(self.start_script)

    def save(self) -> None:
        """Writes the record."""
        path = places.state() / RECORD
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(self._to_json(), indent=1) + "\n")
        fresh.replace(path)

    def _to_json(self) -> dict[str, Any]:
        return {
            "golden": str(self.golden.folder), "accelerator": self.accelerator,
            "folder": str(self.folder), "began": self.began, "faults": list(self.faults),
            "ports": [self.ports.ssh, self.ports.console, self.ports.machine, self.ports.lan],
            "drives": [
                [drive.name, drive.serial, str(drive.path), drive.sector, drive.attached]
                for drive in self.drives
            ],
            "hub": _process_to_json(self.hub), "bmc": _process_to_json(self.bmc),
        }  # fmt: skip

    def forget(self) -> None:
        """Removes the record, the run directory and the disks' layers."""
        (places.state() / RECORD).unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)
        for drive in self.drives:
            drive.path.unlink(missing_ok=True)


def read() -> Record | None:
    """Reads the record; None without a lab, or where the record is unreadable."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        plain = json.loads((places.state() / RECORD).read_text())
        return Record(
            Golden(Path(plain["golden"])),
            plain["accelerator"],
            Path(plain["folder"]),
            Ports(*plain["ports"]),
            plain["began"],
            _drives_from_json(plain),
            _process_from_json(plain["hub"]),
            _process_from_json(plain["bmc"]),
            tuple(plain["faults"]),
        )
    return None


def _drives_from_json(plain: dict[str, Any]) -> tuple[Drive, ...]:
    """Disks of a record; the recipe's where an older tastyops recorded none."""
    if "drives" not in plain:
        return pristine(places.state())
    return tuple(Drive(a, b, Path(c), int(d), bool(e)) for a, b, c, d, e in plain["drives"])


def console_log() -> Path:
    """Log of the machine's serial console."""
    return places.state() / "console.log"


def visitor_log() -> Path:
    """Log of the logged-in visitor's terminal."""
    return places.state() / "visitor.log"


def _process_to_json(process: Process | None) -> list[int] | None:
    return [process.pid, process.started] if process else None


def _process_from_json(pair: list[int] | None) -> Process | None:
    return Process(*pair) if pair else None


def writable() -> Path:
    """Creates the state directory where it is missing, readable by this account alone."""
    folder = places.state()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.chmod(folder, 0o700)
    return folder
