# awareness.pxi: Lifeguard's local health score.
