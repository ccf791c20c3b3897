"""Values given with ``--var name=value``: inputs, and answers to later ``ask:`` steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tastyops.app.operators import Person
from tastyops.errors import NeedsPerson, UsageError, did_you_mean
from tastyops.model.coercion import input_value
from tastyops.model.public_text import one_line
from tastyops.model.runbook import Input, Runbook


def resolve(
    runbook: Runbook, given: Sequence[str], person: Person | None
) -> tuple[dict[str, Any], dict[str, str]]:
    """The inputs' values by name, and the answers by step id. Raises UsageError, NeedsPerson.

    Secret inputs are left out: ``secrets.resolve_secrets`` resolves them.
    """
    asks = (step for step in runbook.steps() if step.action == "ask")
    asking = {step.register: step for step in asks if step.register}
    inputs: dict[str, Any] = {}
    answers: dict[str, str] = {}
    for word in given:
        name, equals, text = word.partition("=")
        if not equals or not name:
            raise UsageError(
                f"--var {word}: a name and a value are needed, as name=value.",
                still_true="No host was touched.",
            )
        if name in runbook.inputs and runbook.inputs[name].secret:
            raise UsageError(
                f"--var {name}: a secret must not be given on the command line, where the "
                "process list and the shell's history show it.",
                still_true="No host was touched.",
                next_step=f"Give {name} a `source:` in the runbook, or type it when asked. If that "
                "was its value, change it.",
            )
        if name in runbook.inputs:
            inputs[name] = input_value(runbook.inputs[name], text)
        elif name in asking:
            answers[asking[name].id] = text
        else:
            known = [*runbook.inputs, *filter(None, asking)]
            raise UsageError(
                f"--var {name}: the runbook has no such input.",
                still_true="No host was touched.",
                next_step=did_you_mean(name, known) or f"Inputs: {', '.join(known) or 'none'}.",
            )
    for name, wanted in runbook.inputs.items():
        if name not in inputs and not wanted.secret:
            inputs[name] = _default(wanted, person)
    return inputs, answers


def _default(wanted: Input, person: Person | None) -> Any:
    if wanted.has_default:
        return wanted.default
    if person is None:
        raise NeedsPerson(
            f"The input {wanted.name} has no value ({wanted.help or wanted.type}).",
            still_true="No host was touched.", next_step=f"Give --var {wanted.name}=…",
        )
    while True:
        try:
            text = person.line(f"{one_line(f'{wanted.name} ({wanted.help or wanted.type})')}: ")
        except EOFError as error:
            raise NeedsPerson(
                f"The input {wanted.name} has no value.", still_true="No host was touched.",
                next_step=f"Give --var {wanted.name}=…",
            ) from error
        try:
            return input_value(wanted, text)
        except UsageError as error:
            person.say(one_line(str(error)))
