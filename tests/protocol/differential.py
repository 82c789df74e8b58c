#!/usr/bin/python3
"""Sends the same random commands to two servers and compares their answers byte for byte.

    differential.py --left PATH --right PATH [--left-args ARGS] [--right-args ARGS] [--seed N] [--seconds S] [--packets]

Each round is a pipeline of valid and damaged commands over a few keys, sent to both in random pieces, on fresh connections now and then.
Each command is followed by "mn", which marks where its answer ends. What may differ is made equal before answers are compared
(Side.normal): CAS numbers are named by the order in which they appear; times may differ by two seconds; errors of meta commands may
differ in their words; a wrong number of words may be ERROR or CLIENT_ERROR; a key may come back in base64 or plain (an appended or
vivified item of memcached forgets that its key was in base64).

With --packets they speak the binary protocol. A noop marks where a pipeline's answers end, since quiet commands have none. Of CAS numbers is compared whether
there is one.

The first difference ends it: the seed, the last commands on the key concerned, what was sent, both answers.
"""

import argparse
import base64
import os
import random
import re
import shlex
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True

from case import Conversation, Failure
from binary_packets import NOOP, VERSION, BinaryConversation, packet
from differential_commands import Commands, rewrite_cas
from differential_packets import Packets
from server_process import Server, ServerDied
from waits import HANG_S

BARRIER = b"mn\r\n"
BARRIER_ANSWER = b"MN\r\n"
LAST = b"last"  # the opaque of a noop
COMMANDS_A_ROUND = 40
CONTEXT_COMMANDS = 12


class Side:
    """A server, its connection, and the names of its CAS numbers."""

    def __init__(self, server):
        self.server = server
        self.conversation = None
        self.names = {}
        self.numbers = {}

    def reconnect(self):
        if self.conversation:
            self.conversation.close()
        self.conversation = Conversation(self.server.connect())

    def name(self, key, number):
        """CAS numbers of a key are called by the order in which they are seen."""
        if (key, number) not in self.names:
            name = b"cas%d.%s" % (len(self.names), key)
            self.names[key, number] = name
            self.numbers[name] = number
        return self.names[key, number]

    def normal(self, command, answer):
        if command.startswith(b"m"):
            answer = re.sub(rb"(CLIENT_ERROR [^\r]*|ERROR)\r\n", b"CLIENT_ERROR ...\r\n", answer)
            answer = re.sub(rb"(NS|EX|NF)([^\r]*) c0(?= |\r)", rb"\1\2", answer)
        answer = re.sub(rb" k(YjY0Y[Qg]==) b(?= |\r)", lambda m: b" k" + base64.b64decode(m[1]), answer)
        answer = re.sub(rb"(^|\n)ERROR\r\n", rb"\1CLIENT_ERROR bad command line format\r\n", answer)
        answer = re.sub(rb"(\r\n|^)(VALUE (\S+) \d+ \d+) (\d+)(?=\r\n)", lambda m: m[1] + m[2] + b" " + self.name(m[3], m[4]), answer)
        key = (command.split()[1:] or [b""])[0]
        lines = answer.split(b"\r\n")
        for index, line in enumerate(lines):
            if re.match(rb"(HD|VA \d+|EN|NF|NS|EX)( |$)", line):
                line = re.sub(rb" c(\d+)(?= |$)", lambda m: b" c" + self.name(key, m[1]), line)
                # Whether an item counts as fetched depends in memcached on what is made anew and what in place.
                line = re.sub(rb" h[01](?= |$)", b" h.", line)
                line = re.sub(rb" kC\d+(?= |$)", b" kC.", line)  # a number where a key belongs
                lines[index] = re.sub(rb" ([tl])(\d+)(?= |$)", rb" \1~\2~", line)
            elif line.startswith(b"ME "):
                lines[index] = re.sub(rb"^(ME \S+) .*", rb"\1 ...", line)
            elif line.startswith(b"VERSION "):
                lines[index] = b"VERSION ..."
        return b"\r\n".join(lines)


TIMES_DIFFER_BY = 2  # seconds


def times_agree(left, right, differ_by=TIMES_DIFFER_BY):
    """Equal but for ~number~, which may differ a little."""
    parts = re.split(rb"~(\d+)~", left), re.split(rb"~(\d+)~", right)
    if len(parts[0]) != len(parts[1]):
        return False
    for index, (one, other) in enumerate(zip(*parts)):
        if index % 2 == 0 and one != other:
            return False
        if index % 2 == 1 and abs(int(one) - int(other)) > differ_by:
            return False
    return True


def receive_barriers(conversation, count):
    """What came up to each of `count` barriers. Values hold no barrier."""
    until = time.monotonic() + HANG_S
    while conversation.pending.count(BARRIER_ANSWER) < count:
        if conversation.at_end or not conversation._receive(until):
            raise Failure(f"an answer is missing, closed: {conversation.at_end}; got {bytes(conversation.pending[-300:])!r}")
    answers = bytes(conversation.pending).split(BARRIER_ANSWER)
    conversation.pending = bytearray(answers[count])
    return answers[:count]


class Comparison:
    def __init__(self, left, right, seed):
        self.sides = [Side(left), Side(right)]
        self.source = random.Random(seed)
        self.commands = Commands(self.source)
        self.history = []
        self.compared = 0
        self.longest_round_s = 0

    def pieces(self, data):
        """Cut at up to three places, so that both servers read it in parts."""
        cuts = sorted(self.source.randrange(1, len(data)) for _ in range(self.source.randrange(4)))
        return [data[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(data)])]

    def round(self):
        if self.sides[0].conversation is None or self.source.random() < 0.1:
            for side in self.sides:
                side.reconnect()
        batch = [self.commands.next() for _ in range(self.source.randrange(1, COMMANDS_A_ROUND))]
        begin = time.monotonic()
        answers = [self.ask(side, batch) for side in self.sides]
        self.longest_round_s = max(self.longest_round_s, time.monotonic() - begin)
        for command, left, right in zip(batch, *answers):
            self.compare(command, left, right)
            self.history.append(command)
        self.history = self.history[-2000:]

    def ask(self, side, batch):
        data = b"".join(rewrite_cas(command, side.numbers) + BARRIER for command in batch)
        for piece in self.pieces(data):
            side.conversation.send(piece)
        try:
            return receive_barriers(side.conversation, len(batch))
        except Failure as failure:
            self.history += batch
            raise Failure(f"{side.server.path}: {failure}\n{self.context()}") from None

    def compare(self, command, left, right):
        left, right = self.sides[0].normal(command, left), self.sides[1].normal(command, right)
        # What one side was given in one round and tells in another is as much older as it waited for its turn in each.
        if not times_agree(left, right, TIMES_DIFFER_BY + int(2 * self.longest_round_s)):
            raise Failure(f"sent   {shown(command)}\nleft   {shown(left)}\nright  {shown(right)}\n{self.context(command)}")
        self.commands.learn(left)
        self.compared += 1

    def context(self, command=b""):
        """The last commands that touched a key of this one."""
        keys = set(re.findall(rb"key\d", command)) or {b""}
        related = [old for old in self.history if any(key in old for key in keys)]
        return "after\n" + "\n".join(f"  {shown(old)}" for old in related[-CONTEXT_COMMANDS:])


class PacketSide:
    """A server, its connection, and the newest CAS number of each key that it has told."""

    def __init__(self, server):
        self.server = server
        self.conversation = None
        self.cas = {}

    def reconnect(self):
        if self.conversation:
            self.conversation.close()
        self.conversation = BinaryConversation(self.server.connect())

    def hear(self):
        """The answers up to the barrier."""
        answers = []
        while (answer := self.conversation.receive()) is not None and (answer.opcode, answer.opaque) != (NOOP, LAST):
            answers.append(answer)
        if answer is None:
            raise Failure(f"{self.server.path}: hangs up; got {answers}")
        return answers


class PacketComparison(Comparison):
    def __init__(self, left, right, seed):
        super().__init__(left, right, seed)
        self.sides = [PacketSide(left), PacketSide(right)]
        self.packets = Packets(self.source)

    def ask(self, side, batch):
        data = b"".join(each.make(side.cas.get(each.key, 0)) for each in batch) + packet(NOOP, opaque=LAST)
        for piece in self.pieces(data):
            side.conversation.send(piece)
        return side.hear()

    def normal(self, side, asked, answer):
        """What may be compared. The CAS number is kept for later."""
        if answer.cas:
            side.cas[asked[answer.opaque]] = answer.cas
        value = b"" if answer.opcode == VERSION else answer.value
        return answer.opcode, answer.status, answer.opaque, answer.cas != 0, answer.extras, answer.key, value

    def round(self):
        if self.sides[0].conversation is None or self.source.random() < 0.1:
            for side in self.sides:
                side.reconnect()
        batch = [each for _ in range(self.source.randrange(1, COMMANDS_A_ROUND)) for each in self.packets.next()]
        asked = {each.opaque: each.key for each in batch}
        told = [[self.normal(side, asked, answer) for answer in self.ask(side, batch)] for side in self.sides]
        if told[0] != told[1]:
            raise Failure(self.first_difference(batch, *told))
        self.compared += len(batch)

    def first_difference(self, batch, left, right):
        at = next((at for at, (one, other) in enumerate(zip(left, right)) if one != other), min(len(left), len(right)))
        lines = [f"{name} {[shown(part) if isinstance(part, bytes) else part for part in told[at]] if at < len(told) else 'nothing'}" for name, told in (("left ", left), ("right", right))]
        return "\n".join(lines + ["of"] + [f"  {each}" for each in batch])


def shown(data):
    return repr(data) if len(data) <= 400 else f"{data[:400]!r}... ({len(data)} bytes)"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--left", required=True)
    parser.add_argument("--right", required=True)
    parser.add_argument("--left-args", default=[], type=shlex.split)
    parser.add_argument("--right-args", default=[], type=shlex.split)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1000000007)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--packets", action="store_true")
    options = parser.parse_args()

    print("[==========] Running 1 test(s).")
    print(f"seed {options.seed}", flush=True)
    try:
        with Server(options.left, options.left_args) as left, Server(options.right, options.right_args) as right:
            comparison = (PacketComparison if options.packets else Comparison)(left, right, options.seed)
            until = time.monotonic() + options.seconds
            try:
                while time.monotonic() < until:
                    comparison.round()
            except (Failure, OSError) as failure:
                print(f"[  FAILED  ] after {comparison.compared} commands, seed {options.seed}\n{failure}")
                for server in (left, right):
                    if not server.is_alive():
                        print(f"{server.path} has died: {server.log_text()}")
                print("0 passed, 1 failed")
                return 1
    except ServerDied as death:
        print(f"[  FAILED  ] {death}\n0 passed, 1 failed")
        return 1
    print(f"[       OK ] {comparison.compared} commands answered alike")
    print("1 passed, 0 failed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
