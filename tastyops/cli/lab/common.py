"""What the lab's verbs share: seeing to what is missing, and telling how the lab is reached."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from tastyops.cli import project
from tastyops.errors import UsageError
from tastyops.lab import golden, inventory, needs, record
from tastyops.lab.record import Record


def install_argument(parser: ArgumentParser) -> None:
    """``--install``, for the verbs that may find something missing."""
    parser.add_argument(
        "--install", action="store_true", help="as root: install what is missing, with apt-get"
    )


def see_to_needs(args: Namespace) -> None:
    """Installs or names what is missing. Raises UsageError."""
    building = not golden.expected().complete
    needs.see_to(
        project.say, record.writable() / "install.log", building=building, install=args.install
    )


def refuse_dry(verb: str, *, dry: bool) -> None:
    """Raises UsageError in a dry run: these verbs have none."""
    if dry:
        raise UsageError(f"{verb} has no dry run.", still_true="Nothing was done.")


def introduce(made: Record) -> None:
    """Writes the inventory and says how to reach the machine."""
    path = inventory.write(made, project.known_inventories())
    project.say(f"The lab is up on 127.0.0.1 port {made.ports.ssh}; its inventory is {path}.")
    project.say("Try `invoke run runbooks/kernel-upgrade.yml --inventory lab --yes`.")
    project.say("`invoke lab.down` ends it.")


def the_lab() -> Record:
    """The lab on record. Raises UsageError when there is none."""
    found = record.read()
    if found is None:
        raise UsageError("The lab is down.", next_step="`invoke lab.up` starts it.")
    return found
