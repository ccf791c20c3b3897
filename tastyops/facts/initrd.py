"""One kernel's initial ramdisk: whole to its end or not, and what is in it.

The kernel's documentation (driver-api/early-userspace/buffer-format) has the format: any number of
cpio archives, plain or compressed, one after the other. The last one is decompressed to its end
and listed to its trailer; an archive cut short fails one of the two. (The status of lsinitramfs
does not tell: it loses the decompressor's.)
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tastyops.errors import ProbeFailed
from tastyops.facts.readings import Answer, Parsers, Reading, need_ok

SCRIPT = r"""
file=/boot/initrd.img-$1 dir=/lib/modules/$1
exec 4>&1
test -s "/boot/vmlinuz-$1" && echo image
sed -n 's,^.*/\([^/]*\)\.ko.*,builtin \1,p' "$dir/modules.builtin" 2>/dev/null
test -s "$file" || exit 0
size=$(stat -Lc %s "$file")
echo "size $size"
stat -Lc 'written %Y' "$file"
name() { sed -n \
  -e 's#^.*/\([^/]*\)\.ko\(\.[a-z0-9]*\)\{0,1\}$#module \1#p' \
  -e 's#^\(\./\)\{0,1\}\(usr/\)\{0,1\}s\{0,1\}bin/\(mdadm\|lvm\|cryptsetup\)$#program \3#p'; }
conf() { cpio -i -C 65536 --quiet --to-stdout 'etc/mdadm/mdadm.conf' './etc/mdadm/mdadm.conf' \
  'etc/mdadm.conf' './etc/mdadm.conf' 2>/dev/null | sed -n 's/^/conf /p'; }
at=0 unpack=
while test "$at" -lt "$size"; do
  case $(tail -c +$((at + 1)) "$file" | head -c 6 | od -An -v -tx1 | tr -d ' \n') in
  00000000*) at=$((at / 512 * 512 + 512)); continue ;;
  303730373031 | 303730373032)
    test $((at % 512)) = 0 || break
    exec 3< "$file"
    dd bs=512 skip=$((at / 512)) count=0 <&3 2>/dev/null
    ended=$( { { cpio -it --quiet 2>/dev/null <&3; echo $? >&5; } | name >&4; } 5>&1 )
    echo "listed $ended"
    read -r _ next < "/proc/$$/fdinfo/3"
    exec 3<&-
    test "$ended" = 0 || exit 0
    tail -c +$((at + 1)) "$file" | conf
    at=$next
    continue ;;
  1f8b*) unpack=gzip ;;
  28b52ffd*) unpack=zstd ;;
  fd377a585a00) unpack=xz ;;
  5d0000*) unpack='xz --format=lzma' ;;
  02214c18* | 04224d18*) unpack=lz4 ;;
  425a68*) unpack=bzip2 ;;
  894c5a4f*) unpack=lzop ;;
  esac
  break
done
test "$at" -lt "$size" || exit 0
command -v ${unpack:-nothing} >/dev/null || { echo "unreadable ${unpack:-format}"; exit 0; }
ended=$( { { tail -c +$((at + 1)) "$file" | $unpack -dc 2>/dev/null; echo "unpacked $?" >&5; } |
  { cpio -it -C 65536 --quiet 2>/dev/null; echo "listed $?" >&5; cat >/dev/null; } |
  name >&4; } 5>&1 )
echo "$ended"
tail -c +$((at + 1)) "$file" | $unpack -dc 2>/dev/null | conf
exit 0
"""


def initrd(release: str) -> Reading:
    """The initial ramdisk of an installed kernel, as Debian names the file; needs root."""
    return Reading(("sh", "-c", SCRIPT, "initrd", release), "initrd")


@dataclass(frozen=True, slots=True)
class Initrd:
    """What was found. ``size`` is in bytes, 0 where there is none; ``written`` since the epoch.

    ``whole`` is None where it could not be judged, for the reason in ``unreadable``. ``arrays``
    are the UUIDs its mdadm.conf names (32 hexadecimal digits); None where it has no such file.
    """

    image: bool
    size: int = 0
    written: int = 0
    whole: bool | None = False
    unreadable: str = ""
    modules: frozenset[str] = frozenset()
    builtin: frozenset[str] = frozenset()
    programs: frozenset[str] = frozenset()
    arrays: frozenset[str] | None = None


def module_name(name: str) -> str:
    """A module's name as the kernel has it: ``-`` and ``_`` are one (modprobe(8))."""
    return name.replace("-", "_")


def array_uuids(conf: str) -> frozenset[str]:
    """The UUIDs in the ARRAY lines of an mdadm.conf(5), as 32 hexadecimal digits."""
    joined = re.sub(r"\n[ \t]+", " ", conf)
    lines = [line for line in joined.splitlines() if line.lower().startswith("array")]
    found = (re.search(r"\buuid=([0-9a-f:.-]{32,48})", line, re.IGNORECASE) for line in lines)
    return frozenset(uuid_digits(match[1]) for match in found if match)


def uuid_digits(uuid: str) -> str:
    """An array's UUID without what stands between its digits, which every tool does otherwise."""
    return re.sub(r"[^0-9a-f]", "", uuid.lower())


def _initrd(answer: Answer) -> Initrd:
    told: dict[str, list[str]] = {}
    for line in need_ok(answer).splitlines():
        kind, _, value = line.partition(" ")
        told.setdefault(kind, []).append(value)
    modules, builtin = (
        frozenset(map(module_name, told.get(kind, ()))) for kind in ("module", "builtin")
    )
    conf = told.get("conf")
    ends = [told.get(kind, []) for kind in ("listed", "unpacked")]
    unreadable = " ".join(told.get("unreadable", ()))
    try:
        size, written = (int(told.get(kind, ["0"])[0]) for kind in ("size", "written"))
    except ValueError as error:
        raise ProbeFailed("the initial ramdisk's size is no number") from error
    whole = bool(size and ends[0]) and all(end == "0" for end in (*ends[0], *ends[1]))
    return Initrd(
        image="image" in told,
        size=size,
        written=written,
        whole=None if unreadable else whole,
        unreadable=unreadable,
        modules=modules,
        builtin=builtin,
        programs=frozenset(told.get("program", ())),
        arrays=None if conf is None else array_uuids("\n".join(conf)),
    )


PARSERS: Parsers = {"initrd": _initrd}
