# address.pxi: addresses, comparisons, allowed networks.
