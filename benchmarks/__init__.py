"""Measures tastyops beside plain Fabric and OpenSSH's ControlMaster; ``python -m benchmarks``."""
