/* server/tls/tls_session.h: one connection's keys. Records come in and bytes out, bytes come in and
 * records out; where they come from and go to is the caller's. A session belongs to one thread.
 *
 *     put  <-- records -- [ session ] <-- bytes, tls_session_write
 *     fed  --- records --> [ session ] --- bytes, tls_session_read
 *
 * OpenSSL reads and writes by functions of ours (a BIO), so no byte of a record is kept twice. */
#ifndef SNUG_SERVER_TLS_SESSION_H
#define SNUG_SERVER_TLS_SESSION_H

#include "server/tls/tls.h"

struct ssl_st;

/* Beyond the bytes of a record: its head, its nonce, its padding and its check, of whatever cipher. */
#define TLS_RECORD_EXTRA_BYTES 128u
#define TLS_RECORD_BYTES 16384u
#define TLS_RECORD_HEAD_BYTES 5u
#define TLS_NAME_BYTES_MAX 128u

enum tls_step {
	TLS_DONE,  /* the handshake is over; bytes were read or written */
	TLS_WAITS, /* for more records */
	TLS_FULL,  /* for room where records go: to be repeated */
	TLS_ENDED, /* the peer has said that nothing more comes */
	TLS_FAILED
};

/* Of what the server sends, for the kernel (tls_kernel.h). */
struct tls_secret {
	uint64_t records; /* made with it so far */
	uint8_t bytes[48];
	uint8_t length; /* 0: it is not known */
};

struct tls_session {
	struct ssl_st *ssl; /* NULL: it has not begun */
	struct tls *tls;
	/* Takes so much of a record as it has room for. */
	size_t (*put)(void *context, const char *bytes, size_t length);
	void *context;
	const char *fed; /* records that were not read yet: the caller's */
	size_t fed_bytes;
	int64_t held_bytes;  /* of memory, by OpenSSL */
	unsigned long error; /* of the last step that failed; 0: none is known */
	struct tls_secret secret;
};

/* The caller sets put and context. False: no memory, and nothing has begun. */
bool tls_session_begin(struct tls_session *session, struct tls *tls, enum tls_clients clients);
void tls_session_end(struct tls_session *session);

/* DONE, WAITS, FULL, FAILED. */
enum tls_step tls_session_handshake(struct tls_session *session);
/* At most a record's. All but FULL. */
enum tls_step tls_session_read(struct tls_session *session, char *bytes, size_t room,
							   size_t *length);
/* DONE, and then mostly all of it, at most a record; FULL, FAILED. After FULL the same bytes come
 * first the next time. */
enum tls_step tls_session_write(struct tls_session *session, const char *bytes, size_t length,
								size_t *written);
/* Tells the peer that nothing more comes. */
void tls_session_say_end(struct tls_session *session);

/* Why the last step failed, in OpenSSL's words. */
const char *tls_session_why(const struct tls_session *session);
bool tls_session_was_resumed(const struct tls_session *session);
/* The name (common name of the subject) in the certificate that the client has proved to have: its
 * length. 0: none, or none that fits. */
size_t tls_session_name(const struct tls_session *session, char name[TLS_NAME_BYTES_MAX]);

#endif
