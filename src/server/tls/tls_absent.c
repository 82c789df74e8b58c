/* server/tls/tls_absent.c: in place of the others where OpenSSL was not there at the build. Nothing but
 * tls_create is ever called: it refuses. */
#include "server/tls/tls_io.h"

#include <stdlib.h>

bool tls_create(const struct settings *settings, const snug_log *log, struct tls **out,
				struct text *why) {
	(void)settings;
	(void)log;
	(void)out;
	text_print(why, "--enable-ssl: this snugd was built without TLS (OpenSSL 3)");
	return false;
}

bool tls_reload(struct tls *tls, struct text *why) {
	(void)tls;
	(void)why;
	return false;
}

void tls_set_follower(struct tls *tls, tls_follower *follow, void *context) {
	(void)tls;
	(void)follow;
	(void)context;
}

void tls_stop(struct tls *tls) {
	(void)tls;
}

void tls_destroy(struct tls *tls) {
	(void)tls;
}

uint64_t tls_read_ns(struct tls *tls) {
	(void)tls;
	return 0;
}

int64_t tls_valid_s(struct tls *tls) {
	(void)tls;
	return 0;
}

void tls_refresh_ask(struct tls *tls, struct tls_refresh *refresh) {
	(void)tls;
	atomic_store_explicit(&refresh->is_done, true, memory_order_release);
}

struct io *tls_io_create(struct io *io, struct tls *tls, uint32_t sharers,
						 const struct tls_hooks *hooks, struct tls_counts *counts,
						 struct buffers *buffers) {
	(void)io;
	(void)tls;
	(void)sharers;
	(void)hooks;
	(void)counts;
	(void)buffers;
	return NULL;
}

bool tls_io_open(struct io *io, struct io_stream *stream, int fd, enum tls_clients clients) {
	(void)io;
	(void)stream;
	(void)fd;
	(void)clients;
	return false;
}

uint64_t tls_io_held_bytes(const struct io_stream *stream) {
	(void)stream;
	return 0;
}
