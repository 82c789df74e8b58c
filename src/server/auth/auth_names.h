/* server/auth/auth_names.h: names of users who were let in, as numbers, so that a connection keeps two
 * bytes and not a name. A name keeps its number as long as the server runs, also when the file of
 * users has it no more: who was let in before stays in. Any thread. */
#ifndef SNUG_SERVER_AUTH_NAMES_H
#define SNUG_SERVER_AUTH_NAMES_H

#include "server/auth/users.h"

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#define AUTH_NAMES_MAX 65535u

struct auth_name {
	uint32_t bytes;
	char text[USER_NAME_BYTES_MAX];
};

struct auth_names {
	pthread_mutex_t mutex;  /* of: */
	struct auth_name *name; /* by number, from 0 on */
	size_t count;
	size_t room;
	/* by hash: numbers from 1 on; 0: nobody. Twice as many as there is room for names */
	uint16_t *place;
};

void auth_names_init(struct auth_names *names);
void auth_names_deinit(struct auth_names *names);

/* From 1 on. 0: there are too many, or no memory. */
uint16_t auth_names_number(struct auth_names *names, const char *text, size_t bytes);
/* False: that is no number of a name. */
bool auth_names_get(struct auth_names *names, uint16_t number, struct auth_name *name);

#endif
