/* operations.c: see operations.h. Each function does one operation on the twin, which compares;
 * here only the arguments are chosen, and an answer that is not right for them is a failure. */
#include "support/twin/operations.h"

#include "support/require.h"

#define BATCH_MAX 70u /* more than a magazine holds */

const char *const operation_names[OPERATION_COUNT] = {
#define OPERATION_NAME(name, weight) #name,
	OPERATIONS(OPERATION_NAME)
#undef OPERATION_NAME
};

/* ------------------------------------------------------------------ choices ------------------- */

uint64_t choose_below(struct choices *choices, uint64_t bound) {
	if (choices->bytes == NULL) {
		return test_random_below(&choices->random, bound);
	}
	uint64_t value = 0;
	for (uint64_t reach = 1; reach < bound && choices->left > 0; reach <<= 8) {
		value = value << 8 | *choices->bytes++;
		choices->left--;
		if (reach >= UINT64_C(1) << 56) {
			break;
		}
	}
	return bound == 0 ? 0 : value % bound;
}

bool choose_chance(struct choices *choices, uint32_t per_mille) {
	return choose_below(choices, 1000) < per_mille;
}

static uint64_t choose_between(struct choices *choices, uint64_t low, uint64_t high) {
	return low + choose_below(choices, high - low + 1);
}

/* ------------------------------------------------------------------ sizes --------------------- */

enum size_mixture { TINY, SMALL, BOUNDARY, AROUND_PAGE, PAGES, HUGE, FIXED, MIXED, MIXTURES };

static uint64_t choose_size_of(struct operations *operations, enum size_mixture mixture) {
	struct choices *choices = operations->choices;
	uint64_t page = operations->page_bytes;
	switch (mixture) {
	case TINY:
		return choose_between(choices, 1, 64);
	case SMALL:
		return choose_between(choices, 1, 1200);
	case BOUNDARY: {
		/* An n-th of a page, a little more or less: where classes, trailers and the choice of
		 * fragments meet. */
		uint64_t size = page / choose_between(choices, 1, 40) + 8;
		return size - choose_below(choices, 24 < size ? 24 : size - 1);
	}
	case AROUND_PAGE:
		return choose_between(choices, page - 60, page + 60);
	case PAGES:
		return choose_between(choices, 1, 6 * page);
	case HUGE:
		return choose_between(choices, 1, operations->limit_bytes / 3);
	case FIXED:
		return operations->fixed_bytes;
	default: {
		static const enum size_mixture likely[] = {TINY,     TINY,     TINY,        SMALL, SMALL,
												   SMALL,    SMALL,    SMALL,       SMALL, SMALL,
												   BOUNDARY, BOUNDARY, AROUND_PAGE, PAGES};
		bool huge = choose_below(choices, 200) == 0;
		return choose_size_of(operations,
							  huge ? HUGE
								   : likely[choose_below(choices, sizeof likely / sizeof *likely)]);
	}
	}
}

static size_t choose_size(struct operations *operations) {
	/* Now and then from another mixture, so that no phase is pure. */
	bool other = choose_below(operations->choices, 50) == 0;
	return (size_t)choose_size_of(operations, other ? MIXED : (enum size_mixture)operations->sizes);
}

static size_t choose_object(struct operations *operations) {
	return (size_t)choose_below(operations->choices, operations->twin->count);
}

static bool above_target(const struct operations *operations) {
	return operations->twin->payload_bytes * 100 >
		   operations->limit_bytes * operations->target_percent;
}

/* No room, or none from the OS where that may happen. */
static bool out_of_memory(const struct operations *operations, snug_error error) {
	return error == SNUG_ERROR_NO_MEMORY ||
		   (error == SNUG_ERROR_OS_MEMORY && operations->os_refuses);
}

/* ------------------------------------------------------------------ objects ------------------- */

static snug_error free_one(struct operations *operations) {
	struct twin *twin = operations->twin;
	return twin->count == 0 ? SNUG_ERROR_HANDLE : twin_free(twin, choose_object(operations));
}

static snug_error alloc_one(struct operations *operations, size_t size,
							const snug_alloc_options *options) {
	snug_error error = twin_alloc(operations->twin, size, options);
	bool too_large = error == SNUG_ERROR_SIZE_TOO_LARGE && size > operations->limit_bytes / 2;
	REQUIRE(error == SNUG_OK || out_of_memory(operations, error) || too_large,
			"allocating %zu bytes: %s", size, snug_error_text(error));
	return error;
}

static snug_error do_alloc(struct operations *operations) {
	return above_target(operations) ? free_one(operations)
									: alloc_one(operations, choose_size(operations), NULL);
}

/* Below its target a heap mostly grows instead. */
static bool rather_grow(struct operations *operations) {
	return !above_target(operations) && choose_below(operations->choices, 10) < 7;
}

static snug_error do_free(struct operations *operations) {
	return rather_grow(operations) ? alloc_one(operations, choose_size(operations), NULL)
								   : free_one(operations);
}

/* A size that can be contiguous, mostly. */
static size_t choose_contiguous_size(struct operations *operations) {
	size_t size = choose_size(operations);
	size_t most = snug_contiguous_max(operations->twin->heap);
	return size <= most || choose_below(operations->choices, 20) == 0 ? size : 1 + size % most;
}

static snug_error alloc_in_one_piece(struct operations *operations, uint32_t alignment) {
	if (above_target(operations)) {
		return free_one(operations);
	}
	size_t size = choose_contiguous_size(operations);
	size_t most = snug_contiguous_max(operations->twin->heap);
	snug_alloc_options options = {alignment, alignment <= 1};
	if (size + (alignment > 1 ? 16 : 0) <= most) {
		return alloc_one(operations, size, &options);
	}
	if (size <= most) {
		size = most + 1; /* between the two the header promises nothing */
	}
	snug_error error = twin_alloc(operations->twin, size, &options);
	REQUIRE(error == SNUG_ERROR_SIZE_TOO_LARGE || error == SNUG_ERROR_ALIGNMENT,
			"%zu bytes in one piece: %s", size, snug_error_text(error));
	return error;
}

static snug_error do_alloc_aligned(struct operations *operations) {
	return alloc_in_one_piece(operations, choose_below(operations->choices, 2) == 0 ? 8 : 16);
}

static snug_error do_alloc_contiguous(struct operations *operations) {
	return alloc_in_one_piece(operations, (uint32_t)choose_below(operations->choices, 2));
}

static snug_error alloc_many(struct operations *operations, size_t count) {
	size_t sizes[BATCH_MAX];
	for (size_t i = 0; i < count; i++) {
		sizes[i] = choose_size(operations);
	}
	snug_error error = twin_alloc_batch(operations->twin, sizes, count);
	REQUIRE(error == SNUG_OK || out_of_memory(operations, error), "a batch of %zu: %s", count,
			snug_error_text(error));
	return error;
}

static snug_error free_many(struct operations *operations, size_t count) {
	struct twin *twin = operations->twin;
	if (count > twin->count) {
		count = twin->count;
	}
	size_t first = (size_t)choose_below(operations->choices, twin->count - count + 1);
	return twin_free_batch(twin, first, count);
}

static snug_error do_alloc_batch(struct operations *operations) {
	size_t count = (size_t)choose_below(operations->choices, BATCH_MAX + 1);
	return above_target(operations) ? free_many(operations, count) : alloc_many(operations, count);
}

static snug_error do_free_batch(struct operations *operations) {
	size_t count = (size_t)choose_below(operations->choices, BATCH_MAX + 1);
	return rather_grow(operations) ? alloc_many(operations, count) : free_many(operations, count);
}

static snug_error resize_to(struct operations *operations, size_t index, size_t size) {
	struct twin *twin = operations->twin;
	const twin_object *object = &twin->objects[index];
	size_t most = snug_contiguous_max(twin->heap);
	if (object->contiguous && (size > most || (object->alignment > 1 && size + 16 > most))) {
		size = 1 + size % (most - 16);
	}
	snug_error error = twin_resize(twin, index, size);
	bool too_large = error == SNUG_ERROR_SIZE_TOO_LARGE && size > operations->limit_bytes / 2;
	REQUIRE(error == SNUG_OK || out_of_memory(operations, error) || error == SNUG_ERROR_PINNED ||
				too_large,
			"resizing to %zu bytes: %s", size, snug_error_text(error));
	return error;
}

static snug_error do_resize(struct operations *operations) {
	if (operations->twin->count == 0) {
		return SNUG_ERROR_HANDLE;
	}
	return resize_to(operations, choose_object(operations), choose_size(operations));
}

static snug_error do_resize_slightly(struct operations *operations) {
	struct twin *twin = operations->twin;
	if (twin->count == 0) {
		return SNUG_ERROR_HANDLE;
	}
	size_t index = choose_object(operations);
	size_t size = twin->objects[index].size + (size_t)choose_below(operations->choices, 33);
	return resize_to(operations, index, size > 17 ? size - 16 : 1);
}

/* Does `action` on a random range of a random object. */
static snug_error on_a_range(struct operations *operations,
							 void (*action)(struct twin *, size_t, size_t, size_t)) {
	struct twin *twin = operations->twin;
	if (twin->count == 0) {
		return SNUG_ERROR_HANDLE;
	}
	size_t index = choose_object(operations);
	size_t size = twin->objects[index].size;
	size_t offset = (size_t)choose_below(operations->choices, size + 1);
	size_t length = (size_t)choose_below(operations->choices, size - offset + 1);
	action(twin, index, offset, length);
	return SNUG_OK;
}

static snug_error do_read(struct operations *operations) {
	return on_a_range(operations, twin_read);
}

static snug_error do_write(struct operations *operations) {
	return on_a_range(operations, twin_write);
}

static snug_error do_view(struct operations *operations) {
	return on_a_range(operations, twin_view);
}

static snug_error do_refuse_ranges(struct operations *operations) {
	if (operations->twin->count == 0) {
		return SNUG_ERROR_HANDLE;
	}
	twin_refuse_ranges(operations->twin, choose_object(operations));
	return SNUG_OK;
}

static snug_error do_refuse_stale(struct operations *operations) {
	test_random random = {choose_below(operations->choices, UINT32_MAX)};
	twin_refuse_stale(operations->twin, &random);
	return SNUG_OK;
}

/* A pinned one if `pinned`, as far as a few tries find one. */
static size_t choose_pinned_object(struct operations *operations) {
	size_t index = choose_object(operations);
	for (int tries = 0; tries < 20 && operations->twin->objects[index].pins == 0; tries++) {
		index = (index + 1) % operations->twin->count;
	}
	return index;
}

static snug_error do_pin(struct operations *operations) {
	struct twin *twin = operations->twin;
	if (twin->count == 0) {
		return SNUG_ERROR_HANDLE;
	}
	bool again =
		choose_below(operations->choices, 4) == 0 || twin->pinned_objects >= operations->pins_max;
	size_t index = again ? choose_pinned_object(operations) : choose_object(operations);
	if (twin->objects[index].pins == 0 && twin->pinned_objects >= operations->pins_max) {
		return SNUG_ERROR_TOO_MANY_PINS;
	}
	snug_error error = twin_pin(twin, index);
	REQUIRE(error == SNUG_OK || out_of_memory(operations, error), "pinning: %s",
			snug_error_text(error));
	return error;
}

static snug_error do_unpin(struct operations *operations) {
	if (operations->twin->count == 0) {
		return SNUG_ERROR_HANDLE;
	}
	return twin_unpin(operations->twin, choose_pinned_object(operations));
}

/* ------------------------------------------------------------------ defragmentation ----------- */

static uint64_t choose_budget(struct operations *operations, uint32_t per_mille, uint64_t most) {
	bool limited = choose_chance(operations->choices, per_mille);
	return limited ? choose_between(operations->choices, 1, most) : SNUG_NO_BUDGET;
}

static snug_defragment_options choose_options(struct operations *operations) {
	static const uint64_t step_bytes[] = {1,     100,           1000, SNUG_STEP_BYTES_DEFAULT,
										  65536, SNUG_NO_BUDGET};
	struct choices *choices = operations->choices;
	snug_defragment_options options = snug_defragment_options_default();
	uint64_t some = operations->limit_bytes / 4;
	options.mode = choose_chance(choices, 900) ? SNUG_COMPACT : SNUG_COALESCE;
	options.pool_mask =
		choose_chance(choices, 300) ? (uint32_t)choose_below(choices, 1u << SNUG_POOL_COUNT) : 0;
	options.step_bytes = step_bytes[choose_below(choices, sizeof step_bytes / sizeof *step_bytes)];
	options.step_ns = choose_budget(operations, 200, 10000);
	options.budget_bytes = choose_budget(operations, 150, some);
	options.budget_ns = choose_budget(operations, 100, 1000000);
	options.target_bytes = choose_budget(operations, 150, some);
	options.merge_classes = choose_chance(choices, 300);
	options.retain_bytes = choose_chance(choices, 600)   ? SNUG_NO_BUDGET
						   : choose_chance(choices, 500) ? 0
														 : choose_below(choices, some);
	return options;
}

static snug_error do_begin(struct operations *operations) {
	snug_defragment_options options = choose_options(operations);
	if (operations->twin->defragmentation.running) {
		REQUIRE_ERROR(SNUG_ERROR_BUSY, snug_defragment_begin(operations->twin->heap, &options));
		return SNUG_ERROR_BUSY;
	}
	twin_begin(operations->twin, &options);
	return SNUG_OK;
}

static snug_error do_end(struct operations *operations) {
	if (!operations->twin->defragmentation.running) {
		return SNUG_ERROR_NOT_RUNNING;
	}
	twin_end(operations->twin);
	return SNUG_OK;
}

static snug_error do_step(struct operations *operations) {
	if (!operations->twin->defragmentation.running) {
		return SNUG_ERROR_NOT_RUNNING;
	}
	if (operations->twin->defragmentation.done) {
		return do_end(operations);
	}
	operations->twin->reenter = choose_below(operations->choices, 16) == 0;
	twin_step(operations->twin);
	operations->twin->reenter = false;
	return SNUG_OK;
}

static snug_error do_estimate(struct operations *operations) {
	snug_defragment_options options = choose_options(operations);
	snug_estimate_report estimate;
	twin_estimate(operations->twin, &options, &estimate);
	return SNUG_OK;
}

static snug_error defragment_whole(struct operations *operations,
								   const snug_defragment_options *options) {
	if (operations->twin->defragmentation.running) {
		snug_report report;
		REQUIRE_ERROR(SNUG_ERROR_BUSY, snug_defragment(operations->twin->heap, options, &report));
		return SNUG_ERROR_BUSY;
	}
	twin_defragment(operations->twin, options);
	return SNUG_OK;
}

static snug_error do_defragment(struct operations *operations) {
	snug_defragment_options options = choose_options(operations);
	bool defaults = choose_below(operations->choices, 4) == 0;
	return defragment_whole(operations, defaults ? NULL : &options);
}

static snug_error do_coalesce(struct operations *operations) {
	snug_defragment_options options = snug_defragment_options_default();
	options.mode = SNUG_COALESCE;
	return defragment_whole(operations, &options);
}

/* ------------------------------------------------------------------ maps, phases -------------- */

static snug_error do_recount(struct operations *operations) {
	twin_compare_recount(operations->twin);
	return SNUG_OK;
}

static bool refuse_later(void *context, const char *text, size_t length) {
	(void)text;
	(void)length;
	uint64_t *left = context;
	if (*left == 0) {
		return false;
	}
	--*left;
	return true;
}

static snug_error do_dump_refused(struct operations *operations) {
	uint64_t pieces = 0;
	REQUIRE_ERROR(SNUG_ERROR_WRITE, snug_dump(operations->twin->heap, refuse_later, &pieces));
	pieces = choose_below(operations->choices, 2) == 0 ? choose_below(operations->choices, 8)
													   : UINT64_MAX;
	snug_error error = snug_dump(operations->twin->heap, refuse_later, &pieces);
	REQUIRE(error == SNUG_OK || error == SNUG_ERROR_WRITE, "a dump that is refused: %s",
			snug_error_text(error));
	return error;
}

static snug_error do_phase(struct operations *operations) {
	static const uint8_t targets[] = {3, 20, 50, 75, 90, 120, 120, 120};
	struct choices *choices = operations->choices;
	if (choose_below(choices, operations->phase_rarity) != 0) {
		return SNUG_OK;
	}
	operations->target_percent = targets[choose_below(choices, sizeof targets)];
	operations->sizes = (uint32_t)choose_below(choices, MIXTURES + 2);
	if (operations->sizes >= MIXTURES) {
		operations->sizes = MIXED;
	}
	operations->fixed_bytes =
		choose_size_of(operations, choose_below(choices, 2) == 0 ? SMALL : BOUNDARY);
	static const uint8_t pins[] = {0, 2, 10, 200};
	operations->pins_max = pins[choose_below(choices, sizeof pins)];
	return SNUG_OK;
}

/* ------------------------------------------------------------------ the table ----------------- */

void operations_init(struct operations *operations, struct twin *twin, struct choices *choices) {
	snug_stats stats;
	REQUIRE_OK(snug_stats_get(twin->heap, &stats));
	*operations = (struct operations){.twin = twin,
									  .choices = choices,
									  .page_bytes = stats.page_bytes,
									  .limit_bytes = stats.limit_bytes,
									  .target_percent = 120,
									  .sizes = MIXED,
									  .fixed_bytes = 100,
									  .pins_max = 10,
									  .phase_rarity = 1};
}

static enum operation choose_operation(struct choices *choices) {
	static const uint16_t weights[OPERATION_COUNT] = {
#define OPERATION_WEIGHT(name, weight) weight,
		OPERATIONS(OPERATION_WEIGHT)
#undef OPERATION_WEIGHT
	};
	uint64_t sum = 0;
	for (size_t i = 0; i < OPERATION_COUNT; i++) {
		sum += weights[i];
	}
	uint64_t left = choose_below(choices, sum);
	size_t operation = 0;
	while (left >= weights[operation]) {
		left -= weights[operation++];
	}
	return (enum operation)operation;
}

enum operation operations_do(struct operations *operations) {
	static snug_error (*const functions[OPERATION_COUNT])(struct operations *) = {
#define OPERATION_FUNCTION(name, weight) do_##name,
		OPERATIONS(OPERATION_FUNCTION)
#undef OPERATION_FUNCTION
	};
	enum operation operation = choose_operation(operations->choices);
	operations->done[operation]++;
	operations->refused[operation] += functions[operation](operations) != SNUG_OK;
	return operation;
}
