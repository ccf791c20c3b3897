"""What a run's events add up to about its at-risk period, and about what a person was asked."""

from __future__ import annotations

from msgspec import Struct, field

from tastyops.journal.events import Asked, WindowBegan, WindowEnded, WindowSet


class Trouble(Struct):
    """A step that did not end well, or may not just begin, and what a person decided about it."""

    asked: Asked
    answer: str = ""
    who: str = ""
    """Who answered."""
    decision: str = ""


class Window(Struct):
    """The at-risk period. ``asked``: the steps whose beginning a person was asked about, by id."""

    begins: str = ""
    ends: str = ""
    on: bool = True
    """Whether it has begun."""
    over: bool = False
    word: str = ""
    """What a person said when it was over: go-on, or cancel."""
    asked: dict[str, Trouble] = field(default_factory=dict)

    def take(self, body: WindowSet | WindowBegan | WindowEnded) -> None:
        """One event. A period that was moved is as it is now, whatever was said about the old."""
        match body:
            case WindowSet(begins=begins, ends=ends):
                self.begins, self.ends = begins or self.begins, ends
                self.on = self.on and not begins
                self.over, self.word, self.asked = False, "", {}
            case WindowBegan():
                self.on = True
            case WindowEnded():
                self.over = True
