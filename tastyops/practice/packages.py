"""The package database of the modelled machine, and dpkg-query(1)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from tastyops.practice.calls import Call, Commands
from tastyops.practice.files import NotModelled


@dataclass
class Package:
    """A package: the installed version and the version in the lists. Sizes in bytes.

    ``state`` is dpkg's: ``not-installed``, ``unpacked``, ``half-configured``, ``installed``.
    """

    name: str
    version: str
    candidate: str
    depends: str = ""
    """Dependencies of the installed version."""
    candidate_depends: str = ""
    state: str = "installed"
    size: int = 1_484
    installed_size: int = 12_288

    @property
    def known(self) -> bool:
        """Whether dpkg has any version of the package."""
        return self.state != "not-installed"

    @property
    def current(self) -> bool:
        """Whether the newest version is completely installed."""
        return self.state == "installed" and self.version == self.candidate


class Packages:
    """The package database of dpkg and apt."""

    def __init__(self, packages: Iterable[Package]) -> None:
        self._packages = {package.name: package for package in packages}

    def find(self, name: str) -> Package | None:
        """A package by name, installed or not."""
        return self._packages.get(name.removesuffix(":amd64"))

    def installed(self) -> list[Package]:
        """All packages dpkg has, sorted by name."""
        return sorted((p for p in self._packages.values() if p.known), key=lambda p: p.name)

    def outdated(self) -> list[Package]:
        """Installed packages with a newer version in the lists."""
        return [p for p in self.installed() if p.version != p.candidate]

    def unfinished(self) -> list[Package]:
        """Packages left unpacked or half configured by an interrupted installation."""
        return [p for p in self.installed() if p.state != "installed"]

    def commands(self) -> Commands:
        """The programs by name."""
        return {"dpkg-query": self._query}

    def _query(self, call: Call) -> int:
        form, names, shows = "${binary:Package}\t${Version}\n", [], False
        for word in call.argv[1:]:
            if word in ("--show", "-W"):
                shows = True
            elif word.startswith(("--showformat=", "-f=")):
                form = word.partition("=")[2]
            elif word.startswith("-") or "*" in word:
                raise NotModelled(f"dpkg-query {word}")
            else:
                names.append(word)
        if not shows:
            raise NotModelled(" ".join(call.argv))
        found = [(name, self.find(name)) for name in names]
        known = [p for _, p in found if p and p.known] if names else self.installed()
        for package in known:
            call.say(_show(package, form), end="")
        for name, missing in found:
            if not missing or not missing.known:
                call.complain(f"dpkg-query: no packages found matching {name}")
        return 0 if not names or len(known) == len(names) else 1


def _show(package: Package, form: str) -> str:
    fields = {
        "binary:Package": package.name,
        "Package": package.name,
        "Version": package.version,
        "Depends": package.depends,
        "db:Status-Status": package.state,
        "Architecture": "amd64",
        "Status": f"install ok {package.state}",
    }

    def value(match: re.Match[str]) -> str:
        if match[1] not in fields:
            raise NotModelled(f"dpkg-query's field {match[0]}")
        return fields[match[1]]

    text = re.sub(r"\$\{([^}]+)\}", value, form)
    return text.replace("\\n", "\n").replace("\\t", "\t").replace("\\\\", "\\")
