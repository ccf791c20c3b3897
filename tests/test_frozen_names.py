"""Names that stand in journals, on hosts and in logs. None may be renamed or removed.

A rename fails the test of its list. A new name is added to its list with the release that ships it.
"""

from __future__ import annotations

from typing import get_args, get_type_hints

import pytest
from msgspec.structs import fields

from tastyops import errors
from tastyops.app.registry import registry
from tastyops.errors import ExitCode
from tastyops.facts.parsers import PARSERS
from tastyops.journal import connection_events, events, public_events, state
from tastyops.journal.envelope import KINDS, VERSION
from tastyops.model.outcome import Outcome
from tastyops.plan import advance, at_risk, failure_policy, recovery
from tastyops.protocol import typed_command
from tastyops.protocol.framing import Fate
from tastyops.records.document import build

FROZEN_PARSERS = """
    arrays attached blkid_type block_devices boot_code boot_id boot_menu boot_side by_id clock
    core_image counted debconf device_signatures ext_size filesystems fstab holds image_build initrd
    integer json kernel kernel_complaints kernel_partition line lines lost_found mounts output
    package partition_table physical_volumes power power_off power_on power_policy process_numbers
    processes scheduled screen settings signatures sizes smart succeeded system_state units usage
    volume_groups volumes xfs_size
"""

FROZEN_ACTIONS = """
    ask boot boot.assemble boot.check bootloader.install confirm console.look console.run disk.detach
    disk.health disk.identify disk.image disk.partition disk.partition_like disk.rescan
    fs.bind_readonly fs.check fs.grow fs.lost_found fs.mount fs.remount fs.repair fs.repair_root
    fs.unmount fs.zero_log join kernel.install kernel.log_scan lvm.extend_group manual power.cycle
    power.off power.on power.policy power.status preflight raid.add raid.create raid.drop raid.record
    raid.resize_members raid.status raid.watch reboot run services.restart services.verify shutdown
    shutdown.cancel wall watch
"""

FROZEN_EVENTS = """
    run-opened step-started intended settled asked answered decided input-changed reported
    attempt-ended step-ended shutdown-executed work-started work-ended noted joined cancel-asked
    stop-asked resumed window-set window-began window-ended line-torn fell-silent called
    clock-stepped run-closed connected disconnected console-attached console-heard console-detached
"""

FROZEN_PUBLIC_EVENTS = """
    log-opened run-attached entry work-status attends closed risk-period summary-added retitled
    work-added corrected withdrawn private-kept imported
"""

FROZEN_ERRORS = {
    "usage": 2, "invalid-file": 2, "template-error": 2, "needs-person": 2, "waits-for-person": 5,
    "secret-unavailable": 2, "unreachable": 4, "host-key-unknown": 4, "host-key-changed": 4,
    "authentication-failed": 4, "nologin": 4, "link-lost": 4, "host-unsuitable": 4,
    "console-unreachable": 4, "no-console": 4, "power-unreachable": 4, "no-power": 4, "locked": 6,
    "same-machine": 6, "fenced": 6, "console-held": 6, "journal-unwritable": 1,
    "journal-damaged": 1, "records-disagree": 1, "backup-failed": 1, "lab-failed": 1,
}  # fmt: skip

FROZEN_OUTCOMES = [
    "done", "already", "skipped", "failed", "cancelled", "unreachable", "locked", "in doubt",
    "cannot know",
]  # fmt: skip

FROZEN_FIELDS = {
    "run-opened": "title runbook path plan hosts inputs attending log practice start_at tastyops "
    "answers account login",
    "step-started": "action params",
    "intended": "digest command fate boot_id record",
    "settled": "digest how result command why by",
    "asked": "digest question text by default choices",
    "answered": "value hands entry",
    "decided": "decision entry",
    "reported": "digest done entry note",
    "attempt-ended": "registered why delay",
    "step-ended": "outcome registered entry why unknown refused",
    "work-ended": "number status why",
    "resumed": "last_seq runbook plan tastyops",
    "window-set": "ends begins entry",
    "run-closed": "status exit_code why",
}
"""The fields that a fold reads from the events that decide how a run goes on."""


def missing(frozen: str, present: object) -> set[str]:
    return set(frozen.split()) - set(present)  # type: ignore[call-overload]


def test_parsers_keep_their_names() -> None:
    assert not missing(FROZEN_PARSERS, PARSERS)


def test_actions_keep_their_names() -> None:
    assert not missing(FROZEN_ACTIONS, registry())


def test_kinds_of_events_keep_their_names() -> None:
    assert not missing(FROZEN_EVENTS, KINDS)
    assert not missing(FROZEN_PUBLIC_EVENTS, public_events.KINDS)
    assert (VERSION, public_events.VERSION) == (1, 1)


def test_errors_keep_their_ids_and_exit_codes() -> None:
    classes = [cls for cls in vars(errors).values() if hasattr(cls, "exit_code")]
    present = {cls.id: int(cls.exit_code) for cls in classes}
    assert {name: present.get(name) for name in FROZEN_ERRORS} == FROZEN_ERRORS
    assert [int(code) for code in ExitCode] == [0, 1, 2, 3, 4, 5, 6]


def test_outcomes_keep_their_words() -> None:
    assert set(FROZEN_OUTCOMES) <= {outcome.value for outcome in Outcome}


def test_words_for_the_state_of_works_and_runs_stay() -> None:
    words = ("Completed", "Not completed", "Cancelled", "Not part of this run")
    assert words == (advance.COMPLETED, advance.NOT_COMPLETED, advance.CANCELLED, advance.NOT_PART)
    assert advance.ENDED_WITHOUT == "Ended without completion"
    assert words[:3] == (build.COMPLETED, build.NOT_COMPLETED, build.CANCELLED)
    assert build.ENDED_WITHOUT == advance.ENDED_WITHOUT


def test_words_of_decisions_and_typed_answers_stay() -> None:
    assert {"retry", "skip", "cancel-work", "abort"} <= set(failure_policy.CHOICES)
    assert (state.RETRY, state.BY_HAND, state.DONE) == ("retry", "by-hand", "done")
    assert at_risk.CHOICES == ("go-on", "cancel")
    assert recovery.UNDO_CHOICES == ["yes", "no"]
    typed = {"cannot tell", "not typed", "not known", "leave"}
    assert typed <= set(typed_command.WORDS)
    assert (events.TYPED, connection_events.HANDS) == ("typed", "hands")


def test_states_of_a_change_on_its_host_keep_their_names() -> None:
    states = get_args(get_type_hints(Fate)["state"])
    assert {"ended", "running", "lost", "never"} <= set(states)


@pytest.mark.parametrize("kind", FROZEN_FIELDS)
def test_fields_of_events_keep_their_names(kind: str) -> None:
    assert not missing(FROZEN_FIELDS[kind], [each.name for each in fields(KINDS[kind])])
