/* mouth_secured.c: see mouth.h. Each client speaks TLS to a door that wants it; some bend their records, say to that door what they like, or stop in the
 * midst of a handshake. */
#include "mouth.h"

#include "server/tls/tls_layer.h"
#include "support/require.h"
#include "support/secured_client.h"

#define PATIENCE_S 10u
#define CONNECTIONS_MAX 24u /* so a worker has HANDSHAKES_MIN at a time, fewer than clients */

enum trick { TRICK_BEND, TRICK_RAW, TRICK_STALL, TRICK_COUNT };

const uint32_t mouth_tricks = TRICK_COUNT;

struct tls *mouth_server(void) {
	const struct settings settings = {
		.ssl_keyformat = 1,
		.ssl_wbuf_bytes = 16384,
		.ssl_handshake_timeout_s = PATIENCE_S,
		.connections_max = CONNECTIONS_MAX,
	};
	return secured_server(&settings);
}

void mouth_connect(struct mouth *mouth, uint32_t worker, bool is_old) {
	*mouth = (struct mouth){.socket = world_connect_secured(worker)};
	mouth->secured = secured_client_create(is_old);
}

void mouth_deinit(struct mouth *mouth) {
	secured_client_destroy(mouth->secured);
}

void mouth_say(struct mouth *mouth, const char *bytes, size_t length) {
	secured_client_say(mouth->secured, bytes, length);
}

static bool send_records(struct mouth *mouth) {
	struct byte_queue *records = secured_client_records(mouth->secured);
	size_t length = byte_queue_left(records);
	if (length == 0) return false;
	char *bytes = records->bytes + records->begin;
	bytes[mouth->bent_at % length] = (char)(bytes[mouth->bent_at % length] ^ mouth->difference);
	mouth->difference = 0;
	fake_send(mouth->socket, bytes, length);
	records->begin = records->end;
	return true;
}

bool mouth_pump(struct mouth *mouth) {
	if (mouth->is_stalled) return false;
	const struct byte_queue *answers = &fake_socket(mouth->socket)->answers;
	size_t length = answers->end - mouth->heard_bytes;
	if (length > 0)
		secured_client_hear(mouth->secured, answers->bytes + mouth->heard_bytes, length);
	mouth->heard_bytes = answers->end;
	secured_client_pump(mouth->secured);
	return send_records(mouth);
}

/* Who has not ended his handshake has said nothing to anybody. */
void mouth_end(struct mouth *mouth, bool is_polite) {
	(void)mouth_pump(mouth);
	mouth->is_bent |= mouth->is_stalled || !mouth_is_true(mouth);
	if (is_polite && !mouth->is_bent) mouth->is_bent |= !secured_client_say_end(mouth->secured);
	(void)send_records(mouth);
	fake_socket(mouth->socket)->has_ended = true;
}

bool mouth_is_true(const struct mouth *mouth) {
	return !mouth->is_bent && secured_client_is_open(mouth->secured);
}

const struct byte_queue *mouth_heard(const struct mouth *mouth) {
	return secured_client_heard(mouth->secured);
}

void mouth_trick(struct mouth *mouth, uint32_t trick, uint8_t argument, const uint8_t *bytes,
				 size_t length) {
	switch ((enum trick)trick) {
	case TRICK_BEND:
		mouth->is_bent = true;
		mouth->bent_at = length > 0 ? bytes[0] | (uint32_t)argument << 8 : argument;
		mouth->difference = length > 1 ? bytes[1] | 1 : 1;
		break;
	case TRICK_RAW:
		mouth->is_bent = true;
		fake_send(mouth->socket, (const char *)bytes, length < argument ? length : argument);
		break;
	case TRICK_STALL:
		mouth->is_stalled = !mouth->is_stalled;
		break;
	case TRICK_COUNT:
		break;
	}
}

/* ------------------------------------------------------------------ bounds ----------------- */

static const struct tls_layer *layer_of(const struct server_worker *worker) {
	return (const struct tls_layer *)(const void *)worker->turn->io;
}

/* Of those that are handshaking; the others' is what is left of all. */
static void check_handshakes(const struct tls_layer *layer, uint64_t now_ns) {
	uint64_t held_bytes = 0, patience_ns = PATIENCE_S * UINT64_C(1000000000);
	uint32_t count = 0;
	const struct tls_list *list = &layer->handshaking;
	for (const struct tls_stream *at = list->first; at != NULL; at = at->link[LINK_DEADLINE].next) {
		REQUIRE(tls_is_handshaking(at), "a stream of stage %u is handshaking", at->stage);
		REQUIRE(at->session.held_bytes <= HANDSHAKE_BYTES_MAX, "a handshake holds %lld bytes",
				(long long)at->session.held_bytes);
		REQUIRE(at->deadline_ns <= now_ns + patience_ns, "a handshake has more time than others");
		held_bytes += (uint64_t)at->session.held_bytes;
		count++;
	}
	REQUIRE(count == list->count && count <= layer->handshakes_max, "%u handshakes at a time",
			count);
	REQUIRE(held_bytes == layer->handshake_bytes, "handshakes hold %llu bytes, counted as %llu",
			(unsigned long long)held_bytes, (unsigned long long)layer->handshake_bytes);
	REQUIRE(held_bytes <= buffers_limit_bytes(layer->buffers) / 4 + HANDSHAKE_BYTES_MAX,
			"handshakes hold %llu bytes", (unsigned long long)held_bytes);
}

static void check_all(const struct server_worker *worker) {
	const struct tls_layer *layer = layer_of(worker);
	uint64_t held_bytes = 0, current = 0;
	bool is_starved = false;
	for (const struct connection *at = worker->connection_list; at != NULL; at = at->next) {
		if (!at->is_open) continue;
		const struct tls_stream *stream = tls_stream_of(&at->stream);
		held_bytes += (uint64_t)stream->session.held_bytes;
		is_starved |= stream->is_starved || at->is_closing;
		current++;
	}
	REQUIRE(held_bytes == layer->held_bytes && held_bytes == worker->connections.tls.memory_bytes,
			"%llu bytes are held, counted as %llu", (unsigned long long)held_bytes,
			(unsigned long long)layer->held_bytes);
	REQUIRE(current == worker->connections.tls.current, "%llu are secured, counted as %llu",
			(unsigned long long)current, (unsigned long long)worker->connections.tls.current);
	REQUIRE(is_starved || held_bytes <= (uint64_t)layer->chunks * CHUNK_BYTES,
			"%llu bytes are held, %u chunks are borrowed", (unsigned long long)held_bytes,
			layer->chunks);
}

uint64_t mouth_failures(const struct world *world) {
	return world->worker[0].connections.tls.handshake_errors +
		   world->worker[1].connections.tls.handshake_errors;
}

void mouth_check(const struct world *world) {
	for (uint32_t i = 0; i < WORLD_WORKERS; i++) {
		check_handshakes(layer_of(&world->worker[i]), world->now_ns);
		check_all(&world->worker[i]);
	}
}

void mouth_check_end(const struct world *world) {
	mouth_check(world);
	for (uint32_t i = 0; i < WORLD_WORKERS; i++)
		REQUIRE(layer_of(&world->worker[i])->handshaking.count == 0,
				"a handshake goes on that has had its time");
}
