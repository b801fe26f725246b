# packet.pxi: a datagram's envelopes: label, encryption, CRC, compression, compound.
