# buffer.pxi: a growable run of bytes.
