/* server/tls/tls_handshake.c: until a connection is secured. See server/tls/tls_layer.h.
 *
 *     bytes come -> kept -> its turn: HELLO      is it the whole first record of TLS?
 *                                     HANDSHAKE  OpenSSL's next step
 *                                     OPEN       the name in its certificate is told, then its bytes
 *
 * A step may take a millisecond, for a signature. So records wait here, and a poll takes some steps
 * (tls_io.c). OpenSSL is begun when the first record has come as a whole: who sends half of one, or
 * nothing, or something else than TLS, costs a few hundred bytes.
 *
 * WHO GOES. Whoever has waited longest, when there are too many, or when their memory is used up: who
 * comes then is served, and who is slow makes room. An honest handshake takes a few ways through the
 * network. */
#include "server/tls/tls_layer.h"

#include "base/assert.h"
#include "os/threads.h"

#define RECORD_HANDSHAKE 22
#define FLIGHT_BYTES 4096u /* what the server says first, mostly */
#define MEMORY_SHARE 4u    /* of the worker's connection memory */

void tls_handshake_leave(struct tls_stream *stream) {
	if (!tls_is_handshaking(stream)) return;
	stream->layer->handshake_bytes -= (uint64_t)stream->session.held_bytes;
	tls_list_drop(LINK_DEADLINE, stream);
}

void tls_handshake_fail(struct tls_stream *stream, const char *why, uint64_t *count) {
	struct tls_counts *counts = stream->layer->counts;
	if (!tls_is_handshaking(stream)) return;
	counts->handshake_errors++;
	if (count != NULL) ++*count;
	tls_tell_failure(stream->layer->tls, why);
	tls_handshake_leave(stream);
	tls_break(stream);
}

void tls_handshake_begin(struct tls_stream *stream) {
	struct tls_layer *layer = stream->layer;
	if (layer->handshaking.count >= layer->handshakes_max)
		tls_handshake_fail(layer->handshaking.first, "too many handshakes at a time",
						   &layer->counts->handshakes_ended);
	stream->stage = STAGE_HELLO;
	stream->deadline_ns = os_now_ns() + layer->patience_ns;
	tls_list_put(&layer->handshaking, LINK_DEADLINE, stream);
}

void tls_handshake_look(struct tls_layer *layer, uint64_t now_ns) {
	while (layer->handshaking.first != NULL && layer->handshaking.first->deadline_ns <= now_ns)
		tls_handshake_fail(layer->handshaking.first, "the handshake took too long",
						   &layer->counts->handshakes_late);
}

/* ------------------------------------------------------------------ the first record ------- */

enum hello { HELLO_WAITS, HELLO_IS_THERE, HELLO_IS_NONE };

/* type, version: 3.x, length of what follows */
static enum hello look_at_hello(const char *bytes, size_t length) {
	const unsigned char *head = (const unsigned char *)bytes;
	if (length == 0) return HELLO_WAITS;
	if (head[0] != RECORD_HANDSHAKE) return HELLO_IS_NONE;
	if (length < TLS_RECORD_HEAD_BYTES) return HELLO_WAITS;
	size_t record_bytes = (size_t)head[3] << 8 | head[4];
	if (head[1] != 3 || record_bytes > TLS_RECORD_BYTES) return HELLO_IS_NONE;
	return length < TLS_RECORD_HEAD_BYTES + record_bytes ? HELLO_WAITS : HELLO_IS_THERE;
}

/* Who has waited longest of those that hold some makes room for one more. */
static void make_room(struct tls_layer *layer) {
	uint64_t most_bytes = buffers_limit_bytes(layer->buffers) / MEMORY_SHARE;
	struct tls_stream *at = layer->handshaking.first;
	while (at != NULL && layer->handshake_bytes + CHUNK_BYTES > most_bytes) {
		struct tls_stream *next = at->link[LINK_DEADLINE].next;
		if (at->session.ssl != NULL)
			tls_handshake_fail(at, "handshakes have used up their memory",
							   &layer->counts->handshakes_ended);
		at = next;
	}
}

static bool begin_session(struct tls_stream *stream) {
	struct tls_layer *layer = stream->layer;
	make_room(layer);
	stream->session.put = tls_put;
	stream->session.context = stream;
	stream->out_wanted = FLIGHT_BYTES;
	bool has_begun =
		tls_session_begin(&stream->session, layer->tls, (enum tls_clients)stream->clients);
	tls_charge(stream, 0);
	if (has_begun)
		stream->stage = STAGE_HANDSHAKE;
	else
		tls_handshake_fail(stream, "no memory for a handshake", &layer->counts->handshakes_ended);
	return has_begun;
}

/* ------------------------------------------------------------------ a step ----------------- */

/* Bytes of the client may have come with his last records. */
static void open_stream(struct tls_stream *stream, const char *bytes, size_t length) {
	struct tls_layer *layer = stream->layer;
	char name[TLS_NAME_BYTES_MAX];
	tls_handshake_leave(stream);
	stream->stage = STAGE_OPEN;
	layer->counts->handshakes++;
	layer->counts->resumed += tls_session_was_resumed(&stream->session);
	size_t name_bytes = tls_session_name(&stream->session, name);
	layer->hooks->established(layer->io.context, stream->outer, name, name_bytes);
	if (stream->stage == STAGE_OPEN) tls_receive(stream, bytes, length);
}

static enum tls_step take_step(struct tls_stream *stream, const char *bytes, size_t length) {
	struct tls_session *session = &stream->session;
	int64_t before_bytes = session->held_bytes;
	session->fed = bytes;
	session->fed_bytes = length;
	enum tls_step step = tls_session_handshake(session);
	tls_charge(stream, before_bytes);
	return step;
}

/* Tells how many of these records were read. */
static size_t take_turn(struct tls_stream *stream, const char *bytes, size_t length) {
	if (stream->stage == STAGE_HELLO) {
		enum hello hello = look_at_hello(bytes, length);
		if (hello == HELLO_IS_NONE) tls_handshake_fail(stream, "what came is not TLS", NULL);
		if (hello != HELLO_IS_THERE || !begin_session(stream)) return 0;
	}
	enum tls_step step = take_step(stream, bytes, length);
	size_t left = stream->session.fed_bytes;
	switch (step) {
	case TLS_DONE:
		open_stream(stream, bytes + length - left, left);
		left = 0;
		break;
	case TLS_WAITS:
		if (stream->session.held_bytes > HANDSHAKE_BYTES_MAX)
			tls_handshake_fail(stream, "what came is too long", NULL);
		break;
	case TLS_FULL: /* goes on once what is there has gone, or there is memory */
		if (tls_flush(stream)) tls_mark_pending(stream);
		break;
	case TLS_ENDED:
	case TLS_FAILED:
		tls_handshake_fail(stream, tls_session_why(&stream->session), NULL);
		break;
	}
	stream->session.fed_bytes = 0;
	if (stream->stage != STAGE_CLOSING) (void)tls_flush(stream);
	return length - left;
}

/* Who has gone has been heard to the end. */
void tls_handshake_step(struct tls_stream *stream) {
	const char *kept = stream->kept_bytes > 0 ? stream->kept + stream->kept_at : "";
	size_t read_bytes = take_turn(stream, kept, stream->kept_bytes);
	stream->kept_at += (uint32_t)read_bytes;
	stream->kept_bytes -= (uint32_t)read_bytes;
	if (stream->kept_bytes == 0) tls_keep_nothing(stream);
	if (!stream->has_gone) return;
	if (stream->stage == STAGE_OPEN) tls_tell_end(stream);
	tls_handshake_fail(stream, "the client has gone", NULL);
}

/* A client may send his last records and all that he asks in one go, more than is kept: then it is
 * his turn now. */
static void receive_much(struct tls_stream *stream, const char *bytes, size_t length) {
	size_t read_bytes = 0;
	if (stream->kept_bytes > 0) tls_handshake_step(stream);
	if (stream->stage == STAGE_OPEN) {
		tls_receive(stream, bytes, length);
		return;
	}
	if (tls_is_handshaking(stream) && stream->kept_bytes == 0)
		read_bytes = take_turn(stream, bytes, length);
	if (!tls_is_handshaking(stream) || read_bytes == length) return;
	if (tls_keep(stream, bytes + read_bytes, length - read_bytes))
		tls_mark_pending(stream);
	else
		tls_handshake_fail(stream, "more came than a handshake has, or there is no memory", NULL);
}

void tls_handshake_receive(struct tls_stream *stream, const char *bytes, size_t length) {
	if (tls_keep(stream, bytes, length))
		tls_mark_pending(stream);
	else
		receive_much(stream, bytes, length);
}

/* Whoever only looks whether somebody listens says nothing, and is no failure. */
static void leave_silently(struct tls_stream *stream) {
	tls_handshake_leave(stream);
	tls_break(stream);
}

void tls_handshake_end(struct tls_stream *stream) {
	if (stream->stage == STAGE_HELLO && stream->kept_bytes == 0) {
		leave_silently(stream);
		return;
	}
	stream->has_gone = true;
	tls_mark_pending(stream);
}
