"""memcached's binary protocol as a test says and reads it: packets over raw bytes."""

import struct

from case import Conversation, Failure

GET, SET, ADD, REPLACE, DELETE, INCREMENT, DECREMENT, QUIT, FLUSH, GETQ, NOOP, VERSION, GETK, GETKQ, APPEND, PREPEND, STAT = range(0x11)
SETQ, ADDQ, REPLACEQ, DELETEQ, INCREMENTQ, DECREMENTQ, QUITQ, FLUSHQ, APPENDQ, PREPENDQ, VERBOSITY, TOUCH, GAT, GATQ = range(0x11, 0x1F)
SASL_LIST, SASL_AUTH, SASL_STEP, GATK, GATKQ = range(0x20, 0x25)

OK, NOT_FOUND, EXISTS, TOO_LARGE, INVALID, NOT_STORED, NOT_A_NUMBER = range(7)
NOT_ALLOWED, UNKNOWN_COMMAND, NO_MEMORY = 0x20, 0x81, 0x82

WORDS = {
    NOT_FOUND: b"Not found",
    EXISTS: b"Data exists for key.",
    TOO_LARGE: b"Too large.",
    INVALID: b"Invalid arguments",
    NOT_STORED: b"Not stored.",
    NOT_A_NUMBER: b"Non-numeric server-side value for incr or decr",
    NOT_ALLOWED: b"Auth failure.",
    UNKNOWN_COMMAND: b"Unknown command",
}

HEAD = struct.Struct(">BBHBBHI4sQ")
ANY = object()


def packet(opcode, key=b"", value=b"", extras=b"", cas=0, opaque=b"tick", body=None, magic=0x80):
    length = len(extras) + len(key) + len(value) if body is None else body
    return HEAD.pack(magic, opcode, len(key), len(extras), 0, 0, length, opaque, cas) + extras + key + value


def store(opcode, key, value, flags=0, exptime=0, cas=0, opaque=b"tick"):
    return packet(opcode, key, value, struct.pack(">II", flags, exptime), cas, opaque)


def arithmetic(opcode, key, delta=1, initial=0, exptime=0, cas=0, opaque=b"tick"):
    return packet(opcode, key, b"", struct.pack(">QQI", delta, initial, exptime), cas, opaque)


def touch(opcode, key, exptime, opaque=b"tick"):
    return packet(opcode, key, b"", struct.pack(">I", exptime), 0, opaque)


class Answer:
    def __init__(self, head, body):
        self.magic, self.opcode, key_bytes, extras_bytes, _, self.status, _, self.opaque, self.cas = HEAD.unpack(head)
        self.extras = body[:extras_bytes]
        self.key = body[extras_bytes : extras_bytes + key_bytes]
        self.value = body[extras_bytes + key_bytes :]

    def __repr__(self):
        return f"opcode {self.opcode:#x} status {self.status:#x} opaque {self.opaque} cas {self.cas} {self.extras} {self.key} {self.value[:80]}"


class BinaryConversation(Conversation):
    def receive(self):
        """The next packet; None: the server has closed."""
        while len(self.pending) < HEAD.size or len(self.pending) < HEAD.size + HEAD.unpack(bytes(self.pending[: HEAD.size]))[6]:
            if self.at_end or not self.receive_more():
                if self.at_end and not self.pending:
                    return None
                raise Failure(f"  a packet that does not end: {bytes(self.pending[:200])!r}")
        whole = HEAD.size + HEAD.unpack(bytes(self.pending[: HEAD.size]))[6]
        head, body = bytes(self.pending[: HEAD.size]), bytes(self.pending[HEAD.size : whole])
        del self.pending[:whole]
        return Answer(head, body)

    def hear(self, opcode, status=OK, key=b"", value=ANY, extras=b"", opaque=b"tick", cas=ANY):
        """The next packet, which must be that one."""
        answer = self.receive()
        wanted = WORDS.get(status, b"") if value is ANY else value
        right = (
            answer is not None
            and (answer.magic, answer.opcode, answer.status) == (0x81, opcode, status)
            and (answer.key, answer.value, answer.extras, answer.opaque) == (key, wanted, extras, opaque)
            and (cas is ANY or answer.cas == cas)
        )
        if not right:
            raise Failure(f"  expected  opcode {opcode:#x} status {status:#x} opaque {opaque} {extras} {key} {wanted[:80]}\n  got       {answer}")
        return answer

    def ask_packet(self, data, *expected, **fields):
        self.send(data)
        return self.hear(data[1], *expected, **fields)

    def found(self, data, value, flags=0, key=b""):
        self.send(data)
        return self.hear(data[1], key=key, value=value, extras=struct.pack(">I", flags))

    def silence(self):
        """Nothing else has come."""
        self.ask_packet(packet(NOOP, opaque=b"last"), opaque=b"last")

    def closed(self):
        answer = self.receive()
        if answer is not None:
            raise Failure(f"  expected  the end\n  got       {answer}")

    def statistics(self, what=b""):
        self.send(packet(STAT, what))
        found = {}
        while True:
            answer = self.receive()
            if answer is None or answer.status != OK or answer.opcode != STAT or answer.opaque != b"tick":
                raise Failure(f"  no statistic: {answer}")
            if not answer.key:
                return found
            found[answer.key] = answer.value
