/* snug/error.h: every way in which a call can fail.
 *
 *     snug_error error = SNUG_ERROR_PINNED;                    // what a call has answered
 *     if (error != SNUG_OK) printf("%s: %s\n", snug_error_name(error), snug_error_text(error));
 *
 * One table yields the enum, the texts and the documentation. A call that fails changes nothing:
 * its out-parameters keep their values and every object stays as it was, but where the header says
 * otherwise: BUFFER_TOO_SMALL tells the size, and a set that a cache or a shard refuses for room or
 * size removes the old value. */
#ifndef SNUG_ERROR_H
#define SNUG_ERROR_H

#include <snug/platform.h>

#ifdef __cplusplus
extern "C" {
#endif

/* X(symbol, text): the order is the numeric order and part of the ABI; new errors go at the end. */
#define SNUG_ERRORS(X)                                                                             \
	X(SNUG_OK, "ok")                                                                               \
	X(SNUG_ERROR_NULL, "a required pointer is NULL")                                               \
	X(SNUG_ERROR_OPTION, "an option is outside its range")                                         \
	X(SNUG_ERROR_LIMIT_TOO_SMALL, "the memory limit is too small to work in")                      \
	X(SNUG_ERROR_SIZE_ZERO, "an object needs at least one byte")                                   \
	X(SNUG_ERROR_SIZE_TOO_LARGE, "the object is larger than the limit or the format allows")       \
	X(SNUG_ERROR_NO_MEMORY, "no room for this within the limit, even after compaction")            \
	X(SNUG_ERROR_OS_MEMORY, "the operating system refused memory")                                 \
	X(SNUG_ERROR_HANDLE, "the handle names no object: it is stale, forged or of another heap")     \
	X(SNUG_ERROR_REFERENCE, "the reference names no live object")                                  \
	X(SNUG_ERROR_RANGE, "offset and length reach beyond the object")                               \
	X(SNUG_ERROR_PINNED, "the object is pinned")                                                   \
	X(SNUG_ERROR_NOT_PINNED, "the object is not pinned")                                           \
	X(SNUG_ERROR_TOO_MANY_PINS, "the object is pinned as often as can be counted")                 \
	X(SNUG_ERROR_NOT_CONTIGUOUS, "the object is stored in several extents and has no one address") \
	X(SNUG_ERROR_TOO_MANY_EXTENTS, "the object has more extents than the caller's array")          \
	X(SNUG_ERROR_ALIGNMENT, "the alignment is not 1, 8 or 16, or cannot be had at this size")      \
	X(SNUG_ERROR_MODE, "this heap names objects the other way (handles or owner's references)")    \
	X(SNUG_ERROR_WRONG_THREAD, "this heap belongs to another thread")                              \
	X(SNUG_ERROR_REENTERED, "called from inside an owner's callback")                              \
	X(SNUG_ERROR_BUSY, "a defragmentation is already running on this heap")                        \
	X(SNUG_ERROR_NOT_RUNNING, "no defragmentation is running on this heap")                        \
	X(SNUG_ERROR_BUDGET_ZERO, "a budget of zero can do no work")                                   \
	X(SNUG_ERROR_CORRUPT, "an invariant is broken: the heap's memory was overwritten")             \
	X(SNUG_ERROR_IN_USE, "it is still in use")                                                     \
	X(SNUG_ERROR_WRITE, "the caller's write function refused the output")                          \
	X(SNUG_ERROR_OS_THREAD, "the operating system refused a thread or a descriptor")               \
	X(SNUG_ERROR_WORKER, "there is no such worker")                                                \
	X(SNUG_ERROR_TICKET, "the ticket is unknown, or its result was taken already")                 \
	X(SNUG_ERROR_QUEUE_FULL, "the queue is full")                                                  \
	X(SNUG_ERROR_TIMED_OUT,                                                                        \
	  "not finished in time; it goes on, and where it has a ticket, that gives the result")        \
	X(SNUG_ERROR_STOPPED, "the receiver has stopped")                                              \
	X(SNUG_ERROR_CANCELLED, "cancelled before it was complete")                                    \
	X(SNUG_ERROR_SCHEDULE, "the schedule makes no sense: an empty window or interval")             \
	X(SNUG_ERROR_GOAL, "more was asked for than the heaps hold")                                   \
	X(SNUG_ERROR_KEY, "a key has 1 to 250 bytes")                                                  \
	X(SNUG_ERROR_NOT_FOUND, "there is no item with this key")                                      \
	X(SNUG_ERROR_NOT_STORED,                                                                       \
	  "not stored: there is an item already, or none, or it would grow too large")                 \
	X(SNUG_ERROR_EXISTS, "the item has another CAS number: somebody else has changed it")          \
	X(SNUG_ERROR_NOT_A_NUMBER, "the item's value is not a decimal number")                         \
	X(SNUG_ERROR_BUFFER_TOO_SMALL, "the value is larger than the caller's buffer")                 \
	X(SNUG_ERROR_VERSION,                                                                          \
	  "a struct was not initialised, or asks for what this version does not know")                 \
	X(SNUG_ERROR_FILE, "the memory file cannot be opened, or is none")                             \
	X(SNUG_ERROR_FILE_SYSTEM, "the memory file does not lie in memory")                            \
	X(SNUG_ERROR_LAYOUT, "the memory file holds another layout, size or number of heaps")          \
	X(SNUG_ERROR_UNCLEAN, "the memory file was not closed in order")                               \
	X(SNUG_ERROR_LOADER, "the loader has failed")                                                  \
	X(SNUG_ERROR_CYCLE, "a loader asks for what it is loading, itself or by way of others")

typedef enum snug_error {
#define SNUG_ERROR_ENUM(symbol, text) symbol,
	SNUG_ERRORS(SNUG_ERROR_ENUM) SNUG_ERROR_COUNT
} snug_error;
#undef SNUG_ERROR_ENUM

/* A static sentence without a full stop; for a value outside the table, "unknown error". Any
 * thread. */
const char *snug_error_text(snug_error error);

/* The symbol's name, such as "SNUG_ERROR_PINNED"; "SNUG_ERROR_UNKNOWN" outside the table. Any
 * thread. */
const char *snug_error_name(snug_error error);

#if defined(__GNUC__)
#define SNUG_NODISCARD __attribute__((warn_unused_result))
#else
#define SNUG_NODISCARD
#endif

#ifdef __cplusplus
}
#endif
#endif
