"""Which programs are started on the lab, with their arguments: the kernel's own trace of execve.

Documentation/trace/kprobetrace.rst: ``start_thread(regs, new_ip, new_sp)`` is where a program that has
been loaded is about to begin; ``%dx`` is its stack, with the number of its words and their addresses
on top (System V ABI, x86-64, figure 3.9). They have just been written, so that they can be read there;
at the call of execve a page of them may be missing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tastyops.lab.record import Guest

WORDS = 32
"""How many words of a command line are kept."""

_PLACE = "/sys/kernel/tracing"
_ARGV = " ".join(f"a{n}=+u0(+u{8 + 8 * n}(%dx)):ustring" for n in range(WORDS))
_START = (
    f"mountpoint -q {_PLACE} || mount -t tracefs tracefs {_PLACE}; cd {_PLACE} && echo 0 >tracing_on"
    f" && echo 16384 >buffer_size_kb && echo 'p:words start_thread argc=+u0(%dx):s32 {_ARGV}' >kprobe_events"
    " && echo >trace && echo 1 >events/kprobes/words/enable"
    " && echo 1 >events/sched/sched_process_exec/enable"
    " && echo 1 >events/sched/sched_process_fork/enable && echo 1 >tracing_on"
)
_STOP = (
    f"cd {_PLACE} && echo 0 >tracing_on && cat trace && echo 0 >events/enable"
    " && echo >kprobe_events && echo >trace"
)
_RECORD = re.compile(r"^ *\S[^\n]*-(\d+) +\[\d{3}\] \S+ +[0-9.]+: (\w+): ", re.MULTILINE)
_FORK = re.compile(r".*\bpid=(\d+) child_comm=.* child_pid=(\d+)")
_EXEC = re.compile(r"filename=(\S+) pid=(\d+)")
_WHOLE = re.compile(r"entries-in-buffer/entries-written: (\d+)/(\d+) ")


@dataclass(frozen=True, order=True)
class Started:
    """A program and its arguments, as far as they could be read (None: not at all)."""

    program: str
    arguments: tuple[str, ...] | None


def started(guest: Guest, doing: Callable[[], None]) -> set[Started]:
    """What those who logged in meanwhile have started: sshd's descendants."""
    daemon = int(guest.run("systemctl show --property MainPID --value ssh"))
    guest.run(_START)
    doing()
    text = guest.run(_STOP)
    counted = _WHOLE.search(text)
    assert counted, text[:500]
    assert counted[1] == counted[2], f"the trace is not whole: {counted[0]}"
    found = descendants(text, daemon)
    assert any(each.program == "sshd" for each in found), text[:2000]
    return found


def descendants(text: str, ancestor: int) -> set[Started]:
    """What a process' descendants have executed, by a trace."""
    below, words, found = {ancestor}, dict[int, tuple[str, ...]](), set()
    records = [*_RECORD.finditer(text)]
    ends = [record.start() for record in records[1:]] + [len(text)]
    for record, end in zip(records, ends, strict=True):
        body, by = text[record.end() : end], int(record[1])
        if record[2] == "words":
            words[by] = _words(body)
        elif fork := _FORK.match(body):
            if int(fork[1]) in below:
                below.add(int(fork[2]))
        elif (ran := _EXEC.match(body)) and int(ran[2]) in below:
            argv = words.pop(int(ran[2]), ())
            found.add(Started(Path(ran[1]).name, argv[1:] if argv else None))
    return found


def _words(body: str) -> tuple[str, ...]:
    """A command line's words. The kernel shows an empty one as it shows what it cannot read."""
    count = re.search(r" argc=(\d+) ", body)
    found, at = [], body.find(" a0=")
    for number in range(min(WORDS, int(count[1]) if count else 0)):
        at += len(f" a{number}=")
        end = body.find(f" a{number + 1}=", at)
        word = body[at : end if end >= 0 else len(body.rstrip("\n"))]
        found.append(word[1:-1] if word.startswith('"') else "")
        at = end
    return tuple(found)
