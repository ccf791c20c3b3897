"""The menu that an operator gets when a step did not end well."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

from tastyops.model.public_text import one_line
from tastyops.ui.prompts import Withdrawn, typed

_WORDS = {
    "done": ("y", "yes, it was done: go on"),
    "look": ("l", "ask the host again what became of it"),
    "retry": ("r", "try the step again"),
    "by-hand": ("h", "go on by hand: type at the host, and tell here"),
    "skip": ("s", "skip it and go on"),
    "cancel-work": ("c", "cancel the rest of this work"),
    "abort": ("a", "abort: end the run"),
}
_ALWAYS = {
    "input": ("i", "change an input, then try again"),
    "shell": ("o", "open a shell on the host"),
    "power": ("p", "switch the host's power on"),
    "note": ("n", "add a note to the log"),
    "detach": ("d", "detach: the run goes on without this terminal, this question open"),
}

Change = Callable[[str, str], str]
"""Takes an input's name and new value; returns what is wrong with the value, or nothing."""


class FailureMenu:
    """Shows the choices, carries out those that leave the question open, returns the deciding one.

    ``note`` takes a remark; ``change`` an input's new value; ``open_shell`` opens one on a host,
    ``power_on`` switches one's power on, and both give what is to be said of it. These three are
    left out where there is nothing to change or no such host (``hosts``, ``powered``). ``detach``
    asks the run to go on without this terminal; without it that is no choice.
    """

    def __init__(
        self,
        *,
        note: Callable[[str], None],
        inputs: Mapping[str, Any],
        change: Change,
        open_shell: Callable[[str], str] | None = None,
        hosts: Callable[[str], list[str]] = lambda step: [],
        power_on: Callable[[str], str] | None = None,
        powered: Callable[[str], list[str]] = lambda step: [],
        detach: Callable[[], None] | None = None,
    ) -> None:
        self._detach = detach
        self._note, self._inputs, self._change = note, dict(inputs), change
        self._shell, self._hosts = open_shell, hosts
        self._power_on, self._powered = power_on, powered

    def choose(self, question: Mapping[str, Any], over: Callable[[], bool]) -> str:
        """One of the question's choices. Raises EOFError, Withdrawn."""
        offered = self._offered(question)
        _say(one_line(str(question["text"])))
        for letter, words in offered.values():
            _say(f"  [{letter}] {words}")
        bell = "\a"
        while True:
            said = typed(f"{bell}What now? ", over).lower()
            bell = ""
            chosen = next((n for n, (letter, _) in offered.items() if said in (letter, n)), None)
            if chosen is None:
                _say(f"Please type one of {' '.join(letter for letter, _ in offered.values())}.")
            elif chosen == "input":
                if self._changed(over):
                    return "retry"
            elif chosen == "shell":
                self._on_a_host(self._hosts(str(question["step"])), self._shell, over)
            elif chosen == "power":
                self._on_a_host(self._powered(str(question["step"])), self._power_on, over)
            elif chosen == "note":
                self._noted(over)
            elif chosen == "detach" and self._detach is not None:
                self._detach()
                raise Withdrawn
            else:
                return chosen

    def _offered(self, question: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
        offered = {name: words for name, words in _WORDS.items() if name in question["choices"]}
        if self._inputs:
            offered["input"] = _ALWAYS["input"]
        if self._shell is not None and self._hosts(str(question["step"])):
            offered["shell"] = _ALWAYS["shell"]
        if self._power_on is not None and self._powered(str(question["step"])):
            offered["power"] = _ALWAYS["power"]
        offered["note"] = _ALWAYS["note"]
        if self._detach is not None:
            offered["detach"] = _ALWAYS["detach"]
        return offered

    def _changed(self, over: Callable[[], bool]) -> bool:
        for name, value in self._inputs.items():
            _say(f"  {name} = {one_line(str(value))}")
        name, _, value = typed("NAME=VALUE, or nothing to leave it: ", over).partition("=")
        if not name.strip():
            return False
        wrong = self._change(name.strip(), value.strip())
        if wrong:
            _say(wrong)
            return False
        self._inputs[name.strip()] = value.strip()
        return True

    def _on_a_host(
        self, hosts: list[str], act: Callable[[str], str] | None, over: Callable[[], bool]
    ) -> None:
        """Intervenes on the only host, or on the host that the operator chooses."""
        host = hosts[0]
        if len(hosts) > 1:
            host = typed(f"On which host ({', '.join(hosts)})? ", over)
        if host not in hosts:
            _say(f"{one_line(host)} is no host of this step. Its hosts: {', '.join(hosts)}.")
        elif act is not None and (said := act(host)):
            _say(said)

    def _noted(self, over: Callable[[], bool]) -> None:
        text = one_line(typed("Note for the log: ", over))
        if text:
            self._note(text)


def _say(text: str) -> None:
    print(text, file=sys.stderr)  # noqa: T201
