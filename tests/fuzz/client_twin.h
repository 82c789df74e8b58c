/* client_twin.h: a client of snugd whose keys nobody else has, and a naive table of what they hold:
 * so each answer is known when the command is said, to the byte. */
#ifndef SNUG_TEST_CLIENT_TWIN_H
#define SNUG_TEST_CLIENT_TWIN_H

#include "support/two_workers.h"

#define TWIN_KEYS 4u                /* of one client: by turns of one owner and of the other */
#define TWIN_ITEM_BYTES_MAX 262144u /* what the server is to refuse is longer */
/* in what is expected: anything, up to END and its line's end: figures */
#define TWIN_ANYTHING_TO_END '\x01'

struct twin_bytes {
	char *bytes;
	size_t length;
	size_t room;
};

struct twin_item {
	bool is_there;
	uint32_t flags;
	struct twin_bytes value;
};

struct client_twin {
	char key[TWIN_KEYS][WORLD_KEY_BYTES];
	struct twin_item item[TWIN_KEYS];
	struct twin_bytes says;     /* all that was said */
	struct twin_bytes expected; /* all that is to be heard */
	uint64_t value_bytes;       /* of all values said, and asked for */
	uint32_t values;            /* so many were made */
	bool is_over;               /* has said quit */
};

void client_twin_init(struct client_twin *twin, uint32_t first_key);
void client_twin_deinit(struct client_twin *twin);
/* The next command: which one, and of what. Nothing more after quit. */
void client_twin_say(struct client_twin *twin, uint8_t kind, uint8_t what);
/* What he has heard is what was expected, or, if that is enough, its beginning. Requires it. */
void client_twin_check(const struct client_twin *twin, const char *heard, size_t length,
					   bool beginning_is_enough);

#endif
