"""Ending a command on the host: finding all of it, signalling it, seeing that it is gone.

A process group is not enough. sudo with ``use_pty`` (Debian's default) runs its command in a
session of its own, and timeout(1) in a group of its own; a signal to a group also reports success
while only zombies are left, and failure for another user's processes. So the tree below the
command is read from /proc, groups once found are remembered after their parents are gone, and
what counts as alive is what /proc shows there, zombies excepted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

# $1 the signal, then process groups. Finds the processes of these groups and all their
# descendants, signals the groups they are in, and prints those groups. An empty answer: all gone.
SCRIPT = r"""
s=$1; shift; G=" $* "; P=$G; more=1
while [ "$more" ]; do more=; L=' '
  for f in /proc/[0-9]*/stat; do
    { IFS= read -r l <"$f"; } 2>/dev/null || continue
    p=${f#/proc/}; p=${p%/stat}; set -- ${l##*) }
    case $1 in Z|X) continue;; esac
    case "$P" in *" $p "*) ;; *) case "$P" in *" $2 "*) ;; *) case "$G" in
      *" $3 "*) ;; *) continue;; esac;; esac; P="$P$p "; more=1;; esac
    case "$G" in *" $3 "*) ;; *) G="$G$3 "; more=1;; esac
    case "$L" in *" $3 "*) ;; *) L="$L$3 ";; esac
  done
done
[ "$s" = 0 ] || for g in $L; do kill -s "$s" -- "-$g" 2>/dev/null; done
echo "$L"
"""

Ask = Callable[[str, Sequence[str]], tuple[str, bytes]]
"""Sends a request to the second shell: verb and words to status and standard output."""

Elevate = Callable[[Sequence[str]], tuple[str, list[str]]]
"""Words to the verb and words that run them as root."""


class Ending:
    """What is known of the command that is to end.

    ``root``: the process that leads its group. ``plain``: the framing's own request for it
    (``k`` or ``x``) and its last word, for a host that cannot run the script. ``elevate``: for a
    command that runs as root, when we do not.
    """

    def __init__(
        self, ask: Ask, root: int, plain: tuple[str, str], elevate: Elevate | None
    ) -> None:
        self._ask = ask
        self._groups = {root}
        self._plain = plain
        self._elevate = elevate

    def signal(self, name: str) -> bool:
        """Sends TERM, KILL or nothing (``"0"``). True while anything of the command lives."""
        words = ["sh", "-c", SCRIPT, "sh", name, *map(str, sorted(self._groups))]
        requests = [("p", words)]
        if self._elevate is not None:
            requests.insert(0, self._elevate(words))
        for verb, argv in requests:
            status, out = self._ask(verb, argv)
            alive = out.split()
            if status == "0" and all(word.isdigit() for word in alive):
                self._groups.update(map(int, alive))
                return bool(alive)
        verb, last = self._plain
        status, _ = self._ask(verb, [name, last])
        return status == "0"
