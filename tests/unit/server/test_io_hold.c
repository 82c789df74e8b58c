/* io_hold, with both ways of doing it: while nobody is received from, sends go on, pauses and
 * closes mean what they do otherwise, nobody runs in circles, and nothing is lost. */
#include "unit/server/io_world.h"

#include "os/threads.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define STREAMS 3u
#define LENGTH ((size_t)12000000)
#define HAD_READY_BYTES ((size_t)64 * 16384) /* all of io_uring's buffers */

struct flood {
	int client[STREAMS];
	struct link *link[STREAMS];
	size_t sent[STREAMS];
	char *bytes;
};

/* As much as the sockets and a held io take. */
static void pour(struct world *world, struct flood *flood) {
	for (uint32_t quiet = 0; quiet < 20; quiet++) {
		for (uint32_t i = 0; i < STREAMS; i++) {
			size_t at = flood->sent[i];
			ssize_t count = send(flood->client[i], flood->bytes + at, LENGTH - at, MSG_NOSIGNAL);
			if (count <= 0) continue;
			flood->sent[i] += (size_t)count;
			quiet = 0;
		}
		drive(world);
	}
}

static void begin(struct world *world, struct flood *flood) {
	*flood = (struct flood){.bytes = malloc(LENGTH)};
	assert_non_null(flood->bytes);
	fill_pattern(flood->bytes, LENGTH, 7);
	for (uint32_t i = 0; i < STREAMS; i++)
		flood->client[i] = client_open(world, FAMILY_V4, &flood->link[i]);
	drive_for(world, 2000000);
	io_hold(world->io);
	pour(world, flood);
}

static void require_rest(struct world *world, struct flood *flood) {
	uint32_t before = world->turns;
	drive_for(world, 100000000);
	assert_in_range(world->turns - before, 1, 20);
	size_t got = 0;
	for (uint32_t i = 0; i < STREAMS; i++) {
		got += flood->link[i]->got_bytes;
		assert_true(flood->sent[i] < LENGTH);
	}
	assert_in_range(got, 0, world->kind == IO_EPOLL ? 0 : HAD_READY_BYTES);
}

static void require_all(struct world *world, struct flood *flood, uint32_t i) {
	client_write(world, flood->client[i], flood->bytes + flood->sent[i], LENGTH - flood->sent[i]);
	UNTIL(world, flood->link[i]->got_bytes == LENGTH);
	assert_memory_equal(flood->link[i]->got, flood->bytes, LENGTH);
	close(flood->client[i]);
}

static void nobody_is_received_from(void **state) {
	struct world *world = world_of(state);
	struct flood flood;
	begin(world, &flood);
	require_rest(world, &flood);
	/* More than goes at once. */
	char *text = malloc(LENGTH);
	assert_non_null(text);
	(void)link_send(flood.link[0], flood.bytes, LENGTH, 3);
	client_read(world, flood.client[0], text, LENGTH);
	assert_memory_equal(text, flood.bytes, LENGTH);
	free(text);
	io_release(world->io);
	for (uint32_t i = 0; i < STREAMS; i++) require_all(world, &flood, i);
	UNTIL(world,
		  flood.link[0]->ended == 1 && flood.link[1]->ended == 1 && flood.link[2]->ended == 1);
	world_close_all(world);
	free(flood.bytes);
}

/* The first is closed, the second paused and resumed, and the third paused until after the
 * release. */
static void streams_are_closed_and_paused_meanwhile(void **state) {
	struct world *world = world_of(state);
	struct flood flood;
	begin(world, &flood);
	link_close(flood.link[0]);
	io_pause(world->io, &flood.link[1]->stream);
	io_pause(world->io, &flood.link[2]->stream);
	UNTIL(world, world->closed == 1);
	io_resume(world->io, &flood.link[1]->stream);
	flood.link[0] = flood.link[1];
	require_rest(world, &flood);
	io_release(world->io);
	require_all(world, &flood, 1);
	drive_for(world, 2000000);
	size_t before = flood.link[2]->got_bytes;
	drive_for(world, 2000000);
	assert_int_equal(flood.link[2]->got_bytes, before);
	io_resume(world->io, &flood.link[2]->stream);
	require_all(world, &flood, 2);
	close(flood.client[0]);
	world_close_all(world);
	free(flood.bytes);
}

static void an_end_is_told_after_the_release(void **state) {
	struct world *world = world_of(state);
	struct flood flood;
	begin(world, &flood);
	for (uint32_t i = 0; i < STREAMS; i++) assert_int_equal(shutdown(flood.client[i], SHUT_WR), 0);
	require_rest(world, &flood);
	io_release(world->io);
	for (uint32_t i = 0; i < STREAMS; i++) {
		UNTIL(world, flood.link[i]->ended == 1);
		assert_int_equal(flood.link[i]->got_bytes, flood.sent[i]);
		close(flood.client[i]);
	}
	world_close_all(world);
	free(flood.bytes);
}

/* Holds and releases without a plan while much comes. */
static void holds_and_releases_lose_nothing(void **state) {
	struct world *world = world_of(state);
	struct flood flood;
	begin(world, &flood);
	for (uint32_t round = 0; round < 60; round++) {
		if (round % 3 == 0) io_release(world->io);
		pour(world, &flood);
		if (round % 5 == 0) io_hold(world->io);
		drive(world);
	}
	io_release(world->io);
	for (uint32_t i = 0; i < STREAMS; i++) require_all(world, &flood, i);
	world_close_all(world);
	free(flood.bytes);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		FOR_BOTH(nobody_is_received_from),
		FOR_BOTH(streams_are_closed_and_paused_meanwhile),
		FOR_BOTH(an_end_is_told_after_the_release),
		FOR_BOTH(holds_and_releases_lose_nothing),
		FOR_LITTLE_MEMORY(nobody_is_received_from),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
