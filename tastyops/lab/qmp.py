"""QEMU's machine protocol over its Unix socket: one command, one answer, with a timeout."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from typing import Any, Self

from tastyops.errors import LabFailed


class Qmp:
    """A connection; close it soon, because QEMU serves one at a time."""

    def __init__(self, path: Path, timeout: float = 60.0) -> None:
        self._timeout = timeout
        self._socket = socket.socket(socket.AF_UNIX)
        self._held = b""
        try:
            self._socket.settimeout(timeout)
            self._socket.connect(str(path))
            self._line()
            self.ask("qmp_capabilities")
        except OSError as error:
            self._socket.close()
            raise LabFailed(
                f"QEMU does not answer at {path}: {error}.",
                next_step="`invoke lab.status` tells more.",
            ) from error
        except BaseException:
            self._socket.close()
            raise

    def ask(self, command: str, **arguments: Any) -> Any:
        """Runs a command. Raises LabFailed for an error or a missing answer."""
        return self.put(command, {_dashed(k): v for k, v in arguments.items()})

    def put(self, command: str, arguments: dict[str, Any]) -> Any:
        """Runs a command with arguments whose names contain underscores."""
        question = {"execute": command, "arguments": arguments}
        try:
            self._socket.sendall(json.dumps(question).encode() + b"\n")
            while True:
                answer = self._line()
                if "error" in answer:
                    raise LabFailed(f"QEMU refuses {command}: {answer['error'].get('desc')}.")
                if "return" in answer:
                    return answer["return"]
        except OSError as error:
            raise LabFailed(f"QEMU does not answer {command}: {error}.") from error

    def migrated(self, patience: float) -> None:
        """Waits until a migration to or from a file is complete. Raises LabFailed."""
        due = time.monotonic() + patience
        while True:
            told = self.ask("query-migrate")
            status = told.get("status")
            if status == "completed":
                return
            if status in ("failed", "cancelled"):
                raise LabFailed(f"The machine's memory: {told.get('error-desc', status)}.")
            if time.monotonic() > due:
                raise LabFailed(f"The machine's memory: {status} after {patience:g} seconds.")
            time.sleep(0.1)

    def _line(self) -> dict[str, Any]:
        due = time.monotonic() + self._timeout
        while b"\n" not in self._held:
            self._socket.settimeout(max(0.01, due - time.monotonic()))
            piece = self._socket.recv(65536)
            if not piece:
                raise ConnectionResetError("it closed the connection")
            self._held += piece
        line, _, self._held = self._held.partition(b"\n")
        told: dict[str, Any] = json.loads(line)
        return told

    def close(self) -> None:
        """Closes the connection; the machine keeps running."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _dashed(name: str) -> str:
    return name.replace("_", "-")
