# stream.pxi: the same for streams, read as the bytes come in.
