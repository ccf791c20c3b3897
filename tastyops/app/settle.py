"""Settles a run that was closed in doubt, and releases its hosts.

The run's own journal stays as it is. What its hosts still know of a change, or else a person's
word, goes into a record beside the journal, and a line into the log.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tastyops.app.environment import connect
from tastyops.app.log_edits import by_hand
from tastyops.app.operators import Person, operator
from tastyops.app.rebuild_plan import runbook_of
from tastyops.app.run_session import RunOptions, RunRecords, Screen
from tastyops.app.secrets import masked_errors, resolve_secrets
from tastyops.engine.host_hold import Claim, Hold
from tastyops.errors import ExitCode, Locked, TastyopsError, Unreachable, WaitsForPerson
from tastyops.journal.events import Address, DoubtSettled, HostFreed
from tastyops.journal.evidence import doubt_lines
from tastyops.journal.public_events import Entry
from tastyops.journal.state import LaneKey, RunState
from tastyops.model.commands import Output, output_to_json
from tastyops.model.inventory import Host
from tastyops.model.public_text import one_line
from tastyops.model.runbook import Runbook
from tastyops.ports import Dialer, Session
from tastyops.records.locks import Owner, holding_hosts
from tastyops.records.logs import LogFile
from tastyops.records.runs import RunJournal
from tastyops.records.settlement import Settlement

_WORDS = {"done": "done", "not-done": "not-done", "leave": ""}

_SAID = {
    "done": "{label} was done, as an operator found after the run.",
    "not-done": "{label} was not done, as an operator found after the run.",
    "well": "{label} was done, as its host told after the run.",
    "badly": "{label} failed, as its host told after the run.",
}


@dataclass
class _Visits:
    """Sessions with the hosts of a closed run, and for the other hosts why there is none."""

    dialer: Dialer
    claim: Claim
    sessions: dict[str, Session] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    others: set[str] = field(default_factory=set)
    """The hosts that another run holds by now."""

    def open(self, host: Host, stack: ExitStack) -> None:
        """Opens a session and takes the run's own lock again; keeps what prevents that."""
        try:
            session = self.dialer.session(host, self.claim.run)
        except Unreachable as error:
            self.missing[host.name] = error.what
            return
        stack.callback(session.close)
        try:
            Hold(host.name, self.claim).take(session)
        except Locked:
            self.others.add(host.name)
        except TastyopsError as error:
            self.missing[host.name] = error.what
            return
        self.sessions[host.name] = session

    def freed(self, name: str) -> HostFreed:
        """Removes the run's files and its lock from a host."""
        session = self.sessions.get(name)
        if session is None:
            return HostFreed(self.missing.get(name, "it is not in the inventory"))
        if name in self.others:
            return HostFreed()
        try:
            session.forget_run()
            session.unlock()
        except TastyopsError as error:
            return HostFreed(error.what)
        return HostFreed()


def settle(records: RunRecords, state: RunState, options: RunOptions, screen: Screen) -> int:
    """Settles what can be; returns 0 once nothing of the run is in doubt and its hosts are free."""
    run, who, journal, log = records.run, operator(), records.journal, records.log
    inventory = options.records.inventory
    settlement = Settlement(journal.directory, state)
    runbook = runbook_of(journal.directory, state, inventory)
    names = sorted(set(settlement.held_hosts()) | {host for host, _ in settlement.open_doubts()})
    hosts = [inventory.hosts[name] for name in names if name in inventory.hosts]
    real = [host for host in hosts if host.connection != "practice"]
    with ExitStack() as stack:
        if real:
            owner = Owner.of(run, who, [host.name for host in real], epoch=journal.epoch)
            stack.enter_context(holding_hosts(log.page.parent.parent, owner))
        hidden = resolve_secrets(runbook, real, screen.person)
        stack.enter_context(masked_errors(hidden.masker().text))
        journal.mask_with(hidden.masker())
        visits = _Visits(connect(stack, real, hidden).dialer, Claim(run, who, journal.epoch))
        for host in real:
            visits.open(host, stack)
        for key in settlement.open_doubts():
            body = _found(key, state, runbook, visits, journal) or _asked(
                key, state, visits, screen.person
            )
            if body is not None:
                settlement.add([(body, _address(key, state))], who=who, epoch=journal.epoch)
                screen.tell(_publish(log, _sentence(key, state, runbook, body)))
        if left := settlement.open_doubts():
            screen.say(f"{len(left)} of the run's doubts are still open; its hosts stay locked.")
            return int(ExitCode.IN_DOUBT)
        practice = {host.name for host in hosts} - {host.name for host in real}
        return _free(settlement, visits, practice, journal.epoch, screen)


def _free(
    settlement: Settlement, visits: _Visits, practice: set[str], epoch: int, screen: Screen
) -> int:
    """Releases every host the run may hold; says which one could not be released."""
    code = ExitCode.COMPLETED
    for name in settlement.held_hosts():
        body = HostFreed() if name in practice else visits.freed(name)
        settlement.add([(body, Address(host=name))], who=visits.claim.who, epoch=epoch)
        if body.why:
            code = ExitCode.UNREACHABLE
            screen.say(
                f"{name} was not let go: {body.why} Its lock goes with its next boot, or with "
                "`invoke resume` of this run once it is back."
            )
        else:
            screen.tell(f"{name} is let go.")
    return int(code)


def _address(key: LaneKey, state: RunState) -> Address:
    """The address of the change in doubt, or of its lane where no change is in doubt."""
    lane = state.lanes[key]
    n = next((n for n, past in lane.history.items() if past is lane.doubt), 0)
    return Address(key[0], key[1], lane.attempt, n)


def _found(
    key: LaneKey, state: RunState, runbook: Runbook, visits: _Visits, journal: RunJournal
) -> DoubtSettled | None:
    """What the host still knows of the change; None where it knows nothing.

    Raises WaitsForPerson while the command still runs.
    """
    past, session = state.lanes[key].doubt, visits.sessions.get(key[0])
    if past is None or session is None:
        return None
    hello = session.hello
    if (past.boot_id, past.record) != (hello.boot_id, hello.record) or not past.boot_id:
        return None
    at = _address(key, state)
    name = f"{at.step}.{at.attempt}.{at.n}"
    fate = session.fate(name)
    if fate.state == "running":
        raise WaitsForPerson(f"The command on {key[0]} still runs; it has to end first.")
    if fate.state != "ended":
        return None
    step = next((step for step in runbook.every_step() if step.id == key[1]), None)
    capture = journal.capture(step is not None and step.no_log)
    ended = session.follow(name, sink=capture)
    out, err = capture.finish()
    output = Output(ended.status, out, err, round(ended.seconds, 6), cut=ended.cut)
    return DoubtSettled("ended", output_to_json(output))


def _asked(
    key: LaneKey, state: RunState, visits: _Visits, person: Person | None
) -> DoubtSettled | None:
    """A person's word; None where the doubt is left as it is. Raises WaitsForPerson."""
    host, step = key
    text = f"Step {step} of the closed run is in doubt{f' on {host}' if host else ''}: was it done?"
    if person is None:
        raise WaitsForPerson(text)
    for line in doubt_lines(state, step):
        person.say(line)
    if why := visits.missing.get(host):
        person.say(f"  {one_line(why)}")
    try:
        while (word := person.line(f"\a{text} [done/not-done/leave] ").lower()) not in _WORDS:
            person.say("Please answer done, not-done or leave.")
    except EOFError:
        return None
    return DoubtSettled(_WORDS[word]) if _WORDS[word] else None


def _sentence(key: LaneKey, state: RunState, runbook: Runbook, body: DoubtSettled) -> str:
    word = body.word
    if word == "ended":
        word = "well" if body.result.get("status") == 0 else "badly"
    step = next((step for step in runbook.every_step() if step.id == key[1]), None)
    label = f"Step {step.address} ({step.action})" if step is not None else f"Step {key[1]}"
    many = state.opened is not None and len(state.opened.hosts) > 1 and key[0]
    return (f"{key[0]}: " if many else "") + _SAID[word].format(label=label)


def _publish(log: LogFile, sentence: str) -> str:
    at = datetime.now(UTC)
    log.change(lambda: [by_hand(Entry(sentence), at)])
    return sentence
