"""RAID1 mirrors: which disk has which members, and what may be done to them without harm.

Generators and checks the ``raid.*`` actions are made of. What an array is like comes from sysfs,
which disk a member is on from lsblk; both are looked at again before each change.
"""
