"""Random commands for differential.py: valid ones, and some damaged in a word. CAS numbers are names ({cas3.key1}), because each server
has its own.

Left out is what depends on the moment (short times), what servers may answer differently (words after a complete command, NUL, lines
without end, the binary protocol (differential_packets.py), flags of newer versions), and data of a wrong length, which would eat the barrier behind it. memcached
changes a number in place, with padding, or puts a new item in its place, without padding and without stale marks, by whether an answer
with the item is still waiting; so numbers are set before they are changed, come out no shorter, and go.
"""

import re

KEYS = [b"key%d" % number for number in range(6)]
BASE64_KEYS = [b"YjY0YQ==", b"YjY0Yg=="]
SIZES = [0, 1, 2, 5, 10, 50, 100, 500, 1500, 3000, 8000, 16384, 70000, 300000, 700000, 1048577]
SIZE_WEIGHTS = [6, 8, 8, 8, 12, 10, 8, 5, 4, 3, 2, 1, 0.7, 0.3, 0.15, 0.15]
NO_CAS = b"18446744073709551601"
DELTAS = [b"0", b"1", b"3", b"10"]
STARTS = [b"5", b"13", b"99", b"1500", b"18446744073709551600", b"abc", b"", b"5a", b"-5", b"18446744073709551616"]
DAMAGED_WORDS = [b"abc", b"-1", b"1x", b"99999999999999999999999", b"-", b"+", b"k" * 251, b"noreplyx", b"0x10", b"1.5"]
LONG_TIMES = [b"0", b"0", b"0", b"100", b"1000", b"2592000", b"-1"]


def rewrite_cas(command, numbers):
    """Names of CAS numbers become those of one server; an unknown one becomes a number that no item has."""
    if b"{cas" not in command:
        return command
    return re.sub(rb"\{(cas\d+\.[\w=]+)\}", lambda m: numbers.get(m[1], NO_CAS), command)


class Commands:
    def __init__(self, source):
        self.source = source
        self.cas_names = {}  # of a key, newest last
        self.kinds = [
            (self.storage, 20),
            (self.get, 14),
            (self.gets, 8),
            (self.touch, 5),
            (self.delete, 5),
            (self.arithmetic, 8),
            (self.cas, 6),
            (self.meta_get, 14),
            (self.meta_set, 14),
            (self.meta_delete, 6),
            (self.meta_arithmetic, 8),
            (self.other, 2),
            (self.damaged, 10),
        ]

    def next(self):
        functions, weights = zip(*self.kinds)
        return self.source.choices(functions, weights)[0]()

    def learn(self, normal_answer):
        """The CAS numbers that have been seen."""
        for name, key in re.findall(rb"(cas\d+\.([\w=]+))", normal_answer):
            names = self.cas_names.setdefault(key, [])
            if name not in names:
                names.append(name)
            del names[:-4]

    def key(self):
        return self.source.choice(KEYS)

    def data(self):
        size = self.source.choices(SIZES, SIZE_WEIGHTS)[0]
        return bytes([self.source.randrange(97, 123)]) * size

    def flags(self):
        return self.source.choice([b"0", b"0", b"7", b"65536", b"4294967295"])

    def time(self):
        return self.source.choice(LONG_TIMES)

    def noreply(self):
        return b" noreply" if self.source.random() < 0.15 else b""

    def cas_number(self, key):
        """Mostly one that this key has or had."""
        if self.cas_names.get(key) and self.source.random() < 0.8:
            return b"{%s}" % self.source.choice(self.cas_names[key])
        return NO_CAS

    def storage(self):
        word = self.source.choice([b"set", b"set", b"set", b"add", b"replace", b"append", b"prepend"])
        data = self.data()
        return b"%s %s %s %s %d%s\r\n%s\r\n" % (word, self.key(), self.flags(), self.time(), len(data), self.noreply(), data)

    def cas(self):
        key, data = self.key(), self.data()
        return b"cas %s %s %s %d %s%s\r\n%s\r\n" % (key, self.flags(), self.time(), len(data), self.cas_number(key), self.noreply(), data)

    def get(self):
        keys = b" ".join(self.key() for _ in range(self.source.choice([1, 1, 2, 5, 30])))
        return self.source.choice([b"get %s\r\n", b"get %s\r\n", b"gat 0 %s\r\n", b"gat 1000 %s\r\n"]) % keys

    def gets(self):
        keys = b" ".join(self.key() for _ in range(self.source.choice([1, 1, 2])))
        return self.source.choice([b"gets %s\r\n", b"gats 1000 %s\r\n"]) % keys

    def touch(self):
        return b"touch %s %s%s\r\n" % (self.key(), self.time(), self.noreply())

    def delete(self):
        return b"delete %s%s%s\r\n" % (self.key(), self.source.choice([b"", b" 0"]), self.noreply())

    def plain_arithmetic(self):
        """Of a value that is no number, or of nothing."""
        return b"%s %s %s%s\r\n" % (self.source.choice([b"incr", b"decr"]), self.key(), self.source.choice(DELTAS), self.noreply())

    def with_number(self, key, line):
        """Makes the key a number before the line and takes it away behind it."""
        start = self.source.choice(STARTS)
        setting = b"set %s %s %s %d noreply\r\n%s\r\n" % (key, self.flags(), self.time(), len(start), start)
        return setting + line + b"get %s\r\ndelete %s noreply\r\n" % (key, key)

    def arithmetic(self):
        if self.source.random() < 0.3:
            return self.plain_arithmetic()
        key = self.key()
        return self.with_number(
            key,
            b"%s %s %s%s\r\n"
            % (
                *self.source.choice([(b"incr", key, self.source.choice(DELTAS)), (b"decr", key, b"0"), (b"decr", key, b"1")]),
                self.noreply(),
            ),
        )

    def other(self):
        return self.source.choice(
            [
                b"version\r\n",
                b"verbosity 0\r\n",
                b"bogus\r\n",
                b"\r\n",
                b"flush_all\r\n",
                b"flush_all 0 noreply\r\n",
                b"get\r\n",
                b"mx\r\n",
                b"me none\r\n",
                b"stats foo\r\n",
            ]
        )

    def meta_key(self, flags):
        if self.source.random() < 0.15:
            flags.append(b"b")
            return self.source.choice(BASE64_KEYS)
        return self.key()

    def some(self, choices, most=5):
        """A few of them, none twice, in random order."""
        count = min(self.source.randrange(most + 1), len(choices))
        return self.source.sample(choices, count)

    def line(self, word, flags, length=None, compare=0.0):
        key = self.meta_key(flags)
        if self.source.random() < compare:
            flags.append(b"C" + self.cas_number(key))
        self.source.shuffle(flags)
        words = [word, key] + ([b"%d" % length] if length is not None else []) + flags
        return b" ".join(words) + b"\r\n"

    def meta_get(self):
        flags = self.some([b"v", b"s", b"c", b"f", b"k", b"h", b"q", b"u", b"O%d" % self.source.randrange(100), b"t"])
        extra = self.source.random()
        if extra < 0.1:
            flags.append(b"N%d" % self.source.choice([0, 100, 1000]))
        elif extra < 0.2 and b"t" not in flags:
            flags.append(b"T%d" % self.source.choice([0, 100, 1000]))
        elif extra < 0.3:
            flags.append(b"R%d" % self.source.choice([50, 500, 5000]))
        return self.line(b"mg", flags)

    def meta_set(self):
        data = self.data()
        flags = self.some([b"k", b"q", b"c", b"O%d" % self.source.randrange(100), b"F%s" % self.flags(), b"T%s" % self.time(), b"I"])
        if self.source.random() < 0.4:
            flags.append(b"M" + self.source.choice([b"E", b"A", b"P", b"R", b"S"]))
        return self.line(b"ms", flags, len(data), compare=0.25) + data + b"\r\n"

    def meta_delete(self):
        flags = self.some([b"k", b"q", b"O%d" % self.source.randrange(100)])
        if self.source.random() < 0.5:
            flags.append(b"I")
            if self.source.random() < 0.5:
                flags.append(b"T%d" % self.source.choice([0, 100, 1000]))
        return self.line(b"md", flags, compare=0.25)

    def plain_meta_arithmetic(self):
        flags = self.some([b"k", b"c", b"v", b"t", b"O%d" % self.source.randrange(100), b"D%s" % self.source.choice(DELTAS), b"J5", b"q"])
        return self.line(b"ma", flags, compare=0.15)

    def meta_arithmetic(self):
        line = self.plain_meta_arithmetic()
        if self.source.random() < 0.3:
            return line
        if b" q" not in line and self.source.random() < 0.5:
            line = line.replace(b"\r\n", b" N%d\r\n" % self.source.choice([0, 100, 1000]))
        key = line.split()[1]
        if key in BASE64_KEYS:
            return line + b"md %s b q\r\n" % key
        if b" N" in line and self.source.random() < 0.5:
            return b"delete %s noreply\r\n" % key + line + b"get %s\r\ndelete %s noreply\r\n" % (key, key)
        return self.with_number(key, line)

    def damaged(self):
        """A line without data with one word exchanged, left out or doubled."""
        make = self.source.choice(
            [self.get, self.touch, self.plain_arithmetic, self.meta_get, self.meta_delete, self.plain_meta_arithmetic]
        )
        words = make().replace(b" noreply", b"").split()
        position = self.source.randrange(1, len(words))
        change = self.source.randrange(3)
        if change == 0:
            words[position] = self.source.choice(DAMAGED_WORDS)
        elif change == 1:
            del words[position]
        else:
            words.insert(position, words[position])
        return b" ".join(words) + b"\r\n"
