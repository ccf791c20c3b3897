"""The terminal of a verb that performs a run: its screen, its keyboard, and the last lines."""

from __future__ import annotations

import contextlib
import getpass
import sys
from argparse import Namespace
from collections.abc import Callable
from functools import partial

from tastyops.app.detaching import ASKED
from tastyops.app.interventions import Interventions
from tastyops.app.run_session import RunEnd, RunOptions, Setting, Shown
from tastyops.cli import output
from tastyops.cli.chosen_records import records_of
from tastyops.model.inventory import Inventory
from tastyops.ui import messages
from tastyops.ui.failure_menu import FailureMenu
from tastyops.ui.messages import as_typed
from tastyops.ui.prompts import AnsweredElsewhere, Unattended, typed
from tastyops.ui.run_screen import run_screen


class Keyboard:
    """A person at the keyboard (``app.operators.Person``)."""

    def line(self, prompt: str) -> str:
        """A line the person types."""
        return typed(prompt)

    def secret(self, prompt: str) -> str:
        """A line that is typed without echo."""
        return getpass.getpass(prompt)

    def say(self, sentence: str) -> None:
        """Tells the person something."""
        messages.say(sentence)


def keyboard(*, yes: bool = False) -> Keyboard | None:
    """The person at the keyboard; None without one, and where ``--yes`` was given."""
    return Keyboard() if sys.stdin.isatty() and sys.stderr.isatty() and not yes else None


def run_options(args: Namespace, inventory: Inventory) -> RunOptions:
    """The options of a run, from the arguments of a verb that takes all or some of them."""
    names = RunOptions.__dataclass_fields__.keys() - {"records", "handed_over"}
    given = {name: value for name, value in vars(args).items() if name in names}
    return RunOptions(records_of(args, inventory), **given)


class Terminal:
    """The screen of a run on this terminal (``app.run_session.Screen``)."""

    def __init__(self, options: RunOptions) -> None:
        self._options = options
        self.person = keyboard(yes=options.yes)

    def say(self, sentence: str) -> None:
        """Tells something beside the result, on standard error."""
        messages.say(sentence)

    def tell(self, sentence: str) -> None:
        """Tells a result, on standard output."""
        messages.tell(sentence)

    def ring(self) -> None:
        """Rings the terminal's bell."""
        if sys.stderr.isatty():
            with contextlib.suppress(OSError):
                sys.stderr.write("\a")
                sys.stderr.flush()

    def show(self, setting: Setting, interventions: Interventions, offset: int) -> Shown:
        """The listener that fits where standard output goes, and who answers there."""
        options, release, hands = setting.options, setting.release, setting.environment.hands
        alone = options.yes or not (self.person or setting.waits)
        first = Unattended(
            setting.who, yes=options.yes, answers=setting.answers, alone=alone,
            patient=setting.patient,
        )
        detach = None if interventions.practice else partial(release.ask, ASKED, detach=True)
        last = [AnsweredElsewhere()] if setting.waits and self.person is None else []
        return run_screen(
            interventions.plan, offset=offset, json=options.json,
            now=setting.environment.clock.now,
            keyboard=setting.who if self.person else None,
            first=[first], hands=hands.helping() if hands and self.person else hands, last=last,
            menu=failure_menu(interventions, detach),
            gone=partial(release.ask, "its terminal's input ended at a question"),
        )

    def tell_end(self, end: RunEnd) -> None:
        """The last lines of a run, with commands that work as they stand."""
        if not self._options.json:
            with contextlib.suppress(OSError):
                for line in _last_lines(end):
                    print(line)  # noqa: T201
        output.settle()  # a reader that went away does not change how the run ended


def _last_lines(end: RunEnd) -> list[str]:
    document, where = end.document, end.same_records
    lines = [
        f"\n{document.tag} {document.status}.", f"Log: {end.page}",
        as_typed(f"Run: {end.run}  (`invoke show {document.number}{where}`)"),
    ]
    if end.held:
        lines.append(as_typed(
            f"{', '.join(end.held)} stays locked by this run, which ended in doubt: "
            f"`invoke resume --run {end.run}{where}` settles that and lets it go."
        ))
    return [*lines, *([as_typed(end.again)] if end.again else [])]


def failure_menu(
    interventions: Interventions, detach: Callable[[], None] | None = None
) -> FailureMenu:
    """What a person may choose when a step did not end well.

    ``detach`` lets the run go on without the terminal; without it that is no choice.
    """
    return FailureMenu(
        note=interventions.note, inputs=interventions.inputs, change=interventions.change_input,
        open_shell=interventions.open_shell, hosts=interventions.hosts_with_shell,
        power_on=interventions.switch_power_on, powered=interventions.hosts_with_power,
        detach=detach,
    )
