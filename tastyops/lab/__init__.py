"""The lab: a real Debian server in QEMU, for what the practice host cannot prove.

Only ``app``, the command line and the tests import this package. Everything it starts listens on
loopback only, and is ended by process id.
"""
