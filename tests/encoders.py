"""Real programs that print a secret in forms of their own, for the tests of masking."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

Encoder = Callable[[str, Path], bytes]

_LOCALES = ("C.UTF-8", "C")


def _run(*argv: str, stdin: bytes = b"", cwd: Path | None = None, locale: str = "C.UTF-8") -> bytes:
    environment = {"LC_ALL": locale, "PATH": "/usr/bin:/bin:/usr/local/bin", "COLUMNS": "80"}
    done = subprocess.run(
        argv, input=stdin, capture_output=True, env=environment, cwd=cwd, timeout=30, check=False
    )
    return done.stdout + done.stderr


def _shell(program: str, script: str, locale: str = "C.UTF-8") -> Encoder:
    return lambda secret, _: _run(program, "-c", script, program, secret, locale=locale)


def _piped(*argv: str, around: tuple[str, str] = ("", "")) -> Encoder:
    return lambda secret, _: _run(
        *argv, stdin=f"{around[0]}{secret}{around[1]}".encode("utf-8", "surrogateescape")
    )


def _listed(*options: str, locale: str) -> Encoder:
    def ls(secret: str, folder: Path) -> bytes:
        return _run("ls", *options, "--", f"/nowhere/{secret}", cwd=folder, locale=locale)

    return ls


def _each(**encoders: Encoder) -> dict[str, Encoder]:
    return dict(encoders)


def _shells() -> Iterator[tuple[str, Encoder]]:
    for locale in _LOCALES:
        yield f"bash declare -p, {locale}", _shell("bash", "x=$1; declare -p x", locale)
        yield (
            f"bash export -p, {locale}",
            _shell("bash", "export x=$1; export -p | grep -a x=", locale),
        )
        yield f"bash array, {locale}", _shell("bash", 'x=("a b" "$1"); declare -p x', locale)
        yield f"bash printf %q, {locale}", _shell("bash", 'printf "%q\\n" "$1"', locale)
        yield (
            f"bash printf %q twice, {locale}",
            _shell("bash", 'printf -v a "%q" "$1"; printf "%q\\n" "$a"', locale),
        )
        yield f"bash @Q, {locale}", _shell("bash", 'echo "${1@Q} ${1@A}"', locale)
        yield f"bash set, {locale}", _shell("bash", "x=$1; set | grep -a -A9 ^x=", locale)
        yield f"bash set -x, {locale}", _shell("bash", 'set -x; : a "$1" b', locale)
        yield f"bash error, {locale}", _shell("bash", '"/nowhere/$1"', locale)
        yield f"coreutils printf %q, {locale}", _shell("bash", 'env printf "%q\\n" "$1"', locale)
    yield "dash export -p", _shell("dash", 'export x="$1"; export -p')
    yield "dash set", _shell("dash", "x=$1; set")
    yield "dash set -x", _shell("dash", 'set -x; : a "$1" b')


def _base64() -> Iterator[tuple[str, Encoder]]:
    for lead in (0, 1, 50):
        around = ("x" * lead, "\nand more after it" * 5)
        for width in (76, 64, 60, 20, 0):
            yield f"base64 -w {width} at {lead}", _piped("base64", "-w", str(width), around=around)
        yield f"openssl base64 at {lead}", _piped("openssl", "base64", around=around)
        numbered = {"cat -n": "cat -n", "nl": "nl", "grep -n": "grep -n ''", "crlf": "sed 's/$/\\r/'",
                    "quoted": "sed 's/^/> /'", "indented": "sed 's/^/      /'", "sed =": "sed =",
                    "journal": "sed 's/^/Nov 30 22:01:07 web1 app[4711]: /'",
                    "compose": "sed 's/^/web-1  | /'", "url": "tr +/ -_"}  # fmt: skip
        for name, script in numbered.items():
            yield (
                f"base64, {name} at {lead}",
                _piped("bash", "-c", f"base64 | {script}", around=around),
            )
        yield f"python encodebytes at {lead}", _piped(
            "python3", "-c",
            "import base64,sys,json; d=base64.encodebytes(sys.stdin.buffer.read()); print(d);"
            "print(json.dumps({'data': d.decode()})); print(json.dumps(json.dumps(d.decode())))",
            around=around,
        )  # fmt: skip


def _dumps() -> Iterator[tuple[str, Encoder]]:
    for lead in (0, 5, 11):
        around = ("y" * lead, " tail")
        for command in (
            "xxd -p", "xxd -p -c 16", "xxd -u -p", "xxd", "xxd -i", "xxd -g 1", "xxd -c 8",
            "hexdump -C", "hexdump", "od -An -tx1", "od -tx1", "od -c", "od -b", "od", "od -x",
            "od -An -tu1", "od -tx1z", "xxd -p | cat -n", "xxd -p | sed 's/$/\\r/'",
        ):  # fmt: skip
            yield f"{command} at {lead}", _piped("bash", "-c", command, around=around)


_PYTHON = """
import html, json, pprint, quopri, reprlib, shlex, sys, urllib.parse as u
s = sys.argv[1]
for each in (
    repr(s), ascii(s), repr(s.encode()), json.dumps(s), json.dumps(json.dumps(s)),
    json.dumps(s, ensure_ascii=False), json.dumps(json.dumps({"a": [s]}, ensure_ascii=False)),
    shlex.quote(s), shlex.quote(shlex.quote(s)), shlex.join(["sh", "-c", shlex.quote(s)]),
    html.escape(s), html.escape(s, quote=False), s.encode("ascii", "xmlcharrefreplace").decode(),
    u.quote(s), u.quote(s, safe=""), u.quote_plus(s), u.urlencode({"p": s}), u.quote(u.quote(s)),
    "".join(f"%{b:02x}" for b in s.encode()), "".join(f"%{b:02X}" for b in s.encode()),
    "".join(f"\\\\x{b:02x}" for b in s.encode()), "".join(f"\\\\{b:03o}" for b in s.encode()),
    "".join(f"\\\\u{ord(c):04x}" for c in s if ord(c) < 65536), "".join(f"&#{ord(c)};" for c in s),
    "".join(f"&#x{ord(c):X};" for c in s), s.encode().hex(), s.encode().hex(":"), s.encode().hex(" "),
    str(list(s.encode())), json.dumps({"data": list(s.encode())}, indent=2),
    s.encode("unicode_escape").decode(), s.encode("ascii", "backslashreplace").decode(),
    s.encode("ascii", "replace").decode(), quopri.encodestring(s.encode()).decode("ascii", "replace"),
    pprint.pformat({"a": s, "b": [s]}), s.replace("'", "''"), s.replace('"', '""'),
    s.replace("$", "$$"), " ".join(s.split()),
):
    sys.stdout.buffer.write(each.encode("utf-8", "replace") + b"\\n---\\n")
"""


def _languages() -> Iterator[tuple[str, Encoder]]:
    yield "python", lambda secret, _: _run("python3", "-c", _PYTHON, secret)
    for program in (
        "@sh",
        "@json",
        "@uri",
        "@html",
        "@csv",
        "@tsv",
        "@base64",
        "tojson|tojson",
        "@text",
    ):
        argument = "[$s]" if program in ("@csv", "@tsv") else "$s"
        yield f"jq {program}", _jq(f"{argument}|{program}")
    yield "jq, in ASCII", _jq("{a: $s}", "-a")
    yield "jq, base64 of JSON", _jq("{a: $s}|tojson|@base64")
    yield "perl Dumper", _perl("use Data::Dumper; $Data::Dumper::Useqq=1; print Dumper($ARGV[0]);")
    yield (
        "perl Dumper, decoded",
        _perl(
            "use Data::Dumper; use Encode; $Data::Dumper::Useqq=1; print Dumper(decode('UTF-8',$ARGV[0]));"
        ),
    )
    yield "perl quotemeta", _perl("print quotemeta($ARGV[0]);")
    yield "perl percent", _perl("$_=$ARGV[0]; s/([^A-Za-z0-9])/sprintf('%%%02X',ord $1)/ge; print;")
    yield "perl unpack", _perl("print unpack('H*',$ARGV[0]);")
    if shutil.which("node"):
        script = (
            "const s=process.argv[1],u=require('util');console.log(u.inspect(s));console.log(escape(s));"
            "console.log(encodeURIComponent(s));console.log(encodeURI(s));console.log(Buffer.from(s).toString('hex'));"
            "console.log(JSON.stringify([...Buffer.from(s)]));"
            "console.log(Buffer.from(s).toString('base64url'));"
        )
        yield "node", lambda secret, _: _run("node", "-e", script, secret)
    yield "curl -v", _curl
    yield "cat -A", _piped("cat", "-A")
    yield "cat -vn", _piped("cat", "-vn")
    yield "fold", _piped("fold", "-w", "20")
    yield "sed l", _piped("sed", "-n", "l")
    yield "systemd-escape", lambda secret, _: _run("systemd-escape", "--", secret)
    for locale in _LOCALES:
        for option in ("literal", "shell", "shell-always", "shell-escape", "shell-escape-always", "c",
                       "escape", "locale", "c-maybe"):  # fmt: skip
            yield f"ls --quoting-style={option}, {locale}", _ls(option, locale)
        yield f"ls -q, {locale}", _ls("literal", locale, "-q")
        yield f"ls error, {locale}", _listed(locale=locale)
        yield (
            f"stat error, {locale}",
            lambda secret, _, locale=locale: _run(
                "stat", "--", f"/nowhere/{secret}", locale=locale
            ),
        )


def _jq(program: str, *options: str) -> Encoder:
    return lambda secret, _: _run("jq", "-nr", *options, "--arg", "s", secret, program)


def _perl(script: str) -> Encoder:
    return lambda secret, _: _run("perl", "-e", script, secret)


def _curl(secret: str, _: Path) -> bytes:
    """Against a closed port nothing is sent, so what curl would send is asked for as a URL."""
    return _run("curl", "-sG", "--data-urlencode", f"p={secret}", "-w", "%{url_effective}",
                "http://127.0.0.1:9/")  # fmt: skip


def _ls(style: str, locale: str, *options: str) -> Encoder:
    def ls(secret: str, folder: Path) -> bytes:
        if "/" in secret or len(secret.encode()) > 250:
            return b""  # no file can have this name
        place = folder / "listed"
        place.mkdir(exist_ok=True)
        for each in place.iterdir():
            each.unlink()
        (place / f"a {secret}").touch()
        return _run("ls", f"--quoting-style={style}", *options, cwd=place, locale=locale)

    return ls


def encoders() -> dict[str, Encoder]:
    """Every encoder whose program is on this machine, by name."""
    return dict([*_shells(), *_base64(), *_dumps(), *_languages()])
