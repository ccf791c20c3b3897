"""What ``ssh`` wrote of one attempt to connect, as facts.

``log`` is its own file (``-E``, at DEBUG1). ``said`` is its standard error: the banner, and the
words of a ProxyCommand or of the ``ssh`` to a jump host; nothing is concluded from those but what
happened on the way.

Source: ``sshconnect.c``, ``sshconnect2.c``, ``kex.c``, ``packet.c`` and ``log.c`` of OpenSSH
portable, compared between 8.4, 9.2 and 10.5.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import cached_property

_ADDRESSED = re.compile(r"debug1: Authenticating to (.*):(\d+) as '(.*)'")
_SERVER_KEY = re.compile(r"debug1: Server host (?:key|certificate): (\S+) (SHA256:[^ ,]+)")
_OFFERED = re.compile(r"debug1: Offering public key: (.*)")
_TRYING = re.compile(r"debug1: Trying private key: (.*)")
_ACCEPTED = re.compile(r"debug1: Server accepts key: (.*)")
_SIGNING = re.compile(r"(?:sign_and_send_pubkey: )?signing failed for .*: (.*)")
_LOAD = re.compile(r"Load key \"(.*)\": (.*)")
_MISSING = re.compile(r"no such identity: (.*): (.*)")
_CHATTER = re.compile(r"debug\d: |OpenSSH_\S+ |Authenticated to |Transferred: |Bytes per second: ")
_SAID_BYTES = 500


@dataclass(frozen=True)
class Record:
    """The texts of both files."""

    log: str
    said: str

    @cached_property
    def lines(self) -> tuple[str, ...]:
        """The log's lines."""
        return tuple(self.log.replace("\r\n", "\n").splitlines())

    @cached_property
    def messages(self) -> tuple[str, ...]:
        """The last words: the lines after which ``ssh`` did nothing more but end.

        A host may send text with line breaks in it (the reason of a disconnect, a list of
        algorithms). So what counts is the first of these lines that is known, and nothing earlier
        in the log.
        """
        last = 0
        for number, line in enumerate(self.lines, 1):
            if line.startswith("debug"):
                last = number
        return tuple(line for line in self.lines[last:] if line)

    def found(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """The last line of the log that is all of the pattern."""
        matches = (pattern.fullmatch(line) for line in reversed(self.lines))
        return next((match for match in matches if match), None)

    @property
    def wants_person(self) -> bool:
        """Whether a person could help: with a passphrase, a PIN, or what the host asks for."""
        asks = re.compile(r".*: Permission denied \(.*(?:password|keyboard-interactive).*\)\.")
        return any("passphrase" in note for note in self.keys()) or bool(self.found(asks))

    @property
    def greeted(self) -> bool:
        """Whether the far end has shown that it speaks SSH."""
        return any(line.startswith("debug1: Remote protocol version") for line in self.lines)

    @property
    def signing(self) -> bool:
        """Whether a key is to sign now, which a person may have to allow."""
        marks = ("debug1: Server accepts key", "debug1: Trying private key")
        return bool(self.lines) and self.lines[-1].startswith(marks)

    @property
    def authenticating(self) -> bool:
        """Whether the host's key was accepted and ours were being tried."""
        return any(line.startswith("debug1: Authentications that can") for line in self.lines)

    @property
    def proxied(self) -> bool:
        """Whether a ProxyCommand or a jump host stands between."""
        return any(line.startswith("debug1: Executing proxy") for line in self.lines)

    @cached_property
    def proxy_words(self) -> str:
        """What was said on the way there, without what ``ssh`` says at ``-v``, on one line."""
        kept = [line for line in self.said.splitlines() if not _CHATTER.match(line)]
        return " ".join(" ".join(kept).split())[-_SAID_BYTES:]

    @property
    def where(self) -> str:
        """``user@host port n`` as ``ssh`` came to it, or nothing when it did not come so far."""
        if match := self.found(_ADDRESSED):
            host, port, user = match.groups()
            return f"{user}@{host}" + (f" port {port}" if port != "22" else "")
        return ""

    @property
    def server_key(self) -> tuple[str, str] | None:
        """The kind and the fingerprint of the key that the host showed."""
        match = None
        for line in self.lines:
            match = _SERVER_KEY.match(line) or match
        return (match[1], match[2]) if match else None

    def keys(self) -> list[str]:
        """What became of each key that was tried, for a person."""
        notes: dict[str, str] = {}
        last = ""
        for line in self.lines:
            if match := _OFFERED.fullmatch(line):
                last = _named(match[1])
                notes[last] = "refused"
            elif match := _TRYING.fullmatch(line):
                last = match[1]
                if os.path.exists(os.path.expanduser(last)):
                    notes[last] = "needs a passphrase, and the agent does not hold it"
            elif match := _ACCEPTED.fullmatch(line):
                last = _named(match[1])
                notes[last] = "the host takes it, but it needs a passphrase (or a PIN)"
            elif match := _SIGNING.fullmatch(line):
                notes[last] = f"the host takes it, but it does not sign: {match[1]}"
            elif match := _LOAD.fullmatch(line):
                notes[match[1]] = match[2]
            elif match := _MISSING.fullmatch(line):
                notes[match[1]] = "no such file"
        return [f"{key}: {note}" for key, note in notes.items()]


def _named(identity: str) -> str:
    """A key as ``ssh`` writes it (file or comment, kind, fingerprint, origin), for a person."""
    words = identity.removesuffix(" explicit").split()
    origin = "agent" if "agent" in words else ""
    words = [word for word in words if word not in ("explicit", "agent", "authenticator", "token")]
    name = " ".join(words[:-2]) if len(words) > 2 else identity
    return f"{name} (from the agent)" if origin else name
