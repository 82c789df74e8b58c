/* server/connection/connection_output.c: bytes out: blocks and leased values, in order.
 *
 *     first_out -> [block: END, VALUE a 0 5 ..] -> [lease: VALUE k 0 100000, extents, \r\n END] -> ..
 *     block        begin ........ sending ........ end
 *                  is being sent  |  queued behind it meanwhile
 *     lease        its record: [head][tail][pieces of a send][window of extents]
 *
 * What is queued in a turn goes in one send, as far as PIECES reach; with a leased value, LEASE_PIECES,
 * which stand in its record. While a send is under way more may be queued behind it; a block knows how
 * far it is being sent. A leased value is sent window by window, and given back to its owner when the
 * last byte has gone. Its head and its tail stand in its record: so who does not read holds no blocks
 * for them.
 *
 * Bytes that are being sent are not moved and not given back: the kernel may look at them until the
 * io says that they have gone, or that it has let go of the stream. */
#include "base/assert.h"
#include "base/bits.h"
#include "server/connection/connection.h"

#include <string.h>

/* ------------------------------------------------------------------ queue ------------------ */

static void append(struct connection *connection, struct out *out) {
	out->next = NULL;
	if (connection->last_out == NULL)
		connection->first_out = out;
	else
		connection->last_out->next = out;
	connection->last_out = out;
	connection_mark_dirty(connection);
}

static void drop_first(struct connection *connection) {
	struct out *out = connection->first_out;
	connection->first_out = out->next;
	if (connection->first_out == NULL) connection->last_out = NULL;
}

static struct block *block_of(struct out *out) {
	SNUG_ASSERT(!out->is_lease);
	return (struct block *)out;
}

static struct record *lease_of(struct out *out) {
	SNUG_ASSERT(out->is_lease);
	return (struct record *)out;
}

static uint64_t lease_left(const struct record *record) {
	return record->request.operation.lease.value_bytes - record->lease_offset;
}

static void give_block(struct connection *connection, void *block) {
	SNUG_ASSERT(connection->blocks > 0);
	connection->blocks--;
	connection_cell_give(&turn_of(connection)->buffers.memory, CELL_BLOCK, block);
}

static struct block *append_block(struct connection *connection) {
	struct turn *turn = turn_of(connection);
	struct block *block = connection_cell_take(
		&turn->buffers.memory, CELL_BLOCK, connection_right(connection->blocks < ANSWER_BLOCKS));
	if (block == NULL) return NULL;
	connection->blocks++;
	block->out.is_lease = false;
	block->begin = block->end = block->sending = 0;
	append(connection, &block->out);
	return block;
}

char *output_room(struct connection *connection, uint32_t bytes) {
	struct out *last = connection->last_out;
	SNUG_ASSERT(bytes <= BLOCK_ROOM);
	struct block *block = last == NULL || last->is_lease ? NULL : block_of(last);
	if (block == NULL || BLOCK_ROOM - block->end < bytes) block = append_block(connection);
	if (block == NULL) {
		connection_close_for_memory(connection);
		return NULL;
	}
	return block->bytes + block->end;
}

void output_wrote(struct connection *connection, uint32_t bytes) {
	SNUG_ASSERT(bytes <= BLOCK_ROOM - block_of(connection->last_out)->end);
	block_of(connection->last_out)->end += bytes;
	connection->output_bytes += bytes;
	if (UNLIKELY(!connection->is_dirty)) connection_mark_dirty(connection);
}

bool output_append(struct connection *connection, const char *bytes, size_t length) {
	while (length > 0) {
		struct out *last = connection->last_out;
		uint32_t room = last == NULL || last->is_lease ? 0 : BLOCK_ROOM - block_of(last)->end;
		if (room == 0) room = BLOCK_ROOM;
		uint32_t part = length < room ? (uint32_t)length : room;
		char *to = output_room(connection, part);
		if (to == NULL) return false;
		memcpy(to, bytes, part);
		output_wrote(connection, part);
		bytes += part;
		length -= part;
	}
	return true;
}

/* The tail of the leased value before goes in one piece with this head, if it is not being sent: a send
 * of several values has a piece less for each. Tells its length. */
static size_t take_tail(const struct connection *connection, char *head, size_t head_bytes) {
	struct out *last = connection->last_out;
	if (last == NULL || !last->is_lease) return 0;
	struct record *before = lease_of(last);
	if (before->sending_bytes > 0 || lease_left(before) == 0) return 0;
	size_t tail_bytes = before->tail_bytes;
	memmove(head + tail_bytes, head, head_bytes);
	memcpy(head, before->bytes + LEASE_TAIL_AT, tail_bytes);
	before->tail_bytes = 0;
	return tail_bytes;
}

void output_append_lease(struct connection *connection, struct record *record, size_t head_bytes,
						 struct answer_tail tail) {
	SNUG_ASSERT(record->connection == connection && record->request.operation.lease.ref != 0);
	SNUG_ASSERT(head_bytes <= ANSWER_BYTES_MAX && tail.length <= ANSWER_TAIL_BYTES);
	head_bytes += take_tail(connection, record->bytes, head_bytes);
	record_pass(record, RECORD_HELD, RECORD_OUTPUT);
	record->text_bytes = (uint32_t)head_bytes;
	record->tail_bytes = (uint8_t)tail.length;
	memcpy(record->bytes + LEASE_TAIL_AT, tail.text, ANSWER_TAIL_BYTES);
	record->out.is_lease = true;
	record->lease_offset = 0;
	record->window_at = 0;
	record->sending_bytes = 0;
	connection->output_bytes += COPY_BYTES_MAX;
	connection->leased_bytes += record->request.operation.lease.value_bytes;
	turn_of(connection)->leased_bytes += record->request.operation.lease.value_bytes;
	append(connection, &record->out);
}

/* ------------------------------------------------------------------ leased values ---------- */

/* The next extents, if all of the last ones have gone. */
static void want_window(struct record *record) {
	SNUG_ASSERT(record->owner == RECORD_OUTPUT);
	if (record->is_away || lease_left(record) == 0 ||
		record->window_at < record->request.window_count)
		return;
	record->request.kind = REQUEST_WINDOW;
	record->request.window_offset = record->lease_offset;
	record->window_at = 0;
	record->request.window_count = 0;
	(void)turn_request(record->connection->worker, record);
}

/* ------------------------------------------------------------------ sending ---------------- */

/* What goes in one send. */
struct gathered {
	struct iovec *pieces;
	size_t count, most;
	uint64_t bytes;
};

static bool is_full(const struct gathered *gathered) {
	return gathered->count == gathered->most || gathered->bytes >= LEASE_SEND_BYTES;
}

static void add_piece(struct gathered *gathered, void *bytes, size_t length) {
	gathered->pieces[gathered->count++] = (struct iovec){bytes, length};
	gathered->bytes += length;
}

/* With a leased value there are more pieces than a connection has room for. They stand in its record,
 * behind its head and tail; it is there until all of them have gone. */
static struct gathered room_for_pieces(struct connection *connection) {
	struct out *out = connection->first_out;
	while (out != NULL && !out->is_lease) out = out->next;
	if (LIKELY(out == NULL)) return (struct gathered){.pieces = connection->pieces, .most = PIECES};
	char *room = lease_of(out)->bytes + LEASE_PIECES_AT;
	return (struct gathered){.pieces = (struct iovec *)(void *)room, .most = LEASE_PIECES};
}

/* The pieces of a lease that there are, with its head and its tail; tells whether all of it is among
 * them. */
static bool gather_lease(struct record *record, struct gathered *gathered) {
	want_window(record);
	if (record->is_away) return false;
	const struct request *request = &record->request;
	uint64_t before_bytes = gathered->bytes, all_bytes = record->text_bytes + lease_left(record);
	if (record->text_bytes > 0) add_piece(gathered, record->bytes, record->text_bytes);
	for (; record->window_at < request->window_count && !is_full(gathered); record->window_at++) {
		const snug_extent *extent = &record->window[record->window_at];
		add_piece(gathered, extent->data, extent->length);
	}
	bool is_whole = gathered->bytes - before_bytes == all_bytes;
	if (is_whole && record->tail_bytes > 0) {
		is_whole = gathered->count < gathered->most;
		if (is_whole) add_piece(gathered, record->bytes + LEASE_TAIL_AT, record->tail_bytes);
	}
	record->sending_bytes = (uint32_t)(gathered->bytes - before_bytes);
	return is_whole;
}

static struct gathered gather(struct connection *connection) {
	struct gathered gathered = room_for_pieces(connection);
	for (struct out *out = connection->first_out; out != NULL && !is_full(&gathered);
		 out = out->next) {
		if (out->is_lease) {
			if (!gather_lease(lease_of(out), &gathered)) break;
			continue;
		}
		struct block *block = block_of(out);
		block->sending = block->end;
		if (block->end > block->begin)
			add_piece(&gathered, block->bytes + block->begin, block->end - block->begin);
	}
	return gathered;
}

/* Tells whether what comes behind it may have gone too. One in which nothing was said may stand before
 * a leased value, and goes with it. */
static bool block_sent(struct connection *connection, struct block *block) {
	uint32_t bytes = block->sending - block->begin;
	SNUG_ASSERT(bytes <= connection->output_bytes && block->sending <= block->end);
	connection->output_bytes -= bytes;
	connection->worker->connections.written_bytes += bytes;
	block->begin = block->sending;
	if (block->begin < block->end) return false;
	drop_first(connection);
	give_block(connection, block);
	return true;
}

static bool lease_sent(struct connection *connection, struct record *record) {
	uint32_t bytes = record->sending_bytes;
	if (bytes == 0) return false;
	SNUG_ASSERT(bytes >= record->text_bytes);
	connection->worker->connections.written_bytes += bytes;
	bytes -= record->text_bytes;
	record->sending_bytes = record->text_bytes = 0;
	uint32_t value_bytes = (uint32_t)smaller(bytes, lease_left(record));
	SNUG_ASSERT(value_bytes <= connection->leased_bytes);
	SNUG_ASSERT(bytes == value_bytes || bytes == value_bytes + record->tail_bytes);
	record->lease_offset += value_bytes;
	connection->leased_bytes -= value_bytes;
	turn_of(connection)->leased_bytes -= value_bytes;
	if (bytes > value_bytes) record->tail_bytes = 0;
	if (record->tail_bytes > 0 || lease_left(record) > 0) return false;
	SNUG_ASSERT(!record->is_away && connection->output_bytes >= COPY_BYTES_MAX);
	connection->output_bytes -= COPY_BYTES_MAX;
	drop_first(connection);
	record_pass(record, RECORD_OUTPUT, RECORD_HELD);
	record_end(record);
	return true;
}

/* All pieces of the last send have gone: those of the blocks and leases at the front. */
static void pieces_sent(struct connection *connection) {
	bool goes_on = true;
	connection->progress_ns = turn_of(connection)->began_ns;
	connection->is_answered = true;
	while (goes_on && connection->first_out != NULL) {
		struct out *out = connection->first_out;
		if (out->is_lease)
			goes_on = lease_sent(connection, lease_of(out));
		else
			goes_on = block_sent(connection, block_of(out));
	}
}

/* Room that was taken for an answer, and then there was nothing to say. */
static bool drop_empty_block(struct connection *connection) {
	struct out *out = connection->first_out;
	if (out->is_lease || block_of(out)->begin < block_of(out)->end) return false;
	drop_first(connection);
	give_block(connection, out);
	return true;
}

/* Nothing goes on when what is being sent has gone: all that was asked is answered with it, and
 * nobody waits for the memory. */
static bool is_last_word(const struct connection *connection) {
	const struct out *out = connection->first_out;
	return out == connection->last_out && !out->is_lease && connection->first_answer == NULL &&
		   connection->input_state == INPUT_COMMANDS && connection->input_bytes == 0 &&
		   !connection->is_held && !connection->is_blocked && !connection->has_ended &&
		   turn_of(connection)->blocked == NULL;
}

void output_flush(struct connection *connection) {
	while (!connection->is_sending && !connection->is_closing && connection->first_out != NULL) {
		struct gathered gathered = gather(connection);
		if (gathered.count == 0) {
			if (!drop_empty_block(connection)) return;
			continue;
		}
		io_tell_late(&connection->stream, is_last_word(connection));
		if (!io_send(turn_of(connection)->io, &connection->stream, gathered.pieces,
					 gathered.count)) {
			connection->is_sending = true;
			connection->progress_ns = turn_of(connection)->began_ns;
			return;
		}
		pieces_sent(connection);
	}
}

void connection_sent(struct connection *connection) {
	SNUG_ASSERT(connection->is_sending && !connection->is_closing);
	connection->is_sending = false;
	connection->last_active_s = turn_of(connection)->now_s;
	pieces_sent(connection);
	connection_mark_dirty(connection);
}

void connection_sent_part(struct connection *connection) {
	SNUG_ASSERT(connection->is_sending && !connection->is_closing);
	connection->progress_ns = turn_of(connection)->began_ns;
	connection->last_active_s = turn_of(connection)->now_s;
}

void output_drop(struct connection *connection) {
	SNUG_ASSERT(!connection->is_sending);
	while (connection->first_out != NULL) {
		struct out *out = connection->first_out;
		drop_first(connection);
		if (!out->is_lease)
			give_block(connection, out);
		else
			record_drop(lease_of(out), RECORD_OUTPUT);
	}
	turn_of(connection)->leased_bytes -= connection->leased_bytes;
	connection->leased_bytes = connection->output_bytes = 0;
}
