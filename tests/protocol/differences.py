"""Where snugd answers otherwise than memcached, and why. These cases are for memcached only.

Every entry is a decision: what is not here must be answered as memcached answers it.
"""

SNUGD_DIFFERS = {
    "meta_get: an item remembers that its key came in base64": "snugd does not keep how a key was written; it answers as it was asked",
    "time: l begins anew with a set": "snugd keeps the time of the last use in 3 bits, which the next use, not a set, renews: l is about right",
}
