"""Several shells over one terminal: what a console session types, and what comes back.

A serial console is one terminal at which a root shell waits. Kernel messages come in between, bytes
may be lost, lines over 4095 bytes are cut (termios(3), canonical mode). So a small router is typed
in there once; it starts shells, each with a FIFO for its input and a file for its output, and moves
bytes between them and the terminal. ``tastyops.protocol.framing``'s own protocol is spoken inside.

A request is one line: its cksum(1), the session's nonce, its number, a verb and words. An answer is
``{nonce cksum number words``, a newline, base64, ``}``; its checksum is over the words, a newline
and the bytes the base64 stands for. ``{nonce ?}`` says that a request did not arrive whole. Each
request may be sent again: positions are absolute, so that nothing is done twice.

======  =================================  ====================================================
verb    words                              answer
======  =================================  ====================================================
``o``   id descriptor base64               a shell command is started; ``ok``
``w``   id position size base64 …          its input goes on; the position reached, and with
                                           more words what ``g`` with them answers
``g``   size tenths (id position)…         the first output there is, waited for so long: the id
                                           and the bytes; ``- 0`` for none; id and ``= status``
                                           for a shell that has ended and was read to its end
``r``   id position                        what was read up to there is dropped; ``ok``
``x``   id                                 its input ends, so it does; ``ok``
======  =================================  ====================================================

A line that begins with a colon ends the router, which gives the terminal back as it was; to a
shell that line is nothing at all.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass

LINE_BYTES = 500
"""Characters of one line of the router's text while it is sent."""

MOST_ANSWER = 256 * 1024
"""Bytes of an answer whose end does not come, after which it is given up."""

DESCRIPTORS = (5, 6, 7, 8)
"""The router's descriptors for its shells' inputs."""

ERASE = b"\x15"
"""Ctrl-U: takes back what stands on a terminal's line, as a session that was killed leaves it."""

LEAVE = ERASE + b": tastyops lets go\r"
"""Ends a router that is still there; nothing to a shell."""

IN_USE = "tastyops uses this shell"
"""What the router says to whoever presses Enter."""

_ROUTER = r"""
m=$(umask); umask 077; u=$(id -u); D=/dev/shm/tastyops-$u
if [ "$u" = 0 ]; then D=/run/tastyops
elif [ -n "$XDG_RUNTIME_DIR" ] && [ -w "$XDG_RUNTIME_DIR" ]; then D=$XDG_RUNTIME_DIR/tastyops; fi
d=$D/console.$h
trap 'rm -rf "$d"; exit 129' HUP
exec 2>/dev/null
mkdir -p "$D" 2>/dev/null; chmod 700 "$D" 2>/dev/null
a() {
c=$({ printf '%s\n' "$n $1"; cat "$d/p"; } | cksum)
printf '{%s %s %s\n' "$h" "${c%% *}" "$n $1"; base64 <"$d/p"; printf '}'
}
g() {
M=$1; T=$2; shift 2; k=0; H='- 0'
while :; do
i=$#
while [ $i -gt 0 ]; do
e=; [ -e "$d/$1.rc" ] && e=1
eval "B=\$b$1"; s=$(($(wc -c <"$d/$1.out") + B))
if [ $s -gt $2 ]; then
H=$1; tail -c +$(($2 - B + 1)) "$d/$1.out" | head -c $M >"$d/p"; return
elif [ $e ]; then
read -r s <"$d/$1.rc"; H="$1 = $s"; return
fi
s=$1; e=$2; shift 2; set -- "$@" $s $e; i=$((i-2))
done
k=$((k+1)); [ $k -lt $T ] || return
if [ $k -lt 4 ]; then sleep 0.02; else sleep 0.1; fi
done
}
if mkdir "$d" && [ -O "$D" ] && : >"$d/p" && mkfifo "$d/f"; then n=0; a up
else printf '{%s 0 no room\n}' "$h"; fi
while IFS= read -r l; do
case $l in
:*) break ;;
'') printf '@IN_USE@; a line that begins with a colon gives it back\n'; continue ;;
esac
r=${l#* }; c=$(printf %s "$r" | cksum)
if [ "${c%% *}" != "${l%% *}" ]; then printf '{%s ?}' "$h"; continue; fi
set -- $r
[ "$1" = "$h" ] || continue
n=$2; v=$3; shift 3; : >"$d/p"
case $v in
o)
f=$d/$1
if [ ! -p "$f.in" ]; then
mkfifo "$f.in"; : >"$f.out"
eval "exec $2<>\"\$f.in\"; f$1=$2 w$1=0 b$1=0"
(b=$(printf %s "$3" | base64 -d); exec 5>&- 6>&- 7>&- 8>&-; umask $m
setsid sh -c "$b" >>"$f.out"; echo $? >"$f.rc") <"$f.in" >/dev/null 2>&1 &
fi
a ok ;;
w)
eval "F=\$f$1 W=\$w$1"
if [ "$2" = "$W" ] && [ -n "$F" ]; then
[ -e "$d/$1.rc" ] || printf %s "$4" | base64 -d >&$F
W=$((W+$3)); eval "w$1=$W"
fi
if [ $# -gt 4 ]; then shift 4; g "$@"; a "$W $H"; else a "$W"; fi ;;
g)
g "$@"
a "$H" ;;
r)
eval "B=\$b$1"
if [ $2 -gt $B ]; then : >"$d/$1.out"; eval "b$1=$2"; fi
a ok ;;
x)
eval "F=\$f$1"
if [ -n "$F" ]; then eval "exec $F>&-; f$1="; rm -f "$d/$1.in" "$d/$1.out"; fi
a ok ;;
esac
done
exec 5>&- 6>&- 7>&- 8>&-
rm -rf "$d"
printf '{%s .}' "$h"
"""

# h the nonce, t the terminal as it was, s the router's text. It asks for that until it is whole.
_LOADER = (
    'sh -c \'t=$(stty -g);stty sane -echo -isig -iexten;h={nonce};while :;do printf "{{%s +}}" $h;'
    's=;while IFS= read -r l||exit;do case $l in .)break;;:*)stty "$t";exit;;esac;s=$s$l;done;'
    '[ "$(printf %s "$s"|cksum)" = "{sum} {size}" ]&&break;done;'
    'eval "$(printf %s "$s"|base64 -d)";stty "$t"\'\r'
)


def loader(nonce: str) -> bytes:
    """What is typed at the shell's prompt: it answers ``{nonce +}`` and reads ``router_lines``."""
    text = _router_text()
    return _LOADER.format(nonce=nonce, sum=cksum(text), size=len(text)).encode()


def router_lines() -> bytes:
    """The router, after each ``{nonce +}``; it answers number 0 with ``up`` when it is whole."""
    text = _router_text()
    lines = [text[at : at + LINE_BYTES] for at in range(0, len(text), LINE_BYTES)]
    return b"".join(line + b"\n" for line in [*lines, b"."])


def _router_text() -> bytes:
    return base64.b64encode(_ROUTER.replace("@IN_USE@", IN_USE).encode())


def _table() -> tuple[int, ...]:
    found = []
    for byte in range(256):
        value = byte << 24
        for _ in range(8):
            value = (value << 1) ^ (0x04C11DB7 if value & 0x80000000 else 0)
        found.append(value & 0xFFFFFFFF)
    return tuple(found)


_TABLE = _table()


def cksum(data: bytes) -> int:
    """What cksum(1) gives first (POSIX): a CRC of the bytes and of how many they are."""
    size, crc = len(data), 0
    length = size.to_bytes((size.bit_length() + 7) // 8, "little")
    for byte in data + length:
        crc = ((crc << 8) & 0xFFFFFFFF) ^ _TABLE[(crc >> 24) ^ byte]
    return crc ^ 0xFFFFFFFF


def order(nonce: str, number: int, words: Sequence[str]) -> bytes:
    """One request as it is typed."""
    rest = " ".join((nonce, str(number), *words)).encode()
    return b"%d %s\n" % (cksum(rest), rest)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that arrived whole. ``number`` is -1 for ``{nonce ?}``, and for one that did not
    arrive whole; -2 for ``{nonce +}``, -3 for ``{nonce .}``, a router's last word.
    """

    number: int
    words: tuple[str, ...] = ()
    data: bytes = b""


BROKEN = Reply(-1)
READY = Reply(-2)
LEFT = Reply(-3)


_OURS = re.compile(rb"^[A-Za-z0-9+/= ?]*")
_ENCODED = re.compile(rb"[A-Za-z0-9+/=]{16,}")


class Sieve:
    """Takes the session's answers out of what a console says, and leaves all else as it was."""

    def __init__(self, nonce: str) -> None:
        self._mark = b"{" + nonce.encode() + b" "
        self._whole = re.compile(
            re.escape(self._mark) + rb"(\d+) ([^\n{}]*)\n([A-Za-z0-9+/=\n]*)\}", re.ASCII
        )
        self._held = b""
        self._torn = False
        self.replies: list[Reply] = []

    @property
    def inside(self) -> bool:
        """Whether an answer has begun to arrive."""
        return self._held.startswith(self._mark)

    def feed(self, data: bytes) -> bytes:
        """Some bytes, in order; gives those that are nobody's answer."""
        data, others = self._held + data, b""
        while (at := data.find(self._mark)) >= 0:
            others += self._left(data[:at])
            end = data.find(b"}", at)
            if end < 0 and len(data) - at < MOST_ANSWER:
                self._held = data[at:]
                return others
            end = len(data) if end < 0 else end + 1
            others += self._take(data[at:end])
            data = data[end:]
        keep = next(n for n in range(len(self._mark) - 1, -1, -1) if _ends(data, self._mark[:n]))
        self._held = data[len(data) - keep :]
        return others + self._left(data[: len(data) - keep])

    def _left(self, data: bytes) -> bytes:
        """What stands between answers; after a torn one the rest of it may be there."""
        return _ENCODED.sub(b"", data) if self._torn else data

    def finish(self) -> bytes:
        """What was held back, once nothing more comes; none of it is an answer's."""
        held, self._held = self._held, b""
        return self._between(held) if held.startswith(self._mark) else held

    def _take(self, frame: bytes) -> bytes:
        """An answer, whole or not; gives what came in between."""
        plain = frame.replace(b"\r", b"")
        if plain in (self._mark + b"+}", self._mark + b".}"):
            self.replies.append(READY if plain[-2:] == b"+}" else LEFT)
            return b""
        reply = self._read(plain)
        self.replies.append(reply)
        self._torn = reply is BROKEN
        return self._between(frame) if reply is BROKEN else b""

    def _read(self, frame: bytes) -> Reply:
        whole = self._whole.fullmatch(frame)
        if whole is None:
            return BROKEN
        try:
            data = base64.b64decode(whole[3].replace(b"\n", b""), validate=True)
        except binascii.Error:
            return BROKEN
        number, *words = whole[2].decode("ascii", "replace").split()
        if words == ["room"]:
            return Reply(0, ("no-room",))
        if not number.isdigit() or int(whole[1]) != cksum(whole[2] + b"\n" + data):
            return BROKEN
        return Reply(int(number), tuple(words), data)

    def _between(self, frame: bytes) -> bytes:
        """What another wrote in the middle of an answer; of the answer itself nothing, since it may
        hold a secret in a form that cannot be recognised.
        """
        kept = []
        for line in frame.removeprefix(self._mark).splitlines(keepends=True):
            rest = _ENCODED.sub(b"", _OURS.sub(b"", line)).lstrip(b"}")
            if rest.strip():
                kept.append(rest)
        return b"".join(kept)


def _ends(data: bytes, beginning: bytes) -> bool:
    return data.endswith(beginning)
