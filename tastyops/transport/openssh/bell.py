"""A bell that waits for descriptors themselves, so that no thread has to read them."""

from __future__ import annotations

import contextlib
import os
import select
import threading

from tastyops.transport.ssh.wire import Bell


class PollBell(Bell):
    """Rung by ``stop`` from another thread, or while a watched descriptor has something to read."""

    def __init__(self) -> None:
        super().__init__()
        self._guard = threading.Lock()
        self._woken, self._waker = os.pipe()
        os.set_blocking(self._woken, False)
        os.set_blocking(self._waker, False)
        self._poll = select.poll()
        self._poll.register(self._woken, select.POLLIN)

    def watch(self, descriptor: int) -> None:
        """From now on the bell rings while there is something to read there."""
        self._poll.register(descriptor, select.POLLIN)

    def ignore(self, descriptor: int) -> None:
        """It rings for that descriptor no more."""
        with contextlib.suppress(KeyError):
            self._poll.unregister(descriptor)

    def set(self) -> None:
        """Rings it, from any thread."""
        super().set()
        with self._guard, contextlib.suppress(BlockingIOError):
            if self._waker >= 0:
                os.write(self._waker, b"!")

    def wait(self, timeout: float | None = None) -> bool:
        """Waits until it rings, or that many seconds."""
        if self.is_set():
            return True
        found = self._poll.poll(None if timeout is None else 1000 * timeout)
        if any(descriptor == self._woken for descriptor, _ in found):
            with contextlib.suppress(BlockingIOError):
                os.read(self._woken, 4096)
        return bool(found)

    def close(self) -> None:
        """Gives its own descriptors back; ``set`` does nothing more then."""
        with self._guard:
            if self._waker >= 0:
                os.close(self._waker)
                os.close(self._woken)
                self._waker = -1
