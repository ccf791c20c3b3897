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
)

BY_NAME = {verb.name: verb for verb in VERBS}
