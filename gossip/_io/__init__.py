"""Drivers: they bring sockets, time and the event loop to the core, and decide no protocol."""
