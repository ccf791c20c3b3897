"""``kernel.log_scan``: has the kernel complained since it was booted?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tastyops.actions import action, param
from tastyops.errors import Failed
from tastyops.facts.kernel_log import KERNEL_LOG, KINDS, Complaints
from tastyops.model.action import Facts
from tastyops.model.commands import Probe, Steps


@dataclass(frozen=True, kw_only=True)
class KernelLogScan:
    """The parameters of ``kernel.log_scan``."""

    none_of: Sequence[str] = param("list", "Fail the step if one of these kinds is found", ())


@action(
    "kernel.log_scan",
    scalar="none_of",
    returns={
        "total": "count",
        "kinds": "word",
        "devices": "device",
        **dict.fromkeys(KINDS, "count"),
        "messages": "private",
    },
    sentence="Kernel log since boot: {{ total ~ ' message(s) of ' ~ (kinds | join(', '))"
    " if total else 'no errors' }}.",
)
def kernel_log_scan(params: KernelLogScan, facts: Facts) -> Steps:
    """Look for BUGs, Oopses, I/O errors, failing members and corruption in the kernel's log."""
    unknown = sorted(set(params.none_of) - set(KINDS))
    if unknown:
        raise Failed(f"there is no kind {unknown[0]}; kinds: {', '.join(KINDS)}")
    found: Complaints = yield Probe(*KERNEL_LOG, sudo=True)
    registered = {
        "total": sum(found.counts.values()),
        "kinds": [kind for kind in KINDS if kind in found.counts],
        "devices": list(found.devices),
        **{kind: found.counts.get(kind, 0) for kind in KINDS},
        "messages": list(found.messages),
    }
    met = [kind for kind in params.none_of if kind in found.counts]
    if met:
        raise Failed(f"the kernel has reported since boot: {', '.join(met)}", registered)
    return registered
