"""The keys that a host and its jump hosts show, fetched by ``ssh``, and where it looks for them.

``ssh`` checks each key itself; one that is not on record is read from a file of ours, into which
``ssh`` is let write it. Nobody is authenticated to any of these hosts.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tastyops.errors import HostKeyUnknown, TastyopsError, UsageError
from tastyops.model.inventory import Host
from tastyops.transport.openssh.client import Client, workspace
from tastyops.transport.openssh.record import Record
from tastyops.transport.openssh.refusals import key_unknown, refusal
from tastyops.transport.openssh.resolved import resolved
from tastyops.transport.ssh import known_hosts
from tastyops.transport.ssh.timing import Timing

_NAME = re.compile(r"\[(.*)\]:(\d+)")
_LONGEST = 120.0


@dataclass(frozen=True, slots=True)
class _Hop:
    """A host on the way, as it would be typed at ``ssh``."""

    client: Client
    options: tuple[str, ...] = ()
    jump: bool = False


def fetch(host: Host, usual: Path | None, timing: Timing | None = None) -> known_hosts.Offered:
    """The key of the host, or of the first jump host on the way whose key is not on record.

    Raises Unreachable, HostKeyChanged for a key that contradicts the record, UsageError.
    """
    client = Client(host, usual, timing or Timing())
    client.check()
    for hop in _way(client):
        offered = _offered(hop)
        if not hop.jump or not offered.recorded:
            return offered
    raise UsageError(f"There is no way to {host.name}.")  # never: the host itself comes last


def _way(client: Client) -> list[_Hop]:
    """The jump hosts in order, then the host; a jump host's own ProxyJump is its own business."""
    jumps = resolved(client).get("proxyjump", "none")
    names = [] if jumps == "none" else jumps.split(",")
    hops = []
    for number, name in enumerate(names):
        before = ("-J", ",".join(names[:number])) if number else ()
        hops.append(_Hop(_jump(client, name), before, jump=True))
    return [*hops, _Hop(client)]


def _jump(client: Client, name: str) -> Client:
    """``ssh`` to a jump host, for which the inventory says nothing but where keys are recorded."""
    address = name if name.startswith("ssh://") else f"ssh://{name}"
    plain = replace(
        client.host, address=address, port=None, user=None, identity_file=None, known_hosts=None
    )
    return replace(client, host=plain, recorded=client.host.known_hosts)


def _offered(hop: _Hop) -> known_hosts.Offered:
    recorded = True
    try:
        _attempt(hop)
    except HostKeyUnknown:
        recorded = False
    with _file() as shown:
        _attempt(hop, "-o", "StrictHostKeyChecking=accept-new", "-o", "HashKnownHosts=no",
                 recorded=shown)  # fmt: skip
        entries = known_hosts.entries(Path(shown))
    if not entries:
        raise UsageError(
            f"ssh did not show the key of {hop.client.target}.",
            still_true="Nothing was sent to it.",
            next_step="A KnownHostsCommand in ssh_config may give it; then it is on record there.",
        )
    name, port = entries[0].patterns[0], known_hosts.SSH_PORT
    if match := _NAME.fullmatch(name):
        name, port = match[1], int(match[2])
    return known_hosts.Offered(name, port, entries[0].key, hop.jump, recorded, _kept_in(hop))


@contextlib.contextmanager
def _file() -> Iterator[str]:
    """A path that ``ssh`` may write to."""
    path = f"{workspace().stem()}.keys"
    try:
        yield path
    finally:
        with contextlib.suppress(OSError):
            os.unlink(path)


def _attempt(hop: _Hop, *options: str, recorded: str = "") -> None:
    """Has ``ssh`` check the host's key and then offer nothing. Raises what was wrong with it."""
    stem = workspace().stem()
    words = hop.client.words(
        *hop.options, *options, "-T", "-n", "-v", "-E", f"{stem}.log",
        "-o", "PreferredAuthentications=none", recorded=recorded,
    )  # fmt: skip
    try:
        done = subprocess.run(
            [*words, "true"], stdin=subprocess.DEVNULL, capture_output=True, timeout=_LONGEST,
            check=False, start_new_session=True,
        )  # fmt: skip
        said, failed = done.stderr, f"ssh ended with status {done.returncode}"
    except subprocess.TimeoutExpired as late:
        said, failed = late.stderr or b"", f"no answer within {_LONGEST:g} s"
    log = Path(f"{stem}.log")
    text = log.read_text("utf-8", "replace") if log.exists() else ""
    log.unlink(missing_ok=True)
    texts = text, said.decode("utf-8", "replace")
    record = Record(*map(workspace().originals_in, texts))
    if not record.authenticating:
        raise refusal(hop.client, record, failed)


def _kept_in(hop: _Hop) -> Path:
    """The file that a new key belongs into: the inventory's, else the first that ``ssh`` reads."""
    ours = hop.client.host.known_hosts or hop.client.recorded
    read = resolved(hop.client)["userknownhostsfile"].split() if not ours else []
    return Path(ours or _first_path(read)).expanduser()


def _first_path(words: Sequence[str]) -> str:
    """``ssh -G`` puts blanks between paths and quotes none of them."""
    path = words[0]
    for word in words[1:]:
        if word.startswith(("/", "~")):
            break
        path += f" {word}"
    return path


def jump_in_the_way(client: Client, record: Record) -> TastyopsError | None:
    """What is wrong with a jump host's key, where that kept us from the host.

    The words of the way there are only a hint: the jump hosts are asked for their keys.
    """
    if record.greeted or not record.proxied or "ost key" not in record.proxy_words:
        return None
    try:
        for hop in _way(client):
            if hop.jump and not (offered := _offered(hop)).recorded:
                name = known_hosts.written_name(offered.name, offered.port)
                key = f"{offered.kind} {offered.fingerprint}"
                return key_unknown(client, name, key, jump=True)
    except TastyopsError as error:
        return error
    return None
