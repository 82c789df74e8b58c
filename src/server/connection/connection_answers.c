/* server/connection/connection_answers.c: what is asked is answered in the order of the commands,
 * whoever answers it.
 *
 *     first_answer -> [away] -> [text, ready] -> [away] -> [ready]
 *                     nothing is said before the first one is ready
 *
 *     own key, nothing is waited for   executed, the answer goes straight into the output
 *     own key, some are waited for     executed, the answer waits in a record, with its value
 *     another's key                    a record with copies of all that the owner looks at
 *
 * VALUES up to COPY_BYTES_MAX are copied into the output. A larger one is pinned, and sent from
 * where it lies (connection_output.c); its record holds the lease.
 *
 * LISTS. What is asked with a list of keys is one answer to the client. If a value of it cannot be
 * had, the error is said in place of it and of all that would follow, END included: whoever reads
 * the error reads nothing more for that line. What was said before cannot be taken back. So each
 * answer knows its list, and a text how much of it is of the list that it began in. */
#include "base/assert.h"
#include "base/bits.h"
#include "server/connection/connection.h"
#include "server/errand/errand.h"
#include "server/protocol/answer.h"
#include "server/visit/visit.h"

#include <string.h>

#define ANSWER_ROOM (ANSWER_BYTES_MAX + ANSWER_TAIL_BYTES) /* in a block, for what has no value */

_Static_assert(RECORD_ROOM >= ANSWER_ROOM, "a record holds any answer without a value");
_Static_assert(sizeof(snug_extent) == sizeof(struct iovec), "extents are sent as they are");

/* What a record keeps of a command, whatever it is; the room that is left is for the value. */
#define REPLY_KEPT_BYTES_MAX (SHOWN_KEY_BYTES_MAX + OPAQUE_BYTES_MAX + SNUG_KEY_BYTES_MAX)
_Static_assert(RECORD_ROOM >= REPLY_KEPT_BYTES_MAX, "any command fits, its value aside");

/* ------------------------------------------------------------------ the list --------------- */

void answers_append(struct connection *connection, struct record *record) {
	SNUG_ASSERT(record->owner == RECORD_ANSWERS && record->connection == connection);
	record->next = NULL;
	if (connection->last_answer == NULL)
		connection->first_answer = record;
	else
		connection->last_answer->next = record;
	connection->last_answer = record;
}

void answers_drop(struct connection *connection) {
	struct record *record = connection->first_answer;
	connection->first_answer = connection->last_answer = NULL;
	while (record != NULL) {
		struct record *next = record->next;
		record_drop(record, RECORD_ANSWERS);
		record = next;
	}
}

/* ------------------------------------------------------------------ saying ----------------- */

/* For `bytes` more to be said after all that was asked before: the last answer, if it is a text
 * with room behind it, or a new one. NULL: there is no record; the connection is closed. */
static struct record *text_record(struct connection *connection, size_t bytes) {
	struct record *last = connection->last_answer;
	if (last->says == SAYS_TEXT && last->request.operation.lease.ref == 0 &&
		last->text_bytes + bytes <= RECORD_ROOM)
		return last;
	struct record *record = record_take(connection);
	if (record == NULL) {
		connection_close_for_memory(connection);
		return NULL;
	}
	record->says = SAYS_TEXT;
	record->is_ready = true;
	record_pass(record, RECORD_HELD, RECORD_ANSWERS);
	answers_append(connection, record);
	return record;
}

/* `length` bytes were put behind the record's text. */
static void record_wrote(struct record *record, size_t length) {
	bool goes_on = record->list != 0 && record->list == connection_list(record->connection);
	if (goes_on && record->list_bytes == record->text_bytes) record->list_bytes += (uint32_t)length;
	record->text_bytes += (uint32_t)length;
}

static void record_append(struct record *record, const char *text, size_t length) {
	memcpy(record->bytes + record->text_bytes, text, length);
	record_wrote(record, length);
}

/* What was said of the operation is an error: `*failed` is that list from now on. */
static void note_failure(uint64_t *failed, uint64_t list, const struct operation *operation) {
	if (UNLIKELY(operation->status == STATUS_NO_MEMORY) && list != 0) *failed = list;
}

void answers_say(struct connection *connection, const char *text, size_t length) {
	if (length == 0 || connection->is_closing) return;
	if (LIKELY(connection->first_answer == NULL)) {
		output_append(connection, text, length);
		return;
	}
	if (!SNUG_GUARD(length <= RECORD_ROOM)) {
		connection_close(connection);
		return;
	}
	struct record *record = text_record(connection, length);
	if (record != NULL) record_append(record, text, length);
}

void answers_say_line(struct connection *connection, const struct reply *reply, const char *line,
					  size_t length) {
	char out[ANSWER_LINE_BYTES];
	answers_say(connection, out, answer_line(reply, line, length, out));
}

/* Into the output: a head that lies in a block's room already, a value and a tail behind it. They go
 * into that block, if they fit there, which is nearly always. */
static void say_copied(struct connection *connection, char *head, size_t head_bytes,
					   const void *value, size_t value_bytes, struct answer_tail tail) {
	size_t bytes = head_bytes + value_bytes;
	if (LIKELY(bytes + ANSWER_TAIL_BYTES <= output_left(connection))) {
		memcpy(head + head_bytes, value, value_bytes);
		memcpy(head + bytes, tail.text, ANSWER_TAIL_BYTES);
		output_wrote(connection, (uint32_t)(bytes + tail.length));
		return;
	}
	output_wrote(connection, (uint32_t)head_bytes);
	if (output_append(connection, value, value_bytes))
		(void)output_append(connection, tail.text, tail.length);
}

/* As say_copied, of a value of the own shard that was just found; nothing in between takes memory
 * from the shard. */
static void say_own(struct connection *connection, const snug_item *item, char *head,
					size_t head_bytes, struct answer_tail tail) {
	snug_shard *shard = connection->worker->shard;
	snug_extent extent = {head, 0};
	size_t count = 1;
	if (LIKELY(item->value_bytes == 0 ||
			   snug_shard_view(shard, item, 0, item->value_bytes, &extent, &count) == SNUG_OK)) {
		say_copied(connection, head, head_bytes, extent.data, extent.length, tail);
		return;
	}
	output_wrote(connection, (uint32_t)head_bytes);
	char *to = output_room(connection, (uint32_t)item->value_bytes);
	if (to == NULL) return;
	if (snug_shard_read(shard, item, 0, to, item->value_bytes) != SNUG_OK) {
		connection_close(connection);
		return;
	}
	output_wrote(connection, (uint32_t)item->value_bytes);
	(void)output_append(connection, tail.text, tail.length);
}

/* The value stays where it is until it was sent. */
static bool lease_value(struct record *record, const snug_item *item) {
	struct server_worker *worker = record->connection->worker;
	struct request *request = &record->request;
	if (snug_shard_pin(worker->shard, item, &request->operation.lease) != SNUG_OK) return false;
	request->owner = worker->index;
	request->operation.status = STATUS_FOUND;
	record_lend_window(record);
	request_fill_window(worker->shard, request);
	return true;
}

/* A record that holds the value until it was sent. NULL: it cannot be held. */
static struct record *take_lease(struct connection *connection, const snug_item *item) {
	struct record *record = record_take(connection);
	if (record == NULL || lease_value(record, item)) return record;
	record_end(record);
	return NULL;
}

/* The head again, as words that say that there was no memory for the value. */
static size_t refuse_value(struct command *command, char *text, bool *has_value) {
	command->operation.status = STATUS_NO_MEMORY;
	return answer_head(&command->reply, &command->operation, text, has_value);
}

/* Of what is not copied, if the client wants it. */
static void say_large(struct connection *connection, struct command *command) {
	char head[ANSWER_BYTES_MAX];
	struct record *lease = NULL;
	bool has_value = false;
	size_t length = answer_head(&command->reply, &command->operation, head, &has_value);
	if (has_value) {
		lease = take_lease(connection, &command->operation.item);
		if (lease == NULL) length = refuse_value(command, head, &has_value);
	}
	struct answer_tail tail = answer_tail(&command->reply, &command->operation, has_value);
	note_failure(&connection->failed_list, connection_list(connection), &command->operation);
	if (LIKELY(lease != NULL)) {
		memcpy(lease->bytes, head, length);
		output_append_lease(connection, lease, length, tail);
	} else if (output_append(connection, head, length)) {
		(void)output_append(connection, tail.text, tail.length);
	}
}

static void say_now(struct connection *connection, struct command *command) {
	const snug_item *item = &command->operation.item;
	bool has_value = false;
	if (UNLIKELY(command->operation.status == STATUS_FOUND && item->value_bytes > COPY_BYTES_MAX)) {
		say_large(connection, command);
		return;
	}
	char *head = output_room(connection, ANSWER_ROOM);
	if (head == NULL) return;
	size_t length = answer_head(&command->reply, &command->operation, head, &has_value);
	struct answer_tail tail = answer_tail(&command->reply, &command->operation, has_value);
	if (length + tail.length == 0) return;
	note_failure(&connection->failed_list, connection_list(connection), &command->operation);
	if (has_value)
		say_own(connection, item, head, length, tail);
	else
		say_copied(connection, head, length, head, 0, tail);
}

/* The same into a record: with the value, or, if that is too large, with a lease on it. */
static void say_later(struct connection *connection, struct command *command) {
	const snug_item *item = &command->operation.item;
	char head[ANSWER_BYTES_MAX];
	bool has_value = false;
	size_t length = answer_head(&command->reply, &command->operation, head, &has_value);
	struct answer_tail tail = answer_tail(&command->reply, &command->operation, has_value);
	size_t value_bytes = has_value ? item->value_bytes : 0,
		   whole = length + value_bytes + tail.length;
	if (whole == 0) return;
	bool is_leased = has_value && whole > RECORD_ROOM;
	struct record *record = text_record(connection, is_leased ? RECORD_ROOM : whole);
	if (record == NULL) return;
	record->reply.value_end_bytes = command->reply.value_end_bytes; /* for a lease's tail */
	record->reply.ends_list = command->reply.ends_list;
	if (is_leased && !lease_value(record, item)) length = refuse_value(command, head, &has_value);
	note_failure(&connection->refused_list, connection_list(connection), &command->operation);
	record_append(record, head, length);
	if (is_leased) return;
	if (has_value) {
		request_copy_value(connection->worker->shard, item, record->bytes + record->text_bytes);
		record_wrote(record, value_bytes);
	}
	record_append(record, tail.text, tail.length);
}

/* ------------------------------------------------------------------ executing -------------- */

void answers_execute(struct connection *connection, struct command *command) {
	struct server_worker *worker = connection->worker;
	operation_execute(worker->shard, &command->operation, &worker->counts);
	connection_watch(connection, &command->reply, &command->operation);
	if (LIKELY(connection->first_answer == NULL))
		say_now(connection, command);
	else
		say_later(connection, command);
	operation_end(worker->shard, &command->operation);
}

/* Behind an answer that is waited for: one record holds all of it. */
static void say_read_later(struct connection *connection, const char *head, size_t head_bytes,
						   const char *value, size_t value_bytes, struct answer_tail tail) {
	/* connection_read.c: room_for */
	size_t whole = head_bytes + value_bytes + tail.length;
	if (!SNUG_GUARD(whole <= RECORD_ROOM)) {
		connection_close(connection);
		return;
	}
	struct record *record = text_record(connection, whole);
	if (record == NULL) return;
	record_append(record, head, head_bytes);
	record_append(record, value, value_bytes);
	record_append(record, tail.text, tail.length);
}

void answers_say_read(struct connection *connection, struct command *command, const char *value) {
	const struct operation *operation = &command->operation;
	char text[ANSWER_BYTES_MAX];
	bool has_value = false, waits = connection->first_answer != NULL;
	connection_watch(connection, &command->reply, operation);
	char *head = waits ? text : output_room(connection, ANSWER_ROOM);
	if (head == NULL) return;
	size_t length = answer_head(&command->reply, operation, head, &has_value);
	struct answer_tail tail = answer_tail(&command->reply, operation, has_value);
	size_t value_bytes = has_value ? operation->item.value_bytes : 0;
	if (length + tail.length == 0) return;
	if (waits)
		say_read_later(connection, head, length, value, value_bytes, tail);
	else
		say_copied(connection, head, length, value, value_bytes, tail);
}

/* Copies to the record the command's reply and operation, and what they refer to; the room that is
 * left is for the value. */
static void keep_command(struct record *record, const struct command *command) {
	const struct reply *reply = &command->reply;
	const snug_key *key = &command->operation.key;
	char *at = record->bytes;
	record->reply = *reply;
	operation_copy_asked(&record->request.operation, &command->operation);
	if (reply->shown_key_bytes > 0) memcpy(at, reply->shown_key, reply->shown_key_bytes);
	record->reply.shown_key = at;
	at += reply->shown_key_bytes;
	if (reply->opaque_bytes > 0) memcpy(at, reply->opaque, reply->opaque_bytes);
	record->reply.opaque = at;
	at += reply->opaque_bytes;
	if (key->bytes == reply->shown_key) {
		record->request.operation.key.bytes = record->reply.shown_key;
	} else {
		memcpy(at, key->bytes, key->length);
		record->request.operation.key.bytes = at;
		at += key->length;
	}
	bool needs_room = command->operation.kind != OPERATION_GET || reply->wants_value;
	record->request.room = needs_room ? at : NULL;
	record->request.room_bytes = (uint32_t)(record->bytes + RECORD_ROOM - at);
}

bool answers_fits_record(const struct command *command) {
	return REPLY_KEPT_BYTES_MAX + command->operation.value_bytes <= RECORD_ROOM;
}

struct record *record_for_command(struct connection *connection, const struct command *command,
								  uint32_t owner) {
	struct record *record = record_take(connection);
	if (record == NULL) {
		connection_close_for_memory(connection);
		return NULL;
	}
	keep_command(record, command);
	struct request *request = &record->request;
	request->kind = REQUEST_OPERATION;
	if (command->operation.kind == OPERATION_GET) record_lend_window(record);
	request->keeps_no_lease = false;
	request->value_in_room = false;
	request->owner = owner;
	return record;
}

void answers_request(struct connection *connection, const struct command *command, uint32_t owner,
					 bool is_mute) {
	struct record *record = record_for_command(connection, command, owner);
	if (record == NULL) return;
	struct operation *operation = &record->request.operation;
	if (operation->kind == OPERATION_STORE && operation->value_bytes > 0 &&
		operation->value != NULL) {
		memcpy(record->request.room, operation->value, operation->value_bytes);
		operation->value = record->request.room;
	}
	record->is_mute = is_mute;
	record_pass(record, RECORD_HELD, RECORD_ANSWERS);
	answers_append(connection, record);
	if (turn_request(connection->worker, record)) {
		record->is_ready = true;
		answers_drain(connection);
	} else {
		record->asked_ns = turn_of(connection)->asked_ns; /* measured when it comes back */
		turn_of(connection)->asked_ns = 0;
	}
}

/* ------------------------------------------------------------------ draining --------------- */

static bool is_passed_over(const struct connection *connection, const struct record *record) {
	return UNLIKELY(record->list != 0 && record->list == connection->failed_list);
}

/* The head takes the place of what the record has kept of the command. */
static bool say_leased(struct connection *connection, struct record *record) {
	const struct operation *operation = &record->request.operation;
	char head[ANSWER_BYTES_MAX];
	bool has_value = false;
	size_t length = answer_head(&record->reply, operation, head, &has_value);
	struct answer_tail tail = answer_tail(&record->reply, operation, has_value);
	if (has_value) {
		memcpy(record->bytes, head, length);
		output_append_lease(connection, record, length, tail);
	} else if (output_append(connection, head, length)) {
		(void)output_append(connection, tail.text, tail.length);
	}
	return has_value;
}

/* Into the output. Tells whether the record is still in use there. */
static bool say_answer(struct connection *connection, struct record *record) {
	const struct operation *operation = &record->request.operation;
	bool has_value = false;
	if (is_passed_over(connection, record)) return false;
	if (!record->is_mute) connection_watch(connection, &record->reply, operation);
	if (operation->lease.ref != 0 && operation->status == STATUS_FOUND && !record->is_mute)
		return say_leased(connection, record);
	char *head = record->is_mute ? NULL : output_room(connection, ANSWER_ROOM);
	if (head == NULL) return false;
	size_t length = answer_head(&record->reply, operation, head, &has_value);
	struct answer_tail tail = answer_tail(&record->reply, operation, has_value);
	if (length + tail.length == 0) return false;
	note_failure(&connection->failed_list, record->list, operation);
	size_t value_bytes = has_value ? operation->item.value_bytes : 0;
	if (SNUG_GUARD(record->request.value_in_room || value_bytes == 0))
		say_copied(connection, head, length, value_bytes > 0 ? record->request.room : head,
				   value_bytes, tail);
	else
		connection_close(connection); /* it could not be pinned */
	return false;
}

static bool say_text(struct connection *connection, struct record *record) {
	uint32_t passed_over_bytes = is_passed_over(connection, record) ? record->list_bytes : 0;
	const struct operation *operation = &record->request.operation;
	if (operation->lease.ref != 0 && passed_over_bytes == 0) {
		output_append_lease(connection, record, record->text_bytes,
							answer_tail(&record->reply, operation, true));
		return true;
	}
	output_append(connection, record->bytes + passed_over_bytes,
				  record->text_bytes - passed_over_bytes);
	return false;
}

/* Part of the answer was said: the rest comes in its place. False: nobody listens any more. */
static bool go_on(struct record *record) {
	struct connection *connection = record->connection;
	record->errand->has_part = record->is_ready = false;
	if (connection->is_closing) return false;
	record_pass(record, RECORD_HELD, RECORD_ANSWERS);
	record->next = connection->first_answer;
	connection->first_answer = record;
	if (record->next == NULL) connection->last_answer = record;
	errand_wait(turn_of(connection), record);
	return true;
}

/* Into the output, when all before it was said. Tells whether more of it is to come. */
static bool say_errand(struct record *record) {
	SNUG_ASSERT(record->owner == RECORD_HELD && record->is_ready && record->errand != NULL);
	struct connection *connection = record->connection;
	struct text text = {0};
	record->errand->answer(record->errand, &text);
	bool has_more = record->errand->has_part && !text.failed;
	bool is_over = record->errand->is_login &&
				   admission_answer(&connection->admission, record->errand->rights);
	if (record->errand->is_login) connection->user = record->errand->user;
	is_over |= record->errand->ends_asker;
	if (!has_more) {
		record->errand->destroy(record->errand);
		record->errand = NULL;
	}
	answer_lines(&record->reply, &text);
	if (text.failed)
		answers_say_line(connection, &record->reply, ERRAND_NO_MEMORY, sizeof ERRAND_NO_MEMORY - 1);
	else
		output_append(connection, text.bytes, text.length);
	text_deinit(&text);
	if (has_more) return go_on(record);
	if (connection->input_state != INPUT_ERRAND) return false;
	connection->input_state = is_over ? INPUT_OVER : INPUT_COMMANDS;
	connection->is_held = true; /* goes on with the next flush */
	connection_mark_dirty(connection);
	return false;
}

bool answers_lack_blocks(const struct connection *connection) {
	enum cell_right right = connection_right(connection->blocks == 0);
	return !cells_are_there(&turn_of(connection)->buffers.memory, 0, ANSWER_BLOCKS, right);
}

void answers_drain(struct connection *connection) {
	while (connection->first_answer != NULL && connection->first_answer->is_ready &&
		   !connection->is_closing && connection_takes_answers(connection)) {
		if (UNLIKELY(answers_lack_blocks(connection))) {
			connection_block(connection); /* which goes on by itself */
			return;
		}
		struct record *record = connection->first_answer;
		bool in_use = false;
		SNUG_ASSERT(record->connection == connection);
		connection->first_answer = record->next;
		if (record->next == NULL) connection->last_answer = NULL;
		record_pass(record, RECORD_ANSWERS, RECORD_HELD);
		if (record->says == SAYS_OPERATION)
			in_use = say_answer(connection, record);
		else if (record->says == SAYS_TEXT)
			in_use = say_text(connection, record);
		else
			in_use = say_errand(record);
		if (!in_use) record_end(record);
	}
	connection_mark_dirty(connection); /* it may go on, or be over */
}
