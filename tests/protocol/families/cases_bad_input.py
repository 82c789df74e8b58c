"""Bytes that are no protocol: what a broken or hostile client sends. The server may hang up, but only on that client."""

import random

from answers import *
from case import Conversation, Failure, case

SEED = 20240607


def others_undisturbed(server):
    conversation = Conversation(server.connect())
    conversation.ask(b"set undisturbed 0 0 1\r\nx\r\nget undisturbed\r\n", STORED + hit(b"undisturbed", b"x"))
    conversation.close()


def must_hang_up(server, data, last_words=b""):
    """The server closes, perhaps after an error line."""
    conversation = Conversation(server.connect())
    try:
        conversation.send(data)
        conversation.expect(
            ((last_words or b"") + b"<eof>", b"CLIENT_ERROR <any>\r\n<eof>", b"ERROR<any>\r\n<eof>", b"SERVER_ERROR <any>\r\n<eof>"), data
        )
    finally:
        conversation.close()
    others_undisturbed(server)


def line_without_end(server):
    must_hang_up(server, b"x" * 100000)


def set_line_without_end(server):
    must_hang_up(server, b"set " + b"k" * 100000)


def meta_line_without_end(server):
    must_hang_up(server, b"mg " + b"k" * 100000)


def spaces_without_end(server):
    must_hang_up(server, b" " * 100000)


def get_line_without_end_is_bounded(server):
    """A list of keys may be long, a key may not: 16 MiB of it, of which the server may read or keep some."""
    others_undisturbed(server)
    before = server.rss_bytes()
    conversation = Conversation(server.connect())
    try:
        conversation.send(b"get ")
        for _ in range(256):
            conversation.send(b"k" * 65536)
        others_undisturbed(server)
        grown = server.rss_bytes() - before
    finally:
        conversation.close()
    if grown > 40 << 20:
        raise Failure(f"  a key of 16 MiB without end: the server grew by {grown} bytes")
    others_undisturbed(server)


def binary_protocol(server):
    """memcached 1.6 still speaks it; a server that does not hangs up, with or without a word."""
    conversation = Conversation(server.connect())
    try:
        conversation.send(b"\x80\x0b" + bytes(22))
        conversation.expect(
            (b"\x81", b"<eof>", b"CLIENT_ERROR <any>\r\n", b"ERROR<any>\r\n", b"SERVER_ERROR <any>\r\n"), b"a binary header"
        )
    finally:
        conversation.close()
    others_undisturbed(server)


def binary_protocol_after_text(server):
    conversation = Conversation(server.connect())
    try:
        conversation.ask(b"mn\r\n", MN)
        conversation.send(b"\x80\x0b" + bytes(22) + b"\r\n")
        conversation.expect((ERROR, BAD_FORMAT, b"<eof>", b"CLIENT_ERROR <any>\r\n", b"ERROR<any>\r\n"), b"a binary header")
    finally:
        conversation.close()
    others_undisturbed(server)


def random_bytes(server):
    """300 connections with up to 3000 random bytes each: the server lives, and serves others."""
    source = random.Random(SEED)
    for _ in range(300):
        connection = server.connect()
        try:
            connection.sendall(source.randbytes(source.randrange(1, 3000)))
            if source.random() < 0.5:
                connection.sendall(b"\r\nget x\r\n")
        except OSError:
            pass
        connection.close()
    others_undisturbed(server)


def random_words(server):
    """Lines of words of the protocol in random order, with random numbers."""
    source = random.Random(SEED)
    words = b"get gets gat set add cas incr decr touch delete mg ms md ma mn me noreply stats 0 1 -1 99999999999 k q v b I MS T-1 C0 N0"
    words = [*words.split(), b"\r\n"]
    for _ in range(100):
        connection = server.connect()
        try:
            for _ in range(20):
                line = b" ".join(source.choice(words) for _ in range(source.randrange(1, 12)))
                connection.sendall(line + b"\r\n")
        except OSError:
            pass
        connection.close()
    others_undisturbed(server)


def data_cut_off_by_closing(server):
    for sent in (
        b"set cut 0 0 100\r\n",
        b"set cut 0 0 100\r\nabc",
        b"set cut 0 0 3\r\nabc\r",
        b"ms cut 100\r\nabc",
        b"set cut 0 0 500000\r\n" + b"x" * 300000,
    ):
        connection = server.connect()
        connection.sendall(sent)
        connection.close()
    conversation = Conversation(server.connect())
    conversation.ask(b"get cut\r\n", END)
    conversation.close()


CASES = [
    line_without_end,
    set_line_without_end,
    meta_line_without_end,
    spaces_without_end,
    get_line_without_end_is_bounded,
    binary_protocol,
    binary_protocol_after_text,
    random_bytes,
    random_words,
    data_cut_off_by_closing,
    case("a zero byte in a line", (b"get @\0@\r\nmn\r\n", (END + MN, ERROR + MN, BAD_FORMAT + MN))),
    case("bytes beyond ASCII", (b"\xff\xfe\xfd\r\n", ERROR), (b"\xc3\xa4\xc3\xb6\r\n", ERROR)),
    case("a long unknown line", (b"y" * 1500 + b"\r\n", ERROR)),
    case("many words", (b"foo" + b" bar" * 300 + b"\r\n", ERROR), (b"mg @" + b" k" * 30 + b"\r\n", b"CLIENT_ERROR <any>\r\n")),
    case(
        "numbers of hundred digits",
        (b"incr @ " + b"9" * 100 + b"\r\n", BAD_DELTA),
        (b"touch @ " + b"9" * 100 + b"\r\n", BAD_EXPTIME),
        (b"set @ 0 0 " + b"9" * 100 + b"\r\nx\r\nmn\r\n", REFUSED_STORE),
    ),
]
