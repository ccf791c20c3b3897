"""The lab for the tests that need it."""

from __future__ import annotations

import pytest

from tests.lab.machine import Lab
from tests.lab.machine import lab as lab  # a fixture


@pytest.fixture
def pristine(lab: Lab) -> Lab:
    """The lab as it was built, whatever the test before did to it."""
    lab.reset()
    return lab
