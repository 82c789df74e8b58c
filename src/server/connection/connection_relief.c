/* server/connection/connection_relief.c: connection memory is short: who goes on first, and who
 * pays.
 *
 *     short --> who waits is served, who holds little first
 *       ^         0.1 s later: a round closes who holds most, until an eighth is free or comes back
 *       |           '-> the next round, as long as it is short
 *       '- until memory has come back
 *
 * Whoever costs, pays. Who is closed, in this order:
 *
 *     1  we have waited for him for 0.1 s: he takes nothing of what is being sent, or has begun a
 *        command and sends nothing more of it
 *     2  of these, and then of the others, who holds most; the others only when it has been short
 *        for 0.2 s, and what one command takes is not counted: they give that back as soon as we
 *        let them
 *     3  of equals who is not known to take his answers; then who lies highest in memory: so whole
 *        chunks come back, and not pieces of many
 *
 * A round is over when whole chunks are free: a piece of another kind serves nobody who waits. What
 * a round brings may lie in pieces, or be taken by the next one who gives nothing back: then the
 * next round follows as soon as it has come.
 *
 * It comes last in a turn: who was served in it has been sent his answer by then, and holds nothing
 * of it any more.
 *
 * Cost    nothing while memory is not short; else a look at all connections for each RELIEF_CLOSES
 *         that are closed. */
#include "base/assert.h"
#include "base/bits.h"
#include "server/connection/connection.h"

/* ------------------------------------------------------------------ who goes on ------------ */

/* For memory, or for a record, of which others have all that there are for those who hold some. */
static bool still_waits(const struct connection *connection, bool *is_short) {
	const struct record *next = connection->first_answer;
	if (connection->is_closing) return false;
	if (connection_lacks_memory(connection)) return *is_short = true;
	if (next != NULL && next->is_ready) return false;
	return buffers_left(&turn_of(connection)->buffers.records, connection->records) == 0;
}

/* Who goes first: what others give back would go to those who take most, again and again. */
enum rank {
	RANK_KNOWN, /* holds little, and has asked, was answered, and has asked again */
	RANK_NEW,   /* a short command, and nothing else */
	RANK_LITTLE,
	RANK_MUCH,
	RANKS
};

#define HOLDS_SHORT_BYTES (2u * CONNECTION_BYTES)
#define HOLDS_LITTLE_BYTES (CONNECTION_BYTES + 2u * RECORD_BYTES)

static enum rank rank_of(const struct connection *connection) {
	uint64_t held_bytes = connection_held_bytes(connection);
	if (held_bytes > HOLDS_LITTLE_BYTES) return RANK_MUCH;
	if (connection->is_known) return RANK_KNOWN;
	return held_bytes > HOLDS_SHORT_BYTES ? RANK_LITTLE : RANK_NEW;
}

static void go_on(struct connection *connection) {
	connection->is_blocked = false;
	if (connection->is_closing)
		connection_reap(connection);
	else
		connection_resume(connection);
}

/* Those of whom each waited for a record or for memory, and may have it now. The others wait on, in
 * their order: some of what is taken may never be given back. Who goes on and waits anew comes
 * behind them. */
static void resume_some(struct turn *turn, enum rank rank, bool *is_short) {
	struct connection *connection = turn->blocked, *waiting = NULL, **end = &waiting;
	turn->blocked = NULL;
	while (connection != NULL) {
		struct connection *next = connection->next_blocked;
		if (rank_of(connection) > rank || still_waits(connection, is_short)) {
			*end = connection;
			end = &connection->next_blocked;
		} else {
			go_on(connection);
		}
		connection = next;
	}
	*end = turn->blocked;
	turn->blocked = waiting;
}

/* Of equals who came last goes first: so who has just come is answered, and who waits longest is
 * served last, until relief has ended the shortage. */
void relief_resume(struct turn *turn) {
	bool is_short = connection_memory_is_short(&turn->buffers.memory);
	if (LIKELY(turn->blocked == NULL && !is_short && turn->short_since_ns == 0)) return;
	for (uint32_t rank = 0; rank < RANKS; rank++) resume_some(turn, (enum rank)rank, &is_short);
	if (!is_short) {
		turn->short_since_ns = turn->relief_ns = 0;
		turn->relieves = turn->has_relieved = false;
	} else if (turn->short_since_ns == 0) {
		turn->short_since_ns = turn->began_ns;
	}
}

/* ------------------------------------------------------------------ who pays --------------- */

#define SHORT_PATIENCE_NS UINT64_C(100000000)    /* whoever reads has given some back by then */
#define WORK_PATIENCE_NS (2 * SHORT_PATIENCE_NS) /* and who does not read has shown it */
#define RELIEF_SHARE 8u                          /* of the budget: as much is to be free then */
/* in one turn, and by one look at all connections */
#define RELIEF_CLOSES 16u
#define RELIEF_PAUSE_NS UINT64_C(5000000) /* between two looks for the next one to close */
/* what one command takes, and what the one before gives back */
#define SERVED_RECORDS 2u
#define SERVED_BLOCKS 3u
#define SERVED_INPUT_BYTES RECORD_BYTES

/* We wait for him. Who only waits to be served does not stall. */
static bool stalls(const struct connection *connection, uint64_t now_ns) {
	if (now_ns - connection->progress_ns < SHORT_PATIENCE_NS) return false;
	return connection->is_sending || !connection_is_owed(connection);
}

static uint64_t beyond(uint64_t count, uint64_t free_count) {
	return count > free_count ? count - free_count : 0;
}

/* What counts against him. */
static uint64_t charged_bytes(const struct connection *connection, bool is_stalling) {
	if (is_stalling) return connection_held_bytes(connection);
	return beyond(connection->records, SERVED_RECORDS) * RECORD_BYTES +
		   beyond(connection->blocks, SERVED_BLOCKS) * BLOCK_BYTES +
		   beyond(connection->input_room, connection_is_owed(connection) ? SERVED_INPUT_BYTES : 0);
}

/* Larger input does not lie in chunks. */
static const char *place_of(const struct connection *connection) {
	return connection->input_room <= CHUNK_BYTES ? connection->input : NULL;
}

static bool pays_before(const struct connection *one, const struct connection *other,
						uint64_t now_ns) {
	bool one_stalls = stalls(one, now_ns), other_stalls = stalls(other, now_ns);
	if (one_stalls != other_stalls) return one_stalls;
	uint64_t one_bytes = charged_bytes(one, one_stalls),
			 other_bytes = charged_bytes(other, other_stalls);
	if (one_bytes != other_bytes) return one_bytes > other_bytes;
	if (one->is_known != other->is_known) return other->is_known;
	one_bytes = connection_held_bytes(one);
	other_bytes = connection_held_bytes(other);
	if (one_bytes != other_bytes) return one_bytes > other_bytes;
	return (uintptr_t)place_of(one) > (uintptr_t)place_of(other);
}

/* Who pays next, in this order; and what those hold that are on their way out. */
struct payers {
	uint64_t leaving_bytes;
	uint32_t count;
	struct connection *first[RELIEF_CLOSES];
};

static void insert(struct payers *payers, struct connection *connection, uint64_t now_ns) {
	uint32_t at = payers->count;
	if (at < RELIEF_CLOSES)
		payers->count++;
	else if (!pays_before(connection, payers->first[--at], now_ns))
		return;
	for (; at > 0 && pays_before(connection, payers->first[at - 1], now_ns); at--)
		payers->first[at] = payers->first[at - 1];
	payers->first[at] = connection;
}

static void find_payers(const struct server_worker *worker, struct payers *payers) {
	payers->leaving_bytes = 0;
	payers->count = 0;
	for (struct connection *at = worker->connection_list; at != NULL; at = at->next) {
		uint64_t held_bytes = connection_held_bytes(at);
		if (at->is_closing)
			payers->leaving_bytes += held_bytes;
		else if (held_bytes > CONNECTION_BYTES)
			insert(payers, at, worker->turn->began_ns);
	}
}

/* ------------------------------------------------------------------ rounds ----------------- */

/* Whole chunks that are free by now, and what comes back within a few turns. */
static bool round_is_over(const struct turn *turn, uint64_t leaving_bytes) {
	return connection_memory_left(&turn->buffers.memory) + leaving_bytes >=
		   buffers_limit_bytes(&turn->buffers) / RELIEF_SHARE;
}

/* For whom we have waited so long has had his time; the others get theirs anew after each round,
 * and more of it: a client that takes what he has asked for may hold as much as one who does not,
 * and a while after memory has become short nobody can tell them apart. */
static bool may_close(const struct turn *turn, const struct connection *connection) {
	uint64_t short_ns = turn->began_ns - turn->short_since_ns;
	if (!stalls(connection, turn->began_ns)) return short_ns >= WORK_PATIENCE_NS;
	return turn->has_relieved || short_ns >= SHORT_PATIENCE_NS;
}

static void end_round(struct turn *turn) {
	turn->relieves = false;
	turn->has_relieved = true;
	turn->short_since_ns = turn->began_ns;
}

void relief_close(struct server_worker *worker) {
	struct turn *turn = worker->turn;
	struct payers payers;
	if (LIKELY(turn->short_since_ns == 0) || turn->began_ns < turn->relief_ns) return;
	if (!turn->has_relieved && turn->began_ns - turn->short_since_ns < SHORT_PATIENCE_NS) return;
	find_payers(worker, &payers);
	for (uint32_t closed = 0; closed < RELIEF_CLOSES; closed++) {
		struct connection *most = closed < payers.count ? payers.first[closed] : NULL;
		bool is_patient = turn->began_ns - turn->short_since_ns < SHORT_PATIENCE_NS;
		bool has_enough = turn->relieves ? round_is_over(turn, payers.leaving_bytes)
										 : is_patient && payers.leaving_bytes > 0;
		if (most == NULL || has_enough || !may_close(turn, most)) {
			if (turn->relieves) end_round(turn);
			turn->relief_ns = turn->began_ns + (most == NULL ? SHORT_PATIENCE_NS : RELIEF_PAUSE_NS);
			return;
		}
		turn->relieves = true;
		uint64_t held_bytes = connection_held_bytes(most);
		connection_close_for_memory(most);
		payers.leaving_bytes += held_bytes;
	}
}

uint64_t relief_rest_ns(const struct turn *turn, uint64_t now_ns) {
	if (turn->short_since_ns == 0) return UINT64_MAX;
	uint64_t at_ns = turn->has_relieved ? 0 : turn->short_since_ns + SHORT_PATIENCE_NS;
	if (turn->relief_ns > at_ns) at_ns = turn->relief_ns;
	return at_ns > now_ns ? at_ns - now_ns : RELIEF_PAUSE_NS;
}
