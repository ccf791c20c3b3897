"""The machine's management controller: OpenIPMI's simulator, its files and its commands."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

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
    """Where it listens (``lan``, UDP), where QEMU and the console hub are, and its files."""

    folder: Path
    password_file: Path
    """Holds the password, so that no command line does."""
    lan: int
    machine: int
    console: int

    def write(self, start_script: Path) -> None:
        """Writes its configuration."""
        (self.folder / "lan.conf").write_text(self.configuration(start_script))
        (self.folder / "lab.emu").write_text(_EMULATOR)
        (self.folder / "ipmi-state").mkdir(exist_ok=True)
        self.password_file.write_text(PASSWORD)
        self.password_file.chmod(0o600)

    def configuration(self, start_script: Path) -> str:
        """Its ``lan.conf``; ``startvm`` is what it switches the machine on with."""
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
        """The simulator's command line."""
        folder = self.folder
        return [
            PROGRAM, "-n", "-c", str(folder / "lan.conf"), "-f", str(folder / "lab.emu"),
            "-s", str(folder / "ipmi-state"),
        ]  # fmt: skip

    def command(self, *words: str) -> str:
        """An ``ipmitool`` command line; without ``-C 3`` it tries a cipher for ten seconds."""
        return shlex.join([
            "ipmitool", "-I", "lanplus", "-C", "3", "-H", "127.0.0.1", "-p", str(self.lan),
            "-U", USER, "-f", str(self.password_file), *words,
        ])  # fmt: skip
