"""version verbosity quit mn and commands that are none."""

import re

from answers import *
from case import Conversation, Failure, case


def version_begins_with_numbers(server):
    """libmemcached reads three, of which the first must not be 0; memccapable expects answers of before 1.6 unless they say 1.6 or more."""
    conversation = Conversation(server.connect())
    conversation.send(b"version\r\n")
    answer = conversation.receive_until(b"\r\n")
    conversation.close()
    numbers = re.match(rb"VERSION (\d+)\.(\d+)\.(\d+)", answer)
    if not numbers or (int(numbers[1]), int(numbers[2])) < (1, 6):
        raise Failure(f"  version: {answer!r}")


CASES = [
    case("version", (b"version\r\n", b"VERSION <any>\r\n"), (b"version please\r\n", (b"VERSION <any>\r\n",) + WRONG_COUNT)),
    version_begins_with_numbers,
    case("verbosity", (b"verbosity 1\r\n", OK), (b"verbosity 0\r\n", OK)),
    case("verbosity beyond the highest level", (b"verbosity 99999\r\nverbosity 0\r\n", OK * 2)),
    case("verbosity noreply", (b"verbosity 0 noreply\r\nmn\r\n", MN)),
    case("verbosity without level", (b"verbosity\r\n", WRONG_COUNT)),
    case("verbosity with a bad level", (b"verbosity x\r\n", BAD_FORMAT)),
    case(
        "cache_memlimit",
        (b"cache_memlimit 64\r\n", OK),
        (b"cache_memlimit 64 noreply\r\nmn\r\n", MN),
        # How little is enough is the server's own affair: memcached's slab pages need 8 MiB.
        (b"cache_memlimit 0\r\n", tuple(b"MEMLIMIT_TOO_SMALL cannot set maxbytes to less than %dm\r\n" % least for least in range(1, 17))),
        (b"cache_memlimit 1000000001\r\n", b"MEMLIMIT_ADJUST_FAILED input value is megabytes not bytes\r\n"),
        (b"cache_memlimit\r\n", ERROR),
        (b"cache_memlimit x\r\n", ERROR),
        (b"cache_memlimit 4294967296\r\n", (ERROR, b"MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m\r\n")),  # 1.6.18: 32 bits
        (b"cache_memlimit noreply\r\nmn\r\n", MN),
    ),
    case("quit", (b"quit\r\n", b"<eof>")),
    case("quit leaves earlier answers", (b"get @\r\nquit\r\n", END + b"<eof>")),
    case("quit forgets later commands", (b"mn\r\nquit\r\n" + store(b"set", b"quit_forgets", b"x"), MN + b"<eof>")),
    case("what followed quit was not done", (b"get quit_forgets\r\n", END)),
    case("mn", (b"mn\r\n", MN), (b"mn mn\r\n", MN)),
    case(
        "unknown commands",
        *(
            (line + b"\r\n", ERROR)
            for line in (
                b"foo",
                b"foo bar",
                b"mx",
                b"mz @",
                b"settt @ 0 0 1",
                b"incrr @ 1",
                b"statss",
                b"deleted @",
                b"casx",
                b"flush",
                b"touched @",
                b"append_ @",
                b"12345",
                b"VERSION",
            )
        ),
    ),
    case("an empty line", (b"\r\n", WRONG_COUNT), (b"\n", WRONG_COUNT), (b"   \r\n", WRONG_COUNT)),
    case("one letter", (b"x\r\n", WRONG_COUNT), (b"m\r\n", WRONG_COUNT), (b"g\r\n", WRONG_COUNT)),
    case("a bare newline ends a line", (b"version\n", b"VERSION <any>\r\n"), (b"get @\n", END), (b"mn\nmn\r\nmn\n", MN * 3)),
    case("two returns", (b"mn\r\r\n", (MN, ERROR) + WRONG_COUNT)),
    case("leading spaces", (b"   mn\r\n", MN), (b"  get @\r\n", END)),
    case("an unknown command keeps the connection", (b"foo\r\nget @\r\nbar\r\n", ERROR + END + ERROR)),
    case("many errors in a row", (b"bogus\r\n" * 200, ERROR * 200)),
    case("HTTP is hung up on", (b"GET / HTTP/1.1\r\n", (b"<eof>", ERROR))),
    case("shutdown is off", (b"shutdown\r\n", (b"SERVER_ERROR: shutdown not enabled\r\n", b"ERROR: shutdown not enabled\r\n"))),
]
