"""The sessions' suite over the lab's real console: serial over LAN, emergency mode, no ssh."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tastyops.model.inventory import Host
from tastyops.transport.console.attached import Attached
from tastyops.transport.console.opening import attach
from tastyops.transport.console.session import prober
from tastyops.transport.ssh.session import SshProber, SshSession
from tests.conformance import test_sessions as suite
from tests.conformance.conftest import Target
from tests.conformance.conftest import run as run  # a fixture
from tests.conformance.conftest import session as session  # a fixture
from tests.lab.machine import SESSION_SECONDS, Lab

pytestmark = [pytest.mark.lab, pytest.mark.long, pytest.mark.timeout(SESSION_SECONDS)]

TWO_AT_ONCE = {
    "test_two_sessions_of_a_run_share_its_directory",
    "test_a_runs_directory_that_was_made_anew_is_another",
    "test_another_session_sees_and_follows_a_running_change",
}
"""A console has one shell, and so one session."""

globals().update(
    (name, test) for name, test in vars(suite).items()
    if name.startswith("test_") and name not in TWO_AT_ONCE
)  # fmt: skip

EMERGENCY = """\
title: Emergency mode
kind: at risk
hosts: kalimdor
works: [{work: Start, steps: [{boot: {mode: emergency, grace: 5s}}]}]
"""


class TheConsole:
    """The one console the machine has, and sessions at its root shell, one after another."""

    def __init__(self, console: Attached) -> None:
        self._console = console

    def session(self, host: Host, run: str) -> SshSession:
        found = self._console.session(host, run, left=True)
        assert found is not None, "the console shows no root shell"
        return found

    def prober(self, host: Host, run: str) -> SshProber:
        return prober(self._console, host.name, run)


@pytest.fixture(scope="module")
def target(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """The machine in emergency mode, a run having logged in on its console."""
    lab.reset()
    book = tmp_path_factory.mktemp("emergency") / "emergency.yml"
    book.write_text(EMERGENCY)
    said = lab.run(book, timeout=1800)
    assert said.endswith("exit 0"), said
    assert lab.host.console
    with (book.parent / "console.txt").open("wb") as kept:

        def heard(data: bytes) -> None:
            kept.write(data)

        console = attach(lab.host, lab.host.console, heard=heard)
        yield Target(TheConsole(console), lab.host)
        console.close()


def test_what_is_left_out_is_there() -> None:
    assert set(vars(suite)) > TWO_AT_ONCE
