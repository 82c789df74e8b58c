/* player.c: see player.h.
 *
 * Objects are rows in the order in which they were allocated, until a shuffle. By reference an
 * index leads from a name to its row, since an object of one byte can't tell whose it is. */
#include "player.h"

#include "mem/slab/handles.h"
#include "support/require.h"
#include "support/twin/name_index.h"

#include <stdlib.h>

#define OBJECTS_MAX 400000u
#define ASKED_MAX 5000u
#define JUDGED_MAX 40u /* of one script; each is a walk over all slabs */

struct object {
	uint64_t name; /* 0: freed */
	uint32_t size;
	bool pinned;
};

struct player {
	const struct setting *setting;
	snug_heap *heap;
	struct object *objects;
	uint32_t count;
	name_index rows;
	bool *seen_pages;
	test_random random;
	struct outcome *out;
};

/* ------------------------------------------------------------------ objects ------------------- */

static void moved(void *context, snug_ref from, snug_ref to, size_t size) {
	struct player *player = context;
	(void)size;
	size_t row = name_index_get(&player->rows, from);
	REQUIRE(row != NAME_INDEX_NONE, "`moved` for an unknown object");
	name_index_remove(&player->rows, from);
	name_index_put(&player->rows, to, row);
	player->objects[row].name = to;
}

static snug_error take(struct player *player, size_t size, enum bound_storage storage,
					   uint64_t *name) {
	snug_alloc_options options = {.contiguous = storage == BOUND_CONTIGUOUS,
								  .alignment = storage == BOUND_ALIGNED ? 16 : 0};
	const snug_alloc_options *asked = storage == BOUND_PLAIN ? NULL : &options;
	return player->setting->by_reference ? snug_ref_alloc_with(player->heap, size, asked, name)
										 : snug_alloc_with(player->heap, size, asked, name);
}

static void give(struct player *player, uint32_t row) {
	struct object *object = &player->objects[row];
	REQUIRE_OK(player->setting->by_reference
				   ? snug_ref_free(player->heap, object->name, object->size)
				   : snug_free(player->heap, object->name));
	if (player->setting->by_reference) name_index_remove(&player->rows, object->name);
	object->name = 0;
}

static void unpin(struct player *player, uint32_t row) {
	struct object *object = &player->objects[row];
	REQUIRE_OK(player->setting->by_reference
				   ? snug_ref_unpin(player->heap, object->name, object->size)
				   : snug_unpin(player->heap, object->name));
	object->pinned = false;
}

static void forget_freed(struct player *player) {
	uint32_t kept = 0;
	for (uint32_t row = 0; row < player->count; row++) {
		if (player->objects[row].name == 0) continue;
		player->objects[kept] = player->objects[row];
		if (player->setting->by_reference)
			name_index_put(&player->rows, player->objects[kept].name, kept);
		kept++;
	}
	player->count = kept;
}

/* ------------------------------------------------------------------ judging ------------------- */

static void note(struct player *player, const struct bound_verdict *verdict, size_t bytes,
				 enum bound_storage storage) {
	struct outcome *out = player->out;
	bool has_pins = player->heap->pins.count > 0;
	int64_t excess_bytes = (int64_t)verdict->room_bytes - (int64_t)verdict->needed_bytes;
	bool is_plain = storage == BOUND_PLAIN && !verdict->is_of_table;
	bool is_worst = is_plain && excess_bytes > out->excess_bytes;
	if (is_worst) out->excess_bytes = excess_bytes;
	if (is_worst) out->excess_asked_bytes = bytes;
	if (!is_plain && !has_pins && verdict->room_bytes > out->contiguous_room_bytes)
		out->contiguous_room_bytes = verdict->room_bytes;
	if (verdict->wrong == NULL || out->wrong != NULL) return;
	out->wrong = verdict->wrong;
	out->wrong_bytes = bytes;
}

static void judge(struct player *player, size_t bytes, enum bound_storage storage,
				  snug_error error) {
	struct outcome *out = player->out;
	if (error == SNUG_ERROR_SIZE_TOO_LARGE) return;
	REQUIRE_ERROR(SNUG_ERROR_NO_MEMORY, error);
	out->refusals++;
	if (out->judged == JUDGED_MAX) return;
	out->judged++;
	struct bound_verdict verdict = bound_judge(player->heap, bytes, storage);
	note(player, &verdict, bytes, storage);
}

/* ------------------------------------------------------------------ steps --------------------- */

static void fill(struct player *player, const struct script_step *step) {
	uint64_t most_bytes = step->verb == VERB_ASK
							  ? UINT64_MAX
							  : player->setting->limit_bytes / 1000 * (uint64_t)step->c;
	uint32_t most = step->verb == VERB_ASK && step->c < ASKED_MAX ? step->c : OBJECTS_MAX;
	for (uint64_t bytes = 0; bytes < most_bytes && most > 0; most--) {
		if (player->count == OBJECTS_MAX) forget_freed(player);
		if (player->count == OBJECTS_MAX) return;
		size_t size = (size_t)test_random_between(&player->random, step->a, step->b);
		uint64_t name;
		snug_error error = take(player, size, step->storage, &name);
		if (error != SNUG_OK) {
			judge(player, size, step->storage, error);
			return;
		}
		if (player->setting->by_reference) name_index_put(&player->rows, name, player->count);
		player->objects[player->count++] = (struct object){name, (uint32_t)size, false};
		bytes += size;
	}
}

static page_number page_of_object(const struct player *player, const struct object *object) {
	uint64_t location = player->setting->by_reference
							? object->name
							: handle_resolve(&player->heap->handles, object->name);
	return page_of(&player->heap->arena, location & OFFSET_MASK);
}

static bool is_first_of_page(struct player *player, const struct object *object) {
	page_number number = page_of_object(player, object);
	bool first = !player->seen_pages[number];
	player->seen_pages[number] = true;
	return first;
}

static bool is_meant(struct player *player, const struct script_step *step, uint32_t row) {
	uint32_t part = (uint32_t)((uint64_t)row * 1000 / player->count);
	switch (step->pattern) {
	case PATTERN_EVERY:
		return step->a > 0 && row % step->a == step->b % step->a;
	case PATTERN_CHANCE:
		return test_random_chance(&player->random, step->a);
	case PATTERN_PAGE:
		return is_first_of_page(player, &player->objects[row]);
	case PATTERN_FIRST:
		return part < step->a;
	default:
		return part + step->a >= 1000;
	}
}

static void begin_pattern(struct player *player) {
	forget_freed(player);
	memset(player->seen_pages, 0, (player->heap->arena.page_count + 1) * sizeof(bool));
}

static void free_some(struct player *player, const struct script_step *step) {
	begin_pattern(player);
	for (uint32_t row = 0; row < player->count; row++) {
		bool meant = is_meant(player, step, row);
		if (meant == (step->verb == VERB_FREE) && !player->objects[row].pinned) give(player, row);
	}
}

static void pin_some(struct player *player, const struct script_step *step) {
	begin_pattern(player);
	for (uint32_t row = 0; row < player->count; row++) {
		struct object *object = &player->objects[row];
		if (object->pinned || !is_meant(player, step, row)) continue;
		snug_error error = player->setting->by_reference
							   ? snug_ref_pin(player->heap, object->name, object->size)
							   : snug_pin(player->heap, object->name);
		object->pinned = error == SNUG_OK;
		if (error == SNUG_OK) continue;
		REQUIRE_ERROR(SNUG_ERROR_NO_MEMORY, error);
		struct bound_verdict verdict = bound_judge_pin(player->heap);
		player->out->refusals++;
		note(player, &verdict, 0, BOUND_CONTIGUOUS);
		return;
	}
}

static snug_error resize(struct player *player, uint32_t row, size_t size) {
	struct object *object = &player->objects[row];
	if (!player->setting->by_reference) return snug_resize(player->heap, object->name, size);
	uint64_t name = object->name;
	snug_error error = snug_ref_resize(player->heap, &name, object->size, size);
	if (error != SNUG_OK || name == object->name) return error;
	/* `moved` has kept the row's name up to date until the object was stored anew. */
	name_index_remove(&player->rows, object->name);
	name_index_put(&player->rows, name, row);
	object->name = name;
	return SNUG_OK;
}

static void resize_some(struct player *player, const struct script_step *step) {
	begin_pattern(player);
	for (uint32_t row = 0; row < player->count; row++) {
		struct object *object = &player->objects[row];
		if (object->pinned || !is_meant(player, step, row)) continue;
		snug_error error = resize(player, row, step->b);
		if (error == SNUG_OK) object->size = step->b;
		REQUIRE(error == SNUG_OK || step->b > object->size || error == SNUG_ERROR_SIZE_TOO_LARGE,
				"smaller was refused: %s", snug_error_name(error));
	}
}

static void shuffle(struct player *player) {
	begin_pattern(player);
	for (uint32_t row = player->count; row-- > 1;) {
		uint32_t other = (uint32_t)test_random_below(&player->random, row + 1);
		struct object object = player->objects[row];
		player->objects[row] = player->objects[other];
		player->objects[other] = object;
	}
	for (uint32_t row = 0; player->setting->by_reference && row < player->count; row++)
		name_index_put(&player->rows, player->objects[row].name, row);
}

static void charge(struct player *player, const struct script_step *step) {
	for (uint32_t page = 0; page < step->c; page++) {
		snug_error error = snug_heap_charge(player->heap, player->setting->page_bytes);
		if (error == SNUG_OK) continue;
		REQUIRE_ERROR(SNUG_ERROR_NO_MEMORY, error);
		struct bound_verdict verdict =
			bound_judge_charge(player->heap, player->setting->page_bytes);
		player->out->refusals++;
		note(player, &verdict, player->setting->page_bytes, BOUND_CONTIGUOUS);
		return;
	}
}

static void discharge(struct player *player) {
	REQUIRE_OK(snug_heap_discharge(player->heap, player->heap->arena.charged_bytes));
}

static void step_one(struct player *player, const struct script_step *step) {
	snug_report report;
	switch (step->verb) {
	case VERB_FILL:
	case VERB_ASK:
		fill(player, step);
		return;
	case VERB_FREE:
	case VERB_KEEP:
		free_some(player, step);
		return;
	case VERB_PIN:
		pin_some(player, step);
		return;
	case VERB_RESIZE:
		resize_some(player, step);
		return;
	case VERB_SHUFFLE:
		shuffle(player);
		return;
	case VERB_CHARGE:
		charge(player, step);
		return;
	case VERB_DISCHARGE:
		discharge(player);
		return;
	case VERB_COMPACT:
		REQUIRE_OK(snug_defragment(player->heap, NULL, &report));
		return;
	default:
		break;
	}
	forget_freed(player);
	for (uint32_t row = 0; row < player->count; row++) {
		if (player->objects[row].pinned) unpin(player, row);
		if (step->verb == VERB_DROP) give(player, row);
	}
}

/* ------------------------------------------------------------------ a script ------------------ */

static void open_heap(struct player *player) {
	const struct setting *setting = player->setting;
	snug_heap_options options = snug_heap_options_default();
	options.limit_bytes = setting->limit_bytes;
	options.page_bytes = setting->page_bytes;
	if (setting->by_reference) options.owner = (snug_owner){.moved = moved, .context = player};
	REQUIRE_OK(snug_heap_create(&options, &player->heap));
	player->objects = calloc(OBJECTS_MAX, sizeof *player->objects);
	player->seen_pages = calloc(player->heap->arena.page_count + 1, sizeof(bool));
	REQUIRE(player->objects != NULL && player->seen_pages != NULL, "the test ran out of memory");
	name_index_init(&player->rows);
}

void play(const struct script *script, const struct setting *setting, uint64_t seed,
		  struct outcome *out) {
	*out = (struct outcome){.excess_bytes = OUTCOME_NONE};
	struct player player = {.setting = setting, .random = {seed}, .out = out};
	open_heap(&player);
	for (uint32_t index = 0; index < script->count && out->wrong == NULL; index++)
		step_one(&player, &script->steps[index]);
	snug_check_result result;
	snug_error error = snug_check(player.heap, &result);
	REQUIRE(error == SNUG_OK, "law %s: %s", result.law, result.message);
	REQUIRE_OK(snug_heap_destroy(player.heap));
	name_index_deinit(&player.rows);
	free(player.objects);
	free(player.seen_pages);
}

struct script_sizes play_sizes(const struct setting *setting) {
	uint64_t least = setting->limit_bytes / (OBJECTS_MAX - 1) + 1;
	return (struct script_sizes){
		.least = (uint32_t)(least < 4 ? 1 : least),
		.largest =
			(uint32_t)(setting->limit_bytes < UINT32_MAX ? setting->limit_bytes : UINT32_MAX),
		.page_bytes = (uint32_t)setting->page_bytes,
	};
}
