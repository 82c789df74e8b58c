/* io_world.h: an io with listeners of each family, and clients of it in the same thread: what the
 * tests of sockets share.
 *
 * A link is the server's side of a connection. Its memory is freed in `closed`, so that whoever
 * touches it later is caught by AddressSanitizer; the callbacks themselves check what io.h promises
 * of their order. */
#ifndef SNUG_TEST_IO_WORLD_H
#define SNUG_TEST_IO_WORLD_H

#include "server/io/io.h"
#include "unit/cmocka_all.h"

#include <stdbool.h>

enum family { FAMILY_V4, FAMILY_V6, FAMILY_UNIX, FAMILY_COUNT };

/* What a link does with what it gets. */
enum conduct {
	CONDUCT_KEEP, /* keeps it */
	/* sends it back, in several pieces, and closes when the peer has ended and all is sent */
	CONDUCT_ECHO,
	CONDUCT_CLOSE, /* closes within the callback */
	CONDUCT_PAUSE, /* keeps it, and pauses within the callback */
};

struct world;

struct link {
	struct io_stream stream; /* must be the first */
	struct world *world;
	struct link *next;
	struct link *previous;
	enum conduct conduct;
	char *got; /* what was received, and not echoed yet */
	size_t got_bytes;
	size_t got_room;
	char *out; /* what is being echoed */
	struct iovec pieces[IO_PIECES_MAX];
	char *room; /* the test's: offered to the io, and filled by whatever comes next */
	size_t room_bytes;
	size_t room_used;
	size_t placed_bytes; /* of those, by the io itself */
	const char *coming;  /* what was said to come next; NULL: nothing */
	size_t coming_bytes;
	uint32_t received; /* callbacks */
	uint32_t sent;
	uint32_t parts; /* of sends, that have gone */
	uint32_t ended;
	uint32_t broken;
	bool is_sending;
	bool is_closing;
	bool closes_when_sent;
	bool closes_at_part;
};

struct world {
	enum io_kind kind;
	struct io *io;
	int listener[FAMILY_COUNT]; /* -1: the machine has no such addresses */
	char directory[32];         /* of the unix socket */
	char path[64];
	struct link *first;
	enum conduct conduct; /* of links to come */
	uint32_t accepted;
	uint32_t accepted_tag; /* the last one's */
	uint32_t closed;
	uint32_t broken;
	uint32_t coming; /* streams of which was said that something comes */
	uint32_t turns;  /* polls that drive() has made */
};

/* Set-up and teardown of each case; the state before is the kind. Where the kernel has no io_uring
 * its cases are skipped, and say why. */
int world_begin(void **state);
int world_end(void **state);
/* The case's world; skips the case where it is not to be had. */
struct world *world_of(void **state);
/* The streams' end, with the io itself; for cases that look at what is left. */
void world_close_all(struct world *world);

/* A case for each kind. */
#define FOR_BOTH(test)                                                                 \
	{#test " (epoll)", test, world_begin, world_end, (void *)(uintptr_t)IO_EPOLL}, {   \
#test " (io_uring)", test, world_begin, world_end, (void *)(uintptr_t)IO_URING \
	}

/* Over io_uring, with so much memory as a small worker has. */
#define FOR_LITTLE_MEMORY(test)                                           \
	{                                                                     \
#test " (io_uring, little memory)", test, world_begin, world_end, \
			(void *)(uintptr_t)(IO_URING | LITTLE_MEMORY)                 \
	}
#define LITTLE_MEMORY 256u

/* One turn of a worker: polls, and waits a little when there was nothing. */
void drive(struct world *world);
void drive_for(struct world *world, uint64_t duration_ns);

#define PATIENCE_NS UINT64_C(120000000000)
/* Turns until `condition`; fails if it does not come true. */
#define UNTIL(world, condition)                                               \
	do {                                                                      \
		uint64_t until_ns = os_deadline_ns(PATIENCE_NS);                      \
		while (!(condition)) {                                                \
			drive(world);                                                     \
			if (os_remaining_ns(until_ns) == 0)                               \
				fail_msg("%s:%d: never: %s", __FILE__, __LINE__, #condition); \
		}                                                                     \
	} while (0)

/* A non-blocking client, connected; its link is the newest of the world. */
int client_connect(struct world *world, enum family family);
/* The same, and waits until it was accepted. */
int client_open(struct world *world, enum family family, struct link **link);
/* Begins to connect and does not wait: for listeners of others than the world's io. */
int client_begin(const struct world *world, enum family family);
/* Turns of the world go on while it waits for room or for bytes. */
void client_write(struct world *world, int client, const char *bytes, size_t length);
void client_read(struct world *world, int client, char *bytes, size_t length);
/* Reads whatever comes until the end; a reset counts too. */
void client_expect_end(struct world *world, int client);
/* Closes with a reset. */
void client_reset(int client);

/* What a link sends by itself: `length` bytes in `count` pieces, which stay until sent. True: all
 * gone at once. */
bool link_send(struct link *link, const char *bytes, size_t length, size_t count);
void link_close(struct link *link);
/* The next bytes belong there, and then to `got` again. */
void link_offer_room(struct link *link, char *room, size_t bytes);

/* Bytes of which each is different from its neighbours, and from those of another seed. */
void fill_pattern(char *bytes, size_t length, uint32_t seed);

#endif
