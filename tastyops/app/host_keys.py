"""Fetches the SSH keys of a host, and of the jump hosts on the way, and records them."""

from __future__ import annotations

from pathlib import Path

from tastyops.model.inventory import Host
from tastyops.transport.ssh import trust
from tastyops.transport.ssh.known_hosts import Offered
from tastyops.transport.ssh.session import SshDialer


class OfferedKey:
    """A key that a host offers, before or after it is recorded."""

    def __init__(self, offered: Offered) -> None:
        self._offered = offered
        self.name, self.port = offered.name, offered.port
        self.kind, self.fingerprint = offered.kind, offered.fingerprint
        self.jump = offered.jump
        """Whether the key belongs to a jump host, behind which there are further keys."""
        self.recorded = offered.recorded
        self.file: Path = offered.file
        """Where the key is recorded."""

    def record(self) -> None:
        """Adds the key to its known_hosts file. Raises HostKeyChanged, UsageError."""
        trust.record(self._offered)


def offered_key(host: Host) -> OfferedKey:
    """The key of the host, or of the first jump host on the way whose key is not recorded.

    Raises Unreachable, HostKeyChanged, UsageError.
    """
    return OfferedKey(SshDialer().trusted(host))
