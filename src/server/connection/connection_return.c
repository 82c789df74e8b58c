/* server/connection/connection_return.c: a request has come back: whoever owns its record goes on.
 * The table of owners is in connection_record.c. */
#include "base/assert.h"
#include "base/bits.h"
#include "server/connection/connection.h"

/* What was asked for the front of the answers can be said. */
static void answer_returned(struct record *record) {
	if (UNLIKELY(record->asked_ns != 0))
		note_latency(record->connection, &record->request.operation, record->asked_ns);
	record->is_ready = true;
	if (record->connection->first_answer == record) answers_drain(record->connection);
}

void record_returned(struct record *record) {
	struct connection *connection = record->connection;
	SNUG_ASSERT(record->is_away);
	record->is_away = false;
	if (record->errand != NULL) {
		errand_advance(record);
		return;
	}
	switch ((enum record_owner)record->owner) {
	case RECORD_ANSWERS:
		answer_returned(record);
		break;
	case RECORD_SINK:
		sink_returned(record);
		connection_resume(connection);
		break;
	case RECORD_OUTPUT:
		connection_mark_dirty(connection); /* the next window is there */
		break;
	case RECORD_LEAVING:
		record_end(record);
		break;
	case RECORD_HELD:
		SNUG_ASSERT(false); /* what is away was handed on before */
		break;
	}
}
