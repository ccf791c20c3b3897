"""A Fabric connection as the carrier of a link's shells: one SSH channel for each."""

from __future__ import annotations

from paramiko import Channel, ChannelException, Message, SSHException, Transport
from paramiko.common import cMSG_CHANNEL_REQUEST

from tastyops.errors import HostUnsuitable
from tastyops.transport.ssh.connect import PinnedConnection
from tastyops.transport.ssh.timing import Timing
from tastyops.transport.ssh.wire import NOISE_BYTES, READ_BYTES, Bell, GoneError


class SshCarrier:
    """An SSH connection. Implements ``Carrier``."""

    def __init__(self, connection: PinnedConnection, timing: Timing) -> None:
        self._connection, self._timing = connection, timing
        self.where = connection.where

    @property
    def active(self) -> bool:
        """Whether the connection still stands."""
        transport = self._connection.transport
        return transport is not None and bool(transport.is_active())

    def bell(self) -> Bell:
        """A bell; paramiko's thread sets it as an ordinary event."""
        return Bell()

    def open(self) -> None:
        """Connects and authenticates."""
        self._connection.open()

    def wire(self, command: str, bell: Bell) -> SshWire:
        """A session channel that executes the command."""
        return SshWire(self._connection.transport, self.where, command, bell, self._timing)

    def need_two(self) -> None:
        """Raises HostUnsuitable unless sshd allows a session more than the one that is open.

        The second is wanted only when a command takes long. Without it that command could neither
        be watched nor ended, so that is found out before the first one is sent.
        """
        _opened(self._connection.transport, self.where, self._timing).close()

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()


def _opened(transport: Transport, where: str, timing: Timing) -> Channel:
    try:
        return transport.open_session(timeout=timing.connect)
    except ChannelException as error:
        raise HostUnsuitable(
            f"{where}: its sshd refused one of the two sessions tastyops needs on a connection "
            f"({error.text}): MaxSessions in its sshd_config must be 2 or more.",
            still_true="The connection itself was accepted. What runs there goes on.",
            next_step="Raise MaxSessions there and reload sshd.",
        ) from error
    except (SSHException, EOFError, OSError) as error:
        raise GoneError(str(error)) from error


class SshWire:
    """A session channel. Implements ``Wire``."""

    def __init__(
        self, transport: Transport, where: str, command: str, bell: Bell, timing: Timing
    ) -> None:
        self.noise = b""
        self._timing = timing
        self._channel = _opened(transport, where, timing)
        self._channel.settimeout(0.0)
        self._channel.in_buffer.set_event(bell)
        self._channel.in_stderr_buffer.set_event(bell)
        self._execute(transport, command)

    def _execute(self, transport: Transport, command: str) -> None:
        """``Channel.exec_command`` without its wait, which has no limit: a refusal closes the
        channel, and the greeting has a limit of its own.
        """
        message = Message()
        message.add_byte(cMSG_CHANNEL_REQUEST)
        message.add_int(self._channel.remote_chanid)
        message.add_string("exec")
        message.add_boolean(True)
        message.add_string(command)
        transport._send_user_message(message)  # type: ignore[attr-defined]

    def send(self, data: bytes) -> None:
        """Writes all of it, or finds that the host takes nothing any more."""
        channel = self._channel
        channel.settimeout(self._timing.heart_limit)
        try:
            channel.sendall(data)
        except (OSError, EOFError, SSHException) as error:
            raise GoneError(str(error) or type(error).__name__) from error
        finally:
            channel.settimeout(0.0)

    def receive(self) -> bytes | None:
        """What has arrived."""
        channel = self._channel
        while channel.recv_stderr_ready():
            self.noise = (self.noise + channel.recv_stderr(READ_BYTES))[-NOISE_BYTES:]
        try:
            return channel.recv(READ_BYTES)
        except TimeoutError:
            return None

    def status(self) -> int:
        """It comes after the end of the output."""
        self._channel.status_event.wait(1)
        return self._channel.exit_status

    def expect(self, waiting: bool) -> None:
        """Bytes come by themselves."""

    def close(self) -> None:
        """Closes the channel."""
        try:
            self._channel.close()
        except (OSError, EOFError, SSHException):
            return
