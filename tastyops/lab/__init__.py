"""The lab: a real Debian server in QEMU, for what the practice host cannot prove.

Stands beside the layers: the command line and the tests import it, nothing else does. Everything
it starts listens on loopback only and is ended by process id.
"""
