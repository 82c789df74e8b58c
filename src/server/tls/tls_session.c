/* server/tls/tls_session.c: see server/tls/tls_session.h.
 *
 * OpenSSL's queue of errors is the thread's, and what a call finds there it takes for its own. So it
 * is emptied behind each call, and found empty by the next one. Why one has failed is kept as an
 * address of OpenSSL's constant text.
 *
 * Each call is between `begin` and `end`, which charge to the session what it has taken. */
#include "server/tls/tls_session.h"

#include "base/assert.h"
#include "server/tls/tls_certificates.h"

#include <string.h>

static const struct tls_library *library_of(const struct tls_session *session) {
	return tls_library_of(session->tls);
}

/* ------------------------------------------------------------------ begin, end ------------- */

static int64_t begin(void) {
	return tls_library_taken_bytes();
}

/* What others had taken may have been given back. What a success has left in the queue would be taken
 * for the next call's own, whichever session's that is. */
static void end(struct tls_session *session, int64_t before_bytes) {
	const struct tls_library *library = library_of(session);
	if (library->ERR_peek_last_error() != 0) library->ERR_clear_error();
	session->held_bytes += tls_library_taken_bytes() - before_bytes;
	if (session->held_bytes < 0) session->held_bytes = 0;
}

static int verify_mode(enum tls_clients clients) {
	return clients == TLS_CLIENTS_CERTIFIED ? SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT
											: SSL_VERIFY_NONE;
}

/* A ticket is good only where clients are asked as they were when it was given: elsewhere it would
 * stand for a certificate that nobody has seen. */
static bool set_ticket_scope(const struct tls_library *library, SSL *ssl,
							 enum tls_clients clients) {
	const unsigned char scope[] = {'s', 'n', 'u', 'g', 'd', (unsigned char)clients};
	return library->SSL_set_session_id_context(ssl, scope, sizeof scope) == 1;
}

bool tls_session_begin(struct tls_session *session, struct tls *tls, enum tls_clients clients) {
	session->tls = tls;
	const struct tls_library *library = library_of(session);
	int64_t before_bytes = begin();
	SSL *ssl = tls_new_ssl(tls);
	BIO *bio = ssl == NULL || !set_ticket_scope(library, ssl, clients)
				   ? NULL
				   : library->BIO_new(tls_bio_method(tls));
	bool is_fine = bio != NULL;
	if (is_fine) {
		library->BIO_set_data(bio, session);
		library->BIO_set_init(bio, 1);
		library->SSL_set_bio(ssl, bio, bio);
		library->SSL_set_accept_state(ssl);
		if (clients != TLS_CLIENTS_AS_SET) library->SSL_set_verify(ssl, verify_mode(clients), NULL);
		session->ssl = ssl;
	} else if (ssl != NULL) {
		library->SSL_free(ssl);
		library->ERR_clear_error();
	}
	end(session, before_bytes);
	return is_fine;
}

void tls_session_end(struct tls_session *session) {
	if (session->ssl == NULL) return;
	library_of(session)->SSL_free(session->ssl);
	session->ssl = NULL;
	session->held_bytes = 0;
	explicit_bzero(&session->secret, sizeof session->secret);
}

/* ------------------------------------------------------------------ steps ------------------ */

static enum tls_step judge(struct tls_session *session, int result) {
	const struct tls_library *library = library_of(session);
	int error = library->SSL_get_error(session->ssl, result);
	session->error = error == SSL_ERROR_SSL ? library->ERR_peek_last_error() : 0;
	library->ERR_clear_error();
	switch (error) {
	case SSL_ERROR_NONE:
		return TLS_DONE;
	case SSL_ERROR_WANT_READ:
		return TLS_WAITS;
	case SSL_ERROR_WANT_WRITE:
		return TLS_FULL;
	case SSL_ERROR_ZERO_RETURN:
		return TLS_ENDED;
	default:
		return TLS_FAILED;
	}
}

enum tls_step tls_session_handshake(struct tls_session *session) {
	int64_t before_bytes = begin();
	library_of(session)->ERR_clear_error(); /* what a success has left would be judged as ours */
	int result = library_of(session)->SSL_do_handshake(session->ssl);
	enum tls_step step = result == 1 ? TLS_DONE : judge(session, result);
	end(session, before_bytes);
	return step;
}

enum tls_step tls_session_read(struct tls_session *session, char *bytes, size_t room,
							   size_t *length) {
	int64_t before_bytes = begin();
	int result = library_of(session)->SSL_read(session->ssl, bytes, (int)room);
	*length = result > 0 ? (size_t)result : 0;
	enum tls_step step = result > 0 ? TLS_DONE : judge(session, result);
	end(session, before_bytes);
	return step;
}

enum tls_step tls_session_write(struct tls_session *session, const char *bytes, size_t length,
								size_t *written) {
	SNUG_ASSERT(length > 0 && length <= TLS_RECORD_BYTES);
	int64_t before_bytes = begin();
	int result = library_of(session)->SSL_write(session->ssl, bytes, (int)length);
	*written = result > 0 ? (size_t)result : 0;
	enum tls_step step = result > 0 ? TLS_DONE : judge(session, result);
	end(session, before_bytes);
	return step == TLS_WAITS || step == TLS_ENDED ? TLS_FAILED : step;
}

void tls_session_say_end(struct tls_session *session) {
	int64_t before_bytes = begin();
	(void)library_of(session)->SSL_shutdown(session->ssl);
	library_of(session)->ERR_clear_error();
	end(session, before_bytes);
}

/* ------------------------------------------------------------------ what is known ---------- */

/* Of a certificate, what is wrong with it. */
const char *tls_session_why(const struct tls_session *session) {
	const struct tls_library *library = library_of(session);
	long verified = library->SSL_get_verify_result(session->ssl);
	if (verified != X509_V_OK) return library->X509_verify_cert_error_string(verified);
	const char *reason =
		session->error == 0 ? NULL : library->ERR_reason_error_string(session->error);
	return reason != NULL ? reason : "the connection was given up";
}

bool tls_session_was_resumed(const struct tls_session *session) {
	return library_of(session)->SSL_session_reused(session->ssl) == 1;
}

/* Strings of two or four bytes a character (BMP, universal) are none: their bytes may be those of
 * another name. */
static bool is_of_bytes(int type) {
	return type == V_ASN1_UTF8STRING || type == V_ASN1_PRINTABLESTRING ||
		   type == V_ASN1_IA5STRING || type == V_ASN1_T61STRING;
}

size_t tls_session_name(const struct tls_session *session, char name[TLS_NAME_BYTES_MAX]) {
	const struct tls_library *library = library_of(session);
	X509 *certificate = library->SSL_get0_peer_certificate(session->ssl);
	if (certificate == NULL || library->SSL_get_verify_result(session->ssl) != X509_V_OK) return 0;
	X509_NAME *subject = library->X509_get_subject_name(certificate);
	int index =
		subject == NULL ? -1 : library->X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
	if (index < 0) return 0;
	const ASN1_STRING *text =
		library->X509_NAME_ENTRY_get_data(library->X509_NAME_get_entry(subject, index));
	if (text == NULL || !is_of_bytes(library->ASN1_STRING_type(text))) return 0;
	int length = library->ASN1_STRING_length(text);
	if (length <= 0 || (size_t)length > TLS_NAME_BYTES_MAX) return 0;
	memcpy(name, library->ASN1_STRING_get0_data(text), (size_t)length);
	return (size_t)length;
}
