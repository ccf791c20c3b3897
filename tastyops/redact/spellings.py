"""How programs print a secret: every spelling of a text that a mask must recognise.

A *spelling* is one family of forms: the text with any shell, JSON, C, URL or HTML escapes in it;
base64; a dump in hexadecimal, octal or decimal. Each is a sequence of units with gaps between
them, so that line wraps, line numbers and quotes that change in mid-word do not hide a secret.
The patterns are costly, so a block of output is first searched for *witnesses*: short literal
pieces of which every form of the spelling has at least one.

Facts: the quoting styles of coreutils' ``ls`` (its manual, "Formatting the file names"), of
bash's ``declare -p`` and ``printf %q`` (bash(1), "ANSI-C quoting"), the line lengths of base64
(76 in RFC 2045, 64 in RFC 7468), the columns of ``od``, ``hexdump`` and ``xxd`` (their manuals).
"""

from __future__ import annotations

import base64
import json
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from html.entities import html5
from itertools import groupby
from urllib.parse import quote, quote_plus

SHORTEST_SECRET = 6
"""Below this many characters a secret would mask innocent text; such a secret is refused."""

CUT_AT = 60
"""Characters of a value that a message of ours shows (``errors.shown``); no more is needed."""


def _quoted(text: str) -> set[str]:
    """A text as it stands in a shell command, or in a command inside another's quotes."""
    inside = {text.replace("'", "'\\''"), text.replace("'", "'\"'\"'")}
    return {text, shlex.quote(text), *inside}


def _escaped(text: str) -> set[str]:
    """A text as it stands in JSON, or in an error of Python's."""
    json_text = {json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}
    return {*json_text, repr(text)[1:-1], repr(f"{text}'\"")[1:-4]}


def _in_urls(text: str) -> set[str]:
    found = {quote(text, safe=""), quote(text), quote_plus(text)}
    lower = {re.sub("%[0-9A-F]{2}", lambda code: code[0].lower(), url) for url in found}
    return found | lower


def forms(secret: str) -> set[bytes]:
    """The commonest forms of ``secret``, each as it stands; the mask covers their quotes too."""
    once = _quoted(secret) | _escaped(secret)
    texts = {each for text in once for each in (*_quoted(text), *_escaped(text))} | _in_urls(secret)
    texts |= {line for line in secret.splitlines() if len(line) >= SHORTEST_SECRET}
    line = " ".join(secret.split())
    texts |= {form for form in (line, line[:CUT_AT]) if len(form) >= SHORTEST_SECRET}
    encoded = {text.encode() for text in texts}
    return encoded | {bytes(core) for core in _base64_cores(secret.encode())}


def _base64_cores(secret: bytes) -> set[bytes]:
    """The parts of a base64 text that depend on the secret alone, for the three alignments."""
    cores: set[bytes] = set()
    for lead in range(3):
        start = (lead * 8 + 5) // 6
        core = base64.b64encode(b"\0" * lead + secret)[start : (lead + len(secret)) * 8 // 6]
        if len(core) >= SHORTEST_SECRET:
            cores.add(core)
    return cores


# -- the text itself, with escapes in it ---------------------------------------------------------

_JUNK = rb"['\"\\$]"
"""Quotes, backslashes and dollars: shells, C and SQL put them before and between characters."""

_NUMBERED = rb"(?:[ \t]{0,8}[0-9]{1,7}[:.)|\t ]{1,4}|[ \t]{1,40})?"
"""What ``cat -n``, ``grep -n`` or an indentation puts at the beginning of a line."""

_TEXT_GAP = rb"(?:['\"\\$]{1,20}| {2,3}|['\"\\$=]{0,4}\r?\n" + _NUMBERED + rb")?"

_SOFT_CODES = rb"(?:2[0247]|5[Cc]|0?[9AaDd])"
_SOFT = (
    (
        rb"(?:['\"\\$ \t\r\n+]|%b"
        rb"|=(?:2[0247]|5C|0[9AD])|\^[IJM]"
        rb"|&(?:\#0{0,4}(?:9|1[03]|3[2469]|92)|\#[Xx]0{0,4}CODE"
        rb"|quot|apos|dollar|bsol|nbsp|Tab|NewLine);"
        rb"|(?<=\\)(?:[xXuU]\{?0{0,6}CODE\}?|0?(?:4[0247]|134|1[125])LETTERS))"
    )
    .replace(b"%b", b"%(?:25){0,3}CODE")
    .replace(b"CODE", _SOFT_CODES)
)
"""A quote, a backslash, a dollar or a blank, however it is escaped."""

_BLANK = " \t\r\n"
_QUOTES = "'\"\\$"
_MOST_ESCAPES = 24
"""Characters that one quote or blank may become: JSON inside JSON inside a shell's quotes."""

_C_LETTERS = {"\a": "a", "\b": "b", "\x1b": "eE", "\f": "f", "\n": "n", "\r": "r", "\t": "t",
              "\v": "v"}  # fmt: skip


@lru_cache(maxsize=1)
def _entities() -> Mapping[str, tuple[str, ...]]:
    """HTML's names of each character."""
    found: dict[str, list[str]] = {}
    for name, character in html5.items():
        if name.endswith(";"):
            found.setdefault(character, []).append(name[:-1])
    return {character: tuple(names) for character, names in found.items()}


def _any_of(choices: Iterable[bytes]) -> bytes:
    return b"(?:" + b"|".join(dict.fromkeys(choices)) + b")"


def _in_any_case(digits: str) -> bytes:
    return b"".join(
        b"[%c%c]" % (ord(each.upper()), ord(each)) if each.isalpha() else each.encode()
        for each in digits.lower()
    )


def _after_backslash(character: str) -> Iterator[bytes]:
    """What may follow the backslash of an escape of C, JSON, Python, Perl, Rust or a shell."""
    code, encoded = ord(character), character.encode()
    point = _in_any_case(f"{code:x}")
    yield rb"[uU]\{?0{0,6}" + point + rb"\}?"
    if code > 0xFFFF:
        high, low = 0xD800 + ((code - 0x10000) >> 10), 0xDC00 + (code & 0x3FF)
        yield b"u" + _in_any_case(f"{high:x}") + rb"\\{1,8}u" + _in_any_case(f"{low:x}")
    yield rb"[xX]\{?0{0,6}" + point + rb"\}?"
    if len(encoded) > 1:
        yield rb"\\{1,8}".join(b"[xX]?" + _in_any_case(f"{byte:02x}") for byte in encoded)
    yield rb"\\{1,8}".join(f"0?{byte:03o}".encode() for byte in encoded)
    yield from (letter.encode() for letter in _C_LETTERS.get(character, ""))


@lru_cache(maxsize=1024)
def _character(character: str) -> bytes:
    """A pattern of every way one character is written."""
    code, encoded = ord(character), character.encode()
    cut = rb"(?:\\|\r?\n)?".join(re.escape(bytes([byte])) for byte in encoded)
    found = [cut, rb"(?<=\\)" + _any_of(_after_backslash(character))]
    found += [
        b"".join(mark + _in_any_case(f"{byte:02x}") for byte in encoded)
        for mark in (b"%(?:25){0,3}", b"=")
    ]
    found.append(rb"&\#(?:0{0,6}%d|[xX]0{0,6}" % code + _in_any_case(f"{code:x}") + b");")
    found += [rb"&%b;" % name.encode() for name in _entities().get(character, ())]
    if character == " ":
        found.append(rb"\+")
    if code < 0x20:
        found.append(rb"\^" + re.escape(bytes([code + 0x40])))
    if code > 0x7F:
        found += _of_a_terminal(character)
    return _any_of(found)


def _of_a_terminal(character: str) -> Iterator[bytes]:
    """How ``od -c``, ``cat -v`` and ``ls -q`` show a character outside ASCII."""
    encoded = character.encode()
    yield rb"[ ]{1,3}".join(f"{byte:03o}".encode() for byte in encoded)
    yield b"".join(
        b"M-" + (rb"\^" + re.escape(bytes([low ^ 0x40])) if low < 32 or low == 127 else
                 re.escape(bytes([low])))
        for low in (byte & 0x7F for byte in encoded)
    )  # fmt: skip
    yield rb"[?.]{1,%d}" % len(encoded)
    yield rb"(?:\xef\xbf\xbd){1,%d}" % len(encoded)
    if ord(character) < 0x100:
        latin = character.encode("latin-1")
        yield re.escape(latin)
        yield b"%(?:25){0,3}" + _in_any_case(latin.hex())


def _soft(run: str) -> bytes:
    """A pattern for quotes, backslashes, dollars and blanks in a row."""
    blanks = any(each in _BLANK for each in run)
    least = sum(each in _QUOTES for each in run) + blanks
    letters = b"|[nrt]" if blanks else b""
    return _SOFT.replace(b"LETTERS", letters) + b"{%d,%d}" % (least, _MOST_ESCAPES * len(run))


def _text_units(secret: str) -> Iterator[tuple[bytes, bytes]]:
    """The units of a text, each with the gap before it.

    Soft characters in a row are one unit, but exact at both ends: quotes around a secret are not
    part of it.
    """
    runs = ["".join(group) for _, group in groupby(secret, lambda c: c in _BLANK + _QUOTES)]
    for index, run in enumerate(runs):
        if run[0] not in _BLANK + _QUOTES:
            yield from ((_TEXT_GAP, _character(each)) for each in run)
        elif index == len(runs) - 1:
            yield from ((rb"['\"\\$]{0,8}?", _character(each)) for each in run)
        elif index == 0:
            yield b"", _character(run[0])
            if len(run) > 1:
                yield b"", _soft(run[1:])
        else:
            yield b"", _soft(run)


# -- other spellings -----------------------------------------------------------------------------

_BASE64_GAP = (
    rb"(?:[ \t\"']{0,8}[,\\+.]?(?:\r?\n[0-9]{1,7})?(?:(?:\\{1,8}r)?\\{1,8}n|\r?\n|%0[Dd]|%0[Aa]"
    rb"|&\#(?:10|13|[xX][aAdD]);){1,2}"
    rb"(?:[ \t]{0,40}(?:[0-9]{1,7}[:.)|\t ]{1,4})?[>|\#*\"'b+ \t-]{0,20}"
    rb"|[^\r\n]{0,100}[\t :|>\])\"'])?)?"
)
"""A line's end within base64, and what a log, a listing or a program text has before the next."""

_BASE64_UNITS = {
    ord("+"): rb"(?:[+-]|%2[Bb]|\\{1,8}u002[Bb])",
    ord("/"): rb"(?:[/_]|\\{1,8}/|%2[Ff]|\\{1,8}u002[Ff])",
}

_DUMP_BREAK = (
    rb"(?:[ \t\"',\\]{0,4}(?: {2,3}[^\n]{1,40})?\r?\n(?:[0-9a-fA-F]{4,16}:?[ \t]{1,8}"
    rb"|[ \t]{0,40}(?:[0-9]{1,7}[:\t |]{1,4})?[\"']?))"
)
"""A line's end within a dump: the characters column, and the next line's offset."""

_HEX_GAP = rb"(?:[ \t:,;_\\%=&\#\"'.-]{1,5}|" + _DUMP_BREAK + rb"|)(?:0?[xX])?"
_NUMBER_GAP = rb"(?:[^0-9A-Za-z\n]{1,6}|" + _DUMP_BREAK + rb")"
_DUMP_TAIL = rb"(?:[0-9A-Fa-f ]{0,64}  [|]?[^\r\n]{1,40})?"
"""The rest of a dump's last line: its column of characters has the end of the secret once more."""


_WORDS = re.compile(rb" [0-9A-Fa-f]{4}(?:[0-7]{2})?[ \n]")


class Views:
    """A block of output, and the two condensed copies in which witnesses are looked for."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._seen: dict[bytes, bool] = {}

    @cached_property
    def _closed_up(self) -> bytes:
        """Without blanks, in base64's own alphabet."""
        return self.data.translate(_URL_SAFE, b" \t\r\n")

    @cached_property
    def _digits(self) -> bytes:
        """Only hexadecimal digits, small, without zeros: \\x0a, 0x0a, %0A and 0a are all ``a``."""
        return self.data.translate(_SMALL, _NO_DIGITS)

    def matches(
        self, data: re.Pattern[bytes], closed_up: re.Pattern[bytes], digits: re.Pattern[bytes]
    ) -> bool:
        """Whether any of the patterns is found, each in its own copy."""
        return bool(
            data.search(self.data)
            or closed_up.search(self._closed_up)
            or digits.search(self._digits)
        )

    @cached_property
    def has_words(self) -> bool:
        """Whether it may hold words as ``od`` and ``hexdump`` show them."""
        return _WORDS.search(self.data) is not None

    def has_text(self, piece: bytes) -> bool:
        """Whether the piece is there, blanks aside."""
        return piece in self._closed_up

    def has_digits(self, piece: bytes) -> bool:
        """Whether the digits are there, whatever stands between them; many spellings ask."""
        found = self._seen.get(piece)
        if found is None:
            found = self._seen[piece] = piece in self._digits
        return found


_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_SMALL = bytes(range(256)).lower()
_NO_DIGITS = bytes(set(range(256)) - set(b"123456789abcdefABCDEF"))


@dataclass(frozen=True)
class Spelling:
    """One family of forms of a secret: units, each a pattern, with a gap before each.

    ``closed_up`` and ``digits`` are its witnesses in those views; where there are none, the
    pattern itself is looked for.
    """

    units: tuple[tuple[bytes, bytes], ...]
    tail: bytes = b""
    closed_up: tuple[bytes, ...] = ()
    digits: tuple[bytes, ...] = ()
    words: bool = False
    parts: int = field(default=64, kw_only=True)

    @cached_property
    def patterns(self) -> tuple[re.Pattern[bytes], ...]:
        """The whole as patterns that follow each other; one alone takes too long to compile."""
        found = []
        for at in range(0, len(self.units), self.parts):
            units = self.units[at : at + self.parts]
            text = b"".join(gap + unit for gap, unit in units)
            if at == 0:
                text = text[len(units[0][0]) :]
            if at + self.parts >= len(self.units):
                text += self.tail
            found.append(re.compile(text))
        return tuple(found)

    @cached_property
    def _steps(self) -> tuple[tuple[re.Pattern[bytes], re.Pattern[bytes]], ...]:
        return tuple((compiled(gap), compiled(unit)) for gap, unit in self.units)

    @cached_property
    def distinct(self) -> frozenset[bytes]:
        """Each pattern of a unit once."""
        return frozenset(unit for _, unit in self.units)

    @property
    def reach(self) -> int:
        """Bytes a match may have, with a break here and there."""
        return min(64 * len(self.units), 12 * len(self.units) + 16384) + 256

    def is_possible(self, views: Views) -> bool:
        """Whether the data may hold this spelling."""
        if self.words and not views.has_words:
            return False
        return (
            not (self.closed_up or self.digits)
            or any(map(views.has_text, self.closed_up))
            or any(map(views.has_digits, self.digits))
        )

    def spans(self, data: bytes) -> Iterator[tuple[int, int]]:
        """Where it stands in the data."""
        first, *others = self.patterns
        at = 0
        while match := first.search(data, at):
            begun, at = match.span()
            for pattern in others:
                following = pattern.match(data, at)
                if following is None:
                    at = begun + 1
                    break
                at = following.end()
            else:
                yield begun, at

    def follow(self, data: bytes, at: int, unit: int) -> tuple[int, int]:
        """How far the units from that one on stand at a place: the next unit, and the place."""
        for index in range(unit, len(self.units)):
            gap, text = self._steps[index]
            found = text.match(data, at)
            if found is None and (between := gap.match(data, at)):
                found = text.match(data, between.end())
            if found is None:
                return index, at
            at = found.end()
        return len(self.units), at


@lru_cache(maxsize=2048)
def compiled(pattern: bytes) -> re.Pattern[bytes]:
    """The pattern of one unit or gap; many secrets share them."""
    return re.compile(pattern)


def _halves(data: bytes, least: int, most: int) -> tuple[bytes, ...]:
    """Two pieces of which a break leaves one whole; one piece where the data is too short."""
    if len(data) < 2 * least:
        return (data,)
    size = min(most, len(data) // 2)
    return data[:size], data[size : 2 * size]


def _digit_witnesses(data: bytes, spelled: Iterable[Callable[[bytes], str]]) -> tuple[bytes, ...]:
    """Pieces of the data's dumps, as the digits of a block show them."""
    found: dict[bytes, None] = {}
    for piece in _halves(data, 3, 4):
        found |= dict.fromkeys(spell(piece).replace("0", "").encode() for spell in spelled)
    return tuple(each for each in found if len(each) > 2)


def _as_hex(data: bytes) -> str:
    return data.hex()


def _as_octal(data: bytes) -> str:
    return "".join(f"{byte:o}" for byte in data)


def _as_decimal(data: bytes) -> str:
    return "".join(map(str, data))


_CODES: tuple[Callable[[bytes], str], ...] = (_as_hex, _as_octal, _as_decimal)


def _runs(secret: str) -> list[bytes]:
    """Letters and digits in a row, the longest first: they are escaped all or none."""
    return [run.encode() for run in sorted(re.findall("[A-Za-z0-9]{3,}", secret), key=len)[::-1]]


def as_text(secret: str) -> Spelling:
    """The text with any escapes."""
    runs, units = _runs(secret), tuple(_text_units(secret))
    if not runs:
        return Spelling(units)
    several = len(runs) > 1 and len(runs[1]) > 4
    whole = tuple(runs[:2]) if several else _halves(runs[0], 6, 16)
    return Spelling(units, closed_up=whole, digits=_digit_witnesses(runs[0], _CODES))


def _base64_spelling(core: bytes) -> Spelling:
    units = tuple((_BASE64_GAP, _BASE64_UNITS.get(byte, b"%c" % byte)) for byte in core)
    return Spelling(units, closed_up=_halves(core, 4, 12), parts=96)


def _dumps(secret: str) -> Iterator[Spelling]:
    """Hexadecimal, octal and decimal bytes; what ``od`` and ``hexdump`` show by default."""
    data = secret.encode()
    known = next((run for run in _runs(secret) if len(run) >= SHORTEST_SECRET), data)
    by_code = {
        _as_hex: (_HEX_GAP, [_in_any_case(f"{byte:02x}") for byte in data]),
        _as_octal: (_NUMBER_GAP, [rb"(?<![0-9])0{0,2}%o(?![0-9])" % byte for byte in data]),
        _as_decimal: (_NUMBER_GAP, [rb"(?<![0-9])0{0,2}%d(?![0-9])" % byte for byte in data]),
    }
    for spell, (gap, units) in by_code.items():
        yield _dump(units, gap, _digit_witnesses(known, [spell]))
    for lead in range(2):
        inside = data[lead : len(data) - (len(data) - lead) % 2]
        words = [inside[at : at + 2][::-1] for at in range(0, len(inside), 2)]
        if len(words) > 1:
            hexes = [_in_any_case(word.hex()) for word in words]
            octals = [b"%06o" % int(word.hex(), 16) for word in words]
            yield _dump(hexes, _NUMBER_GAP, _word_witnesses(words, "x"), words=True)
            yield _dump(octals, _NUMBER_GAP, _word_witnesses(words, "o"), words=True)


def _dump(
    units: Iterable[bytes], gap: bytes, digits: tuple[bytes, ...], *, words: bool = False
) -> Spelling:
    spelled = tuple((gap, unit) for unit in units)
    return Spelling(spelled, _DUMP_TAIL, digits=digits, words=words, parts=96)


def _word_witnesses(words: Sequence[bytes], form: str) -> tuple[bytes, ...]:
    half = len(words) // 2
    halves = (words[:half][:3], words[half : half + 3]) if half > 1 else (words,)
    spelled = ("".join(format(int(word.hex(), 16), form) for word in each) for each in halves)
    return tuple(dict.fromkeys(each.replace("0", "").encode() for each in spelled))


def spellings(secret: str) -> Iterator[Spelling]:
    """Every spelling in which ``secret`` is looked for."""
    yield as_text(secret)
    in_json = {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    cores = {core for text in {secret, *in_json} for core in _base64_cores(text.encode())}
    yield from map(_base64_spelling, sorted(cores))
    yield from _dumps(secret)


def literals(secret: str) -> set[bytes]:
    """What is looked for as it stands: the secret, its lines, and a value as a message shows it."""
    line = " ".join(secret.split())
    texts = {secret, line, line[:CUT_AT], *secret.splitlines()}
    return {text.encode() for text in texts if len(text) >= SHORTEST_SECRET}
