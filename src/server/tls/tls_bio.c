/* server/tls/tls_bio.c: how OpenSSL reads and writes: a BIO of ours in place of a socket. It reads
 * what the session is fed with, and writes where its owner puts records. When there is nothing, or no
 * room, it says "again later", as a socket does. */
#include "server/tls/tls_certificates.h"

#include <string.h>

/* All BIOs are of one method, and find the library here: constant once that is made. */
static const struct tls_library *loaded;

const struct tls_library *tls_bio_library(void) {
	return loaded;
}

static int bio_read(BIO *bio, char *to, int room) {
	struct tls_session *session = loaded->BIO_get_data(bio);
	loaded->BIO_clear_flags(bio, BIO_FLAGS_RWS | BIO_FLAGS_SHOULD_RETRY);
	size_t length = session->fed_bytes < (size_t)room ? session->fed_bytes : (size_t)room;
	if (length == 0) {
		loaded->BIO_set_flags(bio, BIO_FLAGS_READ | BIO_FLAGS_SHOULD_RETRY);
		return -1;
	}
	memcpy(to, session->fed, length);
	session->fed += length;
	session->fed_bytes -= length;
	return (int)length;
}

static int bio_write(BIO *bio, const char *bytes, int length) {
	const struct tls_session *session = loaded->BIO_get_data(bio);
	loaded->BIO_clear_flags(bio, BIO_FLAGS_RWS | BIO_FLAGS_SHOULD_RETRY);
	size_t taken = length > 0 ? session->put(session->context, bytes, (size_t)length) : 0;
	if (taken > 0) return (int)taken;
	loaded->BIO_set_flags(bio, BIO_FLAGS_WRITE | BIO_FLAGS_SHOULD_RETRY);
	return -1;
}

static long bio_control(BIO *bio, int what, long number, void *pointer) {
	(void)bio;
	(void)number;
	(void)pointer;
	return what == BIO_CTRL_FLUSH ? 1 : 0;
}

BIO_METHOD *tls_bio_make(const struct tls_library *library) {
	loaded = library;
	BIO_METHOD *method =
		library->BIO_meth_new(library->BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "snug");
	if (method == NULL) return NULL;
	library->BIO_meth_set_read(method, bio_read);
	library->BIO_meth_set_write(method, bio_write);
	library->BIO_meth_set_ctrl(method, bio_control);
	return method;
}
