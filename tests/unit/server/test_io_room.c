/* test_io_room.c: bytes that have a place where they will lie (io_offer_room): over both ways the io
 * puts them there itself, in their order, and what follows them comes as ever; as many in a turn as
 * lie in its own buffers otherwise, and behind them no more than a head; pauses, holds, ends and
 * closes mean what they do without. */
#include "os/threads.h"
#include "server/io/io_backend.h"
#include "unit/server/io_world.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define VALUE_BYTES ((size_t)700000)
#define BEHIND_BYTES ((size_t)1000)
#define ROUND_BYTES (VALUE_BYTES + BEHIND_BYTES)

static char value[VALUE_BYTES], sent[ROUND_BYTES];

/* Of what comes first some may have been received before the room was offered. */
static void values_over(struct world *world, enum family family) {
	struct link *link;
	int client = client_open(world, family, &link);
	for (uint32_t round = 0; round < 5; round++) {
		size_t before = link->placed_bytes;
		fill_pattern(sent, sizeof sent, round);
		link_offer_room(link, value, sizeof value);
		client_write(world, client, sent, sizeof sent);
		UNTIL(world, link->room_used == sizeof value && link->got_bytes == BEHIND_BYTES);
		assert_memory_equal(value, sent, sizeof value);
		assert_memory_equal(link->got, sent + sizeof value, BEHIND_BYTES);
		link->got_bytes = 0;
		if (round > 0) assert_true(link->placed_bytes - before > sizeof value / 2);
	}
	/* Without room all is as it was. */
	size_t before = link->placed_bytes;
	client_write(world, client, sent, sizeof sent);
	UNTIL(world, link->got_bytes == sizeof sent);
	assert_memory_equal(link->got, sent, sizeof sent);
	assert_int_equal(link->placed_bytes, before);
	close(client);
	UNTIL(world, link->ended > 0);
}

static void what_has_room_is_put_there(void **state) {
	values_over(world_of(state), FAMILY_V4);
}

static void what_has_room_is_put_there_over_unix(void **state) {
	values_over(world_of(state), FAMILY_UNIX);
}

#define STREAMS 16u

/* All of them have more waiting than a turn may bring. */
static void a_turn_brings_no_more_than_its_share(void **state) {
	struct world *world = world_of(state);
	struct link *links[STREAMS];
	int clients[STREAMS];
	char *rooms = malloc(STREAMS * IO_ROOM_BYTES);
	size_t most = 0, all = 0;
	assert_non_null(rooms);
	for (uint32_t i = 0; i < STREAMS; i++) {
		clients[i] = client_open(world, FAMILY_UNIX, &links[i]);
		/* from here on a receive at a time is armed */
		link_offer_room(links[i], rooms + i * IO_ROOM_BYTES, IO_ROOM_BYTES);
		client_write(world, clients[i], "!", 1);
		UNTIL(world, links[i]->room_used == 1);
	}
	drive_for(world, 5000000);
	for (uint32_t i = 0; i < STREAMS; i++)
		while (send(clients[i], sent, sizeof sent / 64, MSG_NOSIGNAL) > 0) continue;
	for (uint32_t turn = 0; turn < 50; turn++) {
		size_t before = 0, after = 0;
		for (uint32_t i = 0; i < STREAMS; i++) before += links[i]->placed_bytes;
		drive(world);
		for (uint32_t i = 0; i < STREAMS; i++) after += links[i]->placed_bytes;
		if (after - before > most) most = after - before;
		all += after - before;
	}
	assert_in_range(most, IO_ROOM_BYTES / 2, IO_ROOM_BYTES);
	assert_true(all > IO_ROOM_BYTES);
	for (uint32_t i = 0; i < STREAMS; i++) close(clients[i]);
	world_close_all(world);
	free(rooms);
}

/* The peer's end lies behind a part of the value. */
static void an_end_within_it_is_told_once(void **state) {
	struct world *world = world_of(state);
	struct link *link;
	int client = client_open(world, FAMILY_V4, &link);
	for (uint32_t round = 0; round < 2; round++) {
		link_offer_room(link, value, sizeof value);
		client_write(world, client, sent, sizeof sent / 2);
		UNTIL(world, link->room_used == sizeof sent / 2);
	}
	shutdown(client, SHUT_WR);
	UNTIL(world, link->ended > 0);
	drive_for(world, 5000000);
	assert_int_equal(link->ended, 1);
	assert_int_equal(link->broken, 0);
	close(client);
}

#define BEGUN_BYTES 100000u

/* A client of whose value so much is where it will lie, and nothing is under way. */
static int client_begun(struct world *world, struct link **link) {
	int client = client_open(world, FAMILY_V4, link);
	link_offer_room(*link, value, sizeof value);
	client_write(world, client, sent, BEGUN_BYTES);
	UNTIL(world, (*link)->room_used == BEGUN_BYTES);
	drive_for(world, 5000000);
	return client;
}

/* A close or a pause when bytes were put there is the last that is heard of them. */
static void conduct_over(void **state, enum conduct conduct) {
	struct world *world = world_of(state);
	struct link *link;
	int client = client_begun(world, &link);
	link->placed_bytes = 0;
	link->conduct = conduct;
	(void)send(client, sent, sizeof sent, MSG_NOSIGNAL);
	if (conduct == CONDUCT_CLOSE) {
		UNTIL(world, world->closed == 1);
	} else {
		size_t used = 0;
		UNTIL(world, link->room_used > BEGUN_BYTES);
		drive_for(world, 5000000);
		used = link->room_used;
		drive_for(world, 5000000);
		assert_int_equal(link->room_used, used);
		assert_true(used < BEGUN_BYTES + IO_ROOM_BYTES);
		link->conduct = CONDUCT_KEEP;
		io_resume(world->io, &link->stream);
		UNTIL(world, link->room_used > used);
	}
	close(client);
}

static void a_close_when_it_was_put_there(void **state) {
	conduct_over(state, CONDUCT_CLOSE);
}

static void a_pause_when_it_was_put_there(void **state) {
	conduct_over(state, CONDUCT_PAUSE);
}

static void while_held_nothing_is_put_there(void **state) {
	struct world *world = world_of(state);
	struct link *link;
	int client = client_begun(world, &link);
	io_hold(world->io);
	size_t before = link->placed_bytes;
	(void)send(client, sent + BEGUN_BYTES, 300000, MSG_NOSIGNAL);
	drive_for(world, 10000000);
	assert_int_equal(link->placed_bytes, before);
	io_release(world->io);
	UNTIL(world, link->room_used > 300000);
	assert_memory_equal(value, sent, link->room_used);
	close(client);
}

/* So that the value behind the head finds its room. What has none comes as ever, then. */
static void behind_it_comes_no_more_than_a_head(void **state) {
	struct world *world = world_of(state);
	struct link *link;
	int client = client_begun(world, &link);
	client_write(world, client, sent + BEGUN_BYTES, sizeof value - BEGUN_BYTES);
	UNTIL(world, link->room_used == sizeof value);
	drive_for(world, 5000000);
	assert_int_equal(link->got_bytes, 0);
	assert_int_equal(send(client, sent, BEGUN_BYTES, MSG_NOSIGNAL), BEGUN_BYTES);
	UNTIL(world, link->got_bytes > 0);
	assert_int_equal(link->got_bytes, IO_HEAD_BYTES);
	UNTIL(world, link->got_bytes == BEGUN_BYTES);
	assert_memory_equal(link->got, sent, BEGUN_BYTES);
	close(client);
}

#define TURN_RECEIVES_MIN 65536u /* of who is not received from a buffer at a time */

/* What was to lie there has come with its head: who then sends much gets as many buffers in a turn as
 * ever. */
static void room_that_is_full_by_then_slows_nobody(void **state) {
	struct world *world = world_of(state);
	struct link *link;
	size_t most = 0;
	int client = client_open(world, FAMILY_UNIX, &link);
	link_offer_room(link, value, 1000);
	client_write(world, client, sent, 2000);
	UNTIL(world, link->got_bytes == 1000);
	drive_for(world, 5000000);
	for (uint32_t turn = 0; turn < 50; turn++) {
		size_t before = link->got_bytes;
		while (send(client, sent, sizeof sent / 64, MSG_NOSIGNAL) > 0) continue;
		drive(world);
		if (link->got_bytes - before > most) most = link->got_bytes - before;
	}
	assert_int_equal(link->placed_bytes, 0);
	assert_true(most > TURN_RECEIVES_MIN);
	close(client);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		FOR_BOTH(what_has_room_is_put_there),
		FOR_BOTH(what_has_room_is_put_there_over_unix),
		FOR_BOTH(a_turn_brings_no_more_than_its_share),
		FOR_BOTH(an_end_within_it_is_told_once),
		FOR_BOTH(a_close_when_it_was_put_there),
		FOR_BOTH(a_pause_when_it_was_put_there),
		FOR_BOTH(while_held_nothing_is_put_there),
		FOR_BOTH(behind_it_comes_no_more_than_a_head),
		FOR_LITTLE_MEMORY(what_has_room_is_put_there),
		/* epoll receives into one buffer in any case */
		{"room_that_is_full_by_then_slows_nobody (io_uring)",
		 room_that_is_full_by_then_slows_nobody, world_begin, world_end,
		 (void *)(uintptr_t)IO_URING},
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
