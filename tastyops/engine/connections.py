"""How one run reaches its hosts: links through them, and consoles and power switches beside them.

Each is opened when a lane first needs it and let go of at the end of the run.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor

from tastyops.engine.links import Link
from tastyops.engine.manual_typing import Typists
from tastyops.engine.out_of_band import ConsoleRecord, Outside
from tastyops.engine.run_context import RunContext
from tastyops.engine.typed_session import typed_session
from tastyops.engine.workers import Done, Work
from tastyops.journal.connection_events import HANDS
from tastyops.journal.events import Address
from tastyops.journal.state import LaneKey, RunState
from tastyops.model.inventory import Host
from tastyops.model.runbook import Step
from tastyops.plan.plan import Plan
from tastyops.ports import Session

MOST_AT_ONCE = 32
"""Hosts that are hung up at the same time."""


class Connections:
    """Links, consoles and power switches of a run; only the thread that drives it asks for one.

    ``done`` takes what consoles say, and ``stopping`` tells a link to give up waiting.
    """

    def __init__(
        self,
        plan: Plan,
        state: RunState,
        context: RunContext,
        done: queue.SimpleQueue[Done],
        stopping: threading.Event,
        typists: Typists,
    ) -> None:
        self._plan, self._state = plan, state
        self._dialer, self._journal = context.dialer, context.journal
        self._claim, self._out_of_band = context.claim, context.out_of_band
        self._done, self._stopping, self._typists = done, stopping, typists
        self._links: dict[LaneKey, Link] = {}
        """One to each host, and one more to each for every step in the background."""
        self._outsides: dict[str, Outside] = {}
        """Consoles and power switches, by host."""

    def link(self, host: str, step: Step) -> Link | None:
        """The lane's own link: what runs in the background does not stand in the others' way."""
        place = self._plan.host(host)
        if place is None:
            return None
        key = (host, step.id if step.background else "")
        if key not in self._links:
            beside = _Beside(self, self.outside(place))
            self._links[key] = Link(place, self._dialer, self._claim, self._stopping, beside)
        return self._links[key]

    def last(self, host: str) -> str:
        """Over what the run went to a host last; empty for ssh, and before the first time."""
        last = self._state.connected.get(host)
        return last.over if last is not None else ""

    def over_console(self, outside: Outside) -> Session | None:
        """A session over a host's console, where a root shell is open there."""
        left = self.last(outside.host.name) == "console"
        return outside.session(self._claim.run, left=left)

    def typed_at(self, host: str) -> bool:
        """Whether somebody types there already, and has not left."""
        return self.last(host) == HANDS and host in self._state.by_hand

    def by_hand(self, host: str, at: Address) -> Session | None:
        """A session whose commands a person types, where one has said so."""
        if host not in self._state.by_hand:
            return None
        return typed_session(self._typists, host, at, self._stopping.is_set)

    def alone(self, host: Host, work: Work) -> Work:
        """Whatever is looked at or typed on a console: no session goes over it meanwhile."""
        links = [link for (name, _), link in self._links.items() if name == host.name]

        def made_way() -> Done:
            for link in links:
                link.leave_console()
            return work()

        return made_way

    def outside(self, host: Host) -> Outside:
        """The host's console and power switch, one for all its lanes."""
        if host.name not in self._outsides:
            at, done = Address(host=host.name), self._done
            record = ConsoleRecord(
                self._journal,
                lambda body: done.put(Done(None, ((at, body, ""),))),
                lambda error: done.put(Done(None, (), fatal=error)),
            )
            self._outsides[host.name] = Outside(host, self._out_of_band, record)
        return self._outsides[host.name]

    def end_commands(self, lanes: Collection[LaneKey]) -> None:
        """Tells the commands of these lanes to end."""
        for host, step in lanes:
            link = self._links.get((host, step)) or self._links.get((host, ""))
            for way in (link, self._outsides.get(host)):
                if way is not None:
                    way.stop()

    def leave_consoles(self, *, forget: bool) -> None:
        """Lets go of the consoles; what they said is in the queue then. A session over one ends
        before; ``forget`` as in ``hang_up``.
        """
        for link in self._links.values():
            if link.over_console:
                self._journal.commit()
                link.finish(forget=forget)
        for outside in self._outsides.values():
            outside.close()

    def hang_up(self, *, forget: bool) -> None:
        """Ends the links at the end of a run; with ``forget`` what it kept on the hosts goes.

        Those over the network end at the same time. A console and a person are asked in turn.
        """
        links = list(self._links.values())
        for link in links:
            if not link.over_network:
                link.finish(forget=forget)
        ssh = [link for link in links if link.over_network]
        if not ssh:
            return
        with ThreadPoolExecutor(min(len(ssh), MOST_AT_ONCE), "hang-up") as pool:
            for _ in pool.map(lambda link: link.finish(forget=forget), ssh):
                pass


class _Beside:
    """One host's ways where there is no ssh."""

    def __init__(self, reach: Connections, outside: Outside) -> None:
        self._reach, self._outside = reach, outside

    def session(self, at: Address, *, refused: bool) -> tuple[Session, str] | None:
        """Over its console, else by the hands of a person there; who types goes on, since to find
        out that a console is of no use takes long.
        """
        typed = self._reach.typed_at(self._outside.host.name)
        session = None if refused or typed else self._reach.over_console(self._outside)
        if session is not None:
            return session, "console"
        session = self._reach.by_hand(self._outside.host.name, at)
        return None if session is None else (session, HANDS)

    def last(self) -> str:
        """Over what the run went there last."""
        return self._reach.last(self._outside.host.name)
