"""What ``ssh`` said when it could not connect, as our errors.

Source of the messages: ``sshconnect.c``, ``sshconnect2.c``, ``ssh.c``, ``kex.c``, ``packet.c`` and
``readconf.c`` of OpenSSH portable, compared between 8.4, 9.2 and 10.5.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from tastyops.errors import (
    AuthenticationFailed,
    HostKeyChanged,
    HostKeyUnknown,
    TastyopsError,
    Unreachable,
    UsageError,
)
from tastyops.transport.openssh.client import Client
from tastyops.transport.openssh.record import Record
from tastyops.transport.ssh import known_hosts
from tastyops.transport.ssh.channel import no_logins

_NOTHING_SENT = "Nothing was sent to it."
_NOTHING_RUN = "Nothing was run on it."
_UNTOUCHED = "No host was touched."

_NO_LOGINS = ("not permitted to log in", "is booting up", "is going down", "logins are disabled")

KEY_UNKNOWN = re.compile(
    r"No (\S+) host key is known for (.+) and you have requested strict checking\."
)
_KEY_OFFENDS = re.compile(r"Offending (\S+) key in (.+:\d+)")
_KEY_SENT = re.compile(r"(SHA256:\S+?)\.")
_KEY_REVOKED = re.compile(r"The (\S+) host key for (.+) is marked as revoked\.")

_SAID_BYTES = 500


def refusal(client: Client, record: Record, failed: str) -> TastyopsError:
    """The error an operator reads. ``failed``: how the attempt ended, seen from outside."""
    where = record.where or client.where
    if not record.authenticating and (told := _host_key(client, where, record.messages)):
        return told(record)
    for line in record.messages:
        for pattern, explain in _KNOWN:
            if match := pattern.fullmatch(line):
                return explain(client, where, record, match)
    text = record.messages[-1] if record.messages and failed.startswith("ssh ended") else failed
    return _unreachable(where, record, f"{text.rstrip('.')}.", "Try `ssh -v` to it by hand.")


_Told = Callable[[Record], TastyopsError]


def _host_key(client: Client, where: str, lines: tuple[str, ...]) -> _Told | None:
    """What is wrong with the host's key, if that was it."""
    offends = sent = None
    for line in lines:
        if match := KEY_UNKNOWN.fullmatch(line):
            name = match[2]
            return lambda record: _unknown(client, name, record)
        if match := _KEY_REVOKED.fullmatch(line):
            name, kind = match[2], match[1]
            return lambda record: _revoked(name, kind, record)
        sent = _KEY_SENT.fullmatch(line) or sent
        offends = _KEY_OFFENDS.fullmatch(line) or offends
        if offends and re.match(r".*ost key for .* has changed and you have requested", line):
            place = offends[2]
            return lambda record: _changed(where, place, record)
    return None


def _unknown(client: Client, name: str, record: Record) -> TastyopsError:
    kind, fingerprint = record.server_key or ("a key", "")
    return key_unknown(client, name, f"{kind} {fingerprint}".strip())


def key_unknown(client: Client, name: str, key: str, *, jump: bool = False) -> HostKeyUnknown:
    """The error for a key that is in none of the files that ``ssh`` looks in."""
    what = "jump host " if jump else ""
    return HostKeyUnknown(
        f"The key of {what}{name} is not on record: it offered {key}.",
        still_true=_NOTHING_SENT,
        next_step="Compare the fingerprint with one from a source you trust, then run "
        f"`invoke trust {client.host.name}`.",
    )


def _revoked(name: str, kind: str, record: Record) -> TastyopsError:
    kind, fingerprint = record.server_key or (kind, "")
    return HostKeyChanged(
        f"{name} offered a key that is marked as revoked: {kind} {fingerprint}.",
        still_true=_NOTHING_SENT,
        next_step="Find out why the host still has this key; do not connect to it.",
    )


def _changed(where: str, place: str, record: Record) -> TastyopsError:
    kind, fingerprint = record.server_key or ("a key", "")
    file = Path(place.rpartition(":")[0])
    old = [entry.key.fingerprint for entry in known_hosts.entries(file) if entry.place == place]
    on_record = f"{old[0]} ({place})" if old else place
    return HostKeyChanged(
        f"{where} offered another key than the one on record: offered {kind} {fingerprint}, on "
        f"record {on_record}.",
        still_true=_NOTHING_SENT,
        next_step="Either the host was reinstalled or something stands between. Ask whoever "
        f"runs it; only if the new key is right, remove the line {place} and run "
        "`invoke trust` again.",
    )


# -- the other last words --------------------------------------------------------------------------


def _denied(client: Client, where: str, record: Record, match: re.Match[str]) -> TastyopsError:
    """Our keys were refused, or the host lets nobody in for now."""
    if told := _closed_to_all(where, record):
        return told
    reasons = record.keys() or ["there was no key to offer"]
    methods = match[1]
    if methods and "publickey" not in methods:
        reasons.append(f"it takes only {methods}")
    if record.said.strip() and not record.proxied:
        reasons.append(f"it says: {_one_line(record.said)}")
    return AuthenticationFailed(
        f"{where} accepted none of our keys ({'; '.join(reasons)}).",
        still_true=_NOTHING_RUN,
        next_step="Check user and identity_file in the inventory or ssh_config, add the key to "
        "the agent (ssh-add), or its public half to the host's authorized_keys. A run that is "
        "begun on a terminal has ssh ask there for a passphrase.",
    )


def _closed_to_all(where: str, record: Record) -> TastyopsError | None:
    banner = record.said
    if record.authenticating and any(phrase in banner.lower() for phrase in _NO_LOGINS):
        return no_logins(where, banner)
    return None


def _closed(client: Client, where: str, record: Record, match: re.Match[str]) -> TastyopsError:
    """The connection ended; how far it had come says why."""
    if told := _closed_to_all(where, record):
        return told
    if record.authenticating:
        return _unreachable(
            where, record, f"{match[0].rstrip('.')} while we authenticated.",
            "Look at sshd's log there; it may be overloaded, or refuse this account.",
        )
    if record.greeted:
        return _unreachable(
            where, record, f"{match[0].rstrip('.')} during the SSH negotiation.",
            "It may be overloaded; try again.",
        )
    if "stdio forwarding failed" in record.said:
        return _unreachable(
            where, record, "the jump host could not reach it, or forbids forwarding.",
            "Is it up? Does the jump host allow it (AllowTcpForwarding, PermitOpen)?",
        )
    if record.proxied:
        return _unreachable(
            where, record, "the way through the proxy or jump host failed.",
            "Try `ssh -v` to it by hand.",
        )
    return _unreachable(
        where, record, "it closed the connection or stayed silent before the SSH greeting.",
        "sshd may be starting, overloaded (MaxStartups), or it is no SSH server.",
    )


def _too_many(client: Client, where: str, record: Record, match: re.Match[str]) -> TastyopsError:
    return AuthenticationFailed(
        f"{where} was offered more keys than it takes ({'; '.join(record.keys())}).",
        still_true=_NOTHING_RUN,
        next_step="Name the right key as identity_file, and say `IdentitiesOnly yes` "
        "in ssh_config.",
    )


def _configuration(
    client: Client, where: str, record: Record, match: re.Match[str]
) -> TastyopsError:
    return UsageError(
        f"ssh does not take its configuration for {client.host.name}: {match[0]}.",
        still_true=_UNTOUCHED,
        next_step="Correct the line; `ssh -G HOST` shows what ssh makes of it.",
    )


_Explain = Callable[[Client, str, Record, "re.Match[str]"], TastyopsError]


def _plainly(what: str, next_step: str) -> _Explain:
    """An explanation that only needs the message's own words."""
    return lambda client, where, record, match: _unreachable(
        where, record, what.format(*match.groups()), next_step
    )


_KNOWN: tuple[tuple[re.Pattern[str], _Explain], ...] = (
    (re.compile(r".*: Permission denied \((.*)\)\."), _denied),
    (re.compile(r"Received disconnect from .*:2: Too many authentication failures"), _too_many),
    (
        re.compile(r"ssh: Could not resolve hostname .*?: (.*)"),
        _plainly("the name does not resolve ({0}).", "Check address in the inventory."),
    ),
    (
        re.compile(r"ssh: connect to host .* port \d+: Connection refused"),
        _plainly("the connection was refused.", "Is sshd running there, on this port?"),
    ),
    (
        re.compile(r"ssh: connect to host .* port \d+: Connection timed out"),
        _plainly("no answer in time.", "Is it up, and does a firewall let SSH through?"),
    ),
    (
        re.compile(r"Connection timed out during banner exchange"),
        _plainly(
            "it stayed silent before the SSH greeting.",
            "sshd may be starting, overloaded (MaxStartups), or it is no SSH server.",
        ),
    ),
    (
        re.compile(r"ssh: connect to host .* port \d+: (.*)"),
        _plainly("{0}.", "Is it up, and is there a route to it?"),
    ),
    (
        re.compile(r"bind (.*): (.*)"),
        _plainly(
            "the BindAddress {0} cannot be used here ({1}).",
            "Correct it in ssh_config, or see whether the network it belongs to is up.",
        ),
    ),
    (
        re.compile(r"getaddrinfo: (.*): (.*)"),
        _plainly("the BindAddress {0} does not resolve ({1}).", "Correct it in ssh_config."),
    ),
    (
        re.compile(r"Unable to negotiate with .*?: (no matching .* found)\. (Their offer: .*)"),
        _plainly("{0}. {1}.", "Its sshd is very old or very strict."),
    ),
    (
        re.compile(
            r"(?:ssh_dispatch_run_fatal|kex_exchange_identification|banner exchange|ssh_exchange_"
            r"identification)?(?:: )?(?:read: )?(?:Connection (?:closed|reset|to|from|timed) .*"
            r"|Disconnected from .*|Received disconnect from .*)"
        ),
        _closed,
    ),
    (
        re.compile(r"(.*(?:line \d+|configuration option|user config|ermissions on).*)"),
        _configuration,
    ),
)
"""Last words, and what they mean; the first that fits counts."""


def _unreachable(where: str, record: Record, what: str, next_step: str) -> TastyopsError:
    if record.proxied and record.proxy_words and not record.authenticating:
        what += f" The way there said: {record.proxy_words}"
    return Unreachable(f"{where}: {what}", still_true=_NOTHING_SENT, next_step=next_step)


def _one_line(text: str) -> str:
    return " ".join(text[-_SAID_BYTES:].split())
