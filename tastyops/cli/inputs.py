"""``--var name=value``: inputs before the first step, answers to ``ask:`` steps when they come."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from tastyops.errors import NeedsPerson, UsageError, did_you_mean
from tastyops.model.coercion import input_value
from tastyops.model.public_text import one_line
from tastyops.model.runbook import Input, Runbook
from tastyops.ui.prompts import typed


def resolve(
    runbook: Runbook, given: Sequence[str], *, ask: bool
) -> tuple[dict[str, Any], dict[str, str]]:
    """The inputs' values by name, and the answers by step id. Raises UsageError, NeedsPerson.

    Secret inputs are left out: ``secrets.resolve_secrets`` has them.
    """
    asks = (step for step in runbook.steps() if step.action == "ask")
    asking = {step.register: step for step in asks if step.register}
    inputs: dict[str, Any] = {}
    answers: dict[str, str] = {}
    for word in given:
        name, equals, text = word.partition("=")
        if not equals or not name:
            raise UsageError(
                f"--var {word}: it wants a name and a value, name=value.",
                still_true="No host was touched.",
            )
        if name in runbook.inputs and runbook.inputs[name].secret:
            raise UsageError(
                f"--var {name}: a secret is not given on the command line; there it stands in the "
                "process list and in the shell's history.",
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
            inputs[name] = _default(wanted, ask=ask)
    return inputs, answers


def _default(wanted: Input, *, ask: bool) -> Any:
    if wanted.has_default:
        return wanted.default
    if not ask:
        raise NeedsPerson(
            f"The input {wanted.name} has no value ({wanted.help or wanted.type}).",
            still_true="No host was touched.", next_step=f"Give --var {wanted.name}=…",
        )
    while True:
        try:
            text = typed(f"{one_line(f'{wanted.name} ({wanted.help or wanted.type})')}: ")
        except EOFError as error:
            raise NeedsPerson(
                f"The input {wanted.name} has no value.", still_true="No host was touched.",
                next_step=f"Give --var {wanted.name}=…",
            ) from error
        try:
            return input_value(wanted, text)
        except UsageError as error:
            print(one_line(str(error)), file=sys.stderr)  # noqa: T201
