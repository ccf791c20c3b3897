"""What asks for something on the modelled machine's console: sulogin, a shell, the initramfs.

Every line typed at a shell there is run by a shell of its own: what one line sets, the next does
not know.
"""

from __future__ import annotations

from collections.abc import Callable

from tastyops.practice.calls import Write

ENTER, ERASE = (b"\r", b"\n"), (b"\x7f", b"\x08")
INTERRUPT = b"\x03"

RESCUE = """\
You are in {mode} mode. After logging in, type "journalctl -xb" to view
system logs, "systemctl reboot" to reboot, "systemctl default" or "exit"
to boot into default mode.

"""
SULOGIN = """\
Press Enter for maintenance
(or press Control-D to continue): """
"""sulogin(8) with ``--force``, where root's password is locked: it asks for none."""

INITRAMFS = """\
Gave up waiting for root file system device.  Common problems:
 - Boot args (cat /proc/cmdline)
   - Check rootdelay= (did the system wait long enough?)
 - Missing modules (cat /proc/modules; ls /dev)
ALERT!  /dev/mapper/volume-root does not exist.  Dropping to a shell!


BusyBox v1.35.0 (Debian 1:1.35.0-4+b3) built-in shell (ash)
Enter 'help' for a list of built-in commands.

"""
MOUNTED = """\
done.
Begin: Running /scripts/local-bottom ... done.
Begin: Running /scripts/init-bottom ... done."""
"""What an initial ramdisk says that has found the root."""

INITRAMFS_PROMPT = "(initramfs) "

IN_THE_INITRAMFS = frozenset({"cat", "echo", "grep", "ls", "lvm", "mdadm", "sh", "test", "uname"})
"""Programs of the modelled machine that its initial ramdisk has too."""

Run = Callable[[str, Write], int]
"""Runs a line; what it writes, on either stream, goes to the writer."""


class ConsoleShell:
    """A shell, behind sulogin or not. ``leave`` is called when it is left."""

    def __init__(
        self, prompt: str, say: Callable[[bytes], None], run: Run, leave: Callable[[], None],
        *, asks: bool,
    ) -> None:  # fmt: skip
        self._prompt, self._tell, self._run, self._leave = prompt, say, run, leave
        self._asks = asks
        self._line = bytearray()

    def say(self, text: str) -> None:
        """Text, with the terminal's line ends."""
        self._tell(text.replace("\n", "\r\n").encode("utf-8", "surrogateescape"))

    def begin(self, greeting: str) -> None:
        """Says what stands there when it comes up."""
        self.say(greeting + (SULOGIN if self._asks else self._prompt))

    def key(self, key: bytes) -> None:
        """A key that is pressed."""
        if self._asks:
            if key in ENTER:
                self._asks = False
                self.say(f"\n{self._prompt}")
        elif key in ENTER:
            line, self._line = self._line.decode("utf-8", "replace"), bytearray()
            self._entered(line.strip())
        elif key in ERASE:
            if self._line:
                del self._line[-1]
                self.say("\b \b")
        elif key == INTERRUPT:
            self._line.clear()
            self.say(f"^C\n{self._prompt}")
        elif key[:1] >= b" " and not key.startswith(b"\x1b"):
            self._line += key
            self._tell(key)

    def _entered(self, line: str) -> None:
        self.say("\n")
        if line == "exit":
            self._leave()
            return
        if "exec sulogin" in line:  # in the shell's place, it asks anew
            self._asks = True
            self.say(SULOGIN)
            return
        if line:
            self._run(line, lambda data: self._tell(data.replace(b"\n", b"\r\n")))
        self.say(self._prompt)
