/* server/connection/connection_read.c: keys of other workers that this one reads for itself.
 *
 * A get of another's key needs no message where it changes nothing: the item is copied from where
 * it lies, under a version that proves it (cache/shard/shard_read.h), and answered at once. What a
 * read changes is left to the owner, by a message as ever:
 *
 *     gat, touch, N, R, T             they change it
 *     h, l, t of mg                   they tell what is exact with the owner alone
 *     a CAS number that is not there  it is made for the asker
 *     what has expired, was flushed   it goes, and is counted
 *     a value above READ_BYTES_MAX, or in many pieces
 *
 * ORDER. A connection's commands about one key are carried out in their order: while a request of
 * it is away, its own reads pass over that key (told by the hash and the connection: seldom
 * another one, too). So a client sees what it wrote, and of two gets the second is never older.
 *
 * The owner is told of the use by hints (cache/shard/shard_hints.h), exactly where it is the first:
 * where no hint can be left he is asked. The get is counted here. */
#include "cache/shard/shard_state.h"
#include "server/connection/connection.h"

#define CHANGES                                                                       \
	((uint32_t)OPERATION_HAS_EXPTIME | OPERATION_HAS_VIVIFY | OPERATION_HAS_RECACHE | \
	 OPERATION_IS_TOUCH | OPERATION_TELLS_OLD_TTL | OPERATION_HAS_CAS_COMPARE |       \
	 OPERATION_HAS_CAS_NEW)

#define HEAD_ROOM 256u /* words, numbers and flags, but for the key and the opaque token */

/* Flags of mg that only the owner can answer. */
static bool asks_the_owner(const struct reply *reply) {
	for (uint32_t i = 0; i < reply->flag_count; i++)
		if (reply->flag[i] == 'h' || reply->flag[i] == 'l' || reply->flag[i] == 't') return true;
	return false;
}

bool reads_may_answer(const struct connection *connection, const struct command *command) {
	const struct operation *operation = &command->operation;
	if (operation->kind != OPERATION_GET || (operation->options & CHANGES) != 0) return false;
	if (connection_is_away(connection, operation->key.hash)) return false;
	return command->reply.flag_count == 0 || !asks_the_owner(&command->reply);
}

/* What was read is what the owner would have answered. */
static bool is_answer(const struct server_worker *worker, const struct command *command,
					  const struct shard_copy *copy) {
	uint32_t options = command->operation.options, marks = copy->head.marks;
	if (command->reply.wants_value && !copy->is_copied) return false;
	if ((marks & (MARK_STALE | MARK_WON)) != 0 && (options & OPERATION_NO_STALE) == 0) return false;
	if ((options & OPERATION_WANTS_CAS) != 0 && copy->head.cas == 0) return false;
	return copy->head.expires_at_s == 0 || (int64_t)copy->head.expires_at_s > worker->clock_s;
}

static void fill(struct operation *operation, const struct shard_copy *copy) {
	bool wants_cas = (operation->options & OPERATION_WANTS_CAS) != 0;
	operation->item = (snug_item){
		.attributes = {.client_flags = copy->head.client_flags,
					   .expires_at_s = copy->head.expires_at_s,
					   .cas = copy->head.cas},
		.value_bytes = copy->head.value_bytes,
	};
	operation->cas = wants_cas ? copy->head.cas : 0;
}

/* That it was used. False: it must be told, and can't. */
static bool tell_use(struct server_worker *worker, uint32_t owner,
					 const struct operation *operation, const struct shard_copy *copy) {
	struct hint_lots *lots = &worker->turn->lots;
	snug_shard *shard = worker->server->worker[owner].shard;
	struct hint_use use = {.hash = operation->key.hash,
						   .used_s = (uint32_t)worker->clock_s,
						   .is_first = (copy->head.marks & MARK_FETCHED) == 0};
	if ((operation->options & OPERATION_NO_USE) != 0) return true;
	struct hint *hint = hint_claim(shard, owner, lots, use.is_first);
	if (hint != NULL)
		hint_post(shard, hint, owner, lots, &use);
	else if (lots->skipped[owner] >= HINT_SKIPPED_MANY)
		lots->skipped[owner] = 0; /* and the owner is asked */
	else
		return !use.is_first;
	return hint != NULL;
}

/* As much of a value as can be said at once: behind a waiting answer a record holds all of it. */
static size_t room_for(const struct connection *connection, const struct command *command) {
	const struct reply *reply = &command->reply;
	if (!reply->wants_value) return 0;
	if (connection->first_answer == NULL) return READ_BYTES_MAX;
	return RECORD_ROOM - HEAD_ROOM - reply->shown_key_bytes - reply->opaque_bytes;
}

/* What was read, if that is what the owner would have answered. */
static enum look look(struct connection *connection, const struct command *command, uint32_t owner,
					  struct shard_copy *copy) {
	struct server_worker *worker = connection->worker;
	const struct operation *operation = &command->operation;
	enum look seen =
		shard_read(worker->server->worker[owner].shard, &operation->key, worker->clock_s,
				   worker->turn->read_value, room_for(connection, command), copy);
	if (seen != LOOK_FOUND) return seen;
	bool is_told = is_answer(worker, command, copy) && tell_use(worker, owner, operation, copy);
	return is_told ? LOOK_FOUND : LOOK_ASK;
}

bool reads_answer(struct connection *connection, struct command *command, uint32_t owner) {
	struct server_worker *worker = connection->worker;
	struct operation *operation = &command->operation;
	struct shard_copy copy;
	enum look seen = look(connection, command, owner, &copy);
	if (seen == LOOK_ASK) return false;
	operation->marks = 0;
	operation->status = seen == LOOK_FOUND ? STATUS_FOUND : STATUS_NOT_FOUND;
	operation_count_get(operation, &worker->counts);
	worker->connections.reads++;
	if (seen == LOOK_FOUND) fill(operation, &copy);
	answers_say_read(connection, command, worker->turn->read_value);
	return true;
}

void reads_prefetch(const struct connection *connection, const struct batch_key *keys,
					size_t count) {
	const struct server_worker *worker = connection->worker;
	const snug_shard *shards[BATCH_COMMANDS];
	uint64_t hashes[BATCH_COMMANDS];
	for (size_t i = 0; i < count; i++) {
		shards[i] = worker->server->worker[keys[i].owner].shard;
		hashes[i] = keys[i].hash;
	}
	shards_read_prefetch(shards, hashes, count);
}
