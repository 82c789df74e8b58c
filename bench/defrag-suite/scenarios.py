"""The scenarios. Each builds a heap, breaks it, and lets the server recover; what it stores follows from the seed, and what is fetched is compared.

A scenario is a function of a Stage. Sizes are of values; keys have 30 bytes. Shares are of the limit that the server was given.
"""

import array
import random
import time

import watch

BATCH = 400
KEY_BYTES = 30
SAMPLE = 4000
EXPIRED_S = 2.5  # after its time a value has expired for everybody, whole seconds or not
STUFF = bytes(i * 7 % 251 for i in range(1 << 21))


class Wrong(Exception):
    """The server answered with another value than was stored."""


class Herd:
    """Values that are stored under names from 0 on. size_of(random source) is the size of one. The letter keeps the herds of a scenario apart."""

    def __init__(self, letter, size_of, seed):
        self.letter, self.size_of = letter.encode(), size_of
        self.live = []
        self.source = random.Random(f"{letter} {seed}")
        self.sizes = array.array("I")  # by name, in the order of the names whoever is asked for first; as far as was asked for

    def key(self, name):
        return (b"%s%d:" % (self.letter, name)).ljust(KEY_BYTES, b"k")

    def size(self, name):
        while len(self.sizes) <= name:
            self.sizes.append(self.size_of(self.source))
        return self.sizes[name]

    def value(self, name):
        start = name * 13 % 100000
        return STUFF[start : start + self.size(name)]

    def mean_bytes(self):
        return KEY_BYTES + sum(self.size(name) for name in range(1000)) / 1000


class Stage:
    """A run of a server with what is watched, and the operations that scenarios are made of."""

    def __init__(self, run, seed, recover_s, gets_a_second=1000):
        self.run, self.seed, self.recover_s, self.gets_a_second = run, seed, recover_s, gets_a_second
        self.source = random.Random(seed)
        self.memory = watch.Memory(run)
        self.herds, self.marks = [], []
        self.broken_s = None  # when the last value was deleted, or expired
        self.refused = 0
        self.result = {}

    def herd(self, letter, size_of):
        self.herds.append(Herd(letter, size_of, self.seed))
        return self.herds[-1]

    def count_for(self, herd, share):
        return max(1, int(self.run.limit_mb * (1 << 20) * share / herd.mean_bytes()))

    def store(self, herd, names, seconds=0):
        """Counts them as payload; where the server evicts, measure() tells what is there."""
        names = list(names)
        herd.live += names
        step = max(1, min(BATCH, int((4 << 20) / herd.mean_bytes())))
        for first in range(0, len(names), step):
            pairs = [(herd.key(name), herd.value(name)) for name in names[first : first + step]]
            self.refused += self.run.connection.store_many(pairs, seconds)
            self.memory.payload += sum(len(key) + len(value) for key, value in pairs)

    def store_and_measure(self, herd, names, parts):
        """In so many parts, each followed by a measurement: for herds that the server must evict for."""
        names = list(names)
        self.memory.keep()
        for part in range(parts):
            self.store(herd, names[len(names) * part // parts : len(names) * (part + 1) // parts])
            self.memory.settle(self.measure(SAMPLE // 4))

    def delete(self, herd, names):
        gone = set(names)
        herd.live = [name for name in herd.live if name not in gone]
        names = list(names)
        for first in range(0, len(names), BATCH):
            part = names[first : first + BATCH]
            self.run.connection.delete_many([herd.key(name) for name in part])
            self.memory.payload = max(0, self.memory.payload - sum(KEY_BYTES + herd.size(name) for name in part))
        self.broken_s = self.memory.now()

    def measure(self, sample_size=SAMPLE):
        """The payload that is there, by a sample of what was stored and not deleted. Raises Wrong."""
        total = 0
        for herd in self.herds:
            if not herd.live:
                continue
            sample, found = self.source.sample(herd.live, min(sample_size, len(herd.live))), 0
            step = max(1, min(BATCH, int((4 << 20) / herd.mean_bytes())))
            for first in range(0, len(sample), step):
                part = sample[first : first + step]
                for name, value in zip(part, self.run.connection.fetch_many([herd.key(name) for name in part])):
                    if value is None:
                        continue
                    if value != herd.value(name):
                        raise Wrong(f"{herd.key(name).decode()} has another value than was stored")
                    found += KEY_BYTES + len(value)
            total += found * len(herd.live) / len(sample)
        self.memory.payload = total
        return total

    def mark(self, what):
        """Names this moment in the results."""
        self.measure()
        self.memory.look()
        at, rss, payload, _ = self.memory.rows[-1]
        self.marks.append({"what": what, "s": round(at, 3), "rss": rss, "payload": round(payload), "density": round(payload / rss, 4)})

    def quiet(self):
        """Latency before anything is broken."""
        with self.gets() as latency:
            time.sleep(min(1.0, self.recover_s))
        self.result["latency_quiet_us"] = latency.microseconds()

    def recover(self):
        """The server is asked to defragment, if it can be; gets go on. What counts as the recovery begins here."""
        self.result["recovery_from_s"] = round(self.memory.now(), 3)
        with self.gets() as latency:
            until = time.monotonic() + self.recover_s
            if self.run.target.defrag:
                began = time.monotonic()
                self.run.connection.command(self.run.target.defrag)
                self.result["defrag_s"] = round(time.monotonic() - began, 3)
            time.sleep(max(0, until - time.monotonic()))
        self.result["latency_recovery_us"] = latency.microseconds()
        self.result["recovery_to_s"] = round(self.memory.now(), 3)

    def gets(self):
        return watch.Latency(self.run, self.some_keys(), self.gets_a_second)

    def some_keys(self):
        keys = [(herd, name) for herd in self.herds for name in self.source.sample(herd.live, min(1000, len(herd.live)))]
        return [herd.key(name) for herd, name in keys] or [b"nothing"]


# ---- sizes -------------------------------------------------------------------------------------------------------------


def exactly(size):
    return lambda source: size


def between(low, high):
    return lambda source: source.randint(low, high)


# ---- the scenarios -----------------------------------------------------------------------------------------------------


def size_flip(stage):
    """Small values until they are evicted, then large ones until they are, then small ones again: memory that was cut for one size must serve the
    other. A cache that cannot give it over answers with fewer items, or refuses."""
    small, large = stage.herd("s", between(80, 120)), stage.herd("l", between(1024, 2048))
    again = stage.herd("t", between(80, 120))
    stage.store_and_measure(small, range(stage.count_for(small, 1.3)), 6)
    stage.mark("small")
    stage.quiet()
    stage.store_and_measure(large, range(stage.count_for(large, 1.3)), 8)
    stage.mark("flipped")
    stage.store_and_measure(again, range(stage.count_for(again, 1.3)), 8)
    stage.mark("flipped back")
    stage.recover()
    stage.mark("recovered")


def checkerboard(stage):
    """Values of one size; then each second one is deleted, in the order in which they were stored. No page becomes empty."""
    herd = stage.herd("c", exactly(200))
    count = stage.count_for(herd, 0.6)
    stage.store(herd, range(count))
    stage.mark("full")
    stage.quiet()
    stage.delete(herd, range(0, count, 2))
    stage.mark("holes")
    stage.recover()
    stage.mark("recovered")


def ttl_cliff(stage):
    """Two thirds of the values, among the others, expire in the same second; nobody asks for them."""
    lasting, brief = stage.herd("k", between(60, 600)), stage.herd("b", between(60, 600))
    count = stage.count_for(lasting, 0.2)
    began = time.monotonic()
    stage.store(lasting, range(count // 10))
    took = time.monotonic() - began
    seconds = round(6 + took * 30 * 2)  # twice what it takes to store all, from how long the first thirtieth took
    while True:
        began = time.monotonic()
        for first in range(count // 10, count, 200):
            names = range(first, min(first + 200, count))
            stage.store(lasting, names)
            left = max(1, round(seconds - (time.monotonic() - began)))
            stage.store(brief, range(2 * names.start, 2 * names.stop), left)
        if time.monotonic() - began < seconds - 3:
            break
        seconds *= 3  # it was so slow that some may have expired meanwhile: once more
        stage.delete(lasting, range(count // 10, count))
        stage.delete(brief, list(brief.live))
    stage.mark("full")
    stage.quiet()
    time.sleep(max(0, seconds + EXPIRED_S - (time.monotonic() - began)))
    stage.broken_s = stage.memory.now() - EXPIRED_S
    brief.live = []
    stage.mark("expired")
    stage.recover()
    stage.mark("recovered")


def held(stage):
    """All but 1 % of the values are deleted, at random: the few that stay are spread over all pages, and hold them. Then larger ones come."""
    herd, refill = stage.herd("h", between(60, 600)), stage.herd("r", between(3000, 5000))
    count = stage.count_for(herd, 0.6)
    stage.store(herd, range(count))
    stage.mark("full")
    stage.quiet()
    stage.delete(herd, [name for name in range(count) if stage.source.random() >= 0.01])
    stage.mark("1 % left")
    stage.recover()
    stage.mark("recovered")
    stage.store(refill, range(stage.count_for(refill, 0.5)))
    stage.mark("refilled")


def big_and_small(stage):
    """Values of 256 bytes among ones of half a MiB. The small ones go, big ones come; then the big ones go, and small ones come."""
    small, big = stage.herd("s", exactly(256)), stage.herd("b", exactly(512 << 10))
    bigs, smalls = stage.count_for(big, 0.3), stage.count_for(small, 0.3)
    for part in range(bigs):
        stage.store(small, range(smalls * part // bigs, smalls * (part + 1) // bigs))
        stage.store(big, [part])
    stage.mark("mixed")
    stage.quiet()
    stage.delete(small, range(smalls))
    stage.mark("small ones gone")
    stage.store(big, range(bigs, 2 * bigs))
    stage.mark("big ones came")
    stage.delete(big, range(2 * bigs))
    stage.store(small, range(smalls, 3 * smalls))
    stage.mark("small ones came")
    stage.recover()
    stage.mark("recovered")


def slow_drift(stage):
    """Values whose sizes grow a little at a time, from 100 bytes to 1000, while the oldest are evicted."""
    herds = [stage.herd(chr(ord("a") + step), between(80 + 90 * step, 120 + 90 * step)) for step in range(11)]
    for step, herd in enumerate(herds):
        stage.store_and_measure(herd, range(stage.count_for(herd, 1.2 if step == 0 else 0.4)), 4 if step == 0 else 2)
        stage.mark(f"to {120 + 90 * step} bytes")
        if step == 0:
            stage.quiet()
    stage.recover()
    stage.mark("recovered")


SCENARIOS = {"size-flip": size_flip, "checkerboard": checkerboard, "ttl-cliff": ttl_cliff, "held": held, "big-and-small": big_and_small,
             "slow-drift": slow_drift}
