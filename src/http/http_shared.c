/* http/http_shared.c: see http/http_shared.h.
 *
 * Makings are numbered. Who comes notes the number of the last that has begun, and uses the first
 * with a higher one: if none is being made he makes it himself, without the mutex, while others
 * wait for it. `here` counts those who wait, make or use; the last of them drops the answer. */
#include "http/http_shared.h"

#include "base/assert.h"

void shared_init(struct shared *shared) {
	*shared = (struct shared){0};
	pthread_mutex_init(&shared->mutex, NULL);
	pthread_cond_init(&shared->is_made, NULL);
}

void shared_deinit(struct shared *shared) {
	SNUG_ASSERT(shared->here == 0 && shared->made.response == NULL);
	pthread_cond_destroy(&shared->is_made);
	pthread_mutex_destroy(&shared->mutex);
}

static void drop(struct shared *shared, const struct shared_hooks *hooks, void *context) {
	if (shared->made.response != NULL) hooks->drop(context, &shared->made);
	shared->made = (struct made){0};
}

/* With the mutex, and without it while the workers are asked. */
static void make(struct shared *shared, const struct shared_hooks *hooks, void *context) {
	struct made made = {0};
	uint64_t number = ++shared->begun;
	SNUG_ASSERT(!shared->is_making);
	shared->is_making = true;
	pthread_mutex_unlock(&shared->mutex);
	hooks->make(context, &made);
	pthread_mutex_lock(&shared->mutex);
	drop(shared, hooks, context);
	shared->is_making = false;
	shared->made = made;
	shared->made_number = number;
	pthread_cond_broadcast(&shared->is_made);
}

void shared_answer(struct shared *shared, const struct shared_hooks *hooks, void *context) {
	pthread_mutex_lock(&shared->mutex);
	uint64_t begun = shared->begun;
	shared->here++;
	while (shared->is_making && shared->made_number <= begun)
		pthread_cond_wait(&shared->is_made, &shared->mutex);
	if (shared->made_number <= begun) make(shared, hooks, context);
	hooks->use(context, &shared->made);
	if (--shared->here == 0) drop(shared, hooks, context);
	pthread_mutex_unlock(&shared->mutex);
}
