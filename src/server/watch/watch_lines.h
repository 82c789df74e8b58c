/* server/watch/watch_lines.h: what is told of an item and of a connection. Only for who is
 * watched. */
#ifndef SNUG_SERVER_WATCH_LINES_H
#define SNUG_SERVER_WATCH_LINES_H

#include "server/protocol/protocol.h"
#include "server/watch/watch.h"

struct prefixes;
struct walked;

/* Who has asked. */
struct watched {
	uint32_t kinds; /* that somebody watches */
	int fd;
	int64_t wall_s;
	struct prefixes *prefixes; /* counted there, if that is watched */
};

/* An operation that was carried out, of those that are watched: otherwise nothing is told. */
void watch_item(struct watchers *watchers, const struct watched *watched, const struct reply *reply,
				const struct operation *operation);

/* The descriptor is still open. */
enum close_reason { CLOSE_ERROR, CLOSE_NORMAL, CLOSE_IDLE, CLOSE_SHUTDOWN, CLOSE_KILLED };
void watch_connection_new(struct watchers *watchers, int fd);
void watch_connection_close(struct watchers *watchers, int fd, enum close_reason reason);

/* As shard_tell_evictions shows it; clock_s is the shard's. */
void watch_eviction(struct watchers *watchers, int64_t clock_s, const struct walked *item);

#endif
