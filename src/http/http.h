/* http/http.h: snugd's HTTP side: metrics for Prometheus, health, JSON of what snugctl knows, and
 * the dashboard. The door of this room:
 *
 *     http.c           the daemons (libmicrohttpd), one for an address; a thread for a connection
 *     http_absent.c    in place of all the others, where libmicrohttpd was not there at the build
 *     http_library.c   libmicrohttpd, loaded
 *     http_response.c  what it sends, made of an answer
 *     http_secure.c    what it needs for TLS
 *     http_crowd.c     the connections, and who must go when there is no room
 *     http_memory.c    what answers may hold, and who pays when it is not enough
 *     http_shared.c    one answer for all who asked before its making began
 *     http_history.c   the main figures of the last minutes and of the last day
 *     http_access.c    who may do what: pure
 *     http_routes.c    what there is, as a table
 *     http_json.c      STAT lines as JSON: pure
 *     http_metrics.c   STAT lines as metrics, from a table: pure
 *     page.h           the dashboard, compiled in
 *     dashboard.*      the page: what it says, how it looks, what it does; embed.py makes one of
 *                      the three
 *
 *     request -> access: may he? -> route -> crowd: begin -> shared, or alone -> memory: make room
 *             -> an errand (server/errand/errand_ask.h) -> STAT lines -> JSON, metrics -> response
 *
 * It is a client like any other: it asks the workers by message and the coordinator by ticket, and
 * owns nothing of theirs. What connections and answers hold is bounded by HTTP_MEMORY_BYTES
 * (http_memory.h), beside the items; what GnuTLS takes for a connection comes on top, some 12 KiB
 * for each of 160 at most. */
#ifndef SNUG_HTTP_HTTP_H
#define SNUG_HTTP_HTTP_H

#include "base/text.h"
#include "server/process/listeners.h"
#include "server/server.h"

struct http;

enum http_start {
	HTTP_STARTED,
	HTTP_MISTAKEN, /* what an option names is not what it should be */
	HTTP_REFUSED   /* the system has not what is needed */
};

/* Serves what listeners of kind LISTENER_HTTP accept; none: `*out` is NULL, and STARTED. The
 * listeners' descriptors stay theirs. Else `why` has a sentence, and `*out` what is to be destroyed
 * all the same. */
enum http_start http_create(struct server *server, const struct listeners *listeners,
							const snug_log *log, struct text *why, struct http **out);

/* Accepts no more and lets answers that are under way end, each of which waits some seconds for a
 * worker at most. Before server_stop. NULL is ignored. */
void http_stop(struct http *http);
/* Between server_stop, after which no worker holds anything of ours any more, and server_destroy.
 * Stops, if that was not done. NULL is ignored. */
void http_destroy(struct http *http);

#endif
