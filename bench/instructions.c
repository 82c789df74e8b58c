/* instructions.c: bench-instructions: work for callgrind to count; instructions.sh runs it and
 * writes the table.
 *
 * Times on a shared machine wander by tens of per cent, counts of instructions do not move: they
 * show whether a change made a path shorter. callgrind counts only inside the functions whose names
 * begin with counted_, and the script divides by the number of operations that this program prints.
 * Subject `none` does the loops with no allocator behind them; its counts are taken off the
 * others'.
 *
 *     bench-instructions pairs none|malloc|ref|handle|batch TURN SIZES
 *                                                  counted_allocations, counted_frees
 *     bench-instructions moves none|snug BYTES                     counted_moves; none:
 *                                                                  counted_copies, memcpy alone
 *     bench-instructions asks  stats|nothing                       counted_asks */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIVE_COUNT ((size_t)1024)
#define FREED_COUNT ((size_t)51200) /* in all turns */
#define MIX_BYTES_MIN ((size_t)16)
#define MIX_BYTES_MAX (16 * KIB)
#define HEAP_BYTES (8 * MIB)    /* for moves */
#define LIMIT_BYTES (256 * MIB) /* for pairs: decides the page size */
#define BATCH_COUNT ((size_t)64)

typedef enum subject {
	SUBJECT_NONE,
	SUBJECT_MALLOC,
	SUBJECT_REF,
	SUBJECT_HANDLE,
	SUBJECT_BATCH,
	SUBJECT_COUNT
} subject;

static const char *const subject_names[SUBJECT_COUNT] = {"none", "malloc", "ref", "handle",
														 "batch"};

#define COUNTED __attribute__((noinline)) void

/* An object's name and its size, at the same index. */
typedef struct herd_names {
	uint64_t name[LIVE_COUNT];
	size_t size[LIVE_COUNT];
} herd_names;

COUNTED counted_allocations(snug_heap *heap, subject what, herd_names *of, size_t count);
COUNTED counted_frees(snug_heap *heap, subject what, const herd_names *of, size_t count);
COUNTED counted_moves(snug_heap *heap, snug_report *report);
COUNTED counted_copies(unsigned char *bytes, const uint32_t *places, size_t count,
					   size_t object_bytes);
COUNTED counted_asks(snug_heap *heap, bool stats, size_t count);

/* ------------------------------------------------------------------ pairs --------------------- */

COUNTED counted_allocations(snug_heap *heap, subject what, herd_names *of, size_t count) {
	uint64_t *names = of->name;
	const size_t *sizes = of->size;
	bool failed = false;
	if (what == SUBJECT_BATCH) {
		for (size_t i = 0; i < count; i += BATCH_COUNT) {
			failed |= snug_ref_alloc_batch(heap, sizes + i, BATCH_COUNT, names + i) != SNUG_OK;
		}
	} else if (what == SUBJECT_REF) {
		for (size_t i = 0; i < count; i++) {
			failed |= snug_ref_alloc(heap, sizes[i], &names[i]) != SNUG_OK;
		}
	} else if (what == SUBJECT_HANDLE) {
		for (size_t i = 0; i < count; i++) {
			failed |= snug_alloc(heap, sizes[i], &names[i]) != SNUG_OK;
		}
	} else if (what == SUBJECT_MALLOC) {
		for (size_t i = 0; i < count; i++) {
			void *object = malloc(sizes[i]);
			failed |= object == NULL;
			names[i] = (uint64_t)(uintptr_t)object;
		}
	} else {
		for (size_t i = 0; i < count; i++) {
			names[i] = sizes[i];
		}
	}
	if (failed) {
		abort();
	}
}

COUNTED counted_frees(snug_heap *heap, subject what, const herd_names *of, size_t count) {
	const uint64_t *names = of->name;
	const size_t *sizes = of->size;
	bool failed = false;
	if (what == SUBJECT_BATCH) {
		for (size_t i = 0; i < count; i += BATCH_COUNT) {
			failed |= snug_ref_free_batch(heap, names + i, sizes + i, BATCH_COUNT) != SNUG_OK;
		}
	} else if (what == SUBJECT_REF) {
		for (size_t i = 0; i < count; i++) {
			failed |= snug_ref_free(heap, names[i], sizes[i]) != SNUG_OK;
		}
	} else if (what == SUBJECT_HANDLE) {
		for (size_t i = 0; i < count; i++) {
			failed |= snug_free(heap, names[i]) != SNUG_OK;
		}
	} else if (what == SUBJECT_MALLOC) {
		for (size_t i = 0; i < count; i++) {
			free((void *)(uintptr_t)names[i]);
		}
	} else {
		for (size_t i = 0; i < count; i++) {
			failed |= names[i] == 0;
		}
	}
	if (failed) {
		abort();
	}
}

static void ignore_move(void *context, snug_ref from, snug_ref to, size_t size) {
	(void)context;
	(void)from;
	(void)to;
	(void)size;
}

/* 100 bytes each; Meta's key-value sizes; or as many of each power of two, both of the last up to 16
 * KiB. */
static size_t draw_size(const char *sizes, bench_random *random) {
	if (strcmp(sizes, "kvcache") == 0) return bench_meta_size(random, MIX_BYTES_MAX);
	if (strcmp(sizes, "mix") != 0) return strtoul(sizes, NULL, 10);
	size_t power = MIX_BYTES_MIN << bench_random_below(random, 10);
	return power + bench_random_below(random, power) + 1;
}

static void shuffle(herd_names *of, bench_random *random) {
	for (size_t i = LIVE_COUNT - 1; i > 0; i--) {
		size_t other = bench_random_below(random, i + 1);
		uint64_t name = of->name[i];
		size_t size = of->size[i];
		of->name[i] = of->name[other];
		of->size[i] = of->size[other];
		of->name[other] = name;
		of->size[other] = size;
	}
}

/* 1024 objects live; in each turn `turn_count` random ones are freed, then as many allocated. */
static void run_pairs(const char *name, size_t turn_count, const char *sizes,
					  bench_random *random) {
	static herd_names names;
	snug_heap *heap = NULL;
	snug_heap_options options = {.struct_bytes = sizeof(snug_heap_options),
								 .limit_bytes = LIMIT_BYTES};
	subject what = SUBJECT_NONE;
	while (what < SUBJECT_COUNT && strcmp(name, subject_names[what]) != 0) {
		what++;
	}
	if (what == SUBJECT_COUNT || draw_size(sizes, random) == 0) {
		bench_fail("unknown subject %s or sizes %s", name, sizes);
	}
	if (what == SUBJECT_REF || what == SUBJECT_BATCH) {
		options.owner.moved = ignore_move; /* never called: nothing is compacted here */
	}
	bench_expect_ok(snug_heap_create(&options, &heap), "snug_heap_create");
	for (size_t i = 0; i < LIVE_COUNT; i++) names.size[i] = draw_size(sizes, random);
	counted_allocations(heap, what, &names, LIVE_COUNT);
	size_t turns = FREED_COUNT / turn_count;
	for (size_t turn = 0; turn < turns; turn++) {
		shuffle(&names, random);
		counted_frees(heap, what, &names, turn_count);
		for (size_t i = 0; i < turn_count; i++) names.size[i] = draw_size(sizes, random);
		counted_allocations(heap, what, &names, turn_count);
	}
	printf("allocations %zu\nfrees %zu\n", LIVE_COUNT + turns * turn_count, turns * turn_count);
	bench_expect_ok(snug_heap_destroy(heap), "the end");
}

/* ------------------------------------------------------------------ moves --------------------- */

COUNTED counted_moves(snug_heap *heap, snug_report *report) {
	snug_defragment_options options = snug_defragment_options_default();
	bench_expect_ok(snug_defragment(heap, &options, report), "snug_defragment");
}

COUNTED counted_copies(unsigned char *bytes, const uint32_t *places, size_t count,
					   size_t object_bytes) {
	for (size_t i = 0; i + 1 < count; i++) {
		memcpy(bytes + places[i] * object_bytes, bytes + places[i + 1] * object_bytes,
			   object_bytes);
	}
}

static void run_copies(size_t object_bytes, bench_random *random) {
	size_t count = HEAP_BYTES / object_bytes;
	unsigned char *bytes = bench_map(HEAP_BYTES, false);
	uint32_t *places = bench_map(count * sizeof places[0], false);
	for (size_t i = 0; i < count; i++) {
		/* Neighbours differ, so that source and destination never overlap. */
		places[i] = (uint32_t)(2 * bench_random_below(random, count / 2) + i % 2);
	}
	counted_copies(bytes, places, count, object_bytes);
	printf("moves %zu\n", count - 1);
}

static void run_moves(const char *name, size_t object_bytes, bench_random *random) {
	bench_herd herd;
	snug_heap_options options = {.struct_bytes = sizeof(snug_heap_options),
								 .limit_bytes = HEAP_BYTES,
								 .no_compaction_in_alloc = true};
	snug_report report;
	if (strcmp(name, "none") == 0) {
		run_copies(object_bytes, random);
		return;
	}
	bench_herd_create(&herd, &options, object_bytes);
	bench_herd_fill(&herd, random, object_bytes, object_bytes);
	bench_herd_thin(&herd, random, BENCH_RANDOM);
	counted_moves(herd.heap, &report);
	printf("moves %llu\n", (unsigned long long)report.moved_objects);
	bench_herd_destroy(&herd);
}

/* ------------------------------------------------------------------ asks ---------------------- */

COUNTED counted_asks(snug_heap *heap, bool stats, size_t count) {
	static snug_stats snapshot;
	static snug_report report;
	for (size_t i = 0; i < count; i++) {
		if (stats) {
			bench_expect_ok(snug_stats_get(heap, &snapshot), "snug_stats_get");
		} else {
			bench_expect_ok(snug_defragment(heap, NULL, &report), "snug_defragment");
		}
	}
}

/* A heap full of Meta's sizes that was thinned and compacted. */
static void run_asks(bool stats, bench_random *random) {
	bench_herd herd;
	snug_heap_options options = {.struct_bytes = sizeof(snug_heap_options),
								 .limit_bytes = HEAP_BYTES,
								 .no_compaction_in_alloc = true};
	snug_report report;
	size_t count = 1000;
	bench_herd_create(&herd, &options, 64);
	bench_herd_fill(&herd, random, 0, 16 * KIB);
	bench_herd_thin(&herd, random, BENCH_RANDOM);
	bench_expect_ok(snug_defragment(herd.heap, NULL, &report), "snug_defragment");
	counted_asks(herd.heap, stats, count);
	printf("asks %zu\n", count);
	bench_herd_destroy(&herd);
}

static size_t count_of(const char *text, size_t most) {
	size_t count = strtoul(text, NULL, 10);
	if (count == 0 || count > most) {
		bench_fail("%s is not in 1 .. %zu", text, most);
	}
	return count;
}

int main(int argc, char **argv) {
	bench_random random;
	bench_random_init(&random, 42);
	if (argc == 5 && strcmp(argv[1], "pairs") == 0) {
		run_pairs(argv[2], count_of(argv[3], LIVE_COUNT), argv[4], &random);
	} else if (argc == 4 && strcmp(argv[1], "moves") == 0) {
		run_moves(argv[2], count_of(argv[3], HEAP_BYTES / 4), &random);
	} else if (argc == 3 && strcmp(argv[1], "asks") == 0) {
		run_asks(strcmp(argv[2], "stats") == 0, &random);
	} else {
		bench_fail("use: %s pairs none|malloc|ref|handle|batch TURN BYTES|kvcache|mix, moves "
				   "none|snug BYTES, asks stats|nothing",
				   argv[0]);
	}
	return 0;
}
