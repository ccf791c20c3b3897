"""The script a host's ``sh`` runs: one speaker of the protocol that ``tastyops.protocol`` frames.

It has to run in dash, bash and busybox sh, start without a file of its own, and never be in the
way of the commands it runs: they get neither its descriptors, its umask nor its variables. It works
in ``/``, and so do they: in the account's home a session would keep /home from being unmounted.

Names: R the run, H the greeting's nonce (set in front of the script). d the run's directory, m the
account's umask, u its uid, b the boot id, i counts probes, pw the password line, N a newline,
n the request's nonce, f the path of the files at hand, c the status to answer, Q the descriptor of
the queue that W, the process that waits for the next change, reads (8 and 9 take turns), A the word
of the session that made the run's directory, L the lock's path, E its first line as this session
took it (a newline, which none is, once it was refused), K the first line it has now.
"""

from __future__ import annotations

PROTOCOL = 2
TAIL_BYTES = 4096
"""Bytes of each stream that a ``t`` request shows."""
SPARE_BYTES = 8192
"""Bytes that must still fit on the host after a command, else its output may have been cut."""

# Claims a change's name: its pid and start time, as the kernel tells them, created exclusively.
# The page its status will need is had before the change begins, and is written over in place then:
# a change may fill the whole directory with what it prints, and its status is known all the same.
_CLAIM = r"""
IFS= read -r s </proc/$$/stat
set -C
printf "%s\n" "$s" >"$f.pid" || exit 99
set +C
if printf "%s\n" ------ >"$f.rc" && printf "" >"$f.out" && printf "" >"$f.err"; then :; else
rm -f "$f.pid" "$f.rc" "$f.out" "$f.err"
exit 99
fi
"""

_STATUS = r"""
printf "%s\n" $? 1<>"$f.rc"
"""

# A change with its words as arguments and its standard input as it is (the password line).
_WRAPPER = (
    "f=$1; m=$2; shift 2"
    + _CLAIM
    + r"""
(umask $m; exec "$@") >"$f.out" 2>"$f.err"
"""
    + _STATUS
)

# A change's process started ahead, while the controller is busy with the last one's outcome:
# starting setsid and sh costs more than all else. It waits for its words on a queue that only the
# main shell holds open, so it ends when that shell does, however that ends. Two queues take turns,
# so that the next process can be started while this change runs without reading this one's words.
_WAITING = (
    r"""
d=$1; m=$2; N=$3
IFS= read -r l || exit 0
eval "set -- $l"
f=$d/$1; shift
I=/dev/null
if [ -e "$f.in" ]; then I=$f.in; fi
"""
    + _CLAIM
    + r"""
(umask $m; exec "$@") <"$I" >"$f.out" 2>"$f.err"
"""
    + _STATUS
)

_MAIN = r"""
N=$(printf '\nx'); N=${N%x}
unset LANGUAGE
LC_ALL=C; export LC_ALL
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin; export PATH
cd /
m=$(umask); umask 077
u=$(id -u)
IFS= read -r b </proc/sys/kernel/random/boot_id
U=; IFS=. read -r U _ </proc/uptime
set -- /dev/shm/tastyops-$u
if [ "$u" = 0 ]; then
set -- /run/tastyops
elif [ -n "$XDG_RUNTIME_DIR" ] && [ -w "$XDG_RUNTIME_DIR" ]; then
set -- "$XDG_RUNTIME_DIR/tastyops" "$@"
fi
# before all others the one where the run's directory is, made when this one was not to be had
for D; do
if [ -s "$D/$R.$b/.born" ] && [ -O "$D" ] && [ ! -L "$D" ]; then set -- "$D" "$@"; fi
done
i=0; pw=; W=; Q=; E=
w='@WRAPPER@'
v='@WAITING@'

# answers: the files at f and the status c; a bare status; the fate at f
e() {
if [ -s "$f.out" ]; then cat "$f.out"; fi
printf '\0%s e\n' "$n"
if [ -s "$f.err" ]; then cat "$f.err"; fi
printf '\0%s %s\n' "$n" "$c"
}
a() { printf '\0%s e\n\0%s %s\n' "$n" "$n" "$1"; }
# whether the host has no room for more output, which c then says beside the status
m() {
if ! { printf '%@SPARE@s' '' >"$d/.room"; } 2>/dev/null; then c="$c cut"; fi
{ printf '' >"$d/.room"; } 2>/dev/null
}
# the exit status at f as c, empty as long as only its place is there
v() {
c=
{ IFS= read -r c <"$f.rc"; } 2>/dev/null
case $c in *[!0-9]*) c=; esac
}
l() {
v
if [ -n "$c" ]; then m; else c=lost; fi
e
}

# the pid at f; whether that process lives (same pid *and* start time, field 22 of stat)
g() {
p=
if [ -s "$f.pid" ]; then read -r p r <"$f.pid"; fi
}
y() {
IFS= read -r s <"$f.pid"
s=${s##*) }; set -- $s; t=${20}
s=
{ IFS= read -r s <"/proc/$p/stat"; } 2>/dev/null
s=${s##*) }; set -- $s
[ "$t" = "${20}" ]
}

# new queues; the next process waiting at the other one; why a name could not be claimed
j() {
Q=; W=
rm -f "$d/$$.q8" "$d/$$.q9"
if mkfifo "$d/$$.q8" "$d/$$.q9" 2>/dev/null; then
exec 8<>"$d/$$.q8" 9<>"$d/$$.q9"
Q=8
fi
}
x() {
Q=$((17-Q))
setsid sh -c "$v" sh "$d" $m "$N" <"$d/$$.q$Q" >/dev/null 2>&1 8>&- 9>&- &
W=$!
}
o() {
if [ -s "$f.pid" ]; then
a claimed
else
rm -f "$f.pid"
a full
fi
}

# whether the lock is still this session's
w() {
K=
[ -n "${E%"$N"}" ] && { IFS= read -r K <"$L"; } 2>/dev/null
[ -n "$E" ] && [ "$K" = "$E" ]
}

problem=
for t in setsid cat rm base64 tail sleep mkfifo ln mv; do
command -v $t >/dev/null || problem=no_$t
done
A=
# the first directory that can be made and written: logind may be about to remove the runtime
# directory of an account whose last session has just ended, though a new one begins
room=
for D; do
d=$D/$R.$b
mkdir -p "$d" 2>/dev/null
chmod 700 "$D" "$d" 2>/dev/null
if [ -d "$d" ] && [ -O "$d" ] && [ -O "$D" ] && [ ! -L "$D" ] && [ ! -L "$d" ]; then
if (: >"$d/.room") 2>/dev/null; then room=1; break; fi
fi
done
if [ -z "$problem" ] && [ -z "$room" ]; then
problem=no_room
fi
L=$D
for t in /dev/shm /run/lock; do
if [ -k "$t" ] && [ -w "$t" ]; then L=$t; fi
done
L=${TASTYOPS_LOCKS:-$L}/tastyops.lock
if [ -z "$problem" ]; then
if [ ! -s "$d/.born" ]; then
printf '%s\n' "$H" >"$d/.born.$H"
[ -s "$d/.born.$H" ] && ln "$d/.born.$H" "$d/.born" 2>/dev/null
rm -f "$d/.born.$H"
fi
{ IFS= read -r A <"$d/.born"; } 2>/dev/null
[ -n "$A" ] || problem=no_room
fi
IFS= read -r h </proc/sys/kernel/hostname
IFS= read -r k </proc/sys/kernel/osrelease
@HELLO@

while IFS=' ' read -r V n r; do
case $V in
p)
f=$d/$$.$i; i=$((i+1))
eval "set -- $r"
(umask $m; exec "$@" </dev/null >"$f.out" 2>"$f.err" 8>&- 9>&-)
c=$?
m
e
;;
P)
f=$d/$$.$i; i=$((i+1))
eval "set -- $r"
printf '%s\n' "$pw" | (umask $m; exec "$@" >"$f.out" 2>"$f.err" 8>&- 9>&-)
c=$?
m
e
;;
c)
eval "set -- $r"
f=$d/$1
if ! w; then
a fenced
continue
fi
if [ -e "$f.pid" ]; then
a claimed
continue
fi
[ -n "$Q" ] || j
if [ -z "$Q" ]; then
a full
continue
fi
[ -n "$W" ] || x
printf '%s\n' "$r" >&$Q
t=$W; x
wait $t
if [ $? = 99 ]; then
o
elif [ -e "$f.pid" ]; then
l
else
j
l
fi
;;
C)
eval "set -- $r"
f=$d/$1; shift
if ! w; then
a fenced
continue
fi
if [ -e "$f.pid" ]; then
a claimed
continue
fi
printf '%s\n' "$pw" | setsid sh -c "$w" sh "$f" $m "$@" >/dev/null 2>&1 8>&- 9>&- &
wait $!
if [ $? = 99 ]; then
o
else
l
fi
;;
u)
eval "set -- $r"
if w; then printf %s "$2" | base64 -d >>"$d/$1.in"; fi
;;
f)
eval "set -- $r"
f=$d/$1
g
v
while [ -z "$c" ] && [ -n "$p" ] && y; do
sleep 0.2
v
done
l
;;
q)
eval "set -- $r"
f=$d/$1
g
printf 'rc '; cat "$f.rc" 2>/dev/null || echo
printf 'pid '; cat "$f.pid" 2>/dev/null || echo
printf 'now '
{ [ -n "$p" ] && cat "/proc/$p/stat" 2>/dev/null; } || echo
a 0
;;
t)
eval "set -- $r"
f=$d/$1
tail -c @TAIL@ "$f.out" 2>/dev/null
printf '\0%s e\n' "$n"
tail -c @TAIL@ "$f.err" 2>/dev/null
printf '\0%s 0\n' "$n"
;;
k)
eval "set -- $r"
f=$d/$2
g
if [ -n "$p" ]; then
kill -s $1 -- -$p 2>/dev/null
kill -s 0 -- -$p 2>/dev/null
a $?
else
a 1
fi
;;
x)
eval "set -- $r"
kill -s $1 -- -$2 2>/dev/null
kill -s 0 -- -$2 2>/dev/null
a $?
;;
d)
eval "set -- $r"
for t in "$@"; do
shift; t=$d/$t
set -- "$@" "$t.out" "$t.err" "$t.rc" "$t.pid" "$t.in"
done
if w; then rm -f "$@"; fi
;;
r)
rm -f "$d/$$".[0-9]*
;;
z)
if [ -z "$E" ] || w; then rm -rf "$d"; fi
;;
l)
eval "set -- $r"
E="$R $2 $3"; t=$L.$H; c=full; o=; K=
if [ -L "$L" ] || { [ -e "$L" ] && [ ! -f "$L" ]; }; then
c=denied
elif (umask 022; set -C; printf '%s\n' "$E" "$4" >"$t") 2>/dev/null; then
if ln "$t" "$L" 2>/dev/null || { [ ! -e "$L" ] && ln "$t" "$L" 2>/dev/null; }; then
c=taken
elif [ -f "$L" ]; then
c=held
o=$(tail -c @TAIL@ "$L" 2>/dev/null)
K=${o%%"$N"*}
p=${K#"$R "}
if [ "$K" = "$E" ]; then
c=taken; o=
elif [ "$p" != "$K" ] && [ "${p%% *}" -gt "$2" ] 2>/dev/null; then
c=fenced
elif [ "$p" != "$K" ] && [ "${p%% *}" -eq "$2" ] 2>/dev/null; then
c=same
elif [ "$p" != "$K" ] || [ -n "$1" ]; then
mv -f "$t" "$L" 2>/dev/null
c=taken
fi
fi
rm -f "$t"
if [ $c = taken ] && ! w; then
c=denied
fi
fi
[ $c = taken ] || E=$N
if [ $c = held ] || [ $c = denied ]; then
rm -f "$d/.room"
[ "$A" != "$H" ] || rm -f "$d/.born"
rmdir "$d" 2>/dev/null
fi
printf '%s\n' $c "$o"
a 0
;;
L)
if w; then
rm -f "$L"
E=
fi
;;
s)
eval "pw=$r"
;;
h)
a 0
;;
esac
done
"""

_TOLD = {
    "uid": "$u",
    "boot": "$b",
    "dir": "$d",
    "lock": "$L",
    "pid": "$$",
    "host": "$h",
    "kernel": "$k",
    "time": "$(date +%s)",
    "up": "$U",
    "problem": "$problem",
    "record": "$A",
}
_FIELDS = " ".join(f"{name}=%s" for name in _TOLD)
_VALUES = " ".join(f'"{value}"' for value in _TOLD.values())
_HELLO = rf"""printf '\0%s ok v={PROTOCOL} {_FIELDS}\n' "$H" {_VALUES}"""

_OPEN = (";;", " in", "do", "then", "else", "{", "&")
"""A line that ends so is followed by the next without a semicolon; so is a ``case`` label."""


def _one_line(script: str) -> str:
    """The script as one line, which is all a shell reads with one ``read``."""
    lines = [line for line in script.strip().splitlines() if line and not line.startswith("#")]
    joined = lines[0]
    for line, before in zip(lines[1:], lines, strict=False):
        label = len(before) == 2 and before.endswith(")")
        joined += (" " if label or before.endswith(_OPEN) else "; ") + line
    return joined


ONE_LINE = _one_line(
    _MAIN.replace("@WRAPPER@", _one_line(_WRAPPER))
    .replace("@WAITING@", _one_line(_WAITING))
    .replace("@TAIL@", str(TAIL_BYTES))
    .replace("@SPARE@", str(SPARE_BYTES))
    .replace("@HELLO@", _HELLO)
)
"""The whole script, without the run's name and the greeting's nonce."""
