/* server/connection/connection_life.c: a connection begins with a socket that was accepted, and is
 * cleared when the io has let go of it.
 *
 *     accepted -> too many? a line, and closed -> a cell, and the io's stream -> on the worker's list
 *     closing  -> the io has let go: input, output and answers are dropped -> connection_reap
 *
 * What is away when it ends is not waited for: its record comes back by itself and is the last
 * thing that holds the connection (connection_record.c). */
#include "base/assert.h"
#include "base/bits.h"
#include "server/auth/auth.h"
#include "server/connection/connection.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

/* ------------------------------------------------------------------ begin ------------------ */

static bool turn_away(struct server_worker *worker, int fd, bool is_secured) {
	static const char sorry[] = "ERROR Too many open connections\r\n";
	uint32_t before =
		atomic_fetch_add_explicit(&worker->server->connection_count, 1, memory_order_relaxed);
	if (before < atomic_load_explicit(&worker->server->live.connections_max, memory_order_relaxed))
		return false;
	atomic_fetch_sub_explicit(&worker->server->connection_count, 1, memory_order_relaxed);
	worker->connections.rejected++;
	if (!is_secured) (void)!write(fd, sorry, sizeof sorry - 1);
	close(fd);
	return true;
}

static void link_in(struct server_worker *worker, struct connection *connection) {
	connection->next = worker->connection_list;
	if (connection->next != NULL) connection->next->previous = connection;
	worker->connection_list = connection;
}

static uint8_t first_speech(const struct settings *settings) {
	switch (settings->protocol) {
	case SETTINGS_PROTOCOL_TEXT:
		return SPEECH_TEXT_ALONE;
	case SETTINGS_PROTOCOL_BINARY:
		return SPEECH_BINARY_ALONE;
	case SETTINGS_PROTOCOL_AUTO:
		break;
	}
	return SPEECH_UNKNOWN;
}

static bool open_stream(struct connection *connection, int fd, enum settings_tls tls) {
	static const enum tls_clients clients[] = {
		[SETTINGS_TLS_AS_SET] = TLS_CLIENTS_AS_SET,
		[SETTINGS_TLS_UNASKED] = TLS_CLIENTS_UNASKED,
		[SETTINGS_TLS_CERTIFIED] = TLS_CLIENTS_CERTIFIED,
	};
	struct io *io = turn_of(connection)->io;
	return tls == SETTINGS_TLS_NONE ? io_open(io, &connection->stream, fd)
									: tls_io_open(io, &connection->stream, fd, clients[tls]);
}

void connection_begin(struct server_worker *worker, int fd, uint32_t tag) {
	int on = 1;
	enum settings_tls tls = listener_tag_tls(tag);
	if (turn_away(worker, fd, tls != SETTINGS_TLS_NONE)) return;
	if (listener_tag_kind(tag) == LISTENER_TCP)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	struct buffers *buffers = &worker->turn->buffers;
	struct connection *connection =
		connection_cell_take(&buffers->memory, CELL_CONNECTION, CELLS_LAST);
	if (connection != NULL) {
		memset(connection, 0, sizeof *connection);
		connection->worker = worker;
		connection->last_active_s = worker->turn->now_s;
		connection->begun_s = worker->turn->now_s;
		connection->number = ++worker->connections_begun;
		connection->parser.speech = first_speech(&worker->server->settings);
		admission_grant(&connection->admission,
						worker->server->auth != NULL ? 0 : AUTH_ITEM_RIGHTS);
		connection->is_open = open_stream(connection, fd, tls);
		if (!connection->is_open) {
			connection_cell_give(&buffers->memory, CELL_CONNECTION, connection);
			connection = NULL;
		}
	}
	if (connection == NULL) {
		atomic_fetch_sub_explicit(&worker->server->connection_count, 1, memory_order_relaxed);
		worker->connections.rejected++;
		worker->connections.rejected_memory++;
		close(fd);
		return;
	}
	link_in(worker, connection);
	worker->connections.current++;
	worker->connections.total++;
	if ((connection_watched_kinds(connection) & WATCH_CONNECTIONS) != 0)
		watch_connection_new(&worker->server->watchers, fd);
}

/* Where the name is no user's he is a stranger, and may still say who he is. */
void connection_certified(struct connection *connection, const char *name, size_t length) {
	struct auth *auth = connection->worker->server->auth;
	uint8_t rights = auth == NULL || length == 0 ? 0 : auth_certified(auth, name, length);
	connection->last_active_s = turn_of(connection)->now_s;
	if (rights == 0) return;
	admission_grant(&connection->admission, rights);
	connection->user = auth_names_number(auth_user_names(auth), name, length);
}

/* ------------------------------------------------------------------ end -------------------- */

void connection_closed(struct connection *connection) {
	SNUG_ASSERT(connection->is_closing && connection->is_open);
	connection->is_sending = false; /* the io has let go of all that was being sent */
	sink_drop(connection);
	output_drop(connection);
	answers_drop(connection);
	input_drop(connection);
	connection->is_open = false;
	connection_reap(connection);
}
