"""The practice host: an SSH server on loopback in front of a modelled machine.

Nothing a client sends is executed on the machine this runs on. It answers only what it models;
anything else ends loudly. Imported by the command line and the tests alone.
"""
