/* http/http_secure.h: HTTP over TLS, by GnuTLS, which libmicrohttpd brings along: the certificate and
 * the key of -Z, read as text, and the versions that --ssl-min-version allows. Ciphers are GnuTLS's
 * own, and no client is asked for a certificate: who may act is asked by HTTP's own means. */
#ifndef SNUG_HTTP_HTTP_SECURE_H
#define SNUG_HTTP_HTTP_SECURE_H

#include "base/text.h"
#include "server/settings/settings.h"

#define HTTP_PEM_BYTES_MAX 65536u /* of a certificate with those between it and its root */

struct http_secrets {
	char certificate[HTTP_PEM_BYTES_MAX];
	char key[HTTP_PEM_BYTES_MAX];
	const char *priorities; /* GnuTLS's word for the versions */
};

/* Reads the files. NULL: a sentence. Any thread. */
struct http_secrets *http_secrets_read(const struct settings *settings, struct text *why);
/* Wipes them. NULL is ignored. */
void http_secrets_destroy(struct http_secrets *secrets);

#endif
