/* server/tls/tls_receive.c: records of a stream that is open, to bytes. See server/tls/tls_layer.h.
 *
 * All that came at once is told at once: a pipeline whose commands came in a record each is parsed as
 * one. What is no whole record stays in OpenSSL. */
#include "server/tls/tls_layer.h"

#include "base/assert.h"
#include "server/tls/tls_kernel.h"

void tls_tell_end(struct tls_stream *stream) {
	if (stream->has_ended) return;
	stream->has_ended = true;
	stream->layer->io.events->received(stream->layer->io.context, stream->outer, NULL, 0);
}

static void tell(struct tls_stream *stream, size_t length) {
	struct tls_layer *layer = stream->layer;
	if (length > 0)
		layer->io.events->received(layer->io.context, stream->outer, layer->plain, length);
}

static enum tls_step read_record(struct tls_stream *stream, size_t *length) {
	int64_t before_bytes = stream->session.held_bytes;
	size_t got = 0;
	enum tls_step step = tls_session_read(&stream->session, stream->layer->plain + *length,
										  PLAIN_BYTES - *length, &got);
	tls_charge(stream, before_bytes);
	*length += got;
	return step;
}

/* To write while it reads it has no need but where the peer wants new keys again and again. */
static void fail(struct tls_stream *stream, const char *why) {
	struct tls_layer *layer = stream->layer;
	layer->counts->record_errors++;
	tls_tell_failure(layer->tls, why);
	tls_break(stream);
}

void tls_receive(struct tls_stream *stream, const char *bytes, size_t length) {
	size_t read_bytes = 0;
	enum tls_step step = TLS_DONE;
	stream->session.fed = bytes;
	stream->session.fed_bytes = length;
	while (step == TLS_DONE && stream->stage == STAGE_OPEN && !stream->has_ended) {
		step = read_record(stream, &read_bytes);
		if (step != TLS_DONE || PLAIN_BYTES - read_bytes < TLS_RECORD_BYTES) {
			tell(stream, read_bytes); /* which may close it */
			read_bytes = 0;
		}
	}
	stream->session.fed_bytes = 0;
	if (stream->stage != STAGE_OPEN) return;
	if (step == TLS_ENDED) tls_tell_end(stream);
	if (stream->is_kernels && tls_kernel_owes_keys(&stream->session))
		fail(stream, "the client asked for new keys, and the kernel keeps those that it has");
	else if (step == TLS_FAILED || step == TLS_FULL)
		fail(stream, tls_session_why(&stream->session));
	if (stream->stage == STAGE_OPEN && stream->out_begin < stream->out_end)
		(void)tls_flush(stream); /* OpenSSL has something to say, too */
}
