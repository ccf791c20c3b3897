"""The modelled machine: its life and its programs put together, and programs being run on it."""

from __future__ import annotations

import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tastyops.practice import kalimdor
from tastyops.practice.apt import DPKG_HOLDER, LISTS_HOLDER, Apt
from tastyops.practice.boot_readings import BootReadings
from tastyops.practice.calls import Call, Command, Input, program_name
from tastyops.practice.clock import PracticeClock
from tastyops.practice.console_shell import IN_THE_INITRAMFS
from tastyops.practice.file_tools import FileTools
from tastyops.practice.files import FileProblem, NotModelled
from tastyops.practice.power_state import Life
from tastyops.practice.processes import Killed, Process
from tastyops.practice.sh.interpreter import Interpreter
from tastyops.practice.system import System
from tastyops.practice.text_tools import TextTools
from tastyops.practice.tools import Tools


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a program ended and what it wrote."""

    status: int
    out: bytes
    err: bytes


class Machine(Life):
    """A model of kalimdor under the name of the inventory's host."""

    def __init__(
        self, name: str, clock: PracticeClock, settings: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(name, clock, kalimdor.Options.of(settings or {}))
        self._programs = self._build()

    def _build(self) -> dict[str, Command]:
        apt = Apt(
            self.packages,
            self.files,
            self.grub,
            self.processes,
            truncated_initrd=self._options.truncated_initrd,
            busy={
                LISTS_HOLDER: self._options.apt_busy,
                DPKG_HOLDER: self._options.dpkg_busy,
            },
        )
        system = System(
            self.name,
            self.clock,
            self.processes,
            lambda: (self.kernel, self.build),
            lambda: self.clock_off,
        )
        parts = (
            self.users,
            self.logind,
            self.timers,
            self.units,
            self.grub,
            self.packages,
            apt,
            system,
            self.storage,
            self.looking,
            Tools(self.files, self.processes, self._dispatch),
            TextTools(self.files),
            FileTools(self.files, self.storage.mounts),
            Interpreter(
                self.files,
                self.processes,
                self._dispatch,
                self._knows,
                {
                    **BootReadings(self.storage, self._booted, self._dispatch).scripts(),
                    **self.initramfs.scripts(),
                    **apt.scripts(),
                    **self.storage.scripts(),
                },
            ),
            self.initramfs,
        )
        programs: dict[str, Command] = {}
        for part in parts:
            programs.update(part.commands())
        return programs

    # -- running programs --------------------------------------------------------------------

    def _dispatch(self, call: Call) -> int:
        """What a program uses to run another one. Raises NotModelled, FileProblem, Killed."""
        name = program_name(call.argv[0])
        if self.phase == "initramfs" and name not in IN_THE_INITRAMFS:
            raise NotModelled(f"the command {call.argv[0]!r} at the initramfs prompt")
        program = self._programs.get(name)
        if program is None:
            raise NotModelled(f"the command {call.argv[0]!r}")
        return program(call)

    def _knows(self, name: str) -> bool:
        return program_name(name) in self._programs

    def run(self, call: Call) -> int:
        """Runs a program; the machine's lock is held except while it sleeps. Raises Killed."""
        with self.lock:
            self.catch_up()
            call.process.check()
            try:
                return self._dispatch(call)
            except NotModelled as missing:
                call.complain(not_modelled(self.name, str(missing)))
                return missing.status
            except FileProblem as problem:
                call.complain(f"{call.argv[0]}: {problem}")
                return 1
            except Killed:
                raise
            except Exception:  # a fault of the model must not look like the host's answer
                call.complain(f"PRACTICE HOST: a fault of tastyops:\n{traceback.format_exc()}")
                return 125

    def execute(
        self, argv: Sequence[str], stdin: bytes = b"", uid: int = 0, parent: Process | None = None
    ) -> Outcome:
        """Runs a program as a process of its own and gives everything it wrote.

        Raises ConnectionRefusedError while the machine is down.
        """
        self.catch_up()
        if not self.up:
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

    def close(self) -> None:
        """Ends every process and its thread."""
        self.processes.end_all()
        self.processes.join()


def not_modelled(name: str, what: str) -> str:
    """The loud answer to what the practice host cannot do."""
    return (
        f"PRACTICE HOST: {what} is not modelled, and was not run.\n"
        f"This {name} is tastyops' practice host, no real machine: it answers only what it"
        " models.\n"
        "What to do: try this step against the lab, or against a real host (in the inventory,"
        " without `connection: practice`)."
    )
