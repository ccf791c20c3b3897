"""Attaching a console as the inventory says, and finding who holds it."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence

from tastyops.errors import ConsoleHeld, ConsoleUnreachable
from tastyops.model.inventory import Host
from tastyops.model.out_of_band import CONSOLE_SECRET, IPMI_PASSWORD, ConsoleWay
from tastyops.model.public_text import one_line
from tastyops.redact import Masker
from tastyops.transport.console.attached import Attached
from tastyops.transport.console.transports import CommandLine, Line, SocketLine, SolLine

SOL_PATIENCE = 30.0
"""Seconds serial over LAN may take to begin."""

COMMAND_PATIENCE = 2.0
"""Seconds within which a command that cannot attach usually ends."""

_SOL = ("sol", "activate")
_OPERATIONAL = r"SOL Session operational"
_HELD = r"SOL payload already active|already (in use|attached|connected)|console is busy"
"""ipmitool(1), and what console servers say."""


def attach(
    host: Host,
    way: ConsoleWay,
    *,
    heard: Callable[[bytes], None],
    bmc_password: str = "",
    login_password: Callable[[], str] = str,
    masker: Masker | None = None,
    take: bool = False,
    pace: float = 1.0,
) -> Attached:
    """The host's console. Raises ConsoleUnreachable, ConsoleHeld.

    ``login_password`` is called when it is to be typed; it gives "" where there is none.
    ``pace`` is how many of the run's seconds pass in a real one.
    """
    command = way.ipmi.command(*_SOL) if way.ipmi else way.command
    environment = {IPMI_PASSWORD: bmc_password} if way.ipmi else {}
    release = way.release or _release(command)
    if take:
        _run(host, release, environment)

    def secret(name: str) -> bytes:
        password = login_password() if name == CONSOLE_SECRET else ""
        if not password:
            raise ConsoleUnreachable(
                f"The inventory gives {host.name}'s console no password.",
                still_true="Nothing was typed.",
                next_step="Give its `console:` a `password:`.",
            )
        return password.encode()

    try:
        line = _line(way, command, environment, release)
    except OSError as error:
        raise _unreachable(host, error.strerror or str(error)) from error
    attached = Attached(line, way.named, heard, masker=masker, secret=secret, pace=pace)
    try:
        _check(host, attached, command, environment, release)
    except BaseException:
        attached.close()
        raise
    return attached


def _line(
    way: ConsoleWay,
    command: tuple[str, ...],
    environment: Mapping[str, str],
    release: tuple[str, ...],
) -> Line:
    if way.socket:
        return SocketLine(way.socket)
    if command[-2:] == _SOL:
        return SolLine(command, environment, lambda: _discard(_output(release, environment)))
    return CommandLine(command, environment)


def _discard(said: str) -> None:
    """Nobody is interested in it any more."""


def _check(
    host: Host,
    attached: Attached,
    command: Sequence[str],
    environment: Mapping[str, str],
    release: Sequence[str],
) -> None:
    """Raises unless the console is attached, as far as can be seen."""
    if not command:
        return
    sol = tuple(command[-2:]) == _SOL
    said = attached.until(
        [_OPERATIONAL, _HELD] if sol else [_HELD], SOL_PATIENCE if sol else COMMAND_PATIENCE
    )
    if re.search(_HELD, said, re.IGNORECASE) and (attached.lost or sol):
        known = f"`invoke console {host.name} --take` ends their session"
        raise ConsoleHeld(
            f"Somebody else has {host.name}'s console{_holders(command, environment)}.",
            still_true="Nothing was taken from them.",
            next_step=f"Ask them; {known if release else 'a `release:` could end their session'}.",
        )
    if attached.lost or (sol and not re.search(_OPERATIONAL, said)):
        raise _unreachable(host, one_line(said)[-300:] or attached.lost or "it did not answer")
    if sol:
        attached.begin()


def _unreachable(host: Host, why: str) -> ConsoleUnreachable:
    return ConsoleUnreachable(
        f"{host.name}'s console cannot be attached: {why.rstrip('.')}.",
        still_true="The host goes on as it was.",
        next_step="Try its `console:` by hand; while the rack is dark nothing answers.",
    )


def _release(command: Sequence[str]) -> tuple[str, ...]:
    """The command that ends another's session, if it can be derived from the one that begins it."""
    return (*command[:-1], "deactivate") if tuple(command[-2:]) == _SOL else ()


def _run(host: Host, release: Sequence[str], environment: Mapping[str, str]) -> None:
    if not release:
        raise ConsoleUnreachable(
            f"The inventory does not say how another's session on {host.name}'s console is ended.",
            still_true="Nothing was taken from anybody.",
            next_step="Give its `console:` a `release:`.",
        )
    _output(release, environment)  # none to be ended is no failure


def _holders(command: Sequence[str], environment: Mapping[str, str]) -> str:
    """The addresses that the controller's sessions come from, if it lists them."""
    if tuple(command[-2:]) != _SOL:
        return ""
    said = _output((*command[:-2], "session", "info", "active"), environment)
    places = re.findall(r"console ip\s*:\s*([0-9A-Fa-f.:]+)", said)
    return f" (its sessions: from {', '.join(sorted(set(places)))})" if places else ""


def _output(argv: Sequence[str], environment: Mapping[str, str]) -> str:
    try:
        ended = subprocess.run(
            argv, env={**os.environ, **environment}, stdin=subprocess.DEVNULL,
            capture_output=True, timeout=SOL_PATIENCE, check=False, start_new_session=True,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return ended.stdout.decode("utf-8", "replace")
