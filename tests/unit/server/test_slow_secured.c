/* test_slow_secured.c: who reads a large value over TLS, slowly, is not idle; who reads nothing of it
 * is. The same without TLS is in test_connection_ends.c. */
#include "support/client_text.h"
#include "support/secured_client.h"
#include "support/test_secret.h"

#define LARGE_BYTES 900000u /* of a value: many sends of the layer, one of the connection's */
#define PASS_NS UINT64_C(20000000)
#define ROUNDS 200u /* of PASS_NS: four times the time after which who is idle is closed */

struct reader {
	struct secured_client *secured;
	uint32_t client;
	size_t heard_bytes; /* of the server's records */
};

static void pump(struct reader *reader) {
	const struct byte_queue *answers = &fake_socket(reader->client)->answers;
	size_t length = answers->end - reader->heard_bytes;
	if (length > 0)
		secured_client_hear(reader->secured, answers->bytes + reader->heard_bytes, length);
	reader->heard_bytes = answers->end;
	secured_client_pump(reader->secured);
	struct byte_queue *records = secured_client_records(reader->secured);
	fake_send(reader->client, records->bytes + records->begin, byte_queue_left(records));
	records->begin = records->end;
}

/* Asks, and reads nothing yet. */
static void begin_to_read(struct reader *reader, const char *key) {
	char line[64];
	*reader = (struct reader){secured_client_create(false), world_connect_secured(0), 0};
	while (!secured_client_is_open(reader->secured)) {
		pump(reader);
		world_settle();
	}
	fake_socket(reader->client)->window_bytes = 0;
	int length = snprintf(line, sizeof line, "get %s\r\n", key);
	secured_client_say(reader->secured, line, (size_t)length);
	pump(reader);
	world_turn(0);
}

static void store(const char *key) {
	struct words words = {0};
	uint32_t client = world_connect(0);
	words_print(&words, "set %s 0 0 %u\r\n", key, LARGE_BYTES);
	words_value(&words, LARGE_BYTES, 1);
	words_append(&words, "\r\n", 2);
	fake_send(client, words.bytes, words.length);
	world_settle();
	expect(client, "STORED\r\n");
	words_clear(&words);
}

/* Some of what is being sent, or more than the layer sends at a time, after less time than who is idle
 * has. */
static void read_slowly(uint32_t round_bytes, uint32_t every) {
	const struct settings settings = {.ssl_keyformat = 1,
									  .ssl_wbuf_bytes = 16384,
									  .ssl_handshake_timeout_s = 10,
									  .connections_max = 16};
	struct world *world = world_begin(&(struct world_options){.tls = secured_server(&settings)});
	struct reader slow, stuck;
	char key[WORLD_KEY_BYTES];
	world_key(0, 0, key);
	store(key);
	begin_to_read(&stuck, key);
	begin_to_read(&slow, key);
	atomic_store(&world->server.live.idle_timeout_s, 1);
	for (uint32_t i = 0; i < ROUNDS; i++) {
		world->now_ns += PASS_NS;
		if (i % every == 0) fake_socket(slow.client)->window_bytes = round_bytes;
		pump(&slow);
		world_turn(0);
	}
	pump(&slow);
	assert_true(fake_socket(stuck.client)->is_closed);
	assert_false(fake_socket(slow.client)->is_closed);
	assert_in_range(byte_queue_left(secured_client_heard(slow.secured)),
					round_bytes * (ROUNDS / every) / 2, LARGE_BYTES);
	secured_client_destroy(slow.secured);
	secured_client_destroy(stuck.secured);
	world_end();
}

static void who_takes_parts_stays(void **state) {
	(void)state;
	read_slowly(500, 1); /* less than one of the layer's sends, in all that time */
}

static void who_takes_more_than_a_send_stays(void **state) {
	(void)state;
	read_slowly(70000, 45); /* less than one of the connection's */
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_takes_parts_stays),
		cmocka_unit_test(who_takes_more_than_a_send_stays),
	};
	(void)secured_certificate();
	test_set_secret(1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
