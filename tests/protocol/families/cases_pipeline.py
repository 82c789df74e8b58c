"""Many commands in one write, answers in order; several connections at once; clients that close their sending side and still read."""

import random
import socket
import threading

from answers import *
from case import Conversation, Failure

SEED = 5
KEYS = [b"pipe%d" % number for number in range(1000)]


def talk(server):
    return Conversation(server.connect())


def hundreds_of_sets_and_gets(server):
    conversation = talk(server)
    conversation.ask(b"".join(store(b"set", key, key) for key in KEYS), STORED * len(KEYS))
    conversation.ask(b"".join(b"get %s\r\n" % key for key in KEYS), b"".join(hit(key, key) for key in KEYS))
    conversation.ask(
        b"".join(b"mg %s v k\r\n" % key for key in KEYS), b"".join(b"VA %d k%s\r\n%s\r\n" % (len(key), key, key) for key in KEYS)
    )
    conversation.ask(b"get " + b" ".join(KEYS) + b"\r\n", b"".join(value(key, key) for key in KEYS) + END)
    conversation.close()


def commands_on_one_key_in_order(server):
    """Each read sees the write before it."""
    conversation = talk(server)
    script, answers = b"", b""
    for number in range(300):
        data = b"%d" % number
        script += store(b"set", b"order", data) + b"get order\r\nincr order 1\r\nmg order v\r\n"
        answers += STORED + hit(b"order", data) + b"%d\r\n" % (number + 1) + b"VA %d\r\n%d\r\n" % (len(b"%d" % (number + 1)), number + 1)
    conversation.ask(script, answers)
    conversation.close()


def kinds_mixed_over_many_keys(server):
    """Answers of local and foreign keys, errors, and answers without a key, in the order of the requests."""
    source = random.Random(SEED)
    conversation = talk(server)
    conversation.ask(b"flush_all\r\n", OK)
    script, answers, model = [], [], {}
    for _ in range(2000):
        key = b"mixed%d" % source.randrange(50)
        kind = source.randrange(8)
        if kind == 0:
            data = b"x" * source.choice([0, 1, 10, 100, 1000])
            model[key] = data
            script.append(store(b"set", key, data))
            answers.append(STORED)
        elif kind == 1:
            script.append(b"get %s\r\n" % key)
            answers.append(hit(key, model[key]) if key in model else END)
        elif kind == 2:
            script.append(b"delete %s\r\n" % key)
            answers.append(DELETED if model.pop(key, None) is not None else NOT_FOUND)
        elif kind == 3:
            script.append(b"mg %s q k\r\n" % key)
            answers.append(b"HD k%s\r\n" % key if key in model else b"")
        elif kind == 4:
            script.append(b"bogus\r\n")
            answers.append(ERROR)
        elif kind == 5:
            script.append(b"mn\r\n")
            answers.append(MN)
        elif kind == 6:
            script.append(store(b"set", key, b"quiet", b" noreply"))
            answers.append(b"")
            model[key] = b"quiet"
        else:
            keys = [b"mixed%d" % source.randrange(50) for _ in range(source.randrange(1, 30))]
            script.append(b"get " + b" ".join(keys) + b"\r\n")
            answers.append(b"".join(value(key, model[key]) for key in keys if key in model) + END)
    conversation.ask(b"".join(script), b"".join(answers))
    conversation.ask(b"mn\r\n", MN)
    conversation.close()


def noreply_only(server):
    conversation = talk(server)
    conversation.ask(b"set quiet 0 0 1\r\n0\r\n" + b"incr quiet 1 noreply\r\n" * 500 + b"get quiet\r\n", STORED + hit(b"quiet", b"500"))
    conversation.close()


def large_values_back_to_back(server):
    conversation = talk(server)
    data = [bytes([65 + number % 26]) * 50000 for number in range(40)]
    conversation.ask(b"".join(store(b"set", b"back%d" % number, data[number]) for number in range(40)), STORED * 40)
    conversation.ask(
        b"get" + b"".join(b" back%d" % number for number in range(40)) + b"\r\n",
        b"".join(value(b"back%d" % number, data[number]) for number in range(40)) + END,
    )
    conversation.close()


def answers_larger_than_all_buffers(server):
    """40 MB of answers are asked for before the first byte is read."""
    conversation = talk(server)
    data = b"a" * 100000
    conversation.ask(store(b"set", b"huge", data), STORED)
    conversation.send(b"get huge\r\n" * 400 + b"mn\r\n")
    answer = conversation.receive_until(MN)
    if answer != hit(b"huge", data) * 400 + MN:
        raise Failure(f"  400 gets of 100000 bytes: {len(answer)} bytes came, {len(hit(b'huge', data)) * 400 + 4} expected, or others")
    conversation.close()


def large_value_in_pieces(server):
    source = random.Random(SEED)
    data = source.randbytes(1000000)
    conversation = talk(server)
    conversation.send(b"set pieces 0 0 1000000\r\n")
    at = 0
    while at < len(data):
        size = source.choice([1, 100, 1000, 16384, 65536, 100000])
        conversation.send(data[at : at + size])
        at += size
    conversation.ask(b"\r\nget pieces\r\n", STORED + b"VALUE pieces 0 1000000\r\n" + data + b"\r\n" + END)
    conversation.close()


def half_closed(server):
    """Answers to all that was sent before the client closed its sending side."""
    for count in (1, 20, 500):
        conversation = talk(server)
        conversation.send(b"".join(store(b"set", key, key) + b"get %s\r\n" % key for key in KEYS[:count]))
        conversation.connection.shutdown(socket.SHUT_WR)
        conversation.expect(b"".join(STORED + hit(key, key) for key in KEYS[:count]) + b"<eof>", b"%d sets and gets" % count)
        conversation.close()


def half_closed_after_quiet_commands(server):
    """The server closes what nobody can ask anything any more, though it had nothing to say."""
    quiet = b"".join(b"set %s 0 0 1 noreply\r\nx\r\n" % key for key in KEYS[:20])
    for commands in (quiet, b"mg none_q v q\r\n", quiet + b"quit\r\n", b"mg none_q v q\r\nquit\r\n", b""):
        conversation = talk(server)
        conversation.send(commands)
        conversation.connection.shutdown(socket.SHUT_WR)
        conversation.expect(b"<eof>", commands)
        conversation.close()


def quit_after_quiet_commands(server):
    conversation = talk(server)
    conversation.ask(b"".join(b"set %s 0 0 1 noreply\r\nx\r\n" % key for key in KEYS[:20]) + b"quit\r\n", b"<eof>")
    conversation.close()


def half_closed_with_large_answers(server):
    conversation = talk(server)
    data = b"h" * 100000
    conversation.ask(store(b"set", b"half", data), STORED)
    conversation.send(b"get half\r\n" * 100)
    conversation.connection.shutdown(socket.SHUT_WR)
    conversation.expect(hit(b"half", data) * 100 + b"<eof>", b"100 gets of 100000 bytes")
    conversation.close()


def half_closed_within_a_command(server):
    conversation = talk(server)
    conversation.send(b"get none_h\r\nset cut_off 0 0 10\r\nabc")
    conversation.connection.shutdown(socket.SHUT_WR)
    conversation.expect(END + b"<eof>")
    conversation.close()
    conversation = talk(server)
    conversation.ask(b"get cut_off\r\n", END)
    conversation.close()


def eight_connections_at_once(server):
    failures = []

    def work(name):
        try:
            conversation = talk(server)
            keys = [b"%s_%d" % (name, number) for number in range(100)]
            for turn in range(10):
                data = b"%d" % turn * 20
                conversation.ask(b"".join(store(b"set", key, data) for key in keys), STORED * len(keys))
                conversation.ask(b"get " + b" ".join(keys) + b"\r\n", b"".join(value(key, data) for key in keys) + END)
            conversation.close()
        except Failure as failure:
            failures.append(failure)

    threads = [threading.Thread(target=work, args=(b"eight%d" % number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def incr_by_four_connections_at_once(server):
    """No increment is lost."""
    conversation = talk(server)
    conversation.ask(b"set shared 0 0 1\r\n0\r\n", STORED)

    def work():
        own = talk(server)
        own.send(b"incr shared 1 noreply\r\n" * 2000 + b"mn\r\n")
        own.receive_until(MN)
        own.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    conversation.ask(b"get shared\r\n", hit(b"shared", b"8000"))
    conversation.close()


CASES = [
    hundreds_of_sets_and_gets,
    commands_on_one_key_in_order,
    kinds_mixed_over_many_keys,
    noreply_only,
    large_values_back_to_back,
    answers_larger_than_all_buffers,
    large_value_in_pieces,
    half_closed,
    half_closed_after_quiet_commands,
    quit_after_quiet_commands,
    half_closed_with_large_answers,
    half_closed_within_a_command,
    eight_connections_at_once,
    incr_by_four_connections_at_once,
]
