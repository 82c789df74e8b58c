/* cache/client/spaces.c: which namespace a key has, and the counters. See cache/client/spaces.h. */
#include "cache/client/spaces.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

static bool is_same(const struct space *space, const snug_cache_namespace *given) {
	return space->prefix_bytes == given->prefix_bytes &&
		   memcmp(space->prefix, given->prefix, given->prefix_bytes) == 0;
}

/* Behind those that are as long or longer. */
static snug_error add(struct spaces *spaces, uint32_t number, const snug_cache_namespace *given) {
	if (given->prefix == NULL) return SNUG_ERROR_NULL;
	if (given->prefix_bytes == 0 || given->prefix_bytes > SNUG_KEY_BYTES_MAX) return SNUG_ERROR_KEY;
	uint32_t at = spaces->count;
	for (uint32_t i = 0; i < spaces->count; i++)
		if (is_same(&spaces->space[i], given)) return SNUG_ERROR_EXISTS;
	for (; at > 0 && spaces->space[at - 1].prefix_bytes < given->prefix_bytes; at--)
		spaces->space[at] = spaces->space[at - 1];
	struct space *space = &spaces->space[at];
	space->number = number;
	space->prefix_bytes = (uint32_t)given->prefix_bytes;
	memcpy(space->prefix, given->prefix, given->prefix_bytes);
	spaces->count++;
	return SNUG_OK;
}

snug_error spaces_create(const snug_cache_namespace *given, uint32_t count, struct spaces **out) {
	*out = NULL;
	if (count == 0) return SNUG_OK;
	if (count > SNUG_CACHE_NAMESPACES_MAX) return SNUG_ERROR_OPTION;
	if (given == NULL) return SNUG_ERROR_NULL;
	struct spaces *spaces = calloc(1, sizeof *spaces);
	if (spaces == NULL) return SNUG_ERROR_OS_MEMORY;
	for (uint32_t i = 0; i < count; i++) {
		snug_error error = add(spaces, i, &given[i]);
		if (error) {
			spaces_destroy(spaces);
			return error;
		}
	}
	SNUG_ASSERT(spaces->count == count);
	*out = spaces;
	return SNUG_OK;
}

void spaces_destroy(struct spaces *spaces) {
	free(spaces);
}

uint32_t spaces_of(const struct spaces *spaces, const void *key, size_t key_bytes) {
	const char *bytes = key;
	for (uint32_t i = 0; i < spaces->count; i++) {
		const struct space *space = &spaces->space[i];
		if (space->prefix_bytes <= key_bytes && space->prefix[0] == bytes[0] &&
			memcmp(space->prefix, bytes, space->prefix_bytes) == 0)
			return space->number;
	}
	return SPACES_NONE;
}

void spaces_add(struct spaces *spaces, uint32_t lot, const snug_key *key, enum space_event event) {
	uint32_t number = spaces_of(spaces, key->bytes, key->length);
	if (number == SPACES_NONE) return;
	SNUG_ASSERT(number < spaces->count && event < SPACE_EVENTS);
	atomic_fetch_add_explicit(&spaces->counts[lot % SPACES_LOTS][number].event[event], 1,
							  memory_order_relaxed);
}

uint64_t spaces_sum(const struct spaces *spaces, uint32_t number, enum space_event event) {
	uint64_t sum = 0;
	SNUG_ASSERT(number < spaces->count);
	for (uint32_t lot = 0; lot < SPACES_LOTS; lot++)
		sum +=
			atomic_load_explicit(&spaces->counts[lot][number].event[event], memory_order_relaxed);
	return sum;
}
