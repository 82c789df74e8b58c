/* os/collapse.h: huge pages for memory that is resident as a whole.
 *
 *     a block (2 MiB, aligned) of which each page is resident --collapse--> one huge page
 *     a part of it goes back to the OS                        --split-----> small pages again
 *
 * A look-up in a large cache waits for the translation of addresses about as often as for the data.
 * Huge pages halve that. To ask for them before memory is touched makes resident what nobody has
 * committed, 2 MiB at a time. To collapse what is resident already costs no memory at all.
 *
 * A thread of its own looks through the ranges that it was given, in rounds. It knows nothing of
 * what lies in them: it asks the kernel what is resident (mincore) and hands over what is
 * (MADV_COLLAPSE, Linux 6.1). Where the kernel does not know that, it ends. Where it refuses one block
 * after the other, as it does if it was told to, a round ends after 64 of them.
 *
 * COSTS. To collapse a block takes the thread 0.6 to 1.2 ms: first the kernel has its other processors
 * put away what they hold, then the block is copied. Whoever touches it meanwhile waits for the copy,
 * and so does who asks the kernel for other memory of the process. So each block is followed by a pause,
 * 99 times as long: of a hundred requests one may meet it, not more. So is one that the kernel could not
 * collapse: where memory is in pieces, it looks for a huge page for milliseconds, and finds none. To
 * look through a gigabyte takes 0.5 to 1 ms; a round in which nothing was found doubles the wait before
 * the next, up to 16 s.
 *
 * WHAT IT IS WORTH depends on what lies there. Of a range whose owner can tell, blocks that are not
 * worth it are left small: those of large values, where a page is read as a whole.
 *
 * A block of which a part goes back in the moment in which it is collapsed would be resident as a
 * whole. So whoever gave it back looks afterwards whether that was so (collapse_has_met), waits for
 * the end of it, some milliseconds at most where the machine is not overloaded, and gives it back
 * again. That is rare, but it is a wait of the owner's: a step in which it falls is a late one. */
#ifndef SNUG_OS_COLLAPSE_H
#define SNUG_OS_COLLAPSE_H

#include <snug/error.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COLLAPSE_BLOCK_BYTES ((size_t)2 << 20)

struct os_range {
	void *base;
	size_t bytes;
	/* Whether a huge page is worth its cost for this block, asked each time that it is looked at, by
	 * the thread of collapsing; NULL: each is. */
	bool (*is_worth)(const void *context, const void *block);
	const void *context;
};

struct collapse;

/* Begins to look through the ranges, which must stay mapped until collapse_stop, and who is asked about
 * them there; they are copied. OS_MEMORY, OS_THREAD. */
snug_error collapse_start(const struct os_range *ranges, uint32_t count, struct collapse **out);
/* Returns when the thread has ended. NULL: nothing to do. */
void collapse_stop(struct collapse *collapse);
/* Blocks so far. Any thread. NULL: 0. */
uint64_t collapse_count(const struct collapse *collapse);

/* Before a range goes back to the OS: splits the blocks of which only a part is in it. Else the
 * kernel would take the part from what is resident, but keep its memory until it is short of some.
 * 0.1 ms for a block that is one huge page, 1 us for others; nothing where none was ever
 * asked for. Any thread. */
void collapse_split(void *address, size_t bytes);
/* After it went back: true if a block of it was being collapsed, which has ended. Then it is to go back
 * once more. Any thread. */
bool collapse_has_met(const void *address, size_t bytes);
/* Huge pages were asked for by other means. */
void collapse_note_huge(void);

#endif
