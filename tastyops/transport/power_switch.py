"""A power switch that is operated by commands: ipmitool's, or the inventory's."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tastyops.errors import PowerUnreachable
from tastyops.model.inventory import Host
from tastyops.model.out_of_band import IPMI_PASSWORD, PowerWay, Turn
from tastyops.model.public_text import one_line
from tastyops.ports import Ended, Sink

OFF_FOR = 5.0
"""Seconds an outlet without a ``cycle`` of its own stays off."""

MOST_SAID = 64 * 1024
_POLICIES = re.compile(r"\b(always-on|always-off|previous)\b")
_STATES = re.compile(r"\b(on|off)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Said:
    """The output of a tool; ``status`` is None if it ran into the time limit."""

    status: int | None
    text: str
    error: str


Run = Callable[[Sequence[str], Mapping[str, str], float], Said]


def run(argv: Sequence[str], environment: Mapping[str, str], patience: float) -> Said:
    """Runs a tool; kills it and its children after ``patience`` seconds. Raises OSError."""
    process = subprocess.Popen(
        argv, env={**os.environ, **environment}, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    try:
        out, err = process.communicate(timeout=patience)
        status: int | None = process.returncode
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        status = None
    return Said(status, *(data[-MOST_SAID:].decode("utf-8", "replace") for data in (out, err)))


class Switch:
    """A host's power switch. ``password`` is the management controller's."""

    def __init__(self, host: Host, way: PowerWay, password: str = "", run: Run = run) -> None:
        self._name, self._way, self._run = host.name, way, run
        self._environment = {IPMI_PASSWORD: password} if way.ipmi else {}
        self._stopped = threading.Event()

    def status(self, *, sink: Sink) -> Ended:
        """Reads the state of the switch."""
        began = time.monotonic()
        sink.out(f"{self._state(sink)}\n".encode())
        return Ended(0, time.monotonic() - began)

    def policy(self, *, sink: Sink) -> Ended:
        """Reads the power-restore policy (IPMI 2.0, 28.2); ``policy`` of the commands, if any."""
        began = time.monotonic()
        found = _POLICIES.findall(self._read("policy", sink).lower())
        sink.out(f"{found[-1] if found else 'unknown'}\n".encode())
        return Ended(0, time.monotonic() - began)

    def turn(self, how: Turn, *, sink: Sink) -> Ended:
        """Operates the switch after reading its state."""
        began = time.monotonic()
        self._stopped.clear()
        state = self._state(sink)
        if how == "cycle" and state == "off":
            how = "on"
        if how == "cycle" and self._argv("cycle") is None:
            found = self._off_and_on(sink)
        else:
            found = self._tell(how, sink)
        sink.out(f"{how}\n".encode())
        taken = time.monotonic() - began
        return Ended(-1, taken, "lost") if found is None else Ended(found, taken)

    def _off_and_on(self, sink: Sink) -> int | None:
        """Switches off and on. A stop in between never leaves the host off."""
        status = self._tell("off", sink)
        if status != 0:
            return status
        self._stopped.wait(OFF_FOR)
        try:
            return self._tell("on", sink)
        except PowerUnreachable:  # it is off by now: that is not nothing
            return None

    def _tell(self, word: str, sink: Sink) -> int | None:
        """The exit status of a tool that operates the switch; None if unknown."""
        try:
            said = self._run(self._argv(word) or (), self._environment, self._way.timeout)
        except OSError as error:
            raise self._unreachable(error.strerror or str(error)) from error
        sink.err(f"{said.text}{said.error}".encode())
        return said.status

    def _state(self, sink: Sink) -> str:
        """``on``, ``off`` or ``unknown``. Raises PowerUnreachable where it does not answer."""
        found = _STATES.findall(self._read("status", sink))
        return found[-1].lower() if found else "unknown"

    def _read(self, word: str, sink: Sink) -> str:
        """What a tool that only reads says; nothing where there is none for that word."""
        argv = self._argv(word)
        if argv is None:
            return ""
        try:
            said = self._run(argv, self._environment, self._way.timeout)
        except OSError as error:
            raise self._unreachable(error.strerror or str(error)) from error
        sink.err(f"{said.text}{said.error}".encode())
        if said.status is None:
            raise self._unreachable(f"it did not answer within {self._way.timeout:g} s")
        if said.status != 0:
            words = one_line(said.error or said.text)[:300]
            raise self._unreachable(words or f"its tool ended with {said.status}")
        return said.text

    def _argv(self, word: str) -> tuple[str, ...] | None:
        if self._way.ipmi is not None and word == "policy":
            return self._way.ipmi.command("chassis", "status")
        if self._way.ipmi is not None:
            return self._way.ipmi.command("chassis", "power", word)
        return self._way.commands.get(word)

    def _unreachable(self, why: str) -> PowerUnreachable:
        return PowerUnreachable(
            f"{self._name}'s power switch ({self._way.named}) cannot be reached: "
            f"{why.rstrip('.')}.",
            still_true="The power switch was not operated.",
            next_step="Try its `power:` by hand; while the rack is dark nothing answers.",
        )

    def stop(self) -> None:
        """Ends the wait between off and on. For another thread."""
        self._stopped.set()
