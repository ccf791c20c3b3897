"""An ``ssh`` master as the carrier of a link's shells."""

from __future__ import annotations

import contextlib
import os
import select
import socket
from pathlib import Path
from time import monotonic

from tastyops.errors import HostUnsuitable, TastyopsError
from tastyops.model.inventory import Host
from tastyops.transport.openssh.bell import PollBell
from tastyops.transport.openssh.client import Client
from tastyops.transport.openssh.control import Control, MasterGoneError, SessionRefusedError
from tastyops.transport.openssh.master import Master
from tastyops.transport.ssh.timing import Timing
from tastyops.transport.ssh.wire import NOISE_BYTES, READ_BYTES, Bell, GoneError, Wire

_MOST_CONNECTIONS = 3
"""Both shells, and one to replace a shell that is being killed."""


class OpenSshCarrier:
    """One connection, or several to a host whose sshd allows one session on each.

    Implements ``ssh.wire.Carrier``. ``usual``: see ``Client``. ``ready``: a master that is open.
    """

    def __init__(
        self, host: Host, usual: Path | None, timing: Timing, *, ready: Master | None = None
    ) -> None:
        self._client = Client(host, usual, timing)
        self._timing = timing
        self._masters = [ready] if ready else []
        self._bells: list[PollBell] = []
        self._wires: list[_SessionWire] = []

    @property
    def where(self) -> str:
        """The far end as messages name it: as ``ssh`` resolved it, once it is connected."""
        found = self._masters[0].record.where if self._masters else ""
        return found or self._client.where

    @property
    def active(self) -> bool:
        """Whether its first connection still stands."""
        return bool(self._masters) and self._masters[0].active

    def bell(self) -> PollBell:
        """One that waits for the wires' descriptors."""
        bell = PollBell()
        self._bells.append(bell)
        return bell

    def open(self) -> None:
        """Connects and authenticates. Raises Unreachable and its kinds, UsageError."""
        self._client.check()
        if not self._masters:
            self._masters.append(self._opened())

    def _opened(self) -> Master:
        master = Master(self._client)
        master.open()
        return master

    def wire(self, command: str, bell: Bell) -> Wire:
        """A session that executes the command, on another connection if there is no other way."""
        if not isinstance(bell, PollBell):
            raise TypeError("a bell of this carrier's own is needed")
        refused = ""
        for master in self._masters:
            try:
                return self._session(master, command, bell)
            except SessionRefusedError as error:
                refused = str(error)
            except MasterGoneError as error:
                raise GoneError(str(error)) from error
        if refused and len(self._masters) < _MOST_CONNECTIONS:
            return self._elsewhere(command, bell)
        raise GoneError(refused or "the connection is closed")

    def _elsewhere(self, command: str, bell: PollBell) -> Wire:
        """The session on a connection of its own: MaxSessions of the host's sshd may be 1."""
        try:
            master = self._opened()
        except TastyopsError as error:
            raise GoneError(f"another connection was refused: {error.what}") from error
        self._masters.append(master)
        try:
            return self._session(master, command, bell)
        except SessionRefusedError as error:
            raise HostUnsuitable(
                f"{self.where}: its sshd refuses sessions ({error}): MaxSessions in its "
                "sshd_config must be 1 or more.",
                still_true="The connection itself was accepted. What runs there goes on.",
                next_step="Raise MaxSessions there and reload sshd.",
            ) from error
        except MasterGoneError as error:
            raise GoneError(str(error)) from error

    def _session(self, master: Master, command: str, bell: PollBell) -> _SessionWire:
        wire = _SessionWire(master.control(), command, bell, self._timing)
        self._wires.append(wire)
        return wire

    def need_two(self) -> None:
        """A second session is always to be had: on a connection of its own, if need be."""

    def close(self) -> None:
        """Ends the connections and their processes; never raises."""
        for wire in self._wires:
            wire.close()
        for master in self._masters:
            master.close()
        for bell in self._bells:
            bell.close()
        self._bells.clear()


class _SessionWire:
    """A session of a master. Implements ``ssh.wire.Wire``."""

    def __init__(self, control: Control, command: str, bell: PollBell, timing: Timing) -> None:
        self.noise = b""
        self._control, self._bell, self._timing = control, bell, timing
        self._status: int | None = None
        self._streams, theirs = socket.socketpair()
        self._errors, their_errors = os.pipe()
        self._open = True
        try:
            control.session(command, [theirs.fileno(), theirs.fileno(), their_errors])
        except BaseException:
            self._streams.close()
            os.close(self._errors)
            control.close()
            raise
        finally:
            theirs.close()
            os.close(their_errors)
        self._streams.setblocking(False)
        os.set_blocking(self._errors, False)
        bell.watch(self._streams.fileno())
        bell.watch(self._errors)

    def send(self, data: bytes) -> None:
        """Writes all of it, or finds that the host takes nothing any more."""
        left = memoryview(data)
        patience = self._timing.heart_limit
        while left:
            try:
                left = left[self._streams.send(left) :]
            except BlockingIOError:
                if not self._writable(patience):
                    raise GoneError(f"nothing was taken for {patience:g} s") from None
            except OSError as error:
                raise GoneError(error.strerror or str(error)) from error

    def _writable(self, seconds: float) -> bool:
        ready = select.poll()
        ready.register(self._streams, select.POLLOUT)
        until = monotonic() + seconds
        while (left := until - monotonic()) > 0:
            if ready.poll(1000 * left):
                return True
        return False

    def receive(self) -> bytes | None:
        """What has arrived."""
        self._hear()
        if not self._open:
            return b""
        try:
            data = self._streams.recv(READ_BYTES)
        except BlockingIOError:
            return None
        except OSError:
            data = b""
        if not data:
            self._open = False
            self._bell.ignore(self._streams.fileno())
        return data

    def _hear(self) -> None:
        """Keeps the last of its standard error."""
        while self._errors >= 0:
            try:
                data = os.read(self._errors, READ_BYTES)
            except BlockingIOError:
                return
            self.noise = (self.noise + data)[-NOISE_BYTES:]
            if not data:
                self._shut_errors()

    def _shut_errors(self) -> None:
        if self._errors >= 0:
            self._bell.ignore(self._errors)
            os.close(self._errors)
            self._errors = -1

    def status(self) -> int:
        """It comes after the end of the output."""
        if self._status is None:
            self._status = self._control.exit_status()
            self._hear()
        return self._status

    def expect(self, waiting: bool) -> None:
        """Bytes come by themselves."""

    def close(self) -> None:
        """Ends the session by ending its input and its output."""
        with contextlib.suppress(OSError, ValueError):
            self._bell.ignore(self._streams.fileno())
        self._shut_errors()
        self._streams.close()
        self._control.close()
