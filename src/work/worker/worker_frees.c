/* work/worker/worker_frees.c: large objects that clients have freed, given back a slice a turn.
 *
 *     FREE --small--> freed, answered
 *       \--large--> renamed, answered: the client's handle is stale from here on
 *                     |
 *                     v
 *     to_free -> object -> object -> ...        linked through their first bytes
 *     freeing -> what is left of one            a slice of it goes each turn
 *
 * 1 GiB in pages of 4 KiB is a quarter of a million fragments: 50 ms in one call, in which nobody is
 * served. So it goes in slices of 256 KiB, which is at most 64 fragments, with the inbox between
 * them. The list needs no memory: an object that nobody can name any more holds the next one's
 * handle.
 *
 * WHO NEEDS THE ROOM PAYS. An allocation frees as many bytes as it takes, before it looks for room;
 * one that is refused all the same frees the rest and tries again. An estimate and an emergency free
 * the rest before they are answered: what was freed counts for what can be had. The figures show it
 * until it has gone.
 *
 * IN A MEMORY FILE all are given back when the worker ends: they would stay, and nobody can name them.
 *
 * A worker whose hook uses the heap itself frees at once: its calls do not come by here, and must
 * find the room. */
#include "base/assert.h"
#include "base/bits.h"
#include "mem/slab/handles.h"
#include "work/worker/worker.h"

#define SLICE_BYTES ((size_t)256 << 10)

static bool hook_allocates(const struct worker *worker) {
	const snug_worker_hook *hook = &worker->workers->options.hook;
	return hook->run != NULL || hook->turn != NULL;
}

static snug_error put(struct worker *worker, snug_handle handle) {
	snug_handle renamed, next = worker->to_free;
	snug_error error = handle_rename(worker->heap, handle, &renamed);
	if (error) return error;
	error = snug_write(worker->heap, renamed, 0, &next, sizeof next);
	SNUG_ASSERT(!error);
	worker->to_free = renamed;
	return SNUG_OK;
}

snug_error frees_accept(struct worker *worker, snug_handle handle) {
	size_t size;
	snug_error error = snug_size(worker->heap, handle, &size);
	if (error) return error;
	if (size > SLICE_BYTES && !hook_allocates(worker)) {
		error = put(worker, handle);
		if (error != SNUG_ERROR_NO_MEMORY) return error;
	}
	return snug_free(worker->heap, handle);
}

bool frees_pending(const struct worker *worker) {
	return worker->freeing != 0 || worker->to_free != 0;
}

/* The next one, and the one behind it. */
static void take(struct worker *worker) {
	snug_handle next = 0;
	worker->freeing = worker->to_free;
	snug_error error = snug_read(worker->heap, worker->freeing, 0, &next, sizeof next);
	SNUG_ASSERT(!error);
	(void)error;
	worker->to_free = next;
}

static void free_part(struct worker *worker, size_t bytes) {
	bool done = true;
	if (worker->freeing == 0) take(worker);
	snug_error error = snug_free_part(worker->heap, worker->freeing, bytes, &done);
	SNUG_ASSERT(!error); /* nobody else can name it */
	if (error || done) worker->freeing = 0;
}

void frees_slice(struct worker *worker) {
	if (frees_pending(worker)) free_part(worker, SLICE_BYTES);
}

void frees_pay(struct worker *worker, size_t bytes) {
	for (size_t freed = 0; freed < bytes && frees_pending(worker); freed += SLICE_BYTES)
		free_part(worker, smaller(bytes - freed, SLICE_BYTES));
}

void frees_end(struct worker *worker) {
	if (worker->heap->segment != NULL) frees_pay(worker, SIZE_MAX);
	SNUG_ASSERT(worker->heap->segment == NULL || !frees_pending(worker));
}
