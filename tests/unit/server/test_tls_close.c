/* test_tls_close.c: src/server/tls/tls_close.c: how many closes of kernel TLS wait for room in their
 * sockets, and for how long, with the kernel, the clock and the io replaced. That a close does wait is
 * what tests/server/test_kernel_tls.py shows, where there is such a kernel. */
#include "unit/cmocka_all.h"

#include "server/tls/tls_kernel.h"
#include "server/tls/tls_layer.h"

#include <stdlib.h>

#define SECOND_NS UINT64_C(1000000000)
#define PATIENCE_S 10u /* of a close that waits */
#define HURRY_S 1u     /* the same, once the server ends */
#define MOST 4u        /* that wait at a time */
#define STREAMS 12u
#define BEGUN_NS (1000 * SECOND_NS)

static struct {
	uint64_t now_ns;
	bool has_room;
	bool is_short; /* connection memory */
	int closed[STREAMS];
	int ends_said;
	int released;
} world;

static struct tls_stream *streams;
static struct tls_layer *layer;

uint64_t __wrap_os_now_ns(void);
uint64_t __wrap_os_now_ns(void) {
	return world.now_ns;
}

bool __wrap_tls_kernel_has_room(int fd);
bool __wrap_tls_kernel_has_room(int fd) {
	(void)fd;
	return world.has_room;
}

void __wrap_tls_kernel_say_end(int fd);
void __wrap_tls_kernel_say_end(int fd) {
	(void)fd;
	world.ends_said++;
}

bool __wrap_connection_memory_is_short(const struct connection_memory *memory);
bool __wrap_connection_memory_is_short(const struct connection_memory *memory) {
	(void)memory;
	return world.is_short;
}

void __wrap_tls_release(struct tls_stream *stream);
void __wrap_tls_release(struct tls_stream *stream) {
	(void)stream;
	world.released++;
}

void __wrap_tls_handshake_leave(struct tls_stream *stream);
void __wrap_tls_handshake_leave(struct tls_stream *stream) {
	(void)stream;
}

bool __wrap_io_send(struct io *io, struct io_stream *stream, struct iovec *pieces, size_t count);
bool __wrap_io_send(struct io *io, struct io_stream *stream, struct iovec *pieces, size_t count) {
	(void)io, (void)stream, (void)pieces;
	assert_int_equal(count, 0);
	return false;
}

void __wrap_io_close(struct io *io, struct io_stream *stream);
void __wrap_io_close(struct io *io, struct io_stream *stream) {
	(void)io;
	world.closed[(struct tls_stream *)(void *)stream - streams]++;
}

static int set_up(void **state) {
	(void)state;
	memset(&world, 0, sizeof world);
	world.now_ns = BEGUN_NS;
	streams = calloc(STREAMS, sizeof *streams);
	layer = calloc(1, sizeof *layer);
	if (streams == NULL || layer == NULL) return -1;
	static struct buffers buffers;
	layer->buffers = &buffers;
	layer->handshakes_max = MOST;
	for (uint32_t i = 0; i < STREAMS; i++) {
		streams[i].layer = layer;
		streams[i].stage = STAGE_OPEN;
		streams[i].is_kernels = true;
	}
	return 0;
}

static int tear_down(void **state) {
	(void)state;
	free(streams);
	free(layer);
	return 0;
}

/* Each of the first `count` is closed once, and none behind them. */
static void assert_closed(uint32_t count) {
	for (uint32_t i = 0; i < STREAMS; i++) assert_int_equal(world.closed[i], i < count ? 1 : 0);
}

static void look_after(uint64_t passed_ns) {
	world.now_ns = BEGUN_NS + passed_ns;
	tls_close_look(layer, world.now_ns);
}

static void who_has_room_is_told_the_end_and_closed(void **state) {
	(void)state;
	world.has_room = true;
	tls_close(&streams[0], true);
	assert_closed(1);
	assert_int_equal(world.ends_said, 1);
	assert_int_equal(layer->held_back.count, 0);
}

static void a_close_goes_on_when_there_is_room(void **state) {
	(void)state;
	tls_close(&streams[0], true);
	tls_close_go_on(&streams[0]);
	assert_closed(0);
	assert_int_equal(world.ends_said, 0);
	assert_int_equal(world.released, 1); /* what OpenSSL held, once */
	assert_int_equal(layer->held_back.count, 1);
	world.has_room = true;
	tls_close_go_on(&streams[0]);
	assert_closed(1);
	assert_int_equal(world.ends_said, 1);
	assert_int_equal(layer->held_back.count, 0);
}

/* However often the io tells of some room that is not enough: that is no new wait. */
static void it_waits_for_ten_seconds_at_most(void **state) {
	(void)state;
	tls_close(&streams[0], true);
	for (uint64_t s = 0; s < PATIENCE_S; s++) {
		look_after(s * SECOND_NS);
		tls_close_go_on(&streams[0]);
		assert_closed(0);
	}
	look_after(PATIENCE_S * SECOND_NS - 1);
	assert_closed(0);
	look_after(PATIENCE_S * SECOND_NS);
	assert_closed(1);
	assert_int_equal(layer->held_back.count, 0);
}

static void so_many_wait_and_the_first_goes(void **state) {
	(void)state;
	for (uint32_t i = 0; i < STREAMS; i++) {
		world.now_ns += SECOND_NS / STREAMS;
		tls_close(&streams[i], true);
		assert_true(layer->held_back.count <= MOST);
		assert_closed(i < MOST ? 0 : i + 1 - MOST);
	}
	assert_int_equal(layer->held_back.count, MOST);
}

static void nobody_is_waited_for_while_memory_is_short(void **state) {
	(void)state;
	for (uint32_t i = 0; i < MOST; i++) tls_close(&streams[i], true);
	look_after(1);
	assert_closed(0);
	world.is_short = true;
	look_after(2);
	assert_closed(MOST);
}

/* Those that wait already, and those that come. */
static void none_takes_long_once_the_server_ends(void **state) {
	(void)state;
	tls_close(&streams[0], true);
	tls_close_hurry(layer);
	tls_close(&streams[1], true);
	look_after(HURRY_S * SECOND_NS - 1);
	assert_closed(0);
	look_after(HURRY_S * SECOND_NS);
	assert_closed(2);
}

/* Who can be told nothing, and whose bytes the kernel is being given, are not waited for. */
static void who_is_gone_is_not_waited_for(void **state) {
	(void)state;
	tls_close(&streams[0], false);
	streams[1].is_sending = true;
	tls_close(&streams[1], true);
	assert_closed(2);
	assert_int_equal(layer->held_back.count, 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(who_has_room_is_told_the_end_and_closed),
		TEST(a_close_goes_on_when_there_is_room),
		TEST(it_waits_for_ten_seconds_at_most),
		TEST(so_many_wait_and_the_first_goes),
		TEST(nobody_is_waited_for_while_memory_is_short),
		TEST(none_takes_long_once_the_server_ends),
		TEST(who_is_gone_is_not_waited_for),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
