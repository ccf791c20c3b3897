"""The practice host: an SSH server on loopback in front of a modelled machine.

Nothing a client sends is executed on the machine it runs on. A command outside the model is
refused with a message. Only the command line and the tests import this package.
"""
