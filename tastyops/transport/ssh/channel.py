"""A channel with our shell at its other end: opening the shell, and one request at a time.

Nothing here waits, except for the channel itself: bytes are taken as they come and whoever owns
the bell waits for both channels of a connection at once.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from tastyops.errors import HostUnsuitable, NoLogins, TastyopsError
from tastyops.ports import Sink
from tastyops.protocol.framing import (
    GREETING,
    AnswerReader,
    Hello,
    bootstrap,
    opening,
    parse_hello,
    request,
)
from tastyops.transport.ssh.timing import GREETING_NOISE
from tastyops.transport.ssh.wire import NOISE_BYTES, Bell, Carrier, GoneError

_NOLOGIN_STATUS = 254
"""What sshd's session exits with when /etc/nologin forbids it (OpenSSH session.c, do_nologin)."""


class Nowhere:
    """A sink that drops everything."""

    def out(self, data: bytes) -> None:
        """Dropped."""

    def err(self, data: bytes) -> None:
        """Dropped."""


class Collector:
    """A sink that keeps both streams in memory, for short answers."""

    def __init__(self) -> None:
        self.stdout = b""
        self.stderr = b""

    def out(self, data: bytes) -> None:
        """Kept."""
        self.stdout += data

    def err(self, data: bytes) -> None:
        """Kept."""
        self.stderr += data


class Exchange:
    """A request and its answer. ``status`` is None until the answer is complete."""

    def __init__(self, verb: str, words: Sequence[str], sink: Sink) -> None:
        # A letter first: printf reads digits after \0 as octal.
        nonce = "n" + secrets.token_hex(8)
        self.line = request(verb, nonce, words)
        self.status: str | None = None
        self.bytes = 0
        self._reader = AnswerReader(nonce)
        self._sink = sink

    def feed(self, data: bytes) -> None:
        """Takes received bytes; sets ``status`` at the end of the answer."""
        self.bytes += len(data)
        for stream, piece in self._reader.feed(data):
            if stream == "out":
                self._sink.out(piece)
            elif stream == "err":
                self._sink.err(piece)
            else:
                self.status = piece.decode("ascii", "replace")


class Shell:
    """Our shell on one channel. ``hello`` is None until it has greeted us.

    Raises TastyopsError of a fitting kind when no shell can be had (HostUnsuitable and others),
    GoneError when it is gone later.
    """

    def __init__(self, carrier: Carrier, bell: Bell, run: str) -> None:
        self.hello: Hello | None = None
        self.asked = 0
        """Requests with the verbs p and P so far; the host numbers their files by this count."""
        self.has_password = False
        self._carrier = carrier
        self._where = carrier.where
        self._run = run
        self._nonce = "n" + secrets.token_hex(8)
        self._greeted = False
        self._early = b""
        self._exchange: Exchange | None = None
        self._wire = carrier.wire(opening(self._nonce), bell)
        self._wire.expect(True)

    @property
    def busy(self) -> bool:
        """Whether a request has not been answered yet."""
        return self._exchange is not None

    def begin(self, verb: str, words: Sequence[str], sink: Sink) -> Exchange:
        """Sends a request that has an answer. The previous request must have been answered."""
        exchange = Exchange(verb, words, sink)
        self.asked += verb in ("p", "P")
        self._exchange = exchange
        self._wire.expect(True)
        self._wire.send(exchange.line)
        return exchange

    def tell(self, verb: str, *words: str) -> None:
        """Sends a request that has no answer."""
        self._wire.send(request(verb, "n0", words))

    def pump(self) -> bool:
        """Takes what has arrived; False if nothing has."""
        data = self._wire.receive()
        if data is None:
            return False
        if not data:
            self._ended()
        if self.hello is None:
            self._welcome(data)
        elif self._exchange is not None:
            self._exchange.feed(data)
            if self._exchange.status is not None:
                self._exchange = None
                self._wire.expect(False)
        return True

    def _ended(self) -> None:
        if self.hello is not None:
            raise GoneError("the shell on the host ended")
        status = self._wire.status()
        if status == -1 and not self._carrier.active:
            raise GoneError("the connection was closed while the shell started")
        text = (self._wire.noise + self._early[-NOISE_BYTES:]).decode("utf-8", "replace").strip()
        if status == _NOLOGIN_STATUS and text:
            raise no_logins(self._where, text)
        raise self.unsuitable(f"its login shell ended with status {status}")

    def _welcome(self, data: bytes) -> None:
        """The login shell's noise, our greeting in it, then our script's own."""
        self._early += data
        if len(self._early) > GREETING_NOISE:
            raise self.unsuitable(f"its login shell printed more than {GREETING_NOISE} bytes")
        if not self._greeted:
            _, found, rest = self._early.partition(f"{GREETING} {self._nonce}\n".encode())
            if not found:
                return
            self._greeted = True
            self._early = rest
            self._wire.send(bootstrap(self._run, self._nonce).encode())
        _, found, line = self._early.partition(f"\0{self._nonce} ".encode())
        if not found or not line.endswith(b"\n"):
            return
        self.hello = self._parsed(line.decode("utf-8", "replace").rstrip("\n"))
        self._early = b""
        self._wire.expect(False)

    def _parsed(self, status: str) -> Hello:
        try:
            hello = parse_hello(status)
        except (ValueError, KeyError) as error:
            raise self.unsuitable(f"its shell answered {status[:100]!r}") from error
        if hello.problem == "no_room":
            raise self.unsuitable(f"there is no private, writable directory {hello.directory}")
        if hello.problem:
            program = hello.problem.removeprefix("no_")
            raise self.unsuitable(f"the program {program} is missing there")
        return hello

    def unsuitable(self, why: str) -> TastyopsError:
        """The error for a host that answers but cannot run a session."""
        text = (self._early + self._wire.noise).decode("utf-8", "replace").split()
        said = f" It printed: {' '.join(text)[-300:]}" if text else ""
        return HostUnsuitable(
            f"{self._where} cannot hold a session: {why}.{said}",
            still_true="No command was run there.",
            next_step="Log in by hand: the account needs a POSIX sh, setsid, base64 and a tail, "
            "and room in /run, $XDG_RUNTIME_DIR or /dev/shm.",
        )

    def close(self) -> None:
        """Ends the shell by ending its input; never raises."""
        self._wire.close()


def no_logins(where: str, said: str) -> NoLogins:
    """sshd refuses logins for now (nologin(5), pam_nologin): it starts, stops, or was told to."""
    return NoLogins(
        f"{where} accepts no logins now: {' '.join(said.split())}",
        still_true="It is up; nothing was run on it.",
        next_step="Wait until it has started, or remove /etc/nologin there.",
    )
