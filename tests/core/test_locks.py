"""One run per host: a run whose host is held by another, at first or later."""

from __future__ import annotations

from pathlib import Path

import pytest

from tastyops.engine.host_hold import Claim, Hold
from tastyops.errors import Fenced, Locked, SameMachine
from tastyops.protocol.framing import Fate
from tastyops.protocol.host_lock import Holder
from tests.core.driving import drive, plan_of
from tests.core.fake import FakeHost, FakeSession, lost

ONE = "{title: T, hosts: web1, works: [{work: W, steps: [{run: one}, {run: two}]}, {work: X, steps: [{run: three}]}]}"
OTHER = Holder("r0", 3, "web1", "ncm", "elsewhere", "6b0a", 4711, "99", "2026-02-11T12:00:00Z")


def answers(*commands: str) -> FakeHost:
    return FakeHost(dict.fromkeys(commands, (0, "")))


def test_a_run_holds_its_host_and_lets_go_of_it(tmp_path: Path) -> None:
    host = answers("two", "three")
    held: list[Holder | None] = []
    host.answers["one"] = lambda: (held.append(host.lock), (0, ""))[1]
    ran = drive(plan_of(ONE, "web1"), tmp_path, web1=host)
    (holder,) = held
    assert holder is not None
    assert (holder.run, holder.epoch, holder.name, holder.who) == ("r1", 1, "web1", "dwm")
    assert holder.pid > 0
    assert host.lock is None
    assert ran.bodies("connected")[0].epoch == 1
    assert ran.bodies("connected")[0].took_over == ""


def test_a_host_another_run_holds_ends_the_run_with_6(tmp_path: Path) -> None:
    host = answers()
    host.lock = OTHER
    ran = drive(plan_of(ONE, "web1"), tmp_path, web1=host)
    assert ran.state.closed is not None
    assert ran.state.closed.exit_code == 6
    assert (host.sent, host.probed) == ([], [])
    assert host.lock == OTHER
    (ended,) = ran.bodies("step-ended")
    assert ended.outcome == "locked"
    for said in ("r0", "ncm", "elsewhere", "4711", "2026-02-11T12:00:00Z", "--take-over"):
        assert said in ended.why
    assert ran.transcript == ["Step 1.1 (run) was not done: another run holds the host."]
    assert "r0" not in ran.log.page.read_text()
    assert ran.works[1] == "(Cancelled: step 1.1 (run) found the host in use by another run)"


def test_a_person_may_take_it_over_and_that_is_journalled(tmp_path: Path) -> None:
    host = answers("one", "two", "three")
    host.lock = OTHER
    ran = drive(plan_of(ONE, "web1"), tmp_path, take_over=True, web1=host)
    assert ran.state.closed is not None
    assert ran.state.closed.exit_code == 0
    assert "run r0 (epoch 3, as web1) of ncm" in ran.bodies("connected")[0].took_over


def test_a_run_whose_host_is_taken_over_does_nothing_more_there(tmp_path: Path) -> None:
    host = answers("two", "three")

    def taken() -> tuple[int, str]:
        host.lock = OTHER
        return 0, ""

    host.answers["one"] = taken
    ran = drive(plan_of(ONE, "web1"), tmp_path, web1=host)
    assert host.sent == ["one"]
    assert ran.state.closed is not None
    assert ran.state.closed.exit_code == 6
    assert [body.outcome for body in ran.bodies("step-ended")] == ["done", "locked"]
    assert host.lock == OTHER, "what is another's stays"


def test_after_its_own_reboot_a_run_takes_the_lock_again(tmp_path: Path) -> None:
    text = "{title: T, hosts: web1, works: [{work: W, steps: [{run: look, reads: true}, {run: two}]}]}"
    host = answers("two")

    def cut() -> Exception:
        host.boot_id = "22222222-2222-2222-2222-222222222222"
        host.answers["look"] = (0, "")
        return lost()

    host.answers["look"] = cut  # type: ignore[assignment]
    ran = drive(plan_of(text, "web1"), tmp_path, web1=host)
    assert ran.state.closed is not None
    assert ran.state.closed.exit_code == 0
    assert host.links == 2


@pytest.mark.parametrize("take_over", [False, True])
def test_after_its_own_reboot_a_run_stops_in_doubt_if_another_holds_the_host(
    tmp_path: Path, take_over: bool
) -> None:
    host = answers()

    def cut() -> Exception:
        host.boot_id = "22222222-2222-2222-2222-222222222222"
        host.lock, host.locked_boot = OTHER, host.boot_id
        return lost()

    host.answers["one"] = cut  # type: ignore[assignment]
    ran = drive(plan_of(ONE, "web1"), tmp_path, take_over=take_over, in_doubt=True, web1=host)
    (ended,) = ran.bodies("step-ended")
    assert ended.outcome == "in doubt"
    assert "r0" in ended.why
    assert host.lock == OTHER


def test_a_run_in_doubt_keeps_its_host(tmp_path: Path) -> None:
    host = answers()
    host.answers["one"] = lost()
    host.fates["1.1.1.1"] = Fate("lost")
    drive(plan_of(ONE, "web1"), tmp_path, in_doubt=True, web1=host)
    assert host.lock is not None
    assert host.lock.run == "r1"


def test_two_names_for_one_machine_are_refused_in_plain_words(tmp_path: Path) -> None:
    text = "{title: T, hosts: [web1, web2], works: [{work: W, steps: [{run: one}, {run: two}]}]}"
    host = answers("one", "two")
    ran = drive(plan_of(text, "web1", "web2"), tmp_path, web1=host, web2=host)
    assert ran.state.closed is not None
    assert ran.state.closed.exit_code == 6
    assert host.sent == ["one"]
    assert host.lock is None
    ends = {e.at.host: e.body for e in ran.events if e.kind == "step-ended"}
    refused = [body for body in ends.values() if body.outcome == "locked"]  # type: ignore[attr-defined]
    assert len(refused) == 1
    assert "are the same machine" in refused[0].why  # type: ignore[attr-defined]


def hold(epoch: int = 1, name: str = "web1") -> Hold:
    return Hold(name, Claim("r1", "dwm", epoch))


def refusal(host: FakeHost, holding: Hold) -> Locked:
    with pytest.raises(Locked) as caught:
        holding.take(FakeSession(host))
    assert caught.value.still_true
    assert caught.value.next_step
    assert int(caught.value.exit_code) == 6
    return caught.value


def test_each_refusal_has_its_class(tmp_path: Path) -> None:
    host = FakeHost()
    first = hold()
    first.take(FakeSession(host))
    assert type(refusal(host, hold(name="web2"))) is SameMachine
    assert "web1 and web2" in refusal(host, hold(name="web2")).what
    hold(epoch=2).take(FakeSession(host))
    assert type(refusal(host, first)) is Fenced
    late = refusal(host, hold())
    assert type(late) is Locked
    assert "later attempt" in late.what


def test_a_holder_on_this_machine_is_looked_at(tmp_path: Path) -> None:
    host = FakeHost()
    Hold("web1", Claim("r0", "ncm")).take(FakeSession(host))
    assert "That process is alive." in refusal(host, hold()).what
    assert host.lock is not None
    host.lock = Holder(**{f: getattr(host.lock, f) for f in host.lock.__slots__} | {"started": "1"})
    assert "That process is gone." in refusal(host, hold()).what
    host.lock = OTHER
    assert "cannot be seen from this machine" in refusal(host, hold()).what
    host.lock = Holder("r0", 1, "web1", boot_id="before")
    assert "rebooted since" in refusal(host, hold()).what
