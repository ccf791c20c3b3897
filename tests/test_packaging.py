"""The contents of an installed tastyops: the wheel has every file, and works without a checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

from tests.cli.project import isolated

ROOT = Path(__file__).parent.parent
BUILT_FROM = ("pyproject.toml", "README.md", "LICENSE", "tastyops")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built offline from a copy, so that nothing of an earlier build gets in or is left behind."""
    place = tmp_path_factory.mktemp("wheel")
    source = place / "source"
    source.mkdir()
    for name in BUILT_FROM:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, source)
    argv = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    done = subprocess.run(
        [*argv, "--no-index", "--wheel-dir", str(place), str(source)],
        capture_output=True, text=True, timeout=120,
    )
    assert done.returncode == 0, done.stderr
    (built,) = place.glob("tastyops-*.whl")
    return built


def test_every_file_of_the_package_is_in_the_wheel(wheel: Path) -> None:
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("tastyops/")}
    ours = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "tastyops").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert packed == ours
    assert {"tastyops/py.typed", "tastyops/schema/runbook.json"} <= packed


def test_the_wheel_says_who_may_use_it_and_for_what(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    (name,) = [each for each in archive.namelist() if each.endswith("/METADATA")]
    metadata = Parser().parsestr(archive.read(name).decode())
    assert metadata["License-Expression"] == "Apache-2.0"
    assert any(each.endswith("licenses/LICENSE") for each in archive.namelist())
    assert metadata["Keywords"]
    assert "Intended Audience :: System Administrators" in metadata.get_all("Classifier", [])


def test_the_program_works_from_an_empty_folder(wheel: Path, tmp_path: Path) -> None:
    site, folder = tmp_path / "site", tmp_path / "folder"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
        (entries,) = [name for name in archive.namelist() if name.endswith("entry_points.txt")]
        assert b"tastyops = tastyops.__main__:run" in archive.read(entries)
    folder.mkdir()
    (folder / "inventory.yml").write_text("hosts:\n  kalimdor: {connection: practice}\n")
    shutil.copy(ROOT / "runbooks" / "kernel-upgrade.yml", folder / "upgrade.yml")
    start = "from tastyops.__main__ import run; run()"

    def tastyops(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", start, *words], cwd=folder, capture_output=True, text=True,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(site), **isolated(tmp_path)},
            stdin=subprocess.DEVNULL, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    where = subprocess.run(
        [sys.executable, "-c", "import tastyops; print(tastyops.__file__)"], cwd=folder,
        env={"PYTHONPATH": str(site)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert Path(where.stdout.strip()).is_relative_to(site)
    assert "usage: tastyops VERB" in tastyops("--help")
    assert tastyops("schema") == (site / "tastyops" / "schema" / "runbook.json").read_text("utf-8")
    assert "upgrade.yml: ok" in tastyops("check", "upgrade.yml")
    assert "2.1 reboot: would run" in tastyops("run", "upgrade.yml", "--dry-run")
