/* http/http_absent.c: http.h, where libmicrohttpd was not there at the build: --http is refused
 * with a sentence, and nothing else needs to know. */
#include "http/http.h"

enum http_start http_create(struct server *server, const struct listeners *listeners,
							const snug_log *log, struct text *why, struct http **out) {
	(void)listeners;
	(void)log;
	*out = NULL;
	if (server->settings.http[0] == '\0') return HTTP_STARTED;
	text_print(why, "--http: this snugd was built without libmicrohttpd");
	return HTTP_REFUSED;
}

void http_stop(struct http *http) {
	(void)http;
}

void http_destroy(struct http *http) {
	(void)http;
}
