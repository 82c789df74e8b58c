/* server/tls/tls_layer.h: what the files of the layer share: see server/tls/tls_io.h. The files, each
 * above those that it calls:
 *
 *     tls_io.c          the layer as an io: opened, closed, polled
 *     tls_close.c       until the io is to close it
 *     tls_handshake.c   until it is open
 *     tls_receive.c     bytes in
 *     tls_send.c        bytes out
 *     tls_layer.c       lists, and memory
 *
 *     HELLO ---its first record has come as a whole---> HANDSHAKE --> OPEN
 *       |                                                   |          |
 *       '------ no TLS, too late, too many, refused --------'--FAILED--'   `broken` is told
 *     any of them --io_close--> CLOSING: what is to be sent goes, for a while --> `closed` */
#ifndef SNUG_SERVER_TLS_LAYER_H
#define SNUG_SERVER_TLS_LAYER_H

#include "server/io/io_backend.h"
#include "server/tls/tls_io.h"
#include "server/tls/tls_session.h"

/* of records that wait for their handshake's turn: two whole ones */
#define KEPT_BYTES_MAX (2u * (TLS_RECORD_BYTES + TLS_RECORD_HEAD_BYTES))
#define HANDSHAKE_BYTES_MAX 131072u /* of memory, by OpenSSL for one of them */
#define PLAIN_BYTES 32768u          /* of what is decrypted before it is told */
#define RECORDS_BYTES 65536u        /* of what is received at once of a large value */

enum tls_stage { STAGE_HELLO, STAGE_HANDSHAKE, STAGE_OPEN, STAGE_FAILED, STAGE_CLOSING };

struct tls_stream;

/* Doubly linked; the oldest is the first. */
struct tls_list {
	struct tls_stream *first;
	struct tls_stream *last;
	uint32_t count;
};

enum tls_link_kind { LINK_DEADLINE, LINK_PENDING, LINK_KINDS };

struct tls_link {
	struct tls_list *list; /* NULL: on none */
	struct tls_stream *next;
	struct tls_stream *previous;
};

struct tls_stream {
	struct io_stream inner;  /* must be the first: the io's */
	struct io_stream *outer; /* the connection's */
	struct tls_layer *layer;
	struct tls_session session;
	struct tls_link link[LINK_KINDS];
	uint64_t deadline_ns; /* of the handshake, or of the close */
	uint8_t stage;        /* enum tls_stage */
	uint8_t clients;      /* enum tls_clients */
	bool is_told;         /* `broken` was */
	bool is_broken;       /* the io's stream is */
	bool has_ended;       /* the peer's end was told */
	bool has_gone;        /* nothing more comes, while it was handshaking */
	bool is_sending;      /* the io has some of `out` */
	bool is_waited_for;   /* `sent` is to be told */
	bool is_starved;      /* is to be told */
	bool is_kernels;      /* the kernel encrypts: OpenSSL may write no more (tls_kernel.h) */
	bool has_said_end;    /* the kernel has, by close_notify */
	/* records that were not read yet: of a handshake that waits for its turn */
	char *kept;
	uint32_t kept_at;
	uint32_t kept_bytes; /* from kept_at on */
	uint32_t kept_room;
	char *out; /* records on their way out: [out_begin, out_end) */
	uint32_t out_begin;
	uint32_t out_end;
	uint32_t out_sending; /* those before it the io has */
	uint32_t out_room;
	uint32_t out_wanted;        /* as much room the next one is to have */
	const struct iovec *pieces; /* what is to be encrypted: the connection's */
	size_t piece_count;
	size_t piece_offset;  /* of the first */
	uint32_t begun_bytes; /* of them, in a record that OpenSSL has begun and must be given again */
	struct iovec sending;
};

_Static_assert(sizeof(struct tls_stream) <= CONNECTION_BYTES, "it is a cell");

struct tls_layer {
	struct io io; /* must be the first */
	struct io_backend backend;
	struct io *inner;
	struct tls *tls;
	const struct tls_hooks *hooks;
	struct tls_counts *counts;
	struct buffers *buffers;
	uint32_t handshakes_max;
	uint64_t patience_ns;
	struct tls_list handshaking; /* by LINK_DEADLINE, as are the next */
	struct tls_list closing;
	struct tls_list held_back; /* closing as well, when the kernel has room (tls_close.c) */
	struct tls_list pending;   /* to be gone on with in the next poll, by LINK_PENDING */
	bool is_ending;            /* the server is */
	bool lacks_memory;         /* some of these wait for room for their records */
	uint64_t handshake_bytes;  /* by OpenSSL for those that are handshaking */
	uint64_t held_bytes;       /* by OpenSSL for all */
	uint32_t chunks;           /* borrowed for it */
	uint32_t out_bytes;        /* of room for what is encrypted at a time: by --ssl-wbuf-size */
	char gathered[TLS_RECORD_BYTES];
	char plain[PLAIN_BYTES];
	char records[RECORDS_BYTES];
};

static inline struct tls_layer *tls_layer_of(struct io *io) {
	return (struct tls_layer *)(void *)io;
}

/* Of either side's stream. The connection's keeps it where the io's would have its list. */
static inline struct tls_stream *tls_stream_of(const struct io_stream *outer) {
	return (struct tls_stream *)(void *)outer->next;
}
static inline struct tls_stream *tls_stream_of_inner(struct io_stream *inner) {
	return (struct tls_stream *)(void *)inner;
}
static inline bool tls_is_handshaking(const struct tls_stream *stream) {
	return stream->stage == STAGE_HELLO || stream->stage == STAGE_HANDSHAKE;
}

/* tls_layer.c */
void tls_list_put(struct tls_list *list, enum tls_link_kind kind, struct tls_stream *stream);
void tls_list_drop(enum tls_link_kind kind, struct tls_stream *stream);
/* Goes on with it in this poll, or in the next one if none is under way. */
void tls_mark_pending(struct tls_stream *stream);
/* After each call of a session: what it holds by now. Where there is no room for that, it is to be
 * told so. */
void tls_charge(struct tls_stream *stream, int64_t before_bytes);
/* Nothing more comes or goes; `broken` is told in a poll. */
void tls_break(struct tls_stream *stream);
/* Keeps records behind those that are kept. False: no memory, or too many. */
bool tls_keep(struct tls_stream *stream, const char *bytes, size_t length);
void tls_keep_nothing(struct tls_stream *stream);
/* The session's `put`; its context is the stream. */
size_t tls_put(void *context, const char *bytes, size_t length);
void tls_give_out(struct tls_stream *stream);
/* Its session ends, and whatever else it holds goes back. Once more is nothing. */
void tls_release(struct tls_stream *stream);

/* tls_send.c: what is encrypted goes. True: all of it has gone. */
bool tls_flush(struct tls_stream *stream);
/* The same, and encrypts more of the pieces. True: all of them have gone. */
bool tls_pump(struct tls_stream *stream);
/* From now on these are to go. True: they have. */
bool tls_send(struct tls_stream *stream, struct iovec *pieces, size_t count);

/* tls_receive.c: records of one that is open, to bytes, which are told. In a poll. */
void tls_receive(struct tls_stream *stream, const char *bytes, size_t length);
void tls_tell_end(struct tls_stream *stream);
/* Where records are to be received while the connection has room for what they bring: one piece, or
 * none. */
size_t tls_receive_room(struct tls_stream *stream, struct iovec *pieces, size_t most);

/* tls_close.c: of one that is not closing yet. `is_heard`: the peer can still be told. */
void tls_close(struct tls_stream *stream, bool is_heard);
/* The io has sent what it was given, or has room. In a poll. */
void tls_close_go_on(struct tls_stream *stream);
/* Whatever it waits for. */
void tls_close_now(struct tls_stream *stream);
/* Those that have waited for long enough. In a poll. */
void tls_close_look(struct tls_layer *layer, uint64_t now_ns);
/* The server ends: from now on none takes long. */
void tls_close_hurry(struct tls_layer *layer);

/* tls_handshake.c */
void tls_handshake_begin(struct tls_stream *stream);
void tls_handshake_receive(struct tls_stream *stream, const char *bytes, size_t length);
/* Nothing more comes. */
void tls_handshake_end(struct tls_stream *stream);
/* The next step, if what it needs has come. In a poll. */
void tls_handshake_step(struct tls_stream *stream);
/* It ends without success. `count` is another counter that it belongs to, or NULL. */
void tls_handshake_fail(struct tls_stream *stream, const char *why, uint64_t *count);
/* It is over, or the connection is closed. */
void tls_handshake_leave(struct tls_stream *stream);
/* Ends those that are too late. */
void tls_handshake_look(struct tls_layer *layer, uint64_t now_ns);

#endif
