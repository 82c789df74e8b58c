/* os/memory_file_parts.h: a memory file from within.
 *
 *     memory_file.c      opened, believed or not, begun anew, closed
 *     memory_segment.c   one worker's share of it: its reservations, its sum
 *
 *     | header, 4 KiB | head of segment 0 | 1 | ... 63 | part | part | part | ...
 *                      4 KiB each                        sparse, each at a multiple of its alignment
 *
 * EPOCHS. What a recovery makes belongs to the epoch after the segment's: its parts, and the roots at
 * the other place. One store of the epoch makes them what is held, and the old ones what is given
 * back. So whoever is killed in the midst of it has changed nothing. Parts of objects belong to all.
 *
 * The heads are mapped as long as the file is open. They lie beside the limits of the heaps: 268 KiB
 * of addresses, of which a page for the file and one for each segment is resident. */
#ifndef SNUG_OS_MEMORY_FILE_PARTS_H
#define SNUG_OS_MEMORY_FILE_PARTS_H

#include "os/local_time.h"
#include "os/memory_segment.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#define FILE_GRAIN ((size_t)4096)
#define FILE_SEGMENTS_MAX 64u
#define FILE_HEAD_BYTES (FILE_GRAIN * (1 + FILE_SEGMENTS_MAX))
#define FILE_PARTS_MAX 16u
#define FILE_MAGIC UINT64_C(0x656C69666775736E) /* "nsugfile": what begins so is ours */
#define FILE_LAYOUT 4u                          /* of the structs below */
#define FILE_BOOT_BYTES 40u

/* What the system knows of a file, but for what is mapped of it. */
struct file_stamp {
	uint64_t inode;
	uint64_t device;
	int64_t changed_s;
	int64_t changed_ns;
};

/* When something was left: a clock that nobody sets goes on within a boot, the wall's beyond it. */
struct file_moment {
	int64_t wall_s;
	char boot[FILE_BOOT_BYTES];
};

enum file_mark { MARK_NEW /* there is nothing */, MARK_RUNNING, MARK_CLEAN };

struct file_header {
	uint64_t magic;
	uint32_t layout;
	uint32_t segments;
	_Atomic uint32_t mark; /* MARK_CLEAN is written last, and taken off before anything else */
	uint32_t has_clock;
	uint64_t generation; /* times that it was begun or attached */
	uint64_t file_bytes;
	struct os_epoch clock;
	struct file_moment closed; /* it was closed, or begun */
	int64_t closed_clock_s; /* the clock, then */
	unsigned char secret[MEMORY_SECRET_BYTES];
	struct file_stamp stamp;
	uint64_t sum; /* of this, with a sum of 0 and no mark, and of all heads */
};

/* All 0: free. */
struct file_part {
	uint64_t address; /* where it was mapped last */
	uint64_t offset;  /* in the file */
	uint64_t bytes;
	uint64_t alignment;
	uint64_t holds_objects;
	uint64_t epoch; /* of the segment, when it was reserved */
};

struct file_root {
	uint64_t address; /* 0: there is none */
	uint64_t part;    /* where it lies, whatever the addresses are */
	uint64_t offset;
	struct root_facts facts;
};

struct segment_head {
	struct file_part part[FILE_PARTS_MAX];
	struct file_root root[2][ROOT_COUNT]; /* those of the epoch, by its last bit, are held */
	struct file_moment left;              /* the shard was */
	uint64_t epoch;
	uint64_t sum;            /* of all parts but those of objects */
	uint32_t is_sealed;      /* it was ended, and summed */
	uint32_t making;         /* bits of roots that are being made: until then there is nothing */
};

/* The owner of the segment, but for creation and the end of the file. */
struct memory_segment {
	snug_os os; /* first: its context is this struct */
	snug_memory_file *file;
	struct segment_head *head;
	uint32_t uses; /* roots alive */
	bool is_used[ROOT_COUNT];
	bool is_attached;
	bool is_recovering;            /* what is reserved is of the next epoch */
	snug_error error;              /* of the attaching, or of the end */
	/* atomic: the owner writes, any thread asks memory_file_maps. The length is known here, too: a
	 * head may be what is gone */
	_Atomic(char *) mapped[FILE_PARTS_MAX]; /* NULL: it is not */
	_Atomic size_t mapped_bytes[FILE_PARTS_MAX];
	uintptr_t was[FILE_PARTS_MAX];               /* where it was when it was kept */
};

struct snug_memory_file {
	/* constant after open, as are the mappings and the segments' places */
	int descriptor;
	uint32_t segments;
	bool is_foreign;
	bool is_unclean; /* its process was killed: each segment is recovered before it is attached */
	bool holds;      /* it came with roots */
	struct file_header *header;
	/* under the lock: what workers do to the file as a whole */
	pthread_mutex_t lock;
	uint64_t end_bytes; /* where the next part begins */
	bool has_begun;     /* the mark is off */
	char reason[200];
	/* by who opened it: written to the file when that is closed */
	struct os_epoch clock;
	bool has_clock;
	struct memory_segment segment[];
};

/* memory_segment.c */
struct file_moment moment_now(void);
/* It was in this boot. Else how long ago by the clock on the wall, 0 if that was set back. */
bool moment_is_of_boot(const struct file_moment *moment, int64_t *gone_s);
void segment_init(struct memory_segment *segment, snug_memory_file *file, uint32_t number);
void segment_unmap(struct memory_segment *segment);
/* All parts lie in a file so long; none shares a byte with another one. */
bool segment_is_sound(const struct segment_head *head, uint64_t file_bytes);
/* They share a byte. Of heads that are sound. */
bool segments_meet(const struct segment_head *one, const struct segment_head *other);
/* Gives back the parts of a segment that holds no root, or not all that it was to hold: its process
 * was killed while it made them. */
void segment_drop_unfinished(struct memory_segment *segment);

static inline struct file_root *segment_root(struct segment_head *head, enum memory_root root) {
	return &head->root[head->epoch % 2][root];
}

/* Held, or of objects, which a recovery keeps. */
static inline bool part_is_held(const struct segment_head *head, const struct file_part *part) {
	return part->bytes != 0 && (part->epoch == head->epoch || part->holds_objects != 0);
}

#endif
