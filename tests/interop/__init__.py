"""Python nodes among real ones: memberlist v0.7.0 and the Serf v0.11.0 agent, over real sockets."""
