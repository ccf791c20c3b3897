"""ARRAY lines of mdadm.conf(5), reconciled with the arrays that run."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from tastyops.domain.raid.storage import Storage
from tastyops.errors import Refused
from tastyops.facts.initrd import uuid_digits
from tastyops.facts.md import Array

_ARRAY = re.compile(r"arr(ay?)?", re.IGNORECASE)
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


def reconcile_definitions(conf: str, arrays: Iterable[tuple[Array, str]]) -> str:
    """mdadm.conf with exactly one line for each array; every other line stays as it is.

    A line that has an array's UUID is kept with the name its author gave it, unless its metadata
    is another: then mdadm would not assemble it. A second line of that UUID goes. A line that
    gives a running array's device to another UUID becomes a comment: at the next boot, two arrays
    would want one name. So is a line that names another array's device replaced.
    """
    known = {uuid: array for array, uuid in arrays}
    there: set[str] = set()
    kept = []
    for part in _logical(conf):
        uuid = _identity(part, known)
        if uuid is None:
            taken = _takes_a_name(part, known)
            kept.append(re.sub(r"^(?=.)", "# stale: ", part, flags=re.MULTILINE) if taken else part)
        elif uuid not in there:
            there.add(uuid)
            right = _right(part, known[uuid]) and _device(part) not in _others(uuid, known)
            kept.append(part if right else line_of(known[uuid], uuid) + "\n")
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
    if not words or not _ARRAY.fullmatch(words[0]):
        return None
    found = _UUID.search(part)
    if found:
        digits = uuid_digits(found[1])
        return digits if digits in known else None
    return next((u for u, array in known.items() if words[1:2] == [array.path]), None)


def _takes_a_name(part: str, known: dict[str, Array]) -> bool:
    """Whether an ARRAY line of a UUID that no running array has names a running array's device."""
    words = part.split()
    if not words or not _ARRAY.fullmatch(words[0]) or "<ignore>" in part:
        return False
    return _device(part) in _others("", known)


def _device(part: str) -> str:
    """The device an ARRAY line names, as the kernel does: ``/dev/md/0`` and ``0`` are md0."""
    device = "".join(part.split()[1:2])
    return re.sub(r"^/dev/md/(?=[0-9]+$)|^(?=[0-9]+$)|^md(?=[0-9]+$)", "/dev/md", device)


def _others(uuid: str, known: dict[str, Array]) -> set[str]:
    """The devices of the running arrays besides that one."""
    return {array.path for other, array in known.items() if other != uuid}


def _right(part: str, array: Array) -> bool:
    metadata = _METADATA.search(part)
    ignored = "<ignore>" in part
    return ignored or bool(_UUID.search(part) and (not metadata or metadata[1] == array.metadata))
