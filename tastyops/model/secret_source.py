"""Where a secret comes from: said in the file, so that the secret itself never is."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Literal

SourceKind = Literal["env", "file", "command", "asked"]
"""From what a secret is read."""


@dataclass(frozen=True, slots=True)
class SecretSource:
    """An environment variable, a private file, a command, or (``asked``) the operator.

    ``words``: the variable, the path, or the command's argv.
    """

    kind: SourceKind
    words: tuple[str, ...] = ()

    @property
    def reference(self) -> str:
        """What stands for the secret in journals and digests: ``env:DB_PASSWORD``."""
        return f"{self.kind}:{shlex.join(self.words)}" if self.words else self.kind


ASKED = SecretSource("asked")
