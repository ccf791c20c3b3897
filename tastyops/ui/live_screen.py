"""The live screen: the works as a checklist, the running steps, their output and progress."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import IO, Any, cast

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tastyops.journal.envelope import Event
from tastyops.journal.events import Address, Asked, CancelAsked, StepEnded, StopAsked
from tastyops.model.outcome import Outcome
from tastyops.records.document.times import local
from tastyops.ui.run_view import LaneView, RunView, WorkView
from tastyops.ui.tolerant_listener import LosableText

_MARKS = {
    "waiting": ("·", "dim"), "running": ("▶", "bold cyan"), "Completed": ("✔", "green"),
    "Cancelled": ("-", "yellow"), "Not completed": ("✘", "bold red"),
    "Not part of this run": ("○", "dim"),
}
MOST_LANES = 8
"""Hosts whose running step is drawn; the others are only counted."""

HEARD_WITHIN = 2.0
"""Seconds a question waits at most for the lines before it, which take about 0.1 s."""

_MARGIN = " " * 9
"""As wide as the time before a line."""

_SPARE = 3
"""Rows of the terminal left to the lines above the drawing."""


class LiveScreen:
    """A listener that keeps a checklist drawn at the bottom and lets finished lines scroll away.

    While a question is asked nothing is drawn and lines wait, so that neither runs into what is
    being typed. At the end the checklist stays as it is then.
    """

    def __init__(
        self, view: RunView, offset: int, now: Callable[[], datetime],
        console: Console | None = None,
    ) -> None:
        self._view, self._offset, self._now = view, offset, now
        out = cast(IO[str], LosableText(sys.stdout))
        self._console = console or Console(highlight=False, file=out)
        self._live = self._new_live()
        self._turn = threading.Condition(threading.Lock())
        self._asking = self._over = False
        self._asked: set[tuple[str, str, str]] = set()
        self._waiting: list[RenderableType] = []

    def _new_live(self) -> Live:
        """One for each time: started again, a stopped one erases as many lines as it had drawn."""
        return Live(
            get_renderable=self._draw, console=self._console, refresh_per_second=8, transient=True
        )

    def __enter__(self) -> LiveScreen:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._turn:
            self._over = True
            self._release()
            self._live.stop()
            self._console.print(Group(*self._checklist()))

    def pause(self, question: Mapping[str, Any] | None = None) -> None:
        """Removes the drawing. Before a question, pending lines are shown first."""
        with self._turn:
            if question is not None:
                key = (question["host"], question["step"], question["digest"])
                self._turn.wait_for(lambda: self._over or key in self._asked, HEARD_WITHIN)
                self._asked.discard(key)
            self._asking = True
            self._live.stop()

    def resume(self) -> None:
        """Draws again."""
        with self._turn:
            if self._asking and not self._over:
                self._release()
                self._live = self._new_live()
                self._live.start(refresh=True)

    def event(self, event: Event) -> None:
        """One event."""
        self._view.take(event)
        with self._turn:
            if self._asking and isinstance(event.body, CancelAsked | StopAsked):
                self._console.print()  # the question will not be answered any more: leave its line
                self._release()
            self._waiting += self._lines(event)
            if not self._asking:
                self._release()
            if isinstance(event.body, Asked):
                self._asked.add((event.at.host, event.at.step, event.body.digest))
                self._turn.notify_all()

    def _lines(self, event: Event) -> list[RenderableType]:
        lines: list[RenderableType] = []
        sentence = self._view.sentence(event)
        if sentence is not None:
            moment = local(event.happened_at, self._offset)
            lines.append(_beside(Text(f"{moment:%H:%M:%S}", "dim"), Text(sentence, _style(event))))
        body = event.body
        if isinstance(body, StepEnded) and not Outcome(body.outcome).good:
            # not wrapped at words: a command is there to be copied
            lines += [Text(f"{_MARGIN}{extra}", "dim") for extra in self._view.failure(event)]
        for entry in self._view.entries(event):
            lines.append(_beside(Text(f"{_MARGIN} "), Text(entry.lstrip(), "italic")))
        return lines

    def _release(self) -> None:
        """Prints what waited for a question's end."""
        self._asking = False
        lines, self._waiting = self._waiting, []
        for line in lines:
            self._console.print(line, soft_wrap=isinstance(line, Text))

    def caught_up(self) -> None:
        """Nothing waits."""

    def running(self, at: Address, out: bytes, err: bytes) -> None:
        """The last output of a command still running."""
        self._view.running(at, out, err)

    # -- drawing -------------------------------------------------------------------------------

    def _draw(self) -> RenderableType:
        """As much as fits: the running work whole, and as many works around it as possible."""
        with self._view.lock:
            works = list(self._view.works)
            lanes = self._lanes()
        current = next((n for n, work in enumerate(works) if work.state == "running"), None)
        room = max(1, self._console.size.height - _SPARE - len(lanes))
        first, last = _window(len(works), current, room)
        parts: list[RenderableType] = [Text("")]
        for number, work in enumerate(works[first:last], first):
            parts.append(_title(work))
            if number == current:
                parts += lanes
        hidden = len(works) - (last - first)
        if hidden:
            parts.append(Text(f" … {hidden} more works", "dim"))
        return Group(*parts)

    def _checklist(self) -> list[RenderableType]:
        with self._view.lock:
            return [Text(""), *(_title(work) for work in self._view.works)]

    def _lanes(self) -> list[RenderableType]:
        lanes = list(self._view.lanes.values())
        now = self._now()
        width = self._console.size.width
        parts = [part for lane in lanes[:MOST_LANES] for part in _lane(lane, now, width)]
        if len(lanes) > MOST_LANES:
            parts.append(Text(f"     … and {len(lanes) - MOST_LANES} more", "dim"))
        return parts


def _beside(moment: Text, said: Text) -> Table:
    """A time and a sentence; further lines of the sentence are indented beside the time."""
    row = Table.grid(padding=(0, 1, 0, 0))
    row.add_column(no_wrap=True)
    row.add_column()
    row.add_row(moment, said)
    return row


def _window(count: int, current: int | None, room: int) -> tuple[int, int]:
    """Which works are drawn: all, or those around the current one."""
    if count <= room:
        return 0, count
    room = max(1, room - 1)  # a row says how many are left out
    first = min(max(0, (current or 0) - room // 3), count - room)
    return first, first + room


def _title(work: WorkView) -> Text:
    mark, style = _MARKS.get(work.state, ("?", ""))
    tail = f" ({work.state})" if work.state not in ("waiting", "running") else ""
    return Text(f" {mark} {work.title}{tail}", style, no_wrap=True, overflow="ellipsis")


def _lane(lane: LaneView, now: datetime, width: int) -> list[RenderableType]:
    minutes, seconds = divmod(max(0, int((now - lane.since).total_seconds())), 60)
    host = f"{lane.host}: " if lane.host else ""
    note = f" · {lane.note}" if lane.note else ""
    elapsed = f"  {minutes}:{seconds:02}"
    said = Text(f"     {host}{lane.title}", no_wrap=True, overflow="ellipsis")
    said.truncate(max(0, width - len(elapsed)), overflow="ellipsis")  # the time stays in sight
    parts: list[RenderableType] = [said.append(f"{elapsed}{note}")]
    if lane.done is not None:
        bar = Table.grid(padding=(0, 1))
        done = ProgressBar(total=1.0, completed=lane.done, width=min(40, max(4, width - 14)))
        bar.add_row("     ", done, f"{lane.done:.0%}")
        parts.append(bar)
    parts += [
        Text(f"       │ {line}", "dim", no_wrap=True, overflow="ellipsis") for line in lane.tail
    ]
    return parts


def _style(event: Event) -> str:
    body = event.body
    if isinstance(body, StepEnded):
        return "green" if Outcome(body.outcome).good else "bold red"
    return ""
