/* http/http_shared.h: one answer for all who asked before its making began.
 *
 *     asks:  A ------ B - C - D ----------------------
 *     made:  [ A's     ][ for B, C and D ]
 *
 * So a crowd that asks for the map costs the workers two maps and one text, and nobody is told what
 * was true before he asked. The answer is dropped when the last who waited has it. */
#ifndef SNUG_HTTP_HTTP_SHARED_H
#define SNUG_HTTP_HTTP_SHARED_H

#include "base/text.h"

#include <pthread.h>
#include <stdint.h>

struct MHD_Response;

struct made {
	struct MHD_Response *response; /* NULL: it could not be made */
	unsigned status;
	size_t bytes;
	const struct text_account *account;
};

struct shared {
	pthread_mutex_t mutex; /* of: */
	pthread_cond_t is_made;
	struct made made;
	uint64_t made_number; /* which making it was of */
	uint64_t begun;       /* makings */
	uint32_t here;        /* who wait, make or use */
	bool is_making;
};

struct shared_hooks {
	void (*make)(void *context, struct made *out);
	void (*use)(void *context, const struct made *made); /* short: others wait */
	void (*drop)(void *context, struct made *made);
};

void shared_init(struct shared *shared);
/* When nobody is there. */
void shared_deinit(struct shared *shared);
/* Makes the answer, or waits for one that began after the call, and uses it. Any thread. */
void shared_answer(struct shared *shared, const struct shared_hooks *hooks, void *context);

#endif
