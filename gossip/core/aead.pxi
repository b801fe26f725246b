# aead.pxi: sealing and opening through function pointers; nonces; replays.
