"""Shared by every suite: a real sshd where one is installed, and collecting sinks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sshd.accounts import Accounts
from tests.sshd.server import SSHD, Sshd

NO_SSHD = "the sshd tests need openssh-server (Debian: apt-get install openssh-server)"


@pytest.fixture(scope="session")
def sshd_installed() -> None:
    """Skips what needs a real sshd where there is none; on CI that is a failure."""
    if SSHD is not None:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(NO_SSHD, pytrace=False)
    pytest.skip(NO_SSHD)


@pytest.fixture(scope="session")
def sshd(sshd_installed: None) -> Iterator[Sshd]:
    """One server for the whole run; a test that freezes or cuts takes ``own_sshd``."""
    server = Sshd()
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture
def own_sshd(sshd_installed: None) -> Iterator[Sshd]:
    """A server for one test alone."""
    server = Sshd()
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def accounts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Accounts]:
    """Temporary accounts on this machine; needs root."""
    if os.geteuid() != 0:
        pytest.skip("temporary accounts need root")
    made = Accounts()
    try:
        yield made
    finally:
        made.remove()


@pytest.fixture
def no_user_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A home without keys, without known_hosts and without an agent."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return tmp_path
