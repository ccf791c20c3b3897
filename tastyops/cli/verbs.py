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
    Verb("resume", "Go on with a run whose controller ended", "resume"),
    Verb("cancel", "Cancel a run, also one whose controller ended", "cancel"),
    Verb("status", "Show the runs that are under way or unfinished", "status"),
    Verb("answer", "Answer a question of a run from another terminal", "answer"),
    Verb("attend", "Join a run that is under way and read along", "attend"),
    Verb("check", "Check a runbook, or every runbook in a folder", "check"),
    Verb("list", "List the runbooks and the runs", "listing"),
    Verb("show", "Show a run's or a log's record", "show"),
    Verb("verify", "Verify that a run's journal is as it was written", "verify"),
    Verb("hosts", "List the inventory's hosts and groups", "hosts"),
    Verb("trust", "Show a host's key and, if you say so, trust it", "trust"),
    Verb("console", "Join a host's console, whether the host is up or not", "console"),
    Verb("note", "Add a remark to a live or a finished run", "note"),
    Verb("incident", "Open a log before there is any run", "incident"),
    Verb("summary", "Add a sentence to the head of a log", "summary"),
    Verb("retitle", "Give a log another title", "retitle"),
    Verb("work", "Add, complete or cancel a work of a log", "work"),
    Verb("correct", "Have an entry of a log read otherwise", "correct"),
    Verb("withdraw", "Take an entry off a log's page", "withdraw"),
    Verb("warnings", "Sort monitoring warnings into a log", "warnings"),
    Verb("close", "Close an incident, or a log whose runs are over", "close"),
    Verb("schema", "Print the JSON Schema of runbooks, for editors", "schema"),
    Verb("lab.build", "Build the lab machine, unless it is in the cache", "lab.build"),
    Verb("lab.up", "Start the lab machine, or find the one that runs", "lab.up"),
    Verb("lab.down", "End the lab machine and all that belongs to it", "lab.down"),
    Verb("lab.reset", "Give the lab machine back as it was when it was built", "lab.reset"),
    Verb("lab.status", "Show what of the lab runs and where it listens", "lab.status"),
    Verb("lab.ssh", "Open a shell on the lab machine, or run a command there", "lab.ssh"),
    Verb("lab.console", "Join the lab machine's serial console", "lab.console"),
    Verb("lab.break", "Break the lab machine in one of several ways", "lab.breaking"),
    Verb("lab.disk", "Pull a disk of the lab machine, put one in, boot from one", "lab.disk"),
    Verb("prune", "Remove the private records of runs that ended long ago", "prune"),
    Verb("backup", "Write all logs and runs into one private archive", "backup"),
)

BY_NAME = {verb.name: verb for verb in VERBS}
