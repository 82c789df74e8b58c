/* server/watch/watch_lines.c: what is told of an item and of a connection, in memcached's lines. */
#include "server/watch/watch_lines.h"

#include "cache/shard/shard_find.h"
#include "server/watch/prefixes.h"
#include "server/watch/watch.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

/* ------------------------------------------------------------------ items ------------------ */

static const char *store_status(const struct operation *operation) {
	switch ((enum operation_status)operation->status) {
	case STATUS_STORED:
		return "stored";
	case STATUS_EXISTS:
		return "exists";
	case STATUS_NOT_FOUND:
		return "not_found";
	case STATUS_TOO_LARGE:
		return "too_large";
	case STATUS_NO_MEMORY:
		return "no_memory";
	default:
		return "not_stored";
	}
}

static const char *store_name(const struct operation *operation) {
	static const char *const names[] = {"set", "add", "replace", "append", "prepend"};
	bool is_cas =
		operation->mode == STORE_SET && (operation->options & OPERATION_HAS_CAS_COMPARE) != 0;
	return is_cas ? "cas" : names[operation->mode];
}

/* Seconds to live, as it was asked; 0: for ever, or no more. */
static unsigned ttl_of(int64_t wall_s, const struct operation *operation) {
	int64_t left_s = operation->exptime;
	if (left_s > EXPTIME_RELATIVE_MAX_S) left_s -= wall_s;
	return left_s < 0 ? 0 : (unsigned)left_s;
}

/* What was looked up, which all but a look do before anything else: the size of its value. False:
 * nothing was looked for, or nobody had asked for it to be told when it was. */
static bool looked_up(const struct operation *operation, bool *is_found, uint64_t *value_bytes) {
	bool is_plain = operation->kind == OPERATION_GET || operation->kind == OPERATION_INSPECT;
	if (!is_plain && (operation->options & OPERATION_TELLS_BEFORE) == 0) return false;
	*is_found = is_plain ? operation->status == STATUS_FOUND
						 : operation->before_bytes != OPERATION_NOTHING_BEFORE;
	*value_bytes = !*is_found ? 0
				   : is_plain ? operation->item.value_bytes
							  : operation->before_bytes;
	return true;
}

static void watch_look(struct watchers *watchers, const struct watched *watched, const char *key,
					   const struct operation *operation) {
	bool is_found;
	uint64_t value_bytes;
	if (!looked_up(operation, &is_found, &value_bytes)) return;
	watchers_say(watchers, WATCH_FETCHERS, "type=item_get key=%s status=%s clsid=%u cfd=%d size=%u",
				 key, is_found ? "found" : "not_found", is_found ? 1u : 0u, watched->fd,
				 (unsigned)value_bytes);
}

void watch_item(struct watchers *watchers, const struct watched *watched, const struct reply *reply,
				const struct operation *operation) {
	uint32_t kinds = watched->kinds;
	char room[WATCH_KEY_ROOM];
	if ((kinds & WATCH_PREFIXES) != 0) prefixes_count(watched->prefixes, operation);
	if ((kinds & (WATCH_FETCHERS | WATCH_MUTATIONS | WATCH_DELETIONS)) == 0) return;
	const char *key = watch_key(operation->key.bytes, operation->key.length, room);
	if ((kinds & WATCH_FETCHERS) != 0) watch_look(watchers, watched, key, operation);
	if (operation->kind == OPERATION_STORE && (kinds & WATCH_MUTATIONS) != 0) {
		watchers_say(watchers, WATCH_MUTATIONS,
					 "type=item_store key=%s status=%s cmd=%s ttl=%u clsid=1 cfd=%d size=%u", key,
					 store_status(operation), store_name(operation),
					 ttl_of(watched->wall_s, operation), watched->fd, operation->value_bytes);
	} else if (operation->kind == OPERATION_DELETE && operation->status == STATUS_DONE &&
			   (operation->options & OPERATION_INVALIDATES) == 0 &&
			   (kinds & WATCH_DELETIONS) != 0) {
		watchers_say(watchers, WATCH_DELETIONS, "type=deleted key=%s cmd=%s clsid=1 size=%u", key,
					 reply->form == ANSWER_META_DELETE ? "md" : "delete",
					 (unsigned)operation->item.value_bytes);
	}
}

/* ------------------------------------------------------------------ connections ------------ */

struct peer {
	char host[INET6_ADDRSTRLEN];
	unsigned port;
	const char *transport;
};

static struct peer peer_of(int fd) {
	struct sockaddr_storage address = {0};
	socklen_t length = sizeof address;
	struct peer peer = {.host = "unix", .transport = "local"};
	if (getpeername(fd, (struct sockaddr *)&address, &length) != 0) {
		memcpy(peer.host, "null", sizeof "null");
		peer.transport = "tcp";
	} else if (address.ss_family == AF_INET) {
		const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)&address;
		(void)inet_ntop(AF_INET, &v4->sin_addr, peer.host, sizeof peer.host);
		peer.port = ntohs(v4->sin_port);
		peer.transport = "tcp";
	} else if (address.ss_family == AF_INET6) {
		const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)&address;
		(void)inet_ntop(AF_INET6, &v6->sin6_addr, peer.host, sizeof peer.host);
		peer.port = ntohs(v6->sin6_port);
		peer.transport = "tcp";
	}
	return peer;
}

void watch_connection_new(struct watchers *watchers, int fd) {
	struct peer peer = peer_of(fd);
	watchers_say(watchers, WATCH_CONNECTIONS, "type=conn_new rip=%s rport=%u transport=%s cfd=%d",
				 peer.host, peer.port, peer.transport, fd);
}

void watch_connection_close(struct watchers *watchers, int fd, enum close_reason reason) {
	static const char *const reasons[] = {"error", "normal", "idle_timeout", "shutdown", "killed"};
	struct peer peer = peer_of(fd);
	watchers_say(watchers, WATCH_CONNECTIONS,
				 "type=conn_close rip=%s rport=%u transport=%s reason=%s cfd=%d", peer.host,
				 peer.port, peer.transport, reasons[reason], fd);
}

/* ------------------------------------------------------------------ evictions -------------- */

void watch_eviction(struct watchers *watchers, int64_t clock_s, const struct walked *item) {
	const struct item_head *head = &item->head;
	char room[WATCH_KEY_ROOM];
	long long ttl_s = head->expires_at_s == 0 ? -1 : (long long)(head->expires_at_s - clock_s);
	watchers_say(
		watchers, WATCH_EVICTIONS, "type=eviction key=%s fetch=%s ttl=%lld la=%u clsid=1 size=%u",
		watch_key(item->key.bytes, item->key.length, room),
		(head->marks & MARK_FETCHED) != 0 ? "yes" : "no", ttl_s, item->idle_s, head->value_bytes);
}
