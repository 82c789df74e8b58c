/* server/errand/errand_clients.c: `snug clients` and `snug clients kill`.
 *
 *     clients [WHICH] [after ID]   each connection that is meant, a page of CLIENTS_A_PAGE; "next" is the
 *                                  ID that the next page begins after
 *     clients kill WHICH           closes them, and says how many
 *
 *     WHICH   ID              one; it comes round after 2^32 clients of one worker
 *             HOST:PORT       whose address that is, as it is told
 *             user NAME       who has said that he is that
 *             idle SECONDS    who has said nothing for so long
 *
 * Each worker looks at its own, CLIENTS_A_SLICE in a slice, and tells of them at once: so a page is of
 * no one instant. Connections come and go meanwhile; each that stays is told of once, for new ones
 * come before the first.
 *
 * KILL. Who asks is not closed, unless by his ID: then he has his answer first. What a client was
 * being sent is lost to him, as when he is idle for too long. */
#include "server/errand/errand_clients.h"

#include "server/errand/errand_parts.h"

#include <string.h>

#define CLIENTS_A_SLICE 48u /* some 100 us */
#define CLOSES_A_SLICE 16u  /* the same: a close is a call of the system */

struct clients_errand {
	struct errand errand; /* must be the first */
	struct clients clients;
	bool has_begun;       /* with the worker that is visited: */
	struct clients begun; /* as they were; its texts are not its own */
};

static struct clients_errand *clients_of(struct errand *errand) {
	return (struct clients_errand *)(void *)errand;
}

/* ------------------------------------------------------------------ visits ----------------- */

/* None of this worker's is meant. */
static bool passes_over(const struct clients *clients, const struct server_worker *worker) {
	uint32_t count = worker->server->worker_count;
	if (clients->has_more || clients->text.failed) return true;
	if (clients->by == CLIENTS_ID && clients->id % count != worker->index) return true;
	return clients->after % count > worker->index;
}

/* Whoever lost his place in the list begins again with this worker. What is closed is closed. */
static void begin_again(struct clients_errand *self) {
	struct clients *clients = &self->clients;
	clients->text.length = self->begun.text.length;
	clients->told = self->begun.told;
	clients->last = self->begun.last;
	clients->has_more = false;
}

static void visit(struct errand *errand, struct server_worker *worker) {
	struct clients_errand *self = clients_of(errand);
	struct clients *clients = &self->clients;
	bool holds;
	if (passes_over(clients, worker)) return;
	if (!slice_begin(&worker->describe_slices, errand, worker, &holds)) return;
	clients->asker = errand->asker;
	bool goes_on = holds && self->has_begun;
	if (!self->has_begun) self->begun = *clients;
	if (!goes_on) begin_again(self);
	self->has_begun = worker->clients(worker, !goes_on,
									  clients->closes ? CLOSES_A_SLICE : CLIENTS_A_SLICE, clients);
	slice_end(&worker->describe_slices, errand, worker, !self->has_begun);
}

/* ------------------------------------------------------------------ answers ---------------- */

static bool is_one_client(const struct clients *clients) {
	return clients->by == CLIENTS_ID || clients->by == CLIENTS_ADDRESS;
}

static void say_none(const struct clients *clients, struct text *out) {
	if (clients->by == CLIENTS_ID)
		text_print(out, "CLIENT_ERROR no client has the ID %llu\r\n",
				   (unsigned long long)clients->id);
	else if (clients->by == CLIENTS_ADDRESS)
		text_print(out, "CLIENT_ERROR no client has the address %.*s\r\n", (int)clients->word_bytes,
				   clients->word);
	else
		text_print(out, "CLIENT_ERROR no client has said that he is user %.*s\r\n",
				   (int)clients->word_bytes, clients->word);
}

static void answer_list(struct errand *errand, struct text *out) {
	struct clients *clients = &clients_of(errand)->clients;
	if (clients->told == 0 && is_one_client(clients) && clients->after == 0 &&
		!clients->text.failed) {
		say_none(clients, out);
		return;
	}
	text_move(out, &clients->text);
	stat_u64(out, "clients", clients->told);
	if (clients->has_more) stat_u64(out, "next", clients->last);
	text_say(out, "END");
}

/* Nobody is idle for so long: that is no mistake. */
static void answer_kill(struct errand *errand, struct text *out) {
	const struct clients *clients = &clients_of(errand)->clients;
	/* who was not looked at, for want of memory for his address, may be meant */
	out->failed |= clients->text.failed;
	if (clients->closed == 0 && !clients->has_spared_asker && clients->by != CLIENTS_IDLE) {
		say_none(clients, out);
		return;
	}
	errand->ends_asker = clients->has_closed_asker;
	stat_u64(out, "closed", clients->closed);
	if (clients->has_spared_asker)
		stat_text(out, "spared", "this connection, which only its ID closes");
	text_say(out, "END");
}

static void destroy(struct errand *errand) {
	struct clients *clients = &clients_of(errand)->clients;
	text_deinit(&clients->text);
	text_deinit(&clients->address);
	errand_free(errand);
}

/* ------------------------------------------------------------------ what was asked --------- */

static bool take_word(const struct line *words, size_t at, struct clients *clients) {
	if (at >= words->count || words->word[at].length > CLIENTS_WORD_BYTES_MAX) return false;
	clients->word_bytes = (uint32_t)words->word[at].length;
	memcpy(clients->word, words->word[at].bytes, clients->word_bytes);
	return true;
}

/* Takes WHICH, if there is one; tells where it ends, 0: it is wrong. An address has a colon. */
static size_t take_which(const struct line *words, size_t at, struct clients *clients) {
	if (at >= words->count || words_is(words, at, "after")) return at;
	if (words_is(words, at, "user")) {
		clients->by = CLIENTS_USER;
		return take_word(words, at + 1, clients) ? at + 2 : 0;
	}
	if (words_is(words, at, "idle")) {
		clients->by = CLIENTS_IDLE;
		return words_seconds(words, at + 1, &clients->idle_s) ? at + 2 : 0;
	}
	if (words_number(words, at, &clients->id)) {
		clients->by = CLIENTS_ID;
		return at + 1;
	}
	clients->by = CLIENTS_ADDRESS;
	if (!take_word(words, at, clients)) return 0;
	return memchr(clients->word, ':', clients->word_bytes) != NULL ? at + 1 : 0;
}

static bool take(const struct line *words, struct clients *clients) {
	clients->closes = words_is(words, 1, "kill");
	size_t begin = clients->closes ? 2 : 1, at = take_which(words, begin, clients);
	if (clients->closes) return at > begin && at == words->count;
	if (at > 0 && words_is(words, at, "after"))
		at = words_number(words, at + 1, &clients->after) && clients->after > 0 ? at + 2 : 0;
	return at > 0 && at == words->count;
}

struct errand *errand_clients(struct server *server, const struct line *words, struct text *out) {
	struct clients clients = {0};
	if (!take(words, &clients)) {
		text_say(out, clients.closes ? "CLIENT_ERROR usage: snug clients kill "
									   "ID|HOST:PORT|user NAME|idle SECONDS"
									 : "CLIENT_ERROR usage: snug clients "
									   "[ID|HOST:PORT|user NAME|idle SECONDS] [after ID]");
		return NULL;
	}
	struct clients_errand *self = errand_new(server, sizeof *self, out);
	if (self == NULL) return NULL;
	self->clients = clients;
	self->clients.text.account = out->account;
	self->errand.visit = visit;
	self->errand.answer = clients.closes ? answer_kill : answer_list;
	self->errand.destroy = destroy;
	return &self->errand;
}
