"""The recipe of the lab: its digest, and the mirror apt uses."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tastyops.errors import InvalidFile, UsageError
from tastyops.lab import golden, recipe
from tastyops.lab.faults import FAULTS
from tastyops.lab.golden import Mirror
from tastyops.runbook.inventory_file import read_inventory

ISSUE = ["disk1", "initrd", "array", "xfs-home", "fill-var", "power", "console", "network"]


def test_the_digest_is_of_what_it_is_made_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = recipe.digest()
    assert recipe.digest() == first
    assert recipe.digest("more") != first
    copy = tmp_path / "guest"
    shutil.copytree(recipe.GUEST_FILES, copy)
    monkeypatch.setattr(recipe, "GUEST_FILES", copy)
    assert recipe.digest() == first
    (copy / "install.sh").write_text("another")
    changed = recipe.digest()
    assert changed != first
    monkeypatch.setattr(recipe, "PACKAGES", (*recipe.PACKAGES, "one-more"))
    assert recipe.digest() not in (first, changed)


def test_the_mirror_is_the_one_apt_is_set_to() -> None:
    found = golden.choose_mirror([
        "Elsewhere|Elsewhere|bookworm|main|https://elsewhere.example/debian",
        "Debian|Debian|bookworm-updates|main|https://mirror.example/debian",
        "Debian|Debian|bookworm|contrib|https://contrib.example/debian",
        "Debian|Debian|bookworm|main|https://mirror.example/debian",
        "Debian|Debian-Security|bookworm-security|main|https://mirror.example/security",
    ])  # fmt: skip
    assert found == Mirror("https://mirror.example/debian", "https://mirror.example/security")
    assert found.sources("bookworm").splitlines() == [
        "deb https://mirror.example/debian bookworm main",
        "deb https://mirror.example/debian bookworm-updates main",
        "deb https://mirror.example/security bookworm-security main",
    ]


def test_a_mirror_of_another_release_serves_as_well() -> None:
    found = golden.choose_mirror(["Debian|Debian|trixie|main|https://mirror.example/debian"])
    assert found.sources("bookworm").count("bookworm-security") == 0
    assert found.archive == "https://mirror.example/debian"


@pytest.mark.parametrize("lines", [[], ["Ubuntu|Ubuntu|noble|main|https://mirror.example/ubuntu"]])
def test_no_debian_mirror_is_told(lines: list[str]) -> None:
    with pytest.raises(UsageError, match="No Debian mirror"):
        golden.choose_mirror(lines)


def test_every_fault_of_the_issue_is_there_and_documented() -> None:
    assert [fault.name for fault in FAULTS] == ISSUE
    page = (Path(__file__).parents[2] / "docs/lab.md").read_text()
    for fault in FAULTS:
        assert f"| `{fault.name}` |" in page


def test_practice_is_true_or_false() -> None:
    hosts = "hosts: {kalimdor: {}}\n"
    for said, practice in (("true", True), ("false", False)):
        found = read_inventory(f"practice: {said}\n{hosts}".encode(), "lab.yml")
        assert found.hosts["kalimdor"].practice is practice
    with pytest.raises(InvalidFile, match="practice"):
        read_inventory(f"practice: perhaps\n{hosts}".encode(), "lab.yml")
