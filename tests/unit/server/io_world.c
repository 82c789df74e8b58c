/* io_world.c: see io_world.h. */
#include "unit/server/io_world.h"

#include "os/threads.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#define TURN_WAIT_NS UINT64_C(1000000)
#define BACKLOG 1024

/* ------------------------------------------------------------------ links ------------------ */

static struct link *link_of(struct io_stream *stream) {
	return (struct link *)(void *)stream;
}

bool link_send(struct link *link, const char *bytes, size_t length, size_t count) {
	assert_false(link->is_sending);
	assert_in_range(count, 1, IO_PIECES_MAX);
	for (size_t i = 0; i < count; i++) {
		size_t from = length * i / count, to = length * (i + 1) / count;
		link->pieces[i] = (struct iovec){(char *)(uintptr_t)bytes + from, to - from};
	}
	link->is_sending = true;
	if (io_send(link->world->io, &link->stream, link->pieces, count)) link->is_sending = false;
	return !link->is_sending;
}

void link_close(struct link *link) {
	link->is_closing = true;
	io_close(link->world->io, &link->stream);
}

static void echo(struct link *link) {
	while (!link->is_sending && link->got_bytes > 0) {
		size_t length = link->got_bytes;
		free(link->out);
		link->out = link->got;
		link->got = NULL;
		link->got_bytes = link->got_room = 0;
		(void)link_send(link, link->out, length, 1 + length % 7);
	}
	if (!link->is_sending && link->ended > 0 && !link->is_closing) link_close(link);
}

void link_offer_room(struct link *link, char *room, size_t bytes) {
	link->room = room;
	link->room_bytes = bytes;
	link->room_used = 0;
	io_offer_room(&link->stream);
}

static void keep(struct link *link, const char *bytes, size_t length) {
	size_t left = link->room_bytes - link->room_used, part = length < left ? length : left;
	if (part > 0) memcpy(link->room + link->room_used, bytes, part);
	link->room_used += part;
	bytes += part;
	length -= part;
	if (length == 0) return;
	if (link->got_room - link->got_bytes < length) {
		link->got_room = (link->got_bytes + length) * 2;
		link->got = realloc(link->got, link->got_room);
		assert_non_null(link->got);
	}
	memcpy(link->got + link->got_bytes, bytes, length);
	link->got_bytes += length;
}

/* ------------------------------------------------------------------ callbacks -------------- */

static void on_accepted(void *context, uint32_t tag, int fd) {
	struct world *world = context;
	struct link *link = calloc(1, sizeof *link);
	assert_non_null(link);
	link->world = world;
	link->conduct = world->conduct;
	link->next = world->first;
	if (link->next != NULL) link->next->previous = link;
	world->first = link;
	world->accepted++;
	world->accepted_tag = tag;
	assert_true(io_open(world->io, &link->stream, fd));
}

static void on_received(void *context, struct io_stream *stream, const char *bytes, size_t length) {
	struct link *link = link_of(stream);
	assert_ptr_equal(context, link->world);
	assert_int_equal(link->ended, 0);
	assert_int_equal(link->broken, 0);
	assert_false(link->is_closing);
	link->received++;
	if (link->coming != NULL) {
		assert_ptr_equal(bytes, link->coming);
		assert_int_equal(length, link->coming_bytes);
	}
	link->coming = NULL;
	if (length == 0)
		link->ended++;
	else
		keep(link, bytes, length);
	if (link->conduct == CONDUCT_ECHO) echo(link);
	if (link->conduct == CONDUCT_CLOSE) link_close(link);
	if (link->conduct == CONDUCT_PAUSE) io_pause(link->world->io, stream);
}

static void on_sent(void *context, struct io_stream *stream) {
	struct link *link = link_of(stream);
	assert_ptr_equal(context, link->world);
	assert_true(link->is_sending);
	assert_int_equal(link->broken, 0);
	assert_false(link->is_closing);
	link->is_sending = false;
	link->sent++;
	if (link->conduct == CONDUCT_ECHO) echo(link);
	if (link->closes_when_sent) link_close(link);
}

static void on_sent_part(void *context, struct io_stream *stream) {
	struct link *link = link_of(stream);
	assert_ptr_equal(context, link->world);
	assert_true(link->is_sending);
	assert_int_equal(link->broken, 0);
	assert_false(link->is_closing);
	link->parts++;
	if (link->closes_at_part) link_close(link);
}

static void on_broken(void *context, struct io_stream *stream) {
	struct world *world = context;
	struct link *link = link_of(stream);
	assert_int_equal(link->broken, 0);
	assert_false(link->is_closing);
	link->broken++;
	world->broken++;
	if (link->conduct != CONDUCT_KEEP && !link->is_closing) link_close(link);
}

static void on_closed(void *context, struct io_stream *stream) {
	struct world *world = context;
	struct link *link = link_of(stream);
	assert_true(link->is_closing);
	if (link->next != NULL) link->next->previous = link->previous;
	if (link->previous != NULL)
		link->previous->next = link->next;
	else
		world->first = link->next;
	world->closed++;
	free(link->got);
	free(link->out);
	memset(link, 0xA5, sizeof *link);
	free(link);
}

/* Several pieces of one stream may come: the first is looked at. */
static void on_coming(void *context, const struct io_coming *coming, size_t count) {
	struct world *world = context;
	assert_in_range(count, 2, IO_COMING_MAX);
	for (size_t i = 0; i < count; i++) {
		struct link *link = link_of(coming[i].stream);
		assert_true(coming[i].length > 0);
		world->coming++;
		if (link->coming != NULL) continue;
		link->coming = coming[i].bytes;
		link->coming_bytes = coming[i].length;
	}
}

/* Three pieces, or fewer. */
static size_t on_room(void *context, struct io_stream *stream, struct iovec *pieces, size_t most) {
	const struct link *link = link_of(stream);
	size_t left = link->room_bytes - link->room_used, count = 0;
	assert_ptr_equal(context, link->world);
	assert_true(most >= 3);
	for (size_t at = 0; at < left; count++) {
		size_t part = count == 2 ? left - at : left / 3 + 1;
		if (part > left - at) part = left - at;
		pieces[count] = (struct iovec){link->room + link->room_used + at, part};
		at += part;
	}
	return count;
}

static void on_placed(void *context, struct io_stream *stream, size_t length) {
	struct link *link = link_of(stream);
	assert_ptr_equal(context, link->world);
	assert_true(length > 0 && length <= link->room_bytes - link->room_used);
	assert_true(link->ended == 0 && link->broken == 0 && !link->is_closing);
	assert_null(link->coming);
	link->room_used += length;
	link->placed_bytes += length;
	if (link->conduct == CONDUCT_CLOSE) link_close(link);
	if (link->conduct == CONDUCT_PAUSE) io_pause(link->world->io, stream);
}

static const struct io_events events = {on_accepted, on_received, on_sent, on_sent_part, on_broken,
										on_closed,   on_coming,   on_room, on_placed};

/* ------------------------------------------------------------------ world ------------------ */

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_un local;
};

static socklen_t address_of(const struct world *world, enum family family, union address *address) {
	memset(address, 0, sizeof *address);
	switch (family) {
	case FAMILY_V4:
		address->v4 =
			(struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
		return sizeof address->v4;
	case FAMILY_V6:
		address->v6 =
			(struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
		return sizeof address->v6;
	default:
		address->local.sun_family = AF_UNIX;
		(void)snprintf(address->local.sun_path, sizeof address->local.sun_path, "%s", world->path);
		return sizeof address->local;
	}
}

static int open_listener(const struct world *world, enum family family) {
	union address address;
	socklen_t length = address_of(world, family, &address);
	int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd >= 0 && bind(fd, &address.any, length) == 0 && listen(fd, BACKLOG) == 0) return fd;
	if (fd >= 0) close(fd);
	return -1;
}

int world_begin(void **state) {
	struct world *world = calloc(1, sizeof *world);
	if (world == NULL) return -1;
	uintptr_t wanted = (uintptr_t)*state;
	uint64_t memory_bytes = (wanted & LITTLE_MEMORY) != 0 ? 1u << 20 : 0;
	world->kind = (enum io_kind)(wanted & ~(uintptr_t)LITTLE_MEMORY);
	*state = world;
	snug_error error = io_create(world->kind, memory_bytes, &events, world, &world->io);
	if (error && world->kind == IO_URING) {
		world->io = NULL;
		print_message("io_uring is not to be had here (%s): skipped\n", snug_error_text(error));
		return 0;
	}
	if (error) return -1;
	(void)snprintf(world->directory, sizeof world->directory, "/tmp/snug-io-XXXXXX");
	if (mkdtemp(world->directory) == NULL) return -1;
	(void)snprintf(world->path, sizeof world->path, "%s/socket", world->directory);
	for (uint32_t family = 0; family < FAMILY_COUNT; family++) {
		world->listener[family] = open_listener(world, (enum family)family);
		if (world->listener[family] >= 0 && !io_listen(world->io, world->listener[family], family))
			return -1;
	}
	return world->listener[FAMILY_V4] >= 0 && world->listener[FAMILY_UNIX] >= 0 ? 0 : -1;
}

struct world *world_of(void **state) {
	struct world *world = *state;
	if (world->io == NULL) skip();
	return world;
}

static void close_open_ones(struct world *world) {
	for (struct link *link = world->first; link != NULL; link = link->next)
		if (!link->is_closing) link_close(link);
}

/* Each turn may accept another that waited in a listener's queue. */
void world_close_all(struct world *world) {
	UNTIL(world, (close_open_ones(world), world->first == NULL));
}

int world_end(void **state) {
	struct world *world = *state;
	if (world->io != NULL) {
		world_close_all(world);
		io_destroy(world->io);
		for (uint32_t family = 0; family < FAMILY_COUNT; family++)
			if (world->listener[family] >= 0) close(world->listener[family]);
		unlink(world->path);
		rmdir(world->directory);
	}
	free(world);
	return 0;
}

void drive(struct world *world) {
	world->turns++;
	if (!io_poll(world->io)) io_wait(world->io, TURN_WAIT_NS);
}

void drive_for(struct world *world, uint64_t duration_ns) {
	uint64_t until_ns = os_deadline_ns(duration_ns);
	while (os_remaining_ns(until_ns) > 0) {
		world->turns++;
		if (!io_poll(world->io)) io_wait(world->io, os_remaining_ns(until_ns));
	}
}

/* ------------------------------------------------------------------ clients ---------------- */

int client_begin(const struct world *world, enum family family) {
	union address address;
	socklen_t length = sizeof address;
	int fd = socket(family == FAMILY_UNIX ? AF_UNIX
					: family == FAMILY_V6 ? AF_INET6
										  : AF_INET,
					SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(getsockname(world->listener[family], &address.any, &length), 0);
	int result = connect(fd, &address.any, length);
	if (result != 0 && errno != EINPROGRESS) fail_msg("connect: %s", strerror(errno));
	return fd;
}

int client_connect(struct world *world, enum family family) {
	int client = client_begin(world, family);
	struct pollfd poll_client = {.fd = client, .events = POLLOUT};
	UNTIL(world, poll(&poll_client, 1, 0) == 1);
	return client;
}

int client_open(struct world *world, enum family family, struct link **link) {
	uint32_t before = world->accepted;
	int client = client_connect(world, family);
	UNTIL(world, world->accepted > before);
	if (link != NULL) *link = world->first;
	return client;
}

void client_write(struct world *world, int client, const char *bytes, size_t length) {
	for (size_t at = 0; at < length;) {
		ssize_t written = 0;
		UNTIL(world, (written = send(client, bytes + at, length - at, MSG_NOSIGNAL)) >= 0 ||
						 errno != EAGAIN);
		if (written < 0) fail_msg("send: %s", strerror(errno));
		at += (size_t)written;
	}
}

void client_read(struct world *world, int client, char *bytes, size_t length) {
	for (size_t at = 0; at < length;) {
		ssize_t got = 0;
		UNTIL(world, (got = recv(client, bytes + at, length - at, 0)) >= 0 || errno != EAGAIN);
		if (got <= 0)
			fail_msg("after %zu of %zu bytes: %s", at, length,
					 got < 0 ? strerror(errno) : "the end");
		at += (size_t)got;
	}
}

void client_expect_end(struct world *world, int client) {
	char bytes[4096];
	ssize_t got = 1;
	while (got > 0)
		UNTIL(world, (got = recv(client, bytes, sizeof bytes, 0)) >= 0 || errno != EAGAIN);
}

void client_reset(int client) {
	struct linger linger = {.l_onoff = 1, .l_linger = 0};
	assert_int_equal(setsockopt(client, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
	close(client);
}

void fill_pattern(char *bytes, size_t length, uint32_t seed) {
	uint32_t word = seed * 2654435761u + 1;
	for (size_t i = 0; i < length; i++) {
		word = word * 1664525u + 1013904223u;
		bytes[i] = (char)(word >> 24);
	}
}
