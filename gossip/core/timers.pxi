# timers.pxi: one heap of deadlines.
