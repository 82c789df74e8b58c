/* http/http_memory.h: what answers may hold, and who pays when it is not enough.
 *
 *     HTTP_MEMORY_BYTES  [ connections: 1/2 | answers, history: 3/8 | of /healthz and /metrics: 1/8 ]
 *
 * Answers are texts (base/text.h) that draw on an account from the errand's first byte until
 * libmicrohttpd has sent the last. A client that does not read holds his. Where a new answer finds
 * no room, the client that has cost most so far is closed, counted and logged, until there is. What
 * is made for the one account is never held up by the other, so a probe is answered while others
 * hold all they can.
 *
 * A connection costs a stack of which some pages are touched, libmicrohttpd's buffer and record:
 * CONNECTION_COST_BYTES. So their number is their bound. */
#ifndef SNUG_HTTP_HTTP_MEMORY_H
#define SNUG_HTTP_HTTP_MEMORY_H

#include "base/text.h"
#include "http/http_crowd.h"
#include "http/http_history.h"

#include <snug/log.h>

/* At least 8 MiB: a map of the largest heap is made in 2.5. */
#define HTTP_MEMORY_BYTES ((size_t)16 << 20)
#define CONNECTION_COST_BYTES ((size_t)64 << 10)
#define HTTP_CONNECTIONS_MAX ((uint32_t)(HTTP_MEMORY_BYTES / 2 / CONNECTION_COST_BYTES))

struct http_memory {
	struct text_account answers;
	struct text_account urgent;
	struct crowd *crowd;        /* constant */
	snug_log log;               /* constant */
	_Atomic uint64_t closed;    /* atomic: clients that were */
	_Atomic uint64_t logged_ns; /* atomic: the last line's time; 0: none */
};

void http_memory_init(struct http_memory *memory, struct crowd *crowd, const snug_log *log);
/* Closes clients until the account has room for so many bytes, or nobody is left who could give
 * any. Waits half a second at most: they leave in threads of their own. False: there is less; a
 * text will say by itself whether it was enough. Any thread but a worker's. */
bool http_memory_make_room(struct http_memory *memory, const struct text_account *account,
						   size_t bytes);

#endif
