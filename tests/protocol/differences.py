"""Where snugd answers otherwise than memcached, and why.

Every entry is a decision: what is not here must be answered as memcached answers it.
"""

# These cases are for memcached only.
SNUGD_DIFFERS = {
    "meta_get: an item remembers that its key came in base64": "snugd does not keep how a key was written; it answers as it was asked",
}

# These cannot be said over TLS by Python's sockets, or are about a server without it.
NOT_OVER_TLS = {
    "crowd: more connections than permitted": "who is one too many is not told so, but closed",
    "crowd: a refused value leaves no old one": "begins a server of its own, without TLS",
    "pipeline: half closed": "a connection of Python's is not half closed with close_notify",
    "pipeline: half closed after quiet commands": "the same",
    "pipeline: half closed with large answers": "the same",
    "pipeline: half closed within a command": "the same",
}

# These are for snugd only.
MEMCACHED_DIFFERS = {
    "strangers: a date after 2038": "memcached reads the low 32 bits of a time with a sign, so such a date has passed",
    "strangers: hangs up at POST /": "memcached knows a request line by its end alone, and answers ERROR",
    "strangers: hangs up at Host: a": "memcached answers ERROR",
    "strangers: one bound for lines": "memcached carries out a long line that comes in one piece, up to 16 KiB",
    "strangers: lists have none": "memcached hangs up at a long gat that comes in pieces",
    "stats: unknown figures are absent": "memcached knows them",
    "time: l and la begin anew with each use": "memcached begins anew with some uses",
    "binary: the body of an unknown command is passed over": "memcached passes over more, and takes the rest for a value",
    "binary: a key beyond any bound": "memcached hangs up without a word when its buffer is full",
    "binary: a length beyond any bound": "memcached knows the bound since 1.6.2x, and waits before",
    "binary_alone: text is refused in words": "memcached waits for a whole head, and hangs up without a word",
    "text_alone: packets are refused in a packet": "memcached takes them for a line, and waits for its end",
    "crowd: a refused value leaves no old one": "memcached says why in other words, and keeps the old value of a large item that it refuses",
}
