"""The reboot, as generators an action delegates to: snapshot, guard, schedule, wait, verify.

A reboot is proven, never assumed: the boot id must differ, the kernel must be the expected one,
and nothing may be worse than before. Scheduling goes through logind with an absolute time, never
``shutdown +N``, which reboots *immediately* when logind does not answer (shutdown(8)).
"""
