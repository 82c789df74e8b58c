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
 * What is left of a window of 4 KiB and more is offered to the io, which then receives into it. What
 * comes otherwise is copied to it; what comes while room or a window is waited for must be kept.
 *
 * The record of the sink becomes that of the answer. */
#include "base/assert.h"
#include "base/bits.h"
#include "server/connection/connection.h"
#include "server/protocol/answer.h"

#include <string.h>

#define OFFERED_BYTES_MIN 4096u

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
	if (turn_request(connection->worker, record)) reserve_answered(record);
}

static void begin_window(struct connection *connection, struct record *record) {
	SNUG_ASSERT(connection->sink == record && record->owner == RECORD_SINK && !record->is_away);
	record->window_at = 0;
	record->window_used = 0;
	connection->line_end_bytes = 0;
	connection->line_end_is_bad = false;
	connection->input_state = INPUT_FILL;
	if (record->request.window_bytes >= OFFERED_BYTES_MIN) io_offer_room(&connection->stream);
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

/* What is left of the window's next extent. */
static struct iovec next_room(const struct record *record) {
	const snug_extent *extent = &record->window[record->window_at];
	SNUG_ASSERT(record->window_at < record->request.window_count &&
				record->window_used < extent->length);
	SNUG_ASSERT(record->request.operation.lease.ref != 0);
	return (struct iovec){(char *)extent->data + record->window_used,
						  extent->length - record->window_used};
}

/* So many bytes of it are there. */
static void filled(struct record *record, size_t bytes) {
	record->window_used += (uint32_t)bytes;
	record->lease_offset += (uint32_t)bytes;
	SNUG_ASSERT(record->window_used <= record->window[record->window_at].length);
	if (record->window_used < record->window[record->window_at].length) return;
	record->window_at++;
	record->window_used = 0;
}

/* Tells how many bytes. */
static size_t fill(struct record *record, const char *bytes, size_t length) {
	struct iovec room = next_room(record);
	size_t part = smaller(length, room.iov_len);
	memcpy(room.iov_base, bytes, part);
	filled(record, part);
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
		if (record->window_at == record->request.window_count)
			want_window(connection, record);
		else if (taken == length)
			return taken;
		else
			taken += fill(record, bytes + taken, length - taken);
	}
	return taken;
}

size_t sink_room(const struct connection *connection, struct iovec *pieces, size_t most) {
	size_t count = 0;
	if (connection->input_state != INPUT_FILL || connection->input_bytes > 0 ||
		connection->is_closing)
		return 0;
	struct record *record = connection->sink;
	SNUG_ASSERT(record != NULL && record->owner == RECORD_SINK && !record->is_away);
	if (record->window_at == record->request.window_count) return 0; /* but its line end */
	pieces[count++] = next_room(record);
	for (uint32_t at = record->window_at + 1; at < record->request.window_count && count < most;
		 at++)
		pieces[count++] = (struct iovec){record->window[at].data, record->window[at].length};
	return count;
}

void sink_placed(struct connection *connection, size_t length) {
	struct record *record = connection->sink;
	SNUG_ASSERT(connection->input_state == INPUT_FILL && record != NULL && !record->is_away);
	while (length > 0) {
		size_t part = smaller(length, next_room(record).iov_len);
		filled(record, part);
		length -= part;
	}
	/* no more of the value: its end, which the binary protocol has none of; or the next window */
	(void)sink_take(connection, "", 0);
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
