/* server/auth/auth_names.c: see server/auth/auth_names.h. */
#include "server/auth/auth_names.h"

#include <stdlib.h>
#include <string.h>

void auth_names_init(struct auth_names *names) {
	*names = (struct auth_names){0};
	pthread_mutex_init(&names->mutex, NULL);
}

void auth_names_deinit(struct auth_names *names) {
	free(names->name);
	pthread_mutex_destroy(&names->mutex);
}

/* Its index; count: it has none yet. */
static size_t find(const struct auth_names *names, const char *text, size_t bytes) {
	size_t at = 0;
	while (at < names->count &&
		   (names->name[at].bytes != bytes || memcmp(names->name[at].text, text, bytes) != 0))
		at++;
	return at;
}

static bool make_room(struct auth_names *names) {
	if (names->count < names->room) return true;
	size_t room = names->room == 0 ? 16 : 2 * names->room;
	struct auth_name *larger = realloc(names->name, room * sizeof *larger);
	if (larger == NULL) return false;
	names->name = larger;
	names->room = room;
	return true;
}

static bool add(struct auth_names *names, const char *text, size_t bytes) {
	if (names->count >= AUTH_NAMES_MAX || bytes > USER_NAME_BYTES_MAX || !make_room(names))
		return false;
	struct auth_name *name = &names->name[names->count++];
	name->bytes = (uint32_t)bytes;
	memcpy(name->text, text, bytes);
	return true;
}

uint16_t auth_names_number(struct auth_names *names, const char *text, size_t bytes) {
	pthread_mutex_lock(&names->mutex);
	size_t at = find(names, text, bytes);
	bool is_there = at < names->count || add(names, text, bytes);
	pthread_mutex_unlock(&names->mutex);
	return is_there ? (uint16_t)(at + 1) : 0;
}

bool auth_names_get(struct auth_names *names, uint16_t number, struct auth_name *name) {
	pthread_mutex_lock(&names->mutex);
	bool is_there = number > 0 && number <= names->count;
	if (is_there) *name = names->name[number - 1];
	pthread_mutex_unlock(&names->mutex);
	return is_there;
}
