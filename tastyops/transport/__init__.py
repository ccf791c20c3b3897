"""Ways to a host: SSH, its console, its power switch."""
