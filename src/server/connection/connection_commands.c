/* server/connection/connection_commands.c: from bytes to commands to what is done about them.
 *
 *     bytes --parse, up to BATCH_COMMANDS--> batch --hash all, prefetch all--> carried out in order
 *             ends before one that needs more than its line: a value to come, an errand, quit
 *
 * A look-up costs cache misses more than anything else, so those of a batch overlap: the index
 * lines and items that it will touch are asked for all at once.
 *
 * A connection that gets blocked in the midst of a batch forgets what it has parsed ahead, and
 * parses it again when it goes on. A command that was carried out is never parsed again.
 *
 * A connection whose share of the turn is used up yields after the batch: half of a batch would
 * bring half as much at once from memory.
 *
 * Laws    - Nothing is carried out that cannot be answered: a record and blocks are there before.
 *         - A value is taken as a whole, from the input; or, where it is large or for another
 *           worker, by the sink (connection_sink.c).
 *         - Who is no operator is refused here (errand/errand_door.c). */
#include "base/bits.h"
#include "server/auth/auth.h"
#include "server/connection/connection.h"
#include "server/errand/errand.h"
#include "server/protocol/answer.h"

#include <string.h>

static const char bad_chunk[] = "CLIENT_ERROR bad data chunk\r\n";

/* ------------------------------------------------------------------ a batch ---------------- */

/* Where each command of the batch began, to begin there again. */
struct batch {
	uint32_t count;
	bool wants_more;      /* what comes next is no whole command */
	bool is_last_special; /* the last one is more than an operation or words */
	size_t at;            /* behind the last one */
	size_t begin[BATCH_COMMANDS];
	struct parser parser[BATCH_COMMANDS];
};

enum value_state { VALUE_THERE, VALUE_BAD, VALUE_TO_COME, VALUE_FOR_SINK };

/* The value of a storing command that begins at `bytes`. */
static enum value_state find_value(const struct connection *connection, struct command *command,
								   const char *bytes, size_t length) {
	struct operation *operation = &command->operation;
	size_t value_bytes = operation->value_bytes, end_bytes = command->reply.value_end_bytes;
	operation->lease.ref = 0;
	if (LIKELY(length >= value_bytes + end_bytes)) {
		operation->value = bytes;
		bytes += value_bytes;
		bool is_right = end_bytes == 0 || (bytes[0] == '\r' && bytes[1] == '\n');
		return is_right ? VALUE_THERE : VALUE_BAD;
	}
	return value_bytes <= DIRECT_BYTES_MAX && !connection->has_ended ? VALUE_TO_COME
																	 : VALUE_FOR_SINK;
}

static bool fits_message(const struct connection *connection, const struct command *command) {
	return request_owner(command->operation.key.hash, connection->worker->server->worker_count) ==
			   connection->worker->index ||
		   answers_fits_record(command);
}

/* Takes a storing command's value. False: not yet. */
static bool take_value(struct connection *connection, struct batch *batch, struct command *command,
					   const char *bytes, size_t length) {
	switch (find_value(connection, command, bytes, length)) {
	case VALUE_TO_COME:
		return false;
	case VALUE_BAD:
		command->kind = COMMAND_SAY;
		command->text = bad_chunk;
		command->text_bytes = answer_hides_errors(&command->reply) ? 0 : sizeof bad_chunk - 1;
		batch->at += command->operation.value_bytes + command->reply.value_end_bytes;
		return true;
	case VALUE_THERE:
		if (fits_message(connection, command)) {
			batch->at += command->operation.value_bytes + command->reply.value_end_bytes;
			return true;
		}
		break;
	case VALUE_FOR_SINK:
		break;
	}
	command->operation.value = NULL; /* by the sink */
	batch->is_last_special = true;
	return true;
}

static void hash_key(struct command *command) {
	const snug_key *key = &command->operation.key;
	command->operation.key.hash = snug_shard_key(key->bytes, key->length).hash;
}

/* What the client may not have becomes words. False: more is to come. */
static bool admit(struct connection *connection, struct batch *batch, struct command *command,
				  const char *bytes, size_t length) {
	bool has_users = connection->worker->server->auth != NULL;
	size_t used = 0;
	enum admission_verdict verdict = admission_look(&connection->admission, has_users, command,
													turn_of(connection)->decoded[batch->count],
													bytes + batch->at, length - batch->at, &used);
	batch->at += used;
	if (verdict == ADMISSION_REFUSED && command->is_listed && !command->reply.ends_list)
		connection->parser.is_broken = true;
	return verdict != ADMISSION_WAITS;
}

/* The next command into the batch. False: there is none. */
static bool parse_one(struct connection *connection, struct batch *batch, const char *bytes,
					  size_t length) {
	struct turn *turn = turn_of(connection);
	struct command *command = &turn->batch[batch->count];
	struct parser before = connection->parser;
	size_t used = 0, begin = batch->at;
	bool whole = parser_next(&connection->parser, bytes + batch->at, length - batch->at,
							 connection->worker->server->settings.item_max_bytes,
							 turn->decoded[batch->count], command, &used);
	batch->at += used;
	if (!whole) return false;
	if (UNLIKELY(connection->admission.is_restricted))
		whole = admit(connection, batch, command, bytes, length);
	if (LIKELY(command->kind == COMMAND_OPERATION)) {
		hash_key(command);
		if (command->operation.kind != OPERATION_GET && connection_is_watched(connection))
			command->operation.options |= OPERATION_TELLS_BEFORE;
		if (command->operation.kind == OPERATION_STORE)
			whole = whole &&
					take_value(connection, batch, command, bytes + batch->at, length - batch->at);
	} else if (command->kind != COMMAND_SAY) {
		if (command->kind == COMMAND_LOGIN && !connection->admission.is_restricted)
			whole = admit(connection, batch, command, bytes, length);
		batch->is_last_special = whole;
	}
	if (!whole) {
		connection->parser = before;
		batch->at = begin;
		return false;
	}
	batch->begin[batch->count] = begin;
	batch->parser[batch->count++] = before;
	return true;
}

static void parse(struct connection *connection, struct batch *batch, size_t at, const char *bytes,
				  size_t length, uint32_t most) {
	batch->count = 0;
	batch->wants_more = batch->is_last_special = false;
	batch->at = at;
	while (batch->count < most && !batch->is_last_special && batch->at < length &&
		   !batch->wants_more)
		batch->wants_more = !parse_one(connection, batch, bytes, length);
}

static void prefetch(struct connection *connection, const struct batch *batch) {
	const struct server_worker *worker = connection->worker;
	const struct turn *turn = worker->turn;
	uint64_t hashes[BATCH_COMMANDS];
	struct batch_key others[BATCH_COMMANDS];
	size_t count = 0, other_count = 0;
	for (uint32_t i = 0; i < batch->count; i++) {
		if (turn->batch[i].kind != COMMAND_OPERATION) continue;
		uint64_t hash = turn->batch[i].operation.key.hash;
		uint32_t owner = request_owner(hash, worker->server->worker_count);
		if (owner == worker->index)
			hashes[count++] = hash;
		else if (turn->batch[i].operation.kind == OPERATION_GET)
			others[other_count++] = (struct batch_key){hash, owner};
	}
	if (count > 1) snug_shard_prefetch(worker->shard, hashes, count);
	if (other_count > 1) reads_prefetch(connection, others, other_count);
}

/* ------------------------------------------------------------------ what is done ----------- */

static void operate(struct connection *connection, struct command *command) {
	const struct server_worker *worker = connection->worker;
	uint32_t owner = request_owner(command->operation.key.hash, worker->server->worker_count);
	if (owner == worker->index)
		answers_execute(connection, command);
	else if (!reads_may_answer(connection, command) || !reads_answer(connection, command, owner))
		answers_request(connection, command, owner, false);
}

/* What the client thinks he has replaced goes. */
static void remove_item(struct connection *connection, struct command *command) {
	hash_key(command);
	struct operation *operation = &command->operation;
	const struct server_worker *worker = connection->worker;
	uint32_t owner = request_owner(operation->key.hash, worker->server->worker_count);
	if (owner == worker->index) {
		snug_error error = snug_shard_delete(worker->shard, &operation->key);
		(void)error; /* there may be none */
		return;
	}
	operation->kind = OPERATION_DELETE;
	operation->options = 0;
	operation->value_bytes = 0;
	command->reply.shown_key = operation->key.bytes;
	command->reply.shown_key_bytes = (uint32_t)operation->key.length;
	command->reply.flag_count = command->reply.opaque_bytes = 0;
	answers_request(connection, command, owner, true);
}

static void skip(struct connection *connection, struct command *command) {
	connection->input_state = INPUT_SKIP;
	connection->skip_bytes = command->skip_bytes;
	const char *text = command->text;
	size_t text_bytes = command->text_bytes;
	if (command->is_too_large) connection->worker->counts.store_too_large++;
	if (command->operation.key.length > 0) remove_item(connection, command);
	answers_say(connection, text, text_bytes);
}

_Static_assert(ERRAND_REFUSAL_ROOM <= ANSWER_LINE_BYTES && ANSWER_LINE_BYTES <= RECORD_ROOM,
			   "a record holds any refusal");

/* Clients that are no operators. */
static bool is_refused(struct connection *connection, const struct command *command) {
	char refusal[ERRAND_REFUSAL_ROOM];
	if ((connection->admission.rights & AUTH_OPERATE) != 0) return false;
	size_t length = errand_refusal(&connection->worker->server->settings, command, refusal);
	if (length > 0) answers_say_line(connection, &command->reply, refusal, length);
	return length > 0;
}

/* Tells whether the input goes on as before. */
static bool act(struct connection *connection, struct command *command) {
	switch ((enum command_kind)command->kind) {
	case COMMAND_OPERATION:
		if (command->operation.kind == OPERATION_STORE && command->operation.value == NULL) {
			sink_begin(connection, command);
			return false;
		}
		operate(connection, command);
		return true;
	case COMMAND_SAY:
		answers_say(connection, command->text, command->text_bytes);
		return true;
	case COMMAND_SAY_SKIP:
		skip(connection, command);
		return false;
	case COMMAND_CRAWLER:
	case COMMAND_MEMLIMIT:
	case COMMAND_REFRESH:
	case COMMAND_SHUTDOWN:
	case COMMAND_SNUG:
	case COMMAND_STATS:
	case COMMAND_VERBOSITY:
	case COMMAND_WATCH:
		if (is_refused(connection, command)) return true;
		answers_begin_errand(connection, command);
		return false;
	case COMMAND_LOGIN:
		connection->admission.login_begun = false;
		answers_begin_errand(connection, command);
		return false;
	case COMMAND_FLUSH:
		answers_begin_errand(connection, command);
		return false;
	case COMMAND_FAIL:
		connection->has_failed = true;
		answers_say(connection, command->text, command->text_bytes);
		connection->input_state = INPUT_OVER;
		return false;
	case COMMAND_QUIT:
		connection->input_state = INPUT_OVER;
		return false;
	}
	return true;
}

/* What is left of a list, after an error was said in place of it, is nothing. */
static void perform(struct connection *connection, struct command *command) {
	connection->is_listing = command->is_listed;
	uint64_t list = connection_list(connection);
	bool is_passed_over =
		list != 0 && (connection->failed_list == list || connection->refused_list == list);
	if (LIKELY(!is_passed_over)) (void)act(connection, command);
	connection->is_listing = false;
	connection->lists += command->ends_list || command->reply.ends_list;
}

/* What the sink receives takes as long as its client takes to send it, and is not measured. */
static void perform_measured(struct connection *connection, struct command *command) {
	struct turn *turn = turn_of(connection);
	turn->unmeasured = 0;
	if (command->kind != COMMAND_OPERATION ||
		(command->operation.kind == OPERATION_STORE && command->operation.value == NULL)) {
		perform(connection, command);
		return;
	}
	hot_keys_note(&turn->hot_keys, &command->operation);
	turn->asked_ns = turn->began_ns;
	perform(connection, command);
	if (turn->asked_ns != 0) note_latency(connection, &command->operation, turn->asked_ns);
	turn->asked_ns = 0;
}

/* ------------------------------------------------------------------ all of them ------------ */

static bool lacks_memory(const struct connection *connection, uint32_t commands) {
	return !buffers_are_there(&turn_of(connection)->buffers, commands, connection_right(false));
}

bool connection_lacks_memory(const struct connection *connection) {
	const struct record *next = connection->first_answer;
	return next != NULL && next->is_ready ? answers_lack_blocks(connection)
										  : lacks_memory(connection, 1);
}

/* There is no memory for the next command's record and answer now, but there will be: others give
 * theirs back, or the one that holds most is closed. */
static bool waits_for_memory(struct connection *connection) {
	if (LIKELY(!lacks_memory(connection, 1))) return false;
	connection_block(connection);
	return true;
}

/* How many commands may be taken in now; one that is another worker's, or whose value is sent from
 * where it lies, takes a record. */
static uint32_t room_for_commands(struct connection *connection) {
	if (!connection_has_room(connection)) return 0;
	uint32_t left = buffers_left(&turn_of(connection)->buffers.records, connection->records);
	if (UNLIKELY(left == 0)) connection_block(connection);
	return left < BATCH_COMMANDS ? left : BATCH_COMMANDS;
}

/* Keys of a list are found together, and cost less than a command each; the word behind their
 * answers is no command of its own. */
static void count_command(struct connection *connection, const struct command *command) {
	uint32_t cost = command->ends_list ? 0 : 1;
	if (!command->is_listed) {
		cost = TURN_KEYS;
		connection_count_single(connection);
	}
	connection->turn_keys -= cost < connection->turn_keys ? cost : connection->turn_keys;
}

/* Carries out the batch. Tells how many of its commands; fewer than all: the connection is blocked
 * or closed. */
static uint32_t carry_out(struct connection *connection, const struct batch *batch) {
	struct turn *turn = turn_of(connection);
	bool is_short = batch->count > 0 && lacks_memory(connection, batch->count);
	for (uint32_t i = 0; i < batch->count; i++) {
		if (i > 0 && !connection_takes_answers(connection)) return i;
		if (UNLIKELY(is_short) && waits_for_memory(connection)) return i;
		if (UNLIKELY(++turn->unmeasured >= LATENCY_SAMPLE))
			perform_measured(connection, &turn->batch[i]);
		else
			perform(connection, &turn->batch[i]);
		count_command(connection, &turn->batch[i]);
		if (UNLIKELY(connection->is_closing)) return i;
	}
	return batch->count;
}

size_t connection_commands(struct connection *connection, const char *bytes, size_t length) {
	struct batch batch;
	size_t at = 0;
	while (at < length && connection->input_state == INPUT_COMMANDS && !connection->is_closing) {
		uint32_t most = room_for_commands(connection);
		if (most == 0) {
			connection->is_held = true;
			break;
		}
		if (!connection_has_share(connection)) {
			connection_yield(connection);
			break;
		}
		connection->is_held = false;
		parse(connection, &batch, at, bytes, length, most);
		if (batch.count > 1) prefetch(connection, &batch);
		/* what others have used before is known to what is asked now */
		shard_take_hints(connection->worker->shard);
		uint32_t done = carry_out(connection, &batch);
		at = batch.at;
		if (UNLIKELY(done < batch.count)) {
			if (connection->is_closing) break;
			connection->is_held = true;
			at = batch.begin[done];
			connection->parser = batch.parser[done];
			break;
		} else if (batch.wants_more) {
			break;
		}
	}
	return at;
}
