"""Server of ``tastyops.protocol`` on the model: does what the bootstrap does in a real sh.

Each verb means what it means in the bootstrap. Fates are files of the model under /run/tastyops,
so a reboot loses them, as on a real host.
"""

from __future__ import annotations

import base64
import posixpath
import re
import shlex
from collections.abc import Callable
from typing import Protocol

from tastyops.practice.calls import Call, Input, Write, program_name
from tastyops.practice.files import File, FileProblem
from tastyops.practice.machine import Machine
from tastyops.practice.processes import Killed, Process, signal_number
from tastyops.protocol import framing
from tastyops.protocol.bootstrap import PROTOCOL, TAIL_BYTES
from tastyops.protocol.host_lock import State, parse_holder
from tastyops.protocol.process_stat import start_time

_LONGEST_LINE = 4 * 1024 * 1024
_READ = 65_536
_POLL = 0.2
_LOCK = "/run/lock/tastyops.lock"
_ENVIRONMENT = {
    "HOME": "/root",
    "LC_ALL": "C",
    "LOGNAME": "root",
    "SHELL": "/bin/sh",
    "USER": "root",
    "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin",
}


class Wire(Protocol):
    """The channel to the client."""

    @property
    def recv(self) -> Callable[[int], bytes]:
        """Receives some bytes; none at the end. Raises OSError."""

    def sendall(self, data: bytes, /) -> None:
        """Sends all of the bytes. Raises OSError."""


class ProtocolMismatch(Exception):
    """The client does not speak this version's protocol."""


def _bootstrap_of(line: str) -> tuple[str, str]:
    """Run and nonce of a bootstrap script. Raises ProtocolMismatch for any other script."""
    match = re.match(r"R=(.*?); H=(\w+); ", line)
    if match:
        run, nonce = shlex.split(match[1]), match[2]
        if len(run) == 1 and framing.bootstrap(run[0], nonce) == line:
            return run[0], nonce
    raise ProtocolMismatch(
        "This practice host speaks with a tastyops of its own version only, and runs no other"
        " script."
    )


class ProtocolServer:
    """One session's shell on the practice host, until its channel or its process ends."""

    def __init__(self, machine: Machine, wire: Wire, process: Process, nonce: str) -> None:
        self._machine = machine
        self._wire = wire
        self._process = process
        self._opening = nonce
        self._held = b""
        self._run_id = ""
        self._directory = ""
        self._taken = ""
        """First line of the lock as this session wrote it; a newline once the lock was refused."""
        self._password = b""
        self._verbs: dict[str, Callable[[str, list[str]], None]] = {
            "p": self._probe,
            "P": self._probe_with_password,
            "c": self._change,
            "C": self._change_with_password,
            "u": self._upload,
            "f": self._follow,
            "q": self._question,
            "t": self._tail,
            "k": self._kill,
            "x": self._kill_group,
            "d": self._drop,
            "r": lambda *_: None,
            "z": self._drop_run,
            "l": self._lock,
            "L": self._unlock,
            "s": self._keep_password,
            "h": lambda nonce, _: self._answer(nonce, "0"),
        }

    def serve(self) -> None:
        """Greets, and answers requests until the end. Raises Killed, OSError, ProtocolMismatch."""
        self._wire.sendall(f"{framing.GREETING} {self._opening}\n".encode())
        first = self._line()
        if first is None:
            return
        run, nonce = _bootstrap_of(first.decode("utf-8", "surrogateescape"))
        self._greet(run, nonce)
        while (line := self._line()) is not None:
            self._process.check()
            request = framing.parse_request(line)
            verb = self._verbs.get(request.verb)
            if verb:
                verb(request.nonce, list(request.words))

    def _greet(self, run: str, nonce: str) -> None:
        machine, self._run_id = self._machine, run
        with machine.lock:
            machine.files.add_directory(posixpath.dirname(_LOCK))
            self._directory = f"/run/tastyops/{run}.{machine.boot.id}"
            machine.files.add_directory(self._directory)
            born = f"{self._directory}/.born"
            if not machine.files.is_file(born):
                machine.files.add(born, nonce)
            fields = {
                "v": PROTOCOL,
                "uid": self._process.uid,
                "boot": machine.boot.id,
                "dir": self._directory,
                "lock": _LOCK,
                "pid": self._process.pid,
                "host": machine.name,
                "kernel": machine.boot.kernel,
                "time": int(machine.clock.time()),
                "up": int(max(0.0, machine.boot.uptime())),
                "problem": "",
                "record": self._read(born).decode(),
            }
        words = " ".join(f"{key}={value}" for key, value in fields.items())
        self._wire.sendall(f"\0{nonce} ok {words}\n".encode())

    def _line(self) -> bytes | None:
        while b"\n" not in self._held:
            data = self._wire.recv(_READ)
            if not data:
                self._process.check()
                return None
            self._held += data
            if len(self._held) > _LONGEST_LINE:
                raise ProtocolMismatch("A request was longer than any this protocol has.")
        line, _, self._held = self._held.partition(b"\n")
        return line + b"\n"

    # -- answers -----------------------------------------------------------------------------

    def _answer(self, nonce: str, status: str, out: bytes = b"", err: bytes = b"") -> None:
        self._wire.sendall(framing.answer(nonce, out, err, status))

    def _fate(self, name: str) -> str:
        return f"{self._directory}/{name}"

    def _read(self, path: str) -> bytes:
        files = self._machine.files
        return files.read(path) if files.is_file(path) else b""

    def _answer_fate(self, nonce: str, name: str) -> None:
        """The bootstrap's ``l``: both streams and the status, ``lost`` where there is none."""
        with self._machine.lock:
            fate = self._fate(name)
            out, err = self._read(f"{fate}.out"), self._read(f"{fate}.err")
            status = self._read(f"{fate}.rc").decode().strip() or "lost"
        self._answer(nonce, status, out, err)

    def _pid(self, name: str) -> int | None:
        words = self._read(f"{self._fate(name)}.pid").split()
        return int(words[0]) if words else None

    # -- running -----------------------------------------------------------------------------

    def _run(self, argv: list[str], process: Process, stdin: bytes, out: Write, err: Write) -> int:
        if not argv:
            return 0
        call = Call(tuple(argv), process, Input(stdin), out, err, dict(_ENVIRONMENT))
        try:
            return self._machine.run(call)
        except Killed as killed:
            return 128 + killed.signal

    def _probe(self, nonce: str, argv: list[str], stdin: bytes = b"") -> None:
        """Runs a program in this shell's process group, its output in private files."""
        machine, out, err = self._machine, File(), File()
        with machine.lock:
            process = machine.processes.begin(_name(argv), self._process)
            try:
                status = self._run(argv, process, stdin, out.write, err.write)
            finally:
                machine.processes.end(process)
            self._process.check()
            written = bytes(out.data), bytes(err.data)
        self._answer(nonce, str(status), *written)

    def _probe_with_password(self, nonce: str, argv: list[str]) -> None:
        self._probe(nonce, argv, self._password)

    def _change(self, nonce: str, words: list[str], stdin: bytes | None = None) -> None:
        """Runs a program under a wrapper that leads a process group and keeps the fate."""
        machine, (name, *argv) = self._machine, words
        with machine.lock:
            claimed = machine.files.exists(f"{self._fate(name)}.pid")
            refused = "claimed" if claimed else ""
            if not self._holding():
                refused = "fenced"
        if refused:
            self._answer(nonce, refused)
            return
        with machine.lock:
            given = self._read(f"{self._fate(name)}.in") if stdin is None else stdin
            wrapper = machine.processes.begin("sh", self._process, leader=True)
            machine.processes.spawn(wrapper, lambda: self._wrapper(wrapper, name, argv, given))
            machine.processes.wait_for(self._process, lambda: not machine.processes.alive(wrapper))
            self._process.check()
        self._answer_fate(nonce, name)

    def _change_with_password(self, nonce: str, words: list[str]) -> None:
        self._change(nonce, words, self._password)

    def _wrapper(self, wrapper: Process, name: str, argv: list[str], stdin: bytes) -> None:
        """The bootstrap's wrapper: claims the name by its pid file, writes the status last."""
        machine, fate = self._machine, self._fate(name)
        try:
            claim = machine.files.open(f"{fate}.pid", fresh=True)
            claim.write(f"{machine.processes.stat(wrapper.pid)}\n".encode())
            out, err = machine.files.open(f"{fate}.out"), machine.files.open(f"{fate}.err")
        except FileProblem:
            return
        process = machine.processes.begin(_name(argv), wrapper)
        try:
            status = self._run(argv, process, stdin, out.write, err.write)
        finally:
            machine.processes.end(process)
        wrapper.check()
        machine.files.open(f"{fate}.rc").write(f"{status}\n".encode())

    # -- the other verbs ---------------------------------------------------------------------

    def _upload(self, _: str, words: list[str]) -> None:
        with self._machine.lock:
            path = f"{self._fate(words[0])}.in"
            if self._holding():
                self._machine.files.open(path, append=True).write(base64.b64decode(words[1]))

    def _follow(self, nonce: str, words: list[str]) -> None:
        machine, name = self._machine, words[0]
        with machine.lock:
            pid = self._pid(name)
            begun = self._read(f"{self._fate(name)}.pid").decode().strip()
            machine.processes.wait_for(
                self._process,
                lambda: (
                    bool(self._read(f"{self._fate(name)}.rc"))
                    or pid is None
                    or start_time(machine.processes.stat(pid)) != start_time(begun)
                ),
            )
        self._answer_fate(nonce, name)

    def _question(self, nonce: str, words: list[str]) -> None:
        machine = self._machine
        with machine.lock:
            fate, pid = self._fate(words[0]), self._pid(words[0])
            now = machine.processes.stat(pid) if pid is not None else ""
            rc, begun = self._read(f"{fate}.rc"), self._read(f"{fate}.pid")
        out = b"rc " + (rc or b"\n") + b"pid " + (begun or b"\n") + f"now {now}\n".encode()
        self._answer(nonce, "0", out)

    def _tail(self, nonce: str, words: list[str]) -> None:
        with self._machine.lock:
            fate, last = self._fate(words[0]), TAIL_BYTES
            out, err = self._read(f"{fate}.out")[-last:], self._read(f"{fate}.err")[-last:]
        self._answer(nonce, "0", out, err)

    def _signal_group(self, nonce: str, name: str, group: int | None) -> None:
        processes = self._machine.processes
        with self._machine.lock:
            number = signal_number(name)
            if number is not None and group is not None:
                processes.signal(number, group=group)
            alive = group is not None and processes.signal(0, group=group)
        self._answer(nonce, "0" if alive else "1")

    def _kill(self, nonce: str, words: list[str]) -> None:
        with self._machine.lock:
            group = self._pid(words[1])
        self._signal_group(nonce, words[0], group)

    def _kill_group(self, nonce: str, words: list[str]) -> None:
        self._signal_group(nonce, words[0], int(words[1]))

    def _drop(self, _: str, words: list[str]) -> None:
        files = self._machine.files
        with self._machine.lock:
            for name in words if self._holding() else ():
                for suffix in ("out", "err", "rc", "pid", "in"):
                    if files.is_file(path := f"{self._fate(name)}.{suffix}"):
                        files.remove(path)

    def _drop_run(self, _: str, __: list[str]) -> None:
        with self._machine.lock:
            ours = not self._taken or self._holding()
            if ours and self._machine.files.is_directory(self._directory):
                self._machine.files.remove_directory(self._directory)

    # -- the lock ----------------------------------------------------------------------------

    def _holding(self) -> bool:
        """The bootstrap's ``w``: whether this session still holds the lock."""
        first = self._read(_LOCK).decode("utf-8", "replace").partition("\n")[0]
        return bool(self._taken) and first == self._taken

    def _lock(self, nonce: str, words: list[str]) -> None:
        over, epoch, name, rest = words
        with self._machine.lock:
            before = self._read(_LOCK).decode("utf-8", "replace")
            state: State = "taken"
            self._taken = f"{self._run_id} {epoch} {name}"
            if before.partition("\n")[0] == self._taken:
                before = ""
            elif before:
                holder = parse_holder(before)
                state = "taken" if over else "held"
                if holder is not None and holder.run == self._run_id:
                    state = "fenced" if holder.epoch > int(epoch) else "taken"
                    state = "same" if holder.epoch == int(epoch) else state
            if state == "taken":
                text = f"{self._taken}\n{rest}\n"
                self._machine.files.add(_LOCK, text)
            else:
                self._taken = "\n"
        self._answer(nonce, "0", f"{state}\n{before}".encode())

    def _unlock(self, _: str, __: list[str]) -> None:
        with self._machine.lock:
            if self._holding():
                self._machine.files.remove(_LOCK)
                self._taken = ""

    def _keep_password(self, _: str, words: list[str]) -> None:
        self._password = words[0].encode("utf-8", "surrogateescape") + b"\n"


def _name(argv: list[str]) -> str:
    return program_name(argv[0]) if argv else "sh"
