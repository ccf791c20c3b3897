"""Where a secret comes from: said in the file, so that the secret itself never is."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class SecretSource:
    """An environment variable, a private file, a command, or (``asked``) the operator.

    ``words``: the variable, the path, or the command's argv.
    """

    kind: Literal["env", "file", "command", "asked"]
    words: tuple[str, ...] = ()

    @property
    def reference(self) -> str:
        """What stands for the secret in journals and digests: ``env:DB_PASSWORD``."""
        return f"{self.kind}:{shlex.join(self.words)}" if self.words else self.kind


ASKED = SecretSource("asked")
