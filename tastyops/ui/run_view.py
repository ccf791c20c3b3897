"""The current view of a run, built from its events; the screens draw it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import datetime

from tastyops.journal.connection_events import Connected, Disconnected
from tastyops.journal.envelope import Event
from tastyops.journal.events import (
    TYPED,
    Address,
    Asked,
    AttemptEnded,
    Body,
    CancelAsked,
    Decided,
    FellSilent,
    InputChanged,
    Intended,
    Reported,
    Resumed,
    RunOpened,
    Settled,
    StepEnded,
    StepStarted,
    StopAsked,
    WindowBegan,
    WindowEnded,
    WorkEnded,
    WorkStarted,
)
from tastyops.journal.evidence import command_lines, command_text, ended_with, visible_lines
from tastyops.journal.public_events import Entry
from tastyops.model.outcome import Outcome
from tastyops.model.public_text import one_line
from tastyops.model.runbook import Step
from tastyops.plan.plan import Plan
from tastyops.records.document.copying import public_bodies
from tastyops.ui.messages import as_typed

MOST_NAMED = 4
"""Hosts that a run's first line names at most; more are counted."""


def step_title(plan: Plan, step: Step) -> str:
    """``1.1 kernel.install``, or the step's own name."""
    name = one_line(step.name.text) if step.name and "{" not in step.name.text else step.action
    return f"{step.address} {name}"


@dataclass(slots=True)
class LaneView:
    """A step under way on one host."""

    at: Address
    title: str
    host: str
    since: datetime
    tail: list[str] = field(default_factory=list)
    done: float | None = None
    note: str = ""
    attempt: int = 1


@dataclass(slots=True)
class WorkView:
    """One line of the checklist. ``state``: waiting, running, or how it ended."""

    number: int
    title: str
    state: str = "waiting"
    why: str = ""


class RunView:
    """Everything a screen shows. The drawing thread reads it under ``lock``."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.lock = threading.Lock()
        self.works = [WorkView(n, title) for n, title in plan.work_titles.items()]
        self.lanes: dict[tuple[str, str], LaneView] = {}
        self._steps = {step.id: step for step in plan.runbook.every_step()}
        self._settled: dict[tuple[str, str], dict[str, tuple[Address, list[str], Settled]]] = {}
        """The last change and the last probe of each lane, with how each ended."""
        self._commands: dict[tuple[str, str], list[str]] = {}
        self._lost: set[str] = set()
        """The hosts whose link was lost and is not back."""
        self._boots: dict[str, str] = {}
        self._back: tuple[int, str] | None = None
        """The event of the last reconnection, and its message."""
        self._notes: dict[tuple[str, str], str] = {}

    def take(self, event: Event) -> None:
        """Takes one event in."""
        with self.lock:
            self._take(event)

    def _take(self, event: Event) -> None:
        key, body = (event.at.host, event.at.step), event.body
        lane = self.lanes.get(key)
        match body:
            case WorkStarted(number=number):
                self.works[number - 1].state = "running"
            case WorkEnded(number=number, status=status, why=why):
                self.works[number - 1].state, self.works[number - 1].why = status, why
            case StepStarted():
                title = step_title(self.plan, self._steps[event.at.step])
                self.lanes[key] = LaneView(
                    event.at, title, event.at.host, event.happened_at, attempt=event.at.attempt
                )
            case StepEnded():
                self.lanes.pop(key, None)
            case Reported(done=done, note=note) if lane:
                lane.done = done if done is not None else lane.done
                lane.note = note or lane.note
            case Intended(command=command):
                self._commands[key] = list(command.get("change", ()))
            case Settled() as settled:
                if lane:
                    lane.tail = []
                kind = "probe" if "probe" in settled.command else "change"
                if kind in settled.command:
                    self._commands[key] = list(settled.command[kind])
                told = (event.at, self._commands.get(key, []), settled)
                self._settled.setdefault(key, {})[kind] = told
            case Connected() | Disconnected():
                self._take_link(event)
            case _:
                pass

    def running(self, at: Address, out: bytes, err: bytes) -> None:
        """The last output of a command still running."""
        with self.lock:
            lane = self.lanes.get((at.host, at.step))
            if lane is not None:
                lane.tail = visible_lines(out) or visible_lines(err)

    def failure(self, event: Event) -> list[str]:
        """What a failed step's operator needs: the failing command, its status, its last ten lines.

        Nothing where no command failed: the reason says all, and what was read is in the journal.
        """
        body = event.body
        if not isinstance(body, StepEnded) or not body.cause:
            return []
        lane = self._settled.get((event.at.host, event.at.step), {})
        for at, argv, settled in lane.values():
            if (at.attempt, at.n) == (event.at.attempt, body.cause):
                return command_lines(argv, settled)
        return []

    def entries(self, event: Event) -> list[str]:
        """The lines an event adds to the public log, marked as such."""
        several = event.at.host and len(self.plan.hosts) > 1
        mark = f"  log ({event.at.host}):" if several else "  log:"
        bodies = public_bodies(event)
        return [f"{mark} {one_line(body.text)}" for body in bodies if isinstance(body, Entry)]

    def sentence(self, event: Event) -> str | None:
        """One plain line for an event, or None for those a person need not see.

        What a host said may stand in it; nothing that steers a terminal is left.
        """
        said = self._of_run(event.body) or self._of_step(event) or self._of_link(event)
        if said and not isinstance(event.body, Settled):  # which may quote a command on the host
            said = as_typed(said)
        return one_line(said) if said else None

    def _of_run(self, body: Body) -> str:
        match body:
            case RunOpened(title=title, hosts=hosts, log=log, practice=practice):
                names = ", ".join(hosts) if len(hosts) <= MOST_NAMED else f"{len(hosts)} hosts"
                where = f" on {names}" if hosts else ""
                what = "practice log" if practice else "log"
                return f"{title}{where}; {what} {log}" if log else f"{title}{where}"
            case WindowBegan():
                return "The at-risk period begins."
            case WindowEnded():
                return "The at-risk period is over. Running steps continue."
            case WorkStarted(number=number):
                return f"Work {number}: {self.works[number - 1].title}"
            case WorkEnded(number=number, status=status, why=why):
                tail = f": {why}" if why else ""
                return f"Work {number}: {self.works[number - 1].title} ({status}{tail})"
        return ""

    def _of_step(self, event: Event) -> str:
        step = self._steps.get(event.at.step)
        if step is None:
            return ""
        said = ""
        match event.body:
            case StepStarted():
                said = f", attempt {event.at.attempt} …" if event.at.attempt > 1 else " …"
            case StepEnded(outcome=outcome, why=why):
                said = f": {Outcome(outcome).value}{f': {why}' if why else ''}"
            case AttemptEnded(delay=delay, why=why):
                said = f": not yet{f' ({why})' if why else ''}; again in {delay:g}s"
            case Reported(note=note) if note and not self._heard(event, note):
                said = f": {note}"
            case Asked(text=text, by=by) if by:
                command = f"`invoke answer {event.run} yes`"
                said = f" asks {by}: {text}  ({command}, from their own login)"
            case Settled(by=by) if by:
                shown = command_text(self._commands.get((event.at.host, event.at.step), []))
                said = f":{f' `{shown}`' if shown else ''} typed by {by}: {_told(event.body)}"
            case Asked(text=text, question=kind) if kind not in ("failure", TYPED):
                said = f" asks: {text}"
            case Decided(decision="look"):
                said = f": the host is asked again what became of it ({event.who})"
            case Decided(decision=decision):
                said = f": {decision.replace('-', ' ')} ({event.who})"
            case FellSilent(seconds=seconds):
                said = f": silent for {seconds:.0f}s; it goes on"
        where = f"{event.at.host}: " if event.at.host and len(self.plan.hosts) > 1 else ""
        return f"{where}{step_title(self.plan, step)}{said}" if said else ""

    def _of_link(self, event: Event) -> str:
        """The line of an event that concerns a host or the whole run."""
        match event.body:
            case CancelAsked(because=because) | StopAsked(because=because):
                return f"Stopping: {because} ({event.who}). Ctrl-C once more aborts."
            case Resumed(last_seq=seq):
                return f"Resumed by {event.who} after event {seq}."
            case InputChanged(name=name, value=value):
                return f"Input {name} is {value} from now on ({event.who})."
            case Connected(over=over, skew=skew):
                lines = []
                if over == "console":
                    lines.append("no ssh; the session goes over its console")
                elif self._back is not None and self._back[0] == event.seq:
                    lines.append(self._back[1])
                if not over and abs(skew) > 2:
                    which = "ahead" if skew > 0 else "behind"
                    lines.append(f"its clock is {abs(skew):.0f}s {which}")
                return f"{event.at.host}: {'; '.join(lines)}" if lines else ""
            case Disconnected(error=error, expected=False):
                return f"{event.at.host}: {error}"
        return ""

    def _take_link(self, event: Event) -> None:
        """Remembers lost links, so that their return is shown."""
        host, body = event.at.host, event.body
        if isinstance(body, Disconnected) and not body.expected:
            self._lost.add(host)
        elif isinstance(body, Connected):
            if host in self._lost and not body.over:
                rebooted = self._boots.get(host, body.boot_id) != body.boot_id
                said = "; the host was rebooted meanwhile" if rebooted else ""
                self._back = (event.seq, f"the link is back{said}")
                self._lost.discard(host)
            self._boots[host] = body.boot_id

    def _heard(self, event: Event, note: str) -> bool:
        """Whether the lane's last note was the same, as while a wait continues."""
        key = (event.at.host, event.at.step)
        last, self._notes[key] = self._notes.get(key), note
        return last == note


def _told(settled: Settled) -> str:
    return ended_with(settled.result) if settled.how == "output" else settled.why
