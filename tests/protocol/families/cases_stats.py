"""stats: the fields that dashboards and clients read, their form, and that they count."""

import re
import time

from answers import *
from case import Conversation, Failure
from waits import HANG_S, wait_until

SERVER_ARGS = ["-m", "64", "-t", "2", "-c", "512"]

NUMBERS = """pid uptime time pointer_size max_connections curr_connections total_connections rejected_connections connection_structures
cmd_get cmd_set cmd_flush cmd_touch cmd_meta get_hits get_misses get_expired get_flushed delete_misses delete_hits incr_misses incr_hits
decr_misses decr_hits cas_misses cas_hits cas_badval touch_hits touch_misses store_too_large store_no_memory auth_cmds auth_errors
bytes_read bytes_written limit_maxbytes accepting_conns listen_disabled_num threads conn_yields bytes curr_items total_items
expired_unfetched evicted_unfetched evictions reclaimed""".split()

# memcached's own settings that tools ask for.
SETTINGS = "maxbytes maxconns tcpport udpport verbosity evictions num_threads item_size_max cas_enabled flush_enabled".split()
ITEM_FIELDS = (
    "number evicted outofmemory tailrepairs reclaimed expired_unfetched evicted_unfetched".split()
)
SLAB_FIELDS = """chunk_size chunks_per_page total_pages total_chunks used_chunks free_chunks get_hits cmd_set delete_hits incr_hits
decr_hits cas_hits cas_badval touch_hits""".split()


def require(condition, message):
    if not condition:
        raise Failure(f"  {message}")


def ask_stats(conversation, argument=b""):
    """{name: value}, of lines "STAT name value"."""
    conversation.send(b"stats" + (b" " + argument if argument else b"") + b"\r\n")
    answer = conversation.receive_until(b"END\r\n").decode()
    fields = {}
    for line in answer.split("\r\n")[:-2]:
        match = re.fullmatch(r"STAT (\S+) (.*)", line)
        require(match, f"no STAT line: {line!r}")
        require(match[1] not in fields, f"twice: {line!r}")
        fields[match[1]] = match[2]
    return fields


def with_connection(test):
    def run(server):
        conversation = Conversation(server.connect())
        try:
            test(server, conversation)
        finally:
            conversation.close()

    run.__name__ = test.__name__
    return run


@with_connection
def general_fields(server, conversation):
    fields = ask_stats(conversation)
    for name in NUMBERS:
        require(name in fields, f"stats: no {name}")
        require(re.fullmatch(r"\d+", fields[name]), f"stats: {name} is no number: {fields[name]!r}")
    for name in ("rusage_user", "rusage_system"):
        require(re.fullmatch(r"\d+\.\d{6}", fields.get(name, "")), f"stats: {name} is no time: {fields.get(name)!r}")
    require(fields.get("version"), "stats: no version")


@with_connection
def general_values(server, conversation):
    fields = ask_stats(conversation)
    require(int(fields["pid"]) == server.process.pid, f"pid {fields['pid']}, is {server.process.pid}")
    require(abs(int(fields["time"]) - time.time()) <= 2, f"time {fields['time']}, is {time.time()}")
    require(int(fields["uptime"]) <= 60, f"uptime {fields['uptime']}")
    require(fields["pointer_size"] == "64", f"pointer_size {fields['pointer_size']}")
    require(fields["limit_maxbytes"] == str(64 << 20), f"limit_maxbytes {fields['limit_maxbytes']}")
    require(fields["threads"] == "2", f"threads {fields['threads']}")
    require(fields["max_connections"] == "512", f"max_connections {fields['max_connections']}")
    require(fields["accepting_conns"] == "1", f"accepting_conns {fields['accepting_conns']}")
    conversation.send(b"version\r\n")
    require(conversation.receive_until(b"\r\n").decode() == f"VERSION {fields['version']}\r\n", "version: not that of stats")


def counted(conversation, commands, expected):
    """The difference that commands make; workers may tell their numbers a little later."""
    before = ask_stats(conversation)
    conversation.send(commands + b"mn\r\n")
    conversation.receive_until(MN)
    until = time.monotonic() + HANG_S
    while True:
        after = ask_stats(conversation)
        differences = {name: int(after[name]) - int(before[name]) for name in expected}
        if differences == expected:
            return
        if time.monotonic() > until:
            raise Failure(f"  sent      {commands!r}\n  expected  {expected}\n  got       {differences}")
        time.sleep(0.05)


COUNTERS = {
    "get": (b"set g 0 0 1\r\nx\r\nget g nope\r\ngets g\r\n", {"cmd_get": 3, "get_hits": 2, "get_misses": 1, "cmd_set": 1}),
    "get of many": (b"get n1 n2 n3 n4\r\n", {"cmd_get": 4, "get_misses": 4, "get_hits": 0}),
    "set": (b"set s 0 0 1\r\nx\r\nset s 0 0 1\r\nx\r\nadd s 0 0 1\r\nx\r\n", {"cmd_set": 3, "total_items": 2}),
    "delete": (b"set d 0 0 1\r\nx\r\ndelete d\r\ndelete d\r\n", {"delete_hits": 1, "delete_misses": 1}),
    "incr and decr": (
        b"set i 0 0 1\r\n5\r\nincr i 1\r\nincr i 1\r\ndecr i 1\r\nincr none 1\r\ndecr none 1\r\n",
        {"incr_hits": 2, "decr_hits": 1, "incr_misses": 1, "decr_misses": 1},
    ),
    "cas": (b"set c 0 0 1\r\nx\r\ncas c 0 0 1 1\r\ny\r\ncas none 0 0 1 1\r\ny\r\n", {"cas_badval": 1, "cas_misses": 1, "cas_hits": 0}),
    "touch": (b"set t 0 0 1\r\nx\r\ntouch t 0\r\ntouch none 0\r\n", {"cmd_touch": 2, "touch_hits": 1, "touch_misses": 1}),
    "flush_all": (b"flush_all 100\r\nflush_all 200\r\n", {"cmd_flush": 2}),
    "curr_items": (b"delete k1\r\ndelete k2\r\nset k1 0 0 1\r\nx\r\nset k2 0 0 1\r\nx\r\n", {"curr_items": 2}),
    "meta get": (b"ms m 1\r\nx\r\nmg m v\r\nmg none v\r\n", {"cmd_set": 1, "get_hits": 1, "get_misses": 1}),
    "too large": (b"set l 0 0 1048577\r\n" + b"x" * 1048577 + b"\r\n", {"store_too_large": 1}),
}


@with_connection
def counters(server, conversation):
    for commands, expected in COUNTERS.values():
        counted(conversation, commands, expected)


@with_connection
def bytes_grow_and_shrink(server, conversation):
    before = int(ask_stats(conversation)["bytes"])
    conversation.ask(store(b"set", b"sized", b"x" * 100000), STORED)
    filled = int(ask_stats(conversation)["bytes"])
    require(100000 <= filled - before <= 110000, f"bytes grew by {filled - before} with a value of 100000")
    conversation.ask(b"delete sized\r\n", DELETED)
    after = int(ask_stats(conversation)["bytes"])
    require(after <= before + 1000, f"bytes is {after} after the delete, was {before}")


@with_connection
def traffic_is_counted(server, conversation):
    before = ask_stats(conversation)
    conversation.ask(store(b"set", b"traffic", b"x" * 50000), STORED)
    conversation.ask(b"get traffic\r\n", hit(b"traffic", b"x" * 50000))
    after = ask_stats(conversation)
    for name in ("bytes_read", "bytes_written"):
        grown = int(after[name]) - int(before[name])
        require(50000 <= grown <= 60000, f"{name} grew by {grown} with a value of 50000")


def settled_stats(conversation):
    """When connections of earlier cases have gone."""
    before = ask_stats(conversation)
    while True:
        time.sleep(0.1)
        fields = ask_stats(conversation)
        if fields["curr_connections"] == before["curr_connections"]:
            return fields
        before = fields


@with_connection
def connections_are_counted(server, conversation):
    before = settled_stats(conversation)
    others = [server.connect() for _ in range(10)]
    for other in others:
        talk = Conversation(other)
        talk.ask(b"mn\r\n", MN)
    fields = ask_stats(conversation)
    require(int(fields["curr_connections"]) - int(before["curr_connections"]) == 10, f"curr_connections {fields['curr_connections']}")
    require(int(fields["total_connections"]) - int(before["total_connections"]) == 10, f"total_connections {fields['total_connections']}")
    for other in others:
        other.close()
    until = time.monotonic() + HANG_S
    while int(ask_stats(conversation)["curr_connections"]) > int(before["curr_connections"]):
        require(time.monotonic() < until, "curr_connections does not fall")
        time.sleep(0.02)


@with_connection
def settings(server, conversation):
    fields = ask_stats(conversation, b"settings")
    for name in SETTINGS:
        require(name in fields, f"stats settings: no {name}")
    require(fields["maxbytes"] == str(64 << 20), f"maxbytes {fields['maxbytes']}")
    require(fields["maxconns"] == "512", f"maxconns {fields['maxconns']}")
    require(fields["num_threads"] == "2", f"num_threads {fields['num_threads']}")
    require(fields["item_size_max"] == "1048576", f"item_size_max {fields['item_size_max']}")
    if not server.unix:
        # memcached tells what it was given: -1 where it was to choose.
        require(fields["tcpport"] in (str(server.address[1]), str(server.port)), f"tcpport {fields['tcpport']}")


def numbered(fields, pattern):
    """{number of the class: {field: value}}"""
    classes = {}
    for name, content in fields.items():
        match = re.fullmatch(pattern, name)
        if match:
            require(re.fullmatch(r"\d+", content), f"{name} is no number: {content!r}")
            classes.setdefault(int(match[1]), {})[match[2]] = int(content)
    return classes


def filled(conversation):
    for number in range(50):
        conversation.ask(store(b"set", b"small%d" % number, b"x" * 10), STORED)
        conversation.ask(store(b"set", b"medium%d" % number, b"x" * 3000), STORED)


@with_connection
def items(server, conversation):
    filled(conversation)
    classes = numbered(ask_stats(conversation, b"items"), r"items:(\d+):(\w+)")
    require(classes, "stats items: empty")
    for number, fields in classes.items():
        for name in ITEM_FIELDS:
            require(name in fields, f"stats items: no {name} in class {number}")
    total = sum(fields["number"] for fields in classes.values())
    now = int(ask_stats(conversation)["curr_items"])
    require(total == now, f"stats items: {total} items, curr_items says {now}")


@with_connection
def slabs(server, conversation):
    filled(conversation)
    fields = ask_stats(conversation, b"slabs")
    require(fields.get("active_slabs", "").isdigit() and fields.get("total_malloced", "").isdigit(), "stats slabs: no totals")
    classes = numbered(fields, r"(\d+):(\w+)")
    require(len(classes) == int(fields["active_slabs"]) > 0, f"stats slabs: {len(classes)} classes, active_slabs {fields['active_slabs']}")
    for number, content in classes.items():
        for name in SLAB_FIELDS:
            require(name in content, f"stats slabs: no {name} in class {number}")
        require(content["used_chunks"] + content["free_chunks"] == content["total_chunks"], f"stats slabs: class {number}: {content}")
    require(int(fields["total_malloced"]) >= 50 * 3000, f"total_malloced {fields['total_malloced']}")


@with_connection
def sizes(server, conversation):
    fields = ask_stats(conversation, b"sizes")
    for name, content in fields.items():
        require(name.isdigit() and content.isdigit() or name in ("sizes_status", "sizes_error"), f"stats sizes: {name} {content}")


@with_connection
def detail(server, conversation):
    """Operations by what stands before the colon of their keys, while they are counted."""
    conversation.ask(b"stats reset\r\n", b"RESET\r\n")
    conversation.ask(b"stats detail on\r\n", b"OK\r\n")
    conversation.ask(b"set det:1 0 0 1\r\nx\r\n", STORED)
    conversation.ask(b"get det:1 det:2 none_det\r\n", b"VALUE det:1 0 1\r\nx\r\nEND\r\n")
    conversation.ask(b"incr det:2 1\r\n", NOT_FOUND)
    conversation.ask(b"touch det:1 0\r\n", b"TOUCHED\r\n")
    conversation.ask(b"delete det:2\r\n", NOT_FOUND)
    conversation.ask(b"append :det 0 0 1\r\nx\r\n", b"NOT_STORED\r\n")
    conversation.send(b"stats detail dump\r\n")
    told = sorted(conversation.receive_until(b"END\r\n").split(b"\r\n")[:-2])
    require(told == [b"PREFIX  get 0 hit 0 set 1 del 0", b"PREFIX det get 2 hit 1 set 1 del 1"], f"stats detail dump: {told}")
    require(ask_stats(conversation, b"settings").get("detail_enabled") == "yes", "detail_enabled is not yes")
    conversation.ask(b"stats detail off\r\n", b"OK\r\n")
    conversation.ask(b"get :det\r\n", END)
    conversation.send(b"stats detail dump\r\n")
    again = sorted(conversation.receive_until(b"END\r\n").split(b"\r\n")[:-2])
    require(again == told, f"stats detail dump after off: {again}")
    conversation.ask(b"stats reset\r\nstats detail dump\r\n", b"RESET\r\nEND\r\n")
    for wrong in (b"stats detail\r\n", b"stats detail x\r\n"):
        conversation.ask(wrong, b"CLIENT_ERROR usage: stats detail on|off|dump\r\n")


@with_connection
def conns(server, conversation):
    fields = ask_stats(conversation, b"conns")
    numbers = {name.split(":")[0] for name in fields}
    require(all(number.isdigit() for number in numbers), f"stats conns: {sorted(fields)}")
    states = [content for name, content in fields.items() if name.endswith(":state")]
    require(len(states) == len(numbers), "stats conns: not each connection has a state")
    require(any(name.endswith(":addr") for name in fields), "stats conns: no addr")
    require(any(name.endswith(":secs_since_last_cmd") for name in fields), "stats conns: no secs_since_last_cmd")


def described(fields):
    """Of stats conns: {number: {field: content}}."""
    found = {}
    for name, content in fields.items():
        number, field = name.split(":")
        found.setdefault(number, {})[field] = content
    return found


def ask_until_described(server, is_right):
    """The server may have read what was sent, or not yet. Each time on a connection of its own."""
    told = None

    def ask():
        nonlocal told
        conversation = Conversation(server.connect())
        told = described(ask_stats(conversation, b"conns"))
        conversation.close()
        return is_right(told)

    wait_until(ask, lambda: f"stats conns: {told}")
    return told


def conns_tell_addresses_and_states(server):
    """Listeners with their own address, connections with the peer's and with the one they came to, and what each is doing."""
    with server.connect() as idle, server.connect() as storing, server.connect() as large, server.connect() as begun:
        storing.sendall(b"set conns_a 0 0 6\r\nxx")
        large.sendall(b"set conns_b 0 0 900000\r\n" + 100000 * b"x")
        begun.sendall(b"get conns")
        ours = f"unix:{server.address}" if server.unix else "tcp:127.0.0.1:%d" % server.address[1]
        sent = {storing: "conn_nread", large: "conn_nread", begun: "conn_read"}

        def theirs(told, client):
            if server.unix:  # clients have no name
                return [each for each in told.values() if each["state"] != "conn_listening"]
            return [each for each in told.values() if each["addr"] == "tcp:127.0.0.1:%d" % client.getsockname()[1]]

        def is_right(told):
            if server.unix:
                states = sorted(each["state"] for each in theirs(told, idle))
                return states.count("conn_nread") == 2 and len(states) >= 5
            if any([each["state"] for each in theirs(told, client)] != [state] for client, state in sent.items()):
                return False
            held = [int(each.get("held_bytes", i)) for i, client in enumerate((idle, begun)) for each in theirs(told, client)]
            return len(held) == 2 and held[0] < held[1]  # what was begun has come; memcached does not tell it

        told = ask_until_described(server, is_right)
        listeners = [each for each in told.values() if each["state"] == "conn_listening"]
        # memcached cuts off the path of its socket.
        require(any(ours.startswith(each["addr"]) for each in listeners), f"stats conns: no listener {ours}: {listeners}")
        require(all("listen_addr" not in each for each in listeners), f"stats conns: {listeners}")
        connections = [each for each in told.values() if each["state"] != "conn_listening"]
        require(all(each["listen_addr"] == ours for each in connections), f"stats conns: {connections}")
        require(sum(each["state"] == "conn_parse_cmd" for each in connections) == 1, f"stats conns: no asker: {connections}")
        for each in connections:
            require(int(each.get("held_bytes", 1)) > 0, f"stats conns: {each}")  # memcached does not tell it
    require(ask_until_described(server, lambda told: sum("listen_addr" in each for each in told.values()) <= 2), "stats conns: they stay")


@with_connection
def reset(server, conversation):
    conversation.ask(b"set r 0 0 1\r\nx\r\nget r\r\nget none_r\r\n", STORED + hit(b"r", b"x") + END)
    before = ask_stats(conversation)
    conversation.ask(b"stats reset\r\n", b"RESET\r\n")
    after = ask_stats(conversation)
    for name in ("cmd_get", "cmd_set", "get_hits", "get_misses", "total_items", "evictions", "delete_hits", "incr_hits", "cas_badval"):
        require(after[name] == "0", f"{name} is {after[name]} after stats reset")
    for name in ("curr_items", "limit_maxbytes", "threads", "pid"):
        require(after[name] == before[name], f"{name} is {after[name]} after stats reset, was {before[name]}")
    conversation.ask(b"get r\r\n", hit(b"r", b"x"))


@with_connection
def unknown_arguments(server, conversation):
    for argument in (b"foo", b"noreply", b"itemss", b"SLABS"):
        conversation.ask(b"stats " + argument + b"\r\n", WRONG_COUNT)


@with_connection
def in_a_pipeline(server, conversation):
    conversation.send(b"mn\r\nstats\r\nmn\r\nstats settings\r\nget none_p\r\nstats reset\r\nmn\r\n")
    answer = conversation.receive_until(b"RESET\r\nMN\r\n")
    require(
        re.fullmatch(rb"MN\r\n(STAT [^\r]*\r\n)+END\r\nMN\r\n(STAT [^\r]*\r\n)+END\r\nEND\r\nRESET\r\nMN\r\n", answer),
        f"in another order: {answer!r}",
    )


@with_connection
def unknown_figures_are_absent(server, conversation):
    """Better none than one that is not true; and none twice under another name, which exporters refuse."""
    conversation.ask(b"set figures 0 0 1\r\nx\r\n", STORED)
    items, slabs = ask_stats(conversation, b"items"), ask_stats(conversation, b"slabs")
    for name in ("age", "age_hot", "age_warm", "evicted_nonzero", "evicted_time"):
        require(f"items:1:{name}" not in items, f"stats items: {name} is not known")
    require("items:1:mem_requested" in items, "stats items: no mem_requested")
    require(not [name for name in slabs if name.endswith("mem_requested")], "stats slabs: mem_requested, which memcached has in items alone")


CASES = [
    unknown_figures_are_absent,
    general_fields,
    general_values,
    counters,
    bytes_grow_and_shrink,
    traffic_is_counted,
    connections_are_counted,
    settings,
    items,
    slabs,
    sizes,
    detail,
    conns,
    conns_tell_addresses_and_states,
    in_a_pipeline,
    unknown_arguments,
    reset,
]
