/* test_connection.c: the connections of two workers: bytes in, however they are cut; values on all
 * roads; answers in their order; output that is not read. How connections end is in
 * test_connection_ends.c. */
#include "support/client_text.h"
#include "support/test_secret.h"
#include "work/channel/message.h"

#define ROOM_BYTES_MAX ((size_t)1 << 20)

static struct world *world;

static int begin(void **state) {
	(void)state;
	world = world_begin(&(struct world_options){0});
	return 0;
}

static int end(void **state) {
	(void)state;
	world_end();
	return 0;
}

static char own_key[4][WORLD_KEY_BYTES];
static char far_key[4][WORLD_KEY_BYTES]; /* the other worker's */

/* ------------------------------------------------------------------ cut anywhere ----------- */

static void store_words(struct words *words, const char *key, size_t bytes, const char *options) {
	words_print(words, "set %s 5 0 %zu%s\r\n", key, bytes, options);
	words_value(words, bytes, 1);
	words_append(words, "\r\n", 2);
}

/* Each kind of command, for keys of both; deletes what it has stored, so that it finds the same
 * when it is said again. */
static void all_kinds(struct words *words) {
	for (uint32_t i = 0; i < 2; i++) {
		const char *key = i == 0 ? own_key[0] : far_key[0];
		words_print(words, "set %s 5 0 3\r\n", key);
		words_print(words, "one\r\nget %s %s %s\r\n", own_key[0], far_key[0], own_key[1]);
		words_print(words, "append %s 0 0 2\r\n!!\r\nprepend %s 0 0 1 noreply\r\n>\r\nget %s\r\n",
					key, key, key);
		words_print(words, "mg %s v f k s Oopaque\r\nmg %s v q\r\nms %s 2\r\n12\r\n", key,
					own_key[1], key);
		words_print(words, "incr %s 30\r\ndecr %s 2\r\nma %s v\r\nma %s q\r\nmn\r\n", key, key, key,
					key);
		words_print(words, "add %s 0 0 1\r\nx\r\nreplace %s 0 0 4\r\nlong\r\ntouch %s 1000\r\n",
					key, key, key);
		words_print(words, "set %s 0 0 4\r\nlongbad\r\nget %s\r\nbogus\r\nset %s 0 0 -1\r\n", key,
					key, key);
		words_print(words, "set %s 0 0 9999999\r\n", own_key[3]);
		words_print(words,
					"gets\r\nmg\r\nversion\r\nverbosity 1\r\nverbosity 1 noreply\r\nflush_all\r\n");
		words_print(words, "md %s q\r\ndelete %s\r\ndelete %s noreply\r\nmg %s\r\nmn\r\n", key, key,
					key, key);
	}
}

/* One command is refused for its size: its value comes too. */
static void with_the_value_of_the_refused(const struct words *words, struct words *out) {
	static const char line[] = " 0 0 9999999\r\n";
	const char *at = words->bytes;
	for (const char *found; (found = strstr(at, line)) != NULL; at = found + sizeof line - 1) {
		words_append(out, at, (size_t)(found - at));
		words_print(out, " 0 0 -7\r\n");
	}
	words_append(out, at, strlen(at));
}

/* In two pieces, and then one byte at a time. */
static void say_cut(const struct words *words, size_t cut, const struct words *answers) {
	uint32_t client = world_connect(0);
	fake_send(client, words->bytes, cut);
	world_settle();
	fake_send(client, words->bytes + cut, words->length - cut);
	say(client, "quit\r\n");
	world_settle();
	expect_bytes(client, answers->bytes, answers->length);
	assert_true(fake_socket(client)->is_closed);
	assert_int_equal(world_held_bytes(0), 0);
	fake_sockets_forget();
}

/* What is answered when all comes at once. */
static void say_whole(const struct words *words, struct words *answers) {
	uint32_t client = world_connect(0);
	fake_send(client, words->bytes, words->length);
	say(client, "quit\r\n");
	world_settle();
	assert_true(fake_socket(client)->is_closed);
	words_append(answers, fake_socket(client)->answers.bytes, heard_bytes(client));
	fake_sockets_forget();
}

static void a_line_is_a_line_however_it_is_cut(void **state) {
	struct words raw = {0}, words = {0}, answers = {0};
	(void)state;
	all_kinds(&raw);
	with_the_value_of_the_refused(&raw, &words);
	say_whole(&words, &answers);
	assert_non_null(strstr(answers.bytes, "VALUE "));
	assert_non_null(strstr(answers.bytes, "CLIENT_ERROR bad data chunk"));
	for (size_t cut = 1; cut < words.length; cut++) say_cut(&words, cut, &answers);
	uint32_t client = world_connect(0);
	fake_socket(client)->piece_bytes = 1;
	fake_send(client, words.bytes, words.length);
	world_settle();
	expect_bytes(client, answers.bytes, answers.length);
	words_clear(&raw);
	words_clear(&words);
	words_clear(&answers);
}

/* ------------------------------------------------------------------ values ----------------- */

/* Around each bound at which a value takes another road. */
static const size_t sizes[] = {0,
							   1,
							   REQUEST_EXTENTS,
							   RECORD_ROOM - 700,
							   RECORD_ROOM - 2,
							   RECORD_ROOM,
							   COPY_BYTES_MAX - 1,
							   COPY_BYTES_MAX,
							   COPY_BYTES_MAX + 1,
							   DIRECT_BYTES_MAX - 1,
							   DIRECT_BYTES_MAX,
							   DIRECT_BYTES_MAX + 1,
							   BLOCK_ROOM,
							   CHUNK_BYTES + 1,
							   300000,
							   ROOM_BYTES_MAX - 100};

static void value_answer(struct words *words, const char *key, size_t bytes) {
	words_print(words, "VALUE %s 5 %zu\r\n", key, bytes);
	words_value(words, bytes, 1);
	words_print(words, "\r\nEND\r\n");
}

/* Stores and gets it, received in pieces of so many bytes; read in such pieces, too. */
static void a_value_there_and_back(const char *key, size_t bytes, size_t piece_bytes,
								   bool sends_later) {
	struct words words = {0}, answers = {0};
	uint32_t client = world_connect(0);
	struct fake_socket *socket = fake_socket(client);
	store_words(&words, key, bytes, "");
	words_print(&words, "get %s\r\ndelete %s\r\n", key, key);
	words_print(&answers, "STORED\r\n");
	value_answer(&answers, key, bytes);
	words_print(&answers, "DELETED\r\n");
	socket->piece_bytes = piece_bytes;
	socket->sends_later = sends_later;
	if (piece_bytes != FAKE_UNLIMITED) socket->window_bytes = 0;
	fake_send(client, words.bytes, words.length);
	world_settle();
	for (size_t at = 0; piece_bytes != FAKE_UNLIMITED && at < answers.length; at += piece_bytes) {
		assert_int_equal(heard_bytes(client), at);
		socket->window_bytes = piece_bytes;
		world_settle();
	}
	expect_bytes(client, answers.bytes, answers.length);
	words_clear(&words);
	words_clear(&answers);
	assert_int_equal(world_leases(0) + world_leases(1), 0);
}

static void a_value_of_any_size_comes_and_goes_on_both_roads(void **state) {
	(void)state;
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
		for (uint32_t form = 0; form < 4; form++) {
			const char *key = form % 2 == 0 ? own_key[0] : far_key[0];
			a_value_there_and_back(key, sizes[i], FAKE_UNLIMITED, form >= 2);
			a_value_there_and_back(key, sizes[i], sizes[i] / 7 + 3, form >= 2);
			fake_reset_all();
			world_settle();
			fake_sockets_forget();
		}
}

/* The seams of a value that is received where it will lie: its first bytes, its last, and its
 * line's end. */
static void a_large_value_is_cut_at_each_seam(void **state) {
	const size_t bytes = DIRECT_BYTES_MAX + 3000;
	(void)state;
	for (uint32_t far = 0; far < 2; far++) {
		struct words words = {0}, answers = {0};
		const char *key = far ? far_key[0] : own_key[0];
		store_words(&words, key, bytes, "");
		size_t head_bytes = words.length - bytes - 2;
		words_print(&words, "get %s\r\ndelete %s\r\n", key, key);
		say_whole(&words, &answers);
		for (size_t cut = 1; cut < words.length; cut++) {
			bool is_seam = cut < head_bytes + 20 || cut > head_bytes + bytes - 20 || cut % 509 == 0;
			if (is_seam) say_cut(&words, cut, &answers);
		}
		words_clear(&words);
		words_clear(&answers);
	}
}

/* Its line's end is wrong: nothing is stored, and what comes behind is a command. */
static void a_large_value_with_a_wrong_end_is_refused(void **state) {
	(void)state;
	for (uint32_t far = 0; far < 2; far++) {
		struct words words = {0};
		const char *key = far ? far_key[0] : own_key[0];
		words_print(&words, "set %s 0 0 20000\r\n", key);
		words_value(&words, 20000, 1);
		words_print(&words, "xyget %s\r\nversion\r\n", key);
		uint32_t client = world_connect(0);
		fake_socket(client)->piece_bytes = 1000;
		fake_send(client, words.bytes, words.length);
		world_settle();
		expect(client,
			   "CLIENT_ERROR bad data chunk\r\nEND\r\nVERSION " PROTOCOL_VERSION_TEXT "\r\n");
		assert_int_equal(world_leases(far), 0);
		words_clear(&words);
	}
}

/* What he thinks he has replaced goes, whose ever it is, and nothing is said of that. */
static void a_store_that_is_too_large_removes_the_old_value(void **state) {
	(void)state;
	for (uint32_t far = 0; far < 2; far++) {
		const char *key = far ? far_key[0] : own_key[0];
		struct words words = {0};
		store_words(&words, key, 3, "");
		words_print(&words, "set %s 0 0 1200000\r\n", key);
		words_value(&words, 1200000, 1);
		words_print(&words, "\r\nget %s\r\n", key);
		uint32_t client = world_connect(0);
		fake_send(client, words.bytes, words.length);
		world_settle();
		expect(client, "STORED\r\nSERVER_ERROR object too large for cache\r\nEND\r\n");
		words_clear(&words);
	}
}

/* ------------------------------------------------------------------ order ------------------ */

static void nothing_is_said_of_what_is_quiet(void **state) {
	struct words words = {0};
	(void)state;
	for (uint32_t i = 0; i < 2; i++) {
		const char *key = i == 0 ? own_key[0] : far_key[0];
		words_print(&words, "set %s 0 0 1 noreply\r\n1\r\nincr %s 5 noreply\r\n", key, key);
		words_print(&words, "set %s 0 0 1 noreply\r\nlxx", own_key[1]);
		words_print(&words, "ms %s 1 q\r\n6\r\nmg %s v q\r\nmd %s q\r\n", own_key[2], own_key[3],
					own_key[2]);
		words_print(&words, "mn\r\n");
		store_words(&words, far_key[2], 20000, " noreply");
		store_words(&words, own_key[2], 20000, " noreply");
	}
	words_print(&words, "delete %s noreply\r\nmd %s q\r\nquit\r\n", far_key[0], own_key[0]);
	uint32_t client = world_connect(0);
	fake_send(client, words.bytes, words.length);
	world_settle();
	expect(client, "MN\r\nMN\r\n");
	assert_true(fake_socket(client)->is_closed);
	words_clear(&words);
}

/* more than a batch, than the records of one connection, and than the inbox */
#define PIPELINE 300u

/* Owners by turns; the other's requests are carried out one at a time, with turns of the asker in
 * between. */
static void answers_come_in_the_order_of_the_commands(void **state) {
	struct words words = {0}, answers = {0};
	uint32_t client = world_connect(0);
	(void)state;
	for (uint32_t i = 0; i < PIPELINE; i++) {
		const char *key = i % 2 == 0 ? far_key[0] : own_key[0];
		words_print(&words, "set %s 5 0 4\r\n%04u\r\nget %s\r\n", key, i, key);
		words_print(&answers, "STORED\r\nVALUE %s 5 4\r\n%04u\r\nEND\r\n", key, i);
	}
	fake_send(client, words.bytes, words.length);
	for (uint32_t i = 0; i < 10; i++) world_turn(0);
	assert_int_equal(heard_bytes(client), 0); /* the first one is not there yet */
	assert_true(world_waits(0));
	for (uint32_t i = 0; i < 3 * PIPELINE; i++) {
		world_serve(1, 1);
		world_turn(0);
		size_t there = heard_bytes(client);
		assert_true(there <= answers.length);
		assert_memory_equal(fake_socket(client)->answers.bytes, answers.bytes, there);
	}
	world_settle();
	expect_bytes(client, answers.bytes, answers.length);
	words_clear(&words);
	words_clear(&answers);
}

/* What a turn asks of the other goes in as few messages as it fits. */
static void what_is_asked_together_goes_together(void **state) {
	struct words words = {0}, answers = {0};
	(void)state;
	uint32_t first = world_connect(0), second = world_connect(0);
	for (uint32_t i = 0; i < 2 * MESSAGE_REQUESTS_MAX; i++) {
		words_print(&words, "set %s 0 0 1\r\n%u\r\n", far_key[i % 2], i % 10);
		words_print(&answers, "STORED\r\n");
	}
	fake_send(first, words.bytes, words.length);
	fake_send(second, words.bytes, words.length - 1);
	world_turn(0);
	assert_int_equal(world_messages(1), 4); /* 12 and 11 */
	world_settle();
	expect_bytes(first, answers.bytes, answers.length);
	expect_bytes(second, answers.bytes, answers.length - sizeof "STORED\r\n" + 1);
	words_clear(&words);
	words_clear(&answers);
}

/* Room for a large value takes the owner's time by the slice: it is asked for alone. */
static void room_is_asked_for_alone(void **state) {
	struct words words = {0};
	(void)state;
	uint32_t client[3];
	store_words(&words, far_key[1], 100000, "");
	for (uint32_t i = 0; i < 3; i++) {
		client[i] = world_connect(0);
		fake_send(client[i], words.bytes, words.length / 2);
	}
	world_turn(0);
	assert_int_equal(world_messages(1), 3);
	for (uint32_t i = 0; i < 3; i++)
		fake_send(client[i], words.bytes + words.length / 2, words.length - words.length / 2);
	world_settle();
	for (uint32_t i = 0; i < 3; i++) expect(client[i], "STORED\r\n");
	words_clear(&words);
}

/* Texts, values, large values, and what all workers are asked, behind one that is away. */
static void all_kinds_wait_behind_one_that_is_away(void **state) {
	struct words words = {0}, answers = {0};
	(void)state;
	store_words(&words, own_key[1], 12000, "");
	words_print(&words, "gat 0 %s\r\n", far_key[0]);
	words_print(&words, "get %s\r\nbogus\r\nversion\r\nget %s\r\nmn\r\n", own_key[1], own_key[1]);
	words_print(&words, "flush_all\r\nget %s\r\nmn\r\n", own_key[1]);
	words_print(&answers, "STORED\r\nEND\r\n");
	value_answer(&answers, own_key[1], 12000);
	words_print(&answers, "ERROR\r\nVERSION " PROTOCOL_VERSION_TEXT "\r\n");
	value_answer(&answers, own_key[1], 12000);
	words_print(&answers, "MN\r\nOK\r\nEND\r\nMN\r\n");
	uint32_t client = world_connect(0);
	fake_send(client, words.bytes, words.length);
	for (uint32_t i = 0; i < 10; i++) world_turn(0);
	/* what is there waits for the other's, to go in one send */
	assert_int_equal(heard_bytes(client), 0);
	world_settle();
	expect_bytes(client, answers.bytes, answers.length);
	words_clear(&words);
	words_clear(&answers);
}

/* A client of each worker; each asks for what is the other's. */
static void two_workers_ask_each_other(void **state) {
	(void)state;
	uint32_t client[2] = {world_connect(0), world_connect(1)};
	struct words words = {0};
	for (uint32_t i = 0; i < PIPELINE; i++)
		words_print(&words, "get %s %s\r\n", own_key[0], far_key[0]);
	for (uint32_t i = 0; i < 2; i++) fake_send(client[i], words.bytes, words.length);
	for (uint32_t i = 0; i < 10; i++) {
		world_turn(0); /* both inboxes are full */
		world_turn(1);
	}
	world_settle();
	for (uint32_t i = 0; i < 2; i++)
		assert_int_equal(heard_bytes(client[i]), PIPELINE * strlen("END\r\n"));
	words_clear(&words);
}

#define STREAM 600u

/* Something of his is always under way, each time about another key: a get of what is not goes on
 * being read. */
static void who_always_waits_for_something_still_reads(void **state) {
	struct words words = {0}, answers = {0};
	const struct server_worker *worker = &world->worker[0];
	uint32_t client = world_connect(0);
	(void)state;
	words_print(&words, "set %s 0 0 1\r\nx\r\nget %s\r\n", far_key[0], far_key[0]);
	words_print(&answers, "STORED\r\nVALUE %s 0 1\r\nx\r\nEND\r\n", far_key[0]);
	say(client, words.bytes);
	world_settle();
	uint64_t reads = worker->connections.reads;
	for (uint32_t i = 0; i < STREAM; i++) {
		char key[WORLD_KEY_BYTES];
		world_key(1, 1 + i, key);
		words.length = 0;
		words_print(&words, "delete %s\r\nget %s\r\n", key, far_key[0]);
		words_print(&answers, "NOT_FOUND\r\nVALUE %s 0 1\r\nx\r\nEND\r\n", far_key[0]);
		fake_send(client, words.bytes, words.length);
		world_turn(0);
		assert_true(worker->turn->away > 0);
		for (uint32_t away = worker->turn->away; away > 1; away--) (void)world_serve(1, 1);
	}
	assert_true(worker->connections.reads - reads >= STREAM * 3 / 4);
	world_settle();
	expect_bytes(client, answers.bytes, answers.length);
	words_clear(&words);
	words_clear(&answers);
}

/* ------------------------------------------------------------------ output that is not read  */

#define HELD_BYTES_MAX (OUTPUT_BYTES_MAX + RECORDS_MAX * RECORD_BYTES + ((uint64_t)1 << 20))

/* He asks for a hundred times what he takes; it is bounded what is kept for him; then he reads all,
 * a little at a time. */
static void what_is_not_read_is_kept_within_bounds(void **state) {
	struct words words = {0}, answers = {0};
	(void)state;
	uint32_t client = world_connect(0);
	store_words(&words, own_key[0], 6000, "");
	store_words(&words, far_key[0], 3000, "");
	store_words(&words, far_key[1], 50000, "");
	words_print(&answers, "STORED\r\nSTORED\r\nSTORED\r\n");
	for (uint32_t i = 0; i < 400; i++) {
		static const size_t bytes[] = {6000, 3000, 50000};
		const char *key = i % 3 == 0 ? own_key[0] : far_key[i % 3 - 1];
		words_print(&words, "get %s\r\n", key);
		value_answer(&answers, key, bytes[i % 3]);
	}
	fake_socket(client)->window_bytes = 0;
	fake_send(client, words.bytes, words.length);
	world_settle();
	assert_int_equal(heard_bytes(client), 0);
	assert_in_range(world_held_bytes(0), 1, HELD_BYTES_MAX);
	for (size_t at = 0; at < answers.length; at += 7777) {
		fake_socket(client)->window_bytes = 7777;
		world_turn(0);
		world_serve(1, 16);
		world_turn(0);
		assert_in_range(world_held_bytes(0), 0, HELD_BYTES_MAX);
	}
	fake_socket(client)->window_bytes = FAKE_UNLIMITED;
	world_settle();
	expect_bytes(client, answers.bytes, answers.length);
	assert_int_equal(world_leases(0) + world_leases(1), 0);
	words_clear(&words);
	words_clear(&answers);
}

#define VALUES 40u

/* Gets of a value in a pipeline: so many sends, and so many leases while he reads nothing. */
static void gets_of_one_value(uint32_t client, const char *key, size_t bytes, uint32_t *sends,
							  uint64_t *leases) {
	struct words words = {0}, answers = {0};
	store_words(&words, key, bytes, "");
	fake_send(client, words.bytes, words.length);
	world_settle();
	expect(client, "STORED\r\n");
	words_clear(&words);
	for (uint32_t i = 0; i < VALUES; i++) {
		words_print(&words, "get %s\r\n", key);
		value_answer(&answers, key, bytes);
	}
	*sends = fake_socket(client)->sends;
	fake_send(client, words.bytes, words.length);
	world_settle();
	*sends = fake_socket(client)->sends - *sends;
	expect_bytes(client, answers.bytes, answers.length);
	fake_socket(client)->window_bytes = 0;
	fake_send(client, words.bytes, words.length);
	world_settle();
	*leases = world_leases(0) + world_leases(1);
	assert_in_range(world_held_bytes(0), 1, HELD_BYTES_MAX);
	fake_socket(client)->window_bytes = FAKE_UNLIMITED;
	world_settle();
	expect_bytes(client, answers.bytes, answers.length);
	assert_int_equal(world_leases(0) + world_leases(1), 0);
	words_clear(&words);
	words_clear(&answers);
}

/* Large values go several at once. How many of them are held for who does not read is bounded by their
 * number, for what they take of connection memory, and by their bytes. */
static void large_values_go_several_at_once(void **state) {
	uint32_t client = world_connect(0), sends;
	uint64_t leases;
	(void)state;
	gets_of_one_value(client, own_key[0], 100000, &sends, &leases);
	assert_in_range(sends, 1, VALUES / 2);
	assert_in_range(leases, 2, LEASED_BYTES_MAX / 100000 + 1);
	gets_of_one_value(client, own_key[0], COPY_BYTES_MAX + 1, &sends, &leases);
	assert_int_equal(leases, OUTPUT_BYTES_MAX / COPY_BYTES_MAX);
	gets_of_one_value(client, own_key[0], 1000000, &sends, &leases);
	assert_int_equal(leases, 1);
}

/* Sends that are full behind a head, amid a value, before a tail; and what is asked before says
 * nothing. */
static void large_values_are_cut_into_sends_at_each_seam(void **state) {
	const char *key[] = {own_key[0], far_key[0]};
	uint32_t client = world_connect(0);
	(void)state;
	for (uint32_t pages = 3; pages <= LEASE_PIECES + 2; pages++) {
		struct words words = {0}, answers = {0};
		size_t bytes = (size_t)pages * 4096;
		for (uint32_t i = 0; i < 2; i++) {
			store_words(&words, key[i], bytes, "");
			words_print(&answers, "STORED\r\n");
		}
		for (uint32_t i = 0; i < 12; i++) {
			words_print(&words, "mg %s v q\r\nget %s\r\n", own_key[3], key[i % 3 == 1]);
			value_answer(&answers, key[i % 3 == 1], bytes);
		}
		fake_socket(client)->sends_later = pages % 2 == 1;
		fake_send(client, words.bytes, words.length);
		world_settle();
		expect_bytes(client, answers.bytes, answers.length);
		words_clear(&words);
		words_clear(&answers);
	}
}

/* Who does not read is not received from any more; what was on its way when he was paused comes
 * once; and he goes on where he was. */
static void who_does_not_read_is_paused_and_goes_on(void **state) {
	(void)state;
	for (uint32_t late = 0; late < 2; late++) {
		uint32_t client = world_connect(0);
		struct fake_socket *socket = fake_socket(client);
		struct words words = {0}, answers = {0};
		for (uint32_t i = 0; i < 20000; i++) words_print(&words, "version\r\n");
		for (uint32_t i = 0; i < 20000; i++)
			words_print(&answers, "VERSION " PROTOCOL_VERSION_TEXT "\r\n");
		socket->receives_once = late;
		socket->window_bytes = 0;
		fake_send(client, words.bytes, words.length);
		world_settle();
		assert_true(socket->is_paused);
		assert_true(socket->to_server.end - socket->to_server.begin > 0);
		assert_in_range(world_held_bytes(0), 1, HELD_BYTES_MAX);
		socket->window_bytes = FAKE_UNLIMITED;
		world_settle();
		assert_false(socket->is_paused);
		expect_bytes(client, answers.bytes, answers.length);
		words_clear(&words);
		words_clear(&answers);
	}
}

/* What came once more after the pause is the last that was held back, and all of it is carried out
 * as it comes: then he is received from again. */
static void who_was_paused_is_received_from_when_nothing_is_left(void **state) {
	static const char version[] = "MN\r\nVERSION " PROTOCOL_VERSION_TEXT "\r\n";
	struct words words = {0};
	(void)state;
	uint32_t client = world_connect(0);
	struct fake_socket *socket = fake_socket(client);
	store_words(&words, own_key[0], 6000, "");
	for (uint32_t i = 0; i < 12; i++) words_print(&words, "get %s\r\n", own_key[0]);
	for (uint32_t i = 0; i < 5; i++) store_words(&words, own_key[1], 8000, " noreply");
	socket->window_bytes = 0;
	fake_send(client, words.bytes, words.length);
	world_settle();
	assert_true(socket->is_paused);
	say(client, "mn\r\n");
	socket->is_late = true;
	socket->window_bytes = FAKE_UNLIMITED;
	world_settle();
	say(client, "version\r\n");
	world_settle();
	assert_memory_equal(socket->answers.bytes + socket->answers.end - strlen(version), version,
						strlen(version));
	assert_false(socket->is_paused);
	words_clear(&words);
}

/* He has more to say than a share of a turn: others are served in between. */
static void a_flood_gives_others_their_turn(void **state) {
	(void)state;
	uint32_t flooder = world_connect(0), polite = world_connect(0);
	for (uint32_t i = 0; i < 5000; i++) say(flooder, "version\r\n");
	world_turn(0);
	say(polite, "mn\r\n");
	world_turn(0);
	expect(polite, "MN\r\n");
	size_t answer_bytes = strlen("VERSION " PROTOCOL_VERSION_TEXT "\r\n");
	assert_true(heard_bytes(flooder) < 5000 * answer_bytes);
	assert_true(world->worker[0].connections.yields > 0);
	world_settle();
	assert_int_equal(heard_bytes(flooder), 5000 * answer_bytes);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(a_line_is_a_line_however_it_is_cut),
		TEST(a_value_of_any_size_comes_and_goes_on_both_roads),
		TEST(a_large_value_is_cut_at_each_seam),
		TEST(a_large_value_with_a_wrong_end_is_refused),
		TEST(a_store_that_is_too_large_removes_the_old_value),
		TEST(nothing_is_said_of_what_is_quiet),
		TEST(answers_come_in_the_order_of_the_commands),
		TEST(what_is_asked_together_goes_together),
		TEST(room_is_asked_for_alone),
		TEST(all_kinds_wait_behind_one_that_is_away),
		TEST(two_workers_ask_each_other),
		TEST(who_always_waits_for_something_still_reads),
		TEST(what_is_not_read_is_kept_within_bounds),
		TEST(large_values_go_several_at_once),
		TEST(large_values_are_cut_into_sends_at_each_seam),
		TEST(who_does_not_read_is_paused_and_goes_on),
		TEST(who_was_paused_is_received_from_when_nothing_is_left),
		TEST(a_flood_gives_others_their_turn),
	};
	test_set_secret(1);
	for (uint32_t i = 0; i < 4; i++) {
		world_key(0, i, own_key[i]);
		world_key(1, i, far_key[i]);
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
