"""What is stored in servers: keys and values that follow from their number, so that every value that is found can be compared; and draws by Zipf's law."""

import bisect
import math
import os
import random

BATCH = 500
BATCH_BYTES = 4 << 20
SAMPLE = 30000
STUFF = bytes(i * 7 % 251 for i in range((1 << 20) + 200000))
META_PATH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "data", "cachebench-kvcache-sizes.csv")
MIX = 0x9E3779B97F4A7C15


class Sizes:
    """Value sizes: bounds, or a published distribution. Of a number always the same."""

    def __init__(self, bounds, path=META_PATH):
        self.bounds = bounds
        if bounds is None:
            rows = [line.split(",") for line in open(path) if line[0] not in "#\n"]
            self.upper, self.cumulative = [int(r[0]) for r in rows], [float(r[1]) for r in rows]

    def of(self, number):
        mixed = (number + 1) * MIX & (1 << 64) - 1
        mixed = (mixed ^ mixed >> 29) * MIX & (1 << 64) - 1
        if self.bounds is not None:
            low, high = self.bounds
            return low if low == high else low + (mixed >> 20) % (high - low + 1)
        at = min(bisect.bisect_left(self.cumulative, (mixed >> 32) / (1 << 32)), len(self.upper) - 1)
        low = self.upper[at - 1] + 1 if at > 0 else 1
        share = (mixed & 0xFFFFFFFF) / (1 << 32)
        return min(round(math.exp(math.log(low) + share * math.log((self.upper[at] + 1) / low))), 900000)


class Heap:
    """Names from 0 on. Each item has client flags, and expires in an hour at the soonest, where the protocol has such."""

    def __init__(self, key_bytes, sizes, seed, generation="a"):
        self.key_bytes, self.sizes, self.seed, self.generation = key_bytes, sizes, seed, generation.encode()
        self.source = random.Random(seed)

    def key(self, number):
        return (b"%s%d:" % (self.generation, number)).ljust(self.key_bytes, b"k")

    def size(self, number):
        return self.sizes.of(number * 1000003 + self.seed)

    def value(self, number):
        start = number * 13 % 100000
        return STUFF[start : start + self.size(number)]

    def mean_bytes(self):
        return self.key_bytes + sum(self.size(n) for n in range(5000)) / 5000

    def batches(self, first, last):
        """Ranges of numbers, of which each is no more than a buffer."""
        count = max(1, min(BATCH, int(BATCH_BYTES / self.mean_bytes())))
        return [range(at, min(at + count, last)) for at in range(first, last, count)]

    def fill(self, server, count):
        """How many were refused."""
        return sum(server.connection.store_many([(self.key(n), self.value(n)) for n in part], seconds=3600 + part[0] % 3600, flags=part[0] & 0xFFFF)
                   for part in self.batches(0, count))

    def found_bytes(self, server, names):
        """(bytes, items) of those names that are there, by a sample; RuntimeError if a value is not the one that was stored. Another sample each time:
        what was asked for is kept longer. Where few large values are most of the bytes all are asked for."""
        sample = names if self.sizes.bounds is None else self.source.sample(names, min(SAMPLE, len(names)))
        found = items = 0
        count = max(1, min(BATCH, int(BATCH_BYTES / self.mean_bytes())))
        for first in range(0, len(sample), count):
            part = sample[first : first + count]
            for number, value in zip(part, server.connection.fetch_many([self.key(n) for n in part])):
                if value is None:
                    continue
                if value != self.value(number):
                    raise RuntimeError(f"{server.name}: another value than was stored")
                found, items = found + self.key_bytes + len(value), items + 1
        return found * len(names) / len(sample), items * len(names) // len(sample)

    def payload(self, server, names):
        return self.found_bytes(server, names)[0]


def zipf(count, exponent, seed, draws):
    """So many draws of names below count, the popular ones spread over them."""
    total, sums = 0.0, []
    for rank in range(1, count + 1):
        total += rank**-exponent
        sums.append(total)
    source = random.Random(seed)
    return [bisect.bisect_left(sums, source.random() * total) * 2654435761 % count for _ in range(draws)]
