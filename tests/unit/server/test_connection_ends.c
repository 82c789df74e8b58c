/* test_connection_ends.c: how connections of two workers end: by a reset at each point of all that
 * can be under way, by the client's end, by quit, for want of memory. Whatever was under way, all
 * is given back: world_end looks. How they live is in test_connection.c. */
#include "support/client_text.h"
#include "support/require.h"
#include "support/test_secret.h"

static char own_key[4][WORLD_KEY_BYTES];
static char far_key[4][WORLD_KEY_BYTES]; /* the other worker's */

/* ------------------------------------------------------------------ reset at each point ---- */

/* What a client says and how he reads, and what was stored before. */
struct scene {
	const char *name;
	void (*says)(struct words *words);
	uint64_t memory_bytes; /* of each shard */
	size_t piece_bytes;    /* received at a time; 0: all */
	size_t window_bytes;   /* read in each round; 0: nothing at all */
	bool sends_later;
	bool receives_once;
	bool is_full; /* the shards: something must go for what is stored */
};

#define LARGE_BYTES 900000u /* several windows */

static void store(struct words *words, const char *key, size_t bytes) {
	words_print(words, "set %s 5 0 %zu\r\n", key, bytes);
	words_value(words, bytes, 1);
	words_append(words, "\r\n", 2);
}

static void gets_of_large_values(struct words *words) {
	words_print(words, "get %s\r\nget %s\r\nget %s %s %s\r\n", own_key[0], far_key[0], far_key[0],
				own_key[0], far_key[1]);
}

static void a_get_of_the_others(struct words *words) {
	words_print(words, "get %s\r\n", far_key[0]);
}

static void a_store_of_the_others(struct words *words) {
	store(words, far_key[2], 400000);
	store(words, own_key[2], 400000);
	words_print(words, "get %s\r\n", far_key[2]);
}

static void a_store_that_ends_wrong(struct words *words) {
	store(words, far_key[2], 30000);
	words->length -= 2;
	words_print(words, "xxget %s\r\n", far_key[2]);
}

static void stores_that_are_refused(struct words *words) {
	store(words, far_key[2], LARGE_BYTES);
	store(words, own_key[2], LARGE_BYTES);
	words_print(words, "get %s\r\n", far_key[2]);
}

static void stores_in_slices(struct words *words) {
	store(words, own_key[2], 700000);
	store(words, far_key[2], 700000);
	words_print(words, "get %s\r\n", far_key[2]);
}

static void a_pipeline(struct words *words) {
	for (uint32_t i = 0; i < 40; i++) {
		words_print(words, "set %s 0 0 2\r\nxx\r\nget %s\r\nget %s\r\n", far_key[2], far_key[2],
					own_key[1]);
		words_print(words, "mg %s v\r\nbogus\r\nget %s %s\r\n", far_key[1], far_key[1], own_key[1]);
	}
}

static void errands(struct words *words) {
	words_print(words, "get %s\r\nstats\r\nget %s\r\nflush_all\r\nstats conns\r\n", far_key[1],
				far_key[2]);
	words_print(words, "get %s\r\nsnug check\r\nsnug map\r\nflush_all 10\r\nstats settings\r\n",
				far_key[2]);
}

static void a_quit_behind_answers(struct words *words) {
	words_print(words, "get %s\r\nget %s\r\nquit\r\n", far_key[0], own_key[0]);
}

static const struct scene scenes[] = {
	{"a get of the other's", a_get_of_the_others, .window_bytes = 60000},
	{"a get of the other's, sent later", a_get_of_the_others, .window_bytes = 60000,
	 .sends_later = true},
	{"gets of large values", gets_of_large_values, .window_bytes = 100000},
	{"gets of large values that are not read", gets_of_large_values, .window_bytes = 0},
	{"a store of the other's", a_store_of_the_others, .piece_bytes = 20000, .window_bytes = 50000},
	{"a store that ends wrong", a_store_that_ends_wrong, .piece_bytes = 7000,
	 .window_bytes = 50000},
	{"stores that are refused", stores_that_are_refused, .memory_bytes = (uint64_t)1 << 20,
	 .piece_bytes = 50000, .window_bytes = 50000},
	{"stores in slices", stores_in_slices, .memory_bytes = (uint64_t)2 << 20, .piece_bytes = 50000,
	 .window_bytes = 100000, .is_full = true},
	{"a pipeline", a_pipeline, .window_bytes = 100000},
	{"a pipeline that is not read", a_pipeline, .window_bytes = 0, .receives_once = true},
	{"errands", errands, .window_bytes = 20000, .piece_bytes = 11, .sends_later = true},
	{"a quit behind answers", a_quit_behind_answers, .window_bytes = 300000},
};

#define FILLING 700u

static void fill_up(struct words *words) {
	for (uint32_t i = 0; i < FILLING; i++) {
		words_print(words, "set filling%u 0 0 8000 noreply\r\n", i);
		words_value(words, 8000, i);
		words_append(words, "\r\n", 2);
	}
}

/* What is asked for is there, if it fits. */
static void fill(const struct scene *scene, struct words *words) {
	uint32_t client = world_connect(0);
	bool is_small = scene->memory_bytes > 0, is_made = words->length > 0;
	if (scene->is_full && !is_made) fill_up(words);
	for (uint32_t i = 0; i < 2 && !is_made; i++) {
		store(words, own_key[i], i == 0 && !is_small ? LARGE_BYTES : 9000);
		store(words, far_key[i], i == 0 && !is_small ? LARGE_BYTES : 9000);
	}
	fake_send(client, words->bytes, words->length);
	world_settle();
	expect(client, "STORED\r\nSTORED\r\nSTORED\r\nSTORED\r\n");
	fake_reset_all();
	world_settle();
	fake_sockets_forget();
}

/* One of the things that can happen next. */
static void step(uint32_t number, uint32_t client, const struct scene *scene) {
	switch (number % 5) {
	case 0:
		world_turn(0);
		break;
	case 1:
		(void)world_serve(1, 2);
		break;
	case 2:
		world_turn(1);
		break;
	case 3:
		(void)world_serve(0, 2);
		break;
	default:
		fake_socket(client)->window_bytes = scene->window_bytes;
	}
}

#define ROUNDS_AFTER_THE_END 3u

/* steps with a reservation of the own shard's that goes on in the next turn */
static uint32_t slices_seen;

/* The client goes after so many steps; his socket's end is told at once, or when all that is away
 * has come back. Tells whether all was over before. */
static bool play(const struct scene *scene, struct words *before, const struct words *words,
				 uint32_t steps, bool closes_late) {
	const struct world *world =
		world_begin(&(struct world_options){.memory_bytes = scene->memory_bytes});
	fill(scene, before);
	uint32_t client = world_connect(0), quiet_steps = 0, number = 0;
	struct fake_socket *socket = fake_socket(client);
	socket->piece_bytes = scene->piece_bytes > 0 ? scene->piece_bytes : FAKE_UNLIMITED;
	socket->window_bytes = scene->window_bytes;
	socket->sends_later = scene->sends_later;
	socket->receives_once = scene->receives_once;
	fake_send(client, words->bytes, words->length);
	size_t heard = 0, sent = 0;
	for (; number < steps && quiet_steps < 5 * ROUNDS_AFTER_THE_END; number++) {
		step(number, client, scene);
		slices_seen += world->worker[0].turn->unfinished != NULL;
		bool is_quiet =
			heard == heard_bytes(client) && sent == socket->to_server.begin && !world_waits(0);
		quiet_steps = is_quiet ? quiet_steps + 1 : 0;
		heard = heard_bytes(client);
		sent = socket->to_server.begin;
	}
	socket->is_closing_late = closes_late;
	socket->is_reset = true;
	if (socket->is_paused) socket->is_late = true;
	world_settle();
	world_end();
	return number < steps;
}

static void a_reset_at_any_point_leaves_nothing(void **state) {
	(void)state;
	for (uint32_t i = 0; i < sizeof scenes / sizeof *scenes; i++) {
		struct words before = {0}, words = {0};
		uint32_t steps = 0;
		require_note(scenes[i].name);
		scenes[i].says(&words);
		while (!play(&scenes[i], &before, &words, steps, false) &&
			   !play(&scenes[i], &before, &words, steps, true))
			steps++;
		assert_in_range(steps, 15, 5000);
		words_clear(&before);
		words_clear(&words);
	}
	require_note(NULL);
	assert_true(slices_seen > 0);
}

/* ------------------------------------------------------------------ other ends ------------- */

static int begin(void **state) {
	(void)state;
	(void)world_begin(&(struct world_options){0});
	return 0;
}

static int end(void **state) {
	(void)state;
	world_end();
	return 0;
}

/* What he has asked is answered, and then he is let go; so is who says quit. */
static void what_was_asked_before_the_end_is_answered(void **state) {
	(void)state;
	for (uint32_t quits = 0; quits < 2; quits++)
		for (uint32_t late = 0; late < 2; late++) {
			struct words words = {0}, answers = {0};
			uint32_t client = world_connect(0);
			store(&words, far_key[0], 20000);
			store(&words, own_key[0], 12000);
			words_print(&words, "get %s\r\nget %s\r\n", far_key[0], own_key[0]);
			if (quits) words_print(&words, "quit\r\nversion\r\n");
			words_print(&answers, "STORED\r\nSTORED\r\nVALUE %s 5 20000\r\n", far_key[0]);
			words_value(&answers, 20000, 1);
			words_print(&answers, "\r\nEND\r\nVALUE %s 5 12000\r\n", own_key[0]);
			words_value(&answers, 12000, 1);
			words_print(&answers, "\r\nEND\r\n");
			fake_socket(client)->sends_later = late;
			fake_socket(client)->has_ended = !quits;
			fake_send(client, words.bytes, words.length);
			for (uint32_t i = 0; i < 5; i++) world_turn(0);
			assert_false(fake_socket(client)->is_closed);
			world_settle();
			assert_true(fake_socket(client)->is_closed);
			expect_bytes(client, answers.bytes, answers.length);
			words_clear(&words);
			words_clear(&answers);
		}
}

/* The end comes in the midst of a command, or of a value. */
static void an_end_amid_a_command_is_an_end(void **state) {
	static const char *const begun[] = {"get k", "set k 0 0 5\r\nab", "set k 0 0 200000\r\nab",
										"mg", "set k 0 0 9999999\r\nab"};
	(void)state;
	for (uint32_t i = 0; i < sizeof begun / sizeof *begun; i++) {
		uint32_t client = world_connect(i % 2);
		say(client, begun[i]);
		fake_socket(client)->has_ended = true;
		world_settle();
		assert_true(fake_socket(client)->is_closed);
		assert_int_equal(world_held_bytes(i % 2), 0);
	}
}

/* The output is full, and the kernel lets him go late: nothing is said to him, and the others are
 * served. */
static void who_goes_does_not_hold_up_others(void **state) {
	(void)state;
	uint32_t gone = world_connect(0), other = world_connect(0);
	struct words words = {0};
	store(&words, own_key[0], 9000);
	for (uint32_t i = 0; i < 200; i++)
		words_print(&words, "get %s\r\nget %s\r\n", own_key[0], far_key[0]);
	fake_socket(gone)->window_bytes = 0;
	fake_socket(gone)->is_closing_late = true;
	fake_send(gone, words.bytes, words.length);
	world_settle();
	fake_socket(gone)->is_reset = true;
	fake_socket(gone)->is_late = true;
	world_turn(0);
	say(other, "mn\r\n");
	world_settle();
	expect(other, "MN\r\n");
	words_clear(&words);
}

#define READERS 20u
#define PASS_NS UINT64_C(20000000)

static void let_time_pass(struct world *world, uint32_t rounds) {
	for (uint32_t i = 0; i < rounds; i++) {
		world->now_ns += PASS_NS;
		world_turn(0);
		(void)world_serve(1, 16);
	}
}

/* Connection memory is short, and nobody gives any back: whoever holds most and does not read goes,
 * and who reads is answered. */
static void who_holds_most_pays_when_memory_is_short(void **state) {
	(void)state;
	struct world *world =
		world_begin(&(struct world_options){.connection_memory_bytes = (uint64_t)1 << 20});
	uint32_t reader[READERS], polite = world_connect(0), closed = 0;
	struct words words = {0};
	store(&words, own_key[0], 8000);
	fake_send(polite, words.bytes, words.length);
	world_settle();
	expect(polite, "STORED\r\n");
	words_clear(&words);
	for (uint32_t i = 0; i < 100; i++)
		words_print(&words, "get %s\r\nget %s\r\n", own_key[0], far_key[0]);
	for (uint32_t i = 0; i < READERS; i++) {
		reader[i] = world_connect(0);
		fake_socket(reader[i])->window_bytes = 0;
		fake_send(reader[i], words.bytes, words.length);
	}
	let_time_pass(world, 50);
	for (uint32_t i = 0; i < READERS; i++) closed += fake_socket(reader[i])->is_closed;
	assert_in_range(closed, 1, READERS - 1);
	assert_int_equal(world->worker[0].connections.memory_closed, closed);
	say(polite, "mn\r\n");
	let_time_pass(world, 50);
	expect(polite, "MN\r\n");
	words_clear(&words);
	world_end();
}

/* Who takes what he is sent, a little at a time, holds more than those who take nothing: they pay. */
static void who_reads_slowly_does_not_pay_for_others(void **state) {
	(void)state;
	struct world *world =
		world_begin(&(struct world_options){.connection_memory_bytes = (uint64_t)1 << 20});
	uint32_t stuck[READERS], slow = world_connect(0), closed = 0;
	struct words words = {0};
	store(&words, own_key[0], 8000);
	fake_send(slow, words.bytes, words.length);
	world_settle();
	expect(slow, "STORED\r\n");
	words_clear(&words);
	for (uint32_t i = 0; i < 100; i++) words_print(&words, "get %s\r\n", own_key[0]);
	fake_socket(slow)->window_bytes = 0;
	fake_send(slow, words.bytes, words.length);
	world_turn(0);
	uint64_t slow_bytes = world_held_bytes(0);
	words_clear(&words);
	for (uint32_t i = 0; i < 5; i++) words_print(&words, "get %s\r\n", own_key[0]);
	for (uint32_t i = 0; i < READERS; i++) {
		stuck[i] = world_connect(0);
		fake_socket(stuck[i])->window_bytes = 0;
		fake_send(stuck[i], words.bytes, words.length);
		if (i == 0) world_turn(0);
		if (i == 0) assert_true(world_held_bytes(0) - slow_bytes < slow_bytes);
	}
	for (uint32_t i = 0; i < 25; i++) {
		fake_socket(slow)->window_bytes = 3000;
		let_time_pass(world, 1);
	}
	for (uint32_t i = 0; i < READERS; i++) closed += fake_socket(stuck[i])->is_closed;
	assert_in_range(closed, 1, READERS - 1);
	assert_false(fake_socket(slow)->is_closed);
	assert_int_equal(world->worker[0].connections.memory_closed, closed);
	words_clear(&words);
	world_end();
}

#define STUCK 30u

/* Who takes a part of a large value and no more holds its record, and no blocks: 30 of them fit into
 * 1 MiB, and nobody pays. */
static void who_does_not_read_a_large_value_holds_little(void **state) {
	(void)state;
	struct world *world =
		world_begin(&(struct world_options){.connection_memory_bytes = (uint64_t)1 << 20});
	uint32_t stuck[STUCK], storer = world_connect(0);
	struct words words = {0};
	store(&words, own_key[0], LARGE_BYTES);
	store(&words, far_key[0], LARGE_BYTES);
	fake_send(storer, words.bytes, words.length);
	world_settle();
	expect(storer, "STORED\r\nSTORED\r\n");
	for (uint32_t i = 0; i < STUCK; i++) {
		const char *key = i % 2 == 0 ? own_key[0] : far_key[0];
		words_clear(&words);
		words_print(&words, "get %s\r\n", key);
		stuck[i] = world_connect(0);
		fake_socket(stuck[i])->window_bytes = 50000;
		fake_send(stuck[i], words.bytes, words.length);
		world_settle();
	}
	assert_in_range(world_held_bytes(0), 1,
					(uint64_t)STUCK * (RECORD_BYTES + CONNECTION_BYTES) + 3 * CHUNK_BYTES);
	let_time_pass(world, 50);
	assert_int_equal(world->worker[0].connections.memory_closed, 0);
	size_t answer_bytes =
		strlen("VALUE  5 900000\r\n\r\nEND\r\n") + strlen(own_key[0]) + LARGE_BYTES;
	for (uint32_t i = 0; i < STUCK; i++) {
		fake_socket(stuck[i])->window_bytes = FAKE_UNLIMITED;
		world_settle();
		assert_int_equal(byte_queue_left(&fake_socket(stuck[i])->answers), answer_bytes);
	}
	words_clear(&words);
	world_end();
}

/* Room in pieces that no answer fits counts as free, and yet is of no use: unfinished values of
 * those that went, of which one in a chunk has stayed. */
static void leave_pieces(void) {
	static const char unfinished[] = "set piece 0 0 8000\r\n";
	uint32_t client[64];
	for (uint32_t i = 0; i < 64; i++) {
		client[i] = world_connect(0);
		fake_send(client[i], unfinished, sizeof unfinished - 1);
		fake_send(client[i], (const char[6000]){0}, 6000);
	}
	world_settle();
	for (uint32_t i = 0; i < 64; i++)
		if (i % 8 != 0) fake_socket(client[i])->is_reset = true;
	world_settle();
}

/* Those that take nothing go one round after the other, and the polite one is answered soon: also
 * where room lies in pieces, and while another one is on his way out for ever. */
static void rounds_of_relief_follow_each_other(void **state) {
	(void)state;
	for (uint32_t form = 0; form < 2; form++) {
		struct world *world =
			world_begin(&(struct world_options){.connection_memory_bytes = (uint64_t)2 << 20});
		struct words words = {0};
		uint32_t leaver = world_connect(0), polite = world_connect(0), closed = 0, reader[60];
		store(&words, own_key[0], 8000);
		fake_send(polite, words.bytes, words.length);
		world_settle();
		expect(polite, "STORED\r\n");
		words_clear(&words);
		if (form == 0) leave_pieces();
		for (uint32_t i = 0; i < 100; i++) words_print(&words, "get %s\r\n", own_key[0]);
		for (uint32_t i = 0; i < 60; i++) {
			reader[i] = world_connect(0);
			fake_socket(reader[i])->window_bytes = 0;
			fake_send(reader[i], words.bytes, words.length);
		}
		fake_socket(leaver)->is_closing_late = form == 1;
		fake_socket(leaver)->is_reset = form == 1;
		let_time_pass(world, 10);
		say(polite, "mn\r\n");
		uint32_t passed = 0;
		size_t before = heard_bytes(polite);
		for (; passed < 25 && heard_bytes(polite) == before; passed++) let_time_pass(world, 1);
		assert_in_range(passed, 1, 5);
		let_time_pass(world, 25 - passed);
		for (uint32_t i = 0; i < 60; i++) closed += fake_socket(reader[i])->is_closed;
		assert_in_range(closed, form == 0 ? 24 : 10, 60);
		expect(polite, "MN\r\n");
		fake_socket(leaver)->is_closing_late = false;
		words_clear(&words);
		world_end();
	}
}

#define HALF_LINES 250u /* more than find room */
#define HALF_LINE_BYTES 1100u
#define POLITE 4u

/* Each has begun a line that he never ends. */
static void crowd_with_half_lines(uint32_t count) {
	static char half_line[HALF_LINE_BYTES];
	memset(half_line, 'k', sizeof half_line);
	memcpy(half_line, "get ", 4);
	for (uint32_t i = 100; i < sizeof half_line; i += 100) half_line[i] = ' ';
	for (uint32_t i = 0; i < count; i++) fake_send(world_connect(0), half_line, sizeof half_line);
}

/* Asks, and waits for the answer; tells how many times PASS_NS that took, `most` at most. */
static uint32_t wait_for_answer(struct world *world, uint32_t client, const char *question,
								uint32_t most) {
	size_t before = heard_bytes(client);
	uint32_t passed = 0;
	say(client, question);
	while (passed < most && heard_bytes(client) == before) {
		let_time_pass(world, 1);
		passed++;
	}
	return passed;
}

/* Half lines use up what connections may hold. What they give back is pieces that no answer fits,
 * until a whole chunk of them has come: relief goes on until it has. */
static void half_lines_hold_up_nobody(void **state) {
	(void)state;
	struct world *world =
		world_begin(&(struct world_options){.connection_memory_bytes = (uint64_t)1 << 20});
	uint32_t polite[POLITE];
	for (uint32_t i = 0; i < POLITE; i++) polite[i] = world_connect(0);
	crowd_with_half_lines(HALF_LINES);
	let_time_pass(world, 1);
	for (uint32_t round = 0; round < 10; round++) {
		for (uint32_t i = 0; i < POLITE; i++) {
			assert_in_range(wait_for_answer(world, polite[i], "mn\r\n", 50), 1, 12);
			expect(polite[i], "MN\r\n");
		}
		if (round < 4) crowd_with_half_lines(15);
	}
	world_end();
}

/* Whoever comes while half lines hold all that they may is kept until he is served, and whoever was
 * served and reads is not the one who pays: not even in the moment in which he holds what he is
 * about to be sent. */
static void half_lines_end_nobody_else(void **state) {
	(void)state;
	for (uint32_t form = 0; form < 2; form++) {
		struct world *world =
			world_begin(&(struct world_options){.connection_memory_bytes = (uint64_t)1 << 20});
		uint32_t polite[40], count = 0;
		struct words words = {0};
		store(&words, own_key[0], 8000);
		polite[count++] = world_connect(0);
		fake_send(polite[0], words.bytes, words.length);
		world_settle();
		expect(polite[0], "STORED\r\n");
		words_clear(&words);
		words_print(&words, "get %s\r\n", own_key[0]);
		fake_send(polite[0], words.bytes, words.length);
		crowd_with_half_lines(HALF_LINES);
		let_time_pass(world, 1);
		for (uint32_t turn = 0; turn < 30; turn++) {
			for (uint32_t i = 0; i < count; i++)
				if (heard_bytes(polite[i]) > 0) {
					fake_socket(polite[i])->answers.begin = fake_socket(polite[i])->answers.end;
					fake_send(polite[i], words.bytes, words.length);
				}
			polite[count] = world_connect(0);
			fake_socket(polite[count])->sends_later = form == 1;
			fake_send(polite[count++], words.bytes, words.length);
			let_time_pass(world, 1);
		}
		let_time_pass(world, 20);
		for (uint32_t i = 0; i < count; i++) {
			assert_false(fake_socket(polite[i])->is_closed);
			assert_true(heard_bytes(polite[i]) > 8000);
		}
		assert_true(world->worker[0].connections.memory_closed > 0);
		words_clear(&words);
		world_end();
	}
}

/* A large value that waits for its room at the other worker holds input where memory is low; a get
 * that is away, or the next window of what is read, does not. */
static void input_is_held_for_room_alone(void **state) {
	(void)state;
	for (uint32_t form = 0; form < 3; form++) {
		struct world *world = world_begin(&(struct world_options){
			.connection_memory_bytes = (uint64_t)1 << 20, .page_bytes = 4096});
		uint32_t asker = world_connect(0), writer = world_connect(0);
		struct words words = {0};
		store(&words, far_key[1], LARGE_BYTES);
		fake_send(writer, words.bytes, words.length);
		world_settle();
		expect(writer, "STORED\r\n");
		words_clear(&words);
		char line[64];
		for (uint32_t i = 0; i < 72; i++) {
			uint32_t client = world_connect(0);
			fake_send(client, "set k 0 0 8000\r\n", 16);
			fake_send(client, (const char[7000]){0}, 7000);
		}
		world_turn(0);
		int length =
			snprintf(line, sizeof line, form == 1 ? "set %s 0 0 100000\r\nxx" : "gat 0 %s\r\n",
					 far_key[form / 2]);
		fake_send(asker, line, (size_t)length);
		world_turn(0);
		/* Until a window of the value has gone, and the next is asked for. */
		for (uint32_t i = 0; form == 2 && (i < 2 || world->worker[0].turn->away == 0); i++) {
			(void)world_serve(1, 16);
			world_turn(0);
		}
		assert_true(world->worker[0].turn->away > 0);
		fake_send(writer, "set k 0", 7);
		world_turn(0);
		assert_int_equal(world->worker[0].turn->holds_input, form == 1);
		world_end();
	}
}

/* Idle is who has neither asked nor been answered for that long, or takes nothing more of a large value;
 * not who reads what he is sent, nor who waits for an answer. */
static void who_is_not_idle_stays(void **state) {
	(void)state;
	struct world *world = world_begin(&(struct world_options){0});
	struct words words = {0};
	uint32_t busy = world_connect(0), silent = world_connect(0), reader = world_connect(0),
			 waiter = world_connect(0), stuck = world_connect(0);
	store(&words, own_key[0], LARGE_BYTES);
	fake_send(busy, words.bytes, words.length);
	world_settle();
	expect(busy, "STORED\r\n");
	words_clear(&words);
	atomic_store(&world->server.live.idle_timeout_s, 1);
	words_print(&words, "get %s\r\n", own_key[0]);
	fake_socket(reader)->window_bytes = fake_socket(stuck)->window_bytes = 0;
	fake_send(reader, words.bytes, words.length);
	fake_send(stuck, words.bytes, words.length);
	words_clear(&words);
	say(waiter, "gat 0 ");
	fake_send(waiter, far_key[0], strlen(far_key[0]));
	say(waiter, "\r\n");
	for (uint32_t i = 0; i < 200; i++) {
		world->now_ns += PASS_NS;
		if (i % 45 == 0) say(busy, "mn\r\n"); /* each .9 s */
		fake_socket(reader)->window_bytes = 3000;
		if (i < 20) fake_socket(stuck)->window_bytes = 3000;
		world_turn(0);
		assert_false(i < 48 && fake_socket(silent)->is_closed);
		assert_false(i < 68 && fake_socket(stuck)->is_closed);
		if (i == 150) assert_true(fake_socket(stuck)->is_closed);
	}
	assert_true(fake_socket(silent)->is_closed);
	assert_false(fake_socket(busy)->is_closed);
	assert_false(fake_socket(reader)->is_closed);
	assert_false(fake_socket(waiter)->is_closed);
	world_end();
}

/* While nobody is received from, for a value that waits for its room, nobody is idle: he may have
 * asked. Nor is who sends that value. But who takes nothing of what he is sent is, whatever else he
 * has asked. */
static void who_is_not_heard_is_not_idle(void **state) {
	(void)state;
	struct world *world = world_begin(
		&(struct world_options){.connection_memory_bytes = (uint64_t)1 << 20, .page_bytes = 4096});
	uint32_t silent = world_connect(0), asker = world_connect(0), reader = world_connect(0);
	struct words words = {0};
	store(&words, own_key[0], 8000);
	fake_send(reader, words.bytes, words.length);
	world_settle();
	expect(reader, "STORED\r\n");
	words_clear(&words);
	fake_socket(reader)->window_bytes = 0;
	words_print(&words, "get %s\r\nget %s\r\n", own_key[0], far_key[0]);
	fake_send(reader, words.bytes, words.length);
	for (uint32_t i = 0; i < 72; i++) {
		uint32_t client = world_connect(0);
		fake_send(client, "set k 0 0 8000\r\n", 16);
		fake_send(client, (const char[7000]){0}, 7000);
	}
	world_turn(0);
	words_clear(&words);
	words_print(&words, "set %s 0 0 100000\r\nxx", far_key[0]);
	fake_send(asker, words.bytes, words.length);
	world_turn(0);
	assert_true(world->worker[0].turn->holds_input);
	say(silent, "mn\r\n");
	atomic_store(&world->server.live.idle_timeout_s, 1);
	for (uint32_t i = 0; i < 200; i++) {
		world->now_ns += PASS_NS;
		world_turn(0);
	}
	assert_false(fake_socket(silent)->is_closed);
	assert_false(fake_socket(asker)->is_closed);
	assert_true(fake_socket(reader)->is_closed);
	assert_int_equal(world->worker[0].connections.idle_kicks, 1);
	atomic_store(&world->server.live.idle_timeout_s, 0);
	world_settle();
	expect(silent, "MN\r\n");
	words_clear(&words);
	world_end();
}

/* What has come to the io's buffers must be kept when it is held back: it is little where
 * connection memory is. */
static void the_buffers_fit_connection_memory(void **state) {
	(void)state;
	(void)world_begin(&(struct world_options){.connection_memory_bytes = (uint64_t)1 << 20});
	assert_in_range(fake_io_memory_bytes, 1, (uint64_t)4 << 20);
	world_end();
	(void)world_begin(&(struct world_options){.memory_bytes = (uint64_t)2 << 20});
	assert_in_range(fake_io_memory_bytes, 1, (uint64_t)2 << 20);
	world_end();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_reset_at_any_point_leaves_nothing),
		TEST(what_was_asked_before_the_end_is_answered),
		TEST(an_end_amid_a_command_is_an_end),
		TEST(who_goes_does_not_hold_up_others),
		cmocka_unit_test(who_holds_most_pays_when_memory_is_short),
		cmocka_unit_test(who_reads_slowly_does_not_pay_for_others),
		cmocka_unit_test(who_does_not_read_a_large_value_holds_little),
		cmocka_unit_test(rounds_of_relief_follow_each_other),
		cmocka_unit_test(half_lines_end_nobody_else),
		cmocka_unit_test(half_lines_hold_up_nobody),
		cmocka_unit_test(input_is_held_for_room_alone),
		cmocka_unit_test(who_is_not_idle_stays),
		cmocka_unit_test(who_is_not_heard_is_not_idle),
		cmocka_unit_test(the_buffers_fit_connection_memory),
	};
	test_set_secret(1);
	for (uint32_t i = 0; i < 4; i++) {
		world_key(0, i, own_key[i]);
		world_key(1, i, far_key[i]);
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
