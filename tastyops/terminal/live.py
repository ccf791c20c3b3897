"""The live screen: the works as a checklist, the running steps, their output and progress."""

from __future__ import annotations

import time

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tastyops.document.times import local
from tastyops.journal.events import Address, Event, StepEnded
from tastyops.model.outcome import Outcome
from tastyops.terminal.view import LaneView, RunView

_MARKS = {
    "waiting": ("·", "dim"), "running": ("▶", "bold cyan"), "Completed": ("✔", "green"),
    "Cancelled": ("–", "yellow"), "Not completed": ("✘", "bold red"),
    "Not part of this run": ("○", "dim"),
}
MOST_LANES = 8
"""Hosts whose running step is drawn; of the others only the number is."""


class LiveScreen:
    """A listener that keeps a checklist drawn at the bottom and lets finished lines scroll away."""

    def __init__(self, view: RunView, offset: int, console: Console | None = None) -> None:
        self._view, self._offset = view, offset
        self._console = console or Console(highlight=False)
        self._live = Live(
            get_renderable=self._draw, console=self._console, refresh_per_second=8, transient=True
        )

    def __enter__(self) -> LiveScreen:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def pause(self) -> None:
        """Takes the drawing away, for a question."""
        self._live.stop()

    def resume(self) -> None:
        """Draws again."""
        self._live.start(refresh=True)

    def event(self, event: Event) -> None:
        """One event."""
        self._view.take(event)
        sentence = self._view.sentence(event)
        if sentence is not None:
            moment = local(event.happened_at, self._offset)
            line = Text(f"{moment:%H:%M:%S} ", style="dim").append(sentence, style=_style(event))
            self._console.print(line, soft_wrap=True)
        body = event.body
        if isinstance(body, StepEnded) and not Outcome(body.outcome).good:
            for extra in self._view.failure(event):
                self._console.print(Text(extra, style="dim"), soft_wrap=True)

    def running(self, at: Address, out: bytes, err: bytes) -> None:
        """The last output of a command still running."""
        self._view.running(at, out, err)

    def _draw(self) -> RenderableType:
        with self._view.lock:
            lanes = list(self._view.lanes.values())
            parts: list[RenderableType] = [Text("")]
            for work in self._view.works:
                mark, style = _MARKS.get(work.state, ("?", ""))
                tail = f" ({work.state})" if work.state not in ("waiting", "running") else ""
                parts.append(Text(f" {mark} {work.title}{tail}", style=style, overflow="ellipsis"))
                if work.state == "running":
                    parts += [part for lane in lanes[:MOST_LANES] for part in _lane(lane)]
                    if len(lanes) > MOST_LANES:
                        parts.append(Text(f"     … and {len(lanes) - MOST_LANES} more", "dim"))
        return Group(*parts)


def _lane(lane: LaneView) -> list[RenderableType]:
    elapsed = time.monotonic() - lane.since
    minutes, seconds = divmod(int(elapsed), 60)
    host = f"{lane.host}: " if lane.host else ""
    note = f" · {lane.note}" if lane.note else ""
    parts: list[RenderableType] = [Text(f"     {host}{lane.title}  {minutes}:{seconds:02}{note}")]
    if lane.done is not None:
        bar = Table.grid(padding=(0, 1))
        bar.add_row(
            "      ", ProgressBar(total=1.0, completed=lane.done, width=40), f"{lane.done:.0%}"
        )
        parts.append(bar)
    parts += [
        Text(f"       │ {line}", style="dim", no_wrap=True, overflow="ellipsis")
        for line in lane.tail
    ]
    return parts


def _style(event: Event) -> str:
    body = event.body
    if isinstance(body, StepEnded):
        return "green" if Outcome(body.outcome).good else "bold red"
    return ""
