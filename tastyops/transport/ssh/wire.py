"""Protocols between a link and its transport: a carrier, and one wire for each shell.

The seam between the client of ``tastyops.protocol`` and the way to the host: over SSH here,
over a root shell on the host's console in ``tastyops.transport.console.carrier``.
"""

from __future__ import annotations

import threading
from typing import Protocol

READ_BYTES = 1 << 18

NOISE_BYTES = 4096
"""The last bytes of a shell's standard error that a wire keeps."""


class GoneError(Exception):
    """The channel or the whole connection is gone."""


class Bell(threading.Event):
    """An event that is set when any of its channels has new data, and by ``stop``.

    paramiko clears the event whenever *one* buffer is empty; only its owner may silence it.
    """

    def clear(self) -> None:
        """Does nothing: paramiko calls this when a single buffer is empty."""

    def silence(self) -> None:
        """Clears the event. To be called before reading, so that data arriving later sets it."""
        super().clear()


class Wire(Protocol):
    """The standard streams of one shell on the host."""

    noise: bytes
    """The last bytes of standard error, where a login shell complains."""

    def send(self, data: bytes) -> None:
        """Writes to its standard input. Raises GoneError."""

    def receive(self) -> bytes | None:
        """What has arrived of its output: None for nothing yet, b"" once it is over.

        Raises GoneError.
        """

    def status(self) -> int:
        """The shell's exit status after the end of its output; -1 if unknown."""

    def expect(self, waiting: bool) -> None:
        """Says whether an answer is due. A wire that polls does so only then."""

    def close(self) -> None:
        """Ends the shell by ending its input; never raises."""


class Carrier(Protocol):
    """A connection to one host that carries several shells at a time."""

    @property
    def where(self) -> str:
        """The far end as messages name it."""

    @property
    def active(self) -> bool:
        """Whether the connection still stands."""

    def bell(self) -> Bell:
        """A new bell for the wires of this carrier."""

    def open(self) -> None:
        """Connects. Raises Unreachable and its kinds, and leaves nothing open then."""

    def wire(self, command: str, bell: Bell) -> Wire:
        """Starts a shell command; ``bell`` rings when something arrives from it. Raises GoneError
        and HostUnsuitable.
        """

    def need_two(self) -> None:
        """Raises HostUnsuitable unless a second shell can run beside the first."""

    def close(self) -> None:
        """Closes the connection and all its shells; never raises."""
