"""A shell on a host for the operator, from the failure menu: the system's own ssh."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable

from tastyops.journal.events import Body
from tastyops.model.inventory import Host
from tastyops.plan.plan import Plan
from tastyops.records.notes import new_note

Hand = Callable[[Body], None]
"""Hands an event to the run."""


def open_shell(plan: Plan, name: str, hand: Hand) -> str:
    """Opens it and waits until it is left; gives what was in the way, or nothing.

    That one was opened stands in the run's journal, what was typed there does not.
    """
    host = plan.host(name)
    if host is None:
        return f"There is no host {name}."
    words = ssh_words(host)
    if words is None:
        return "There is no ssh on this machine (package openssh-client)."
    hand(new_note(f"A shell was opened on {name}.", public=False))
    ended = subprocess.run(words, check=False).returncode
    hand(new_note(f"The shell on {name} was left (status {ended}).", public=False))
    return f"ssh ended with {ended}; it could not connect." if ended == _SSH_FAILED else ""


_SSH_FAILED = 255


def ssh_words(host: Host) -> list[str] | None:
    """The command line of ssh that reaches the host as tastyops does."""
    ssh = shutil.which("ssh")
    if ssh is None:
        return None
    words = [ssh, "-o", "StrictHostKeyChecking=yes"]
    options = (
        ("-p", host.port), ("-l", host.user), ("-i", host.identity_file),
    )  # fmt: skip
    words += [str(word) for option, value in options if value for word in (option, value)]
    if host.known_hosts:
        words += ["-o", f"UserKnownHostsFile={host.known_hosts}"]
    return [*words, "--", host.address or host.name]
