/* work/worker/worker_answer.c: answers of a worker (law W7).
 *
 *     batch     a1  b1  a2  c1  a3  b2        answers to the askers a, b, c
 *     sent      [a1 a2 a3]  [b1 b2]  [c1]     one batch each, in the order of execution
 *
 * All answers to one asker go as one batch, so that an asker who sleeps is woken once. An asker has
 * never more in flight than its channel holds, so an answer always finds room
 * (work/channel/message.h). If one finds none, the asker broke that rule, and the answer is dropped
 * with a line in the log rather than the worker blocked.
 *
 * Grouping is quadratic in a batch of 16, which is less than a table of askers would cost. */
#include "base/assert.h"
#include "base/log_line.h"
#include "work/worker/worker.h"

static void send_answers(struct worker *worker, struct channel *reply,
						 const struct message *answers, size_t count) {
	snug_error error = channel_try_send_batch(reply, answers, count);
	if (SNUG_GUARD(!error)) return;
	snug_log_line(&worker->workers->options.log, SNUG_LOG_ERROR,
				  "worker %u: %zu answers dropped: %s", worker->index, count,
				  snug_error_text(error));
}

void worker_answer(struct worker *worker, const struct message *answer) {
	if (answer->reply != NULL) send_answers(worker, answer->reply, answer, 1);
}

void worker_answer_all(struct worker *worker, struct message *answers, size_t count) {
	struct message group[INBOX_BATCH];
	SNUG_ASSERT(count <= INBOX_BATCH);
	for (size_t first = 0; first < count; first++) {
		struct channel *reply = answers[first].reply;
		if (reply == NULL) continue;
		size_t grouped = 0;
		for (size_t index = first; index < count; index++) {
			if (answers[index].reply != reply) continue;
			group[grouped++] = answers[index];
			answers[index].reply = NULL;
		}
		SNUG_ASSERT(grouped > 0 && grouped <= count - first);
		send_answers(worker, reply, group, grouped);
	}
}
