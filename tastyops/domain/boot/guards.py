"""What a reboot or a shutdown is refused for."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from tastyops.domain.boot.next_start import guard_start
from tastyops.domain.boot.preflight import confirm_findings
from tastyops.domain.boot.schedule import describe_foreign
from tastyops.domain.boot.snapshot import BootSnapshot
from tastyops.errors import Refused
from tastyops.facts.system import SCHEDULED, Scheduled
from tastyops.model.action import Facts
from tastyops.model.commands import Command, Probe, Unknown


def guard(
    before: BootSnapshot,
    facts: Facts,
    *,
    kernel: str | Unknown | None,
    fallback: bool,
    chosen: bool = False,
    words: bool = False,
) -> Generator[Command, Any, str]:
    """Refuses what would hurt: the wrong machine, our own, a shutdown already set, and what
    ``guard_start`` refuses. Gives the kernel there is to fall back on, empty where none is known.

    ``force:`` overrules the machine's name and the latter, never the other two.
    """
    yield from guard_host(before.boot_id, before.hostname, facts)
    other, found = yield from guard_start(
        before.kernel.release, facts, kernel=kernel, fallback=fallback, chosen=chosen,
        words=words,
    )  # fmt: skip
    yield from confirm_findings(facts, found)
    return other


def guard_host(boot_id: str, hostname: str, facts: Facts) -> Generator[Command, Any, None]:
    """Refuses the wrong machine, our own, and one with a shutdown already set."""
    if boot_id == facts.controller:
        raise Refused("the host is the machine that tastyops itself runs on")
    _guard_name(hostname, facts)
    already: Scheduled | None = yield Probe(*SCHEDULED)
    if already is not None:
        raise Refused(describe_foreign(already, facts))


def _guard_name(hostname: str, facts: Facts) -> None:
    """The host's own name against the inventory's: what molly-guard asks, answered beforehand."""
    if facts.force:
        return
    known = {facts.host, facts.address, str(facts.names.get("hostname", ""))}
    if hostname.partition(".")[0] not in {name.partition(".")[0] for name in known if name}:
        raise Refused(
            f"the host calls itself {hostname}, the inventory calls it {facts.host}"
            " (if that is right, give the host `vars: {hostname: …}`)"
        )
