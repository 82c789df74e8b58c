/* name_index.c: see name_index.h. Grows at a load of one half. */
#include "support/twin/name_index.h"

#include "support/require.h"

#include <stdlib.h>

static size_t home_place(const name_index *index, uint64_t name) {
	return (size_t)((name * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & (index->room - 1);
}

void name_index_init(name_index *index) {
	index->room = 64;
	index->count = 0;
	index->places = calloc(index->room, sizeof *index->places);
	REQUIRE(index->places != NULL, "the test ran out of memory");
}

void name_index_deinit(name_index *index) {
	free(index->places);
	index->places = NULL;
	index->room = index->count = 0;
}

/* The place of `name`, or the empty place where it would go. */
static size_t find_place(const name_index *index, uint64_t name) {
	size_t place = home_place(index, name);
	while (index->places[place].name != 0 && index->places[place].name != name) {
		place = (place + 1) & (index->room - 1);
	}
	return place;
}

static void grow(name_index *index) {
	name_index_place *old = index->places;
	size_t old_room = index->room;
	index->room *= 2;
	index->places = calloc(index->room, sizeof *index->places);
	REQUIRE(index->places != NULL, "the test ran out of memory");
	for (size_t i = 0; i < old_room; i++) {
		if (old[i].name != 0) {
			index->places[find_place(index, old[i].name)] = old[i];
		}
	}
	free(old);
}

void name_index_put(name_index *index, uint64_t name, size_t position) {
	REQUIRE(name != 0, "a name of 0 was given out");
	if (2 * index->count >= index->room) {
		grow(index);
	}
	size_t place = find_place(index, name);
	if (index->places[place].name == 0) {
		index->count++;
	}
	index->places[place] = (name_index_place){name, position};
}

size_t name_index_get(const name_index *index, uint64_t name) {
	size_t place = find_place(index, name);
	return name != 0 && index->places[place].name == name ? index->places[place].position
														  : NAME_INDEX_NONE;
}

void name_index_remove(name_index *index, uint64_t name) {
	size_t mask = index->room - 1;
	size_t hole = find_place(index, name);
	REQUIRE(index->places[hole].name == name, "the twin does not know the name %llx",
			(unsigned long long)name);
	for (size_t next = (hole + 1) & mask; index->places[next].name != 0; next = (next + 1) & mask) {
		size_t home = home_place(index, index->places[next].name);
		if (((next - home) & mask) >= ((next - hole) & mask)) {
			index->places[hole] = index->places[next];
			hole = next;
		}
	}
	index->places[hole] = (name_index_place){0, 0};
	index->count--;
}
