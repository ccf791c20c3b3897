"""echo and printf: escapes and conversions as the shell's utilities read them."""

from __future__ import annotations

import re

_SIMPLE = {
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
    "\\": "\\",
    "e": "\x1b",
}
_ESCAPE = re.compile(rb"\\(?:0([0-7]{1,3})|([1-7][0-7]{0,2}|0)|x([0-9a-fA-F]{1,2})|(.))", re.DOTALL)
_CONVERSION = re.compile(r"%(?:%|([-0 +#]*\d*(?:\.\d+)?)([sdiuxXocb]))")


def encode(text: str) -> bytes:
    """The bytes of an argument."""
    return text.encode("utf-8", "surrogateescape")


def escapes(text: str) -> bytes:
    """Replaces backslash escapes; octal and hexadecimal escapes give bytes."""

    def value(match: re.Match[bytes]) -> bytes:
        octal = match[1] or match[2]
        if octal:
            return bytes([int(octal, 8) & 0xFF])
        if match[3]:
            return bytes([int(match[3], 16)])
        return encode(_SIMPLE.get(match[4].decode("latin-1"), match[0].decode("latin-1")))

    return _ESCAPE.sub(value, encode(text))


def printf(form: str, words: list[str]) -> bytes:
    """printf(1): repeats the format until the words are used up. Raises ValueError."""
    out, left = b"", list(words)
    while True:
        before = len(left)
        out += _once(form, left)
        if not left or len(left) == before:
            return out


def _once(form: str, words: list[str]) -> bytes:
    out, at = b"", 0
    for match in _CONVERSION.finditer(form):
        out += escapes(form[at : match.start()])
        at = match.end()
        if match[2] is None:
            out += b"%"
            continue
        word = words.pop(0) if words else ""
        out += _converted(match[1], match[2], word)
    rest = form[at:]
    if "%" in rest:
        raise ValueError(f"printf's {rest[rest.index('%') :][:3]}")
    return out + escapes(rest)


def _converted(flags: str, kind: str, word: str) -> bytes:
    if kind == "s":
        return encode(f"%{flags}s" % word)
    if kind == "b":
        return escapes(word)
    if kind == "c":
        return encode(word[:1])
    return encode(f"%{flags}{kind.replace('i', 'd').replace('u', 'd')}" % int(word or "0", 0))
