# cursor.pxi: bounded reading and writing of wire bytes.
