/* server/connection/connection_input.c: bytes in: what is taken at once, and what is kept.
 *
 *     received -> nothing kept: taken where the io has them; what is no whole command is kept
 *              -> some kept:    behind it, and then what can be taken of both
 *
 * Who takes the bytes depends on the state: commands (connection_commands.c), a large value
 * (connection_sink.c), bytes to be skipped, or nobody, while an answer is waited for.
 *
 * Laws    - What is kept is bounded: from INPUT_PAUSE_BYTES on nothing more is received, and the
 *           client's kernel makes him wait.
 *         - Nobody is closed for memory that others hold as long as what he has sent can be
 *           carried out instead of kept. */
#include "server/connection/connection.h"

#include "base/assert.h"
#include "base/bits.h"

#include <string.h>

#define INPUT_PAUSE_BYTES 32768u /* with so much waiting, a blocked connection receives no more */

void input_drop(struct connection *connection) {
	if (connection->input_room == 0) return;
	buffers_give_input(&turn_of(connection)->buffers, connection->input, connection->input_room);
	connection->input = NULL;
	connection->input_at = connection->input_bytes = connection->input_room = 0;
}

/* Takes what can be taken now; tells how many bytes. */
static size_t consume(struct connection *connection, const char *bytes, size_t length) {
	size_t at = 0;
	while (at < length) {
		size_t before = at;
		enum connection_input_state state = connection->input_state;
		switch (state) {
		case INPUT_COMMANDS:
			at += connection_commands(connection, bytes + at, length - at);
			break;
		case INPUT_SKIP: {
			uint64_t part =
				connection->skip_bytes < length - at ? connection->skip_bytes : length - at;
			connection->skip_bytes -= part;
			at += part;
			if (connection->skip_bytes == 0) connection->input_state = INPUT_COMMANDS;
			break;
		}
		case INPUT_FILL:
			at += sink_take(connection, bytes + at, length - at);
			break;
		case INPUT_WAIT:
		case INPUT_ERRAND:
			return at;
		case INPUT_OVER:
			return length;
		}
		if (at == before && connection->input_state == state) break;
	}
	return at;
}

/* A short command is kept as long as there is anything, and so is one for which somebody waits who
 * is known to read: to serve them is for us. Half lines, and what a crowd of strangers asks for,
 * must not take what is for those. */
static enum cell_right input_right(const struct connection *connection, size_t bytes) {
	if (bytes > RECORD_BYTES) return CELLS_SHARED;
	bool is_last =
		bytes <= CONNECTION_BYTES || (connection->is_known && connection_is_owed(connection));
	return is_last ? CELLS_LAST : CELLS_RESERVED;
}

/* Behind what there is; what has been taken makes room first. */
static bool ensure_input_room(struct connection *connection, size_t bytes) {
	struct buffers *buffers = &turn_of(connection)->buffers;
	if (connection->input_at + bytes <= connection->input_room) return true;
	if (bytes <= connection->input_room) {
		memmove(connection->input, connection->input + connection->input_at,
				connection->input_bytes);
		connection->input_at = 0;
		return true;
	}
	uint32_t room = (uint32_t)bytes;
	char *input = buffers_take_input(buffers, &room, input_right(connection, bytes));
	if (input == NULL) return false;
	if (connection->input_bytes > 0)
		memcpy(input, connection->input + connection->input_at, connection->input_bytes);
	uint32_t kept_bytes = connection->input_bytes;
	input_drop(connection);
	connection->input = input;
	connection->input_room = room;
	connection->input_bytes = kept_bytes;
	return true;
}

static bool append_input(struct connection *connection, const char *bytes, size_t length) {
	if (!ensure_input_room(connection, connection->input_bytes + length)) return false;
	memcpy(connection->input + connection->input_at + connection->input_bytes, bytes, length);
	connection->input_bytes += (uint32_t)length;
	return true;
}

/* Where there is no memory to keep what is more than a share, it is carried out at once: nobody is
 * closed for what others hold. */
static void take_directly(struct connection *connection, const char *bytes, size_t length) {
	size_t used = consume(connection, bytes, length);
	while (used < length && !connection->is_closing &&
		   !append_input(connection, bytes + used, length - used)) {
		if (connection_has_share(connection)) {
			connection_close_for_memory(connection);
			return;
		}
		connection_renew_share(connection);
		used += consume(connection, bytes + used, length - used);
	}
}

static void consume_input(struct connection *connection) {
	size_t used =
		consume(connection, connection->input + connection->input_at, connection->input_bytes);
	if (used == connection->input_bytes) {
		input_drop(connection);
		return;
	}
	connection->input_at += (uint32_t)used;
	connection->input_bytes -= (uint32_t)used;
}

/* The io brings up to 1 MiB after it was held, and a chunk is kept for what is more than half of
 * one. Of a small memory the half. */
#define HOLD_BYTES (64u * CHUNK_BYTES)

/* A large value waits for its room at its owner, and the bytes that come meanwhile are to be kept.
 * Where memory runs out for that, they wait in the kernel: owners answer soon, and without any
 * input. Where nobody waits for room, only input could give memory back, and so it is taken.
 * Whatever else is away does not hold it: with many who pipeline something always is, and whoever
 * is new would wait for all of them. */
void connection_hold_input(struct turn *turn) {
	const struct buffers *buffers = &turn->buffers;
	bool waits = turn->rooms_away > 0 || turn->unfinished != NULL;
	uint64_t needed_bytes = smaller(HOLD_BYTES, buffers_limit_bytes(buffers) / 2);
	bool holds = waits && connection_memory_left(&buffers->memory) < needed_bytes;
	if (holds == turn->holds_input) return;
	turn->holds_input = holds;
	if (holds)
		io_hold(turn->io);
	else
		io_release(turn->io);
}

/* Whoever sends faster than he is served waits in his own kernel; and so does who waits for memory,
 * where there is none to keep more. */
static void pause_or_resume(struct connection *connection) {
	bool is_full =
		connection->is_blocked && connection_memory_left(&turn_of(connection)->buffers.memory) == 0;
	bool pause = is_full || connection->input_bytes >= INPUT_PAUSE_BYTES;
	if (pause == connection->is_paused || connection->is_closing) return;
	connection->is_paused = pause;
	if (pause)
		io_pause(turn_of(connection)->io, &connection->stream);
	else
		io_resume(turn_of(connection)->io, &connection->stream);
}

static void note_heard(struct connection *connection, size_t length) {
	connection->last_active_s = connection->worker->turn->now_s;
	if (!connection->is_sending) connection->progress_ns = connection->worker->turn->began_ns;
	connection->is_known |=
		connection->is_answered && connection->first_out == NULL && !connection_is_owed(connection);
	connection->worker->connections.read_bytes += length;
}

void connection_placed(struct connection *connection, size_t length) {
	SNUG_ASSERT(connection->is_open && !connection->is_closing);
	note_heard(connection, length);
	sink_placed(connection, length);
}

void connection_received(struct connection *connection, const char *bytes, size_t length) {
	SNUG_ASSERT(connection->is_open);
	if (connection->is_closing) return;
	note_heard(connection, length);
	if (length == 0) {
		connection->has_ended = true;
		if (connection->input_bytes > 0) consume_input(connection);
		connection_mark_dirty(connection);
		return;
	}
	if (LIKELY(connection->input_bytes == 0)) {
		take_directly(connection, bytes, length);
	} else if (append_input(connection, bytes, length)) {
		consume_input(connection);
	} else {
		connection_close_for_memory(connection);
	}
	/* What comes after a pause may be the last that was held back. */
	if (UNLIKELY(connection->input_bytes > 0 || connection->is_paused)) pause_or_resume(connection);
	if (UNLIKELY(connection->input_bytes > 0)) connection_hold_input(turn_of(connection));
	if (connection->input_state == INPUT_OVER) connection_mark_dirty(connection);
}

void connection_resume(struct connection *connection) {
	if (connection->is_closing) return;
	answers_drain(connection); /* they may have waited for memory */
	if (connection->input_bytes > 0) consume_input(connection);
	pause_or_resume(connection);
	connection_mark_dirty(connection);
}
