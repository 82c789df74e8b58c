/* server/tls/tls.h: connections that nobody else reads. The door of this room:
 *
 *     tls_io.h, .c          the layer between a worker's connections and its io
 *     tls_handshake.c       connections that have proved nothing yet: how many, how long, whose turn
 *     tls_close.c           connections that close, and what they wait for
 *     tls_send.c            bytes out
 *     tls_receive.c         bytes in
 *     tls_layer.h, .c       what these five share: a connection of theirs, and its memory
 *     tls_kernel.h, .c      answers that the kernel encrypts, where that is asked for
 *     tls_session.h, .c     one connection's keys: records to bytes, bytes to records; no sockets
 *     tls.c                 certificates and rules, read from files, and again while it serves
 *     tls_certificates.h    what it has for the sessions
 *     tls_bio.c             how OpenSSL reads and writes: functions in place of a socket
 *     tls_library.h, .c     OpenSSL, loaded when it is needed, and its memory, counted
 *     tls_absent.c          in their place where OpenSSL was not there at the build
 *
 *     io --records--> tls_io --bytes--> connection
 *     io <--records-- tls_io <--bytes-- connection
 *
 * A connection does not know whether it is secured, nor does an io. Without -Z there is no layer and
 * no OpenSSL. docs/design/0013-tls.md says why it is so.
 *
 * Laws    - No secret is in the log or in statistics; of files their names are.
 *         - Reading the certificates again is all or nothing. Connections keep what they began with.
 *         - What OpenSSL holds for a connection is counted to it, and to the worker's connection
 *           memory. */
#ifndef SNUG_SERVER_TLS_H
#define SNUG_SERVER_TLS_H

#include "base/text.h"
#include "server/settings/settings.h"

#include <snug/log.h>
#include <stdatomic.h>

struct tls;

/* Whether a client is asked for a certificate. */
enum tls_clients {
	TLS_CLIENTS_AS_SET,   /* as --ssl-verify-mode says */
	TLS_CLIENTS_UNASKED,  /* btls: */
	TLS_CLIENTS_CERTIFIED /* mtls: without a right one nobody gets in */
};

/* What a worker counts. */
struct tls_counts {
	uint64_t current;          /* connections that are secured, or about to be */
	uint64_t handshakes;       /* that succeeded */
	uint64_t resumed;          /* of them, by a session of before */
	uint64_t handshake_errors; /* all that did not succeed */
	uint64_t handshakes_late;  /* of these, ended because they took too long */
	uint64_t handshakes_ended; /* of these, because there were too many of them */
	uint64_t record_errors;    /* later */
	uint64_t by_kernel;        /* connections whose answers the kernel came to encrypt */
	uint64_t memory_bytes;     /* that OpenSSL holds for connections */
};

/* Loads OpenSSL, reads the certificates. False: a sentence. The main thread, before others are. */
bool tls_create(const struct settings *settings, const snug_log *log, struct tls **out,
				struct text *why);
/* Reads the certificates again. False: a sentence, and all stays as it was. Any thread that serves
 * nobody. */
bool tls_reload(struct tls *tls, struct text *why);
/* Who speaks TLS by another library is told when the certificates have been read again, and before they
 * are taken: `follow` takes them as well, or says why not; then all stays as it was. One at a time; NULL:
 * nobody. Waits for a call of the one before. */
typedef bool tls_follower(void *context, struct text *why);
void tls_set_follower(struct tls *tls, tls_follower *follow, void *context);
/* No request to read them again is taken any more. NULL is ignored. */
void tls_stop(struct tls *tls);
/* When there is no session any more. NULL is ignored. */
void tls_destroy(struct tls *tls);

/* As it was created with. */
const struct settings *tls_settings(const struct tls *tls);
/* Tells the log, one line in ten seconds. Any thread. */
void tls_tell_failure(struct tls *tls, const char *why);
/* When the certificates were read, by os_now_ns. */
uint64_t tls_read_ns(struct tls *tls);
/* Seconds that the server's certificate is still valid, as of then; below 0: it had expired. */
int64_t tls_valid_s(struct tls *tls);

/* The same as tls_reload, for who must not wait. */
struct tls_refresh {
	struct tls_refresh *next;
	char why[256];        /* once it is done: "", or a sentence */
	_Atomic bool is_done; /* atomic: the thread sets it last */
};
/* The asker's memory, until it is done. Any thread. */
void tls_refresh_ask(struct tls *tls, struct tls_refresh *refresh);
static inline bool tls_refresh_is_done(const struct tls_refresh *refresh) {
	return atomic_load_explicit(&refresh->is_done, memory_order_acquire);
}

#endif
