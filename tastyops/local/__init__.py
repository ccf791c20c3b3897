"""This machine: plain files, accounts, sockets, and the process that drives a run."""
