"""``preflight``: everything a reboot depends on, looked at beforehand."""

from __future__ import annotations

from dataclasses import dataclass

from tastyops.actions import action, param
from tastyops.domain.boot.preflight import preflight as look
from tastyops.errors import Failed
from tastyops.model.action import DONE, Facts, Registered
from tastyops.model.commands import Report, Steps


@dataclass(frozen=True, kw_only=True)
class Preflight:
    """The parameters of ``preflight``."""

    backup: str | None = param(
        "text",
        "A file whose age is the last backup's; default: `backup_stamp` of the host's vars",
        None,
    )


def _ending(registered: Registered) -> str:
    """Whether all of it could be judged."""
    return "not-known" if registered.get("unknown") else DONE


@action(
    "preflight",
    returns={"failed": "count", "unknown": "count", "findings": "private"},
    sentence="Console, power switch, boot loader, kernels, arrays and clock checked.",
    endings={
        "not-known": "Console, power switch, boot loader, kernels, arrays and clock checked;"
        " {{ unknown }} of these cannot be judged."
    },
    ending=_ending,
)
def preflight(params: Preflight, facts: Facts) -> Steps:
    """Check everything a reboot depends on: console, power, disks, kernels, arrays, clock, backup.

    Nothing is changed. It fails if any of them failed; what is not known is only said.
    """
    stamp = params.backup or str(facts.names.get("backup_stamp") or "")
    lines = yield from look(facts, stamp)
    for line in lines:
        yield Report(note=str(line))
    failed = [line for line in lines if line.state == "failed"]
    registered = {
        "failed": len(failed),
        "unknown": sum(line.state == "not known" for line in lines),
        "findings": [str(line) for line in lines],
    }
    if failed:
        raise Failed("; ".join(f"{line.subject}: {line.detail}" for line in failed), registered)
    return registered
