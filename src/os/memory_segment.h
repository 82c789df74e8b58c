/* os/memory_segment.h: memory in a file, as a heap's and a shard's code see it. The user's side is
 * snug/memory_file.h.
 *
 *     file      | header | a head for each segment | parts of all segments, as they were reserved |
 *     segment   the memory of one worker: a snug_os whose reservations are parts of the file
 *     part      one reservation: mapped, shared, at whatever address is free
 *     root      a struct by which all else in the segment is found: the heap's, the shard's
 *     mark      the header's word that says that the file was closed in order
 *     stamp     what the system knew of the file then: another says that somebody else has written
 *
 * ADDRESSES. Parts are mapped anywhere, so nothing that is kept may rely on an address: what lies in
 * a part knows offsets, and the few pointers are rebuilt by who attaches (mem/heap_keep.c,
 * cache/shard/shard.c) with memory_segment_now, which says where a byte is that was somewhere. So
 * two files never want the same addresses, and the kernel goes on choosing them at random.
 *
 * HOLES. What is committed is allocated in the file first (fallocate): a file system that is full is
 * a refusal, where a touch would end the process. What is decommitted is a hole, which the file
 * system counts as free. A reader who looks at a hole gets zeros; the kernel then allocates a page
 * for them, which the next hole takes back.
 *
 * RECOVERY. A file whose process was killed has no sums: nothing in it is believed but the heads,
 * which are bounded, and what its owner certifies piece by piece. It finds the old parts by their
 * numbers, makes new ones beside them, and puts those in their place at once (memory_segment_flip).
 *
 * SUMS. All parts but those of objects are summed when a segment ends, and compared before it is
 * attached: they are trusted without a look afterwards. Pages of zeros count as holes, so a copy has
 * the same sum. */
#ifndef SNUG_OS_MEMORY_SEGMENT_H
#define SNUG_OS_MEMORY_SEGMENT_H

#include <snug/memory_file.h>
#include <snug/os.h>

enum memory_root { ROOT_HEAP, ROOT_SHARD, ROOT_COUNT };

#define ROOT_FACTS 4u

/* What is known of a root without looking at it. */
struct root_facts {
	uint64_t layout;           /* of the structs: another is not understood */
	uint64_t fact[ROOT_FACTS]; /* the owner's */
};

/* What tells one layout of structs from another: their sizes, and what else is given. */
static inline uint64_t memory_layout(const uint64_t *numbers, size_t count) {
	uint64_t layout = UINT64_C(0xCBF29CE484222325);
	for (size_t i = 0; i < count; i++) {
		layout = (layout ^ numbers[i]) * UINT64_C(0x9E3779B97F4A7C15);
		layout ^= layout >> 32;
	}
	return layout;
}

#define MEMORY_GRAIN ((uint64_t)4096)

struct memory_segment;

/* OPTION: the file has no such segment. */
snug_error memory_segment_of(snug_memory_file *file, uint32_t number, struct memory_segment **out);

/* A constant of the segment. */
const snug_os *memory_segment_os(struct memory_segment *segment);

/* It holds this root, from before; NULL: it does not. */
const struct root_facts *memory_segment_facts(const struct memory_segment *segment,
											  enum memory_root root);

/* Compares the sums, takes the mark off and maps all parts; again: the same answer. CORRUPT,
 * OS_MEMORY. */
snug_error memory_segment_attach(struct memory_segment *segment);

/* Where `bytes` are that lay at `then` when they were kept; NULL: in no part. */
void *memory_segment_now(const struct memory_segment *segment, const void *then, size_t bytes);

/* The root that is held, `bytes` long; NULL: it is in no part. */
void *memory_segment_root(const struct memory_segment *segment, enum memory_root root,
						  size_t bytes);

/* The file was copied, or written to by others, since it was closed. */
bool memory_segment_is_foreign(const struct memory_segment *segment);

/* ------------------------------------------------------------------ recovery ------------------ */

#define PART_NONE UINT64_MAX

/* Its process was killed: it must be recovered before it is attached. */
bool memory_segment_is_unclean(const struct memory_segment *segment);

/* Maps what is held; from here to the flip, or to the giving up, what is reserved and which roots are
 * set is for the time after it. OS_MEMORY. */
snug_error memory_segment_begin_recovery(struct memory_segment *segment);

/* The root as it was left; NULL: it does not lie `bytes` long in a part. */
void *memory_segment_left_root(const struct memory_segment *segment, enum memory_root root,
							   size_t bytes);

/* The part that begins there, PART_NONE for none; and where a part is now, NULL for none. */
uint64_t memory_segment_part(const struct memory_segment *segment, const void *address);
void *memory_segment_part_at(const struct memory_segment *segment, uint64_t part, size_t *bytes);

/* The part that holds objects; NULL: there is none. */
void *memory_segment_objects(const struct memory_segment *segment, size_t *bytes);

/* How many bytes from there on the file holds, as far as it is asked. */
uint64_t memory_segment_held(const struct memory_segment *segment, const void *address,
							 uint64_t bytes);

/* Which grains of a part hold something. A look at a hole makes memory of it, or ends the process where
 * the file system is full; what a damaged file says of itself may lead there. */
struct memory_present {
	const char *base; /* of the part */
	uint64_t *bits;   /* a grain each; not the segment's memory */
	uint64_t grains;
};

/* Of the part in which the address lies. False: the system refused. To be forgotten by who asked. */
bool memory_present_init(struct memory_present *present, const struct memory_segment *segment,
						 const void *address);
void memory_present_deinit(struct memory_present *present);

/* How many bytes from there on do, `most` at most. */
static inline uint64_t memory_present_from(const struct memory_present *present, const void *from,
										   uint64_t most) {
	uint64_t offset = (uint64_t)((const char *)from - present->base), end = offset;
	uint64_t grain = offset / MEMORY_GRAIN;
	for (; end < offset + most && grain < present->grains; end = ++grain * MEMORY_GRAIN)
		if ((present->bits[grain / 64] >> (grain % 64) & 1) == 0) break;
	return end - offset < most ? end - offset : most;
}

/* Copies what lies there, without making memory of holes. False: the system refused. */
bool memory_segment_read(const struct memory_segment *segment, const void *address, void *out,
						 size_t bytes);

/* What was made is what is held from now on, and it is attached; what was held before goes. */
void memory_segment_flip(struct memory_segment *segment);

/* What was made goes; what was held is as it was. */
void memory_segment_give_up(struct memory_segment *segment);

/* The owner leaves what he counts time by. */
void memory_segment_note_left(struct memory_segment *segment);
/* That was in the same boot: clocks that begin with it go on. Else how long ago it was by the clock on
 * the wall, 0 if that was set back. */
bool memory_segment_is_same_boot(const struct memory_segment *segment, int64_t *gone_s);

/* One lies there already: IN_USE. Else the root's life begins: one more uses the segment. */
snug_error memory_segment_begin(struct memory_segment *segment, enum memory_root root);

/* Where the root lies. */
void memory_segment_set_root(struct memory_segment *segment, enum memory_root root,
							 const void *address, const struct root_facts *facts);

/* The part that begins there holds objects: it is not summed. */
void memory_segment_set_objects(struct memory_segment *segment, const void *address);

/* The root's life ends, and with the last one the segment is summed and unmapped. With an error all
 * of the file is not kept. */
void memory_segment_end(struct memory_segment *segment, enum memory_root root, snug_error error);

/* Notes why a root could not be attached, and gives LAYOUT back. */
snug_error memory_segment_refuse(struct memory_segment *segment, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* ------------------------------------------------------------------ of the whole file --------- */

#define MEMORY_SECRET_BYTES 16u

/* The secret that keys are hashed with: what the file holds; false: it holds nothing yet. */
bool memory_file_secret(const snug_memory_file *file, void *out);
void memory_file_set_secret(snug_memory_file *file, const void *secret);

/* Whether the address is of what is mapped of the file. Any thread, a handler of a signal, too: it looks
 * at nothing in the file. */
bool memory_file_maps(const snug_memory_file *file, const void *address);

/* A clock that began in another process, and goes on: os/local_time.h. False: none was kept. Who goes
 * by it sets it, for it is told anew after another boot; it is written when the file is closed. */
struct os_epoch;
bool memory_file_clock(const snug_memory_file *file, struct os_epoch *out);
void memory_file_set_clock(snug_memory_file *file, const struct os_epoch *clock);

#endif
