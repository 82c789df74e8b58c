/* work/worker/worker_execute.c: a batch of messages on the worker's heap, in the order in which
 * they came (law W8). The whole batch is executed, then answered (worker_answer.c).
 *
 *     operation on an object   carried out here; the message becomes its answer
 *     request for the hook     those that stand together go to it in one call, so that it can
 *                              fetch what all of them need from memory at once
 *     job                      kept, or answered by itself (worker_jobs.c)
 *     cancel                   not answered: the job's own answer tells
 *
 * An allocation with content looks at all that a write could refuse before it allocates, so that no
 * object is left without its content. What a message points to is the asker's: it is read and
 * written here, and not kept. */
#include "base/assert.h"
#include "work/worker/worker.h"

#include <snug/client.h>

/* ------------------------------------------------------------------ operations ------------- */

/* All that a write could refuse is looked at first, so that no object is left without its
 * content. */
static snug_error alloc_with_content(snug_heap *heap, const struct message *message,
									 snug_handle *out) {
	if (message->length > 0 && message->data == NULL) return SNUG_ERROR_NULL;
	if (message->length > message->size) return SNUG_ERROR_RANGE;
	snug_error error = snug_alloc(heap, message->size, out);
	if (error || message->length == 0) return error;
	SNUG_ASSERT(*out != 0);
	error = snug_write(heap, *out, 0, message->data, message->length);
	SNUG_ASSERT(!error);
	return error;
}

static snug_error size_of(snug_heap *heap, struct message *message) {
	size_t size = 0;
	snug_error error = snug_size(heap, message->name, &size);
	if (!error) message->size = size;
	return error;
}

/* What takes memory. */
static snug_error take(snug_heap *heap, struct message *message) {
	if (message->kind == MESSAGE_OPERATION + SNUG_OPERATION_ALLOC)
		return alloc_with_content(heap, message, &message->name);
	return snug_resize(heap, message->name, message->size);
}

/* What others have freed and is not given back yet counts as free: it is given back first, as much
 * as is needed. */
static snug_error take_paying(struct worker *worker, struct message *message) {
	frees_pay(worker, message->size);
	snug_error error = take(worker->heap, message);
	if (error != SNUG_ERROR_NO_MEMORY || !frees_pending(worker)) return error;
	frees_pay(worker, SIZE_MAX);
	return take(worker->heap, message);
}

static snug_error run_operation(struct worker *worker, struct message *message) {
	snug_heap *heap = worker->heap;
	switch (message->kind - MESSAGE_OPERATION) {
	case SNUG_OPERATION_ALLOC:
	case SNUG_OPERATION_RESIZE:
		return take_paying(worker, message);
	case SNUG_OPERATION_FREE:
		return frees_accept(worker, message->name);
	case SNUG_OPERATION_READ:
		return snug_read(heap, message->name, message->offset, message->data, message->length);
	case SNUG_OPERATION_WRITE:
		return snug_write(heap, message->name, message->offset, message->data, message->length);
	case SNUG_OPERATION_SIZE:
		return size_of(heap, message);
	default:
		return SNUG_ERROR_OPTION;
	}
}

static bool is_request(const struct message *message) {
	return message->kind == MESSAGE_OPERATION + SNUG_OPERATION_RUN ||
		   message->kind == MESSAGE_REQUESTS;
}

/* The requests at the beginning of `batch`, in one call of the user's hook; tells of how many
 * messages they were. What is told of the first request of a message is told of the message. */
static size_t run_requests(struct worker *worker, const struct message *batch, size_t count,
						   struct message *answers) {
	const snug_worker_hook *hook = &worker->workers->options.hook;
	void *requests[INBOX_BATCH * MESSAGE_REQUESTS_MAX];
	snug_error errors[INBOX_BATCH * MESSAGE_REQUESTS_MAX];
	size_t taken = 0, found = 0, first[INBOX_BATCH];
	for (; taken < count && is_request(&batch[taken]); taken++) {
		first[taken] = found;
		uint32_t carried = message_request_count(&batch[taken]);
		for (uint32_t i = 0; i < carried; i++, found++) {
			requests[found] = batch[taken].requests[i];
			errors[found] = hook->run == NULL ? SNUG_ERROR_OPTION : SNUG_OK;
		}
	}
	if (hook->run != NULL)
		hook->run(hook->context, worker->index, worker->heap, requests, errors, found);
	SNUG_ASSERT(taken > 0 && taken <= count);
	for (size_t index = 0; index < taken; index++) {
		answers[index] = batch[index];
		answers[index].error = (uint16_t)errors[first[index]];
	}
	return taken;
}

void worker_execute(struct worker *worker, const struct message *batch, size_t count) {
	struct message answers[INBOX_BATCH];
	size_t answered = 0;
	SNUG_ASSERT(count <= INBOX_BATCH);
	for (size_t index = 0, taken = 1; index < count; index += taken, taken = 1) {
		const struct message *message = &batch[index];
		if (message->kind == MESSAGE_JOB) {
			jobs_accept(worker, message);
		} else if (message->kind == MESSAGE_JOB_CANCEL) {
			jobs_cancel(worker, message->data);
		} else if (is_request(message)) {
			taken = run_requests(worker, message, count - index, &answers[answered]);
			answered += taken;
		} else {
			struct message *answer = &answers[answered++];
			*answer = *message;
			answer->error = (uint16_t)run_operation(worker, answer);
		}
	}
	SNUG_ASSERT(answered <= count); /* jobs are answered apart */
	worker->messages += count;
	worker_answer_all(worker, answers, answered);
}
