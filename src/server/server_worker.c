/* server/server_worker.c: one worker's turn, and how it talks to the others.
 *
 *     turn:   clocks -> answers of others -> sockets: parse, execute, ask others
 *             -> requests out, a batch to each -> sends, one to each connection
 *             -> slices of errands -> memory back, upkeep
 *
 * A request goes to its owner's inbox as a message that carries its address, and comes back the
 * same way over this worker's own channel, which has room for all that can be away: so no owner
 * ever waits to answer. If an inbox is full, what is for it waits in the outbox, in order.
 *
 *     outbox[owner] (connection_outbox.c) --a batch--> owner's inbox: served --> replies
 *                                            record_returned (connection_return.c) <---'
 *     unfinished: the own worker's, cut in slices: UNFINISHED_A_TURN of them in each turn
 *
 * Laws    - A turn does a bounded amount of each, so none of it waits for all of another.
 *         - Whatever is sent in a turn to one connection goes in one send, and to one owner in
 *           batches: a call of the system is dearer than a command.
 *         - A connection that has something to send, or may go on, is on the list of dirty ones. So
 *           a turn looks at those that something happened to, and at no others.
 *         - Slices of errands come after the answers, which need not wait for them.
 *
 * HOLDING. Where several connections are heard, what is for an owner that sleeps waits for the next
 * turn, which comes at once, and on, for 0.1 ms (work/channel/holding.h). It saves 8 to
 * 42 % of the wake-ups in pipelines (docs/design/0007-wake-ups.md).
 *
 * Before it sleeps the worker announces that to both of its channels; each has a descriptor that
 * the io watches with the sockets. */
#include "server/server_worker.h"

#include "base/assert.h"
#include "base/bits.h"
#include "base/log_line.h"
#include "cache/shard/shard_find.h"
#include "os/local_time.h"
#include "os/threads.h"
#include "server/connection/connection.h"
#include "server/process/listeners.h"
#include "server/server_trouble.h"
#include "server/tls/tls_io.h"
#include "server/visit/visit.h"
#include "work/worker/worker.h"

#include <snug/client.h>
#include <stdlib.h>
#include <unistd.h>

#define RECORDS_AWAY_MAX 2048u /* also the room of the channel that they come back on */
#define OUTBOX_BATCH 16u
#define UNFINISHED_A_TURN 4u
#define HEARD_MANY 2u
#define SEND_SOON_BYTES 4096u
#define SHORT_WAIT_NS UINT64_C(2000000)
#define UPKEEP_WAIT_NS UINT64_C(1000000000)
#define END_PATIENCE_NS UINT64_C(2000000000)

/* ------------------------------------------------------------------ what the io says ------- */

static struct connection *connection_of(struct io_stream *stream) {
	return (struct connection *)(void *)stream; /* its first member */
}

static void on_accepted(void *context, uint32_t tag, int fd) {
	struct server_worker *worker = context;
	connection_begin(worker, fd, tag);
}

static void on_received(void *context, struct io_stream *stream, const char *bytes, size_t length) {
	struct turn *turn = ((struct server_worker *)context)->turn;
	hearing_note(&turn->hearing, connection_of(stream)->number, turn->began_ns);
	connection_received(connection_of(stream), bytes, length);
}

static void on_sent(void *context, struct io_stream *stream) {
	(void)context;
	connection_sent(connection_of(stream));
}

static void on_sent_part(void *context, struct io_stream *stream) {
	(void)context;
	connection_sent_part(connection_of(stream));
}

static void on_broken(void *context, struct io_stream *stream) {
	(void)context;
	connection_close(connection_of(stream));
}

static void on_closed(void *context, struct io_stream *stream) {
	(void)context;
	connection_closed(connection_of(stream));
}

static void on_coming(void *context, const struct io_coming *coming, size_t count) {
	connections_peek(context, coming, count);
}

static void on_established(void *context, struct io_stream *stream, const char *name,
						   size_t length) {
	(void)context;
	connection_certified(connection_of(stream), name, length);
}

static void on_starved(void *context, struct io_stream *stream) {
	(void)context;
	connection_close_for_memory(connection_of(stream));
}

static const struct tls_hooks secured_hooks = {on_established, on_starved};

static size_t on_room(void *context, struct io_stream *stream, struct iovec *pieces, size_t most) {
	(void)context;
	return sink_room(connection_of(stream), pieces, most);
}

static void on_placed(void *context, struct io_stream *stream, size_t length) {
	struct turn *turn = ((struct server_worker *)context)->turn;
	hearing_note(&turn->hearing, connection_of(stream)->number, turn->began_ns);
	connection_placed(connection_of(stream), length);
}

static const struct io_events events = {on_accepted, on_received, on_sent, on_sent_part, on_broken,
										on_closed,   on_coming,   on_room, on_placed};

/* ------------------------------------------------------------------ clock ------------------ */

/* Who takes nothing of what he is sent is idle; else nobody is who waits for us: for an answer, for
 * memory, for room, or for us to hear him. */
static bool is_idle(const struct connection *connection, uint32_t timeout_s) {
	const struct turn *turn = connection->worker->turn;
	/* Whole seconds: the one more makes sure of all of them. */
	if (connection->is_closing || connection->last_active_s + timeout_s >= turn->now_s)
		return false;
	return connection->is_sending || (!turn->holds_input && !connection_is_owed(connection));
}

static void kick_idle(struct server_worker *worker) {
	uint32_t timeout_s =
		atomic_load_explicit(&worker->server->live.idle_timeout_s, memory_order_relaxed);
	for (struct connection *at = worker->connection_list; timeout_s > 0 && at != NULL;
		 at = at->next) {
		if (!is_idle(at, timeout_s)) continue;
		worker->connections.idle_kicks++;
		at->close_reason = CLOSE_IDLE;
		connection_close(at);
	}
}

/* Once a second is soon enough for a limit that somebody has changed. */
static void keep_limit(struct server_worker *worker) {
	const struct server *server = worker->server;
	uint64_t bytes = atomic_load_explicit(&server->live.memory_bytes, memory_order_relaxed) /
					 server->worker_count;
	if (bytes == worker->limit_bytes) return;
	/* What cannot be had now is asked for again the next second. */
	if (snug_shard_set_limit(worker->shard, (size_t)bytes) != SNUG_OK) return;
	worker->limit_bytes = bytes;
	if ((worker->watched_kinds & WATCH_SYSTEM) != 0)
		watchers_say(&worker->server->watchers, WATCH_SYSTEM, "type=limit worker=%u bytes=%llu",
					 worker->index, (unsigned long long)bytes);
}

#define NS_PER_SECOND UINT64_C(1000000000)

void server_worker_look_at_clocks(struct server_worker *worker, uint64_t now_ns) {
	const struct server *server = worker->server;
	worker->clock_s = os_epoch_s(&server->clock, now_ns);
	worker->wall_s = os_wall_s();
}

static void look_at_clock(struct server_worker *worker) {
	struct turn *turn = worker->turn;
	server_worker_look_at_clocks(worker, turn->began_ns);
	if (LIKELY(turn->began_ns / NS_PER_SECOND == turn->now_s)) return;
	turn->now_s = (uint32_t)(turn->began_ns / NS_PER_SECOND);
	kick_idle(worker);
	server_trouble_look(worker, turn->began_ns);
	keep_limit(worker);
	connection_memory_tick(&worker->turn->buffers.memory);
}

/* ------------------------------------------------------------------ requests --------------- */

/* In their order, some in each turn: however many there are, others wait no longer. */
static bool serve_unfinished(struct server_worker *worker) {
	struct turn *turn = worker->turn;
	uint32_t served = 0;
	for (; turn->unfinished != NULL && served < UNFINISHED_A_TURN; served++) {
		struct record *record = turn->unfinished;
		struct request *request = &record->request;
		turn->unfinished = record->next_away;
		if (!record->connection->is_closing)
			requests_serve(worker->shard, worker->index, &worker->counts, &request, 1);
		record_returned(record);
	}
	return served > 0;
}

static struct record *record_of(void *request) {
	return (struct record *)(void *)((char *)request - offsetof(struct record, request));
}

/* The owner is gone: nobody will answer. */
static void come_back_unanswered(struct server_worker *worker, struct record *record) {
	record->request.operation.status = STATUS_NO_MEMORY;
	record->request.operation.lease.ref = 0;
	record->request.window_count = 0;
	record->request.is_unfinished = false;
	record->request.promised_bytes = 0;
	outbox_note_back(worker->turn, record);
	record_returned(record);
}

/* As many as go in one message, from `record` on; tells which one is next. What may take the owner
 * a slice of a turn goes alone: a turn does a bounded number of messages. */
static struct record *fill_message(struct record *record, struct message *message) {
	uint32_t count = 0;
	do {
		message->requests[count++] = &record->request;
		record = record->next_away;
	} while (record != NULL && count < MESSAGE_REQUESTS_MAX &&
			 record->request.kind == REQUEST_OPERATION &&
			 ((struct request *)message->requests[0])->kind == REQUEST_OPERATION);
	return record;
}

/* A batch to one owner. False: its inbox is full. */
static bool send_batch(struct server_worker *worker, uint32_t owner) {
	struct turn *turn = worker->turn;
	struct message messages[OUTBOX_BATCH];
	size_t count = 0;
	struct outbox *outbox = &turn->outbox[owner];
	struct record *record = outbox->first;
	while (record != NULL && count < OUTBOX_BATCH) {
		struct message *message = &messages[count++];
		*message =
			(struct message){.kind = MESSAGE_REQUESTS, .worker = owner, .reply = turn->replies};
		record = fill_message(record, message);
	}
	struct channel *inbox = workers_inbox(worker->server->workers, owner);
	snug_error error = channel_try_send_batch(inbox, messages, count);
	if (error == SNUG_ERROR_QUEUE_FULL) return false;
	outbox->first = record;
	if (record == NULL) outbox->last = NULL;
	for (size_t i = 0; error && i < count; i++)
		for (uint32_t at = 0, most = message_request_count(&messages[i]); at < most; at++)
			come_back_unanswered(worker, record_of(messages[i].requests[at]));
	return true;
}

/* False: the rest is left for a full inbox. */
static bool send_to(struct server_worker *worker, uint32_t owner) {
	while (worker->turn->outbox[owner].first != NULL)
		if (!send_batch(worker, owner)) return false;
	return true;
}

/* Where `several` ask, what is for an owner that sleeps may be held. Tells whether something is left,
 * for a full inbox or for one that sleeps: the next turn is to come at once. */
static bool send_requests(struct server_worker *worker, bool several) {
	struct turn *turn = worker->turn;
	bool is_left = false;
	for (uint32_t owner = 0; owner < worker->server->worker_count; owner++) {
		struct outbox *outbox = &turn->outbox[owner];
		if (outbox->first == NULL) continue;
		bool is_held = hold_may(&outbox->hold, several, turn->began_ns) &&
					   channel_is_dozing(workers_inbox(worker->server->workers, owner));
		hold_note(&outbox->hold, is_held, turn->began_ns);
		is_left |= is_held || !send_to(worker, owner);
	}
	return is_left;
}

#define LINE_BYTES 64u
#define ANSWERED_LINES 6u /* of what came into a record's room: a usual value */

/* What the owner has written. All else of a record is still in this processor's cache. */
static void prefetch_answer(const struct record *record) {
	const struct request *request = &record->request;
	__builtin_prefetch((const char *)request + REQUEST_ANSWERED_OFFSET);
	if (request->operation.kind != OPERATION_GET) return;
	__builtin_prefetch(&request->operation.item);
	if (request->room == NULL) return;
	for (size_t line = 0; line < ANSWERED_LINES; line++)
		__builtin_prefetch((const char *)request->room + line * LINE_BYTES);
}

static bool take_answers(struct server_worker *worker) {
	struct message answers[OUTBOX_BATCH];
	struct record *records[OUTBOX_BATCH * MESSAGE_REQUESTS_MAX];
	struct turn *turn = worker->turn;
	size_t count, total = 0;
	while (turn->away > 0 && total < RECORDS_AWAY_MAX &&
		   (count = channel_receive(turn->replies, answers, OUTBOX_BATCH)) > 0) {
		size_t found = 0;
		for (size_t i = 0; i < count; i++)
			for (uint32_t at = 0, most = message_request_count(&answers[i]); at < most; at++) {
				records[found] = record_of(answers[i].requests[at]);
				prefetch_answer(records[found++]);
			}
		for (size_t i = 0; i < found; i++) {
			outbox_note_back(turn, records[i]);
			record_returned(records[i]);
		}
		total += found;
	}
	return total > 0;
}

/* Something has happened that may have changed its figures. */
static void stir(struct server_worker *worker) {
	uint64_t stirred = atomic_load_explicit(&worker->stirred, memory_order_relaxed);
	atomic_store_explicit(&worker->stirred, stirred + 1, memory_order_relaxed);
}

void server_worker_run(struct server_worker *worker, void *const *requests, size_t count) {
	/* it may come out of a sleep, before its turn */
	server_worker_look_at_clocks(worker, os_now_ns());
	worker->connections.requests_in += count;
	stir(worker);
	requests_serve(worker->shard, worker->index, &worker->counts,
				   (struct request *const *)(const void *)requests, count);
}

/* ------------------------------------------------------------------ a turn ----------------- */

/* Nobody hears what would be told for ever. */
static bool is_forsaken(const struct connection *connection) {
	const struct record *first = connection->first_answer;
	return connection->has_ended && first != NULL && first->errand != NULL &&
		   first->errand->is_endless;
}

/* All is said, and nothing more will be asked. */
static bool is_over(const struct connection *connection) {
	if (UNLIKELY(is_forsaken(connection))) return true;
	if (connection->first_answer != NULL || connection->first_out != NULL || connection->is_sending)
		return false;
	if (connection->input_state == INPUT_OVER) return true;
	if (!connection->has_ended || connection->is_held) return false;
	return connection->input_state != INPUT_WAIT && connection->input_state != INPUT_ERRAND;
}

/* Another worker's answer comes next, and soon: what is there goes with it, in one send. */
static bool waits_for_more(const struct connection *connection) {
	const struct record *next = connection->first_answer;
	return next != NULL && next->says == SAYS_OPERATION && next->is_away &&
		   connection->output_bytes < SEND_SOON_BYTES;
}

/* With its share of this turn, if it has not had it yet. */
static void go_on(struct connection *connection) {
	if (connection_has_share(connection)) {
		connection->is_held = false;
		connection_resume(connection);
	} else {
		connection_mark_dirty(connection);
	}
}

/* Its next share comes with the next turn, and what it has asked by then goes in one send. */
static bool waits_for_its_turn(struct connection *connection) {
	return connection->is_held && !connection->is_blocked && connection_has_room(connection) &&
		   !connection_has_share(connection) &&
		   (connection->last_out == NULL || !connection->last_out->is_lease);
}

static void flush_one(struct connection *connection) {
	if (!waits_for_more(connection) && !waits_for_its_turn(connection)) output_flush(connection);
	/* Those that waited until some of the output had gone. */
	if (connection_takes_answers(connection) && connection->first_answer != NULL &&
		connection->first_answer->is_ready)
		answers_drain(connection);
	if (connection->is_held && !connection->is_blocked && connection_has_room(connection))
		go_on(connection);
	if (is_over(connection)) connection_close(connection);
}

static void flush_dirty(struct turn *turn) {
	struct connection *connection = turn->dirty;
	turn->dirty = NULL;
	while (connection != NULL) {
		struct connection *next = connection->next_dirty;
		connection->is_dirty = false;
		if (!connection->is_closing) flush_one(connection);
		if (connection->is_closing) connection_reap(connection);
		connection = next;
	}
}

/* The others serve requests of those that do. */
static bool takes_connections(const struct server_worker *worker) {
	return worker->index < worker->server->settings.accept_threads;
}

static snug_error listen_to(struct server_worker *worker, const struct listeners *listeners) {
	for (uint32_t i = 0; i < listeners->count && takes_connections(worker); i++) {
		const struct listener *listener = &listeners->listener[i];
		int fd = listener_fd(listener, worker->index);
		if (fd >= 0 && !io_listen(worker->turn->io, fd, listener_tag(listener)))
			return SNUG_ERROR_OS_THREAD;
	}
	return SNUG_OK;
}

/* Once, when nothing is missing any more that a command may refer to. */
static void begin_to_listen(struct server_worker *worker) {
	struct server *server = worker->server;
	if (!atomic_load_explicit(&server->is_complete, memory_order_acquire)) return;
	snug_error error = listen_to(worker, server->listeners);
	if (error) atomic_store_explicit(&server->listen_error, error, memory_order_relaxed);
	worker->turn->is_listening = true;
	channel_tell_edges(workers_inbox(server->workers, worker->index)); /* which the io watches */
	atomic_fetch_add_explicit(&server->listening, 1, memory_order_release);
	os_wake(&server->listening, UINT32_MAX);
}

static void begin_to_end(struct server_worker *worker) {
	struct turn *turn = worker->turn;
	if (turn->is_ending) return;
	turn->is_ending = true;
	turn->end_deadline_ns = os_deadline_ns(END_PATIENCE_NS);
	io_stop_listening(turn->io);
	turn->is_listening = true;
	for (struct connection *at = worker->connection_list; at != NULL; at = at->next) {
		at->has_ended = true;
		at->close_reason = CLOSE_SHUTDOWN;
		connection_mark_dirty(at);
	}
}

static void cut_off_late(struct server_worker *worker) {
	if (os_remaining_ns(worker->turn->end_deadline_ns) > 0) return;
	for (struct connection *at = worker->connection_list; at != NULL; at = at->next)
		connection_close(at);
}

/* A worker that has nothing left still serves the others' requests: only when all have drained do
 * the workers stop. */
static void drain(struct server_worker *worker) {
	struct server *server = worker->server;
	struct turn *turn = worker->turn;
	if (turn->is_drained) return;
	begin_to_end(worker);
	cut_off_late(worker);
	if (worker->connection_list != NULL || turn->away > 0) return;
	turn->is_drained = true;
	atomic_fetch_add_explicit(&server->drained, 1, memory_order_release);
	os_wake(&server->drained, UINT32_MAX);
}

/* What this turn has left to the next one, which is to come at once. Those that wait for memory may
 * have got some by what this one has done. */
static bool is_left_over(const struct turn *turn, bool has_worked) {
	if (turn->dirty != NULL || turn->unfinished != NULL) return true;
	return has_worked && (turn->blocked != NULL || turn->holds_input);
}

static void tell_eviction(void *context, const struct walked *item) {
	const struct server_worker *worker = context;
	watch_eviction(&worker->server->watchers, worker->clock_s, item);
}

/* What somebody watches from now on. */
static void look_at_watchers(struct server_worker *worker) {
	uint32_t kinds = atomic_load_explicit(&worker->server->watchers.kinds, memory_order_relaxed);
	if (LIKELY(kinds == worker->watched_kinds)) return;
	worker->watched_kinds = kinds;
	shard_tell_evictions(worker->shard, (kinds & WATCH_EVICTIONS) != 0 ? tell_eviction : NULL,
						 worker);
}

bool server_worker_turn(struct server_worker *worker) {
	struct turn *turn = worker->turn;
	uint64_t began_ns = os_now_ns();
	turn->began_ns = began_ns;
	turn->number++;
	look_at_clock(worker);
	look_at_watchers(worker);
	if (UNLIKELY(!turn->is_listening)) begin_to_listen(worker);
	shard_take_hints(worker->shard);
	bool has_news = turn->away > 0 && take_answers(worker);
	if (UNLIKELY(turn->unfinished != NULL)) has_news |= serve_unfinished(worker);
	if (UNLIKELY(atomic_load_explicit(&worker->server->is_draining, memory_order_acquire)))
		drain(worker);
	relief_resume(turn);
	if (UNLIKELY(turn->holds_input)) connection_hold_input(turn);
	hearing_begin(&turn->hearing);
	has_news |= io_poll(turn->io);
	bool goes_on = send_requests(worker, hearing_has_several(&turn->hearing, began_ns));
	bool has_worked = has_news || goes_on || turn->dirty != NULL;
	flush_dirty(turn);
	relief_close(worker);
	/* After the answers, which need not wait for a slice. */
	worker->slice_ns = 0;
	if (UNLIKELY(turn->errands != NULL)) {
		goes_on |= errands_poll(worker);
		goes_on |= send_requests(worker, false);
	}
	worker->connections.buffer_bytes = buffers_held_bytes(&turn->buffers);
	goes_on |= connection_memory_trim(&turn->buffers.memory);
	has_worked |= goes_on;
	uint64_t now_ns = os_now_ns();
	if (has_news) snug_histogram_add(&worker->turn_ns, now_ns - began_ns);
	/* Others are about to send, too, where several have: a look more costs less than a sleep. */
	if (has_news && workers_note_traffic(worker->server->workers, worker->index, now_ns))
		goes_on = true;
	goes_on |= upkeep_turn(&turn->upkeep, worker->shard, now_ns, has_worked);
	if (has_worked || goes_on) stir(worker);
	return goes_on || turn->hearing.heard >= HEARD_MANY || is_left_over(turn, has_worked);
}

void server_worker_sleep(struct server_worker *worker, int wake_fd, uint64_t timeout_ns) {
	struct turn *turn = worker->turn;
	if (!turn->watches_inbox) turn->watches_inbox = io_watch(turn->io, wake_fd);
	uint64_t most_ns =
		turn->errands != NULL || !turn->is_listening || (turn->is_ending && !turn->is_drained)
			? SHORT_WAIT_NS
			: UPKEEP_WAIT_NS;
	uint64_t now_ns = os_now_ns();
	most_ns = smaller(most_ns, upkeep_rest_ns(&turn->upkeep, worker->shard, now_ns));
	most_ns = smaller(most_ns, relief_rest_ns(turn, now_ns));
	if (timeout_ns > most_ns) timeout_ns = most_ns;
	if (!channel_doze(turn->replies)) return;
	io_wait(turn->io, timeout_ns);
	(void)channel_rouse(turn->replies);
}

/* ------------------------------------------------------------------ begin, end ------------- */

static void give_back(struct turn *turn) {
	io_destroy(turn->io);
	buffers_deinit(&turn->buffers);
	if (turn->replies != NULL) channel_close(turn->replies);
	channel_destroy(turn->replies);
	free(turn->outbox);
	free(turn);
}

#define IO_TIMES 4u

/* What lies in the io's buffers comes in at once, and may have to be kept: they must be a quarter
 * of connection memory at most. They are a sixteenth of what the io is told. */
static uint64_t io_bytes(uint64_t limit_bytes, uint64_t connection_bytes) {
	return smaller(limit_bytes, IO_TIMES * connection_bytes);
}

/* With TLS, a layer above it. */
static snug_error create_io(struct server_worker *worker, uint64_t bytes) {
	const struct server *server = worker->server;
	struct turn *turn = worker->turn;
	snug_error error = io_create(server->settings.io, bytes, &events, worker, &turn->io);
	if (error || server->tls == NULL) return error;
	struct io *layer = tls_io_create(turn->io, server->tls, server->settings.accept_threads,
									 &secured_hooks, &worker->connections.tls, &turn->buffers);
	if (layer != NULL) turn->io = layer;
	return layer != NULL ? SNUG_OK : SNUG_ERROR_OS_MEMORY;
}

snug_error server_worker_begin(struct server_worker *worker) {
	const struct settings *settings = &worker->server->settings;
	uint64_t limit_bytes = settings->memory_bytes / worker->server->worker_count;
	uint32_t slots = hot_keys_slots(limit_bytes);
	size_t turn_bytes = sizeof(struct turn) + slots * sizeof(struct top_slot);
	struct turn *turn = calloc(1, turn_bytes);
	if (turn == NULL) return SNUG_ERROR_OS_MEMORY;
	turn->bytes = turn_bytes;
	turn->outbox = calloc(worker->server->worker_count, sizeof *turn->outbox);
	turn->now_s = (uint32_t)(os_now_ns() / NS_PER_SECOND);
	hint_lots_init(&turn->lots, worker->index);
	upkeep_init(&turn->upkeep);
	hot_keys_init(&turn->hot_keys, turn->hot_slots, slots);
	worker->turn = turn;
	worker->hot_keys = &turn->hot_keys;
	worker->describe = connections_describe;
	worker->clients = connections_select;
	uint32_t sharers = takes_connections(worker) ? settings->accept_threads
												 : worker->server->worker_count; /* unused */
	uint64_t connection_bytes = settings->connection_memory_bytes / sharers;
	snug_error error = buffers_init(&turn->buffers, connection_bytes, RECORDS_AWAY_MAX);
	if (error) {
		free(turn->outbox);
		free(turn);
		worker->turn = NULL;
		worker->hot_keys = NULL;
		return error;
	}
	if (turn->outbox == NULL) error = SNUG_ERROR_OS_MEMORY;
	if (!error) error = channel_create(RECORDS_AWAY_MAX, &turn->replies);
	if (!error) error = create_io(worker, io_bytes(limit_bytes, connection_bytes));
	if (!error && worker->index == 0) worker->server->io_name = io_name(turn->io);
	if (!error && !io_watch(turn->io, channel_fd(turn->replies))) error = SNUG_ERROR_OS_THREAD;
	if (!error) worker->own_bytes = turn->bytes + io_memory_bytes(turn->io);
	if (!error) error = snug_shard_charge(worker->shard, worker->own_bytes);
	if (!error) channel_tell_edges(turn->replies);
	if (error) {
		give_back(turn);
		worker->turn = NULL;
		worker->hot_keys = NULL;
	}
	return error;
}

/* What drain left: a connection that was accepted in its last moment; all of them, if the server
 * never was complete. */
void server_worker_end(struct server_worker *worker) {
	struct turn *turn = worker->turn;
	begin_to_end(worker);
	while (worker->connection_list != NULL || turn->away > 0) {
		cut_off_late(worker);
		if (!server_worker_turn(worker)) os_thread_sleep(1000000);
	}
	while (turn->errands != NULL) {
		worker->slice_ns = 0;
		if (!errands_poll(worker) && turn->errands != NULL) os_thread_sleep(1000000);
	}
	snug_shard_discharge(worker->shard, worker->own_bytes);
	worker->hot_keys = NULL;
	give_back(turn);
	worker->turn = NULL;
}
