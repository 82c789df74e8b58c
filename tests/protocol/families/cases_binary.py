"""The binary protocol: each command, loud and quiet; order; values of any size; what is wrong."""

import random
import struct

from binary_packets import *
from case import Conversation, Failure

SEED = 11
FLAGS = 0xDEADBEEF
LARGE = (0, 1, 2, 3000, 4096, 8192, 16384, 16385, 70000, 262144, 1000000)


def talk(server):
    return BinaryConversation(server.connect())


def pattern(length, seed=0):
    return random.Random(length + seed).randbytes(length)


def set_and_get(server):
    client = talk(server)
    stored = client.ask_packet(store(SET, b"bin-a", b"value", FLAGS))
    found = client.found(packet(GET, b"bin-a"), b"value", FLAGS)
    if stored.cas == 0 or stored.cas != found.cas:
        raise Failure(f"  stored with CAS {stored.cas}, found with {found.cas}")
    client.found(packet(GETK, b"bin-a"), b"value", FLAGS, b"bin-a")
    client.found(packet(GETQ, b"bin-a"), b"value", FLAGS)
    client.found(packet(GETKQ, b"bin-a"), b"value", FLAGS, b"bin-a")
    client.silence()
    client.close()


def misses(server):
    client = talk(server)
    client.ask_packet(packet(GET, b"bin-none"), NOT_FOUND, cas=0)
    client.ask_packet(packet(GETK, b"bin-none"), NOT_FOUND, key=b"bin-none", value=b"")
    client.send(packet(GETQ, b"bin-none") + packet(GETKQ, b"bin-none"))
    client.ask_packet(packet(DELETE, b"bin-none"), NOT_FOUND)
    client.ask_packet(packet(DELETEQ, b"bin-none"), NOT_FOUND)
    client.ask_packet(store(REPLACE, b"bin-none", b"x"), NOT_FOUND)
    client.ask_packet(store(REPLACEQ, b"bin-none", b"x"), NOT_FOUND)
    for opcode in (APPEND, APPENDQ, PREPEND, PREPENDQ):
        client.ask_packet(packet(opcode, b"bin-none", b"x"), NOT_STORED)
    client.ask_packet(touch(TOUCH, b"bin-none", 10), NOT_FOUND)
    client.ask_packet(touch(GAT, b"bin-none", 10), NOT_FOUND)
    client.ask_packet(touch(GATK, b"bin-none", 10), NOT_FOUND, key=b"bin-none", value=b"")
    client.send(touch(GATQ, b"bin-none", 10) + touch(GATKQ, b"bin-none", 10))
    client.silence()
    client.close()


def any_bytes_as_a_key(server):
    client = talk(server)
    for key in (b"\0", b" ", b"a\r\nb", b"\xff" * 250, bytes(range(250)), b"k"):
        client.ask_packet(store(SET, key, b"of " + key))
        client.found(packet(GETK, key), b"of " + key, 0, key)
        client.ask_packet(packet(DELETE, key), cas=0)
        client.ask_packet(packet(GET, key), NOT_FOUND)
    client.silence()
    client.close()


def add_and_replace(server):
    client = talk(server)
    client.ask_packet(store(ADD, b"bin-add", b"one", 1))
    client.ask_packet(store(ADD, b"bin-add", b"two"), EXISTS)
    client.send(store(ADDQ, b"bin-add2", b"quiet"))
    client.ask_packet(store(ADDQ, b"bin-add", b"two"), EXISTS)
    client.ask_packet(store(REPLACE, b"bin-add", b"three", 3))
    client.send(store(REPLACEQ, b"bin-add2", b"quieter", 4))
    client.found(packet(GET, b"bin-add"), b"three", 3)
    client.found(packet(GET, b"bin-add2"), b"quieter", 4)
    client.silence()
    client.close()


def append_and_prepend(server):
    client = talk(server)
    client.ask_packet(store(SET, b"bin-ap", b"middle", 7))
    appended = client.ask_packet(packet(APPEND, b"bin-ap", b" end"))
    found = client.found(packet(GET, b"bin-ap"), b"middle end", 7)
    if appended.cas != found.cas:
        raise Failure(f"  appended with CAS {appended.cas}, found with {found.cas}")
    client.ask_packet(packet(PREPEND, b"bin-ap", b"begin "))
    client.send(packet(APPENDQ, b"bin-ap", b"!") + packet(PREPENDQ, b"bin-ap", b"> "))
    client.found(packet(GET, b"bin-ap"), b"> begin middle end!", 7)
    cas = client.found(packet(GET, b"bin-ap"), b"> begin middle end!", 7).cas
    client.ask_packet(packet(APPEND, b"bin-ap", b"no", cas=cas + 1000), EXISTS)
    client.ask_packet(packet(APPEND, b"bin-ap", b"?", cas=cas))
    client.found(packet(GET, b"bin-ap"), b"> begin middle end!?", 7)
    client.silence()
    client.close()


def compare_and_swap(server):
    client = talk(server)
    client.ask_packet(store(SET, b"bin-cas", b"x", cas=77), NOT_FOUND)
    first = client.ask_packet(store(SET, b"bin-cas", b"one")).cas
    client.ask_packet(store(SET, b"bin-cas", b"no", cas=first + 1000), EXISTS)
    client.ask_packet(store(SETQ, b"bin-cas", b"no", cas=first + 1000), EXISTS)
    second = client.ask_packet(store(SET, b"bin-cas", b"two", cas=first)).cas
    if second == first:
        raise Failure("  the CAS number stays")
    client.send(store(SETQ, b"bin-cas", b"three", cas=second))
    third = client.found(packet(GET, b"bin-cas"), b"three").cas
    # with a CAS number, add and replace compare too
    fourth = client.ask_packet(store(ADD, b"bin-cas", b"four", cas=third)).cas
    client.ask_packet(store(REPLACE, b"bin-cas", b"no", cas=third), EXISTS)
    client.ask_packet(packet(DELETE, b"bin-cas", cas=third), EXISTS)
    client.ask_packet(packet(DELETEQ, b"bin-cas", cas=third), EXISTS)
    client.ask_packet(packet(DELETE, b"bin-cas", cas=fourth))
    client.ask_packet(packet(GET, b"bin-cas"), NOT_FOUND)
    client.silence()
    client.close()


def number(value):
    return struct.pack(">Q", value)


def increment_and_decrement(server):
    client = talk(server)
    missing = 0xFFFFFFFF
    client.ask_packet(arithmetic(INCREMENT, b"bin-n", 1, 5, missing), NOT_FOUND)
    client.ask_packet(arithmetic(INCREMENTQ, b"bin-n", 1, 5, missing), NOT_FOUND)
    client.ask_packet(arithmetic(DECREMENT, b"bin-n", 1, 5, missing), NOT_FOUND)
    made = client.ask_packet(arithmetic(INCREMENT, b"bin-n", 1, 5), value=number(5))
    found = client.found(packet(GET, b"bin-n"), b"5")
    if made.cas == 0 or made.cas != found.cas:
        raise Failure(f"  made with CAS {made.cas}, found with {found.cas}")
    more = client.ask_packet(arithmetic(INCREMENT, b"bin-n", 10), value=number(15))
    client.ask_packet(arithmetic(INCREMENT, b"bin-n", 1, cas=more.cas + 1000), EXISTS)
    client.ask_packet(arithmetic(DECREMENT, b"bin-n", 5, cas=more.cas), value=number(10))
    client.send(arithmetic(INCREMENTQ, b"bin-n", 1) + arithmetic(DECREMENTQ, b"bin-n", 3) + arithmetic(DECREMENTQ, b"bin-n2", 3, 44))
    client.found(packet(GET, b"bin-n"), b"8 ")
    client.found(packet(GET, b"bin-n2"), b"44")
    client.ask_packet(arithmetic(DECREMENT, b"bin-n", 100), value=number(0))
    client.ask_packet(store(SET, b"bin-n", b"18446744073709551615"))
    client.ask_packet(arithmetic(INCREMENT, b"bin-n", 3), value=number(2))
    client.ask_packet(store(SET, b"bin-n", b"text"))
    client.ask_packet(arithmetic(INCREMENT, b"bin-n"), NOT_A_NUMBER)
    client.ask_packet(arithmetic(DECREMENTQ, b"bin-n"), NOT_A_NUMBER)
    client.silence()
    client.close()


def touch_and_get(server):
    client = talk(server)
    client.ask_packet(store(SET, b"bin-t", b"value", FLAGS, 1000))
    client.ask_packet(touch(TOUCH, b"bin-t", 2000), value=b"", extras=struct.pack(">I", FLAGS))
    client.found(touch(GAT, b"bin-t", 0), b"value", FLAGS)
    client.found(touch(GATQ, b"bin-t", 0), b"value", FLAGS)
    client.found(touch(GATK, b"bin-t", 0), b"value", FLAGS, b"bin-t")
    client.found(touch(GATKQ, b"bin-t", 500), b"value", FLAGS, b"bin-t")
    text = Conversation(server.connect())
    text.ask(b"mg bin-t t\r\n", b"HD t<t:500>\r\n")
    text.close()
    client.silence()
    client.close()


def noop_version_verbosity(server):
    client = talk(server)
    client.ask_packet(packet(NOOP), cas=0)
    client.send(packet(VERSION))
    version = client.receive()
    text = Conversation(server.connect())
    text.ask(b"version\r\n", b"VERSION " + version.value + b"\r\n")
    text.close()
    client.close()


def quit_and_quiet_quit(server):
    client = talk(server)
    client.send(store(SETQ, b"bin-quit", b"x") + packet(QUIT) + packet(NOOP))
    client.hear(QUIT)
    client.closed()
    client.close()
    client = talk(server)
    client.found(packet(GET, b"bin-quit"), b"x")
    client.send(packet(QUITQ))
    client.closed()
    client.close()


def statistics(server):
    client = talk(server)
    general = client.statistics()
    for name in (b"pid", b"uptime", b"curr_items", b"cmd_get", b"version", b"threads", b"limit_maxbytes"):
        if name not in general:
            raise Failure(f"  no statistic {name}")
    settings = client.statistics(b"settings")
    if settings[b"flush_enabled"] != b"yes" or settings[b"cas_enabled"] != b"yes":
        raise Failure(f"  {settings}")
    if b"active_slabs" not in client.statistics(b"slabs"):
        raise Failure("  no active_slabs")
    client.statistics(b"items")
    client.ask_packet(packet(STAT, b"nonsense"), NOT_FOUND)
    if client.statistics(b"detail on"):
        raise Failure("  detail on tells statistics")
    client.ask_packet(store(SET, b"bin-detail:1", b"value"))
    client.found(packet(GET, b"bin-detail:1"), b"value")
    told = client.statistics(b"detail dump")
    if b"PREFIX bin-detail get 1 hit 1 set 1 del 0\r\n" not in told.get(b"detailed", b""):
        raise Failure(f"  detail dump: {told}")
    if client.statistics(b"detail off"):
        raise Failure("  detail off tells statistics")
    if client.statistics(b"reset"):
        raise Failure("  a reset tells something")
    client.silence()
    client.close()


def counts_are_those_of_text(server):
    client = talk(server)
    client.statistics(b"reset")
    client.ask_packet(store(SET, b"bin-count", b"1"))
    client.send(packet(GETQ, b"bin-count-none") + arithmetic(INCREMENTQ, b"bin-count"))
    client.found(packet(GET, b"bin-count"), b"2")
    client.found(touch(GAT, b"bin-count", 0), b"2")
    client.ask_packet(touch(TOUCH, b"bin-count-none", 0), NOT_FOUND)
    client.ask_packet(packet(DELETE, b"bin-count"))
    client.ask_packet(packet(DELETE, b"bin-count"), NOT_FOUND)
    wanted = {"cmd_set": 1, "cmd_get": 2, "get_hits": 1, "get_misses": 1, "cmd_touch": 2, "touch_hits": 1, "touch_misses": 1}
    wanted.update(incr_hits=1, incr_misses=0, delete_hits=1, delete_misses=1)
    told = client.statistics()
    for name, count in wanted.items():
        if int(told[name.encode()]) != count:
            raise Failure(f"  {name} is {told[name.encode()]}, expected {count}")
    client.close()


def many_in_one_write_in_order(server):
    """Keys of all workers; some answers are quiet."""
    client = talk(server)
    keys = [b"bin-m%d" % i for i in range(500)]
    client.send(b"".join(store(SETQ, key, b"v" * i + key, i) for i, key in enumerate(keys)))
    asked = b"".join(packet(GETKQ, key, opaque=struct.pack(">I", 2 * i)) + packet(GETQ, key + b"-none") for i, key in enumerate(keys))
    client.send(asked + packet(NOOP, opaque=b"done"))
    for i, key in enumerate(keys):
        client.hear(GETKQ, key=key, value=b"v" * i + key, extras=struct.pack(">I", i), opaque=struct.pack(">I", 2 * i))
    client.hear(NOOP, opaque=b"done")
    client.close()


def a_key_is_read_as_it_was_written(server):
    client = talk(server)
    for i in range(100):
        key = b"bin-o%d" % (i % 7)
        value = b"%d" % i * (1 + i)
        client.send(store(SETQ, key, value) + packet(GET, key) + packet(APPENDQ, key, b"+") + packet(GETQ, key) + packet(DELETEQ, key))
        client.send(packet(GETQ, key))
        client.hear(GET, value=value, extras=bytes(4))
        client.hear(GETQ, value=value + b"+", extras=bytes(4))
    client.silence()
    client.close()


def values_of_all_sizes(server):
    client = talk(server)
    for length in LARGE:
        for worker in range(4):
            key, value = b"bin-l%d-%d" % (length, worker), pattern(length, worker)
            client.ask_packet(store(SET, key, value, length))
            client.found(packet(GET, key), value, length)
            client.send(packet(GET, b"bin-none") + packet(GETK, key) + packet(GETQ, b"bin-none") + packet(NOOP))
            client.hear(GET, NOT_FOUND)
            client.hear(GETK, key=key, value=value, extras=struct.pack(">I", length))
            client.hear(NOOP)
    client.silence()
    client.close()


def in_pieces(server):
    """However the bytes are cut."""
    source = random.Random(SEED)
    client = talk(server)
    for _ in range(40):
        asked, answers = b"", []
        for i in range(6):
            key, value = b"bin-p%d" % i, pattern(source.choice((0, 5, 300, 20000)), i)
            asked += store(SET, key, value) + packet(GETK, key) + packet(GETQ, b"bin-none")
            answers.append((key, value))
        while asked:
            cut = source.choice((1, 3, 23, 24, 25, 100, 5000, 100000))
            client.send(asked[:cut])
            asked = asked[cut:]
        for key, value in answers:
            client.hear(SET)
            client.hear(GETK, key=key, value=value, extras=bytes(4))
    client.silence()
    client.close()


def text_and_binary_see_the_same_items(server):
    client, text = talk(server), Conversation(server.connect())
    client.ask_packet(store(SET, b"bin-both", b"from binary\r\n", 5))
    text.ask(b"get bin-both\r\n", b"VALUE bin-both 5 13\r\nfrom binary\r\n\r\nEND\r\n")
    text.ask(b"set bin-both 6 0 9\r\nfrom text\r\n", b"STORED\r\n")
    client.found(packet(GET, b"bin-both"), b"from text", 6)
    text.close()
    client.close()


def flush(server):
    client = talk(server)
    client.ask_packet(store(SET, b"bin-f", b"x"))
    client.ask_packet(packet(FLUSH))
    client.ask_packet(packet(GET, b"bin-f"), NOT_FOUND)
    client.ask_packet(store(SET, b"bin-f", b"x"))
    client.send(packet(FLUSHQ))
    client.ask_packet(packet(GET, b"bin-f"), NOT_FOUND)
    client.ask_packet(packet(FLUSH, extras=struct.pack(">I", 1000)))
    client.ask_packet(packet(FLUSH))
    client.silence()
    client.close()


def too_large(server):
    client = talk(server)
    value = bytes((1 << 20) + 1)
    client.ask_packet(store(SET, b"bin-big", b"old"))
    client.ask_packet(store(SET, b"bin-big", value), TOO_LARGE)
    client.ask_packet(packet(GET, b"bin-big"), NOT_FOUND)
    client.ask_packet(store(SETQ, b"bin-big", value), TOO_LARGE)
    client.ask_packet(store(SET, b"bin-big", b"old"))
    client.ask_packet(store(ADD, b"bin-big", value), TOO_LARGE)
    client.ask_packet(packet(APPEND, b"bin-big", value), TOO_LARGE)
    client.found(packet(GET, b"bin-big"), b"old")
    client.ask_packet(store(SET, b"bin-big", value[: 1 << 19]))
    client.ask_packet(packet(APPEND, b"bin-big", value[: 1 << 19]), NOT_STORED)
    client.found(packet(GET, b"bin-big"), value[: 1 << 19])
    client.silence()
    client.close()


def unknown_commands(server):
    client = talk(server)
    for opcode in (0x1F, 0x25, 0x30, 0x3E, 0x80, 0xFF):
        client.ask_packet(packet(opcode), UNKNOWN_COMMAND)
    for opcode in (SASL_LIST,):
        client.ask_packet(packet(opcode), UNKNOWN_COMMAND)
    client.silence()
    client.close()


def the_body_of_an_unknown_command_is_passed_over(server):
    client = talk(server)
    client.send(packet(0x30, b"key", b"value" * 5000, b"extras") + packet(NOOP))
    client.hear(0x30, UNKNOWN_COMMAND)
    client.hear(NOOP)
    client.close()


WRONG_SHAPES = [
    packet(GET),
    packet(GET, b"k", b"value"),
    packet(GET, b"k", extras=b"1234"),
    packet(GETQ),
    packet(SET, b"k", b"value"),
    store(SET, b"", b"value"),
    packet(DELETE),
    packet(DELETE, b"k", extras=b"1234"),
    packet(INCREMENT, b"k"),
    packet(INCREMENT, b"k", b"more", bytes(20)),
    packet(APPEND, b"k", b"value", bytes(8)),
    packet(NOOP, b"k"),
    packet(VERSION, b"k"),
    packet(QUIT, b"k"),
    packet(FLUSH, b"k"),
    packet(FLUSH, extras=b"12"),
    packet(TOUCH, b"k"),
    packet(STAT, extras=b"1234"),
    packet(GET, b"k" * 251),
]


def wrong_shapes_end_the_connection(server):
    for wrong in WRONG_SHAPES:
        client = talk(server)
        client.send(packet(NOOP) + wrong)
        client.hear(NOOP)
        client.hear(wrong[1], INVALID)
        client.closed()
        client.close()


def lengths_that_lie_end_the_connection(server):
    for wrong, status in (
        (packet(GET, b"key", body=2), UNKNOWN_COMMAND),
        (packet(SET, b"key", extras=bytes(8), body=10), UNKNOWN_COMMAND),
    ):
        refused(server, wrong, status)


def refused(server, wrong, status):
    client = talk(server)
    client.send(wrong)
    client.hear(wrong[1], status)
    client.closed()
    client.close()


def a_key_beyond_any_bound(server):
    refused(server, packet(SET, b"k" * 65535, extras=bytes(8))[:200], INVALID)


def a_length_beyond_any_bound(server):
    refused(server, packet(SET, b"key", extras=bytes(8), body=0x7FFFFFFF), INVALID)


def what_is_no_packet_ends_the_connection(server):
    client = talk(server)
    client.send(packet(NOOP) + packet(NOOP, magic=0x81))
    client.hear(NOOP)
    client.closed()
    client.close()


def a_client_that_goes(server):
    """In the midst of a head, of a key, of a large value: the old one stays."""
    client = talk(server)
    client.ask_packet(store(SET, b"bin-gone", b"old"))
    for length in (1, 10, 24, 30, 45, 20000, 500000):
        half = talk(server)
        half.send(store(SET, b"bin-gone", bytes(900000))[:length])
        half.close()
    client.found(packet(GET, b"bin-gone"), b"old")
    client.silence()
    client.close()


CASES = [
    set_and_get,
    misses,
    any_bytes_as_a_key,
    add_and_replace,
    append_and_prepend,
    compare_and_swap,
    increment_and_decrement,
    touch_and_get,
    noop_version_verbosity,
    quit_and_quiet_quit,
    statistics,
    counts_are_those_of_text,
    many_in_one_write_in_order,
    a_key_is_read_as_it_was_written,
    values_of_all_sizes,
    in_pieces,
    text_and_binary_see_the_same_items,
    flush,
    too_large,
    unknown_commands,
    the_body_of_an_unknown_command_is_passed_over,
    wrong_shapes_end_the_connection,
    lengths_that_lie_end_the_connection,
    a_key_beyond_any_bound,
    a_length_beyond_any_bound,
    what_is_no_packet_ends_the_connection,
    a_client_that_goes,
]
