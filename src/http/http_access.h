/* http/http_access.h: who may ask, decided from what a request says of itself. Pure, but for what the
 * desk says of a password.
 *
 * A browser that shows a foreign page can send requests here in its user's name. What it cannot do:
 * add a header of its own across sites without asking first (which is refused), lie in Origin, or,
 * with a name that was made to point at us, name an address in Host. So actions need all three, and
 * answers that tell something need the last.
 *
 *     what is asked      Host is ours   same site   X-Snug-Request   token
 *     what only tells    yes            -           -                -
 *     what does things   yes            yes         yes              if one is set; without one
 *                                                                    only on loopback */
#ifndef SNUG_HTTP_HTTP_ACCESS_H
#define SNUG_HTTP_HTTP_ACCESS_H

#include "server/auth/auth.h"
#include "server/settings/settings.h"

#include <stdbool.h>

struct http_request {
	const char *host;          /* Host; each may be NULL: not sent */
	const char *origin;        /* Origin */
	const char *site;          /* Sec-Fetch-Site */
	const char *mark;          /* X-Snug-Request */
	const char *authorization; /* Authorization */
	uint64_t source;           /* where it comes from: auth_source */
};

struct http_rules {
	const char *name;                  /* what --http calls us */
	const struct settings_list *hosts; /* what --http-host does */
	const char *token;                 /* NULL: none is set */
	struct auth *auth;                 /* the users; NULL: there are none */
	const _Atomic bool *is_stopping;   /* once true, no password is waited for */
	bool is_loopback;                  /* this address cannot be reached from elsewhere */
	bool is_secured;                   /* by TLS: it is https that the page came by */
};

/* NULL: it may. Else a sentence that says why not. Asking for what only tells: */
const char *http_access_read(const struct http_rules *rules, const struct http_request *request);

/* Whether a password or a token was tried, and was right. */
enum http_try { HTTP_TRIED_NONE, HTTP_TRIED_RIGHT, HTTP_TRIED_WRONG };
/* Asking for what does something. May wait for a password to be checked (server/auth/auth.h). */
const char *http_access_act(const struct http_rules *rules, const struct http_request *request,
							enum http_try *tried);

#endif
