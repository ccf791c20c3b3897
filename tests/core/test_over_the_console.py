"""A host without ssh whose root shell is open on its console: the session uses that shell."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tastyops.model.inventory import Host
from tastyops.transport.console.attached import Attached
from tests.console.terminals import PtyLine
from tests.core.driving import Ran, drive, dry, plan_of
from tests.core.fake import FakeHost, FakeSession
from tests.core.outside import FakeWays

PROMPT = "root@web1:~# "


def ran(
    steps: str, tmp_path: Path, ways: FakeWays, network: FakeHost, run: str = "r1"
) -> Ran:
    text = f"{{title: T, hosts: web1, works: [{{work: W, steps: [{steps}]}}]}}"
    return drive(plan_of(text, "web1"), tmp_path, ways=ways, run=run, web1=network)


def single_user(**answers: tuple[int, str]) -> tuple[FakeHost, FakeWays]:
    host = FakeHost(answers={command.replace("_", " "): said for command, said in answers.items()})
    return host, FakeWays(says=[PROMPT] * 5, shell=lambda run: FakeSession(host))


def test_steps_go_over_the_console_once_it_is_attached(tmp_path: Path) -> None:
    host, ways = single_user(uname=(0, "Linux"), touch=(0, ""))
    found = ran("{console.look: }, {run: touch}, {run: uname}", tmp_path, ways, FakeHost(refuse=99))
    assert host.sent == ["touch", "uname"]
    (connected,) = found.bodies("connected")
    assert connected.over == "console"
    assert [body.outcome for body in found.bodies("step-ended")] == ["done"] * 3
    assert found.state.closed
    assert found.state.closed.exit_code == 0


def test_the_hosts_record_is_dropped_before_the_console_is_let_go_of(tmp_path: Path) -> None:
    host, ways = single_user(touch=(0, ""))
    ran("{console.look: }, {run: touch}", tmp_path, ways, FakeHost(refuse=99))
    assert host.forgotten[-1] == "*"
    assert host.lock is None
    assert ways.closed == 1


def test_ssh_comes_first(tmp_path: Path) -> None:
    there = FakeHost(answers={"touch": (0, "")})
    host, ways = single_user(touch=(0, ""))
    found = ran("{console.look: }, {run: touch}", tmp_path, ways, there)
    assert (there.sent, host.sent) == (["touch"], [])
    assert found.bodies("connected")[0].over == ""
    assert ways.asked == []


def test_a_console_nobody_attached_is_left_alone(tmp_path: Path) -> None:
    host, ways = single_user(touch=(0, ""))
    found = ran("{run: touch}", tmp_path, ways, FakeHost(refuse=99))
    assert (host.sent, ways.attached) == ([], 0)
    assert found.bodies("step-ended")[0].outcome == "unreachable"


def test_a_console_without_a_shell_is_of_no_use(tmp_path: Path) -> None:
    ways = FakeWays(says=["web1 login: "] * 5)
    found = ran("{console.look: }, {run: touch}", tmp_path, ways, FakeHost(refuse=99))
    assert ways.asked == [False]
    assert found.bodies("step-ended")[1].outcome == "unreachable"


def test_the_session_makes_way_for_what_looks_at_the_console(tmp_path: Path) -> None:
    host, ways = single_user(touch=(0, ""))
    steps = "{console.look: }, {run: touch}, {console.look: }, {run: touch}"
    found = ran(steps, tmp_path, ways, FakeHost(refuse=99))
    assert host.sent == ["touch", "touch"]
    assert len(found.bodies("connected")) == 2
    assert not found.bodies("disconnected")
    assert ways.asked == [False, True], "the second time, one of this run was there last"


def test_a_dry_run_types_nothing(tmp_path: Path) -> None:
    host, ways = single_user(touch=(0, ""))
    text = "{title: T, hosts: web1, works: [{work: W, steps: [{console.look: }, {run: touch}]}]}"
    dry(plan_of(text, "web1"), ways=ways, web1=FakeHost(refuse=99))
    assert (host.sent, ways.done, ways.asked) == ([], [], [])


class Terminals(FakeWays):
    """A console with a real shell at its other end."""

    locks: Path
    noisy = 0.0
    """How often the kernel writes into what the shell prints."""

    def console(
        self, host: Host, *, heard: Callable[[bytes], None], take: bool = False
    ) -> Attached:  # type: ignore[override]
        self.attached += 1
        found = Attached(PtyLine(("dash", "-i"), self.locks, noisy=self.noisy), "a pty", heard)
        found.until([r"[#$] $"], 10)
        return found


@pytest.mark.processes
@pytest.mark.parametrize("noisy", [0.0, 0.02])
def test_with_a_real_shell_at_the_other_end(tmp_path: Path, noisy: float) -> None:
    ways = Terminals()
    ways.locks, ways.noisy = tmp_path, noisy
    run = f"test-{os.getpid()}-{time.monotonic_ns():x}"  # its directory is on this machine
    look = "{console.look: {wait: 60s, until: ['[#$] $']}}"
    steps = (
        look + ", {run: 'printf \"a\\377b\"; echo lost words >&2'}, " + look + ", {run: echo after}"
    )
    found = ran(steps, tmp_path, ways, FakeHost(refuse=99), run)
    ended = [(body.outcome, body.why) for body in found.bodies("step-ended")]
    assert [outcome for outcome, _ in ended] == ["done"] * 4, ended
    assert (ways.attached, len(found.bodies("connected"))) == (1, 2)
    if not noisy:  # what the kernel says after the prompt stands where the prompt stood
        assert found.transcript.count("The console shows: shell.") == 2
    results = [body.result for body in found.bodies("settled") if body.how == "output"]
    first = next(result for result in results if "err" in result)
    assert first["out"]["head64"] == "Yf9i"
    assert first["err"]["head"] == "lost words\n"
    heard = json.dumps([body.out for body in found.bodies("console-heard")])
    assert "tastyops lets go" in heard
    if not noisy:  # an answer whose beginning was overwritten is not recognised as one
        assert "bG9zdCB3b3Jkcw" not in heard, "what travelled is not kept a second time"
