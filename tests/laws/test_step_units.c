/* test_step_units.c: a unit of a step's work is as small as its items are dear, and one that does
 * not fit into what is left of the step is not begun.
 *
 * The heap's clock is a sum: so many ns for each object moved, each page given back and each look at
 * the clock. So a step's time is what the test says that it is, on every machine, and the clock
 * knows how many moves lay between two looks. */
#include "laws/herd.h"
#include "mem/types.h"
#include "support/require.h"
#include "unit/cmocka_all.h"

#include <string.h>

#define LIMIT_BYTES ((size_t)8 << 20)
#define PAGE_BYTES 4096u
#define STEP_NS 10000u
#define LOOK_NS 30u
#define PARTS 2u /* of a step that a unit takes at most, once its items were measured */
#define OBJECT_BYTES 100u
#define MOVES_MAX 32u
#define RETURNED_MAX 16u
#define CHURNED 24u /* objects that come and go between two steps, of a size of their own */
#define CHURNED_BYTES 1900u
#define STEPS_MAX 200000u

static struct {
	struct herd herd;
	uint64_t move_ns; /* what a move takes from now on, */
	uint64_t page_ns; /* and a page that goes back */
	uint64_t begin_ns;
	uint64_t begin_moves;
	uint64_t other_ns;
	uint64_t looked_moves; /* when the clock was looked at last */
	uint64_t most_moves;   /* between two looks */
	uint64_t most_pages;   /* in a call */
} world;

static uint64_t counted_ns(void) {
	uint64_t moves = world.herd.moved_calls - world.begin_moves;
	return world.begin_ns + moves * world.move_ns + world.other_ns;
}

static uint64_t look(void *context) {
	(void)context;
	uint64_t moves = world.herd.moved_calls - world.looked_moves;
	if (moves > world.most_moves) world.most_moves = moves;
	world.looked_moves = world.herd.moved_calls;
	world.other_ns += LOOK_NS;
	return counted_ns();
}

/* Tables cost nothing here. */
static bool is_of_the_arena(const char *address) {
	const struct arena *arena = &world.herd.heap->arena;
	return address >= arena->base && address < arena->base + arena->reserved_bytes;
}

static bool give_back(void *context, void *address, size_t bytes) {
	(void)context;
	uint64_t pages = is_of_the_arena(address) ? bytes / PAGE_BYTES : 0;
	if (pages > world.most_pages) world.most_pages = pages;
	/* the call as much as two of them */
	if (pages > 0) world.other_ns += (pages + 2) * world.page_ns;
	return snug_os_linux()->decommit(snug_os_linux()->context, address, bytes);
}

/* Half of a full heap, gone at random. */
static void open_half_empty(uint64_t move_ns, uint64_t page_ns) {
	static snug_os os;
	os = *snug_os_linux();
	os.now_ns = look;
	os.decommit = give_back;
	memset(&world, 0, sizeof world);
	world.move_ns = move_ns;
	world.page_ns = page_ns;
	snug_heap_options options = snug_heap_options_default();
	options.limit_bytes = LIMIT_BYTES;
	options.page_bytes = PAGE_BYTES;
	options.os = &os;
	herd_init(&world.herd, true, &options);
	(void)herd_fill(&world.herd, LIMIT_BYTES, OBJECT_BYTES, OBJECT_BYTES);
	herd_thin_out(&world.herd, 0, world.herd.count, 500);
}

static void set_move_ns(uint64_t move_ns) {
	world.begin_ns = counted_ns() - world.other_ns;
	world.begin_moves = world.herd.moved_calls;
	world.move_ns = move_ns;
}

struct seen {
	uint64_t steps;
	uint64_t beyond; /* longer than was asked */
	uint64_t late;   /* than twice that */
	uint64_t longest_ns;
};

static bool step(struct seen *seen) {
	bool done;
	uint64_t begin_ns = counted_ns();
	world.herd.may_move = true;
	REQUIRE_OK(snug_defragment_step(world.herd.heap, &done));
	world.herd.may_move = false;
	uint64_t took_ns = counted_ns() - begin_ns;
	seen->steps++;
	seen->beyond += took_ns > STEP_NS + 4 * LOOK_NS;
	seen->late += took_ns > 2 * STEP_NS;
	if (took_ns > seen->longest_ns) seen->longest_ns = took_ns;
	return !done;
}

static void begin(uint64_t retain_bytes) {
	snug_defragment_options options = snug_defragment_options_default();
	options.step_ns = STEP_NS;
	options.step_bytes = SNUG_NO_BUDGET;
	options.retain_bytes = retain_bytes;
	REQUIRE_OK(snug_defragment_begin(world.herd.heap, &options));
}

static snug_report end(void) {
	snug_report report;
	REQUIRE_OK(snug_defragment_end(world.herd.heap, &report));
	REQUIRE_OK(snug_check(world.herd.heap, NULL));
	herd_verify(&world.herd);
	herd_deinit(&world.herd);
	return report;
}

/* From 20 ns, of which 32 go at once, to 4 us, of which no two do. */
static void moves(void **state) {
	(void)state;
	static const uint64_t move_ns[] = {20, 70, 200, 600, 1500, 4000};
	for (size_t row = 0; row < sizeof move_ns / sizeof move_ns[0]; row++) {
		open_half_empty(move_ns[row], 0);
		begin(SNUG_NO_BUDGET);
		struct seen first = {0}, seen = {0};
		for (uint32_t steps = 0; steps < 40; steps++) REQUIRE(step(&first), "it is done");
		world.most_moves = 0;
		while (step(&seen)) {
		}
		REQUIRE(first.late == 0 && seen.late == 0, "moves of %llu ns: %llu steps are late",
				(unsigned long long)move_ns[row], (unsigned long long)(first.late + seen.late));
		REQUIRE(seen.beyond == 0, "moves of %llu ns: %llu of %llu steps go beyond their time",
				(unsigned long long)move_ns[row], (unsigned long long)seen.beyond,
				(unsigned long long)seen.steps);
		uint64_t fits = STEP_NS / PARTS / move_ns[row];
		uint64_t most = fits > MOVES_MAX ? MOVES_MAX : fits == 0 ? 1 : fits;
		REQUIRE(world.most_moves <= most, "moves of %llu ns: %llu at once",
				(unsigned long long)move_ns[row], (unsigned long long)world.most_moves);
		REQUIRE(world.most_moves * 2 > most, "moves of %llu ns: no more than %llu at once",
				(unsigned long long)move_ns[row], (unsigned long long)world.most_moves);
		snug_report report = end();
		REQUIRE(report.outcome == SNUG_OUTCOME_DONE && report.moved_objects > 1000,
				"%llu objects were moved", (unsigned long long)report.moved_objects);
	}
}

/* Forty steps of cheap moves: what they take is known by then. */
static void begin_cheap(struct seen *seen) {
	open_half_empty(50, 0);
	begin(SNUG_NO_BUDGET);
	for (uint32_t steps = 0; steps < 40; steps++) REQUIRE(step(seen), "it is done");
}

/* They become thirty times as dear from one to the other: a part of the heap that lies in no cache.
 * What is begun as if they were cheap is late once or twice; what follows is not. */
static void moves_that_become_dear(void **state) {
	(void)state;
	struct seen seen = {0};
	begin_cheap(&seen);
	REQUIRE(seen.late == 0, "%llu steps are late", (unsigned long long)seen.late);
	set_move_ns(1500);
	while (step(&seen)) {
	}
	REQUIRE(seen.late <= 2, "%llu steps are late", (unsigned long long)seen.late);
	(void)end();
}

/* A single one that takes 5 ms: the process was interrupted. It does not make what follows go on one
 * by one. */
static void an_interruption(void **state) {
	(void)state;
	struct seen seen = {0};
	begin_cheap(&seen);
	set_move_ns(5000000 / MOVES_MAX);
	REQUIRE(step(&seen), "it is done");
	set_move_ns(50);
	uint64_t before = world.herd.moved_calls;
	for (uint32_t steps = 0; steps < 20; steps++) REQUIRE(step(&seen), "it is done");
	uint64_t moved = world.herd.moved_calls - before;
	REQUIRE(moved > 20 * STEP_NS / 50 / 2, "20 steps behind it made %llu moves",
			(unsigned long long)moved);
	while (step(&seen)) {
	}
	(void)end();
}

static void pages_that_go_back(void **state) {
	(void)state;
	static const uint64_t page_ns[] = {100, 400, 1000, 3000};
	for (size_t row = 0; row < sizeof page_ns / sizeof page_ns[0]; row++) {
		open_half_empty(20, page_ns[row]);
		begin(0);
		struct seen seen = {0};
		while (step(&seen)) {
		}
		REQUIRE(seen.late == 0, "pages of %llu ns: %llu steps are late, the longest took %llu",
				(unsigned long long)page_ns[row], (unsigned long long)seen.late,
				(unsigned long long)seen.longest_ns);
		uint64_t fits = STEP_NS / page_ns[row];
		uint64_t most = fits > RETURNED_MAX ? RETURNED_MAX : fits < 2 ? 2 : fits;
		REQUIRE(world.most_pages <= most, "pages of %llu ns: %llu at once",
				(unsigned long long)page_ns[row], (unsigned long long)world.most_pages);
		REQUIRE(world.most_pages * 3 >= most, "pages of %llu ns: no more than %llu at once",
				(unsigned long long)page_ns[row], (unsigned long long)world.most_pages);
		snug_report report = end();
		REQUIRE(report.returned_bytes > LIMIT_BYTES / 4, "%llu bytes went back",
				(unsigned long long)report.returned_bytes);
	}
}

/* Two classes, each with slabs that are nearly empty and others that are not. Most of the first kind
 * are wanted, and nothing is taken of the second while another class has some of the first. */
static void the_emptiest_of_all_classes(void **state) {
	(void)state;
	snug_heap_options options = snug_heap_options_default();
	options.limit_bytes = LIMIT_BYTES;
	options.page_bytes = PAGE_BYTES;
	memset(&world, 0, sizeof world);
	herd_init(&world.herd, true, &options);
	for (size_t size = OBJECT_BYTES; size <= 3 * OBJECT_BYTES; size += 2 * OBJECT_BYTES) {
		uint32_t first = world.herd.count;
		(void)herd_fill(&world.herd, LIMIT_BYTES / 64, size, size);
		uint32_t second = world.herd.count;
		(void)herd_fill(&world.herd, LIMIT_BYTES / 8, size, size);
		herd_thin_out(&world.herd, first, second, 930);
		herd_thin_out(&world.herd, second, world.herd.count, 400);
	}
	snug_defragment_options defragment = snug_defragment_options_default();
	defragment.target_bytes = LIMIT_BYTES / 32 - 6 * PAGE_BYTES;
	snug_report report = herd_defragment(&world.herd, &defragment);
	REQUIRE(report.outcome == SNUG_OUTCOME_TARGET, "%s", snug_outcome_text(report.outcome));
	REQUIRE(report.moved_bytes < report.reclaimed_bytes / 6, "%llu bytes moved for %llu",
			(unsigned long long)report.moved_bytes, (unsigned long long)report.reclaimed_bytes);
	herd_deinit(&world.herd);
}

/* A step that has time for nothing does one unit all the same. */
static void a_step_without_time(void **state) {
	(void)state;
	open_half_empty(1000, 1000);
	snug_defragment_options options = snug_defragment_options_default();
	options.step_ns = 1;
	options.retain_bytes = 0;
	REQUIRE_OK(snug_defragment_begin(world.herd.heap, &options));
	struct seen seen = {0};
	world.most_moves = 0;
	while (step(&seen)) {
	}
	REQUIRE(world.most_moves == 1, "%llu moves at once", (unsigned long long)world.most_moves);
	snug_report report = end();
	REQUIRE(report.outcome == SNUG_OUTCOME_DONE, "%s", snug_outcome_text(report.outcome));
}

/* Slabs of the owner's come and go between all steps, and each step is as short as can be: what they
 * leave on the stack is merged, and does not take the step from what comes behind it. */
static void an_owner_who_frees_pages_between_all_steps(void **state) {
	(void)state;
	static const struct {
		uint64_t step_ns, retain_bytes, return_bytes;
	} rows[] = {
		{1, SNUG_NO_BUDGET, 0},
		{1, 0, 0},
		{1, SNUG_NO_BUDGET, LIMIT_BYTES / 8},
		/* a call for pages that cost 1 us each fits only where a step begins with it */
		{STEP_NS / 2, SNUG_NO_BUDGET, LIMIT_BYTES / 8},
	};
	for (size_t row = 0; row < sizeof rows / sizeof rows[0]; row++) {
		open_half_empty(1000, 1000);
		snug_defragment_options options = snug_defragment_options_default();
		options.step_ns = rows[row].step_ns;
		options.retain_bytes = rows[row].retain_bytes;
		options.return_bytes = rows[row].return_bytes;
		REQUIRE_OK(snug_defragment_begin(world.herd.heap, &options));
		struct seen seen = {0};
		uint64_t stacked_steps = 0;
		while (step(&seen)) {
			uint32_t first = world.herd.count;
			for (uint32_t index = 0; index < CHURNED; index++)
				REQUIRE_OK(herd_add(&world.herd, CHURNED_BYTES));
			for (uint32_t index = 0; index < CHURNED; index++)
				herd_remove(&world.herd, first + index);
			world.herd.count = first; /* its rows are the next ones' */
			stacked_steps += world.herd.heap->arena.stacked_pages > 0;
			REQUIRE(seen.steps < STEPS_MAX, "row %zu: %llu steps, and it is not done", row,
					(unsigned long long)seen.steps);
		}
		REQUIRE(stacked_steps > seen.steps / 2, "a page is stacked in %llu of %llu steps",
				(unsigned long long)stacked_steps, (unsigned long long)seen.steps);
		(void)end();
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(moves),
		cmocka_unit_test(moves_that_become_dear),
		cmocka_unit_test(an_interruption),
		cmocka_unit_test(pages_that_go_back),
		cmocka_unit_test(the_emptiest_of_all_classes),
		cmocka_unit_test(a_step_without_time),
		cmocka_unit_test(an_owner_who_frees_pages_between_all_steps),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
