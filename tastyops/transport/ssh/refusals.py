"""One place that turns what paramiko, the socket and the gateway raise into our errors."""

from __future__ import annotations

import socket

from paramiko import (
    AuthenticationException,
    BadAuthenticationType,
    ChannelException,
    SSHException,
    Transport,
)
from paramiko.ssh_exception import IncompatiblePeer, NoValidConnectionsError

from tastyops.errors import AuthenticationFailed, TastyopsError, Unreachable
from tastyops.transport.ssh.channel import no_logins

NOTHING_SENT = "Nothing was sent to it."

_UNSIGNED = "cannot be used for signing"
"""paramiko's words where the agent refuses, which ends the connection."""

_NO_LOGINS = ("not permitted to log in", "is booting up", "is going down", "logins are disabled")
_FORBIDDEN = 1
"""SSH_OPEN_ADMINISTRATIVELY_PROHIBITED (RFC 4254, 5.1)."""


def unreachable(
    error: BaseException,
    *,
    where: str,
    seconds: float,
    transport: Transport | None = None,
    notes: tuple[str, ...] = (),
    proxy_said: str = "",
) -> TastyopsError:
    """The error an operator reads. ``where`` is ``user@host port n``; ``seconds`` the limit."""
    if isinstance(error, TastyopsError):
        return error
    banner = _banner(transport)
    if any(phrase in banner.lower() for phrase in _NO_LOGINS):
        return no_logins(where, banner)
    if isinstance(error, AuthenticationException) or _UNSIGNED in str(error):
        return _authentication(error, where, seconds, banner, notes)
    what, next_step = _what(error, seconds, transport)
    if proxy_said:
        what += f" The ProxyCommand said: {proxy_said}"
    return Unreachable(f"{where}: {what}", still_true=NOTHING_SENT, next_step=next_step)


def _banner(transport: Transport | None) -> str:
    """What sshd said before it let nobody in. Transport.get_banner gives none once it is closed,
    and sshd closes the connection right after pam_nologin's message.
    """
    handler = transport.auth_handler if transport is not None else None
    raw: bytes | str | None = handler.banner if handler is not None else None
    text = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else raw or ""
    return text.strip()


def _authentication(
    error: BaseException, where: str, seconds: float, banner: str, notes: tuple[str, ...]
) -> TastyopsError:
    if "timeout" in str(error).lower():
        return Unreachable(
            f"{where} did not answer the authentication within {seconds:g} s.",
            still_true="Nothing was run on it.",
            next_step="It may be overloaded; try again.",
        )
    reasons = list(notes)
    if _UNSIGNED in str(error):
        reasons.append("the agent refuses to sign with a key that the host takes")
    elif isinstance(error, BadAuthenticationType):
        reasons.append(f"it takes only {', '.join(error.allowed_types) or 'nothing'}")
    elif not reasons or "more than a key" in str(error):
        reasons.append(str(error))
    if banner:
        reasons.append(f"it says: {' '.join(banner.split())}")
    return AuthenticationFailed(
        f"{where} accepted none of our keys ({'; '.join(reasons)}).",
        still_true="Nothing was run on it.",
        next_step="Check user and identity_file in the inventory or ~/.ssh/config, add the key to "
        "the agent (ssh-add), or its public half to the host's authorized_keys. "
        "If `ssh` gets in by hand, say `connection: openssh` for this host in the inventory.",
    )


def _what(error: BaseException, seconds: float, transport: Transport | None) -> tuple[str, str]:
    """What happened, and what to do next."""
    text = str(error)
    early = transport is None or not transport.initial_kex_done
    silent = f"no answer within {seconds:g} s.", "Is it up, and does a firewall let SSH through?"
    if isinstance(error, ChannelException):
        return _forwarding(error)
    known: list[tuple[bool, tuple[str, str]]] = [
        (
            isinstance(error, socket.gaierror),
            (f"the name does not resolve ({text}).", "Check address in the inventory."),
        ),
        (isinstance(error, TimeoutError) or "Timeout opening channel" in text, silent),
        (
            isinstance(error, ConnectionRefusedError | NoValidConnectionsError),
            ("the connection was refused.", "Is sshd running there, on this port?"),
        ),
        (
            isinstance(error, IncompatiblePeer),
            (
                f"no common algorithm: {text}.",
                "Its sshd is very old or very strict. Where `ssh` gets in by hand, say "
                "`connection: openssh` for this host in the inventory.",
            ),
        ),
        (
            "banner" in text or (isinstance(error, EOFError) and early),
            (
                "it closed the connection or stayed silent before the SSH greeting.",
                "sshd may be starting, overloaded (MaxStartups), or it is no SSH server.",
            ),
        ),
        (
            "No existing session" in text,
            (f"the SSH negotiation did not end within {seconds:g} s.", "It may be overloaded."),
        ),
        (
            isinstance(error, SSHException | OSError | EOFError),
            (
                f"{getattr(error, 'strerror', None) or text or 'the connection was closed'}.",
                "Try `ssh -v` to it by hand.",
            ),
        ),
    ]
    for applies, told in known:
        if applies:
            return told
    return f"{type(error).__name__}: {text}.", "This is a fault in tastyops; please report it."


def _forwarding(error: ChannelException) -> tuple[str, str]:
    if error.code == _FORBIDDEN:
        return (
            "the jump host forbids forwarding.",
            "Allow it there (AllowTcpForwarding, PermitOpen in sshd_config).",
        )
    return f"the jump host could not reach it ({error.text}).", "Is it up?"
