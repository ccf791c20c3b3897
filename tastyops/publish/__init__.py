"""The public face: a static status site, feeds and calendars, all made from the logs alone."""
