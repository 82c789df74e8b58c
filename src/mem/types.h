/* mem/types.h: the map of the memory core. Every central struct is here, and every word.
 *
 * Of pages:
 *   arena      one reserved range of addresses, handed out in pages of one size
 *   page       the unit of the arena, 4 to 64 KiB; numbers start at 1, so that 0 means none
 *   descriptor struct page: 32 bytes that say what a page is used for
 *   region     2 MiB of neighbouring pages: the unit in which memory goes back to the OS
 *   run        neighbouring free pages, known by their bits in a region's bitmap
 *   stack      pages that were freed lately; they are taken again first, while they are warm
 *   cold       not committed: never used, or given back to the OS
 *   range      one kind of metadata: an array at a fixed address that is committed as it grows
 *   cell       a small piece of metadata: a class state, or the bitmap of a slab of many slots
 *   account    committed pages + metadata + what the owner charged; the limit is on this
 *   goal       the limit that was asked for; the limit is above it while more is in use
 *   trade      to give one free page back to the OS, so that something else fits under the limit
 *
 * Of slots:
 *   slab       a page cut in equal slots of one size class
 *   slot       room for one object or fragment; a hole is a free slot in a slab
 *   stride     bytes from one slot to the next
 *   family     what a slot holds: byte strings, aligned structs, or fragments
 *   size class the slabs of one stride and family, and the magazine in front of them
 *   active     said of a class that has slabs of its own; the others are served by the next larger
 *   group      the inactive classes below an active one, which serves them
 *   loose      said of an object in a slot of a larger class than its own
 *   magazine   a small stack of free slots, still marked used in their slabs' bitmaps
 *   short way  allocating and freeing of small objects in straight-line code (slab/magazine.h)
 *   pool       the size classes of one range of slots: small, medium, large
 *   heap       three pools, one arena, one limit, one owner
 *
 * Of objects:
 *   payload    the bytes that were asked for
 *   slack      the unused bytes between the payload and what stands at the end of the slot
 *   trailer    what stands at the end of a slot: the handle's index, the links of a fragment
 *   fragment   one piece of an object that is stored in several slots, linked to its neighbours
 *   chain      all fragments of one object; the first is the head, the last ones are the tails
 *   plan       which classes the fragments of an object of some size are of
 *   extent     a stretch of an object that has one address
 *   bookmark   a place far inside a chain, so that reading on need not begin at the head
 *   offset     page number * page size + offset in the page: address = bias + offset
 *   location   an offset, and a bit that says whether a chain begins there
 *   reference  a location as the owner's table keeps it: where an object is until it moves
 *   handle     table index and generation: which object it is, wherever it is
 *   entry      8 bytes of the handle table: where the object of a handle is now
 *   grain      4 KiB of metadata: what is committed and given back
 *   floor      the generation at which the entries of a grain that was given back begin again
 *   pin        a lease on an address: a pinned object does not move, its slab is never a victim
 *
 * Of moving:
 *   gain       pages that compaction would free: known by counting, before anything moves
 *   victim     the one slab that is being evacuated
 *   evacuate   to move the victim's objects into holes, so that its page is free
 *   target     the empty page that takes a victim's place, slot for slot, when a region is drained
 *   drain      to empty a region, so that it can go back to the OS
 *   merge      to move objects of one class into holes of slightly larger ones
 *   borrow     to take a slot of a slightly larger class, when nothing else is left
 *   host       a slab of plain objects whose holes are lent to fragments, as the last resort
 *   resident   a plain object in a host
 *   guest      a fragment in a hole of a host; or a pin for which the table had no room
 *   rehome     to move guests into fragments' own slots, so that their host is a slab again
 *   owner      who holds the references and is told of each move; also the thread that may call
 *   step       a bounded piece of a defragmentation; its phases are in defragment/defragment.c
 *   unit       a piece of a step: the clock is looked at between two of them
 *
 * The rooms, each above those before it; this file and gate.h lie below all:
 *
 *   arena/       pages and metadata, under the limit
 *   slab/        slots out of pages: size classes, slabs, magazines, hosts, and what stands in a slot
 *   defragment/  what could be gained, which slab is emptied next, and the moving
 *   object/      whole objects, by handle or by reference, and room for them
 *   check/       the walkers
 *   heap.c       creation, end, the limit
 *   heap_keep    a heap in a memory file: left there, and found again
 *   heap_recover its tables made anew around the objects, when its process was killed
 *
 * One thread owns all of it; nothing here is atomic. All of it lives inside the limit: there is no
 * malloc.
 *
 *   metadata   | snug_heap, class tables | descriptors | regions | cells | handles, floors | pins x 2 |
 *   arena      | page 1 | page 2 | ... |      (2 MiB aligned)
 *
 * What an object costs beside its payload: its slack, by reference nothing, by handle 6 bytes of
 * trailer and 8.05 of table. What a page costs: its descriptor, 32 bytes, 0.8 % of a page of
 * 4 KiB and 0.05 % of one of 64 KiB. A region costs 152 bytes, an active class 256 and 8 for each
 * place of its magazine. In a heap of 256 MiB that is always full all of it together is below 0.3 %
 * (docs/benchmarks.md, "A full heap").
 */
#ifndef SNUG_MEM_TYPES_H
#define SNUG_MEM_TYPES_H

#include <snug/defragment.h>
#include <snug/heap.h>
#include <snug/stats.h>

#include "base/bits.h"
#include "base/versions.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REGION_BYTES ((size_t)2 << 20)
#define PAGE_BYTES_MIN ((size_t)4096)
#define PAGE_BYTES_MAX ((size_t)65536)
#define REGION_WORDS (REGION_BYTES / PAGE_BYTES_MIN / 64)
#define REGION_BUCKETS 8
/* the buckets but the first once more, for regions that were given up */
#define REGION_LISTS (2 * REGION_BUCKETS)
#define METADATA_GRAIN ((size_t)4096)

#define STRIDE_MIN 8u
#define SMALL_STRIDE_MAX 1024u
#define SHORT_BYTES_MAX 1024u /* of the short way, trailer included */
#define CLASS_COUNT_MAX 1024u
#define CLASS_NONE UINT16_MAX

#define FULLNESS_BUCKETS 16u
#define LIST_FULL 16u
#define LIST_PINNED_PARTIAL 17u
#define LIST_PINNED_FULL 18u
#define LIST_HOST 19u /* hosts that have an empty slot for a guest, and those that have none */
#define LIST_HOST_FULL 20u
#define LIST_COUNT 21u
#define LIST_NONE UINT8_MAX
#define PARTIAL_MASK ((1u << FULLNESS_BUCKETS) - 1)

#define MAGAZINE_MAX 64u
#define INLINE_BITMAP_SLOTS 128u
#define SLOTS_MAX (PAGE_BYTES_MAX / STRIDE_MIN)

#define HANDLE_TRAILER_BYTES 6u
#define FRAGMENT_TRAILER_BYTES 12u /* of heaps by reference */
/* of heaps by handle: the head also names its table entry */
#define HANDLED_FRAGMENT_TRAILER_BYTES 16u
#define TAIL_FRAGMENTS_MAX 4u

#define PIN_RECORD_TREES 64u

#define REF_CHAINED ((uint64_t)1 << (SNUG_REF_BITS - 1))
#define OFFSET_BITS 38
#define OFFSET_MASK (((uint64_t)1 << OFFSET_BITS) - 1)

#define CELL_UNIT_BYTES 32u
#define CELL_GRAIN_UNITS ((uint32_t)(METADATA_GRAIN / CELL_UNIT_BYTES))
#define CELL_UNITS_MAX 32u                   /* of a cell: 1,024 bytes */
#define CELL_LIST_EMPTY (CELL_UNITS_MAX + 1) /* grains without a cell */

typedef uint32_t page_number;
#define PAGE_NONE 0u

/* ---------------------------------------------------------------- arena ---- */

/* Part of the metadata reservation; what is committed counts towards the limit. */
struct range {
	char *base;
	size_t reserved_bytes;
	size_t committed_bytes;
};

enum page_state {
	PAGE_COLD,    /* not committed: never used, or returned to the OS */
	PAGE_FREE,    /* in a run: its bit is set in its region */
	PAGE_STACKED, /* on the stack of recently freed pages */
	PAGE_SLAB,    /* on one of its class's lists */
	PAGE_VICTIM,  /* being evacuated: on no list, its holes are not handed out */
	/* takes the victim's place: the two count as one slab, which holds what either holds */
	PAGE_TARGET,
	PAGE_HOST /* a slab whose holes are lent to fragments: in no count of its class's slabs */
};

/* 32 bytes, so that two share a cache line and 16 KiB pages pay 0.2 %. Slabs of at most 128 slots
 * keep their bitmap inside. */
struct page {
	page_number next; /* in the class's list, or on the stack */
	page_number previous;
	uint16_t class_id;
	uint16_t free_slots; /* = set bits; of a host: those without a guest */
	uint16_t pins;       /* pinned objects with a slot here */
	uint8_t state;
	uint8_t list;
	union {
		uint64_t inside[INLINE_BITMAP_SLOTS / 64];
		struct {
			uint64_t only;         /* of a slab of one slot */
			uint64_t object_bytes; /* where it holds a head: the object's */
		};
		struct {
			uint64_t *beside;     /* a cell */
			uint64_t first_empty; /* of a host: the offset of an empty slot; 0: it has none */
		};
	} free_bits; /* bit set: the slot is free */
};

struct region {
	uint32_t next; /* region number + 1; 0: none */
	uint32_t previous;
	uint16_t free_pages; /* bits in free_bits */
	uint16_t cold_pages; /* bits in cold_bits */
	uint16_t page_count;
	uint8_t bucket;      /* LIST_NONE: not listed */
	uint32_t gave_up_at; /* arena.drain_round when it was found that it can't be drained */
	/* pages that are slabs of one slot; atomic: the owner writes, anyone reads */
	_Atomic uint16_t whole_slabs;
	uint64_t free_bits[REGION_WORDS];
	uint64_t cold_bits[REGION_WORDS];
};

struct arena {
	struct page *pages; /* indexed by page number */
	/* descriptors that are committed: page numbers below this may be looked at */
	uint64_t described;
	uint32_t page_shift;
	uint32_t page_bytes;   /* the ones up to here are read by snug/heap_short.h, too */
	uint32_t region_shift; /* log2(pages in a region) */
	uint32_t page_count;   /* page numbers are 1 .. page_count */
	const snug_os *os;
	char *base;     /* of page 1 */
	uintptr_t bias; /* address = bias + offset */
	size_t reserved_bytes;
	bool huge_pages;
	bool is_lean; /* less addresses for its tables than the limit could fill (mem/heap.c) */

	struct range page_range;
	struct range region_range;
	uint32_t region_count; /* regions that were touched */
	uint32_t region_limit;
	uint32_t cold_hint; /* no region below it has cold pages */
	uint32_t region_heads[REGION_LISTS];
	uint32_t region_mask; /* non-empty lists */
	uint32_t drain_round; /* counted up by each defragmentation */
	/* region number + 1; 0: none. Its free pages are handed out last, it is on no list */
	uint32_t draining;

	page_number stack;
	uint32_t stacked_pages;
	uint64_t kept_pages;      /* see limit.h: what an allocation waits for */
	uint64_t traded_pages;    /* that went back to the OS one by one, ever */
	uint64_t returns_refused; /* times that the OS did not take pages back, ever */
	uint64_t free_pages;      /* in runs; not the stacked ones */

	/* The account of the limit. */
	size_t limit_bytes;
	size_t limit_goal_bytes;
	size_t committed_bytes; /* pages */
	size_t metadata_bytes;
	size_t charged_bytes; /* of the owner's */
	size_t peak_bytes;
};

/* ---------------------------------------------------------------- classes -- */

enum family {
	FAMILY_BYTES,    /* objects at any alignment */
	FAMILY_ALIGNED,  /* strides are multiples of 16 */
	FAMILY_FRAGMENT, /* pieces of objects, each with a trailer of 12 or 16 bytes */
	FAMILY_COUNT
};

/* The state of a class that is active. Lives in a cell. The first cache line is what allocation,
 * free and statistics read; its first members and the magazine's place are known to
 * snug/heap_short.h. */
struct size_class {
	uint32_t magazine_count;
	uint32_t magazine_capacity; /* 0: the class has none */
	/* the most, trailer included, that the short way of freeing takes: 0 if the family is not bytes */
	uint32_t short_bytes;
	uint32_t stride;
	/* in its slots; merges of unknown sizes may take it below 0, and that of another class above */
	uint64_t payload_bytes;
	uint32_t slots;      /* of a slab */
	uint32_t reciprocal; /* slot = offset * reciprocal >> 32 */
	uint64_t used_slots; /* clear bits of all its slabs: live, or in the magazine */
	uint64_t free_slots; /* set bits of its slabs, the victim's not counted */
	uint32_t slabs;      /* the victim included */
	uint16_t id;
	uint8_t family;
	uint8_t pool;
	uint32_t pinned_slabs;
	uint32_t pinned_hosts;
	/* second line */
	uint64_t pinned_free_slots;
	uint32_t hosts;        /* slabs of it whose holes are lent; slab/host.h */
	uint32_t host_guests;  /* fragments in them */
	uint32_t host_empty;   /* slots in them that hold neither a resident nor a guest */
	uint32_t list_mask;    /* non-empty lists */
	uint32_t bucket_scale; /* fullness bucket = live slots * bucket_scale >> 16 */
	uint16_t active_index; /* its place in class_table.active */
	bool loose;            /* it may hold loose objects */
	/* what loose objects may still waste until its group is looked at: an estimate */
	int64_t review_bytes;
	page_number lists[LIST_COUNT];
	uint32_t list_slabs[FULLNESS_BUCKETS]; /* how many are on the first lists */
	page_number empty;                     /* the one listed slab that is empty */
	uint64_t magazine[];                   /* offsets */
};

/* What is known of each class, be it active or not: what an allocation reads, side by side. */
struct class_entry {
	struct size_class *serving; /* the active class that its objects go to; or `nobody` */
	uint32_t stride;            /* constant after create */
	uint32_t live;              /* its live objects and fragments, in whatever slots they are */
};

/* Which strides there are, which of them are active, and what the lack of the others costs. Classes
 * of a family are numbered in ascending stride, the families one after the other. */
struct class_table {
	struct size_class **state; /* by class; NULL: not active */
	/* By bytes up to SHORT_BYTES_MAX, constant after create: where the entry of the class within
	 * the byte family is, in words from the heap's beginning (place_of_entry); but of `nobody` where
	 * fragments may store this size better, and for 0. */
	uint16_t shortest[SHORT_BYTES_MAX + 1];
	uint16_t exact[SHORT_BYTES_MAX + 1]; /* the same, whatever fragments may */
	uint16_t first[FAMILY_COUNT + 1];
	uint16_t active_count;
	uint16_t split_waste_bytes;      /* what fragments must save, trailers included; constant */
	uint32_t fragment_trailer_bytes; /* constant after create */
	uint32_t page_bytes;             /* of the arena: the largest stride; constant after create */
	/* by class; directly behind the heap. The one behind the last is that of `nobody`. */
	struct class_entry *entry;
	uint16_t *active; /* dense: class_active() */
	/* By bytes below a whole fragment: the shape of their plan (object/plan.c), 0: not made yet;
	 * NULL: none is kept. */
	uint8_t *plans;
	/* Serves those that are served by none yet. Has no slots: so its magazine is empty, as any
	 * other may be, and the short way needs not ask whether there is a class. Constant. */
	struct size_class *nobody;
};

/* ---------------------------------------------------------------- cells ---- */

/* Small pieces of metadata (class states, side bitmaps), in grains that they share. */
struct cells {
	struct range range;
	uint32_t grain_count;
	uint64_t list_mask;                  /* non-empty lists */
	uint32_t lists[CELL_LIST_EMPTY + 1]; /* by the longest free run; grain number + 1; 0: none */
};

/* ---------------------------------------------------------------- handles -- */

/* entry: offset 38 bits | chained 1 | live 1 | generation 24. A dead entry keeps its generation and
 * links by index + 1. handle: index 32 bits | generation 24, never 0 | tag 8. */
#define HANDLE_LISTS 10 /* of grains: by how many of their entries are dead */

struct handle_table {
	struct range range; /* committed grain by grain, anywhere */
	uint64_t *entries;
	uint32_t open_count;          /* entries below it are committed and may be read at once */
	uint32_t count;               /* entries of all grains, cold ones included */
	uint32_t free_head;           /* of the near list: index + 1; 0: none */
	uint32_t near_room;           /* NEAR_MAX less the entries on the near list */
	uint32_t out_count;           /* entries that are live or near */
	uint32_t retired;             /* entries of warm grains whose generations are used up */
	uint32_t list_mask;           /* non-empty lists of grains */
	uint32_t lists[HANDLE_LISTS]; /* grain number + 1; 0: none */
	uint32_t floor;               /* generation at which grains at the end of the table begin */
	uint32_t cold_grains;         /* that can be made warm again */
	uint32_t spent_grains;        /* cold ones that can't: their generations are used up */
	uint32_t cold_hint;           /* no grain below it is one of cold_grains */
	struct range floors_range;
	uint32_t *floors; /* by grain: FLOOR_COLD and its floor; 0: warm */
	uint8_t tag;      /* marks this heap's handles */
};

/* How much of the tables goes back to the OS. */
enum trim {
	TRIM_SPARE, /* what is not needed soon */
	TRIM_NEED,  /* all, but for the entry that an allocation under way has prepared */
	TRIM_ALL,   /* all */
	TRIM_COUNT
};

#define PIN_CAPACITY_MIN ((uint32_t)(METADATA_GRAIN / sizeof(uint64_t)))

/* Open addressing; entry: offset 38 bits | count 26. Grows and shrinks by copying from one range to
 * the other. */
struct pin_table {
	struct range ranges[2];
	uint64_t *entries;
	uint32_t current;  /* which range */
	uint32_t capacity; /* a power of two; 0: none yet */
	uint32_t count;    /* in table and records */
	uint32_t record_count;
	uint64_t records[PIN_RECORD_TREES]; /* slots of pins that the table has no room for */
	uint64_t payload_bytes;
	uint32_t pool_count[SNUG_POOL_COUNT]; /* the same by pool */
	uint64_t pool_payload_bytes[SNUG_POOL_COUNT];
};

/* ----------------------------------------------------------------- heap ---- */

enum mode { BY_HANDLE, BY_REFERENCE };

/* What may be called now (gate.h). */
struct gate {
	/* the same as `references`; 0 also in builds that check each call: of snug/heap_short.h */
	uint64_t inlined;
	/* the largest payload of the short way; 0: the heap is not of this mode, or a callback runs */
	uint64_t references;
	uint64_t handles;
};

enum phase {
	PHASE_IDLE,
	PHASE_REHOME,
	PHASE_FLUSH,
	PHASE_COMPACT,
	PHASE_MERGE,
	PHASE_RETIRE,
	PHASE_REBIN,
	PHASE_RETURN,
	PHASE_DRAIN,
	PHASE_TABLES,
	PHASE_DONE
};

/* A search for the slab whose merging wastes least; over several steps. */
struct merge_search {
	uint8_t merge;        /* enum merge */
	uint32_t cursor;      /* the classes of class_table.active below it are still to be looked at */
	uint32_t misses;      /* found ones that had changed when they were wanted */
	page_number number;   /* the best so far; PAGE_NONE: none */
	uint16_t class_id;    /* its class */
	uint64_t waste_bytes; /* what it may waste, then what it does */
};

/* What the next unit of a step's work is about. */
enum unit {
	UNIT_MOVES,  /* slots of the victim are copied */
	UNIT_CHOICE, /* the class that the next victim is taken from */
	UNIT_VICTIM, /* its emptiest slab */
	UNIT_CLASS,  /* flushed, or retired */
	UNIT_MERGE,  /* classes are searched for a slab to merge */
	UNIT_GUEST,  /* goes home */
	UNIT_PAGES,  /* leave the stack for runs */
	UNIT_RETURN, /* pages go back to the OS */
	UNIT_REGION, /* is looked at, to be drained */
	UNIT_TABLES, /* are trimmed */
	UNIT_COUNT
};

/* What one item of a kind of unit took lately: a slot, a page; else the unit (defragment/pace.h). */
struct pace {
	uint32_t item_ns; /* 0: none was measured */
};

/* The defragmentation that is running. */
struct defragment {
	enum phase phase;
	enum phase after_retire; /* PHASE_MERGE or PHASE_REBIN */
	snug_defragment_options options;
	/* of the phases FLUSH and RETIRE: the classes of class_table.active below it are to do */
	uint32_t cursor;
	/* the class to take the next victims from, if chosen_left > 0 */
	uint16_t chosen;
	uint8_t chosen_list; /* where its emptiest slab was when it was chosen */
	uint8_t chosen_left; /* so many victims, and it is chosen anew */
	bool chosen_is_new;  /* none was taken yet */
	struct pace paces[UNIT_COUNT];
	bool drains;        /* the round of draining has begun: what was given up is in line again */
	uint32_t returning; /* region number + 1 of which a part was returned; 0: none */
	struct merge_search search;
	/* how often guests have gone home and compaction followed, and totals.released_slabs before it */
	uint32_t laps;
	uint64_t released_at_lap;
	/* of the rehome phase: the same; and hosts of the class that were left as they are */
	uint32_t rehome_cursor;
	uint32_t rehome_left;
	uint8_t rehome_list; /* of hosts, the one that is gone through; 0: none yet */
	page_number rehome_page;
	page_number rehome_behind; /* it stood behind that one in the list */
	uint32_t rehome_slot;      /* of rehome_page, the next */
	uint64_t goal_bytes;       /* what could be gained when it began: compaction ends there */
	/* totals.released_slabs at which the target is reached in this step */
	uint64_t stop_at_released;
	uint64_t begin_ns;
	bool in_step;
	uint64_t abandoned_at_begin; /* totals.abandoned_slabs */
	uint64_t refused_at_begin;   /* arena.returns_refused */
	uint64_t returned_at_begin;  /* totals.returned_bytes */
	snug_report report;
};

/* A check in slices that is under way: check_steps.c. */
struct check_walk {
	uint8_t phase; /* 0: none */
	uint64_t at;   /* in the phase: a region, page, class, handle, pin */
	bool broken;
	snug_check_result result;
};

/* A place far inside an object in fragments, so that who reads on needs not walk from its head
 * again. Forgotten when any fragment moves or is freed. */
struct bookmark {
	uint64_t head;         /* 0: none */
	uint64_t offset;       /* a fragment of it */
	uint64_t before_bytes; /* payload in the fragments before that one */
};

/* Since creation; every mover and releaser adds here, a report takes differences around its own
 * steps. */
struct totals {
	uint64_t failed_allocations;
	uint64_t compacting_allocations;
	uint64_t moves;
	uint64_t moved_bytes;
	uint64_t released_slabs;
	uint64_t relocated_slabs; /* released because a target took their place: no page gained */
	uint64_t relocated_moves; /* the part of moves and moved_bytes that filled targets */
	uint64_t relocated_bytes;
	uint64_t abandoned_slabs;
	uint64_t rehomed_moves; /* the part of moves and moved_bytes that took pieces home */
	uint64_t rehomed_bytes;
	uint64_t rehome_pages;    /* that they took */
	uint64_t reclaimed_pages; /* by defragmentation and compacting allocations */
	uint64_t returned_bytes;
	uint64_t coalesced_bytes;
	uint64_t defragmentations;
	uint64_t late_steps;
	uint64_t move_ns; /* spent in measured steps, for predictions */
	uint64_t timed_bytes;
	uint64_t timed_moves;
};

struct memory_segment;

/* Whoever changes a struct of this file that lies in a heap's memory, or what one of its fields
 * means, changes HEAP_LAYOUT (mem/heap_keep.c). */
struct snug_heap {
	/* = arena.bias; first, because snug_ref_at in snug/heap.h reads it; constant after create */
	uintptr_t bias;
	struct gate gate;
	uint64_t frees; /* since creation; allocations are these and the live objects */
	struct arena arena;
	/* What stands above, and the first of these, are read by programs that were compiled with
	 * snug/heap_short.h: so they have room to grow in between. */
	_Alignas(512) struct class_table classes;
	uint32_t slot_trailer_bytes; /* behind each plain object: 6 in handle mode */
	/* of the links from fragment to fragment: odd while one changes because its target has moved.
	 * The owner of the heap writes it, any thread that reads objects reads it */
	data_version links;
	page_number victim;
	page_number target; /* PAGE_NONE: the victim's objects go to holes */
	uint64_t watched;   /* offset of the object that is being resized: followed when it moves */
	/* Besides `frees`: freed slots, unpins and abandoned victims, which may make a page
	 * gainable. */
	uint64_t changes;
	uint64_t searched_at; /* all changes when a search for a page to gain last found none */
	/* the same, and released slabs, when the tables were trimmed last; by enum trim */
	uint64_t trimmed_at[TRIM_COUNT];
	struct bookmark bookmark;
	size_t object_max_bytes;
	struct cells cells;
	struct handle_table handles;
	struct pin_table pins;
	/* what classes that have ended had counted: heap_payload_bytes() tells all */
	uint64_t payload_bytes[SNUG_POOL_COUNT];
	uint64_t chains; /* objects stored as fragments */
	uint32_t hosts;  /* slabs whose holes are lent to fragments */
	struct totals totals;
	struct defragment defragment;
	struct check_walk check;
	snug_heap_options options;
	struct range fixed; /* this struct and the class tables */
	char *metadata_base;
	size_t metadata_reserved_bytes;
	pthread_t owner_thread;
	snug_log log;
	struct memory_segment *segment; /* where it lies in a memory file; NULL: in none */
};

static inline uint64_t class_live_slots(const struct size_class *class) {
	return class->used_slots - class->magazine_count;
}

static inline uint64_t page_offset(const struct arena *arena, page_number page) {
	return (uint64_t)page << arena->page_shift;
}

static inline page_number page_of(const struct arena *arena, uint64_t offset) {
	return (page_number)(offset >> arena->page_shift);
}

static inline char *address_of(const struct arena *arena, uint64_t offset) {
	return (char *)(arena->bias + (uintptr_t)offset);
}

#define ENTRY_WORDS 2u

#define HEAP_WORDS (sizeof(snug_heap) / sizeof(uint64_t))

static inline uint16_t place_of_entry(uint32_t id) {
	return (uint16_t)(HEAP_WORDS + id * ENTRY_WORDS);
}

static inline struct class_entry *entry_at(snug_heap *heap, uint16_t place) {
	return (struct class_entry *)(void *)((uint64_t *)(void *)heap + place);
}

static inline struct size_class *class_active(const struct class_table *table, uint32_t index) {
	return table->state[table->active[index]];
}

static inline uint32_t slot_of(const struct arena *arena, const struct size_class *class,
							   uint64_t offset) {
	uint64_t inside = offset & (arena->page_bytes - 1);
	return (uint32_t)((inside * class->reciprocal) >> 32);
}

static inline uint64_t *free_bits_of(struct page *page, const struct size_class *class) {
	return class->slots <= INLINE_BITMAP_SLOTS ? page->free_bits.inside : page->free_bits.beside;
}

#endif
