"""The screen of a run: live on a terminal, lines in a pipe, JSON lines; and who answers there."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from tastyops.plan.plan import Plan
from tastyops.ports import Listener, Operator
from tastyops.ui.failure_menu import FailureMenu
from tastyops.ui.plain_lines import JsonLines, PlainLines
from tastyops.ui.prompts import AtTerminal
from tastyops.ui.run_view import RunView
from tastyops.ui.tolerant_listener import Losable


@contextlib.contextmanager
def run_screen(
    plan: Plan, *, offset: int, json: bool, now: Callable[[], datetime], keyboard: str | None,
    first: Sequence[Operator], hands: Operator | None, last: Sequence[Operator],
    menu: FailureMenu, gone: Callable[[], None],
) -> Iterator[tuple[Listener, tuple[Operator, ...]]]:
    """Shows the run until the context is left; gives its listener, and its operators in order.

    ``offset``: minutes of the log's time zone east of UTC. ``keyboard``: the login of whoever is at
    it, if anybody is; ``gone`` is called where its input ends at a question. ``hands`` answer on
    practice hosts, before the keyboard.
    """
    with contextlib.ExitStack() as stack:
        person = AtTerminal(keyboard or "", menu=menu, gone=gone)
        view = RunView(plan)
        listener: Listener
        if json:
            listener = JsonLines(sys.stdout)
        elif sys.stdout.isatty():
            from tastyops.ui.live_screen import LiveScreen

            live = stack.enter_context(LiveScreen(view, offset, now))
            person = AtTerminal(
                keyboard or "", pause=live.pause, resume=live.resume, menu=menu, gone=gone
            )
            listener = live
        else:
            listener = PlainLines(view, sys.stdout, offset)
        answering = [hands] if hands is not None else []
        at_keyboard = [person] if keyboard is not None else []
        yield Losable(listener), (*first, *answering, *at_keyboard, *last)
