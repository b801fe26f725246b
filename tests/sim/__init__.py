"""Virtual time: production cores, a made-up clock, no sockets. The same seed gives the same run.

Whole clusters run on the engine that users get (`gossip.sim`); `clusters` and `engine_run` make
them for a test. `solo`, with `wire`, `serf`, `settings` and `model`, is something else: one core,
and puppets whose every string the test holds, to say what no other core would and to see each
packet.
"""
