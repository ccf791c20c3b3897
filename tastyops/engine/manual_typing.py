"""Instruction mode: what a person is asked to type at a host, and to type back here.

The question stands in the journal before anybody sees it. So after a crash it is known which
change may have been typed: that one is asked about, and not asked for again.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from msgspec import structs

from tastyops.engine.workers import Done
from tastyops.errors import WaitsForPerson
from tastyops.journal.connection_events import HANDS, Connected
from tastyops.journal.envelope import Event
from tastyops.journal.events import TYPED, Address, Answered, Asked
from tastyops.journal.state import LaneKey, RunState
from tastyops.model.public_text import one_line
from tastyops.ports import JournalSink, Operator, OperatorKind
from tastyops.protocol.framing import Hello
from tastyops.protocol.typed_command import Told, told

LOOK = 0.2
"""Seconds between two looks at whether a question is still asked."""

_MASKED = "(******** stands for a secret: type the secret itself.)"


@dataclass(slots=True)
class _Asking:
    """A question that is being put. ``known``: it is in the journal; ``answered``: so is a word."""

    known: threading.Event = field(default_factory=threading.Event)
    answered: threading.Event = field(default_factory=threading.Event)
    value: str = ""
    who: str = ""


class Typists:
    """Those who type for a run. ``event`` tells it what is in the journal.

    ``done`` takes events for the journal. ``hellos``: what each host is known to be, by name.
    """

    def __init__(
        self,
        operators: Sequence[Operator],
        state: RunState,
        journal: JournalSink,
        done: queue.SimpleQueue[Done],
    ) -> None:
        self._operators, self._state = tuple(operators), state
        self._journal, self._done = journal, done
        self._open: dict[LaneKey, _Asking] = {}
        self.hellos: dict[str, Hello] = {}

    def shown(self, at: Address, mark: str) -> bool:
        """Whether somebody may have seen this question before."""
        return mark in self._state.lane(at.host, at.step).shown

    def hostname(self, host: str) -> str:
        """What the host called itself when the run met it last; empty where that is not known."""
        met = self._state.connected.get(host)
        return met.hostname if met is not None else ""

    def ask(
        self, at: Address, mark: str, text: str, line: str, over: Callable[[], bool]
    ) -> tuple[Told, str] | None:
        """What was typed back and who did; None once the question is over.

        ``text`` holds ``line``, what is to be typed. Raises WaitsForPerson where nobody is.
        """
        masked = self._masked(text)
        wanted = masked if masked == text else f"{masked}\n{_MASKED}"
        asked = Asked(mark, TYPED, wanted)
        while True:
            answer = self._put(at, asked, line, over)
            if answer is None:
                return None
            found = told(answer[0])
            if found is not None:
                return found, answer[1]
            asked = structs.replace(asked, text=f"That was no answer.\n{wanted}")

    def _put(
        self, at: Address, asked: Asked, line: str, over: Callable[[], bool]
    ) -> tuple[str, str] | None:
        asking = self._open[at.host, at.step] = _Asking()

        def gone() -> bool:
            return over() or asking.answered.is_set()

        self._tell(at, asked, "")
        try:
            while not asking.known.wait(LOOK):
                if over():
                    return None
            self._put_to_operators(at, asked, line, gone)
            while not asking.answered.wait(LOOK):
                if over():
                    return None
            return asking.value, asking.who
        finally:
            self._open.pop((at.host, at.step), None)

    def _put_to_operators(
        self, at: Address, asked: Asked, line: str, gone: Callable[[], bool]
    ) -> None:
        question = {"host": at.host, "step": at.step, **asked.to_json()}
        question |= {"line": line, "shown": self._masked(line)}
        for operator in self._operators:
            answer = operator.answer(question, over=gone)
            if answer is not None:
                value, who = answer
                self._tell(at, Answered(value, hands=operator.kind is OperatorKind.PRACTICE), who)
                return
        if not gone():
            raise WaitsForPerson(one_line(asked.text))

    def _masked(self, text: str) -> str:
        data = text.encode("utf-8", "surrogateescape")
        return self._journal.mask(data).decode("utf-8", "surrogateescape")

    def _tell(self, at: Address, body: Asked | Answered, who: str) -> None:
        self._done.put(Done(None, ((at, body, who),)))

    def taken(self, at: Address, answer: Answered, who: str) -> Answered:
        """The answer as the journal has it: what was seen goes to whoever asked, and only there."""
        asking = self._open.get((at.host, at.step))
        if asking is not None:
            asking.value, asking.who = answer.value, who
            asking.answered.set()
        first = answer.value.partition("\n")[0]
        return structs.replace(answer, value=" ".join(first.split()).lower())

    def event(self, event: Event) -> None:
        """One event that is in the journal."""
        at, body = event.at, event.body
        if isinstance(body, Asked) and body.question == TYPED:
            asking = self._open.get((at.host, at.step))
            if asking is not None:
                asking.known.set()
        elif isinstance(body, Connected) and body.over != HANDS:
            self.hellos.pop(at.host, None)  # what comes to be typed there later is asked anew
