/* http/http_history.c: see http/http_history.h.
 *
 *     stats -> history_read -> look -> seconds   [ . . . . . 300 ]   each
 *                                  '-> minutes   [ . . . 1,440 ]     one in 60 s
 *
 * Who asks the workers wakes them. Each counts where something happens to it; where no count has
 * changed since the last look, no figure has but the time and what is resident. What changes without
 * (a limit, memory that a sleeper gives back), or in the moment of a look, is seen ten seconds later.
 *
 * A look that fails, because a worker does not answer, leaves a hole: times tell where it is. */
#include "http/http_history.h"

#include "base/assert.h"
#include "base/number_text.h"
#include "http/http_json.h"
#include "os/process_figures.h"

#include <string.h>

#define LOOK_NS NUMBER_SECOND_NS
#define MINUTE_NS (60 * NUMBER_SECOND_NS)
#define PATIENCE_NS (2 * NUMBER_SECOND_NS)
#define NS_A_MS UINT64_C(1000000)
#define PPM_DIGITS 6u
#define STILL_LOOKS_MAX 9u

static const struct {
	const char *name;
	bool is_share;
} figures[] = {
#define FIGURE(name, is_share) {#name, is_share},
	HISTORY_FIGURES(FIGURE)
#undef FIGURE
};

/* ------------------------------------------------------------------ rings ------------------ */

static void ring_init(struct history_ring *ring, struct history_look *looks, uint32_t room) {
	*ring = (struct history_ring){.looks = looks, .room = room};
}

static void ring_add(struct history_ring *ring, const struct history_look *look) {
	ring->looks[ring->end] = *look;
	ring->end = (ring->end + 1) % ring->room;
	if (ring->count < ring->room) ring->count++;
}

/* 0: the oldest. */
static const struct history_look *ring_at(const struct history_ring *ring, uint32_t index) {
	SNUG_ASSERT(index < ring->count);
	return &ring->looks[(ring->end + ring->room - ring->count + index) % ring->room];
}

void history_add(struct history *history, const struct history_look *look) {
	pthread_mutex_lock(&history->mutex);
	const struct history_ring *minutes = &history->minutes;
	bool is_first =
		minutes->count == 0 ||
		look->at_ns - ring_at(minutes, minutes->count - 1)->at_ns >= MINUTE_NS - LOOK_NS / 2;
	ring_add(&history->seconds, look);
	if (is_first) ring_add(&history->minutes, look);
	pthread_mutex_unlock(&history->mutex);
}

/* ------------------------------------------------------------------ reading ---------------- */

/* "0.250000": 250000. */
static bool read_share(const struct stat_line *line, uint64_t *ppm) {
	uint64_t whole, part;
	size_t digits = number_scan(line->value, line->value_length, 10, &whole);
	if (digits == 0 || line->value_length != digits + 1 + PPM_DIGITS ||
		line->value[digits] != '.' || !number_read(line->value + digits + 1, PPM_DIGITS, &part) ||
		whole > 1)
		return false;
	*ppm = whole * 1000000 + part;
	return true;
}

/* HISTORY_FIGURE_COUNT: it is none of them. */
static size_t figure_of(const struct stat_line *line) {
	size_t at = 0;
	while (at < HISTORY_FIGURE_COUNT &&
		   (line->name_length != strlen(figures[at].name) ||
			memcmp(line->name, figures[at].name, line->name_length) != 0))
		at++;
	return at;
}

bool history_read(const struct text *answer, struct history_look *out) {
	struct history_look look = {.at_ns = out->at_ns};
	struct stat_line line;
	bool has_uptime = false;
	if (answer->failed) return false;
	for (size_t at = 0; stat_next(answer, &at, &line);) {
		size_t figure = line.name == NULL ? HISTORY_FIGURE_COUNT : figure_of(&line);
		if (figure == HISTORY_FIGURE_COUNT) continue;
		bool is_read = figures[figure].is_share
						   ? read_share(&line, &look.figure[figure])
						   : number_read(line.value, line.value_length, &look.figure[figure]);
		if (!is_read) return false;
		has_uptime |= figure == HISTORY_uptime;
	}
	if (has_uptime) *out = look;
	return has_uptime;
}

/* ------------------------------------------------------------------ writing ---------------- */

static void write_column(const struct history_ring *ring, size_t figure, struct text *out) {
	text_print(out, ",\"%s\":[", figures[figure].name);
	for (uint32_t i = 0; i < ring->count; i++) {
		unsigned long long value = ring_at(ring, i)->figure[figure];
		if (figures[figure].is_share)
			text_print(out, "%s%llu.%06llu", i == 0 ? "" : ",", value / 1000000, value % 1000000);
		else
			text_print(out, "%s%llu", i == 0 ? "" : ",", value);
	}
	text_print(out, "]");
}

static void write_ring(const struct history_ring *ring, uint64_t now_ns, struct text *out) {
	text_print(out, "{\"ago_ms\":[");
	for (uint32_t i = 0; i < ring->count; i++) {
		uint64_t at_ns = ring_at(ring, i)->at_ns;
		text_print(out, "%s%llu", i == 0 ? "" : ",",
				   (unsigned long long)(now_ns > at_ns ? (now_ns - at_ns) / NS_A_MS : 0));
	}
	text_print(out, "]");
	for (size_t figure = 0; figure < HISTORY_FIGURE_COUNT; figure++)
		write_column(ring, figure, out);
	text_print(out, "}");
}

void history_write(struct history *history, uint64_t now_ns, struct text *out) {
	pthread_mutex_lock(&history->mutex);
	text_print(out, "{\"seconds\":");
	write_ring(&history->seconds, now_ns, out);
	text_print(out, ",\"minutes\":");
	write_ring(&history->minutes, now_ns, out);
	text_print(out, "}\n");
	pthread_mutex_unlock(&history->mutex);
}

/* ------------------------------------------------------------------ looking ---------------- */

static uint64_t stirred(const struct server *server) {
	uint64_t sum = 0;
	for (uint32_t i = 0; i < server->worker_count; i++)
		sum += atomic_load_explicit(&server->worker[i].stirred, memory_order_relaxed);
	return sum;
}

/* Asks the workers. False: they do not answer. */
static bool ask(struct history *history, struct history_look *out) {
	struct text answer = {0};
	asks_perform(&history->asks, true, "", PATIENCE_NS, &answer);
	out->at_ns = os_now_ns();
	bool is_read = history_read(&answer, out);
	text_deinit(&answer);
	history->last = *out;
	if (!is_read) history->last.at_ns = 0;
	history->stirred = stirred(history->asks.server); /* to be asked has stirred them */
	history->still_count = 0;
	return is_read;
}

/* What nobody has to be woken for. */
static struct history_look look_again(struct history *history) {
	const struct server *server = history->asks.server;
	struct history_look look = history->last;
	look.at_ns = os_now_ns();
	look.figure[HISTORY_uptime] = (look.at_ns - server->started.begun_ns) / NUMBER_SECOND_NS;
	look.figure[HISTORY_snug_resident_bytes] = os_resident_bytes();
	history->still_count++;
	return look;
}

static void look(struct history *history) {
	struct history_look seen = {0};
	bool is_still = history->last.at_ns != 0 && history->still_count < STILL_LOOKS_MAX &&
					history->stirred == stirred(history->asks.server);
	if (is_still) seen = look_again(history);
	if (is_still || ask(history, &seen)) history_add(history, &seen);
}

static void run(void *context) {
	struct history *history = context;
	os_thread_set_name("snug-history");
	while (history->is_stopping == 0) {
		uint64_t next_ns = os_deadline_ns(LOOK_NS);
		look(history);
		while (history->is_stopping == 0 && os_remaining_ns(next_ns) > 0)
			os_wait_on(&history->is_stopping, 0, os_remaining_ns(next_ns));
	}
}

void history_init(struct history *history, struct server *server) {
	pthread_mutex_init(&history->mutex, NULL);
	ring_init(&history->seconds, history->looks, HISTORY_SECONDS);
	ring_init(&history->minutes, history->looks + HISTORY_SECONDS, HISTORY_MINUTES);
	asks_init(&history->asks, server);
	history->is_stopping = 0;
	history->is_running = false;
	history->last = (struct history_look){0};
}

bool history_start(struct history *history) {
	history->is_running = os_thread_start(&history->thread, run, history);
	return history->is_running;
}

void history_stop(struct history *history) {
	if (!history->is_running) return;
	asks_stop(&history->asks);
	history->is_stopping = 1;
	os_wake(&history->is_stopping, 1);
	os_thread_join(&history->thread);
	history->is_running = false;
}

void history_deinit(struct history *history) {
	SNUG_ASSERT(!history->is_running);
	asks_deinit(&history->asks);
	pthread_mutex_destroy(&history->mutex);
}
