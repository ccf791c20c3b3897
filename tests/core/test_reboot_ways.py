"""The ways a reboot can go that need an engine (docs/reboots.md)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tastyops.errors import AuthenticationFailed, HostKeyChanged, NoLogins, Unreachable
from tests.core.driving import Ran, drive, plan_of
from tests.core.fake import SOUND, START, Answer, FakeDialer, FakeHost, lost

LOGIND = "org.freedesktop.login1 /org/freedesktop/login1 org.freedesktop.login1.Manager"
SCHEDULED = f"busctl --json=short get-property {LOGIND} ScheduledShutdown"
DUE = (int(START.timestamp()) + 60) * 10**6
BOOT_ID = "cat /proc/sys/kernel/random/boot_id"
TEXT = """
title: T
hosts: web1
works: [{work: W, steps: [{reboot: {grace: 1m, patience: 5m}, force: no boot loader here}]}]
"""


def rebooted(tmp_path: Path, refusal: Unreachable, monkeypatch: pytest.MonkeyPatch) -> Ran:
    """A run whose host goes down and then refuses every session in that way."""
    gone = False
    session = FakeDialer.session

    def dial(dialer: FakeDialer, host: object, run: str) -> object:
        if gone:
            raise refusal
        return session(dialer, host, run)  # type: ignore[arg-type]

    def down() -> Answer:
        nonlocal gone
        gone = True
        return lost()

    monkeypatch.setattr(FakeDialer, "session", dial)
    answers: dict[str, Answer | list[Answer]] = {
        **SOUND,
        BOOT_ID: [SOUND[BOOT_ID], down],  # type: ignore[list-item]
        SCHEDULED: [
            (0, '{"type":"(st)","data":["",0]}'),
            (0, f'{{"type":"(st)","data":["reboot",{DUE}]}}'),
        ],
        f"busctl call {LOGIND} SetWallMessage sb The system goes down for a reboot. true": (0, ""),
        f"busctl call {LOGIND} ScheduleShutdown st reboot {DUE}": (0, ""),
    }
    return drive(plan_of(TEXT, "web1"), tmp_path, web1=FakeHost(answers))


def test_another_host_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = HostKeyChanged("web1 shows another key than the one on record.")
    ran = rebooted(tmp_path, changed, monkeypatch)
    assert ran.state.closed is not None
    assert ran.state.closed.exit_code == 4
    assert ran.transcript[-1] == "Step 1.1 (reboot) failed: the host could not be reached."
    ended = ran.bodies("step-ended")[-1]
    assert ended.why == "web1 shows another key than the one on record."


@pytest.mark.parametrize(
    ("refusal", "why"),
    [
        (NoLogins("no"), "it answers, but takes no logins (nologin)"),
        (AuthenticationFailed("no"), "it answers, but accepts none of our keys"),
        (Unreachable("no"), ""),
    ],
    ids=["nologin", "keys", "nothing"],
)
def test_it_is_not_back(
    refusal: Unreachable, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = rebooted(tmp_path, refusal, monkeypatch)
    assert ran.state.closed is not None
    assert ran.state.closed.exit_code == 1
    assert ran.transcript[-2:] == [
        "The machine did not come back: it has no console to look at.",
        "Step 1.1 (reboot) failed.",
    ]
    ended = ran.bodies("step-ended")[-1]
    assert ended.registered["reached"] == "not-back"
    assert ended.why.startswith("not back: the host is not back after 5m")
    assert why in ended.why
    assert sum(ran.clock.slept) < 600  # it does not wait without an end
