"""Secrets: resolved before the first step, never shown and never on a command line."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tastyops.app.devices import DevicePasswords, device_passwords, sources_of
from tastyops.app.operators import Person
from tastyops.app.secret_sources import UnfitError, fetch, fit
from tastyops.errors import NeedsPerson, SecretUnavailable, TastyopsError
from tastyops.model.inventory import Host
from tastyops.model.public_text import one_line
from tastyops.model.runbook import Runbook
from tastyops.model.secret_source import ASKED, SecretSource, SourceKind
from tastyops.redact import Masker

VARIABLE = "TASTYOPS_SUDO_PASSWORD"
"""The environment variable a sudo password may come from where nobody can type it."""

UNTOUCHED = "No host was touched."


@dataclass(frozen=True)
class Secrets:
    """Every secret of a run: the inputs' values by name, the sudo passwords by host, and those of
    consoles and power switches.
    """

    inputs: Mapping[str, str] = field(default_factory=dict, repr=False)
    passwords: Mapping[str, str] = field(default_factory=dict, repr=False)
    devices: DevicePasswords = field(default_factory=DevicePasswords)

    def masker(self) -> Masker:
        """Masks all of them."""
        devices = self.devices.to_mask
        return Masker({*self.inputs.values(), *self.passwords.values(), *devices})


def packed(hidden: Secrets) -> bytes:
    """All secrets of a run as one piece, for the pipe to the process that goes on with it."""
    devices = hidden.devices
    data = {
        "inputs": dict(hidden.inputs),
        "passwords": dict(hidden.passwords),
        "values": [[each.kind, each.words, text] for each, text in devices.values.items()],
        "missing": [[each.kind, each.words, why] for each, why in devices.missing.items()],
    }
    return json.dumps(data).encode()


def unpacked(data: bytes) -> Secrets:
    """The secrets that another process packed. Raises SecretUnavailable where there are none."""

    def by_source(listed: list[tuple[SourceKind, list[str], str]]) -> dict[SecretSource, str]:
        return {SecretSource(kind, tuple(words)): text for kind, words, text in listed}

    try:
        found = json.loads(data)
        devices = DevicePasswords(by_source(found["values"]), by_source(found["missing"]))
        return Secrets(dict(found["inputs"]), dict(found["passwords"]), devices)
    except (ValueError, KeyError, TypeError) as error:
        raise SecretUnavailable(
            "The run's secrets were not handed over on standard input.", still_true=UNTOUCHED,
            next_step="Resume the run without --handed-over.",
        ) from error


def resolve_secrets(runbook: Runbook, hosts: Sequence[Host], person: Person | None) -> Secrets:
    """Every secret a run needs, resolved at its start and again when it is resumed.

    Raises SecretUnavailable or NeedsPerson, with all problems at once.
    """
    finder = _Finder(person)
    inputs = {
        name: finder.find(
            wanted.secret, Path(runbook.path).parent, f"the input {name}",
            f"{name} ({wanted.help or 'a secret'})",
        )
        for name, wanted in runbook.inputs.items()
        if wanted.secret
    }
    passwords = finder.passwords(hosts)
    finder.settle()
    devices = device_passwords(hosts)
    return Secrets({k: v for k, v in inputs.items() if v is not None}, passwords, devices)


def at_hand(runbook: Runbook, hosts: Sequence[Host]) -> tuple[set[str], list[str]]:
    """The secrets of a run from the environment and from files, and the names of all others.

    A command may ask for a key, and only the run's process knows what was typed for the run.
    """
    base = Path(runbook.path).parent
    found = [(name, wanted.secret, base) for name, wanted in runbook.inputs.items()]
    for host in hosts:
        sudo = (host.sudo_password or ASKED) if host.sudo == "ask" else None
        found.append((f"the sudo password of {host.name}", sudo, Path()))
        devices = () if host.practice else sources_of(host)  # the lab's may be too short to mask
        found += [(f"a device's password of {host.name}", each, Path()) for each in devices]
    known: set[str] = set()
    with contextlib.suppress(UnfitError):
        known.add(fetch(SecretSource("env", (VARIABLE,)), Path()))
    beyond = []
    for name, source, place in found:
        if source is None or (source == ASKED and known and name not in runbook.inputs):
            continue
        if (value := _silently(source, place)) is None:
            beyond.append(name)
        else:
            known.add(value)
    return known, beyond


def _silently(source: SecretSource, place: Path) -> str | None:
    if source.kind in ("env", "file"):
        with contextlib.suppress(UnfitError):
            return fetch(source, place)
    return None


@dataclass
class _Finder:
    """Looks for secrets, and collects the problems until all have been looked for."""

    person: Person | None
    problems: list[str] = field(default_factory=list)
    alone: list[str] = field(default_factory=list)

    def find(self, source: SecretSource, base: Path, name: str, prompt: str) -> str | None:
        """One secret; None with a problem noted."""
        if source.kind != "asked":
            try:
                return fetch(source, base)
            except UnfitError as error:
                self.problems.append(f"{name}: {error}")
                return None
        if self.person is None:
            self.alone.append(f"{name} is a secret without a `source:`")
            return None
        if self.problems or self.alone:  # nobody types what is of no use
            return None
        return _typed(self.person, f"{one_line(prompt)}: ", name)

    def passwords(self, hosts: Sequence[Host]) -> dict[str, str]:
        """The sudo password of each host that needs one; one question for all that say ``ask``."""
        found: dict[str, str | None] = {}
        wanting = [host for host in hosts if host.sudo == "ask"]
        sources = list(dict.fromkeys(host.sudo_password or ASKED for host in wanting))
        for source in sources:
            names = [h.name for h in wanting if (h.sudo_password or ASKED) == source]
            found |= dict.fromkeys(names, self._password(source, ", ".join(names)))
        return {name: password for name, password in found.items() if password is not None}

    def _password(self, source: SecretSource, names: str) -> str | None:
        what = f"the sudo password of {names}"
        if source == ASKED and os.environ.get(VARIABLE):
            source = SecretSource("env", (VARIABLE,))
        if source == ASKED and self.person is None:
            self.alone.append(f"{names}: sudo needs a password; set {VARIABLE} or give its source")
            return None
        return self.find(source, Path(), what, f"sudo password for {names}")

    def settle(self) -> None:
        """Raises the problems that were noted, if there are any."""
        if not self.problems and not self.alone:
            return
        lines = [*self.problems, *(f"{line}, and nobody is here to type it" for line in self.alone)]
        kind = SecretUnavailable if self.problems else NeedsPerson
        raise kind(
            "\n".join(f"{line[0].upper()}{line[1:]}." for line in lines), still_true=UNTOUCHED,
            next_step="Correct its `source:`, add one (`source: {env: NAME}`), or start the run on "
            "a terminal.",
        )


def _typed(person: Person, prompt: str, name: str) -> str:
    """A secret from the keyboard; asked for again until it can be masked."""
    while True:
        try:
            return fit(person.secret(prompt).encode(), "it")
        except (UnfitError, UnicodeEncodeError) as error:
            said = error if isinstance(error, UnfitError) else "it is not UTF-8 text"
            person.say(f"{said}; once more, please.")
        except EOFError:
            raise NeedsPerson(f"{name} has no value.", still_true=UNTOUCHED) from None


@contextlib.contextmanager
def masked_errors(mask: Callable[[str], str]) -> Iterator[None]:
    """Masks every error raised inside: a template's error may quote a secret."""
    try:
        yield
    except Exception as error:
        each: BaseException | None = error
        while each is not None:
            each.args = tuple(mask(arg) if isinstance(arg, str) else arg for arg in each.args)
            if isinstance(each, TastyopsError):
                each.what, each.still_true = mask(each.what), mask(each.still_true)
                each.next_step = mask(each.next_step)
            each = each.__context__
        raise
