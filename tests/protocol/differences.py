"""Where snugd answers otherwise than memcached, and why.

Every entry is a decision: what is not here must be answered as memcached answers it.
"""

# These cases are for memcached only.
SNUGD_DIFFERS = {
    "meta_get: an item remembers that its key came in base64": "snugd does not keep how a key was written; it answers as it was asked",
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
    "crowd: a refused value leaves no old one": "memcached says why in other words, and keeps the old value of a large item that it refuses",
}
