/* attack.c: see attack.h. */
#include "attack.h"

#include <stdio.h>
#include <string.h>

static const char *const verb_names[] = {
#define SCRIPT_VERB(name, text) text,
	SCRIPT_VERBS(SCRIPT_VERB)
#undef SCRIPT_VERB
};

static const char *const pattern_names[] = {
#define SCRIPT_PATTERN(name, text) text,
	SCRIPT_PATTERNS(SCRIPT_PATTERN)
#undef SCRIPT_PATTERN
};

static const char *const storage_names[] = {"plain", "contiguous", "aligned"};

static bool has_storage(enum script_verb verb) {
	return verb == VERB_FILL || verb == VERB_ASK;
}

static bool has_pattern(enum script_verb verb) {
	return verb == VERB_FREE || verb == VERB_KEEP || verb == VERB_PIN || verb == VERB_RESIZE;
}

/* ------------------------------------------------------------------ chance -------------------- */

static uint32_t between(test_random *random, uint64_t low, uint64_t high) {
	return low >= high ? (uint32_t)low : (uint32_t)test_random_between(random, low, high);
}

/* Each power of two as likely as another; often just at a page / n, where slots end. */
static uint32_t draw_size(const struct script_sizes *sizes, test_random *random) {
	uint32_t size;
	if (test_random_chance(random, 400)) {
		uint32_t slots = between(random, 1, 1u << test_random_below(random, 10));
		size = sizes->page_bytes / slots + between(random, 0, 40);
		size = size > 24 ? size - 24 : size;
	} else {
		uint32_t bits = 1;
		while (bits < 31 && sizes->largest >> bits != 0) bits++;
		size = 1 + between(random, 0, (1ull << test_random_below(random, bits + 1)) - 1);
	}
	if (size > sizes->largest) size = sizes->largest;
	return size < sizes->least ? sizes->least : size;
}

static void draw_sizes(struct script_step *step, const struct script_sizes *sizes,
					   test_random *random) {
	step->storage = test_random_chance(random, 750)   ? BOUND_PLAIN
					: test_random_chance(random, 700) ? BOUND_CONTIGUOUS
													  : BOUND_ALIGNED;
	struct script_sizes drawn = *sizes;
	if (step->storage != BOUND_PLAIN) drawn.largest = sizes->page_bytes - 6;
	step->a = step->b = draw_size(&drawn, random);
	if (test_random_chance(random, 300)) step->b = draw_size(&drawn, random);
	if (step->b < step->a) {
		uint32_t low = step->b;
		step->b = step->a;
		step->a = low;
	}
}

static void draw_pattern(struct script_step *step, test_random *random) {
	step->pattern = (enum script_pattern)test_random_below(random, PATTERN_COUNT);
	step->a = step->pattern == PATTERN_EVERY ? between(random, 1, 1u << between(random, 1, 9))
											 : between(random, 0, 1000);
	step->b = between(random, 0, step->a);
}

static enum script_verb draw_verb(test_random *random) {
	static const enum script_verb verbs[] = {
		VERB_FILL,  VERB_FILL,    VERB_FILL,    VERB_FREE,   VERB_FREE,   VERB_FREE,      VERB_KEEP,
		VERB_KEEP,  VERB_KEEP,    VERB_ASK,     VERB_ASK,    VERB_ASK,    VERB_PIN,       VERB_PIN,
		VERB_UNPIN, VERB_COMPACT, VERB_SHUFFLE, VERB_RESIZE, VERB_CHARGE, VERB_DISCHARGE,
	};
	return verbs[test_random_below(random, sizeof verbs / sizeof *verbs)];
}

static void draw_step(struct script_step *step, const struct script_sizes *sizes,
					  test_random *random) {
	*step = (struct script_step){.verb = draw_verb(random)};
	if (has_pattern(step->verb)) draw_pattern(step, random);
	if (step->verb == VERB_RESIZE) step->b = draw_size(sizes, random);
	if (step->verb == VERB_CHARGE) step->c = between(random, 1, 1u << between(random, 0, 8));
	if (!has_storage(step->verb)) return;
	draw_sizes(step, sizes, random);
	step->c =
		step->verb == VERB_FILL && test_random_chance(random, 500) ? between(random, 1, 999) : 1000;
}

void script_make(struct script *script, const struct script_sizes *sizes, test_random *random) {
	uint32_t count = between(random, 3, SCRIPT_STEPS_MAX / 2);
	*script = (struct script){.count = count + 1};
	for (uint32_t index = 0; index < count; index++)
		draw_step(&script->steps[index], sizes, random);
	script->steps[0].verb = VERB_FILL;
	draw_sizes(&script->steps[0], sizes, random);
	script->steps[0].c = 1000;
	script->steps[count] = (struct script_step){.verb = VERB_ASK, .c = 1000};
	draw_sizes(&script->steps[count], sizes, random);
}

static uint32_t nudge(uint32_t value, uint32_t least, uint32_t most, test_random *random) {
	uint32_t reach = test_random_chance(random, 500) ? 3 : value / 8 + 1;
	uint32_t low = value > least + reach ? value - reach : least;
	uint32_t high = value + reach < most ? value + reach : most;
	return between(random, low, high);
}

static void nudge_step(struct script_step *step, const struct script_sizes *sizes,
					   test_random *random) {
	if (has_storage(step->verb)) {
		uint32_t most = step->storage == BOUND_PLAIN ? sizes->largest : sizes->page_bytes - 6;
		bool one_size = step->a == step->b;
		step->a = nudge(step->a, sizes->least, most, random);
		step->b = one_size ? step->a : nudge(step->b, step->a, most, random);
		if (step->verb == VERB_FILL) step->c = nudge(step->c, 1, 1000, random);
	} else if (has_pattern(step->verb)) {
		step->a = nudge(step->a, 1, 1000, random);
		if (step->verb == VERB_RESIZE)
			step->b = nudge(step->b, sizes->least, sizes->largest, random);
	}
}

void script_change(struct script *script, const struct script_sizes *sizes, test_random *random) {
	uint32_t at = between(random, 0, script->count - 1);
	struct script_step *step = &script->steps[at];
	uint32_t after = script->count - at - 1;
	switch (test_random_below(random, 5)) {
	case 0: /* one more */
		if (script->count == SCRIPT_STEPS_MAX) return;
		memmove(step + 1, step, (after + 1) * sizeof *step);
		draw_step(step, sizes, random);
		script->count++;
		return;
	case 1: /* one less */
		if (script->count < 3) return;
		memmove(step, step + 1, after * sizeof *step);
		script->count--;
		return;
	case 2:
		draw_step(step, sizes, random);
		return;
	default:
		nudge_step(step, sizes, random);
		return;
	}
}

/* ------------------------------------------------------------------ text ---------------------- */

static int print_step(const struct script_step *step, char *text, size_t room) {
	const char *verb = verb_names[step->verb];
	if (has_storage(step->verb))
		return snprintf(text, room, "%s %s %u %u %u", verb, storage_names[step->storage], step->a,
						step->b, step->c);
	if (has_pattern(step->verb))
		return snprintf(text, room, "%s %s %u %u", verb, pattern_names[step->pattern], step->a,
						step->b);
	if (step->verb == VERB_CHARGE) return snprintf(text, room, "%s %u", verb, step->c);
	return snprintf(text, room, "%s", verb);
}

void script_print(const struct script *script, char *text) {
	size_t used = 0;
	text[0] = '\0';
	for (uint32_t index = 0; index < script->count; index++) {
		if (index > 0) used += (size_t)snprintf(text + used, SCRIPT_TEXT_ROOM - used, "; ");
		used += (size_t)print_step(&script->steps[index], text + used, SCRIPT_TEXT_ROOM - used);
	}
}

static bool find_name(const char *name, const char *const *names, uint32_t count, uint32_t *out) {
	for (*out = 0; *out < count; ++*out)
		if (strcmp(name, names[*out]) == 0) return true;
	return false;
}

static bool read_step(struct script_step *step, const char *text) {
	char verb[16], kind[16];
	uint32_t found;
	*step = (struct script_step){0};
	int fields =
		sscanf(text, " %15[a-z] %15[a-z] %u %u %u", verb, kind, &step->a, &step->b, &step->c);
	if (fields < 1 || !find_name(verb, verb_names, VERB_COUNT, &found)) return false;
	step->verb = (enum script_verb)found;
	if (has_storage(step->verb)) {
		if (fields != 5 || !find_name(kind, storage_names, BOUND_STORAGES, &found)) return false;
		step->storage = (enum bound_storage)found;
		return step->a > 0 && step->a <= step->b;
	}
	if (step->verb == VERB_CHARGE) return sscanf(text, " charge %u", &step->c) == 1;
	if (!has_pattern(step->verb)) return fields == 1;
	if (fields != 4 || !find_name(kind, pattern_names, PATTERN_COUNT, &found)) return false;
	step->pattern = (enum script_pattern)found;
	return true;
}

bool script_read(struct script *script, const char *text) {
	*script = (struct script){0};
	while (text != NULL && *text != '\0') {
		if (script->count == SCRIPT_STEPS_MAX) return false;
		if (!read_step(&script->steps[script->count++], text)) return false;
		text = strchr(text, ';');
		if (text != NULL) text++;
	}
	return script->count > 0;
}
