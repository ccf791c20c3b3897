"""The whole program as one list of verbs. Imports nothing heavy: ``invoke --list`` reads this."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Verb:
    """A verb: its name, one line of help, and the module under ``tastyops.cli`` that does it."""

    name: str
    help: str
    module: str


VERBS = (
    Verb("run", "Carry out a runbook and write its log", "run"),
    Verb("check", "Check a runbook, or every runbook in a folder", "check"),
    Verb("list", "List the runbooks and the runs", "listing"),
    Verb("show", "Show a run's or a log's record", "show"),
    Verb("verify", "Verify that a run's journal is as it was written", "verify"),
    Verb("hosts", "List the inventory's hosts and groups", "hosts"),
    Verb("trust", "Show a host's key and, if you say so, trust it", "trust"),
    Verb("lab.build", "Build the lab machine, unless it is in the cache", "lab.build"),
    Verb("lab.up", "Start the lab machine, or find the one that runs", "lab.up"),
    Verb("lab.down", "End the lab machine and all that belongs to it", "lab.down"),
    Verb("lab.reset", "Give the lab machine back as it was when it was built", "lab.reset"),
    Verb("lab.status", "Show what of the lab runs and where it listens", "lab.status"),
    Verb("lab.ssh", "Open a shell on the lab machine, or run a command there", "lab.ssh"),
    Verb("lab.console", "Join the lab machine's serial console", "lab.console"),
    Verb("lab.break", "Break the lab machine in one of several ways", "lab.breaking"),
    Verb("prune", "Remove the private records of runs that ended long ago", "prune"),
    Verb("backup", "Write all logs and runs into one private archive", "backup"),
)

BY_NAME = {verb.name: verb for verb in VERBS}
