/* versions.pml: the machine of reads.pml and links.pml, and versions as in src/base/versions.h, for whoever defines ADDRESSES (7 to 10) and
 * DONE. The owner's stores lie in a store buffer until the process `memory` writes them. Two machines, by macro:
 *     TSO        one queue: in the order in which they were stored; loads are done in their order (x86-64)
 *     WEAK       one place for each address: in any order; loads are done in any order, but that an item is read behind the entry that
 *                names it, as addresses depend on each other (arm64, and weaker)
 * A release fence, and a release store, wait on WEAK until all before is written; on TSO they are nothing. An acquire load, and an
 * acquire fence, keep loads in order on WEAK. */
byte memory_of[ADDRESSES];   /* what the reader sees */

/* ------------------------------------------------------------------ the machine */

#ifdef TSO
chan buffer = [8] of { byte, byte };
#define STORE(at, value) buffer ! at, value
#define RELEASE skip
#else
byte pending[ADDRESSES];     /* value + 1; 0: nothing */
#define STORE(at, value) atomic { pending[at] == 0 -> pending[at] = (value) + 1 }
#if ADDRESSES > 8
#define LAST_PENDING (pending[7] + pending[8] + pending[ADDRESSES - 1])
#else
#define LAST_PENDING pending[ADDRESSES - 1]
#endif
#define IS_WRITTEN (pending[0] + pending[1] + pending[2] + pending[3] + pending[4] + pending[5] + pending[6] + LAST_PENDING == 0)
#define WRITE(at) atomic { pending[at] > 0 -> memory_of[at] = pending[at] - 1; pending[at] = 0 }
#define RELEASE IS_WRITTEN
#endif

active proctype memory() {
#ifdef TSO
	byte at, value;
end:
	do
	:: atomic { buffer ? at, value -> memory_of[at] = value; at = 0; value = 0 }
	od
#else
	byte at;
end:
	do
	:: WRITE(0)
	:: WRITE(1)
	:: WRITE(2)
	:: WRITE(3)
	:: WRITE(4)
	:: WRITE(5)
	:: WRITE(6)
#if ADDRESSES > 7
	:: WRITE(7)
#endif
#if ADDRESSES > 8
	:: WRITE(8)
#endif
#if ADDRESSES > 9
	:: WRITE(9)
#endif
	od
#endif
}

/* ------------------------------------------------------------------ the owner's versions */

#ifdef NO_OWNER_FENCE
#define BEHIND_ODD skip
#else
#define BEHIND_ODD RELEASE
#endif
#ifdef NO_RELEASE_OF_EVEN
#define BEFORE_EVEN skip
#else
#define BEFORE_EVEN RELEASE
#endif

inline begin_change(which, counter) { counter++; STORE(which, counter); BEHIND_ODD }
inline end_change(which, counter) { counter++; BEFORE_EVEN; STORE(which, counter) }

/* Told to others by a release store, as a reply to a client is. */
inline tell_done(number) { RELEASE; STORE(DONE, number) }

/* ------------------------------------------------------------------ the reader's loads */

#if defined(TSO) || !defined(NO_READER_FENCE)
#define SECOND_MAY_BE_EARLY false
#else
#define SECOND_MAY_BE_EARLY true
#endif
#if defined(TSO) || !defined(NO_ACQUIRE)
#define FIRST_MAY_BE_LATE false
#else
#define FIRST_MAY_BE_LATE true
#endif
