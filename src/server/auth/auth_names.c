/* server/auth/auth_names.c: see server/auth/auth_names.h. */
#include "server/auth/auth_names.h"

#include "base/assert.h"
#include "work/key_hash.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_ROOM 16u
#define PLACES_A_NAME 2u /* so half of them are free at least, and a search ends */

void auth_names_init(struct auth_names *names) {
	*names = (struct auth_names){0};
	pthread_mutex_init(&names->mutex, NULL);
}

void auth_names_deinit(struct auth_names *names) {
	free(names->name);
	free(names->place);
	pthread_mutex_destroy(&names->mutex);
}

/* Where its number is, or would be. There is room. */
static uint16_t *find(const struct auth_names *names, const char *text, size_t bytes) {
	size_t mask = PLACES_A_NAME * names->room - 1, at = key_hash(text, bytes) & mask;
	SNUG_ASSERT(names->count <= names->room);
	for (; names->place[at] != 0; at = (at + 1) & mask) {
		const struct auth_name *name = &names->name[names->place[at] - 1];
		if (name->bytes == bytes && memcmp(name->text, text, bytes) == 0) break;
	}
	return &names->place[at];
}

/* Twice as many names; each has another place then. */
static bool grow(struct auth_names *names) {
	size_t room = names->room == 0 ? FIRST_ROOM : 2 * names->room;
	uint16_t *place = calloc(PLACES_A_NAME * room, sizeof *place);
	struct auth_name *name =
		place == NULL ? NULL : realloc(names->name, room * sizeof *names->name);
	if (name == NULL) {
		free(place);
		return false;
	}
	free(names->place);
	names->name = name;
	names->place = place;
	names->room = room;
	for (size_t i = 0; i < names->count; i++)
		*find(names, name[i].text, name[i].bytes) = (uint16_t)(i + 1);
	return true;
}

static uint16_t add(struct auth_names *names, const char *text, size_t bytes) {
	if (names->count >= AUTH_NAMES_MAX || bytes > USER_NAME_BYTES_MAX) return 0;
	if (names->count == names->room && !grow(names)) return 0;
	uint16_t *place = find(names, text, bytes);
	struct auth_name *name = &names->name[names->count++];
	name->bytes = (uint32_t)bytes;
	memcpy(name->text, text, bytes);
	*place = (uint16_t)names->count;
	return *place;
}

uint16_t auth_names_number(struct auth_names *names, const char *text, size_t bytes) {
	pthread_mutex_lock(&names->mutex);
	uint16_t number = names->room > 0 ? *find(names, text, bytes) : 0;
	if (number == 0) number = add(names, text, bytes);
	pthread_mutex_unlock(&names->mutex);
	return number;
}

bool auth_names_get(struct auth_names *names, uint16_t number, struct auth_name *name) {
	pthread_mutex_lock(&names->mutex);
	bool is_there = number > 0 && number <= names->count;
	if (is_there) *name = names->name[number - 1];
	pthread_mutex_unlock(&names->mutex);
	return is_there;
}
