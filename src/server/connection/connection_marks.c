/* server/connection/connection_marks.c: what is only marked on a connection, and done later, in the
 * worker's turn.
 *
 *     dirty    has something to send, may go on, or may be over: flushed in this turn
 *     blocked  waits for memory or a record: connection_relief.c
 *     held     its share of the turn is used up: dirty, too, and goes on in the next turn
 *     closing  nothing is said or heard any more: the io lets go of it, then it is reaped
 *
 * Laws    - Nothing here calls up: whoever marks a connection still has it when the call returns,
 *           but for connection_reap, which is the one place that frees it.
 *         - It is freed when the io has let go of it, no record is its own, and it is on no
 *           list. */
#include "base/assert.h"
#include "base/bits.h"
#include "server/connection/connection.h"

void connection_mark_dirty(struct connection *connection) {
	if (connection->is_dirty || connection->is_closing) return;
	struct turn *turn = turn_of(connection);
	connection->is_dirty = true;
	connection->next_dirty = turn->dirty;
	turn->dirty = connection;
}

void connection_block(struct connection *connection) {
	struct turn *turn = turn_of(connection);
	if (connection->is_blocked) return;
	connection->is_blocked = true;
	connection->next_blocked = turn->blocked;
	turn->blocked = connection;
}

void connection_yield(struct connection *connection) {
	if (!connection->is_held) connection->worker->connections.yields++;
	connection->is_held = true;
	connection_mark_dirty(connection);
}

/* ------------------------------------------------------------------ the end ---------------- */

/* Why it is closed; what the client has not wished is an error. */
static enum close_reason reason_of(const struct connection *connection) {
	bool is_wished = connection->has_ended || connection->input_state == INPUT_OVER;
	if (connection->close_reason != CLOSE_ERROR) return (enum close_reason)connection->close_reason;
	return is_wished && !connection->has_failed ? CLOSE_NORMAL : CLOSE_ERROR;
}

void connection_close(struct connection *connection) {
	if (connection->is_closing) return;
	if ((connection_watched_kinds(connection) & WATCH_CONNECTIONS) != 0)
		watch_connection_close(&connection->worker->server->watchers, connection->stream.fd,
							   reason_of(connection));
	connection->is_closing = true;
	connection->input_state = INPUT_OVER;
	connection->worker->connections.current--;
	atomic_fetch_sub_explicit(&connection->worker->server->connection_count, 1,
							  memory_order_relaxed);
	io_close(turn_of(connection)->io, &connection->stream);
}

void connection_close_for_memory(struct connection *connection) {
	if (!connection->is_closing) connection->worker->connections.memory_closed++;
	connection_close(connection);
}

static void unlink_it(struct server_worker *worker, struct connection *connection) {
	if (connection->next != NULL) connection->next->previous = connection->previous;
	if (connection->previous != NULL)
		connection->previous->next = connection->next;
	else
		worker->connection_list = connection->next;
	if (UNLIKELY(worker->described == connection)) worker->described = connection->next;
}

void connection_reap(struct connection *connection) {
	if (LIKELY(connection->is_open) || connection->records > 0 || connection->is_dirty ||
		connection->is_blocked)
		return;
	SNUG_ASSERT(connection->is_closing && connection->first_answer == NULL &&
				connection->sink == NULL);
	SNUG_ASSERT(connection->first_out == NULL && connection->blocks == 0 &&
				connection->input_room == 0);
	unlink_it(connection->worker, connection);
	connection_cell_give(&turn_of(connection)->buffers.memory, CELL_CONNECTION, connection);
}
