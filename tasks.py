"""What ``invoke`` finds here: tastyops' verbs, and the project's own two."""

import subprocess
import sys

from invoke import task

from tastyops.cli.invocation import collection


@task(help={
    "fast": "Only what needs no other process: under a minute.",
    "long": "Those that take too long for every push too.",
})  # fmt: skip
def test(c, fast=False, long=False):
    """Run the tests."""
    tier = "not lab" + " and not sshd and not processes" * fast + " and not long" * (not long)
    sys.exit(subprocess.call([sys.executable, "-m", "pytest", "-m", tier]))


@task
def bench(c):
    """Measure: the same step through tastyops, Fabric and OpenSSH's ControlMaster."""
    sys.exit(subprocess.call([sys.executable, "-m", "benchmarks"]))


ns = collection(test, bench)
