"""What ``invoke`` finds here: the verbs of tastyops, and the project's own two."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from invoke import task

from tastyops.cli.invocation import collection

WORKERS = 4  # the tests wait more than they compute, so this suits two processors
NO_TESTS = 5  # pytest's exit code for an empty selection
FAILED = 1  # pytest's exit code for failed tests
AGAIN = 2  # at most this many failed tests are run once more, without the load of the others


@task(help={
    "fast": "Only tests that start no other process: under a minute.",
    "long": "Also the tests that take too long for every push.",
    "workers": "Number of parallel processes.",
})  # fmt: skip
def test(c, fast=False, long=False, workers=WORKERS):
    """Run the tests: first those that can share the machine, then those that need it alone."""
    tier = "not lab" + " and not sshd and not processes" * fast + " and not long" * (not long)
    pytest = [sys.executable, "-m", "pytest", "-m"]
    shared = [*pytest, f"{tier} and not alone", "-n", str(workers), "--dist", "worksteal"]
    alone = [*pytest, f"{tier} and alone"]
    with tempfile.TemporaryDirectory() as cache:
        codes = [subprocess.call([*shared, "-o", f"cache_dir={cache}"])]
        failures = Path(cache, "v/cache/lastfailed")
        failed = list(json.loads(failures.read_text())) if failures.exists() else []
    if codes == [FAILED] and 0 < len(failed) <= AGAIN:
        print("\nOnce more, without other tests beside them:", *failed, sep="\n  ", flush=True)
        codes = [subprocess.call([sys.executable, "-m", "pytest", "-v", *failed])]
        if codes == [0]:
            print(
                "\nUNSTABLE: failed beside other tests, passed alone:",
                *failed,
                sep="\n  ",
                flush=True,
            )
    codes.append(subprocess.call(alone))
    sys.exit(next((code for code in codes if code not in (0, NO_TESTS)), 0))


@task(help={"peers": "Virtual environment for asyncssh, Fabric and pyinfra; made if missing."})
def bench(c, peers=""):
    """Measure steps and whole commands beside OpenSSH and, with --peers, beside other tools."""
    words = ["--peers", peers] if peers else []
    sys.exit(subprocess.call([sys.executable, "-m", "benchmarks", *words]))


ns = collection(test, bench)
