/* server/connection/connection_record.c: who owns a record, and how it changes hands.
 *
 * A record has one owner at a time, in its field `owner`: whoever that is has it on his list, and
 * hands it on or ends it. To be away is no change of hands: the request is lent to the worker that
 * owns the key, and the record stays whose it is; nobody ends it before it is back.
 *
 *     owner     who has it                away for                     goes on to
 *     --------------------------------------------------------------------------------------------
 *     HELD      the function at work      -                            whoever it is for, before
 *                                                                      that function returns
 *     ANSWERS   the connection's answers  its operation, or a visit    HELD, to be said, when all
 *                                                                      before it are said
 *     SINK      the connection's sink     the reservation, or a        ANSWERS: stored, or refused;
 *                                         window                       HELD: a wrong end
 *     OUTPUT    the connection's output   a window                     HELD: all of it has gone
 *     LEAVING   nobody: its own return    its lease's release, or      the end, when it is back
 *                                         what it was away for
 *
 *     HELD    -> ANSWERS, SINK, OUTPUT, or record_end
 *     ANSWERS -> HELD     SINK -> ANSWERS, HELD     OUTPUT -> HELD     when it is not away
 *     ANSWERS, SINK, OUTPUT -> LEAVING     the connection has gone, and it is away, or its errand
 *                                          is not ready
 *
 * record_end is the one end: it ends the errand, gives the lease, or the promise of one, back to
 * its owner, which may take a message and a return, and then the cell. */
#include "base/assert.h"
#include "server/connection/connection.h"
#include "server/visit/visit.h"

#include <string.h>

struct record *record_take(struct connection *connection) {
	struct turn *turn = turn_of(connection);
	struct record *record =
		buffers_take_record(&turn->buffers, connection_right(connection->records == 0));
	if (record == NULL) return NULL;
	record->connection = connection;
	record->next = NULL;
	record->owner = RECORD_HELD;
	record->says = SAYS_OPERATION;
	record->is_away = record->is_ready = record->is_mute = false;
	record->text_bytes = record->list_bytes = 0;
	record->list = connection_list(connection);
	record->errand = NULL;
	record->asked_ns = 0;
	record->request.operation.lease.ref = 0;
	record->request.promised_bytes = 0;
	record->request.is_unfinished = false;
#ifdef SNUG_DEBUG
	record->request.window = NULL; /* a lease without record_lend_window is seen */
#endif
	connection->records++;
	return record;
}

/* A lease, or the promise of one. */
static bool holds_of_shard(const struct record *record) {
	return record->request.operation.lease.ref != 0 || record->request.promised_bytes != 0;
}

/* May be the end of its connection. */
static void give(struct record *record) {
	struct connection *connection = record->connection;
	struct turn *turn = turn_of(connection);
	SNUG_ASSERT(record->owner == RECORD_LEAVING && !record->is_away);
	SNUG_ASSERT(record->errand == NULL && !holds_of_shard(record));
	SNUG_ASSERT(connection->records > 0);
	buffers_give_record(&turn->buffers, record);
	connection->records--;
	if (connection->is_held) connection_mark_dirty(connection);
	connection_reap(connection);
}

void record_end(struct record *record) {
	SNUG_ASSERT(record->owner == RECORD_HELD || record->owner == RECORD_LEAVING);
	SNUG_ASSERT(!record->is_away);
	record->owner = RECORD_LEAVING;
	if (record->errand != NULL) record->errand->destroy(record->errand);
	record->errand = NULL;
	if (holds_of_shard(record)) {
		record->request.kind = REQUEST_RELEASE;
		if (!turn_request(record->connection->worker, record)) return;
	}
	give(record);
}

void record_drop(struct record *record, enum record_owner owner) {
	bool is_under_way = record->is_away || (record->errand != NULL && !record->is_ready);
	SNUG_ASSERT(record->owner == owner);
	record->owner = RECORD_LEAVING;
	if (!is_under_way)
		record_end(record);
	else if (record->errand != NULL && record->errand->forget != NULL)
		record->errand->forget(record->errand);
}
