"""Tests of the drivers on real sockets of the loopback, and of the values they take."""
