"""ARRAY lines of mdadm.conf(5), reconciled with the arrays that run."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from tastyops.errors import Refused
from tastyops.mirrors.storage import Storage
from tastyops.probes.initrd import uuid_digits
from tastyops.probes.md import Array

_UUID = re.compile(r"\buuid=([0-9a-f:.-]{32,48})", re.IGNORECASE)
_METADATA = re.compile(r"\bmetadata=(\S+)", re.IGNORECASE)


def uuid_of(storage: Storage, array: Array) -> str:
    """An array's UUID as 32 hexadecimal digits; older kernels tell it only by its members."""
    members = (storage.disks.device(member.device) for member in array.in_sync)
    found = [array.uuid, *(device.uuid for device in members if device)]
    digits = next((uuid_digits(uuid) for uuid in found if uuid), "")
    if len(digits) != 32:
        raise Refused(f"the UUID of {array.path} cannot be read")
    return digits


def line_of(array: Array, uuid: str) -> str:
    """The line that says which array this is: its name may move, its UUID does not."""
    groups = ":".join(uuid[at : at + 8] for at in range(0, 32, 8))
    metadata = f" metadata={array.metadata}" if array.metadata not in ("", "0.90") else ""
    return f"ARRAY {array.path}{metadata} UUID={groups}"


def reconciled(conf: str, arrays: Iterable[tuple[Array, str]]) -> str:
    """mdadm.conf with exactly one line for each array; every other line stays as it is.

    A line that has an array's UUID is kept with the name its author gave it, unless its metadata
    is another: then mdadm would not assemble it. A second line of that UUID goes.
    """
    known = {uuid: array for array, uuid in arrays}
    there: set[str] = set()
    kept = []
    for part in _logical(conf):
        uuid = _identity(part, known)
        if uuid is None:
            kept.append(part)
        elif uuid not in there:
            there.add(uuid)
            kept.append(part if _right(part, known[uuid]) else line_of(known[uuid], uuid) + "\n")
    text = "".join(kept)
    if text and not text.endswith("\n"):
        text += "\n"
    new = (line_of(array, uuid) for uuid, array in known.items() if uuid not in there)
    return text + "".join(f"{line}\n" for line in new)


def _logical(conf: str) -> Iterator[str]:
    """Lines with those that continue them: a line that begins with white space does."""
    part = ""
    for line in conf.splitlines(keepends=True):
        if part and not line[:1].isspace():
            yield part
            part = ""
        part += line
    if part:
        yield part


def _identity(part: str, known: dict[str, Array]) -> str | None:
    """The UUID of the running array that an ARRAY line is about; None for any other line."""
    words = part.split()
    if not words or not re.fullmatch(r"arr(ay?)?", words[0], re.IGNORECASE):
        return None
    found = _UUID.search(part)
    if found:
        digits = uuid_digits(found[1])
        return digits if digits in known else None
    return next((u for u, array in known.items() if words[1:2] == [array.path]), None)


def _right(part: str, array: Array) -> bool:
    metadata = _METADATA.search(part)
    ignored = "<ignore>" in part
    return ignored or bool(_UUID.search(part) and (not metadata or metadata[1] == array.metadata))
