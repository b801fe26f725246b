# msgpack.pxi: the msgpack dialect of the wire.
