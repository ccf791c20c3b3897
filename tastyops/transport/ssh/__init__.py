"""Links to real hosts: Fabric carries SSH, ``tastyops.protocol`` frames what is said over it."""
