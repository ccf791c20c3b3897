"""The dry run: the same core, over links that have no way to send a change.

A withheld change gives ``Unknown``; from then on the step's own probes give it too, since they
would see the host as it was before. A later step still probes, and what it says is marked as
judged before the earlier changes: that is all a dry run can honestly know. If such a step finds
that it would fail (a filesystem is still mounted that an earlier one unmounts), it cannot be known.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from msgspec import structs

from tastyops.engine.links import needs_sudo, settled
from tastyops.engine.out_of_band import NoOutOfBand, Outside, spoken
from tastyops.errors import Locked, Unreachable
from tastyops.journal.envelope import Event
from tastyops.journal.events import Address, Answered, Body, Reported, Settled, StepEnded
from tastyops.journal.state import LaneKey, RunState
from tastyops.model.commands import Change, Probe, Sleep, describe
from tastyops.model.inventory import Host
from tastyops.model.outcome import Outcome
from tastyops.model.runbook import Step
from tastyops.plan.advance import advance
from tastyops.plan.generator_cache import LiveLanes
from tastyops.plan.log_sentences import ended_entry
from tastyops.plan.moves import Append, Parked, Perform
from tastyops.plan.plan import Plan, lane_names
from tastyops.ports import Capture, Clock, Dialer, OutOfBand, Prober

WOULD_RUN = "would run"
WOULD_SKIP = "would skip"
WOULD_READ = "would read"
WOULD_ASK = "would ask"
WOULD_FAIL = "would fail"
CANNOT_KNOW = "cannot know"
NO_PREVIEW = "cannot be previewed"
NOT_REACHED = "not reached"
LEFT_OUT = "not part of this run"

SHUTDOWN = "ScheduleShutdown"
"""The call to logind after which a host goes down or is restarted."""

LONGEST_LOOK = 2.0
"""Seconds that a console is looked at in a dry run."""

MOST_COMMANDS = 10_000
"""Commands a step may yield in a preview; a step that yields more never ends."""


@dataclass(slots=True)
class StepPreview:
    """What one step would do on one host."""

    step: Step
    host: str
    verdict: str = NOT_REACHED
    because: str = ""
    commands: list[str] = field(default_factory=list)
    entries: list[str] = field(default_factory=list)
    asked: bool = False


@dataclass(slots=True)
class Preview:
    """A whole dry run. ``exit_code`` as the command's."""

    steps: list[StepPreview]
    state: RunState
    incomplete: bool = False
    unreachable: bool = False


class _Lookout:
    """Performs probes and withholds everything else."""

    def __init__(
        self, plan: Plan, dialer: Dialer, clock: Clock, capture: type[Capture], ways: OutOfBand
    ) -> None:
        self._plan, self._dialer, self._clock, self._capture = plan, dialer, clock, capture
        self._ways = ways
        self._probers: dict[str, Prober] = {}
        self._outsides: dict[str, Outside] = {}
        self.state = RunState()
        self._kept = LiveLanes()
        self._withheld: set[LaneKey] = set()
        self._changed_hosts: dict[str, str] = {}
        self._down: dict[str, str] = {}
        """The step after which a host's power and console are no longer as they are now."""
        self._unseen: set[LaneKey] = set()
        """Steps that look at either after that."""
        self.previews = {
            (host, step.id): StepPreview(step, host)
            for step in plan.runbook.every_step()
            for host in plan.lanes[step.id]
        }

    def run(self) -> None:
        """Plays the plan through."""
        budget = MOST_COMMANDS * max(1, len(self.previews))
        try:
            while self.state.closed is None and budget > 0:
                for move in advance(self._plan, self.state, self._kept):
                    budget -= 1
                    if isinstance(move, Append):
                        self._append(move.at, move.body)
                    elif isinstance(move, Parked):
                        self._answer(move)
                    elif isinstance(move, Perform):
                        self._append(move.at, self._settle(move))
        finally:
            for prober in self._probers.values():
                prober.close()
            for outside in self._outsides.values():
                outside.close()

    def _append(self, at: Address, body: Body) -> None:
        if isinstance(body, StepEnded):
            body = self._as_the_host_is_now(at, body)
        now: datetime = self._clock.now()
        event = Event("preview", self.state.seq + 1, 0, now, now, "", at, body)
        self.state.apply(event)
        if isinstance(body, Reported) and body.entry:
            self.previews[at.host, at.step].entries.append(body.entry)
        if isinstance(body, StepEnded):
            self._judge(self.previews[at.host, at.step], body)

    def _as_the_host_is_now(self, at: Address, end: StepEnded) -> StepEnded:
        """A failure after changes that were withheld: nobody can know whether it would be one."""
        earlier = self._changed_hosts.get(at.host, "")
        step = self.previews[at.host, at.step].step
        if earlier in ("", step.address):
            return end
        known = end.outcome in (Outcome.DONE.value, Outcome.ALREADY.value) and not end.unknown
        if known and end.entry and self._plan.spec(step).returns:
            return structs.replace(end, entry=self._entry_with_gaps(at, step, earlier))
        if end.outcome == Outcome.CANNOT_KNOW.value and self._begun(at) and not step.recovery:
            return structs.replace(end, entry=self._entry_with_gaps(at, step, earlier))
        if end.outcome != Outcome.FAILED.value or step.recovery:
            return end
        unknown = Outcome.CANNOT_KNOW.value
        return structs.replace(end, outcome=unknown, registered={}, entry=None, unknown=earlier)

    def _begun(self, at: Address) -> bool:
        """Whether the step's ``when`` let it begin; one that may be skipped shows no entry."""
        lane = self.state.lanes.get((at.host, at.step))
        return lane is not None and lane.begun

    def _entry_with_gaps(self, at: Address, step: Step, earlier: str) -> str | None:
        """The step's entry without what it read: a change that was withheld comes before it."""
        names = lane_names(self._plan, self.state, at.host, step)
        entry = ended_entry(self._plan, step, names, {}, Outcome.DONE, earlier)
        many = entry and at.host and len(self._plan.hosts) > 1
        return f"{at.host}: {entry}" if many else entry

    def _answer(self, move: Parked) -> None:
        if move.question.question in ("failure", "undo"):  # nobody would be there to say otherwise
            self._append(move.at, Answered("abort" if "abort" in move.question.choices else "no"))
            return
        preview = self.previews[move.at.host, move.at.step]
        preview.asked = True
        whom = move.question.by or "the operator"
        preview.commands.append(f"ask {whom}: {move.question.text}")
        if move.question.question == "ask" and move.question.default is None:
            self._append(move.at, Settled(move.question.digest, "unknown"))
        else:
            self._append(move.at, Answered(move.question.default or "yes"))

    def _settle(self, move: Perform) -> Body:
        key = (move.at.host, move.at.step)
        preview, command, step = self.previews[key], move.command, move.step.address
        outside = isinstance(command, Probe) and command.via != "host"
        if outside and self._down.get(move.at.host, step) != step:
            self._unseen.add(key)
            return Settled(move.digest, "unknown")
        if isinstance(command, Probe) and key not in self._withheld:
            if move.step.reads:
                preview.commands.append(shlex.join(command.argv))
            return self._probe(move, command)
        if isinstance(command, Change):
            try:  # a host that cannot be reached cannot be changed
                sudo = ["sudo"] if self._with_sudo(move, command) else []
            except Unreachable as error:
                return Settled(move.digest, "unreachable", {}, {}, error.advised)
            self._changed_hosts.setdefault(move.at.host, step)
            if command.via == "power" or SHUTDOWN in command.argv:
                self._down.setdefault(move.at.host, step)
            preview.commands.append(spoken(command, shlex.join([*sudo, *command.argv])))
        if isinstance(command, Sleep) and key not in self._withheld:
            preview.commands.append(f"wait for {command.why}")
        self._withheld.add(key)
        return Settled(move.digest, "unknown")

    def _probe(self, move: Perform, command: Probe) -> Body:
        if command.via != "host":
            return self._look(move, command)
        capture = self._capture()
        try:
            sudo = self._with_sudo(move, command)
            prober = self._probers[move.at.host]
            ended = prober.probe(command.argv, sink=capture, sudo=sudo, timeout=move.step.timeout)
        except Unreachable as error:
            how = "offline" if command.offline else "unreachable"
            return Settled(move.digest, how, {}, describe(command), error.advised)
        return settled(move.digest, ended, capture, describe(command))

    def _look(self, move: Perform, command: Probe) -> Body:
        """Over the console or from the power switch. Looking attaches the console, and no more."""
        capture, host = self._capture(), self._plan.host(move.at.host)
        if host is None:
            return Settled(move.digest, "unreachable", why="this step has no host")
        try:
            outside = self._outsides.setdefault(host.name, Outside(host, self._ways))
            ended = outside.probe(_brief(command), capture)
        except (Unreachable, Locked) as error:
            how = "locked" if isinstance(error, Locked) else "unreachable"
            how, why = ("offline", error.id) if command.offline else (how, error.advised)
            return Settled(move.digest, how, {}, describe(command), why)
        return settled(move.digest, ended, capture, describe(command))

    def _with_sudo(self, move: Perform, command: Probe | Change) -> bool:
        """Whether sudo goes before it, as in a real run. Raises Unreachable."""
        if command.via != "host":
            return False
        host = self._plan.host(move.at.host)
        if host is None:
            raise Unreachable("This step has no host.")
        uid = self._prober(host).hello.uid
        return needs_sudo(host, uid, command.sudo, move.step.sudo)

    def _prober(self, host: Host) -> Prober:
        if host.name not in self._probers:
            self._probers[host.name] = self._dialer.prober(host, "preview")
        return self._probers[host.name]

    def _judge(self, preview: StepPreview, end: StepEnded) -> None:
        """The verdict on a step that ended in the preview."""
        outcome = Outcome(end.outcome)
        earlier = self._changed_hosts.get(preview.host, "")
        before = f"as the host is now, before step {earlier}" if earlier else ""
        key = (preview.host, preview.step.id)
        if end.entry:
            preview.entries.append(end.entry)
        if not self._plan.spec(preview.step).previews:
            preview.verdict = NO_PREVIEW
        elif outcome is Outcome.SKIPPED:
            preview.verdict, preview.because = WOULD_SKIP, "its `when:` is false"
        elif key in self._unseen and (outcome.good or outcome is Outcome.CANNOT_KNOW):
            preview.verdict = CANNOT_KNOW
            preview.because = f"until step {self._down[preview.host]} has run"
        elif outcome is Outcome.CANNOT_KNOW:
            now = f"; as the host is now, it would fail: {end.why}" if end.why else ""
            preview.verdict, preview.because = CANNOT_KNOW, f"until step {end.unknown} has run{now}"
        elif not outcome.good:
            preview.verdict, preview.because = WOULD_FAIL, end.why
        elif preview.asked:
            preview.verdict = WOULD_ASK
        elif key in self._withheld:
            preview.verdict = WOULD_RUN
            preview.because = before if earlier != preview.step.address else ""
        elif outcome is Outcome.ALREADY:
            doubt = f"until step {earlier} has run; as the host is now, it is already so"
            preview.verdict = CANNOT_KNOW if earlier else WOULD_SKIP
            preview.because = doubt if earlier else "already so"
        else:
            preview.verdict = WOULD_READ
            preview.because = "the author says that it only reads" if preview.step.reads else before


def _brief(command: Probe) -> Probe:
    """A look at a console that waits for nothing: what it would wait for was withheld."""
    match command.via, command.argv:
        case "console", ("look", seconds, *until) if float(seconds) > LONGEST_LOOK:
            return replace(command, argv=("look", f"{LONGEST_LOOK:g}", *until))
    return command


def preview(
    plan: Plan,
    dialer: Dialer,
    clock: Clock,
    capture: type[Capture],
    ways: OutOfBand | None = None,
) -> Preview:
    """What a run of ``plan`` would do, found out by reading only."""
    lookout = _Lookout(plan, dialer, clock, capture, ways or NoOutOfBand())
    lookout.run()
    steps: Sequence[StepPreview] = [
        each
        for each in lookout.previews.values()
        if not each.step.recovery or each.verdict != NOT_REACHED
    ]
    for step in steps:
        if step.step.id in plan.left_out:
            step.verdict = LEFT_OUT
    unreachable = any(
        lane.ended is not None and lane.ended.outcome == Outcome.UNREACHABLE.value
        for lane in lookout.state.lanes.values()
    )
    bad = any(step.verdict in (WOULD_FAIL, NO_PREVIEW, NOT_REACHED) for step in steps)
    return Preview(list(steps), lookout.state, bad, unreachable)
