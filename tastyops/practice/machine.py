"""The modelled machine: its parts put together, and programs run on it."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tastyops.practice import kalimdor
from tastyops.practice.apt import DPKG_HOLDER, LISTS_HOLDER, Apt
from tastyops.practice.boot import Boot, BootSourceScript, SystemTools
from tastyops.practice.calls import Call, Command, Commands, Input, Write, program_name
from tastyops.practice.clock import PracticeClock
from tastyops.practice.console import IN_THE_INITRAMFS, Console
from tastyops.practice.files import FileProblem, Files, NotModelled
from tastyops.practice.filesystems import UsageTools
from tastyops.practice.installed_system import InstalledSystem
from tastyops.practice.power_state import PowerState
from tastyops.practice.processes import Killed, Process, Processes
from tastyops.practice.sh.interpreter import Interpreter
from tastyops.practice.shell_tools import FileTools, ProcessTools, TextTools
from tastyops.practice.systemd import Systemd
from tastyops.practice.users import Users

RACK_GOES_DARK = "the rack goes dark"
"""Words of a manual step that have the rack's power taken away and given back."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a program ended and what it wrote."""

    status: int
    out: bytes
    err: bytes


class HasCommands(Protocol):
    """A part of the machine that brings programs."""

    def commands(self) -> Commands:
        """The programs by name."""


class Programs:
    """The programs of the machine by name; ``offers`` tells whether one can be used right now."""

    def __init__(self, hostname: str, offers: Callable[[str], bool]) -> None:
        self._hostname, self._offers = hostname, offers
        self._programs: dict[str, Command] = {}

    def install(self, *parts: HasCommands) -> None:
        """Adds the programs of these parts; a later part replaces an earlier one's."""
        for part in parts:
            self._programs.update(part.commands())

    def knows(self, name: str) -> bool:
        """Whether there is a program of that name."""
        return program_name(name) in self._programs

    def dispatch(self, call: Call) -> int:
        """Runs a program for another program. Raises NotModelled, FileProblem, Killed."""
        name = program_name(call.argv[0])
        if not self._offers(name):
            raise NotModelled(f"the command {call.argv[0]!r} at the initramfs prompt")
        program = self._programs.get(name)
        if program is None:
            raise NotModelled(f"the command {call.argv[0]!r}")
        return program(call)

    def run(self, call: Call) -> int:
        """Runs a program; every failure but Killed becomes its exit status. Raises Killed."""
        try:
            return self.dispatch(call)
        except NotModelled as missing:
            call.complain(not_modelled(self._hostname, str(missing)))
            return missing.status
        except FileProblem as problem:
            call.complain(f"{call.argv[0]}: {problem}")
            return 1
        except Killed:
            raise
        except Exception:  # a fault of the model must not look like the host's answer
            call.complain(f"PRACTICE HOST: a fault of tastyops:\n{traceback.format_exc()}")
            return 125


class Machine:
    """A model of kalimdor under the name of the inventory's host.

    ``files``, ``processes``, ``users``, ``boot``, ``system``, ``systemd``, ``console`` and
    ``power`` are its parts. One lock, ``lock``, guards them all.
    """

    def __init__(
        self, name: str, clock: PracticeClock, settings: Mapping[str, Any] | None = None
    ) -> None:
        options = kalimdor.Options.of(settings or {})
        self.name, self.clock = name, clock
        self.processes = Processes(clock)
        self.lock = self.processes.lock
        self.files = Files()
        self.boot = _running_boot(name, self.processes)
        self.boot.publish(self.files)
        self.users = Users(name, clock)
        for user, source, ago in kalimdor.USERS:
            self.users.log_in(user, source, ago)
        self.systemd = Systemd(
            clock, self.processes, self.users, kalimdor.units(options), self.boot.starting
        )
        self.system = InstalledSystem(name, clock, self.files, self.processes, options)
        self.console = Console(name)
        self.programs = Programs(name, self._offers)
        self._install_programs(options)
        self.power = PowerState(
            self.system, self.systemd, self.users, self.boot, self.console, self.run_line, options
        )

    def _install_programs(self, options: kalimdor.Options) -> None:
        files, processes, system, programs = self.files, self.processes, self.system, self.programs
        storage = system.storage
        apt = Apt(
            system.packages,
            files,
            system.grub,
            processes,
            truncated_initrd=options.truncated_initrd,
            busy={LISTS_HOLDER: options.apt_busy, DPKG_HOLDER: options.dpkg_busy},
        )
        scripts = {
            **BootSourceScript(storage, self.boot, programs.dispatch).scripts(),
            **system.initramfs.scripts(),
            **apt.scripts(),
            **storage.scripts(),
        }
        programs.install(
            self.users,
            self.systemd,
            system.grub,
            system.packages,
            system.initramfs,
            apt,
            storage,
            SystemTools(self.boot),
            UsageTools(files, storage.mounts, self.users, self.systemd, storage.boot_code.links),
            ProcessTools(files, processes, programs.dispatch),
            TextTools(files),
            FileTools(files, storage.mounts),
            Interpreter(files, processes, programs.dispatch, programs.knows, scripts),
        )

    def _offers(self, program: str) -> bool:
        return self.power.phase != "initramfs" or program in IN_THE_INITRAMFS

    # -- running programs --------------------------------------------------------------------

    def run(self, call: Call) -> int:
        """Runs a program; the machine's lock is held except while it sleeps. Raises Killed."""
        with self.lock:
            self.power.catch_up()
            call.process.check()
            return self.programs.run(call)

    def execute(
        self, argv: Sequence[str], stdin: bytes = b"", uid: int = 0, parent: Process | None = None
    ) -> Outcome:
        """Runs a program as a new process, and gives its status and output.

        Raises ConnectionRefusedError while the machine is down.
        """
        self.power.catch_up()
        if not self.power.up:
            raise ConnectionRefusedError(f"the practice host {self.name} is down")
        out, err = bytearray(), bytearray()
        process = self.processes.begin(program_name(argv[0]), parent, leader=True, uid=uid)
        try:
            call = Call(tuple(argv), process, Input(stdin), out.extend, err.extend)
            status = self.run(call)
        except Killed as killed:
            status = 128 + killed.signal
        finally:
            self.processes.end(process)
        return Outcome(status, bytes(out), bytes(err))

    def run_line(self, line: str, write: Write) -> int:
        """Runs a line typed at a shell of root's, and gives its exit status."""
        process = self.processes.begin("sh", leader=True)
        try:
            return self.run(Call(("sh", "-c", line), process, Input(), write, write))
        except Killed as killed:
            return 128 + killed.signal
        finally:
            self.processes.end(process)
            self.processes.notify()

    # -- what people do at the machine -------------------------------------------------------

    def type_line(self, line: str) -> tuple[int, bytes] | None:
        """Types a line at root's shell on the machine's own screen.

        Gives the exit status and the output; None where no shell is open.
        """
        with self.lock:
            self.power.catch_up()
            if not self.power.has_root_shell:
                return None
            seen = bytearray()
            return self.run_line(line, seen.extend), bytes(seen)

    def do_by_hand(self, text: str) -> bool:
        """Does what a manual step asks for; False for what cannot be done."""
        with self.lock:
            self.power.catch_up()
            if RACK_GOES_DARK in text.lower():
                self.power.cut_feed()
            return self.system.storage.hotplug.do_by_hand(text)

    def close(self) -> None:
        """Ends every process and its thread."""
        self.processes.end_all()
        self.processes.join()


def _running_boot(name: str, processes: Processes) -> Boot:
    """The boot kalimdor is running when the practice begins; an older kernel ran before it."""
    boot = Boot(name, processes, kalimdor.BUILDS)
    began = processes.clock.time() - kalimdor.UPTIME
    boot.start(kalimdor.OLDER_KERNEL, began - kalimdor.OLDER_RAN)
    boot.start(kalimdor.OLD_KERNEL, began)
    boot.ready_at = began
    return boot


def not_modelled(name: str, what: str) -> str:
    """The loud answer to what the practice host cannot do."""
    return (
        f"PRACTICE HOST: {what} is not modelled, and was not run.\n"
        f"This {name} is tastyops' practice host, no real machine: it answers only what it"
        " models.\n"
        "What to do: try this step against the lab, or against a real host (in the inventory,"
        " without `connection: practice`)."
    )
