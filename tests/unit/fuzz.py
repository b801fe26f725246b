"""Mutated vectors against the codec and a whole node: `python tests/unit/fuzz.py --count 200000`.

The seed decides every case; those for the whole node also build on the ones before. A fault ends
the run and prints the command that repeats it; when the process itself is killed, as the sanitizers
do, the last line of `--trace` tells the case within a hundred. Meant for the build of
GOSSIP_SANITIZE=address: there each input is copied to memory of its exact size, or what lies behind
it is forbidden. Nothing here is a test by itself.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

from gossip import Config
from gossip._core import (
    Envelope,
    Serf,
    StreamReader,
    Swim,
    encode_message,
    encode_stream,
    lzw_compress,
    lzw_decompress,
    pack,
)

VECTORS = Path(__file__).resolve().parents[1] / "vectors"
PACKET_FILES = (
    "memberlist_messages",
    "memberlist_compound",
    "memberlist_envelopes",
    "memberlist_malformed",
    "live_packets",
)
STREAM_FILES = ("stream_pushpull", "stream_tcpping", "stream_user", "stream_errors")
PACKET_BYTES_MAX = 1405  # the configured 1400 and a CRC (protocol §13)
CARRIED_BYTES_MAX = 9300  # what a Serf node sends on for another (QUERY_BYTES_MAX), and envelopes
SERF_SETTINGS = {
    "event_buffer": 64, "query_buffer": 64, "user_event_size_limit": 512,
    "query_size_limit": 1024, "query_response_size_limit": 1024, "broadcast_timeout_ns": 10**9,
    "leave_propagate_delay_ns": 10**9, "reap_interval_ns": 10**9,
    "recent_intent_timeout_ns": 10**10, "reconnect_interval_ns": 10**10,
    "reconnect_timeout_ns": 10**10, "tombstone_timeout_ns": 10**10, "flap_timeout_ns": 10**9,
    "queue_check_interval_ns": 10**9, "queue_depth_warning": 100, "max_queue_depth": 1000,
    "min_queue_depth": 0, "query_timeout_mult": 16,
}  # fmt: skip
CASE_SECONDS_MAX = 5.0  # far above any bound, also with sanitizers on a busy machine
SOURCE = (b"\x7f\x00\x00\x01", 7946)


class Fault(Exception):
    """The code under test broke a promise."""


class NoCipher:
    """An AEAD that seals nothing and opens anything, so that mutations reach what is inside."""

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None, /) -> bytes:
        return data + bytes(16)

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None, /) -> bytes:
        return data[:-16]


def require(holds: bool, what: str) -> None:
    if not holds:
        raise Fault(what)


def corpus(names: tuple[str, ...]) -> list[bytes]:
    """The bytes of all vectors, both directions of a dialogue."""
    entries = [e for name in names for e in json.loads((VECTORS / f"{name}.json").read_text())]
    texts = [entry[key] for entry in entries for key in ("hex", "reply_hex") if entry.get(key)]
    return [bytes.fromhex(text) for text in texts]


# -- mutations

TELLING = bytes.fromhex("00017f8081929fa0bfc0c1c4c7c9cacbcfd3d4d8d9dadbdcdddedffff4090a0c07")


def flipped(random: Random, data: bytearray) -> None:
    data[random.randrange(len(data))] ^= 1 << random.randrange(8)


def replaced(random: Random, data: bytearray) -> None:
    data[random.randrange(len(data))] = random.choice(TELLING)


def cut(random: Random, data: bytearray) -> None:
    del data[random.randrange(len(data)) :]


def removed(random: Random, data: bytearray) -> None:
    start = random.randrange(len(data))
    del data[start : start + random.randint(1, 8)]


def inserted(random: Random, data: bytearray) -> None:
    start = random.randrange(len(data) + 1)
    data[start:start] = bytes(random.choice(TELLING) for _ in range(random.randint(1, 6)))


def repeated(random: Random, data: bytearray) -> None:
    start = random.randrange(len(data))
    piece = data[start : start + random.randint(1, 40)]
    data[start:start] = piece * random.randint(1, 8)


MUTATIONS: tuple[Callable[[Random, bytearray], None], ...] = (
    *(flipped, flipped, replaced, replaced, replaced),
    *(cut, removed, inserted, repeated),
)


def mutated(random: Random, seeds: list[bytes]) -> bytes:
    """One of the seeds with a few changes, now and then spliced with another."""
    data = bytearray(random.choice(seeds))
    if random.random() < 0.1:
        other = random.choice(seeds)
        data[random.randrange(len(data) + 1) :] = other[random.randrange(len(other) + 1) :]
    for _ in range(random.choice((1, 1, 1, 2, 3, 6))):
        if data:
            random.choice(MUTATIONS)(random, data)
    return bytes(data[:65536])


def wrapped(random: Random, data: bytes) -> bytes:
    """The input inside further envelopes, to some depth."""
    for _ in range(random.choice((0, 0, 0, 0, 1, 1, 2, 12))):
        if random.random() < 0.5:
            data = encode_message("compress", {"Algo": 0, "Buf": lzw_compress(data)})
        elif len(data) < 20000:
            count = random.choice((1, 2, 3))
            data = bytes([7, count]) + len(data).to_bytes(2, "big") * count + data * count
    return data[:65536]


# -- targets


def leaves(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield message
    for part in message.get("parts") or ():
        yield from leaves(part)
    if "inner" in message:
        yield from leaves(message["inner"])


def check_round_trip(message: dict[str, Any], decode: Callable[[bytes], dict[str, Any]]) -> None:
    """What was decoded means the same when written and read again; empty fields may be gone."""
    again = decode(encode_message(message["type_name"], message["body"]))["message"]["body"]
    for name, value in message["body"].items():
        empty = value in (0, "", None, {"$hex": ""})
        require(again.get(name, value) == value, f"{name}: {value!r} became {again.get(name)!r}")
        require(name in again or empty, f"{name} was lost")


class Targets:
    """The code under test, and what is done with one input."""

    def __init__(self) -> None:
        self.packets = corpus(PACKET_FILES)
        self.streams = corpus(STREAM_FILES)
        self.serf_messages = corpus(("serf_messages",))
        self.lzw = corpus(("lzw",))[:20]
        self.plain = Envelope()
        self.sealed = Envelope(keys=[NoCipher()], refill=bytes)
        self.numbered = Envelope(keys=[NoCipher()], refill=Random(0).randbytes)
        self.compressing = Envelope(compression=True)
        self.cases_of_node = 0
        self.node = self.fresh_node()

    def fresh_node(self) -> Swim:
        """A node that has just started; every second one has a key, two of four a Serf layer."""
        settings = Config.lan().settings() | {"max_members": 50, "new_names_per_packet": 8}
        node = Swim(settings, name=b"fuzzed", address=b"\x7f\x00\x00\x01", port=7946, seed=1)
        self.envelope = self.plain
        if self.cases_of_node // 1000 % 2:
            self.envelope = self.sealed
            node.set_keys([NoCipher()], bytes)
        node.set_local_state(b"state")
        self.layer = Serf(node, SERF_SETTINGS) if self.cases_of_node // 2000 % 2 else None
        self.now = 0
        node.start(self.now)
        return node

    def packet(self, random: Random) -> None:
        decoded = self.plain.decode(wrapped(random, mutated(random, self.packets)))
        listed = list(leaves(decoded["message"])) if "message" in decoded else []
        require(len(listed) <= 1024, "more parts than the limit")
        for message in listed[:4]:
            if "body" in message and "error" not in message and message["type"] != 9:
                check_round_trip(message, self.plain.decode)

    def sealed_packet(self, random: Random) -> None:
        inside = mutated(random, self.packets)
        head = bytes([random.choice((0, 1, 1, 1, 2))]) + bytes(12)
        if head[0] == 0:
            inside += bytes([16 - len(inside) % 16]) * (16 - len(inside) % 16)
        blob = head + inside + bytes(16)
        self.sealed.decode(blob if random.random() < 0.8 else mutated(random, [blob]))

    def written_packet(self, random: Random) -> None:
        message = b"\x08" + mutated(random, self.packets)
        packet = self.compressing.encode(message, crc=random.random() < 0.5)
        require(len(packet) <= len(message) + 5, "compression made a packet larger")
        found = self.plain.decode(packet)["message"]
        payload = found.get("inner", found)["payload"]["$hex"]
        require(b"\x08" + bytes.fromhex(payload) == message, "a packet changed its message")

    def lzw_data(self, random: Random) -> None:
        data = mutated(random, self.lzw)
        with contextlib.suppress(ValueError):
            require(len(lzw_decompress(data, limit=1 << 16)) <= 1 << 16, "over the limit")
        require(lzw_decompress(lzw_compress(data)) == data, "LZW changed its input")

    def stream(self, random: Random) -> None:
        data = mutated(random, self.streams)
        if random.random() < 0.3 and data:
            data = encode_stream(self.sealed, data)
        envelope = self.sealed if data[:1] == b"\x0a" else self.plain
        reply = random.random() < 0.5
        whole = StreamReader(envelope, reply=reply)
        pieces = StreamReader(envelope, reply=reply)
        result = whole.feed(data)
        cuts = sorted(random.randrange(len(data) + 1) for _ in range(random.randrange(4)))
        results = {
            pieces.feed(data[start:end])
            for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)
        }
        require(result in results, f"{result} in one piece, {results} in {len(cuts) + 1}")
        require(whole.decoded() == pieces.decoded(), "pieces decode differently")
        require((whole.end() == "ready") == (result == "ready"), "the end changed the result")

    def whole_node(self, random: Random) -> None:
        self.cases_of_node += 1
        if self.cases_of_node % 1000 == 0:
            self.node = self.fresh_node()
        node = self.node
        if self.layer is not None and random.random() < 0.5:
            self.serf_node(random, self.layer)
        elif random.random() < 0.8:
            packet = wrapped(random, mutated(random, self.packets))
            node.receive([(self.seal_for_node(random, packet), *SOURCE)], self.now)
        else:
            stream = node.accept_stream(*SOURCE, self.now)
            self.feed_node(random, stream)
        if random.random() < 0.3:
            self.now += random.choice((1_000_000, 200_000_000, 1_000_000_000))
            node.tick(self.now)
        self.drain(random)

    def serf_node(self, random: Random, layer: Serf) -> None:
        """A message of Serf's, or a push/pull with a state of it; and what a user might ask."""
        payload = mutated(random, self.serf_messages)
        if random.random() < 0.7:
            packet = self.seal_for_node(random, wrapped(random, b"\x08" + payload))
            self.node.receive([(packet, *SOURCE)], self.now)
            return
        stream = self.node.accept_stream(*SOURCE, self.now)
        state = b"\x02" + payload[1:]
        head = pack({"Join": True, "Nodes": 0, "UserStateLen": len(state)})
        data = b"\x06" + head + state
        if self.envelope is self.sealed:
            data = encode_stream(self.numbered, data)
        self.node.stream_received(stream, data, self.now)
        self.node.stream_ended(stream, self.now)
        layer.event(b"e", payload[:40], False, self.now)
        layer.query(b"q", payload[:40], self.now, ack=True, relay_factor=3)

    def seal_for_node(self, random: Random, packet: bytes) -> bytes:
        """The packet as the node expects it: sealed if it has a key."""
        if self.envelope is self.plain:
            return packet
        return b"\x01" + random.randbytes(12) + packet[:65000] + bytes(16)

    def feed_node(self, random: Random, stream: int) -> None:
        """What a peer might write on a stream of the node."""
        data = mutated(random, self.streams)
        if self.envelope is self.sealed and data:
            data = encode_stream(self.numbered, data)
        self.node.stream_received(stream, data, self.now)
        self.node.stream_ended(stream, self.now)

    def drain(self, random: Random) -> None:
        """Take what the node puts out: all of it must be what a peer can read."""
        node = self.node
        for packet, _, _ in node.transmits():
            most = PACKET_BYTES_MAX if self.layer is None else CARRIED_BYTES_MAX
            require(len(packet) <= most, f"a packet of {len(packet)} bytes")
            require(whole_message(self.envelope.decode(packet)), "an own packet does not decode")
        for command in node.commands():
            if command[0] == "write":
                written = StreamReader(self.envelope)
                require(written.feed(command[2]) == "ready", "an own stream does not decode")
            elif command[0] == "open" and random.random() < 0.7:
                node.stream_opened(command[1], self.now)
                self.feed_node(random, command[1])
            elif command[0] == "open":
                node.stream_failed(command[1], "refused", self.now)
        for event in node.events():
            if event[0] == "filter" and self.layer is not None:
                self.layer.accept_query(event[1], random.random() < 0.8, self.now)
            elif event[0] == "query" and self.layer is not None:
                with contextlib.suppress(ValueError, RuntimeError):
                    self.layer.respond(event[1], b"answer", self.now)
        require(node.member_count <= 50, "more members than allowed")


def whole_message(decoded: dict[str, Any]) -> bool:
    return "error" not in decoded and all(
        "error" not in message and not message.get("truncated")
        for message in leaves(decoded["message"])
    )


def run(*, count: int, seed: int, first: int = 0, trace: bool = False) -> None:
    """Runs `count` cases from number `first` on; raises Fault, or what the code under test did."""
    targets = Targets()
    kinds = (
        *(targets.packet, targets.packet, targets.packet, targets.stream, targets.whole_node),
        *(targets.sealed_packet, targets.written_packet, targets.lzw_data),
    )
    for number in range(first, first + count):
        if trace and number % 100 == 0:
            print(number, file=sys.stderr, flush=True)
        random = Random((seed << 40) + number)
        started = time.process_time()
        try:
            random.choice(kinds)(random)
            require(time.process_time() - started < CASE_SECONDS_MAX, "took too long")
        except Exception as error:
            error.add_note(f"python tests/unit/fuzz.py --seed {seed} --count {number + 1}")
            raise


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200_000, help="cases to run")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--trace", action="store_true", help="print the number of every 100th case")
    given = parser.parse_args()
    started = time.perf_counter()
    run(count=given.count, seed=given.seed, first=given.first, trace=given.trace)
    print(f"{given.count} mutations in {time.perf_counter() - started:.0f} s, seed {given.seed}")


if __name__ == "__main__":
    main()
