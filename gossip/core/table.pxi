# table.pxi: the member table: rows, order, random choice.
