/* server/connection/connection_peek.c: what many connections have sent is looked up at once.
 *
 *     bytes of all of them --the key of each lone command--> hashes --> buckets, items: asked for
 *     then each as ever: parsed, carried out, answered
 *
 * A look-up waits for memory longer than it computes. The commands of one connection are looked up
 * together (connection_commands.c); where each connection sends one command at a time there is
 * nothing to overlap with but the commands of others. So before the first of what a poll brings is
 * taken, the keys of all are found at a glance, and what finding them will touch is on its way.
 *
 * Nothing depends on it: a wrong guess asks for memory that nobody needs. */
#include "base/assert.h"
#include "cache/shard/shard_read.h"
#include "server/connection/connection.h"

static bool takes_commands(const struct connection *connection) {
	return !connection->is_closing && connection->input_state == INPUT_COMMANDS &&
		   connection->input_bytes == 0 && connection->parser.list == 0;
}

static bool is_get(const char *bytes) {
	return bytes[0] == 'g' || (bytes[0] == 'm' && bytes[1] == 'g');
}

void connections_peek(struct server_worker *worker, const struct io_coming *coming, size_t count) {
	uint64_t own[IO_COMING_MAX], others[IO_COMING_MAX];
	const snug_shard *shards[IO_COMING_MAX];
	const struct server *server = worker->server;
	size_t own_count = 0, other_count = 0;
	SNUG_ASSERT(count <= IO_COMING_MAX);
	for (size_t i = 0; i < count; i++) {
		/* the stream is the connection's first member */
		const struct connection *connection = (const void *)coming[i].stream;
		const char *key;
		size_t key_bytes;
		if (!takes_commands(connection) ||
			!command_peek(coming[i].bytes, coming[i].length, &key, &key_bytes))
			continue;
		uint64_t hash = snug_shard_key(key, key_bytes).hash;
		uint32_t owner = request_owner(hash, server->worker_count);
		if (owner == worker->index) {
			own[own_count++] = hash;
		} else if (is_get(coming[i].bytes)) {
			shards[other_count] = server->worker[owner].shard;
			others[other_count++] = hash;
		}
	}
	if (own_count > 1) snug_shard_prefetch(worker->shard, own, own_count);
	if (other_count > 1) shards_read_prefetch(shards, others, other_count);
}
