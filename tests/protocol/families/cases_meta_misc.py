"""mn and me; meta and text commands in one stream."""

from answers import *
from case import case

ME = b"exp=%s la=<t:0> cas=<n> fetch=%s cls=<n> size=<n>\r\n"

CASES = [
    case(
        "mn ends a batch",
        (
            meta_set(b"@", b"x", b"q") + b"mg @none q\r\nmd @none2 q k\r\nmg @ q v\r\nmn\r\nmn\r\n",
            (b"NF k@none2\r\nVA 1\r\nx\r\nMN\r\nMN\r\n", b"VA 1\r\nx\r\nMN\r\nMN\r\n"),
        ),
    ),
    case("mn with words", (b"mn foo\r\n", MN)),
    case("me of a missing key", (b"me @\r\n", b"EN\r\n")),
    case(
        "me",
        (store(b"set", b"@", b"x"), STORED),
        (b"me @\r\n", b"ME @ " + ME % (b"-1", b"no")),
        (b"get @\r\n", hit(b"@", b"x")),
        (b"me @\r\n", b"ME @ " + ME % (b"-1", b"yes")),
    ),
    case(
        "me of an item with a time",
        (store(b"set", b"@", b"x", exptime=100), STORED),
        (b"me @\r\n", (b"ME @ " + ME % (b"<t:-100>", b"no"), b"ME @ " + ME % (b"<t:100>", b"no"))),
    ),
    case("me does not touch", (store(b"set", b"@", b"x"), STORED), (b"me @\r\n", b"ME <any>\r\n"), (b"mg @ h\r\n", b"HD h0\r\n")),
    case(
        "me tells the CAS",
        (store(b"set", b"@", b"x"), STORED),
        (b"gets @\r\n", hit(b"@", b"x", cas=b"<cas=a>")),
        (b"me @\r\n", b"ME @ exp=-1 la=<t:0> cas=<cas=a> fetch=yes cls=<n> size=<n>\r\n"),
    ),
    case("me without a key", (b"me\r\n", WRONG_COUNT)),
    case("me with a key of 251 bytes", (b"me " + b"k" * 251 + b"\r\n", BAD_FORMAT)),
    case(
        "me with base64",
        (meta_set(b"bWVfb25l", b"x", b"b"), b"HD\r\n"),
        (b"me bWVfb25l b\r\n", b"ME bWVfb25l " + ME % (b"-1", b"no")),
        (b"me ! b\r\n", BAD_FORMAT),
    ),
    case(
        "text and meta in one stream",
        (
            b"set @ 5 0 1\r\nx\r\nmg @ f v\r\nms @ 1 F6\r\ny\r\nget @\r\nmd @\r\nget @\r\nmg @\r\n",
            STORED + b"VA 1 f5\r\nx\r\nHD\r\n" + hit(b"@", b"y", 6) + b"HD\r\n" + END + b"EN\r\n",
        ),
    ),
    case(
        "noreply and q in one stream",
        (
            store(b"set", b"@", b"1", b" noreply") + b"incr @ 1 noreply\r\nma @ q\r\nmg @none q\r\ntouch @ 100 noreply\r\nget @\r\n",
            hit(b"@", b"3"),
        ),
    ),
]
