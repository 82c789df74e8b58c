/* server/tls/tls_io.c: the layer as an io. See server/tls/tls_io.h.
 *
 *     poll   the io's own, whose events come here; then those that are to be gone on with (pending):
 *            steps of handshakes, as many as a slice holds; then who is too late
 *     wait   the io's own, no longer than until somebody is too late; not at all while some are pending
 *
 * A stream's memory is given back when the io has let go of it, and then `closed` is told. */
#include "server/tls/tls_layer.h"

#include "base/assert.h"
#include "base/bits.h"
#include "os/threads.h"

#include <stdlib.h>

#define HANDSHAKES_MAX 512u
#define HANDSHAKES_SHARE 2u /* of all connections */
#define HANDSHAKES_MIN 8u
#define SEND_PARTS UINT64_C(4)
#define MEMORY_PAUSE_NS UINT64_C(1000000) /* until room for records is looked for again */

/* ------------------------------------------------------------------ what the io says ------- */

static void on_accepted(void *context, uint32_t tag, int fd) {
	struct tls_layer *layer = context;
	layer->io.events->accepted(layer->io.context, tag, fd);
}

static void on_received(void *context, struct io_stream *inner, const char *bytes, size_t length) {
	struct tls_layer *layer = context;
	if (!tls_io_is_secured(inner)) {
		layer->io.events->received(layer->io.context, inner, bytes, length);
		return;
	}
	struct tls_stream *stream = tls_stream_of_inner(inner);
	if (stream->stage == STAGE_OPEN) {
		if (length == 0)
			tls_tell_end(stream);
		else
			tls_receive(stream, bytes, length);
	} else if (tls_is_handshaking(stream)) {
		if (length == 0)
			tls_handshake_end(stream);
		else
			tls_handshake_receive(stream, bytes, length);
	}
}

/* Whether `sent` was told. */
static bool go_on_sending(struct tls_stream *stream) {
	struct tls_layer *layer = stream->layer;
	if (!tls_pump(stream) || !stream->is_waited_for) return false;
	stream->is_waited_for = false;
	layer->io.events->sent(layer->io.context, stream->outer);
	return true;
}

/* Of what the connection waits for: a handshake's records are not. */
static void tell_part(struct tls_stream *stream) {
	struct tls_layer *layer = stream->layer;
	if (stream->stage == STAGE_OPEN && stream->is_waited_for)
		layer->io.events->sent_part(layer->io.context, stream->outer);
}

static void on_sent(void *context, struct io_stream *inner) {
	struct tls_layer *layer = context;
	if (!tls_io_is_secured(inner)) {
		layer->io.events->sent(layer->io.context, inner);
		return;
	}
	struct tls_stream *stream = tls_stream_of_inner(inner);
	stream->is_sending = false;
	stream->out_begin = stream->out_sending;
	switch ((enum tls_stage)stream->stage) {
	case STAGE_OPEN:
		if (!go_on_sending(stream)) tell_part(stream);
		break;
	case STAGE_CLOSING:
		tls_close_go_on(stream);
		break;
	case STAGE_HELLO:
	case STAGE_HANDSHAKE:
		/* it may have more to say, though nothing came: a chain longer than its room */
		if (tls_flush(stream)) tls_mark_pending(stream);
		break;
	case STAGE_FAILED:
		(void)tls_flush(stream);
		break;
	}
}

static void on_sent_part(void *context, struct io_stream *inner) {
	struct tls_layer *layer = context;
	if (tls_io_is_secured(inner))
		tell_part(tls_stream_of_inner(inner));
	else
		layer->io.events->sent_part(layer->io.context, inner);
}

static void on_broken(void *context, struct io_stream *inner) {
	struct tls_layer *layer = context;
	if (!tls_io_is_secured(inner)) {
		layer->io.events->broken(layer->io.context, inner);
		return;
	}
	struct tls_stream *stream = tls_stream_of_inner(inner);
	stream->is_broken = true;
	stream->is_sending = false;
	if (tls_is_handshaking(stream))
		tls_handshake_fail(stream, "the client has gone", NULL);
	else
		tls_break(stream);
	if (stream->stage == STAGE_CLOSING) tls_close_now(stream);
}

static void on_closed(void *context, struct io_stream *inner) {
	struct tls_layer *layer = context;
	struct io_stream *outer = inner;
	if (tls_io_is_secured(inner)) {
		struct tls_stream *stream = tls_stream_of_inner(inner);
		outer = stream->outer;
		tls_release(stream);
		layer->counts->current--;
		connection_cell_give(&layer->buffers->memory, CELL_CONNECTION, stream);
	}
	layer->io.events->closed(layer->io.context, outer);
}

/* Of those that are secured nobody can see what comes. */
static void on_coming(void *context, const struct io_coming *coming, size_t count) {
	struct tls_layer *layer = context;
	struct io_coming plain[IO_COMING_MAX];
	size_t found = 0;
	for (size_t i = 0; i < count; i++)
		if (!tls_io_is_secured(coming[i].stream)) plain[found++] = coming[i];
	if (found > 1 && layer->io.events->coming != NULL)
		layer->io.events->coming(layer->io.context, plain, found);
}

static size_t on_room(void *context, struct io_stream *inner, struct iovec *pieces, size_t most) {
	struct tls_layer *layer = context;
	if (!tls_io_is_secured(inner))
		return layer->io.events->room(layer->io.context, inner, pieces, most);
	return tls_receive_room(tls_stream_of_inner(inner), pieces, most);
}

static void on_placed(void *context, struct io_stream *inner, size_t length) {
	struct tls_layer *layer = context;
	if (!tls_io_is_secured(inner))
		layer->io.events->placed(layer->io.context, inner, length);
	else if (tls_stream_of_inner(inner)->stage == STAGE_OPEN)
		tls_receive(tls_stream_of_inner(inner), layer->records, length);
}

static const struct io_events own_events = {on_accepted,  on_received, on_sent,
											on_sent_part, on_broken,   on_closed,
											on_coming,    on_room,     on_placed};

/* ------------------------------------------------------------------ streams ---------------- */

bool tls_io_open(struct io *io, struct io_stream *outer, int fd, enum tls_clients clients) {
	struct tls_layer *layer = tls_layer_of(io);
	struct tls_stream *stream =
		connection_cell_take(&layer->buffers->memory, CELL_CONNECTION, CELLS_LAST);
	if (stream == NULL) return false;
	*stream = (struct tls_stream){.outer = outer, .layer = layer, .clients = (uint8_t)clients};
	if (!io_open(layer->inner, &stream->inner, fd)) {
		connection_cell_give(&layer->buffers->memory, CELL_CONNECTION, stream);
		return false;
	}
	stream->inner.state |= IO_SECURED;
	*outer = (struct io_stream){.fd = fd, .state = IO_SECURED, .next = &stream->inner};
	layer->counts->current++;
	tls_handshake_begin(stream);
	return true;
}

uint64_t tls_io_held_bytes(const struct io_stream *outer) {
	const struct tls_stream *stream = tls_stream_of(outer);
	return CONNECTION_BYTES + (uint64_t)stream->session.held_bytes + stream->kept_room +
		   stream->out_room;
}

static bool layer_open(struct io *io, struct io_stream *stream, int fd) {
	return io_open(tls_layer_of(io)->inner, stream, fd);
}

static struct io_stream *inner_of(struct io_stream *stream) {
	return tls_io_is_secured(stream) ? &tls_stream_of(stream)->inner : stream;
}

static void layer_pause(struct io *io, struct io_stream *stream) {
	io_pause(tls_layer_of(io)->inner, inner_of(stream));
}

static void layer_resume(struct io *io, struct io_stream *stream) {
	io_resume(tls_layer_of(io)->inner, inner_of(stream));
}

static bool layer_send(struct io *io, struct io_stream *outer, struct iovec *pieces, size_t count) {
	if (!tls_io_is_secured(outer)) return io_send(tls_layer_of(io)->inner, outer, pieces, count);
	struct tls_stream *stream = tls_stream_of(outer);
	SNUG_ASSERT(!stream->is_waited_for);
	if (stream->stage != STAGE_OPEN) return false; /* `broken` is told */
	if (tls_send(stream, pieces, count)) return true;
	stream->is_waited_for = stream->stage == STAGE_OPEN;
	return false;
}

static void layer_close(struct io *io, struct io_stream *outer) {
	struct tls_layer *layer = tls_layer_of(io);
	if (!tls_io_is_secured(outer)) {
		io_close(layer->inner, outer);
		return;
	}
	struct tls_stream *stream = tls_stream_of(outer);
	if (stream->stage != STAGE_CLOSING) tls_close(stream, !stream->is_broken);
}

/* ------------------------------------------------------------------ all of them ------------ */

static void layer_destroy(struct io *io) {
	struct tls_layer *layer = tls_layer_of(io);
	SNUG_ASSERT(layer->handshaking.count == 0 && layer->closing.count == 0 &&
				layer->held_back.count == 0);
	io_destroy(layer->inner);
	if (layer->chunks > 0) {
		for (; layer->chunks > 0; layer->chunks--)
			connection_memory_repay(&layer->buffers->memory, 1);
	}
	free(layer);
}

static size_t layer_memory_bytes(const struct io *io) {
	const struct tls_layer *layer = (const struct tls_layer *)(const void *)io;
	return io_memory_bytes(layer->inner) + sizeof *layer;
}

static bool layer_listen(struct io *io, int fd, uint32_t tag) {
	return io_listen(tls_layer_of(io)->inner, fd, tag);
}

/* Which is for a stop. */
static void layer_stop_listening(struct io *io) {
	struct tls_layer *layer = tls_layer_of(io);
	io_stop_listening(layer->inner);
	tls_close_hurry(layer);
}

static void layer_hold(struct io *io, bool is_held) {
	struct io *inner = tls_layer_of(io)->inner;
	inner->backend->hold(inner, is_held);
}

static bool layer_watch(struct io *io, int fd) {
	return io_watch(tls_layer_of(io)->inner, fd);
}

/* ------------------------------------------------------------------ poll and wait ---------- */

static void go_on(struct tls_stream *stream) {
	struct tls_layer *layer = stream->layer;
	if (stream->stage == STAGE_FAILED) {
		if (!stream->is_told) {
			stream->is_told = true;
			layer->io.events->broken(layer->io.context, stream->outer);
		}
	} else if (stream->is_starved) {
		stream->is_starved = false;
		layer->hooks->starved(layer->io.context, stream->outer);
	} else if (tls_is_handshaking(stream)) {
		tls_handshake_step(stream);
	} else if (stream->stage == STAGE_OPEN) {
		(void)go_on_sending(stream);
	}
}

/* Those that become pending meanwhile wait for the next poll. */
static bool go_on_with_pending(struct tls_layer *layer) {
	uint32_t count = layer->pending.count;
	if (LIKELY(count == 0)) return false;
	uint64_t until_ns = os_now_ns() + HANDSHAKE_SLICE_NS;
	layer->lacks_memory = false;
	do {
		struct tls_stream *stream = layer->pending.first;
		tls_list_drop(LINK_PENDING, stream);
		go_on(stream);
	} while (--count > 0 && layer->pending.count > 0 && os_now_ns() < until_ns);
	return true;
}

static void look_at_clock(struct tls_layer *layer) {
	if (layer->handshaking.count + layer->closing.count + layer->held_back.count == 0) return;
	uint64_t now_ns = os_now_ns();
	tls_handshake_look(layer, now_ns);
	tls_close_look(layer, now_ns);
}

static bool layer_poll(struct io *io) {
	struct tls_layer *layer = tls_layer_of(io);
	bool any = io_poll(layer->inner);
	look_at_clock(layer);
	any |= go_on_with_pending(layer);
	return any;
}

static uint64_t rest_ns(const struct tls_list *list, uint64_t most_ns) {
	return list->first == NULL ? most_ns
							   : smaller(most_ns, os_remaining_ns(list->first->deadline_ns));
}

static void layer_wait(struct io *io, uint64_t timeout_ns) {
	const struct tls_layer *layer = tls_layer_of(io);
	if (layer->pending.count > 0) {
		if (!layer->lacks_memory) return;
		timeout_ns = smaller(timeout_ns, MEMORY_PAUSE_NS);
	}
	timeout_ns = rest_ns(&layer->handshaking, timeout_ns);
	timeout_ns = rest_ns(&layer->held_back, timeout_ns);
	io_wait(layer->inner, rest_ns(&layer->closing, timeout_ns));
}

/* ------------------------------------------------------------------ create ----------------- */

static struct io_backend layer_backend(const char *name) {
	return (struct io_backend){
		name,        layer_destroy, layer_memory_bytes, layer_listen, layer_stop_listening,
		layer_open,  layer_pause,   layer_resume,       layer_hold,   layer_send,
		layer_close, layer_poll,    layer_watch,        layer_wait,
	};
}

static uint32_t handshakes_max(uint32_t connections_max, uint32_t sharers) {
	uint64_t most = connections_max / HANDSHAKES_SHARE / sharers;
	return (uint32_t)larger(HANDSHAKES_MIN, smaller(HANDSHAKES_MAX, most));
}

/* Several times what was asked for goes in a send, up to a cell of connection memory. */
static uint32_t send_bytes(uint32_t wbuf_bytes) {
	return (uint32_t)larger(wbuf_bytes, smaller(SEND_PARTS * wbuf_bytes, CHUNK_BYTES));
}

struct io *tls_io_create(struct io *io, struct tls *tls, uint32_t sharers,
						 const struct tls_hooks *hooks, struct tls_counts *counts,
						 struct buffers *buffers) {
	const struct settings *settings = tls_settings(tls);
	struct tls_layer *layer = calloc(1, sizeof *layer);
	if (layer == NULL) return NULL;
	layer->backend = layer_backend(io_name(io));
	layer->io =
		(struct io){.backend = &layer->backend, .events = io->events, .context = io->context};
	layer->inner = io;
	layer->tls = tls;
	layer->hooks = hooks;
	layer->counts = counts;
	layer->buffers = buffers;
	layer->handshakes_max = handshakes_max(settings->connections_max, sharers);
	layer->patience_ns = settings->ssl_handshake_timeout_s * UINT64_C(1000000000);
	layer->out_bytes = send_bytes(settings->ssl_wbuf_bytes);
	io->events = &own_events;
	io->context = layer;
	return &layer->io;
}
