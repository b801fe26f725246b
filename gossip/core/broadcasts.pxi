# broadcasts.pxi: the transmit-limited queue.
