/* server/connection/connection_outbox.c: requests on their way to the owners of their keys.
 *
 *     record -> own worker: served here and now
 *            -> another's:  turn->outbox[owner] --a batch a turn--> inbox ... replies -> connection_return.c
 *            -> own, but unfinished: turn->unfinished, some of them in each turn
 *
 * The turn (server_worker.c) sends what stands here, and takes what comes back. Who lends a record
 * has it on a list of his own meanwhile.
 *
 * WHAT IS AWAY. A connection's own reads must not overtake its requests. So each request that is
 * away is counted in a table of the worker's, by the key's hash and the connection, and a get that
 * meets a count is a request, too. Counts, because each ends with its own request: bits could be
 * cleared only when nothing is away, which never comes where a client always has something under
 * way. A table of all connections, because a small one would soon be full of one client's gets,
 * each of which is a request because of those before it. And a tag beside the count, which tells a
 * lone key in a place from others: without it one get in twenty-five was a request for nothing
 * (eight workers, pipelines, a tenth sets). */
#include "base/assert.h"
#include "server/connection/connection.h"

static bool asks_for_room(const struct request *request) {
	return request->kind == REQUEST_RESERVE ||
		   (request->kind == REQUEST_WINDOW && request->operation.kind == OPERATION_STORE);
}

/* A visit has no key, and its hash was set by nobody. */
static void note_key(const struct record *record, bool is_out) {
	const struct request *request = &record->request;
	if (request->kind == REQUEST_VISIT) return;
	uint32_t name = connection_away_name(record->connection, request->operation.key.hash);
	struct away_keys *keys = &turn_of(record->connection)->away_keys[name % AWAY_SLOTS];
	SNUG_ASSERT(is_out ? keys->count < UINT16_MAX : keys->count > 0);
	keys->count = (uint16_t)(is_out ? keys->count + 1 : keys->count - 1);
	keys->tags ^= (uint16_t)(name >> AWAY_TAG_SHIFT);
	SNUG_ASSERT(keys->count > 0 || keys->tags == 0);
}

bool turn_request(struct server_worker *worker, struct record *record) {
	struct turn *turn = worker->turn;
	struct request *request = &record->request;
	/* who lends it has it on his list */
	SNUG_ASSERT(record->owner != RECORD_HELD && !record->is_away);
	if (request->owner == worker->index) {
		requests_serve(worker->shard, worker->index, &worker->counts, &request, 1);
		return true;
	}
	record->is_away = true;
	record->next_away = NULL;
	struct outbox *outbox = &turn->outbox[request->owner];
	if (outbox->last == NULL)
		outbox->first = record;
	else
		outbox->last->next_away = record;
	outbox->last = record;
	turn->away++;
	record->connection->away++;
	note_key(record, true);
	turn->rooms_away += asks_for_room(request);
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

void outbox_note_back(struct turn *turn, const struct record *record) {
	struct connection *connection = record->connection;
	SNUG_ASSERT(turn->away > 0 && connection->away > 0);
	turn->away--;
	connection->away--;
	note_key(record, false);
	turn->rooms_away -= asks_for_room(&record->request);
}
