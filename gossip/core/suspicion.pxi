# suspicion.pxi: suspicion timers and the formulas of time.
