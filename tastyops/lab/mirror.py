"""Where this machine's apt gets Debian from; the lab is made from the same place."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass

from tastyops.errors import UsageError

FORMAT = "$(ORIGIN)|$(LABEL)|$(CODENAME)|$(COMPONENT)|$(REPO_URI)"
_PROXY = re.compile(r"^proxy='(.*)'$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Mirror:
    """The base archive and, where apt knows one, that of security updates."""

    archive: str
    security: str | None

    def sources(self, suite: str) -> str:
        """The lines of a sources.list for that suite."""
        lines = [f"deb {self.archive} {name} main" for name in (suite, f"{suite}-updates")]
        if self.security:
            lines.append(f"deb {self.security} {suite}-security main")
        return "\n".join(lines) + "\n"


def chosen(lines: Iterable[str]) -> Mirror:
    """The mirror among apt's index targets. Raises UsageError when none carries Debian."""
    archive = security = None
    for line in lines:
        origin, label, codename, component, uri = (*line.split("|"), "", "", "", "", "")[:5]
        if origin != "Debian" or component != "main" or not re.match(r"(https?|file|ftp):", uri):
            continue
        if label == "Debian-Security" or codename.endswith("-security"):
            security = security or uri
        elif label == "Debian" and "-" not in codename:
            archive = archive or uri
    if archive is None:
        raise UsageError(
            "This machine's apt is set to no mirror of Debian, and the lab is a Debian.",
            next_step="Add a Debian source to apt (and run apt-get update), or build the lab on a"
            " Debian machine.",
        )
    return Mirror(archive, security)


def configured() -> Mirror:
    """The mirror this machine's apt is set to. Raises UsageError."""
    return chosen(_said("apt-get", "indextargets", "--format", FORMAT, "Created-By: Packages"))


def proxy_environment() -> dict[str, str]:
    """apt's own HTTP proxy as the environment variables other programs know."""
    said = "\n".join(_said("apt-config", "shell", "proxy", "Acquire::http::Proxy"))
    found = _PROXY.search(said)
    return {"http_proxy": found[1], "https_proxy": found[1]} if found and found[1] else {}


def _said(*argv: str) -> list[str]:
    try:
        answer = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise UsageError(
            "apt cannot be asked where its packages come from.",
            next_step="The lab is built on Debian or Ubuntu; run apt-get update there first.",
        ) from error
    return answer.stdout.splitlines()
