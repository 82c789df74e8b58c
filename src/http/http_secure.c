/* http/http_secure.c: see http/http_secure.h. Whether a text is a certificate, and the key its own,
 * GnuTLS says when a daemon begins with them. */
#include "http/http_secure.h"

#include "os/files.h"

#include <stdlib.h>
#include <string.h>

static bool read_text(const char *option, const char *path, char text[HTTP_PEM_BYTES_MAX],
					  struct text *why) {
	if (!os_read_file(path, text, HTTP_PEM_BYTES_MAX))
		text_print(why, "--http-ssl: %s: %s: cannot be read", option, path);
	else if (strlen(text) == HTTP_PEM_BYTES_MAX - 1)
		text_print(why, "--http-ssl: %s: %s: is longer than 64 KiB", option, path);
	else
		return true;
	return false;
}

struct http_secrets *http_secrets_read(const struct settings *settings, struct text *why) {
	static const char *const priorities[] = {"NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2",
											 "NORMAL:-VERS-ALL:+VERS-TLS1.3"};
	const char *chain = settings->ssl_chain_cert,
			   *key = settings->ssl_key[0] != '\0' ? settings->ssl_key : chain;
	struct http_secrets *secrets = calloc(1, sizeof *secrets);
	if (secrets == NULL) {
		text_print(why, "--http-ssl: no memory");
		return NULL;
	}
	secrets->priorities = priorities[settings->ssl_min_version];
	if (read_text("--ssl-chain-cert", chain, secrets->certificate, why) &&
		read_text("--ssl-key", key, secrets->key, why))
		return secrets;
	http_secrets_destroy(secrets);
	return NULL;
}

void http_secrets_destroy(struct http_secrets *secrets) {
	if (secrets != NULL) explicit_bzero(secrets, sizeof *secrets);
	free(secrets);
}
