# swim.pxi: the state machine.
