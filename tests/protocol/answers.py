"""Answers that occur again and again.

memcached 1.6.18 tells apart lines with too few or too many words (ERROR) and lines with a bad word (CLIENT_ERROR); since 1.6.25 most of
the former are the latter, and the data behind a refused line is swallowed there. No client can depend on the one or the other, so
the suite takes both.
"""

from case import sequence

STORED = b"STORED\r\n"
NOT_STORED = b"NOT_STORED\r\n"
EXISTS = b"EXISTS\r\n"
NOT_FOUND = b"NOT_FOUND\r\n"
DELETED = b"DELETED\r\n"
TOUCHED = b"TOUCHED\r\n"
END = b"END\r\n"
OK = b"OK\r\n"
ERROR = b"ERROR\r\n"
BAD_FORMAT = b"CLIENT_ERROR bad command line format\r\n"
BAD_EXPTIME = b"CLIENT_ERROR invalid exptime argument\r\n"
BAD_DELTA = b"CLIENT_ERROR invalid numeric delta argument\r\n"
BAD_CHUNK = b"CLIENT_ERROR bad data chunk\r\n"
BAD_TOKEN = b"CLIENT_ERROR bad token in command line format\r\n"
BAD_FLAG = b"CLIENT_ERROR invalid flag\r\n"
BAD_OR_DUPLICATE = b"CLIENT_ERROR invalid or duplicate flag\r\n"
DUPLICATE_FLAG = b"CLIENT_ERROR duplicate flag\r\n"
BAD_KEY = b"CLIENT_ERROR error decoding key\r\n"
NON_NUMERIC = b"CLIENT_ERROR cannot increment or decrement non-numeric value\r\n"
TOO_LARGE = b"SERVER_ERROR object too large for cache\r\n"
LONG_OPAQUE = b"CLIENT_ERROR opaque token too long\r\n"
MN = b"MN\r\n"

# A wrong number of words.
WRONG_COUNT = (ERROR, BAD_FORMAT)

# A storing line that is refused, and its data "x\r\n": taken for a command, which is none, or swallowed. Followed by "mn".
REFUSED_STORE = sequence((BAD_FORMAT, ERROR), (ERROR + MN, BAD_FORMAT + MN, MN))
SILENT_REFUSED_STORE = (ERROR + MN, BAD_FORMAT + MN, MN)


def wire_length(data):
    """With @ as the word that it becomes."""
    return len(data.replace(b"@", b"word"))


def value(key, data, flags=0, cas=None):
    """What get and gets answer for a hit, without END."""
    unique = b"" if cas is None else b" " + cas
    return b"VALUE %s %d %d%s\r\n%s\r\n" % (key, flags, wire_length(data), unique, data)


def hit(key, data, flags=0, cas=None):
    return value(key, data, flags, cas) + END


def store(command, key, data, tail=b"", flags=0, exptime=0):
    """A storing command with its data."""
    return b"%s %s %d %d %d%s\r\n%s\r\n" % (command, key, flags, exptime, wire_length(data), tail, data)


def meta_set(key, data, flags=b""):
    return b"ms %s %d %s\r\n%s\r\n" % (key, wire_length(data), flags, data)
