/* server/connection/connection.h: one client: what has come and is no whole command yet, what goes
 * out, and what waits for others.
 *
 *     input    the bytes of an unfinished command, or a large value on its way into a leased item
 *              (the sink)
 *     answers  records, in the order of the commands: answers that are not there yet, and those
 *              behind them
 *     output   blocks of bytes and leased values, in order, on their way out
 *
 *     received -> commands -> own key, nothing is waited for: executed, answered into the output
 *                          -> own key, some are waited for: executed, the answer waits in a record
 *                          -> another worker's key: read where it lies, if that is all
 *                                                   else a record, and a request to the owner
 *
 * The room, each file above those that it calls:
 *
 *     connection_relief    memory is short: who goes on first, and who pays
 *     connection_return    a request has come back
 *     connection_life      begin, and what is dropped at the end
 *     connection_input     bytes in: what is taken at once, and what is kept
 *     connection_peek      what many connections have sent is looked up at once
 *     connection_commands  bytes to commands, in batches, and what is done about each
 *     connection_sink      a large value in
 *     connection_read      other workers' keys that this one reads
 *     connection_errands   what needs all workers, or the coordinator
 *     connection_answers   the order of the answers; executing
 *     connection_output    bytes out
 *     connection_record    who owns a record
 *     connection_outbox    requests to the owners of keys
 *     connection_marks     dirty, blocked, held, closing; and the end: connection_reap
 *     connection_describe  `stats conns`, `snug clients`; how long commands took
 *
 * A connection that has much to send, or for which there is no record, is blocked: it parses
 * nothing and is not received from. So its memory is bounded: OUTPUT_BYTES_MAX and an answer, its
 * records, an unfinished command. All of them together are bounded by the worker's connection
 * memory (buffers.h). When that is short they wait; when the wait lasts, the one that holds most is
 * closed, and the others go on. The items that it holds are bounded, too: LEASED_BYTES_MAX and two
 * values; all of them together, by the shards (cache/shard/shard_lease.c).
 *
 * Who closes it only says so; it goes when the io has let go of it and the last request of its own
 * has come back. */
#ifndef SNUG_SERVER_CONNECTION_H
#define SNUG_SERVER_CONNECTION_H

#include "base/assert.h"
#include "cache/client/upkeep.h"
#include "cache/operation/request.h"
#include "cache/shard/shard_hints.h"
#include "cache/shard/shard_read.h"
#include "os/threads.h"
#include "server/buffers/buffers.h"
#include "server/errand/errand.h"
#include "server/errand/errand_clients.h"
#include "server/figures/hot_keys.h"
#include "server/io/io.h"
#include "server/process/listeners.h"
#include "server/protocol/protocol.h"
#include "server/server.h"
#include "server/tls/tls_io.h"
#include "server/watch/watch_lines.h"
#include "work/channel/holding.h"

#define OUTPUT_BYTES_MAX 65536u /* then nothing more is parsed until some has gone */
#define RECORDS_MAX 256u        /* of one connection; the same */
/* The same, of values that are sent from where they lie, as long as all connections of the worker hold
 * less than this share of its memory of them; beyond that OUTPUT_BYTES_MAX. */
#define LEASED_BYTES_MAX 524288u
#define LEASED_SHARE 8u
#define COPY_BYTES_MAX 8192u /* larger values are sent from where they lie */
/* larger values are received into where they will lie, if they do not come at once */
#define DIRECT_BYTES_MAX 16384u
#define PIECES 7u                 /* of one send */
#define LEASE_PIECES 64u          /* of one with a leased value: */
#define LEASE_SEND_BYTES 1048576u /* then it takes no more pieces, so that no turn is long */

/* ------------------------------------------------------------------ what goes out ---------- */

/* Part of the output: a block, or a record that holds a lease. */
struct out {
	struct out *next;
	bool is_lease;
};

struct block {
	struct out out;
	uint32_t begin; /* the bytes [begin, end) are to go */
	uint32_t end;
	uint32_t sending; /* those before it are being sent */
	char bytes[];
};

#define BLOCK_ROOM (BLOCK_BYTES - (uint32_t)sizeof(struct block))

/* ------------------------------------------------------------------ what is waited for ----- */

/* Who has it, and hands it on or ends it. The table of all that can become of it is in
 * connection_record.c. */
enum record_owner {
	RECORD_HELD,    /* the function at work, which hands it on before it returns */
	RECORD_ANSWERS, /* the connection's answers */
	RECORD_SINK,    /* the connection's sink: its lease is being filled */
	RECORD_OUTPUT,  /* the connection's output: its lease is being sent */
	RECORD_LEAVING, /* nobody: it ends when it is back */
};

/* What an answer says. */
enum record_says {
	SAYS_OPERATION, /* a command's, executed by the owner of the key */
	SAYS_TEXT,      /* `text`, and then a lease, if there is one */
	SAYS_ERRAND,    /* an errand's */
};

#define RECORD_ROOM 3072u

/* In the order of use, since what another worker has looked at is dear to write again: two lines
 * that all records have; the request, of which a plain store or delete uses two; what few have; the
 * bytes. So a small store writes four lines, and those of its key and value. */
struct record {
	struct out out; /* must be the first: see struct out */
	struct connection *connection;
	struct record *next;      /* in the answers */
	struct record *next_away; /* in the outbox */
	struct errand *errand;
	uint64_t list;     /* the list of keys that it is part of, or begins with; 0: none */
	uint64_t asked_ns; /* its latency counts from then; 0: it is not measured */
	struct reply reply;
	uint8_t owner;                       /* enum record_owner; record_pass */
	uint8_t says;                        /* enum record_says */
	bool is_away;                        /* the request is lent to the key's owner */
	bool is_ready;                       /* can be said */
	bool is_mute;                        /* nothing is said */
	uint8_t tail_bytes;                  /* OUTPUT: what is to go behind the value */
	uint32_t text_bytes;                 /* TEXT: of it; OUTPUT: of a head that has not gone */
	uint32_t list_bytes;                 /* SAYS_TEXT: so many of the first ones are of `list` */
	_Alignas(64) struct request request; /* its lines go to the owner and back */
	uint32_t lease_offset; /* OUTPUT: what of the value has been sent; SINK: what has been filled */
	uint32_t window_at;    /* the window's extent that comes next */
	uint32_t window_used;  /* SINK: how much of it is filled */
	uint32_t sending_bytes; /* OUTPUT: with head and tail */
	uint32_t errand_worker; /* to be visited next */
	struct record *next_errand;
	/* what the reply and the operation refer to, then room for the value or the text; OUTPUT: the
	 * value's head, its tail, the pieces of a send */
	_Alignas(64) char bytes[RECORD_ROOM];
	snug_extent window[REQUEST_EXTENTS];
};

_Static_assert(offsetof(struct record, request) == 128, "what all records have is two lines");
_Static_assert(offsetof(struct record, bytes) == 448, "connection_memory.c fetches its lines");
_Static_assert(sizeof(struct record) <= RECORD_BYTES, "a record is a cell");
_Static_assert(LEASE_PIECES <= IO_PIECES_MAX, "a send takes them");

/* Where the pieces, and before them the tail, stand in the record of a leased value. */
#define LEASE_PIECES_AT (RECORD_ROOM - LEASE_PIECES * (uint32_t)sizeof(struct iovec))
#define LEASE_TAIL_AT (LEASE_PIECES_AT - ANSWER_TAIL_BYTES)
_Static_assert(LEASE_PIECES_AT % _Alignof(struct iovec) == 0, "pieces are aligned");
_Static_assert(ANSWER_BYTES_MAX + ANSWER_TAIL_BYTES <= LEASE_TAIL_AT, "any head fits before them");

#define READ_BYTES_MAX 4096u /* of another's value: larger ones are leased */
_Static_assert(READ_BYTES_MAX >= RECORD_ROOM, "what waits in a record was read as a whole");

/* ------------------------------------------------------------------ a connection ----------- */

enum connection_input_state {
	INPUT_COMMANDS,
	INPUT_SKIP, /* skip_bytes that are not looked at */
	INPUT_WAIT, /* for a lease, or its next window */
	INPUT_FILL, /* the lease, and the line's end behind it */
	/* nothing is parsed until it is answered: what it does to all workers must not overtake, or be
	 * overtaken */
	INPUT_ERRAND,
	INPUT_OVER, /* nothing is parsed any more; closes when all is said */
};

struct connection {
	struct io_stream stream; /* must be the first */
	struct server_worker *worker;
	struct connection *next; /* all of the worker's */
	struct connection *previous;
	struct connection *next_dirty;
	struct connection *next_blocked;
	uint32_t last_active_s;
	uint32_t turn_number; /* whose share that is: */
	uint32_t turn_keys;
	uint32_t begun_s; /* by the same clock as last_active_s */
	/* when a send began, or some of it has gone; or, while none is under way, when bytes came */
	uint64_t progress_ns;
	uint8_t input_state; /* enum connection_input_state */
	bool is_open;        /* the io knows it */
	bool is_closing;     /* nothing is said or heard any more */
	bool is_sending;
	bool is_paused;
	/* parses nothing until some of what it has asked was answered and sent, or until its next
	 * turn */
	bool is_held;
	bool is_dirty;    /* on the list of those with something to send */
	bool is_blocked;  /* on the list of those that wait for records */
	bool has_ended;   /* the peer has sent all it will */
	bool is_listing;  /* what is being carried out is of a list of keys */
	bool is_answered; /* something was sent to it */
	bool is_known;    /* has asked again after that, with nothing under way: it takes its answers */
	struct admission admission;
	bool line_end_is_bad;   /* INPUT_FILL: something else than line_end_bytes of "\r\n" came */
	bool has_failed;        /* what it sent was no command at all */
	uint8_t close_reason;   /* enum close_reason */
	uint8_t line_end_bytes; /* INPUT_FILL: of "\r\n", that came */
	uint16_t away;          /* requests, at most RECORDS_MAX */
	uint16_t user;          /* auth_user_number */
	uint64_t lists;         /* of keys, that have ended; see connection_commands_so_far */
	/* connection_list(): an error was said in place of what was left of it; 0: of none */
	uint64_t failed_list;
	uint64_t refused_list; /* the same, but the error waits in a text for those before it */
	struct parser parser;
	uint64_t skip_bytes;
	char *input;       /* the unfinished command, and what came behind it */
	uint32_t input_at; /* where it begins; before it lies what has been taken */
	uint32_t input_bytes;
	uint32_t input_room;
	uint32_t singles; /* commands that were no list; comes round */
	struct record *sink;
	uint32_t number;       /* of all that this worker has had, from 1 on; comes round */
	uint32_t records;      /* that belong to it */
	uint32_t blocks;       /* of output */
	uint32_t output_bytes; /* queued; a leased value is as many as the smallest of them */
	uint64_t leased_bytes; /* queued, of leased values */
	struct record *first_answer;
	struct record *last_answer;
	struct out *first_out;
	struct out *last_out;
	struct iovec pieces[PIECES];
};

_Static_assert(sizeof(struct connection) <= CONNECTION_BYTES, "a connection is a cell");

/* The list of keys that is being carried out; 0: none is. */
static inline uint64_t connection_list(const struct connection *connection) {
	return connection->is_listing ? connection->lists + 1 : 0;
}

/* One more of what is no list. Lists only need numbers that none of them has had before, so theirs
 * keep what is too much for the other counter. */
static inline void connection_count_single(struct connection *connection) {
	if (__builtin_expect(++connection->singles == 0, false)) connection->lists += UINT64_C(1) << 32;
}

static inline uint64_t connection_commands_so_far(const struct connection *connection) {
	return connection->lists + connection->singles;
}

/* ------------------------------------------------------------------ a worker's turn -------- */

#define BATCH_COMMANDS 32u
#define AWAY_SLOTS 512u

/* What is to be sent to a worker, through next_away. */
struct outbox {
	struct record *first;
	struct record *last;
	struct hold hold; /* while the worker sleeps */
};

/* Keys of requests that are away, and whose: those that meet in one place of a table. */
struct away_keys {
	uint16_t count;
	uint16_t tags; /* of all of them, one against the other: the tag itself, if there is one */
};

/* What a worker has besides: server_worker.c's, and what the files of connections share. */
struct turn {
	struct buffers buffers;
	struct upkeep upkeep;
	struct io *io;
	struct channel *replies; /* others send, the worker receives */
	struct connection *dirty;
	struct connection *blocked;
	uint32_t number;         /* of the turn; comes round */
	uint64_t began_ns;       /* the turn */
	uint64_t short_since_ns; /* memory is short since then; 0: it is not */
	uint64_t relief_ns;      /* nobody is closed for it before then */
	bool holds_input;        /* nothing is received */
	bool relieves;           /* connections are being closed for it, some in each turn: a round */
	bool has_relieved;       /* one round at least since it is short */
	struct record *errands;  /* that are not ready yet, through next_errand */
	/* the own worker's to go on with, through next_away; and the last one */
	struct record *unfinished;
	struct record *unfinished_last;
	struct outbox *outbox;  /* one for each worker */
	struct hearing hearing; /* whose bytes came */
	uint32_t away;          /* requests out */
	/* of them, by the key's hash and the connection's number: connection_away_keys */
	struct away_keys away_keys[AWAY_SLOTS];
	uint32_t rooms_away;      /* of them, for room for a value, or its next window */
	uint64_t leased_bytes;    /* queued, of all connections */
	uint32_t now_s;           /* by a clock that nobody sets, at the beginning of the turn */
	uint64_t end_deadline_ns; /* when clients that do not take their answers are cut off */
	uint32_t unmeasured;      /* commands since the last one whose latency was measured */
	uint64_t asked_ns;        /* the turn's begin, while one is carried out that is; else 0 */
	bool watches_inbox;
	bool is_listening;
	bool is_ending;  /* accepts and receives nothing more */
	bool is_drained; /* has told so */
	struct command batch[BATCH_COMMANDS];
	char decoded[BATCH_COMMANDS][DECODED_KEY_BYTES];
	struct hint_lots lots;
	char read_value[READ_BYTES_MAX]; /* of another's item */
	size_t bytes;                    /* of this struct, with its slots */
	struct hot_keys hot_keys;
	struct top_slot hot_slots[];
};

static inline struct turn *turn_of(const struct connection *connection) {
	return connection->worker->turn;
}

/* By bits of the hash that do not choose the owner: the place is of the low ones, the tag of the
 * high ones. */
static inline uint32_t connection_away_name(const struct connection *connection, uint64_t hash) {
	return (uint32_t)(hash >> 32) ^ connection->number * UINT32_C(0x9E3779B1);
}

#define AWAY_TAG_SHIFT 16

/* A request of this connection may be away for this key: connection_outbox.c. */
static inline bool connection_is_away(const struct connection *connection, uint64_t hash) {
	if (connection->away == 0) return false;
	uint32_t name = connection_away_name(connection, hash);
	const struct away_keys *keys = &turn_of(connection)->away_keys[name % AWAY_SLOTS];
	return keys->count > 1 || (keys->count == 1 && keys->tags == name >> AWAY_TAG_SHIFT);
}

/* that an answer takes besides at most */
#define ANSWER_BLOCKS 2u

/* The reserve is for what is needed to end what was begun: the first blocks for answers that come
 * back. No new command begins on it. The last half of it is for new connections and for input:
 * connection_input.c's input_right. */
static inline enum cell_right connection_right(bool ends_what_was_begun) {
	return ends_what_was_begun ? CELLS_RESERVED : CELLS_SHARED;
}

static inline uint64_t connection_id(const struct connection *connection) {
	const struct server_worker *worker = connection->worker;
	return client_id(connection->number, worker->index, worker->server->worker_count);
}

/* Of the worker's connection memory. */
static inline uint64_t connection_held_bytes(const struct connection *connection) {
	return (uint64_t)connection->records * RECORD_BYTES +
		   (uint64_t)connection->blocks * BLOCK_BYTES + connection->input_room + CONNECTION_BYTES +
		   (tls_io_is_secured(&connection->stream) ? tls_io_held_bytes(&connection->stream) : 0);
}

/* He has asked, and waits for us: for an answer, for memory, for his next turn, for room for a
 * value. */
static inline bool connection_is_owed(const struct connection *connection) {
	return connection->first_answer != NULL || connection->is_blocked || connection->is_held ||
		   connection->is_paused || connection->input_state == INPUT_WAIT;
}

/* connection_life.c: begins to serve a socket that was accepted; closes it if that can't be. `tag`:
 * listener_tag. */
void connection_begin(struct server_worker *worker, int fd, uint32_t tag);
/* It is secured, and the client has proved a certificate with this name; a length of 0: none. */
void connection_certified(struct connection *connection, const char *name, size_t length);
/* connection_marks.c: ends it. It is there until the io has let go of it, in a later turn. */
void connection_close(struct connection *connection);
/* The same, because there is no memory for what it asks; counted. */
void connection_close_for_memory(struct connection *connection);
/* connection_input.c: what the io says. */
void connection_received(struct connection *connection, const char *bytes, size_t length);
/* So many came to where sink_room said. */
void connection_placed(struct connection *connection, size_t length);
/* connection_peek.c: this is what comes next, of these connections: only to be looked at. */
void connections_peek(struct server_worker *worker, const struct io_coming *coming, size_t count);
/* connection_output.c */
void connection_sent(struct connection *connection);
/* Some of what is being sent has gone: it takes its answers, however slowly. */
void connection_sent_part(struct connection *connection);
/* connection_life.c */
void connection_closed(struct connection *connection);
/* connection_marks.c: frees it if nothing refers to it any more. */
void connection_reap(struct connection *connection);
/* connection_input.c: whether anything is received at all, by what is left of the memory. */
void connection_hold_input(struct turn *turn);
/* Goes on with what was received and held back. */
void connection_resume(struct connection *connection);
/* What is kept goes nowhere. */
void input_drop(struct connection *connection);

/* A connection's share of a turn: settings.turn_commands, of which each counts for as many keys of
 * a list. Bytes have none: to keep them costs as much as to take them, and the io hands out a
 * bounded amount of them in one turn. */
#define TURN_KEYS 8u

static inline void connection_renew_share(struct connection *connection) {
	connection->turn_number = turn_of(connection)->number;
	connection->turn_keys = connection->worker->server->settings.turn_commands * TURN_KEYS;
}

/* Whether it may have more carried out in this turn. */
static inline bool connection_has_share(struct connection *connection) {
	if (connection->turn_number != turn_of(connection)->number) connection_renew_share(connection);
	return connection->turn_keys > 0;
}

/* connection_marks.c: its share is used up: it goes on in the next turn, after the others. */
void connection_yield(struct connection *connection);

/* Nothing more is queued where this is false. */
static inline bool connection_takes_answers(const struct connection *connection) {
	const struct server_worker *worker = connection->worker;
	if (connection->output_bytes >= OUTPUT_BYTES_MAX) return false;
	return connection->leased_bytes < OUTPUT_BYTES_MAX ||
		   (connection->leased_bytes < LEASED_BYTES_MAX &&
			worker->turn->leased_bytes < worker->limit_bytes / LEASED_SHARE);
}

/* Nothing more is parsed where this is false. */
static inline bool connection_has_room(const struct connection *connection) {
	return connection_takes_answers(connection) && connection->records < RECORDS_MAX;
}
/* It has something to send, or may go on, or may have come to its end. */
void connection_mark_dirty(struct connection *connection);

/* Waits for memory: until somebody gives some back, or the one that holds most is closed. */
void connection_block(struct connection *connection);
/* connection_commands.c: what a blocked one waits for is not there: room for the answer that comes
 * next, if that is ready, or else for the next command. */
bool connection_lacks_memory(const struct connection *connection);

/* connection_relief.c: those that waited for memory go on, as far as there is some. */
void relief_resume(struct turn *turn);
/* Closes some of those that hold what others wait for. */
void relief_close(struct server_worker *worker);
/* Until somebody may have to be closed; UINT64_MAX: memory is not short. */
uint64_t relief_rest_ns(const struct turn *turn, uint64_t now_ns);

/* connection_commands.c: parses and executes; tells how many bytes were used up. */
size_t connection_commands(struct connection *connection, const char *bytes, size_t length);

/* connection_describe.c: a command that was asked at `asked_ns` was carried out by now. */
void note_latency(const struct connection *connection, const struct operation *operation,
				  uint64_t asked_ns);
_Static_assert((int)LATENCY_GET == (int)OPERATION_GET &&
				   (int)LATENCY_STORE == (int)OPERATION_STORE &&
				   (int)LATENCY_DELETE == (int)OPERATION_DELETE &&
				   (int)LATENCY_ARITHMETIC == (int)OPERATION_ARITHMETIC &&
				   (int)LATENCY_INSPECT == (int)OPERATION_INSPECT,
			   "kinds of operations are kinds of latencies");

/* Before the request may be given a lease: where its extents go. Who is given none does without, and
 * so does not write these lines. */
static inline void record_lend_window(struct record *record) {
	record->request.window = record->window;
	record->request.window_count = 0;
	record->request.window_offset = 0;
}

/* connection_record.c: who owns a record. */
/* NULL: no memory. Else the caller holds it, and hands it on. */
struct record *record_take(struct connection *connection);
/* From one owner to the next. */
static inline void record_pass(struct record *record, enum record_owner from,
							   enum record_owner to) {
	SNUG_ASSERT(record->owner == from && !record->is_away);
	record->owner = (uint8_t)to;
}
/* Of who holds it: the lease is given back, then the record. May be the end of its connection. */
void record_end(struct record *record);
/* The same by `owner`, who has taken it off his list because the connection has gone: what is under
 * way ends when it comes back. */
void record_drop(struct record *record, enum record_owner owner);
/* connection_return.c: a request has come back. */
void record_returned(struct record *record);

/* connection_answers.c: the answers' order. */
/* A record with copies of the reply and the operation, and of what they refer to, which must fit.
 * NULL: the connection is closed. */
struct record *record_for_command(struct connection *connection, const struct command *command,
								  uint32_t owner);
bool answers_fits_record(const struct command *command);
void answers_append(struct connection *connection, struct record *record);
/* Says `text` after all that was asked before. */
void answers_say(struct connection *connection, const char *text, size_t length);
/* The same of a line of text (answer_line), in the client's protocol. */
void answers_say_line(struct connection *connection, const struct reply *reply, const char *line,
					  size_t length);
/* Carries a command's operation out on the own shard, and answers it. */
void answers_execute(struct connection *connection, struct command *command);
/* Says what was found of another's key, whose value is `value`. */
void answers_say_read(struct connection *connection, struct command *command, const char *value);
/* Has it carried out by its owner. */
void answers_request(struct connection *connection, const struct command *command, uint32_t owner,
					 bool is_mute);
/* Puts the ready ones at the front into the output. */
void answers_drain(struct connection *connection);
/* Nobody listens any more: those that are away end when they come back. */
void answers_drop(struct connection *connection);

/* There is no block for what comes next. */
bool answers_lack_blocks(const struct connection *connection);

/* What many ask for at a time, such as the map, finds no more room in the server's account of such
 * texts. */
#define ERRAND_NO_MEMORY "SERVER_ERROR out of memory\r\n"

/* connection_read.c: keys of others. */
struct batch_key {
	uint64_t hash;
	uint32_t owner;
};
/* It is a get that changes nothing, and overtakes nothing. */
bool reads_may_answer(const struct connection *connection, const struct command *command);
/* Answers it, if the item may be read now. False: its owner must be asked. */
bool reads_answer(struct connection *connection, struct command *command, uint32_t owner);
/* Lines that will be read, of several keys of others. */
void reads_prefetch(const struct connection *connection, const struct batch_key *keys,
					size_t count);

/* connection_errands.c: what is done by visiting all workers, or by the coordinator. */
void answers_begin_errand(struct connection *connection, const struct command *command);
/* On to the next worker, or to waiting, or to the answer. */
void errand_advance(struct record *record);
/* Errands that may be ready by now, and the next slice of those that visit this worker; tells
 * whether one of these has more to do at once. */
bool errands_poll(struct server_worker *worker);

/* It is looked at again in the next turn, or soon. */
static inline void errand_wait(struct turn *turn, struct record *record) {
	SNUG_ASSERT(!record->is_away && !record->is_ready);
	record->next_errand = turn->errands;
	turn->errands = record;
}

/* connection_describe.c: what `stats conns` says of the worker's listeners and of each connection,
 * at most `most` of them: from the first on, or from where the last call ended. Tells whether there
 * are more. Connections may come and go in between: each that stays is told of once. What is said of
 * the one whose connection_id is `asker` goes to `of_asker`, in place of what is there. */
bool connections_describe(struct server_worker *worker, bool from_first, uint32_t most,
						  uint64_t asker, struct text *out, struct text *of_asker);

/* The same of `snug clients`: tells of those that are meant, or closes them, and notes what came of
 * it. */
bool connections_select(struct server_worker *worker, bool from_first, uint32_t most,
						struct clients *clients);

/* What anybody watches at this moment: who has been told OK misses nothing that comes after it. */
static inline uint32_t connection_watched_kinds(const struct connection *connection) {
	return atomic_load_explicit(&connection->worker->server->watchers.kinds, memory_order_relaxed);
}

static inline bool connection_is_watched(const struct connection *connection) {
	return __builtin_expect(connection_watched_kinds(connection) != 0, false);
}

/* What was carried out for it, if that is watched: server/watch/watch_lines.h. */
static inline void connection_watch(const struct connection *connection, const struct reply *reply,
									const struct operation *operation) {
	struct server_worker *worker = connection->worker;
	if (!connection_is_watched(connection)) return;
	struct watched watched = {connection_watched_kinds(connection), connection->stream.fd,
							  worker->wall_s, &worker->server->prefixes};
	watch_item(&worker->server->watchers, &watched, reply, operation);
}

/* connection_output.c: bytes out. */
/* Room for `bytes` (at most BLOCK_ROOM) in one piece; then output_wrote. NULL: no memory; the
 * connection is closed. */
char *output_room(struct connection *connection, uint32_t bytes);
/* In that piece, behind what output_room gave. */
static inline uint32_t output_left(const struct connection *connection) {
	SNUG_ASSERT(!connection->last_out->is_lease);
	return BLOCK_ROOM - ((const struct block *)connection->last_out)->end;
}
void output_wrote(struct connection *connection, uint32_t bytes);
bool output_append(struct connection *connection, const char *bytes, size_t length);
/* The record's lease goes out from here on, between `head_bytes` that the record begins with and a
 * tail; the record is the output's. */
void output_append_lease(struct connection *connection, struct record *record, size_t head_bytes,
						 struct answer_tail tail);
void output_flush(struct connection *connection);
/* All that is queued goes nowhere. */
void output_drop(struct connection *connection);

/* connection_sink.c: a large value in. */
/* The command's value does not lie in the input as a whole: makes room for it. */
void sink_begin(struct connection *connection, const struct command *command);
/* Takes bytes; tells how many. */
size_t sink_take(struct connection *connection, const char *bytes, size_t length);
/* Where the next bytes of the value are to lie, if they need not wait for others: pieces. And so many
 * of them are there, of those bytes. */
size_t sink_room(const struct connection *connection, struct iovec *pieces, size_t most);
void sink_placed(struct connection *connection, size_t length);
void sink_returned(struct record *record);
void sink_drop(struct connection *connection);

/* connection_outbox.c: hands the record's request to its owner. True: that is the own worker, it is
 * served already. False: record_returned follows. */
bool turn_request(struct server_worker *worker, struct record *record);
/* The same, of what has come back unfinished: the own worker goes on with some of them in each
 * turn. record_returned follows. */
void turn_request_again(struct server_worker *worker, struct record *record);
/* Another worker has given it back. */
void outbox_note_back(struct turn *turn, const struct record *record);

#endif
