/* test_io_ends.c: src/server/io/io.h over epoll and over io_uring: how connections end, from either
 * side and in the midst of everything, and what happens when there are no descriptors left. The
 * links' own callbacks check the order (io_world.c); AddressSanitizer, that nobody touches a stream
 * after `closed`. */
#include "os/threads.h"
#include "unit/server/io_world.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define LARGE_BYTES ((size_t)12000000)

/* ------------------------------------------------------------------ the peer's end --------- */

/* It may still read: what is sent afterwards arrives. Nothing more is told, and nobody runs in
 * circles. */
static void half_closed(struct world *world, enum family family, bool is_paused) {
	struct link *link;
	char text[8] = {0};
	int client = client_open(world, family, &link);
	if (is_paused) {
		io_pause(world->io, &link->stream);
		drive_for(world, 2000000);
	}
	client_write(world, client, "last", 4);
	assert_int_equal(shutdown(client, SHUT_WR), 0);
	if (is_paused) {
		drive_for(world, 20000000);
		assert_int_equal(link->received, 0);
		io_resume(world->io, &link->stream);
	}
	UNTIL(world, link->ended > 0);
	assert_int_equal(link->got_bytes, 4);
	io_pause(world->io, &link->stream);
	io_resume(world->io, &link->stream);
	uint32_t before = world->turns;
	drive_for(world, 100000000);
	assert_in_range(world->turns - before, 1, 20);
	assert_int_equal(link->ended, 1);

	(void)link_send(link, "answer", 6, 2);
	client_read(world, client, text, 6);
	assert_string_equal(text, "answer");
	UNTIL(world, !link->is_sending);
	link_close(link);
	UNTIL(world, world->closed == 1);
	client_expect_end(world, client);
	close(client);
}

static void a_half_closed_peer_still_reads(void **state) {
	half_closed(world_of(state), FAMILY_V4, false);
}

static void a_half_closed_peer_still_reads_over_unix(void **state) {
	half_closed(world_of(state), FAMILY_UNIX, false);
}

static void an_end_during_a_pause_is_told_after_it(void **state) {
	half_closed(world_of(state), FAMILY_V4, true);
}

static void an_end_after_much_is_told_behind_it(void **state) {
	struct world *world = world_of(state);
	static char bytes[300000];
	struct link *link;
	int client = client_open(world, FAMILY_V4, &link);
	client_write(world, client, bytes, sizeof bytes);
	close(client);
	UNTIL(world, link->ended > 0);
	assert_int_equal(link->got_bytes, sizeof bytes);
}

static void a_reset_is_told_once(void **state) {
	struct world *world = world_of(state);
	struct link *link;
	int client = client_open(world, FAMILY_V4, &link);
	client_reset(client);
	UNTIL(world, link->broken > 0);
	io_pause(world->io, &link->stream);
	io_resume(world->io, &link->stream);
	uint32_t before = world->turns;
	drive_for(world, 50000000);
	assert_in_range(world->turns - before, 1, 20);
	assert_int_equal(link->broken, 1);
}

#define CALLERS 400u

/* Sends and resets at once, again and again, while another thread receives. */
static void *call_and_reset(void *context) {
	const struct world *world = context;
	static const size_t lengths[] = {1, 5000, 17000, 99000};
	static char bytes[99000];
	for (uint32_t caller = 0; caller < CALLERS; caller++) {
		int client = client_begin(world, FAMILY_V4);
		size_t length = lengths[caller % 4];
		struct pollfd room = {.fd = client, .events = POLLOUT};
		while (length > 0 && poll(&room, 1, 1000) == 1) {
			ssize_t sent = send(client, bytes, length, MSG_NOSIGNAL);
			if (sent <= 0) break;
			length -= (size_t)sent;
		}
		client_reset(client);
	}
	return NULL;
}

static void close_told(struct world *world) {
	for (struct link *link = world->first; link != NULL; link = link->next) {
		if (link->is_closing) continue;
		if (link->broken + link->ended > 0)
			link_close(link);
		else if (link->conduct == CONDUCT_PAUSE)
			io_resume(world->io, &link->stream);
	}
}

static void resets_behind_bytes(struct world *world, enum conduct conduct) {
	pthread_t caller;
	world->conduct = conduct;
	assert_int_equal(pthread_create(&caller, NULL, call_and_reset, world), 0);
	UNTIL(world, (close_told(world), world->closed == CALLERS));
	assert_int_equal(pthread_join(caller, NULL), 0);
}

/* However both meet: the end is never lost behind the bytes. */
static void a_reset_that_comes_with_bytes_is_told(void **state) {
	resets_behind_bytes(world_of(state), CONDUCT_KEEP);
}

static void a_reset_between_pause_and_resume_is_told(void **state) {
	resets_behind_bytes(world_of(state), CONDUCT_PAUSE);
}

/* In the midst of a send that waits for the peer, who never reads; the link leaves the stream open
 * for a while. */
static void a_reset_ends_a_send(void **state) {
	struct world *world = world_of(state);
	char *bytes = calloc(1, LARGE_BYTES);
	struct link *link;
	assert_non_null(bytes);
	for (uint32_t round = 0; round < 4; round++) {
		int client = client_open(world, FAMILY_V4, &link);
		if (round & 1) io_pause(world->io, &link->stream);
		assert_false(link_send(link, bytes, LARGE_BYTES, 1 + round));
		drive_for(world, 10000000);
		client_reset(client);
		UNTIL(world, link->broken > 0);
		drive_for(world, 5000000);
		assert_int_equal(link->sent, 0);
		link_close(link);
		UNTIL(world, world->closed == round + 1);
	}
	free(bytes);
}

/* The peer has gone: the send after that breaks, and no signal comes. */
static void a_send_to_nobody_breaks(void **state) {
	struct world *world = world_of(state);
	for (enum family family = FAMILY_V4; family < FAMILY_COUNT; family += 2) {
		struct link *link;
		int client = client_open(world, family, &link);
		close(client);
		UNTIL(world, link->ended > 0);
		for (uint32_t i = 0; i < 100 && link->broken == 0; i++) {
			if (!link->is_sending) (void)link_send(link, "anybody?", 8, 1);
			drive(world);
		}
		UNTIL(world, link->broken > 0);
		link_close(link);
	}
	UNTIL(world, world->closed == 2);
}

/* ------------------------------------------------------------------ our end ---------------- */

static uint32_t open_descriptors(void) {
	uint32_t count = 0;
	for (int fd = 0; fd < 1024; fd++) count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

/* With a receive armed, a send waiting, a pause just asked for, everything at once; some twice. */
static void closed_in_the_midst(void **state) {
	struct world *world = world_of(state);
	char *bytes = calloc(1, LARGE_BYTES);
	assert_non_null(bytes);
	drive_for(world, 1000000);
	uint32_t before = open_descriptors();
	for (uint32_t round = 0; round < 64; round++) {
		struct link *link;
		int client = client_open(world, round & 32 ? FAMILY_UNIX : FAMILY_V4, &link);
		if (round & 1) client_write(world, client, bytes, 30000);
		if (round & 2) assert_false(link_send(link, bytes, LARGE_BYTES, 1 + round % 5));
		if (round & 4) io_pause(world->io, &link->stream);
		if (round & 8) drive(world);
		if (round & 16) io_resume(world->io, &link->stream);
		link_close(link);
		io_close(world->io, &link->stream);
		assert_int_equal(world->closed, round);
		UNTIL(world, world->closed == round + 1);
		client_expect_end(world, client);
		close(client);
	}
	assert_int_equal(open_descriptors(), before);
	free(bytes);
}

static void closed_within_received(void **state) {
	struct world *world = world_of(state);
	world->conduct = CONDUCT_CLOSE;
	for (uint32_t round = 0; round < 20; round++) {
		int client = client_open(world, FAMILY_V4, NULL);
		char bytes[100] = {0};
		client_write(world, client, bytes, sizeof bytes);
		if (round & 1) (void)shutdown(client, SHUT_WR);
		UNTIL(world, world->closed == round + 1);
		close(client);
	}
}

static void closed_within_sent(void **state) {
	struct world *world = world_of(state);
	const size_t length = 6000000;
	char *bytes = calloc(1, length), *back = malloc(length);
	struct link *link;
	assert_true(bytes != NULL && back != NULL);
	int client = client_open(world, FAMILY_V4, &link);
	link->closes_when_sent = true;
	assert_false(link_send(link, bytes, length, 10));
	client_read(world, client, back, length);
	UNTIL(world, world->closed == 1);
	client_expect_end(world, client);
	close(client);
	free(bytes);
	free(back);
}

/* What is left is not sent, and nothing more is told. */
static void closed_within_a_part(void **state) {
	struct world *world = world_of(state);
	char *bytes = calloc(1, LARGE_BYTES);
	struct link *link;
	assert_non_null(bytes);
	int client = client_open(world, FAMILY_UNIX, &link);
	link->closes_at_part = true;
	assert_false(link_send(link, bytes, LARGE_BYTES, IO_PIECES_MAX));
	char some[100000];
	UNTIL(world, ((void)recv(client, some, sizeof some, 0), world->closed == 1));
	client_expect_end(world, client);
	close(client);
	free(bytes);
}

/* Between the wait, which may have fetched what it is about, and the poll. */
static void closed_between_wait_and_poll(void **state) {
	struct world *world = world_of(state);
	int clients[8];
	for (uint32_t i = 0; i < 8; i++) clients[i] = client_open(world, FAMILY_V4, NULL);
	for (uint32_t i = 0; i < 8; i++) client_write(world, clients[i], "bytes", 5);
	drive_for(world, 1000000);
	for (uint32_t i = 0; i < 8; i++) client_write(world, clients[i], "bytes", 5);
	io_wait(world->io, 10000000);
	for (struct link *link = world->first; link != NULL; link = link->next) link_close(link);
	UNTIL(world, world->closed == 8);
	for (uint32_t i = 0; i < 8; i++) close(clients[i]);
}

/* Each broken link closes within the callback; the others must not notice. */
static void many_resets(void **state) {
	struct world *world = world_of(state);
	static int clients[100];
	world->conduct = CONDUCT_ECHO;
	for (uint32_t i = 0; i < 100; i++) clients[i] = client_open(world, FAMILY_V4, NULL);
	for (uint32_t i = 0; i < 100; i++) client_write(world, clients[i], "bytes", 5);
	for (uint32_t i = 0; i < 100; i += 2) client_reset(clients[i]);
	UNTIL(world, world->closed == 50);
	for (uint32_t i = 1; i < 100; i += 2) {
		char text[10];
		client_write(world, clients[i], "bytes", 5);
		client_read(world, clients[i], text, 10);
		close(clients[i]);
	}
	UNTIL(world, world->closed == 100);
}

struct flood {
	int fd;
	_Atomic bool is_over;
};

static void send_without_end(void *context) {
	struct flood *flood = context;
	static const char bytes[4096];
	while (!atomic_load(&flood->is_over))
		if (send(flood->fd, bytes, sizeof bytes, MSG_NOSIGNAL) < 0) os_thread_yield();
}

/* Whatever the kernel is just doing with the stream: the peer goes on and on, and the end comes all
 * the same. */
static void closed_during_a_flood(void **state) {
	struct world *world = world_of(state);
	for (uint32_t round = 0; round < 100; round++) {
		struct link *link;
		struct os_thread thread;
		struct flood flood = {.fd = client_open(world, round & 1 ? FAMILY_UNIX : FAMILY_V4, &link)};
		assert_true(os_thread_start(&thread, send_without_end, &flood));
		UNTIL(world, link->received > round % 40);
		if (round & 2) io_pause(world->io, &link->stream);
		if (round & 4) (void)io_poll(world->io);
		link_close(link);
		uint64_t until_ns = os_deadline_ns(PATIENCE_NS);
		while (world->closed == round && os_remaining_ns(until_ns) > 0) drive(world);
		atomic_store(&flood.is_over, true);
		os_thread_join(&thread);
		close(flood.fd);
		assert_int_equal(world->closed, round + 1);
	}
}

/* ------------------------------------------------------------------ random ----------------- */

#define STREAMS 24u

/* Anything at any time. The links check the order of what they are told, AddressSanitizer the
 * memory. */
static void random_lives(void **state) {
	struct world *world = world_of(state);
	const char *rounds_text = getenv("SNUG_IO_ROUNDS");
	uint32_t rounds = rounds_text != NULL ? (uint32_t)strtoul(rounds_text, NULL, 10) : 6000;
	const char *seed_text = getenv("SNUG_SEED");
	uint32_t seed =
				 seed_text != NULL ? (uint32_t)strtoul(seed_text, NULL, 10) : (uint32_t)time(NULL),
			 word = seed;
	static char bytes[2000000];
	int clients[STREAMS];
	print_message("seed %u\n", seed);
	world->conduct = CONDUCT_PAUSE;
	for (uint32_t i = 0; i < STREAMS; i++) clients[i] = -1;
	for (uint32_t round = 0; round < rounds; round++) {
		word = word * 1664525u + 1013904223u;
		uint32_t number = (word >> 8) % STREAMS, dice = (word >> 16) % 100;
		if (clients[number] < 0) {
			clients[number] = client_begin(world, word >> 31 ? FAMILY_V4 : FAMILY_UNIX);
		} else if (dice < 30) {
			(void)send(clients[number], bytes, word >> 20, MSG_NOSIGNAL);
		} else if (dice < 60) {
			(void)recv(clients[number], bytes, sizeof bytes, 0);
		} else if (dice < 64) {
			(void)shutdown(clients[number], SHUT_WR);
		} else if (dice < 70) {
			client_reset(clients[number]);
			clients[number] = -1;
		}
		uint32_t steps = (word >> 5) % 4;
		for (struct link *link = world->first; link != NULL; link = link->next) {
			if (link->is_closing) continue;
			word = word * 1664525u + 1013904223u;
			uint32_t act = (word >> 16) % 40;
			if (act == 0) io_pause(world->io, &link->stream);
			if (act < 10) io_resume(world->io, &link->stream);
			if (act >= 10 && act < 15 && !link->is_sending && link->broken == 0)
				(void)link_send(link, bytes, 1 + (word >> 9) % 1000000, 1 + act % 7);
			if (act == 15 && link->ended > 0) link_close(link);
			if (act == 16 && (word >> 28) == 0) link_close(link);
		}
		while (steps-- > 0) (void)io_poll(world->io);
	}
	for (uint32_t i = 0; i < STREAMS; i++)
		if (clients[i] >= 0) close(clients[i]);
	print_message("%u accepted, %u broken, %u closed\n", world->accepted, world->broken,
				  world->closed);
	assert_true(world->broken > 0 && world->closed > 0);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		FOR_BOTH(a_half_closed_peer_still_reads),
		FOR_BOTH(a_half_closed_peer_still_reads_over_unix),
		FOR_BOTH(an_end_during_a_pause_is_told_after_it),
		FOR_BOTH(an_end_after_much_is_told_behind_it),
		FOR_BOTH(a_reset_is_told_once),
		FOR_BOTH(a_reset_that_comes_with_bytes_is_told),
		FOR_LITTLE_MEMORY(a_reset_that_comes_with_bytes_is_told),
		FOR_BOTH(a_reset_between_pause_and_resume_is_told),
		FOR_LITTLE_MEMORY(a_reset_between_pause_and_resume_is_told),
		FOR_BOTH(a_reset_ends_a_send),
		FOR_BOTH(a_send_to_nobody_breaks),
		FOR_BOTH(closed_in_the_midst),
		FOR_BOTH(closed_within_received),
		FOR_BOTH(closed_within_sent),
		FOR_BOTH(closed_within_a_part),
		FOR_BOTH(closed_between_wait_and_poll),
		FOR_BOTH(closed_during_a_flood),
		FOR_BOTH(many_resets),
		FOR_BOTH(random_lives),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
