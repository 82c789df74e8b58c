/* fuzz_connection.c: clients of two workers, in one thread: what they say, how it is cut, when requests come back, who does not read, who goes. Two
 * targets, by what a client speaks with (mouth.h): fuzz_connection, and fuzz_tls.
 *
 *     first byte   bit 0: wild: clients say any bytes; else they say commands whose answers a twin knows (client_twin.h)
 *                  bit 1: connection memory is short
 *                  bit 2: fuzz_tls: clients speak TLS 1.2
 *     then         pairs of bytes, an operation and its argument; some take more
 *
 * What must hold for any script: no answer that the twin does not know, and all of them in the end, if nobody has gone; a wild client alone hears what he
 * would hear if he said the same in one piece; in the end nothing is held, by anybody, and both shards are sound (world_end). A client whose records
 * were changed, or who has not ended his handshake, has heard a beginning. Of handshakes number, memory and time are bounded at any moment. */
#include "client_twin.h"
#include "mouth.h"
#include "support/require.h"
#include "support/test_secret.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS 4u
#define CONNECTS_MAX 24u
#define SCRIPT_BYTES_MAX 4096u
#define PLAIN_OPERATIONS 16u
#define TOO_LONG_NS UINT64_C(11000000000) /* for any handshake */
#define PAGE_BYTES 4096u /* so that a value of 140,000 bytes takes more than one window */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct script {
	const uint8_t *at;
	const uint8_t *end;
};

/* A client, present or past. */
struct fuzz_client {
	struct client_twin twin;
	struct mouth mouth;
	uint32_t worker;
	bool is_gone; /* reset by us */
};

struct run {
	struct world *world;
	bool is_wild;
	bool is_short;
	bool is_old;     /* TLS 1.2 */
	bool has_jumped; /* time has passed: figures, and expiry, tell */
	uint32_t count;
	struct fuzz_client client[CONNECTS_MAX];
	uint32_t slot[SLOTS]; /* of client[] */
};

static uint8_t next(struct script *script) {
	return script->at < script->end ? *script->at++ : 0;
}

static struct fuzz_client *client_of(struct run *run, uint8_t argument) {
	return &run->client[run->slot[argument % SLOTS]];
}

static struct fake_socket *socket_of(struct run *run, uint8_t argument) {
	return fake_socket(client_of(run, argument)->mouth.socket);
}

static void connect_slot(struct run *run, uint32_t slot, uint32_t worker) {
	if (run->count == CONNECTS_MAX) return;
	struct fuzz_client *client = &run->client[run->count];
	client_twin_init(&client->twin, run->count * TWIN_KEYS);
	client->worker = worker;
	mouth_connect(&client->mouth, worker, run->is_old);
	client->is_gone = false;
	run->slot[slot] = run->count++;
}

/* ------------------------------------------------------------------ operations ------------- */

static void say_wild(struct fuzz_client *client, struct script *script, uint8_t length) {
	size_t left = (size_t)(script->end - script->at), part = length < left ? length : left;
	struct twin_bytes *says = &client->twin.says;
	if (part == 0 || client->twin.is_over) return;
	says->bytes = realloc(says->bytes, says->length + part);
	REQUIRE(says->bytes != NULL, "no memory");
	memcpy(says->bytes + says->length, script->at, part);
	mouth_say(&client->mouth, (const char *)script->at, part);
	says->length += part;
	script->at += part;
}

static void say(struct run *run, struct script *script, uint8_t argument) {
	struct fuzz_client *client = client_of(run, argument);
	size_t before = client->twin.says.length;
	if (run->is_wild) {
		say_wild(client, script, (uint8_t)(1 + argument / SLOTS));
		return;
	}
	uint8_t kind = next(script);
	client_twin_say(&client->twin, kind, next(script));
	size_t said = client->twin.says.length - before;
	if (said > 0) mouth_say(&client->mouth, client->twin.says.bytes + before, said);
}

static void set_window(struct run *run, uint8_t argument) {
	static const size_t windows[] = {0, 1, 100, 4096, 20000, 65536, FAKE_UNLIMITED, FAKE_UNLIMITED};
	socket_of(run, argument)->window_bytes = windows[argument / SLOTS % 8];
}

static void set_piece(struct run *run, uint8_t argument) {
	static const size_t pieces[] = {1, 3, 17, 100, 1000, 5000, 16384, FAKE_UNLIMITED};
	socket_of(run, argument)->piece_bytes = pieces[argument / SLOTS % 8];
}

static void set_habits(struct run *run, uint8_t argument) {
	struct fake_socket *socket = socket_of(run, argument);
	socket->sends_later = argument / SLOTS & 1;
	socket->receives_once = argument / SLOTS & 2;
	socket->is_closing_late = argument / SLOTS & 4;
	if (argument / SLOTS & 8 && socket->is_paused) socket->is_late = true;
}

static void reset(struct run *run, uint8_t argument) {
	struct fuzz_client *client = client_of(run, argument);
	struct fake_socket *socket = fake_socket(client->mouth.socket);
	client->is_gone = socket->is_reset = true;
	socket->is_closing_late = argument / SLOTS & 1;
	if (argument / SLOTS & 2)
		connect_slot(run, argument % SLOTS, argument / SLOTS / 4 % WORLD_WORKERS);
}

static void let_time_pass(struct run *run, uint8_t argument) {
	static const uint64_t times_ns[] = {1000000, 20000000, 200000000, 1100000000};
	run->world->now_ns += times_ns[argument % 4];
	if (mouth_tricks > 0 && argument >= 240) run->world->now_ns += TOO_LONG_NS;
	run->has_jumped = true;
}

static void turns(uint8_t argument) {
	for (uint32_t i = 0; i <= argument / WORLD_WORKERS % 8; i++)
		world_turn(argument % WORLD_WORKERS);
}

/* Until nobody has anything to say any more. */
static void settle_all(struct run *run) {
	bool any = true;
	while (any) {
		world_settle();
		any = false;
		for (uint32_t i = 0; i < run->count; i++) any |= mouth_pump(&run->client[i].mouth);
	}
}

#define DRIBBLE_BYTES 1000u /* fewer at a time would take too long for a large value */

static void settle(struct run *run) {
	for (uint32_t i = 0; i < run->count; i++) {
		struct fake_socket *socket = fake_socket(run->client[i].mouth.socket);
		if (socket->piece_bytes < DRIBBLE_BYTES) socket->piece_bytes = DRIBBLE_BYTES;
	}
	settle_all(run);
}

/* As many of the script's bytes as it may want; they are said again by what comes next. */
static void play_trick(struct run *run, const struct script *script, uint32_t trick,
					   uint8_t argument) {
	mouth_trick(&client_of(run, argument)->mouth, trick, argument / SLOTS, script->at,
				(size_t)(script->end - script->at));
}

static void operate(struct run *run, struct script *script) {
	uint8_t operation = next(script), argument = next(script);
	const uint32_t operations = PLAIN_OPERATIONS + mouth_tricks;
	switch (operation % operations) {
	case 0:
	case 1:
	case 2:
	case 3:
	case 4:
		say(run, script, argument);
		break;
	case 5:
	case 6:
		turns(argument);
		break;
	case 7:
		(void)world_serve(argument % WORLD_WORKERS, 1 + argument / WORLD_WORKERS % 16);
		break;
	case 8:
		set_window(run, argument);
		break;
	case 9:
		set_piece(run, argument);
		break;
	case 10:
		reset(run, argument);
		break;
	case 11:
		mouth_end(&client_of(run, argument)->mouth, argument / SLOTS % 2 == 0);
		client_of(run, argument)->twin.is_over = true;
		break;
	case 12:
		let_time_pass(run, argument);
		break;
	case 13:
		if (argument / SLOTS % 2 == 1)
			connect_slot(run, argument % SLOTS, argument / SLOTS / 2 % WORLD_WORKERS);
		break;
	case 14:
		set_habits(run, argument);
		break;
	case 15:
		settle(run);
		break;
	default:
		play_trick(run, script, operation % operations - PLAIN_OPERATIONS, argument);
	}
	for (uint32_t i = 0; i < run->count; i++) (void)mouth_pump(&run->client[i].mouth);
	mouth_check(run->world);
}

/* ------------------------------------------------------------------ in the end ------------- */

#define ROUNDS 8u /* of relief, where memory is short */

/* All read, and nothing is held up; but by whom a handshake waits for, until that has had its time. */
static void let_all_end(struct run *run) {
	for (uint32_t i = 0; i < run->count; i++) {
		struct fake_socket *socket = fake_socket(run->client[i].mouth.socket);
		socket->window_bytes = socket->piece_bytes = FAKE_UNLIMITED;
		socket->is_closing_late = false;
	}
	settle_all(run);
	run->world->now_ns += mouth_tricks > 0 ? TOO_LONG_NS : 0;
	settle_all(run);
	mouth_check_end(run->world);
	for (uint32_t i = 0; i < run->count; i++) run->client[i].mouth.is_stalled = false;
	settle_all(run);
	for (uint32_t i = 0; run->is_short && i < ROUNDS; i++) {
		run->world->now_ns += 200000000;
		settle_all(run);
	}
}

static uint64_t closed_for_memory(const struct run *run) {
	return run->world->worker[0].connections.memory_closed +
		   run->world->worker[1].connections.memory_closed;
}

static void check_twins(const struct run *run) {
	uint64_t cut_off = 0, failures = mouth_failures(run->world);
	for (uint32_t i = 0; i < run->count; i++) {
		const struct fuzz_client *client = &run->client[i];
		const struct fake_socket *socket = fake_socket(client->mouth.socket);
		const struct byte_queue *heard = mouth_heard(&client->mouth);
		bool is_true = mouth_is_true(&client->mouth);
		bool is_cut_off = socket->is_closed && !client->twin.is_over && !client->is_gone && is_true;
		bool may_be_cut_off = (run->is_short || failures > 0) && socket->is_closed;
		cut_off += is_cut_off;
		REQUIRE(!is_cut_off || may_be_cut_off, "client %u was closed", i);
		REQUIRE(socket->is_closed || !client->twin.is_over, "client %u is not let go", i);
		client_twin_check(&client->twin, heard->bytes, heard->end,
						  client->is_gone || may_be_cut_off || !is_true);
	}
	REQUIRE(cut_off <= closed_for_memory(run) + failures, "more were closed than were counted");
}

static void keep_answers(const struct byte_queue *heard, struct twin_bytes *answers) {
	answers->bytes = malloc(heard->end + 1);
	REQUIRE(answers->bytes != NULL, "no memory");
	if (heard->end > 0) memcpy(answers->bytes, heard->bytes, heard->end);
	answers->length = heard->end;
	answers->bytes[heard->end] = '\0';
}

/* Figures tell how it was said. */
static bool tells_figures(const struct twin_bytes *answers) {
	static const char *const words[] = {"STAT ", "MAP ", "REPORT ", "\x81\x10"};
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (memmem(answers->bytes, answers->length, words[i], strlen(words[i])) != NULL)
			return true;
	return false;
}

/* He says the same again, in one piece, in a world of his own. */
static void check_line_is_line(const struct fuzz_client *client, const struct twin_bytes *answers) {
	struct twin_bytes whole = {0};
	(void)world_begin(&(struct world_options){.item_max_bytes = TWIN_ITEM_BYTES_MAX});
	uint32_t socket = world_connect(client->worker);
	fake_send(socket, client->twin.says.bytes, client->twin.says.length);
	fake_socket(socket)->has_ended = client->twin.is_over;
	world_settle();
	keep_answers(&fake_socket(socket)->answers, &whole);
	world_end();
	if (!tells_figures(answers) && !tells_figures(&whole))
		REQUIRE(whole.length == answers->length &&
					memcmp(whole.bytes, answers->bytes, whole.length) == 0,
				"in one piece the answers are '%.200s', not '%.200s'", whole.bytes, answers->bytes);
	free(whole.bytes);
}

/* ------------------------------------------------------------------ a run ------------------ */

static struct run run;
static bool has_secret;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	struct script script = {data, data + size};
	struct twin_bytes answers = {0};
	if (size < 3 || size > SCRIPT_BYTES_MAX) return 0;
	if (!has_secret) test_set_secret(1);
	has_secret = true;
	uint8_t form = next(&script);
	run = (struct run){.is_wild = form & 1, .is_short = form & 2, .is_old = form & 4};
	run.world = world_begin(&(struct world_options){
		.memory_bytes = (uint64_t)64 << 20,
		.page_bytes = PAGE_BYTES,
		.item_max_bytes = TWIN_ITEM_BYTES_MAX,
		.connection_memory_bytes = run.is_short ? CONNECTION_MEMORY_MIN_BYTES : 0,
		.tls = mouth_server(),
	});
	for (uint32_t i = 0; i < SLOTS; i++) connect_slot(&run, i, i % WORLD_WORKERS);
	while (script.at < script.end) operate(&run, &script);
	let_all_end(&run);
	if (!run.is_wild) check_twins(&run);
	bool is_alone = run.is_wild && !run.is_short && !run.has_jumped && !run.client[0].is_gone &&
					mouth_is_true(&run.client[0].mouth);
	for (uint32_t i = 1; i < run.count; i++)
		is_alone = is_alone && run.client[i].twin.says.length == 0;
	is_alone = is_alone && run.client[0].twin.says.length > 0;
	if (is_alone) keep_answers(mouth_heard(&run.client[0].mouth), &answers);
	world_end();
	if (is_alone) check_line_is_line(&run.client[0], &answers);
	for (uint32_t i = 0; i < run.count; i++) {
		mouth_deinit(&run.client[i].mouth);
		client_twin_deinit(&run.client[i].twin);
	}
	free(answers.bytes);
	return 0;
}
