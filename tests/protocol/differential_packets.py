"""Random packets of the binary protocol for differential.py --packets: all commands about items, loud and quiet, over a few keys.

Left out is what depends on the moment (short times, delayed flushes) and what ends the connection, which tests/protocol/families looks at.
memcached changes a number in place, with padding, or puts a new item in its place, by whether an answer with the item is still waiting; so
numbers are set before they are counted down, come out no shorter, and go.
"""

import struct

from binary_packets import *

KEYS = [b"key%d" % number for number in range(5)] + [b"\0\r\n ", b"k" * 250]
SIZES = [0, 1, 2, 10, 100, 1500, 8000, 20000, 70000, 300000, 1048577]
SIZE_WEIGHTS = [6, 8, 8, 10, 10, 5, 3, 2, 1, 0.3, 0.2]
STARTS = [b"5", b"13", b"99", b"1500", b"18446744073709551600", b"abc", b"", b"5a", b"-5", b" 5", b"18446744073709551616"]
DELTAS = [0, 1, 3, 10, 1 << 63, (1 << 64) - 1]
TIMES = [0, 0, 0, 100, 2592000, 0xFFFFFFFF]
NO_INITIAL = 0xFFFFFFFF
NO_CAS = 1 << 63


class Packet:
    """`make` is given the CAS number that its key has there, or 0."""

    def __init__(self, opcode, key, opaque, make):
        self.opcode, self.key, self.opaque, self.make = opcode, key, opaque, make

    def __repr__(self):
        return f"{self.opcode:#04x} {self.key[:20]} {self.opaque}"


class Packets:
    def __init__(self, source):
        self.source = source
        self.opaques = 0
        self.kinds = [(self.stores, 25), (self.gets, 20), (self.touches, 12), (self.extends, 10), (self.deletes, 8), (self.counts, 15), (self.others, 4)]

    def next(self):
        """A few packets that belong together."""
        functions, weights = zip(*self.kinds)
        return self.source.choices(functions, weights)[0]()

    def one(self, opcode, key=b"", value=b"", extras=b"", compares=0.0):
        self.opaques += 1
        opaque = struct.pack(">I", self.opaques)
        chance = self.source.random()
        known, unknown = chance < compares * 0.7, compares * 0.7 <= chance < compares

        def make(cas):
            return packet(opcode, key, value, extras, cas if known else NO_CAS if unknown else 0, opaque)

        return Packet(opcode, key, opaque, make)

    def key(self):
        return self.source.choice(KEYS)

    def value(self):
        size = self.source.choices(SIZES, SIZE_WEIGHTS)[0]
        return bytes([self.source.randrange(97, 123)]) * size

    def stores(self):
        opcode = self.source.choice([SET, SETQ, SET, SETQ, ADD, ADDQ, REPLACE, REPLACEQ])
        extras = struct.pack(">II", self.source.choice([0, 7, 0xFFFFFFFF]), self.source.choice(TIMES))
        return [self.one(opcode, self.key(), self.value(), extras, compares=0.25)]

    def gets(self):
        return [self.one(self.source.choice([GET, GETQ, GETK, GETKQ]), self.key()) for _ in range(self.source.choice([1, 1, 2, 10]))]

    def touches(self):
        return [self.one(self.source.choice([TOUCH, GAT, GATQ, GATK, GATKQ]), self.key(), extras=struct.pack(">I", self.source.choice(TIMES)))]

    def extends(self):
        return [self.one(self.source.choice([APPEND, APPENDQ, PREPEND, PREPENDQ]), self.key(), self.value()[:20000], compares=0.25)]

    def deletes(self):
        return [self.one(self.source.choice([DELETE, DELETEQ]), self.key(), compares=0.25)]

    def counts(self):
        """Up or down, of a number, of none, or of nothing."""
        key, start, chance = self.key(), self.source.choice(STARTS), self.source.random()
        opcode, delta = self.source.choice([(INCREMENT, self.source.choice(DELTAS)), (DECREMENT, self.source.choice([0, 1]))])
        quiet = {INCREMENT: INCREMENTQ, DECREMENT: DECREMENTQ}
        opcode = quiet[opcode] if self.source.random() < 0.3 else opcode
        extras = struct.pack(">QQI", delta, self.source.choice([0, 5, (1 << 64) - 1]), self.source.choice([0, 1000, NO_INITIAL]))
        count = self.one(opcode, key, extras=extras, compares=0.1)
        if chance < 0.3:
            return [self.one(DELETEQ, key), count, self.one(GET, key), self.one(DELETEQ, key)]
        return [self.one(SETQ, key, start, bytes(8)), count, self.one(GET, key), self.one(DELETEQ, key)]

    def others(self):
        return [self.one(self.source.choice([NOOP, FLUSH, FLUSHQ, VERSION, SASL_LIST, 0x1F, 0x30, 0xFF]))]
