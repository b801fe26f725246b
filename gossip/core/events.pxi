# events.pxi: what the core tells its user.
