"""``run``: a shell command."""

from __future__ import annotations

from dataclasses import dataclass

from tastyops.actions import action, param
from tastyops.errors import CannotKnow, Failed, Refused
from tastyops.model.action import Facts
from tastyops.model.commands import Change, Output, Probe, Steps, Unknown, unknown_step


@dataclass(frozen=True, kw_only=True)
class Run:
    """The parameters of ``run``."""

    command: str = param("shell", "The command, a line or a script of the shell")
    shell: str = param("text", "The shell that runs it", "sh")
    stdin: str = param("text", "Text for the command's standard input; default: none", "")


@action(
    "run",
    scalar="command",
    returns={
        "stdout": "private",
        "stderr": "private",
        "stdout_lines": "private",
        "rc": "count",
        "seconds": "duration",
        "truncated": "flag",
    },
)
def run(params: Run, facts: Facts) -> Steps:
    """Run a shell command; it counts as a change unless the step says ``reads: true``."""
    argv = (params.shell, "-c", params.command)
    if facts.reads and params.stdin:
        raise Refused("a step with `reads: true` has no standard input; remove `stdin`")
    if facts.reads:
        output: Output | Unknown = yield Probe(argv)
    else:
        output = yield Change(argv, stdin=params.stdin.encode())
    if isinstance(output, Unknown):
        raise CannotKnow(unknown_step(output))
    registered = {
        "stdout": output.excerpt.rstrip("\n"),
        "stderr": output.error_excerpt.rstrip("\n"),
        "stdout_lines": output.excerpt.splitlines(),
        "rc": output.status,
        "seconds": round(output.seconds, 3),
        "truncated": output.truncated,
    }
    if output.stopped:
        raise Failed("it was stopped", registered)
    if output.timed_out:
        raise Failed("the command ran into its timeout and was stopped", registered)
    if output.status != 0:
        raise Failed(f"it ended with {status_words(output.status)}", registered)
    return registered


def status_words(status: int) -> str:
    """An exit status in words; above 128 it may be a signal, and sh cannot tell which."""
    if 128 < status <= 192:
        return f"status {status} (or signal {status - 128})"
    return f"status {status}"
