/* server/tls/tls_layer.c: lists, and memory. See server/tls/tls_layer.h.
 *
 * MEMORY. What OpenSSL holds for all streams of a worker, and some more, for one call may take that
 * much before it is charged, is borrowed from its connection memory, chunk by chunk. What is kept, and
 * what goes out, lies in cells. */
#include "server/tls/tls_layer.h"

#include "base/assert.h"
#include "base/bits.h"

#include <string.h>

/* ------------------------------------------------------------------ lists ------------------ */

void tls_list_put(struct tls_list *list, enum tls_link_kind kind, struct tls_stream *stream) {
	struct tls_link *link = &stream->link[kind];
	SNUG_ASSERT(link->list == NULL);
	*link = (struct tls_link){.list = list, .previous = list->last};
	if (list->last != NULL)
		list->last->link[kind].next = stream;
	else
		list->first = stream;
	list->last = stream;
	list->count++;
}

void tls_list_drop(enum tls_link_kind kind, struct tls_stream *stream) {
	struct tls_link *link = &stream->link[kind];
	struct tls_list *list = link->list;
	if (list == NULL) return;
	if (link->next != NULL)
		link->next->link[kind].previous = link->previous;
	else
		list->last = link->previous;
	if (link->previous != NULL)
		link->previous->link[kind].next = link->next;
	else
		list->first = link->next;
	list->count--;
	*link = (struct tls_link){0};
}

void tls_mark_pending(struct tls_stream *stream) {
	if (stream->link[LINK_PENDING].list == NULL)
		tls_list_put(&stream->layer->pending, LINK_PENDING, stream);
}

void tls_break(struct tls_stream *stream) {
	if (stream->stage == STAGE_FAILED || stream->stage == STAGE_CLOSING) return;
	stream->stage = STAGE_FAILED;
	stream->is_waited_for = false;
	tls_mark_pending(stream);
}

/* ------------------------------------------------------------------ OpenSSL's memory ------- */

/* New connections are let in as long as there is anything, as they are without TLS; what was begun has
 * the reserve, but for its last half. */
static enum cell_right right_of(const struct tls_stream *stream) {
	return tls_is_handshaking(stream) ? CELLS_LAST : CELLS_RESERVED;
}

static bool fits_budget(struct tls_layer *layer, enum cell_right right) {
	struct connection_memory *memory = &layer->buffers->memory;
	uint64_t bytes = layer->held_bytes > 0 ? layer->held_bytes + CHUNK_BYTES : 0;
	uint32_t wanted = (uint32_t)((bytes + CHUNK_BYTES - 1) / CHUNK_BYTES);
	for (; layer->chunks < wanted; layer->chunks++)
		if (!connection_memory_borrow(memory, 1, right)) return false;
	/* one more is kept, so that what comes and goes does not change it each time */
	uint32_t kept = wanted > 0 ? wanted + 1 : 0;
	for (; layer->chunks > kept; layer->chunks--) connection_memory_repay(memory, 1);
	return true;
}

static void note_held(struct tls_stream *stream, int64_t before_bytes, int64_t bytes) {
	struct tls_layer *layer = stream->layer;
	layer->held_bytes += (uint64_t)(bytes - before_bytes);
	if (tls_is_handshaking(stream)) layer->handshake_bytes += (uint64_t)(bytes - before_bytes);
	layer->counts->memory_bytes = layer->held_bytes;
}

void tls_charge(struct tls_stream *stream, int64_t before_bytes) {
	if (stream->session.held_bytes == before_bytes) return;
	note_held(stream, before_bytes, stream->session.held_bytes);
	if (fits_budget(stream->layer, right_of(stream))) return;
	stream->is_starved = true;
	tls_mark_pending(stream);
}

static void discharge(struct tls_stream *stream) {
	note_held(stream, stream->session.held_bytes, 0);
	bool fits = fits_budget(stream->layer, CELLS_RESERVED);
	(void)fits; /* it has become less */
}

/* ------------------------------------------------------------------ records that wait ------ */

static bool make_room(struct tls_stream *stream, uint32_t bytes) {
	struct buffers *buffers = stream->layer->buffers;
	if (bytes <= stream->kept_room) {
		memmove(stream->kept, stream->kept + stream->kept_at, stream->kept_bytes);
		stream->kept_at = 0;
		return true;
	}
	uint32_t room = bytes;
	char *kept = buffers_take_input(buffers, &room, right_of(stream));
	if (kept == NULL) return false;
	if (stream->kept_bytes > 0) memcpy(kept, stream->kept + stream->kept_at, stream->kept_bytes);
	if (stream->kept_room > 0) buffers_give_input(buffers, stream->kept, stream->kept_room);
	stream->kept = kept;
	stream->kept_room = room;
	stream->kept_at = 0;
	return true;
}

bool tls_keep(struct tls_stream *stream, const char *bytes, size_t length) {
	if (length > KEPT_BYTES_MAX - stream->kept_bytes) return false;
	uint32_t wanted = stream->kept_bytes + (uint32_t)length;
	if (stream->kept_at + wanted > stream->kept_room && !make_room(stream, wanted)) return false;
	memcpy(stream->kept + stream->kept_at + stream->kept_bytes, bytes, length);
	stream->kept_bytes = wanted;
	return true;
}

void tls_keep_nothing(struct tls_stream *stream) {
	if (stream->kept_room > 0)
		buffers_give_input(stream->layer->buffers, stream->kept, stream->kept_room);
	stream->kept = NULL;
	stream->kept_at = stream->kept_bytes = stream->kept_room = 0;
}

/* ------------------------------------------------------------------ records on their way --- */

/* Room for several records only while memory is not short: the reserve is for one at a time. */
static void take_out(struct tls_stream *stream, size_t length) {
	struct buffers *buffers = stream->layer->buffers;
	uint32_t room = (uint32_t)length;
	if (stream->out_wanted > length) {
		room = stream->out_wanted;
		enum cell_right right = room > TLS_RECORD_BYTES ? CELLS_SHARED : right_of(stream);
		stream->out = buffers_take_input(buffers, &room, right);
	}
	if (stream->out == NULL) {
		room = (uint32_t)length;
		stream->out = buffers_take_input(buffers, &room, right_of(stream));
	}
	if (stream->out != NULL)
		stream->out_room = room;
	else
		stream->layer->lacks_memory = true;
}

size_t tls_put(void *context, const char *bytes, size_t length) {
	struct tls_stream *stream = context;
	if (stream->is_kernels) return 0;
	if (stream->out == NULL) take_out(stream, length);
	if (stream->out == NULL) return 0;
	uint32_t part = (uint32_t)smaller(length, stream->out_room - stream->out_end);
	memcpy(stream->out + stream->out_end, bytes, part);
	stream->out_end += part;
	return part;
}

void tls_give_out(struct tls_stream *stream) {
	if (stream->out_room > 0)
		buffers_give_input(stream->layer->buffers, stream->out, stream->out_room);
	stream->out = NULL;
	stream->out_begin = stream->out_end = stream->out_sending = stream->out_room = 0;
}

/* ------------------------------------------------------------------ the end ---------------- */

void tls_release(struct tls_stream *stream) {
	tls_keep_nothing(stream);
	tls_give_out(stream);
	discharge(stream);
	tls_session_end(&stream->session);
}
