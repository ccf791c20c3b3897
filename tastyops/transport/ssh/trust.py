"""Showing and recording a host's key. Nothing is asked here; the command line does that."""

from __future__ import annotations

from tastyops.model.inventory import Host
from tastyops.transport.ssh import known_hosts
from tastyops.transport.ssh.connect import PinnedConnection, connection
from tastyops.transport.ssh.known_hosts import Offered
from tastyops.transport.ssh.ssh_config import Configuration
from tastyops.transport.ssh.timing import Timing


def fetch(host: Host, configuration: Configuration, timing: Timing | None = None) -> Offered:
    """The key of the host, or of the first jump host on the way whose key is not on record.

    Nobody is authenticated to a host whose key is not on record. Raises Unreachable,
    HostKeyChanged for a key that contradicts the record, UsageError.
    """
    target = connection(host, configuration, timing or Timing())
    try:
        for hop in target.chain():
            offered = _offered(hop)
            if hop is target or not offered.recorded:
                return offered
    finally:
        target.close()
    return offered


def _offered(hop: PinnedConnection) -> Offered:
    shown = hop.offered_key()
    # Closed again: the next hop opens it in earnest, with its key checked.
    hop.close()
    key = known_hosts.HostKey(shown.get_name(), shown.asbytes())
    verdict = known_hosts.judge(hop.recorded_keys(), hop.key_name, hop.key_port, key)
    if verdict.state in ("changed", "revoked"):
        name = known_hosts.written_name(hop.key_name, hop.key_port)
        raise known_hosts.changed(name, key, verdict)
    return Offered(
        hop.key_name,
        hop.key_port,
        key,
        hop.jumping,
        verdict.state == "known",
        hop.known_hosts_files()[0],
    )


def record(offered: Offered) -> bool:
    """Adds the key to its known_hosts file. False if it was there already.

    Raises HostKeyChanged when another key of that type is on record, UsageError.
    """
    return known_hosts.add(offered.file, offered.name, offered.port, offered.key)
