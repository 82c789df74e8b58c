/* fake_io.h: what stands behind server/io/io.h in tests of the connections: sockets in memory, in one thread, without a clock and without chance.
 *
 *     test: fake_send -> [to_server] -> io_poll: received ---> server ---> io_send -> [sending] -> [answers] -> test reads
 *                                                                              '-- as far as the window goes
 *
 * The test says when something happens, and how: it cuts what is received, opens and shuts the window of what is taken off the server, resets,
 * ends, holds back the news that a stream is closed. Everything that io.h leaves open can be had: sent at once or later, received once more
 * after a pause. And it looks at what io.h asks of the server: no send beside a send, pieces that stay as they are, streams that are closed once.
 *
 * tests/simulate has sockets of its own, where chance decides all that the test decides here. */
#ifndef SNUG_TEST_FAKE_IO_H
#define SNUG_TEST_FAKE_IO_H

#include "server/io/io.h"
#include "support/byte_queue.h"

#define FAKE_SOCKETS_MAX 320u
#define FAKE_UNLIMITED SIZE_MAX

struct fake_socket {
	/* The test sets: */
	size_t window_bytes;  /* as many more are taken off the server; FAKE_UNLIMITED */
	size_t piece_bytes;   /* received at most at a time; FAKE_UNLIMITED */
	bool is_reset;        /* by the client: told at the next poll */
	bool has_ended;       /* the client has sent all he will */
	bool sends_later;     /* a send is never done at once */
	bool receives_once;   /* once more after a pause */
	bool is_closing_late; /* as long as it is set, nobody is told that the stream is closed */
	/* The test looks at: */
	struct byte_queue to_server; /* sent by the client, not received yet */
	struct byte_queue answers;   /* taken off the server */
	size_t placed_bytes;         /* received where the server wanted them */
	uint32_t sends;              /* of the server */
	bool is_closed;              /* by the server, and that was told */
	bool is_paused;
	/* The io's own: */
	struct io_stream *stream; /* NULL: none, or closed */
	struct io_stream *told;   /* closed by the server, to be told */
	bool is_used;
	bool is_sending;
	bool is_late;
	bool end_was_told;
	bool is_broken;
	char *copy; /* of what is being sent */
};

/* What the last io was told that its user has. */
extern uint64_t fake_io_memory_bytes;

/* A new socket, which is nobody's stream yet: its number. */
uint32_t fake_socket_open(void);
struct fake_socket *fake_socket(uint32_t number);
/* Accepts it, as if it had come to a listener. */
void fake_accept(struct io *io, uint32_t number, uint32_t tag);
void fake_send(uint32_t number, const char *bytes, size_t length);
/* All clients are gone, and nothing of what they hold up is held up any more. */
void fake_reset_all(void);
/* A poll of some io would find something: its wait would not wait. */
bool fake_has_news(void);
/* Forgets all sockets, none of which may be a stream. */
void fake_sockets_forget(void);

#endif
