/* server/tls/tls_close.c: from the connection's close to the io's. See server/tls/tls_layer.h.
 *
 *     OpenSSL encrypts     what is on its way goes, and close_notify: CLOSE_PATIENCE_NS at most
 *     the kernel encrypts  is there room? --yes--> close_notify; is there room? --yes--> closed
 *                            '--no--> held back until the io tells of some <--no--'
 *
 * HELD BACK. A socket of kernel TLS takes a record for which TCP has no room yet, and a close drops it:
 * a client who read slowly and said `quit` lost the end of his last answer. Where the socket has room
 * nothing is held back, so room is waited for. Nothing is asked meanwhile: the io tells of it.
 *
 * A close is no longer counted to -c, so what waits here has bounds of its own: time
 * (HELD_BACK_PATIENCE_NS, for the client to read a part of what the socket holds; the patience of other
 * closes once the server ends), and a number, as of handshakes: who has waited longest goes. What OpenSSL
 * held is given back before. While connection memory is short nobody is waited for. */
#include "server/tls/tls_layer.h"

#include "base/bits.h"
#include "os/threads.h"
#include "server/tls/tls_kernel.h"

#define CLOSE_PATIENCE_NS UINT64_C(1000000000)
#define HELD_BACK_PATIENCE_NS (10 * CLOSE_PATIENCE_NS)

void tls_close_now(struct tls_stream *stream) {
	tls_list_drop(LINK_DEADLINE, stream);
	tls_list_drop(LINK_PENDING, stream);
	io_close(stream->layer->inner, &stream->inner);
}

static void wait_in(struct tls_list *list, struct tls_stream *stream, uint64_t patience_ns) {
	stream->deadline_ns = os_now_ns() + patience_ns;
	tls_list_put(list, LINK_DEADLINE, stream);
}

/* ------------------------------------------------------------------ by the kernel ---------- */

static void hold_back(struct tls_stream *stream) {
	struct tls_layer *layer = stream->layer;
	struct tls_list *held_back = &layer->held_back;
	if (stream->link[LINK_DEADLINE].list == NULL) {
		tls_release(stream);
		if (held_back->count >= layer->handshakes_max) tls_close_now(held_back->first);
		wait_in(held_back, stream, layer->is_ending ? CLOSE_PATIENCE_NS : HELD_BACK_PATIENCE_NS);
	}
	stream->is_sending = !io_send(layer->inner, &stream->inner, NULL, 0);
}

static void end_by_kernel(struct tls_stream *stream) {
	int fd = stream->inner.fd;
	bool has_room = tls_kernel_has_room(fd);
	if (has_room && !stream->has_said_end) {
		tls_kernel_say_end(fd);
		stream->has_said_end = true;
		has_room = tls_kernel_has_room(fd);
	}
	if (has_room)
		tls_close_now(stream);
	else
		hold_back(stream);
}

/* ------------------------------------------------------------------ by OpenSSL ------------- */

static void end_by_openssl(struct tls_stream *stream, bool was_open) {
	if (was_open) {
		int64_t before_bytes = stream->session.held_bytes;
		stream->out_wanted = TLS_RECORD_EXTRA_BYTES;
		tls_session_say_end(&stream->session);
		tls_charge(stream, before_bytes);
		stream->is_starved = false;
	}
	if (tls_flush(stream)) {
		tls_close_now(stream);
		return;
	}
	tls_list_drop(LINK_PENDING, stream);
	wait_in(&stream->layer->closing, stream, CLOSE_PATIENCE_NS);
}

/* ------------------------------------------------------------------ both ------------------- */

void tls_close(struct tls_stream *stream, bool is_heard) {
	bool was_open = stream->stage == STAGE_OPEN;
	tls_handshake_leave(stream);
	tls_list_drop(LINK_PENDING, stream);
	stream->stage = STAGE_CLOSING;
	stream->piece_count = 0;
	stream->is_waited_for = stream->is_starved = false;
	/* what the kernel sends are the connection's own bytes: they end with it */
	if (!is_heard || (stream->is_kernels && stream->is_sending))
		tls_close_now(stream);
	else if (stream->is_kernels)
		end_by_kernel(stream);
	else
		end_by_openssl(stream, was_open);
}

void tls_close_go_on(struct tls_stream *stream) {
	if (stream->is_kernels)
		end_by_kernel(stream);
	else if (tls_flush(stream))
		tls_close_now(stream);
}

static void end_late(const struct tls_list *list, uint64_t now_ns) {
	while (list->first != NULL && list->first->deadline_ns <= now_ns) tls_close_now(list->first);
}

void tls_close_look(struct tls_layer *layer, uint64_t now_ns) {
	bool is_short =
		layer->held_back.count > 0 && connection_memory_is_short(&layer->buffers->memory);
	end_late(&layer->closing, now_ns);
	end_late(&layer->held_back, is_short ? UINT64_MAX : now_ns);
}

void tls_close_hurry(struct tls_layer *layer) {
	uint64_t until_ns = os_now_ns() + CLOSE_PATIENCE_NS;
	layer->is_ending = true;
	for (struct tls_stream *at = layer->held_back.first; at != NULL;
		 at = at->link[LINK_DEADLINE].next)
		at->deadline_ns = smaller(at->deadline_ns, until_ns);
}
