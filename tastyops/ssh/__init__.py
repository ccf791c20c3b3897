"""Links to real hosts: Fabric carries SSH, ``tastyops.shell`` frames what is said over it."""
