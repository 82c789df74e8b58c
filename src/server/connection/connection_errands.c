/* server/connection/connection_errands.c: an errand's way: from worker to worker, then it waits
 * until it is ready, then its answer is said in its turn.
 *
 *     begin -> visits, each a request to that worker -> waits on turn.errands -> ready -> said
 *
 * A visit that is not finished is made again: to another worker by message, to the own one in the
 * next turn, of which errands_poll tells. An errand that has a part to tell is ready for once: when
 * the part is in the output, it waits on turn.errands to go on.
 *
 * Its connection parses nothing meanwhile: what an errand does to all workers must not overtake
 * what was asked before it, nor be overtaken. If the connection goes, the errand goes on, and is
 * dropped at its end. */
#include "server/connection/connection.h"

#include "base/assert.h"
#include "server/errand/errand.h"
#include "server/visit/visit.h"

#include <stdlib.h>
#include <string.h>

static void visit(void *context, uint32_t index, snug_shard *shard,
				  struct operation_counts *counts) {
	struct record *record = context;
	(void)shard;
	(void)counts;
	record->errand->is_unfinished = record->errand->has_part = false;
	record->errand->visit(record->errand, &record->errand->server->worker[index]);
	if (record->errand->is_unfinished || record->errand->has_part) record->errand_worker = index;
}

/* There is a worker that it must still visit. */
static bool is_visiting(const struct record *record) {
	const struct errand *errand = record->errand;
	return errand->visit != NULL && !errand->has_part &&
		   record->errand_worker < errand->server->worker_count;
}

static void advance(struct record *record) {
	struct server_worker *worker = record->connection->worker;
	struct errand *errand = record->errand;
	while (is_visiting(record)) {
		struct request *request = &record->request;
		request->kind = REQUEST_VISIT;
		request->owner = record->errand_worker++;
		request->visit = visit;
		request->visit_context = record;
		if (!turn_request(worker, record)) return;
		if (!errand->is_unfinished) continue;
		errand_wait(worker->turn, record);
		return;
	}
	record->is_ready = errand->has_part || errand->is_ready == NULL || errand->is_ready(errand);
	if (!record->is_ready) errand_wait(worker->turn, record);
}

/* A ready errand's record is said, or, if nobody listens any more, given back. */
static void errand_done(struct record *record) {
	if (record->owner == RECORD_LEAVING)
		record_end(record);
	else
		answers_drain(record->connection);
}

/* An answer that is there at once, but has to wait behind others and is longer than a record
 * holds. */
struct said {
	struct errand errand; /* must be the first */
	struct text text;
};

static void said_answer(struct errand *errand, struct text *out) {
	const struct said *said = (const struct said *)(const void *)errand;
	text_append(out, said->text.bytes, said->text.length);
}

static void said_destroy(struct errand *errand) {
	struct said *said = (struct said *)(void *)errand;
	text_deinit(&said->text);
	free(said);
}

/* Takes the text; NULL: no memory, and it is still the caller's. */
static struct errand *say_later(struct text *text) {
	struct said *said = calloc(1, sizeof *said);
	if (said == NULL) return NULL;
	said->errand.answer = said_answer;
	said->errand.destroy = said_destroy;
	said->text = *text;
	*text = (struct text){0};
	return &said->errand;
}

static void say_at_once(struct connection *connection, const struct command *command,
						const struct text *text) {
	if (text->failed)
		answers_say_line(connection, &command->reply, ERRAND_NO_MEMORY,
						 sizeof ERRAND_NO_MEMORY - 1);
	else
		answers_say(connection, text->bytes, text->length);
}

/* Of who said who he is nothing stays where it came. It has been taken, and is not parsed again. */
static void wipe_login(const struct command *command) {
	if (command->kind == COMMAND_LOGIN && command->text_bytes > 0)
		explicit_bzero((void *)(uintptr_t)command->text, command->text_bytes);
}

void answers_begin_errand(struct connection *connection, const struct command *command) {
	struct text text = {.account = &connection->worker->server->texts};
	/* Before anything is asked of the coordinator, whose ticket somebody must take. */
	if (!SNUG_GUARD(buffers_are_there(&turn_of(connection)->buffers, 1, connection_right(false)))) {
		connection_close(connection); /* waits_for_memory() has looked */
		return;
	}
	struct errand *errand = errand_begin(connection->worker, connection->stream.fd, command, &text);
	wipe_login(command);
	struct reply reply = command->reply;
	answer_lines(&reply, &text);
	bool is_long = text.length > RECORD_ROOM && connection->first_answer != NULL;
	if (errand == NULL && is_long && !text.failed) {
		errand = say_later(&text);
		text.failed = errand == NULL;
		reply = (struct reply){.value_end_bytes = VALUE_END_BYTES}; /* it is said as it is */
	}
	if (errand == NULL) say_at_once(connection, command, &text);
	text_deinit(&text);
	if (errand == NULL) return;
	struct record *record = record_take(connection);
	if (record == NULL) {
		errand->destroy(errand);
		connection_close(connection);
		return;
	}
	errand->asker = connection_id(connection);
	record->says = SAYS_ERRAND;
	record->errand = errand;
	record->errand_worker = 0;
	record->reply = reply;
	connection->input_state = INPUT_ERRAND;
	record_pass(record, RECORD_HELD, RECORD_ANSWERS);
	answers_append(connection, record);
	advance(record);
	if (record->is_ready) answers_drain(connection);
}

void errand_advance(struct record *record) {
	advance(record);
	if (record->is_ready) errand_done(record);
}

bool errands_poll(struct server_worker *worker) {
	struct record *record = worker->turn->errands;
	worker->turn->errands = NULL;
	while (record != NULL) {
		struct record *next = record->next_errand;
		errand_advance(record);
		record = next;
	}
	for (record = worker->turn->errands; record != NULL; record = record->next_errand)
		if (is_visiting(record)) return true;
	return false;
}
