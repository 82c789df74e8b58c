/* server/tls/tls_certificates.h: what tls.c has for the sessions: the library, and keys as of now;
 * and what it makes them of. */
#ifndef SNUG_SERVER_TLS_CERTIFICATES_H
#define SNUG_SERVER_TLS_CERTIFICATES_H

#include "server/tls/tls_library.h"
#include "server/tls/tls_session.h"

const struct tls_library *tls_library_of(const struct tls *tls);
/* With the certificates that are read now; later ones leave it as it is. NULL: no memory. */
SSL *tls_new_ssl(struct tls *tls);
BIO_METHOD *tls_bio_method(const struct tls *tls);

/* tls_bio.c: how OpenSSL reads and writes. Once, by the main thread. NULL: no memory. */
BIO_METHOD *tls_bio_make(const struct tls_library *library);
/* What all BIOs are of, for who is called by OpenSSL. */
const struct tls_library *tls_bio_library(void);

#endif
