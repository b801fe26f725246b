# lzw.pxi: LZW exactly as the wire has it.
