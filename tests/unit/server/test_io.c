/* test_io.c: src/server/io/io.h over epoll and over io_uring: bytes arrive whole and in order,
 * whatever their size, the family of the socket, and the pace of the peer. Ends and failures are
 * test_io_ends.c's, waiting is test_io_wait.c's. */
#include "os/threads.h"
#include "unit/server/io_world.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* ------------------------------------------------------------------ echo ------------------- */

static void echo_over(struct world *world, enum family family) {
	if (world->listener[family] < 0) skip();
	world->conduct = CONDUCT_ECHO;
	char text[16] = {0};
	int client = client_open(world, family, NULL);
	assert_int_equal(world->accepted_tag, family);
	client_write(world, client, "hello", 5);
	client_read(world, client, text, 5);
	assert_string_equal(text, "hello");
	client_write(world, client, "again", 5);
	client_read(world, client, text, 5);
	assert_string_equal(text, "again");
	close(client);
	UNTIL(world, world->closed == 1);
}

static void echo_over_ipv4(void **state) {
	echo_over(world_of(state), FAMILY_V4);
}

static void echo_over_ipv6(void **state) {
	echo_over(world_of(state), FAMILY_V6);
}

static void echo_over_unix(void **state) {
	echo_over(world_of(state), FAMILY_UNIX);
}

/* The client sends and reads as the sockets take it; what comes back is what was sent. */
static void echo_much(struct world *world, enum family family) {
	const size_t length = 3000000;
	char *there = malloc(length), *back = malloc(length);
	assert_true(there != NULL && back != NULL);
	fill_pattern(there, length, 1);
	world->conduct = CONDUCT_ECHO;
	int client = client_open(world, family, NULL);
	size_t out = 0, in = 0;
	while (in < length) {
		ssize_t count = out < length ? send(client, there + out, length - out, MSG_NOSIGNAL) : 0;
		if (count > 0) out += (size_t)count;
		count = recv(client, back + in, length - in, 0);
		if (count > 0) in += (size_t)count;
		assert_true(count != 0);
		drive(world);
	}
	assert_memory_equal(there, back, length);
	close(client);
	free(there);
	free(back);
}

static void much_comes_back_whole(void **state) {
	echo_much(world_of(state), FAMILY_V4);
}

static void much_comes_back_whole_over_unix(void **state) {
	echo_much(world_of(state), FAMILY_UNIX);
}

/* ------------------------------------------------------------------ slow readers ----------- */

#define LARGE_BYTES ((size_t)12000000)
#define READ_BYTES ((size_t)50000)

/* Does not fit into the sockets: `sent` comes once, after the peer has read. Until then nobody runs in
 * circles, and nothing is told while the peer reads nothing; once he has read some, that is. */
static void slow_reader(struct world *world, enum family family, size_t pieces) {
	char *bytes = malloc(LARGE_BYTES), *back = malloc(LARGE_BYTES);
	struct link *link;
	assert_true(bytes != NULL && back != NULL);
	fill_pattern(bytes, LARGE_BYTES, 2);
	int client = client_open(world, family, &link);
	assert_false(link_send(link, bytes, LARGE_BYTES, pieces));
	drive_for(world, 50000000);
	uint32_t before = world->turns, parts = link->parts;
	drive_for(world, 100000000);
	assert_in_range(world->turns - before, 1, 20);
	assert_int_equal(link->parts, parts);
	assert_int_equal(link->sent, 0);

	size_t read = 0;
	for (; link->parts == parts && read < LARGE_BYTES / 2; read += READ_BYTES) {
		client_read(world, client, back + read, READ_BYTES);
		drive_for(world, 1000000);
	}
	assert_true(link->parts > parts);
	assert_int_equal(link->sent, 0);
	client_read(world, client, back + read, LARGE_BYTES - read);
	UNTIL(world, link->sent > 0);
	assert_memory_equal(bytes, back, LARGE_BYTES);
	drive_for(world, 10000000);
	assert_int_equal(link->sent, 1);

	/* The stream is as good as new. */
	(void)link_send(link, "and more", 8, 2);
	client_read(world, client, back, 8);
	assert_memory_equal(back, "and more", 8);
	UNTIL(world, !link->is_sending);
	close(client);
	free(bytes);
	free(back);
}

static void one_piece_to_a_slow_reader(void **state) {
	slow_reader(world_of(state), FAMILY_V4, 1);
}

static void many_pieces_to_a_slow_reader(void **state) {
	slow_reader(world_of(state), FAMILY_V4, IO_PIECES_MAX);
}

static void many_pieces_to_a_slow_reader_over_unix(void **state) {
	slow_reader(world_of(state), FAMILY_UNIX, IO_PIECES_MAX);
}

/* What does not fit goes on, also where nothing is received from then on. */
static void a_pause_stops_no_send(void **state) {
	struct world *world = world_of(state);
	char *bytes = malloc(LARGE_BYTES), *back = malloc(LARGE_BYTES);
	struct link *link;
	assert_true(bytes != NULL && back != NULL);
	fill_pattern(bytes, LARGE_BYTES, 3);
	int client = client_open(world, FAMILY_V4, &link);
	for (uint32_t pauses = 1; pauses <= 2; pauses++) {
		assert_false(link_send(link, bytes, LARGE_BYTES, 3));
		io_pause(world->io, &link->stream);
		if (pauses == 2) io_resume(world->io, &link->stream);
		client_read(world, client, back, LARGE_BYTES);
		UNTIL(world, !link->is_sending);
		assert_memory_equal(bytes, back, LARGE_BYTES);
	}
	close(client);
	free(bytes);
	free(back);
}

/* ------------------------------------------------------------------ room ------------------- */

/* All that the socket takes; how much that was. */
static size_t fill_socket(const struct link *link) {
	char bytes[16384] = {0};
	size_t total = 0;
	ssize_t sent;
	while ((sent = send(link->stream.fd, bytes, sizeof bytes, MSG_NOSIGNAL | MSG_DONTWAIT)) > 0)
		total += (size_t)sent;
	return total;
}

static void await_room(struct link *link) {
	link->is_sending = true;
	assert_false(io_send(link->world->io, &link->stream, NULL, 0));
}

/* A send of nothing ends when there is room: at once, or when the peer has read; meanwhile nobody runs
 * in circles, and the peer is heard. */
static void room_is_told(void **state) {
	struct world *world = world_of(state);
	struct link *link;
	int client = client_open(world, FAMILY_V4, &link);
	await_room(link);
	UNTIL(world, link->sent == 1);

	size_t length = fill_socket(link);
	char *back = malloc(length);
	assert_non_null(back);
	await_room(link);
	drive_for(world, 50000000);
	uint32_t before = world->turns;
	drive_for(world, 100000000);
	assert_in_range(world->turns - before, 1, 20);
	client_write(world, client, "hello", 5);
	UNTIL(world, link->got_bytes == 5);
	drive_for(world, 10000000);
	assert_int_equal(link->sent, 1);
	client_read(world, client, back, length);
	UNTIL(world, link->sent == 2);

	(void)link_send(link, "and more", 8, 2);
	client_read(world, client, back, 8);
	assert_memory_equal(back, "and more", 8);
	UNTIL(world, !link->is_sending);
	free(back);
	close(client);
}

/* Who waits for room may be closed, and his peer may go. */
static void an_end_while_room_is_awaited(void **state) {
	struct world *world = world_of(state);
	struct link *kept, *left;
	int client = client_open(world, FAMILY_V4, &kept), other = client_open(world, FAMILY_V4, &left);
	(void)fill_socket(kept);
	(void)fill_socket(left);
	await_room(kept);
	await_room(left);
	drive_for(world, 10000000);
	link_close(kept);
	UNTIL(world, world->closed == 1);
	client_reset(other);
	UNTIL(world, left->broken == 1 || left->sent == 1);
	close(client);
}

/* While one does not read, the others are served. */
static void a_slow_reader_stops_nobody(void **state) {
	struct world *world = world_of(state);
	char *bytes = calloc(1, LARGE_BYTES), text[5];
	struct link *link;
	assert_non_null(bytes);
	int slow = client_open(world, FAMILY_V4, &link);
	assert_false(link_send(link, bytes, LARGE_BYTES, 3));
	world->conduct = CONDUCT_ECHO;
	int client = client_open(world, FAMILY_V4, NULL);
	for (uint32_t i = 0; i < 100; i++) {
		client_write(world, client, "hello", 5);
		client_read(world, client, text, 5);
		assert_memory_equal(text, "hello", 5);
	}
	assert_true(link->is_sending);
	close(slow);
	close(client);
	world_close_all(world);
	free(bytes);
}

/* ------------------------------------------------------------------ pause and resume ------- */

/* More than any buffers hold is held back in the sockets, and all of it comes after the resume. */
static void a_paused_stream_gets_nothing(void **state) {
	struct world *world = world_of(state);
	const size_t length = 20000000;
	char *bytes = malloc(length);
	struct link *link;
	assert_non_null(bytes);
	fill_pattern(bytes, length, 3);
	int client = client_open(world, FAMILY_V4, &link);
	io_pause(world->io, &link->stream);
	io_pause(world->io, &link->stream);
	drive_for(world, 5000000);
	size_t at = 0;
	for (uint32_t quiet = 0; quiet < 20;) {
		ssize_t count = send(client, bytes + at, length - at, MSG_NOSIGNAL);
		quiet = count > 0 ? 0 : quiet + 1;
		if (count > 0) at += (size_t)count;
		drive(world);
	}
	assert_true(at < length);
	assert_int_equal(link->received, 0);
	uint32_t before = world->turns;
	drive_for(world, 100000000);
	assert_in_range(world->turns - before, 1, 20);

	io_resume(world->io, &link->stream);
	io_resume(world->io, &link->stream);
	client_write(world, client, bytes + at, length - at);
	UNTIL(world, link->got_bytes == length);
	assert_memory_equal(link->got, bytes, length);
	close(client);
	free(bytes);
}

#define TURN_RECEIVES_MAX 65536u /* of one stream that was paused for what it had sent */

/* Whoever was paused and sends on does not get all of the io's buffers in one turn: there would be
 * no room to keep that. */
static void after_a_pause_little_comes_in_a_turn(void **state) {
	struct world *world = world_of(state);
	const size_t length = 4000000;
	char *bytes = calloc(1, length);
	struct link *link;
	assert_non_null(bytes);
	int client = client_open(world, FAMILY_V4, &link);
	io_pause(world->io, &link->stream);
	drive_for(world, 5000000);
	(void)send(client, bytes, length, MSG_NOSIGNAL); /* what the sockets hold */
	io_resume(world->io, &link->stream);
	for (uint32_t turn = 0; turn < 200; turn++) {
		size_t before = link->got_bytes;
		drive(world);
		assert_in_range(link->got_bytes - before, 0, TURN_RECEIVES_MAX);
	}
	assert_true(link->got_bytes > TURN_RECEIVES_MAX);
	close(client);
	free(bytes);
}

/* A stream that is paused in the callback gets at most what was ready: no more than the io's own
 * buffers hold. */
static void a_pause_within_the_callback_holds(void **state) {
	struct world *world = world_of(state);
	const size_t length = 4000000;
	char *bytes = calloc(1, length);
	struct link *link;
	assert_non_null(bytes);
	world->conduct = CONDUCT_PAUSE;
	int client = client_open(world, FAMILY_V4, &link);
	(void)send(client, bytes, length, MSG_NOSIGNAL);
	UNTIL(world, link->received > 0);
	drive_for(world, 30000000);
	assert_true(link->got_bytes <= io_memory_bytes(world->io));
	size_t held = link->got_bytes;
	(void)send(client, bytes, length, MSG_NOSIGNAL);
	drive_for(world, 30000000);
	assert_int_equal(link->got_bytes, held);
	close(client);
	free(bytes);
}

static void pauses_and_resumes_lose_nothing(void **state) {
	struct world *world = world_of(state);
	const size_t length = 2000000;
	char *bytes = malloc(length);
	struct link *link;
	assert_non_null(bytes);
	fill_pattern(bytes, length, 4);
	int client = client_open(world, FAMILY_V4, &link);
	uint32_t seed = (uint32_t)time(NULL), word = seed;
	print_message("seed %u\n", seed);
	size_t at = 0;
	uint64_t until_ns = os_deadline_ns(PATIENCE_NS);
	while (link->got_bytes < length) {
		word = word * 1664525u + 1013904223u;
		size_t part = 1 + (word >> 12) % 20000;
		if (part > length - at) part = length - at;
		ssize_t count = part > 0 ? send(client, bytes + at, part, MSG_NOSIGNAL) : 0;
		if (count > 0) at += (size_t)count;
		for (uint32_t flips = (word >> 8) % 4; flips > 0; flips--) {
			io_pause(world->io, &link->stream);
			if ((word >> 6) & 1) (void)io_poll(world->io);
			io_resume(world->io, &link->stream);
		}
		drive(world);
		assert_true(os_remaining_ns(until_ns) > 0);
	}
	assert_int_equal(link->got_bytes, length);
	assert_memory_equal(link->got, bytes, length);
	close(client);
	free(bytes);
}

/* ------------------------------------------------------------------ many ------------------- */

#define MANY 300u

/* All at once, each with more than there are buffers for all of them. */
static void many_streams_at_once(void **state) {
	struct world *world = world_of(state);
	const size_t length = 40000;
	static int clients[MANY];
	char *bytes = malloc(length), *back = malloc(length);
	assert_true(bytes != NULL && back != NULL);
	world->conduct = CONDUCT_ECHO;
	size_t memory_bytes = io_memory_bytes(world->io);
	for (uint32_t i = 0; i < MANY; i++)
		clients[i] = client_begin(world, i % 3 == 0 ? FAMILY_UNIX : FAMILY_V4);
	UNTIL(world, world->accepted == MANY);
	for (uint32_t round = 0; round < 2; round++) {
		for (uint32_t i = 0; i < MANY; i++) {
			fill_pattern(bytes, length, i + round);
			assert_int_equal(send(clients[i], bytes, length, MSG_NOSIGNAL), length);
		}
		for (uint32_t i = 0; i < MANY; i++) {
			fill_pattern(bytes, length, i + round);
			client_read(world, clients[i], back, length);
			assert_memory_equal(bytes, back, length);
		}
	}
	assert_int_equal(io_memory_bytes(world->io), memory_bytes);
	assert_in_range(memory_bytes, 65536, 4 << 20);
	for (uint32_t i = 0; i < MANY; i++) close(clients[i]);
	UNTIL(world, world->closed == MANY);
	free(bytes);
	free(back);
}

/* One that sends without end leaves the others their turns. */
static void a_flood_starves_nobody(void **state) {
	struct world *world = world_of(state);
	static char bytes[1 << 20];
	struct link *flooded;
	int flood = client_open(world, FAMILY_V4, &flooded);
	world->conduct = CONDUCT_ECHO;
	int client = client_open(world, FAMILY_V4, NULL);
	for (uint32_t i = 0; i < 20; i++) {
		char text[5];
		uint32_t before = flooded->received;
		size_t at = 0;
		client_write(world, client, "hello", 5);
		uint64_t until_ns = os_deadline_ns(PATIENCE_NS);
		while (at < sizeof text) {
			(void)send(flood, bytes, sizeof bytes, MSG_NOSIGNAL);
			flooded->got_bytes = 0;
			(void)io_poll(world->io);
			ssize_t count = recv(client, text + at, sizeof text - at, 0);
			if (count > 0) at += (size_t)count;
			assert_true(os_remaining_ns(until_ns) > 0);
		}
		assert_true(flooded->received - before < 1000);
	}
	close(flood);
	close(client);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		FOR_BOTH(echo_over_ipv4),
		FOR_BOTH(echo_over_ipv6),
		FOR_BOTH(echo_over_unix),
		FOR_BOTH(much_comes_back_whole),
		FOR_BOTH(much_comes_back_whole_over_unix),
		FOR_BOTH(one_piece_to_a_slow_reader),
		FOR_BOTH(many_pieces_to_a_slow_reader),
		FOR_BOTH(many_pieces_to_a_slow_reader_over_unix),
		FOR_BOTH(a_pause_stops_no_send),
		FOR_BOTH(room_is_told),
		FOR_BOTH(an_end_while_room_is_awaited),
		FOR_BOTH(a_slow_reader_stops_nobody),
		FOR_BOTH(a_paused_stream_gets_nothing),
		FOR_BOTH(after_a_pause_little_comes_in_a_turn),
		FOR_BOTH(a_pause_within_the_callback_holds),
		FOR_BOTH(pauses_and_resumes_lose_nothing),
		FOR_BOTH(many_streams_at_once),
		FOR_BOTH(a_flood_starves_nobody),
		FOR_LITTLE_MEMORY(a_flood_starves_nobody),
		FOR_LITTLE_MEMORY(much_comes_back_whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
