"""All verbs, and the module of each. Imports nothing heavy: ``invoke --list`` reads this."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from types import ModuleType


@dataclass(frozen=True, slots=True)
class Verb:
    """A verb: its name, one line of help, and its module under ``tastyops.cli``."""

    name: str
    help: str
    module: str


VERBS = (
    Verb("run", "Run a runbook and write its log", "run"),
    Verb("resume", "Resume a run whose controller ended", "resume"),
    Verb("cancel", "Cancel a run or a scheduled shutdown", "cancel"),
    Verb("status", "Show running and unfinished runs", "status"),
    Verb("answer", "Answer a question of a run from another terminal", "answer"),
    Verb("attend", "Attend a run and follow its output", "attend"),
    Verb("check", "Check a runbook, or every runbook in a folder", "check"),
    Verb("list", "List the runbooks and the runs", "listing"),
    Verb("show", "Show a run's or a log's record", "show"),
    Verb("verify", "Verify that a record is unchanged", "verify"),
    Verb("hosts", "List the inventory's hosts and groups", "hosts"),
    Verb("ping", "Open a session with hosts, and show how they are reached", "ping"),
    Verb("trust", "Show a host's SSH key and trust it if you agree", "trust"),
    Verb("console", "Attach to a host's console, even while the host is down", "console"),
    Verb("note", "Add a remark to a running or finished run", "note"),
    Verb("incident", "Open a log without a run", "incident"),
    Verb("summary", "Add a sentence to the head of a log", "summary"),
    Verb("retitle", "Change the title of a log", "retitle"),
    Verb("work", "Add, complete or cancel a work item of a log", "work"),
    Verb("correct", "Correct an entry of a log", "correct"),
    Verb("withdraw", "Withdraw an entry from a log's page", "withdraw"),
    Verb("warnings", "Add monitoring warnings to a log", "warnings"),
    Verb("close", "Close an incident or a finished log", "close"),
    Verb("schema", "Print the JSON Schema of runbooks, for editors", "schema"),
    Verb("lab.build", "Build the lab machine if it is not cached", "lab.build"),
    Verb("lab.up", "Start the lab machine, if it is not running", "lab.up"),
    Verb("lab.down", "Stop the lab machine and its processes", "lab.down"),
    Verb("lab.reset", "Reset the lab machine to its newly built state", "lab.reset"),
    Verb("lab.status", "Show the lab's processes and ports", "lab.status"),
    Verb("lab.ssh", "Open a shell on the lab machine, or run a command there", "lab.ssh"),
    Verb("lab.console", "Attach to the lab machine's serial console", "lab.console"),
    Verb("lab.break", "Break the lab machine in one of several ways", "lab.breaking"),
    Verb("lab.disk", "Pull, insert or boot from a disk of the lab machine", "lab.disk"),
    Verb("prune", "Remove private records of old runs", "prune"),
    Verb("import-log", "Import old logs from a text, after a review", "import_log"),
    Verb("publish", "Make or update the public site from the logs", "publish"),
    Verb("backup", "Write all logs and runs into one private archive", "backup"),
)

BY_NAME = {verb.name: verb for verb in VERBS}

FORMS = {"check --host": "check_host"}
"""Forms of a verb that need far more of the program than the verb itself: a module of their own."""


def module_of(name: str) -> ModuleType:
    """The module of a verb or of one of its forms, imported now."""
    file = FORMS[name] if name in FORMS else BY_NAME[name].module
    return importlib.import_module(f"tastyops.cli.{file}")
