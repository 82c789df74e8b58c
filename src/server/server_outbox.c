/* server/server_outbox.c: see server/server_outbox.h.
 *
 * ORDER. Requests of one worker to one owner are carried out as they were made. So a shard is borrowed only while no message to its owner is
 * under way: `asked` counts those. What others ask the owner meanwhile has no order with it.
 *
 * UPKEEP. He who sleeps does not know that his shard is used, and its upkeep waits for him. So after LENT_NS of use he is woken with a message, as
 * often as a worker looks after his shard who serves it himself.
 *
 * A LOAN IS SHORT: a batch of requests for single keys. Room for a large value, which is made in slices, is asked for by message, and so are
 * visits, which use what is the owner's besides his shard. He who is woken meanwhile waits for the batch; it is long only if its carrier loses his
 * processor amid it. */
#include "server/server_outbox.h"

#include "base/assert.h"
#include "base/bits.h"
#include "os/local_time.h"
#include "os/threads.h"
#include "server/connection/connection.h"
#include "work/worker.h"

#include <snug/client.h>

#define OUTBOX_BATCH 16u
#define UNFINISHED_A_TURN 4u
#define LENT_NS UPKEEP_PAUSE_NS

/* ------------------------------------------------------------------ requests --------------- */

bool turn_request(struct server_worker *worker, struct record *record) {
	struct turn *turn = worker->turn;
	struct request *request = &record->request;
	SNUG_ASSERT(record->owner != RECORD_HELD && !record->is_away); /* who lends it has it on his list */
	if (request->owner == worker->index) {
		requests_serve(worker->shard, worker->index, &worker->counts, &request, 1);
		return true;
	}
	record->is_away = true;
	record->next_away = NULL;
	if (turn->outbox_last[request->owner] == NULL)
		turn->outbox[request->owner] = record;
	else
		turn->outbox_last[request->owner]->next_away = record;
	turn->outbox_last[request->owner] = record;
	turn->away++;
	worker->connections.requests_out++;
	return false;
}

void turn_request_again(struct server_worker *worker, struct record *record) {
	struct turn *turn = worker->turn;
	if (record->request.owner != worker->index) {
		(void)turn_request(worker, record); /* false: another's */
		return;
	}
	record->is_away = true;
	record->next_away = NULL;
	if (turn->unfinished == NULL)
		turn->unfinished = record;
	else
		turn->unfinished_last->next_away = record;
	turn->unfinished_last = record;
}

/* In their order, some in each turn: however many there are, others wait no longer. */
bool outbox_serve_unfinished(struct server_worker *worker) {
	struct turn *turn = worker->turn;
	uint32_t served = 0;
	for (; turn->unfinished != NULL && served < UNFINISHED_A_TURN; served++) {
		struct record *record = turn->unfinished;
		struct request *request = &record->request;
		turn->unfinished = record->next_away;
		if (!record->connection->is_closing) requests_serve(worker->shard, worker->index, &worker->counts, &request, 1);
		record_returned(record);
	}
	return served > 0;
}

static struct record *record_of(void *request) {
	return (struct record *)(void *)((char *)request - offsetof(struct record, request));
}

static void come_back(struct turn *turn, struct record *record) {
	turn->away--;
	record_returned(record);
}

static void leave_outbox(struct turn *turn, uint32_t owner, struct record *first) {
	turn->outbox[owner] = first;
	if (first == NULL) turn->outbox_last[owner] = NULL;
}

/* The owner is gone: nobody will answer. */
static void come_back_unanswered(struct server_worker *worker, struct record *record) {
	record->request.operation.status = STATUS_NO_MEMORY;
	record->request.operation.lease.ref = 0;
	record->request.window_count = 0;
	come_back(worker->turn, record);
}

/* A batch to one owner. False: its inbox is full. */
static bool send_batch(struct server_worker *worker, uint32_t owner) {
	struct turn *turn = worker->turn;
	struct message messages[OUTBOX_BATCH];
	size_t count = 0;
	struct record *record = turn->outbox[owner];
	for (; record != NULL && count < OUTBOX_BATCH; record = record->next_away)
		messages[count++] = (struct message){.kind = MESSAGE_OPERATION + SNUG_OPERATION_RUN,
											 .worker = owner,
											 .data = &record->request,
											 .reply = turn->replies};
	struct channel *inbox = workers_inbox(worker->server->workers, owner);
	snug_error error = channel_try_send_batch(inbox, messages, count);
	if (error == SNUG_ERROR_QUEUE_FULL) return false;
	leave_outbox(turn, owner, record);
	if (!error) turn->asked[owner] += (uint32_t)count;
	for (size_t i = 0; error && i < count; i++) come_back_unanswered(worker, record_of(messages[i].data));
	return true;
}

/* ------------------------------------------------------------------ loans ------------------ */

#define NS_PER_SECOND UINT64_C(1000000000)

void outbox_look_at_clocks(struct server_worker *worker, uint64_t now_ns) {
	const struct server *server = worker->server;
	worker->clock_s = server->started_s + (int64_t)((now_ns - server->started_ns) / NS_PER_SECOND);
	worker->wall_s = os_wall_s();
}

void outbox_run(struct server_worker *worker, void *const *requests, size_t count) {
	outbox_look_at_clocks(worker, os_now_ns()); /* it may come out of a sleep, before its turn */
	worker->connections.requests_in += count;
	requests_serve(worker->shard, worker->index, &worker->counts, (struct request *const *)(const void *)requests,
				   count);
}

void outbox_lend(struct server_worker *worker) {
	worker->lent_since_ns = 0;
	loan_offer(&worker->loan);
}

bool outbox_recall(struct server_worker *worker) {
	loan_recall(&worker->loan);
	if (LIKELY(worker->lent_since_ns == 0)) return false;
	snug_error error = snug_pools_adopt(snug_shard_pools(worker->shard));
	SNUG_ASSERT(!error);
	(void)error;
	return true;
}

/* Of who sleeps, and has not been used for so long that he must wake up to look after his shard. */
static bool borrow(struct server_worker *sleeper, uint64_t now_ns) {
	if (!loan_take(&sleeper->loan)) return false;
	if (sleeper->lent_since_ns == 0) sleeper->lent_since_ns = now_ns;
	if (now_ns - sleeper->lent_since_ns < LENT_NS && snug_pools_adopt(snug_shard_pools(sleeper->shard)) == SNUG_OK)
		return true;
	loan_return(&sleeper->loan);
	return false;
}

static bool may_carry_out(const struct record *record) {
	return record->request.kind != REQUEST_VISIT && record->request.kind != REQUEST_RESERVE;
}

/* The first ones for one owner, by this thread. False: he is awake, or they must go by message. */
static bool carry_out(struct server_worker *worker, uint32_t owner) {
	struct turn *turn = worker->turn;
	struct server_worker *sleeper = &worker->server->worker[owner];
	struct record *records[OUTBOX_BATCH];
	void *requests[OUTBOX_BATCH];
	size_t count = 0;
	struct record *next = turn->outbox[owner];
	if (turn->asked[owner] > 0 || !may_carry_out(next)) return false;
	if (!borrow(sleeper, turn->began_ns)) return false;
	for (; next != NULL && count < OUTBOX_BATCH && may_carry_out(next); next = next->next_away) {
		records[count] = next;
		requests[count++] = &next->request;
	}
	leave_outbox(turn, owner, next);
	outbox_run(sleeper, requests, count);
	loan_return(&sleeper->loan);
	for (size_t i = 0; i < count; i++) come_back(turn, records[i]);
	return true;
}

/* Who gets an answer may ask on, also those who were looked at already: then there is another turn. */
bool outbox_send(struct server_worker *worker) {
	bool has_worked = false;
	for (uint32_t owner = 0; owner < worker->server->worker_count; owner++)
		while (worker->turn->outbox[owner] != NULL) {
			bool is_carried_out = carry_out(worker, owner);
			has_worked |= is_carried_out;
			if (is_carried_out || send_batch(worker, owner)) continue;
			has_worked = true; /* or will have: his inbox is full */
			break;
		}
	return has_worked;
}

#define LINE_BYTES 64u
#define HEAD_LINES ((offsetof(struct record, window) + LINE_BYTES - 1) / LINE_BYTES)
#define ANSWERED_LINES 6u /* of what came into a record's room: a usual value */

/* What the owners have written, and what was kept beside it. */
static void prefetch_answers(const struct message *answers, size_t count) {
	for (size_t i = 0; i < count; i++) {
		const struct record *record = record_of(answers[i].data);
		for (size_t line = 0; line < HEAD_LINES; line++) __builtin_prefetch((const char *)record + line * LINE_BYTES);
		for (size_t line = 0; line < ANSWERED_LINES; line++) __builtin_prefetch(record->bytes + line * LINE_BYTES);
	}
}

bool outbox_take_answers(struct server_worker *worker) {
	struct message answers[OUTBOX_BATCH * 2];
	struct turn *turn = worker->turn;
	size_t count, total = 0;
	while (turn->away > 0 && total < RECORDS_AWAY_MAX &&
		   (count = channel_receive(turn->replies, answers, sizeof answers / sizeof *answers)) > 0) {
		total += count;
		prefetch_answers(answers, count);
		for (size_t i = 0; i < count; i++) {
			struct record *record = record_of(answers[i].data);
			turn->asked[record->request.owner]--;
			come_back(turn, record);
		}
	}
	return total > 0;
}
