"""The same scripts, cut: in two pieces at every position, byte by byte, in pieces of random sizes. Whatever arrives together or apart, the
answers are the same.

Between two pieces another connection is asked something, so that the server has most likely read the first piece when the second is sent.
"""

import random
import re

from answers import *
from case import Conversation, Failure

SERVER_ARGS = ["-t", "1"]
SEED = 77

STORAGE = b"".join(
    [
        b"set s1 7 0 5\r\nhello\r\n",
        b"get s1 none s1\r\n",
        b"add s1 0 0 1\r\nx\r\n",
        b"append s1 0 0 6\r\n world\r\n",
        b"prepend s1 0 0 3 noreply\r\n\r\n:\r\n",
        b"gets s1\r\n",
        b"cas s1 0 0 1 99999999\r\nx\r\n",
        b"gat 100 s1\r\n",
        b"touch s1 0\r\n",
        b"set s2 0 0 2\r\n10\r\n",
        b"incr s2 5\r\ndecr s2 6 noreply\r\nget s2\r\n",
        b"replace s2 0 0 0\r\n\r\n",
        b"delete s1\r\ndelete s2 noreply\r\n",
        b"version\r\nverbosity 0\r\n",
        b"get s1 s2\n",
        b"mn\r\n",
    ]
)
META = b"".join(
    [
        b"ms m1 5 F7 T100 c k O1\r\nhello\r\n",
        b"mg m1 s v f t k O22 c\r\n",
        b"mg none q v k\r\n",
        b"mg m3 N30 v t\r\nmg m3 v\r\n",
        b"ms m1 6 MA q\r\n world\r\n",
        b"ms bTI= 2 b k\r\n\r\n\r\n",
        b"mg bTI= b v k\r\n",
        b"ma m4 N0 J10 v\r\nma m4 D5 MI v t\r\n",
        b"md m1 I T30\r\nmg m1 v\r\nmg m1 v k\r\n",
        b"md m1 k O5\r\nmd m2 q\r\nmd m3 q\r\nmd m4 q\r\n",
        b"me none\r\n",
        b"mn\r\n",
    ]
)
ERRORS = b"".join(
    [
        b"bogus\r\n\r\n",
        b"get\r\nset e1 0 0\r\n",
        b"set e1 0 0 3\r\nabcde\r\n",
        b"set e1 0 0 3 noreply\r\nabcdef\r\n",
        b"ms e1 3 z\r\nabc\r\n",
        b"ms e1 3\r\nabcd\r\n",
        b"incr e1 abc\r\ntouch e1 abc\r\ngat abc e1\r\n",
        b"mg e1 v v\r\nmg e1 Tx\r\nmd e1 z\r\nma e1 MX\r\n",
        b"get e1\r\n",
        b"mn\r\n",
    ]
)
LARGE = b"set l1 0 0 69900\r\n" + bytes(range(256)) * 273 + b"end of it...\r\n" + b"get l1\r\ndelete l1\r\nmn\r\n"
TOO_LARGE_SCRIPT = b"set t1 0 0 1048577\r\n" + b"t" * 1048577 + b"\r\nget t1\r\nms t1 1048577 k\r\n" + b"t" * 1048577 + b"\r\nmn\r\n"


def without_numbers(answer):
    """CAS numbers differ from run to run, remaining times by one."""
    answer = re.sub(rb" c\d+", b" c#", answer)
    answer = re.sub(rb" t\d+", b" t#", answer)
    return re.sub(rb"(VALUE s1 7 14) \d+", rb"\1 #", answer)


def play(server, pieces, bystander):
    conversation = Conversation(server.connect())
    try:
        for number, piece in enumerate(pieces):
            if number > 0:
                bystander.ask(b"mn\r\n", MN)
            conversation.send(piece)
        return without_numbers(conversation.receive_until(MN))
    except Failure as failure:
        raise Failure(f"  pieces    {[piece[:40] for piece in pieces[:3]]}\n{failure}") from None
    finally:
        conversation.close()


def same(server, script, cuts_of_pieces):
    bystander = Conversation(server.connect())
    try:
        expected = play(server, [script], bystander)
        for cuts in cuts_of_pieces:
            edges = [0, *cuts, len(script)]
            pieces = [script[begin:end] for begin, end in zip(edges, edges[1:])]
            got = play(server, pieces, bystander)
            if got != expected:
                raise Failure(f"  cut at    {cuts[:20]}\n  expected  {expected[:600]!r}\n  got       {got[:600]!r}")
    finally:
        bystander.close()


def in_two(script):
    return [[position] for position in range(1, len(script))]


def storage_in_two_at_every_byte(server):
    same(server, STORAGE, in_two(STORAGE))


def meta_in_two_at_every_byte(server):
    same(server, META, in_two(META))


def errors_in_two_at_every_byte(server):
    same(server, ERRORS, in_two(ERRORS))


def byte_by_byte(server):
    for script in (STORAGE, META, ERRORS):
        same(server, script, [list(range(1, len(script)))])


def in_random_pieces(server):
    source = random.Random(SEED)
    for script in (STORAGE, META, ERRORS):
        cuts = [sorted(source.sample(range(1, len(script)), source.randrange(2, 12))) for _ in range(60)]
        same(server, script, cuts)


def large_value_cut_near_its_ends(server):
    head = LARGE.index(b"\r\n") + 2
    tail = head + 69900
    positions = [
        *range(1, head + 5),
        *range(tail - 5, len(LARGE)),
        *range(head + 16300, head + 16460, 7),
        *range(head + 65500, head + 65600, 9),
    ]
    same(server, LARGE, [[position] for position in positions])


def large_value_in_random_pieces(server):
    source = random.Random(SEED)
    same(server, LARGE, [sorted(source.sample(range(1, len(LARGE)), 30)) for _ in range(20)])


def too_large_value_in_random_pieces(server):
    source = random.Random(SEED)
    same(server, TOO_LARGE_SCRIPT, [sorted(source.sample(range(1, len(TOO_LARGE_SCRIPT)), 40)) for _ in range(5)])


CASES = [
    storage_in_two_at_every_byte,
    meta_in_two_at_every_byte,
    errors_in_two_at_every_byte,
    byte_by_byte,
    in_random_pieces,
    large_value_cut_near_its_ends,
    large_value_in_random_pieces,
    too_large_value_in_random_pieces,
]
