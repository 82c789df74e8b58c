/* snug/memory_file.h: a file in memory that heaps lie in, so that what they hold outlives the
 * process.
 *
 *     snug_memory_file_options file_options = snug_memory_file_options_default();
 *     file_options.path = "/dev/shm/my-cache";                 // tmpfs; 0600, locked while it is open
 *     snug_memory_file *file;
 *     if (snug_memory_file_create(&file_options, &file) != SNUG_OK) return 1;
 *
 *     snug_shard_options options = snug_shard_options_default();
 *     options.heap.limit_bytes = 64 << 20;
 *     options.heap.memory_file = file;                         // attached, if it holds a shard
 *     snug_shard *shard;
 *     if (snug_shard_create(&options, &shard) != SNUG_OK) return 1;
 *
 *     if (snug_shard_destroy(shard) != SNUG_OK) return 1;      // its items stay in the file
 *     if (snug_memory_file_destroy(file) != SNUG_OK) return 1;
 *
 * A heap, a shard, or a cache is given the file by its options. If the file holds nothing it begins
 * there; else it goes on with what the file holds: objects, handles, items, CAS numbers, what
 * eviction has learnt. A handle stays valid. To destroy a heap leaves all that in the file. To
 * destroy the file closes it, with the mark without which nobody attaches; whoever wants the memory
 * back discards what is in it first.
 *
 * WHAT MAY CHANGE in between: the limit, up to limit_max_bytes as it was when the file was begun;
 * all options but the size of pages and how objects are named; the version of the library, as long
 * as the layout is the same. What was charged by the owner is not charged any more. What was pinned
 * must not be: a heap that had pins is not kept (PINNED).
 *
 * AFTER A CRASH (kill -9, abort) a shard, or a cache, recovers its items when it is created: all that
 * were stored, but for one that was being changed. Nothing that was deleted, flushed or has expired comes
 * back, and CAS numbers go on. snug_shard_stats tells how many there were, and the time it took, which
 * grows with the items. Until then the file holds a second index: some 15 bytes an item. A heap by
 * itself is not recovered (UNCLEAN): nobody knows which of its objects were freed.
 *
 * WHAT DOES NOT FIT is refused with a typed error and a sentence, before anything is changed: a file
 * that was not destroyed in order and can't be recovered (UNCLEAN), one of another layout, count of
 * segments or size (LAYOUT), one whose tables were changed (CORRUPT). With start_cold it is emptied instead, and `reason` says
 * why. A file that does not begin as ours do is never touched (FILE).
 *
 * A file that was copied, or written to by others than the heap, is walked before it is used: each
 * law, each item. What is inside a value is not checked. On a tmpfs only writes by calls are noticed:
 * what another maps and changes is found if it was a table, as those have a sum.
 *
 * WHO SHORTENS it while it is open takes memory away that is mapped: the next touch is SIGBUS.
 *
 * SECRET. The secret that keys are hashed with lies in the file (snug_hash_secret_set), and the
 * values. So it is for its owner alone. */
#ifndef SNUG_MEMORY_FILE_H
#define SNUG_MEMORY_FILE_H

#include <snug/error.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct snug_memory_file snug_memory_file;

/* Begin with snug_memory_file_options_default, then change; only path, or descriptor, has no
 * default. It may grow at its end: snug/version.h. */
typedef struct snug_memory_file_options {
	size_t struct_bytes; /* set by snug_memory_file_options_init */
	/* a file, which is made if it is not there, or a directory, in which it is called snug.memory */
	const char *path;
	/* instead of a path: of a file, such as memfd_create makes, to read and write; it stays the
	 * caller's. -1: none */
	int descriptor;
	uint32_t segments; /* heaps that will lie in it: as many as workers */
	/* take a file on a disk too: the system writes all that changes to it */
	bool on_disk;
	bool start_cold; /* what does not fit is thrown away, instead of an error */
	char *reason; /* takes a sentence: why it was refused, or starts cold; NULL: none is wanted */
	size_t reason_bytes;
} snug_memory_file_options;

/* The defaults, in a struct of so many bytes. Other languages than C and C++ call this one. */
void snug_memory_file_options_init(snug_memory_file_options *options, size_t struct_bytes);
static inline snug_memory_file_options snug_memory_file_options_default(void) {
	snug_memory_file_options made;
	snug_memory_file_options_init(&made, sizeof made);
	return made;
}

/* Opens and locks it. NULL, VERSION, OPTION (path and descriptor, or neither; segments), FILE (the
 * system refused, it is another's, or it is no memory file), FILE_SYSTEM (a disk's, or one that can't
 * give memory back), IN_USE (another process has it, or this one), UNCLEAN, LAYOUT, CORRUPT,
 * OS_MEMORY. */
SNUG_NODISCARD snug_error snug_memory_file_create(const snug_memory_file_options *options,
												  snug_memory_file **out);

/* It holds what a heap can attach to. NULL: no. */
bool snug_memory_file_holds(const snug_memory_file *file);

/* Why it was thrown away, or refused by a heap that was to attach: a sentence without a full stop,
 * "" if it was not. It holds until the file is destroyed, or another heap is refused. Any thread. */
const char *snug_memory_file_reason(const snug_memory_file *file);

/* What it holds is thrown away, and its memory goes back: for who was refused by a heap's creation, and
 * starts cold; or before it is destroyed. IN_USE: a heap lies in it. OS_MEMORY: it has no room for
 * its first pages. */
SNUG_NODISCARD snug_error snug_memory_file_discard(snug_memory_file *memory_file);

/* Unlocks and closes it, when no heap lies in it any more. What the destroyed heaps held stays; a file
 * that no heap was given is as it was. IN_USE: a heap lies in it. PINNED: a heap had pins, and can't
 * be kept: discard it. So for what a heap's creation that failed has left (its error). Then nothing
 * is done. NULL: OK. */
SNUG_NODISCARD snug_error snug_memory_file_destroy(snug_memory_file *memory_file);

#ifdef __cplusplus
}
#endif
#endif
