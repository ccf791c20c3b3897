"""What ``ssh -G`` says: how ``ssh`` itself reads its files for a host. Touches no host.

A ``Match exec`` of the user's runs its command, as it does when ``ssh`` connects.
"""

from __future__ import annotations

import subprocess

from tastyops.errors import UsageError
from tastyops.transport.openssh.client import Client, workspace

_SECONDS = 60.0


def resolved(client: Client) -> dict[str, str]:
    """Each keyword with its value, the first of each. Raises UsageError."""
    words = client.words("-G")
    try:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS, check=False,
            start_new_session=True,
        )  # fmt: skip
        said = done.stderr
    except subprocess.TimeoutExpired:
        done, said = None, b"it did not end (a Match exec may hang)"
    if done is None or done.returncode:
        text = " ".join(workspace().originals_in(said.decode("utf-8", "replace")).split())
        raise UsageError(
            f"ssh does not take its configuration for {client.host.name}: {text[-500:]}",
            still_true="No host was touched.",
            next_step="Correct the line; `ssh -G HOST` shows what ssh makes of it.",
        )
    values: dict[str, str] = {}
    for line in done.stdout.decode("utf-8", "replace").splitlines():
        keyword, _, value = line.partition(" ")
        values.setdefault(keyword, value)
    return values


def way(client: Client) -> str:
    """Who logs in where, and by which way. Raises UsageError."""
    client.check()
    found = resolved(client)
    place = f"{found['user']}@{found['hostname']} port {found['port']}"
    if found.get("proxyjump", "none") != "none":
        return f"{place}, through {found['proxyjump']}"
    return place + (", by a ProxyCommand" if found.get("proxycommand", "none") != "none" else "")
