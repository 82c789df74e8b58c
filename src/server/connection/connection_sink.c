/* server/connection/connection_sink.c: a large value in: received into where it will lie.
 *
 *     reserve (the owner) -> fill a window -> the next window (the owner) -> .. -> line end
 *            |                                                                       |
 *            no room: the answer says so,                 right: store (the owner) <-+
 *            the bytes are skipped                        wrong: release, "bad data chunk"
 *
 * So a value of many MiB takes no memory of the connection's, and is copied once. The old value is
 * there until the new one is stored: a client that goes in the midst of it leaves the old one.
 *
 * Where the owner is this worker and there is room at once, nothing keeps a value of 32 KiB and more:
 * the io may bring it in large parts. Otherwise what it brings meanwhile must be kept.
 *
 * The record of the sink becomes that of the answer. */
#include "base/assert.h"
#include "server/connection/connection.h"
#include "server/protocol/answer.h"

#include <string.h>

#define LARGE_BYTES 32768u

static void reserve_answered(struct record *record);

void sink_begin(struct connection *connection, const struct command *command) {
	uint32_t owner =
		request_owner(command->operation.key.hash, connection->worker->server->worker_count);
	struct record *record = record_for_command(connection, command, owner);
	if (record == NULL) return;
	SNUG_ASSERT(connection->sink == NULL);
	record_pass(record, RECORD_HELD, RECORD_SINK);
	record->request.kind = REQUEST_RESERVE;
	record_lend_window(record);
	record->request.rounds = 0;
	record->request.evict_bytes = 0;
	record->lease_offset = 0;
	connection->sink = record;
	connection->input_state = INPUT_WAIT;
	if (!turn_request(connection->worker, record)) return;
	bool is_large = record->request.operation.value_bytes >= LARGE_BYTES;
	if (is_large && !record->request.is_unfinished) io_take_much(&connection->stream);
	reserve_answered(record);
}

static void begin_window(struct connection *connection, struct record *record) {
	SNUG_ASSERT(connection->sink == record && record->owner == RECORD_SINK && !record->is_away);
	record->window_at = 0;
	record->window_used = 0;
	connection->line_end_bytes = 0;
	connection->line_end_is_bad = false;
	connection->input_state = INPUT_FILL;
}

/* The answer to a store that found no room; its bytes are skipped. */
static void refuse(struct connection *connection, struct record *record) {
	connection->sink = NULL;
	connection->input_state = INPUT_SKIP;
	connection->skip_bytes =
		(uint64_t)record->request.operation.value_bytes + record->reply.value_end_bytes;
	record_pass(record, RECORD_SINK, RECORD_ANSWERS);
	record->is_ready = true;
	answers_append(connection, record);
	answers_drain(connection);
}

static void reserve_answered(struct record *record) {
	struct connection *connection = record->connection;
	if (record->request.is_unfinished)
		turn_request_again(connection->worker, record);
	else if (record->request.operation.status == STATUS_STORED)
		begin_window(connection, record);
	else
		refuse(connection, record);
}

/* The value is there as a whole. */
static void store(struct connection *connection, struct record *record) {
	record->request.kind = REQUEST_OPERATION;
	SNUG_ASSERT(record->lease_offset == record->request.operation.lease.value_bytes);
	record_pass(record, RECORD_SINK, RECORD_ANSWERS);
	connection->sink = NULL;
	connection->input_state = INPUT_COMMANDS;
	answers_append(connection, record);
	if (turn_request(connection->worker, record)) {
		record->is_ready = true;
		answers_drain(connection);
	}
}

static size_t take_line_end(struct connection *connection, const char *bytes, size_t length) {
	struct record *record = connection->sink;
	size_t taken = 0;
	uint32_t end_bytes = record->reply.value_end_bytes;
	for (; taken < length && connection->line_end_bytes < end_bytes;
		 taken++, connection->line_end_bytes++)
		if (bytes[taken] != VALUE_END[connection->line_end_bytes])
			connection->line_end_is_bad = true;
	if (connection->line_end_bytes < end_bytes) return taken;
	if (!connection->line_end_is_bad) {
		store(connection, record);
		return taken;
	}
	static const char bad_chunk[] = "CLIENT_ERROR bad data chunk\r\n";
	bool is_quiet = answer_hides_errors(&record->reply);
	connection->sink = NULL;
	connection->input_state = INPUT_COMMANDS;
	record_pass(record, RECORD_SINK, RECORD_HELD);
	record_end(record);
	if (!is_quiet) answers_say(connection, bad_chunk, sizeof bad_chunk - 1);
	return taken;
}

/* Into the window's next extent; tells how many bytes. */
static size_t fill(struct record *record, const char *bytes, size_t length) {
	const snug_extent *extent = &record->window[record->window_at];
	SNUG_ASSERT(record->window_at < record->request.window_count &&
				record->window_used < extent->length);
	SNUG_ASSERT(record->request.operation.lease.ref != 0);
	size_t room = extent->length - record->window_used;
	size_t part = length < room ? length : room;
	memcpy((char *)extent->data + record->window_used, bytes, part);
	record->window_used += (uint32_t)part;
	record->lease_offset += (uint32_t)part;
	if (record->window_used == extent->length) {
		record->window_at++;
		record->window_used = 0;
	}
	return part;
}

static void want_window(struct connection *connection, struct record *record) {
	record->request.kind = REQUEST_WINDOW;
	record->request.window_offset = record->lease_offset;
	connection->input_state = INPUT_WAIT;
	if (turn_request(connection->worker, record)) begin_window(connection, record);
}

size_t sink_take(struct connection *connection, const char *bytes, size_t length) {
	struct record *record = connection->sink;
	size_t taken = 0;
	SNUG_ASSERT(record != NULL && record->owner == RECORD_SINK && !record->is_away);
	while (connection->input_state == INPUT_FILL) {
		if (record->lease_offset == record->request.operation.lease.value_bytes)
			return taken + take_line_end(connection, bytes + taken, length - taken);
		if (taken == length) return taken;
		if (record->window_at == record->request.window_count)
			want_window(connection, record);
		else
			taken += fill(record, bytes + taken, length - taken);
	}
	return taken;
}

void sink_returned(struct record *record) {
	struct connection *connection = record->connection;
	SNUG_ASSERT(connection->sink == record);
	if (connection->is_closing) return; /* sink_drop ends it, with the connection */
	if (record->request.kind == REQUEST_RESERVE)
		reserve_answered(record);
	else
		begin_window(connection, record);
}

void sink_drop(struct connection *connection) {
	struct record *record = connection->sink;
	connection->sink = NULL;
	if (record != NULL) record_drop(record, RECORD_SINK);
}
