"""Places where a shell evaluates a value again, so that quoting it does not protect.

In ``(( n > 3 ))`` bash works out what the variable or the text holds, and a subscript in it may
hold a command: ``a[$(reboot)]``. The same goes for a variable's name, and of course for everything
that is a program: ``eval``, ``sh -c``, the other end of ``ssh``, a script of awk or sed.

Source: bash(1), "ARITHMETIC EVALUATION" and "Arrays" (a subscript is an arithmetic expression and
undergoes expansion), and https://www.shellcheck.net/wiki/SC2089 on data that becomes code.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Sequence
from typing import Final

Saying = tuple[str, str]
"""What is wrong, and what to write instead."""

Words = Sequence[str]

ARRAY: Final = "\2"
"""Stands for the command while the words of a compound array assignment are read."""

SHELLS = frozenset(("sh", "bash", "dash", "ash", "ksh", "ksh93", "mksh", "zsh", "rbash"))
ARITHMETIC_OPERATORS = frozenset(("-eq", "-ne", "-lt", "-le", "-gt", "-ge"))

_NUMBER = "`| int` makes sure that it is a number"
_RESERVED = frozenset(("if", "then", "elif", "else", "while", "until", "do", "!", "{", "time"))
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*(\[[^]]*\])?\+?=", re.ASCII)
_SUBSCRIPT = re.compile(r"-?[A-Za-z_]\w*\[[^]]*", re.ASCII)

_WRAPPERS: dict[str, tuple[str, int]] = {
    "sudo": ("CDghpRrtTuU", 0), "doas": ("Cu", 0), "env": ("CSu", 0), "nice": ("n", 0),
    "ionice": ("cnpPu", 0), "nohup": ("", 0), "timeout": ("ks", 1), "exec": ("a", 0),
    "command": ("", 0), "builtin": ("", 0), "setsid": ("", 0), "stdbuf": ("eio", 0),
    "chrt": ("", 1), "taskset": ("", 1), "chroot": ("", 1), "xargs": ("adEILnPs", 0),
    "sshpass": ("fdpP", 0), "busybox": ("", 0), "systemd-run": ("pEuMHt", 0),
    "strace": ("eopsuE", 0), "eatmydata": ("", 0), "unbuffer": ("", 0),
    "nsenter": ("tSG", 0), "flock": ("Ew", 1),
}  # fmt: skip
"""Programs that run another: their options that take an argument, and the words before it."""

_TAKES_CODE: dict[str, re.Pattern[str]] = {
    "python": re.compile(r"-[A-Za-z]*c"),
    "perl": re.compile(r"-[A-Za-z0-9]*[eE]"),
    "ruby": re.compile(r"-[A-Za-z0-9]*e"),
    "node": re.compile(r"-[ep]|-pe|--eval=?|--print=?"),
    "php": re.compile(r"-[rBRE]"),
    "lua": re.compile(r"-e"),
    "expect": re.compile(r"-c"),
    "script": re.compile(r"-[a-z]*c|--command=?"),
    "flock": re.compile(r"-c|--command=?"),
    "su": re.compile(r"-[a-z]*c|--command=?|--session-command=?"),
    "runuser": re.compile(r"-[a-z]*c|--command=?|--session-command=?"),
}
"""Programs with an option whose argument is a program."""

_TMUX = frozenset((
    "new-session", "new", "new-window", "neww", "split-window", "splitw", "run-shell", "run",
    "if-shell", "respawn-pane", "send-keys", "send", "stuff",
))  # fmt: skip


def evaluated(words: Words, text: str) -> Saying | None:
    """Why a value cannot stand after these words of a command and this beginning of a word."""
    if words and words[0] == ARRAY:
        return _subscript() if text.startswith("[") and "]" not in text else None
    command = _own_words(words)
    if not command:
        return _subscript() if _SUBSCRIPT.fullmatch(text) else None
    name = _name(command[0])
    rule = _RULES.get(name) or _RULES.get(name.rstrip("0123456789."))
    found = rule(command, text) if rule else None
    return found or _of_a_shell(command, text) or _of_find(command, text)


def fed_to_a_shell(words: Words) -> bool:
    """Whether a command reads commands from its standard input."""
    command = _own_words(words)
    if not command:
        return False
    name, options = _name(command[0]), command[1:]
    if name == "ssh":
        remote = _after_host(options)
        return remote is not None and (not remote or fed_to_a_shell(remote))
    if name in ("source", "."):
        return options[:1] in (("/dev/stdin",), ["/dev/stdin"])
    if name in SHELLS:
        return all(word.startswith("-") for word in options[:1]) and "-c" not in options
    if "xargs" in map(_name, words):
        return _code_index(command) is not None
    return name in ("at", "batch", "crontab", "parallel")


def own_words(words: Words) -> Words:
    """A command's words without reserved words, assignments, and programs that run another."""
    return _own_words(words)


def _name(word: str) -> str:
    return posixpath.basename(word)


def _own_words(words: Words) -> Words:
    at = 0
    while at < len(words) and (words[at] in _RESERVED or _ASSIGNMENT.match(words[at])):
        at += 1
    while at < len(words) and _name(words[at]) in _WRAPPERS:
        if _name(words[at]) == "flock" and "-c" in words[at:]:
            break
        at = _past_wrapper(words, at)
    return words[at:]


def _past_wrapper(words: Words, at: int) -> int:
    options, operands = _WRAPPERS[_name(words[at])]
    at += 1
    while at < len(words):
        word = words[at]
        if word == "--":
            at += 1
        elif word.startswith("-") and len(word) > 1:
            at += 2 if len(word) == 2 and word[1] in options else 1
            continue
        elif _ASSIGNMENT.match(word):
            at += 1
            continue
        break
    return min(len(words), at + operands)


# -- what each command does with a value ----------------------------------------------------------


def _subscript() -> Saying:
    return "a value in an array's subscript", _NUMBER


def _as_name() -> Saying:
    return (
        "a value as a variable's name",
        "write the name out: a subscript in it would be run",
    )


def _as_code(program: str, hint: str) -> Saying:
    return f"a value that {program} runs as a program", hint


def _eval(command: Words, text: str) -> Saying | None:
    return _as_code(f"`{command[0]}`", "write the command out instead")


def _let(command: Words, text: str) -> Saying | None:
    return "a value that `let` works out", _NUMBER


def _trap(command: Words, text: str) -> Saying | None:
    if any(not word.startswith("-") for word in command[1:]):
        return None
    return _as_code("`trap`", "put it into a variable, and trap '… \"$variable\"' EXIT")


def _declare(command: Words, text: str) -> Saying | None:
    flags = "".join(word[1:] for word in command[1:] if word.startswith("-"))
    if text.startswith("-") or set(flags) & set("fFp"):
        return None
    if _SUBSCRIPT.fullmatch(text):
        return _subscript()
    if "=" not in text or "n" in flags:
        return _as_name()
    if "i" in flags or command[0] == "integer":
        return f"a value that `{command[0]} -i` works out", _NUMBER
    return None


def _unset(command: Words, text: str) -> Saying | None:
    return None if "-f" in command else _as_name()


def _named_after(options: str, names: str = "") -> Callable[[Words, str], Saying | None]:
    """A builtin whose operands are names; ``options`` take an argument that is none."""

    def rule(command: Words, text: str) -> Saying | None:
        last = command[-1]
        if len(command) > 1 and re.fullmatch(rf"-\w*[{options}]", last):
            return None
        attached = re.match(rf"-\w*?([{options}{names}])", text)
        if attached and attached[1] in options:
            return None
        return _as_name()

    return rule


def _mapfile(command: Words, text: str) -> Saying | None:
    if command[-1] == "-C":
        return _as_code(f"`{command[0]} -C`", "write the command out instead")
    return _named_after("dnOsuc")(command, text)


def _printf(command: Words, text: str) -> Saying | None:
    named = (len(command) == 2 and command[1] == "-v") or (
        len(command) == 1 and text.startswith("-v")
    )
    return _as_name() if named else None


def _test(command: Words, text: str) -> Saying | None:
    if command[-1] in ("-v", "-R"):
        return _as_name()
    if command[0] == "[[" and command[-1] in ARITHMETIC_OPERATORS:
        return f"a value that [[ {command[-1]} ]] works out", f"{_NUMBER}, or use [ ]"
    return None


def _ssh(command: Words, text: str) -> Saying | None:
    if command[-1] == "-o" and re.match(r"(proxy|local|remote|knownhosts)command", text.lower()):
        return _as_code("ssh", "put it into ssh_config")
    if _after_host(command[1:]) is None:
        return None
    return (
        "a value that the shell at the other end of ssh reads again",
        "make that host one of the runbook's `hosts:`, or send the value with `stdin:`",
    )


def _after_host(words: Words) -> Words | None:
    """The words behind ssh's host; None where no host stands in them."""
    at = 0
    while at < len(words):
        word = words[at]
        if not word.startswith("-"):
            return words[at + 1 :]
        at += 2 if len(word) == 2 and word[1] in "BbcDEeFIiJLlmOoPpQRSWw" else 1
    return None


def _watch(command: Words, text: str) -> Saying | None:
    if {"-x", "--exec"} & set(command) or command[-1] in ("-n", "--interval"):
        return None
    return _as_code(f"`{command[0]}`", "`watch -x` runs its words as they are")


def _parallel(command: Words, text: str) -> Saying | None:
    return _as_code("`parallel`", "use xargs, which runs its words as they are")


def _tmux(command: Words, text: str) -> Saying | None:
    if command[-1] in ("-t", "-s", "-n", "-c", "-S", "-L") or not _TMUX & set(command):
        return None
    return _as_code(f"`{command[0]}`", "put it into a file that the command reads")


def _awk(command: Words, text: str) -> Saying | None:
    return _of_a_script(command, text, "Fvfi", "f", "pass it: awk -v name={{ … }} 'program'")


def _sed(command: Words, text: str) -> Saying | None:
    hint = "write the whole line with another program: sed runs an `e` in it"
    if re.match(r"-\w*e|--expression=", text) or command[-1] in ("-e", "--expression"):
        return _as_code("sed", hint)
    return _of_a_script(command, text, "efl", "ef", hint)


def _of_a_script(command: Words, text: str, options: str, instead: str, hint: str) -> Saying | None:
    """A program whose first operand is its script, unless one of the options ``instead`` has it."""
    at = 1
    while at < len(command):
        word = command[at]
        if not word.startswith("-") or word == "-":
            return None  # the script is there already
        if re.match(rf"-\w*[{instead}]|--(file|expression)", word):
            return None
        at += 2 if len(word) == 2 and word[1] in options else 1
    if at > len(command) or text.startswith("-"):
        return None  # an option's argument
    return _as_code(f"`{command[0]}`", hint)


def _of_an_option(command: Words, text: str) -> Saying | None:
    """A program that has an option with code."""
    name = _name(command[0])
    pattern = _TAKES_CODE.get(name) or _TAKES_CODE[name.rstrip("0123456789.")]
    hint = "pass it behind the program, as an argument"
    if name in ("su", "runuser", "flock", "script"):
        hint = "write the command out; a file or `stdin:` can carry the value"
    attached = pattern.match(text)
    if attached and (len(text) > attached.end() or text.endswith("=")):
        return _as_code(f"`{name}`", hint)
    return _as_code(f"`{name} {command[-1]}`", hint) if pattern.fullmatch(command[-1]) else None


def _code_index(command: Words) -> int | None:
    """Where the program of a ``sh -c`` among the words stands, or will stand."""
    for at in range(len(command) - 1):
        if _name(command[at]) not in SHELLS:
            continue
        takes_code = False
        for index in range(at + 1, len(command)):
            word = command[index]
            if word[:1] not in ("-", "+"):
                if takes_code:
                    return index
                if command[index - 1][-1:] not in ("o", "O"):
                    break
            elif re.fullmatch(r"-[A-Za-z]*c[A-Za-z]*", word):
                takes_code = True
        else:
            if takes_code:
                return len(command)
    return None


def _of_a_shell(command: Words, text: str) -> Saying | None:
    if _code_index(command) != len(command):
        return None
    return _as_code("`sh -c`", "pass it behind: sh -c 'echo \"$1\"' sh {{ … }}")


def _of_find(command: Words, text: str) -> Saying | None:
    for at, word in enumerate(command):
        if word in ("-exec", "-execdir", "-ok", "-okdir") and at + 1 < len(command):
            return evaluated(command[at + 1 :], text)
    return None


_RULES: dict[str, Callable[[Words, str], Saying | None]] = {
    "eval": _eval, "alias": _eval, "let": _let, "trap": _trap, "unset": _unset,
    **dict.fromkeys(("declare", "typeset", "local", "readonly", "export", "integer"), _declare),
    "read": _named_after("dnNptui", "a"), "getopts": _named_after(":"), "wait": _test,
    **dict.fromkeys(("mapfile", "readarray"), _mapfile), "printf": _printf,
    **dict.fromkeys(("test", "[", "[["), _test), "ssh": _ssh, "watch": _watch,
    "parallel": _parallel, "tmux": _tmux, "screen": _tmux, "sed": _sed,
    **dict.fromkeys(("awk", "gawk", "mawk", "nawk"), _awk),
    **dict.fromkeys(_TAKES_CODE, _of_an_option),
}  # fmt: skip
