/* operations.h: random operations on a twin, chosen by random numbers (model test) or by the bytes
 * of an input (fuzz targets).
 *
 * One table of operations serves both, so that whatever the fuzzer finds the model test could have
 * found, and the other way round. A run goes through phases: each has a target for how full the
 * heap is and a mixture of sizes, so that heaps fill up, run over, drain, and change from one size
 * to another. */
#ifndef SNUG_TEST_OPERATIONS_H
#define SNUG_TEST_OPERATIONS_H

#include "support/test_random.h"
#include "support/twin/twin.h"

/* Where decisions come from. */
struct choices {
	test_random random;
	const unsigned char *bytes; /* NULL: from `random` */
	size_t left;
};

/* Uniform in [0, bound); from bytes: as many as the bound needs, and 0 once they are used up. */
uint64_t choose_below(struct choices *choices, uint64_t bound);
bool choose_chance(struct choices *choices, uint32_t per_mille);

/* X(name, weight) */
#define OPERATIONS(X)       \
	X(alloc, 250)           \
	X(alloc_aligned, 20)    \
	X(alloc_contiguous, 20) \
	X(alloc_batch, 10)      \
	X(free, 200)            \
	X(free_batch, 10)       \
	X(resize, 60)           \
	X(resize_slightly, 40)  \
	X(read, 60)             \
	X(write, 60)            \
	X(view, 30)             \
	X(refuse_ranges, 5)     \
	X(refuse_stale, 10)     \
	X(pin, 30)              \
	X(unpin, 35)            \
	X(begin, 30)            \
	X(step, 80)             \
	X(end, 3)               \
	X(estimate, 8)          \
	X(defragment, 4)        \
	X(coalesce, 4)          \
	X(recount, 4)           \
	X(dump_refused, 1)      \
	X(phase, 1)

enum operation {
#define OPERATION_ENUM(name, weight) OPERATION_##name,
	OPERATIONS(OPERATION_ENUM)
#undef OPERATION_ENUM
		OPERATION_COUNT
};

extern const char *const operation_names[OPERATION_COUNT];

struct operations {
	struct twin *twin;
	struct choices *choices;
	uint64_t page_bytes;
	uint64_t limit_bytes;
	uint32_t target_percent; /* of the limit, as payload */
	uint32_t sizes;          /* which mixture */
	uint64_t fixed_bytes;    /* the size of the mixture with one size */
	uint64_t pins_max;       /* pinned objects at once */
	/* one in so many `phase` operations begins a new phase: more for larger heaps */
	uint64_t phase_rarity;
	bool os_refuses;                   /* SNUG_ERROR_OS_MEMORY is a right answer too */
	uint64_t done[OPERATION_COUNT];    /* called */
	uint64_t refused[OPERATION_COUNT]; /* answered with an error that was right */
};

void operations_init(struct operations *operations, struct twin *twin, struct choices *choices);
/* Chooses and does one; says which. */
enum operation operations_do(struct operations *operations);

#endif
