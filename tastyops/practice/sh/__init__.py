"""The shell of the practice host: its language, and the commands it runs itself."""
