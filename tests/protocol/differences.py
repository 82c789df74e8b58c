"""Where snugd answers otherwise than memcached, and why.

Every entry is a decision: what is not here must be answered as memcached answers it.
"""

# These cases are for memcached only.
SNUGD_DIFFERS = {
    "meta_get: an item remembers that its key came in base64": "snugd does not keep how a key was written; it answers as it was asked",
    "time: l begins anew with a set": "snugd keeps the time of the last use in 3 bits, which the next use, not a set, renews: l is about right",
}

# These are for snugd only.
MEMCACHED_DIFFERS = {
    "crowd: a refused value leaves no old one": "memcached says why in other words, and keeps the old value of a large item that it refuses",
}
