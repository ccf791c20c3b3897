"""The records that a verb works on, as its options choose them."""

from __future__ import annotations

from argparse import Namespace

from tastyops.app.inventory import load_inventory
from tastyops.app.record_lookup import Records
from tastyops.model.inventory import Inventory
from tastyops.ui.messages import say


def records_of(args: Namespace, inventory: Inventory) -> Records:
    """Where the runs and logs are, by ``--logs``, ``--runs`` or else the inventory."""
    return Records(inventory, args.logs, args.runs, say)


def load_records(args: Namespace) -> Records:
    """The runs and logs of the inventory that ``--inventory`` names. UsageError, InvalidFile."""
    return records_of(args, load_inventory(args.inventory))
