/* show_top.c: what the server does, line by line or on one screen: operations a second between two
 * looks, hit rate, for each pool how it is used and fragmented, and the load of the workers. On a
 * terminal the screen is drawn anew; else each look is printed below the last. */
#include "base/number_text.h"
#include "plain.h"
#include "show.h"
#include "units.h"

#include <poll.h>
#include <signal.h>
#include <snug/histogram.h>
#include <snug/workers.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t is_over;

static void on_signal(int number) {
	(void)number;
	is_over = 1;
}

/* ------------------------------------------------------------------ figures ---------------- */

struct worker_look {
	double cpu_ns, gets_hit, gets_missed, sets, items, turn_p99_ns;
};

struct look {
	double at_s; /* 0: there was none */
	double gets, hits, sets, evictions, read_bytes, written_bytes;
	unsigned workers;
	struct worker_look worker[SNUG_WORKERS_MAX];
};

static double now_s(void) {
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* "3:cpu_ns": the worker's figure; NULL: it is another one. */
static double *worker_figure(struct look *look, const char *name) {
	static const struct {
		const char *name;
		size_t offset;
	} figures[] = {{"cpu_ns", offsetof(struct worker_look, cpu_ns)},
				   {"get_hits", offsetof(struct worker_look, gets_hit)},
				   {"get_misses", offsetof(struct worker_look, gets_missed)},
				   {"cmd_set", offsetof(struct worker_look, sets)},
				   {"items", offsetof(struct worker_look, items)},
				   {"turn_p99_ns", offsetof(struct worker_look, turn_p99_ns)}};
	uint64_t worker;
	size_t digits = number_scan(name, strlen(name), 10, &worker);
	if (digits == 0 || name[digits] != ':' || worker >= SNUG_WORKERS_MAX) return NULL;
	for (size_t i = 0; i < sizeof figures / sizeof *figures; i++)
		if (strcmp(name + digits + 1, figures[i].name) == 0) {
			if (worker >= look->workers) look->workers = (unsigned)worker + 1;
			return (double *)(void *)((char *)&look->worker[worker] + figures[i].offset);
		}
	return NULL;
}

static struct look look_at(const struct reply *stats, const struct reply *metrics) {
	struct look look = {
		.at_s = now_s(),
		.gets = reply_number(stats, "cmd_get"),
		.hits = reply_number(stats, "get_hits"),
		.sets = reply_number(stats, "cmd_set"),
		.evictions = reply_number(stats, "evictions"),
		.read_bytes = reply_number(stats, "bytes_read"),
		.written_bytes = reply_number(stats, "bytes_written"),
	};
	for (size_t i = 0; i < metrics->field_count; i++) {
		double *figure = worker_figure(&look, metrics->fields[i].name);
		if (figure != NULL) (void)parse_real(metrics->fields[i].value, figure);
	}
	return look;
}

/* Between two looks; of the first one nothing is known. */
static double seconds_between(const struct look *before, const struct look *now) {
	return before->at_s == 0 ? 0 : now->at_s - before->at_s;
}

/* How much a second; a server that has started again begins at 0. */
static double rate(double now, double before, double seconds) {
	return seconds <= 0 || now < before ? 0 : (now - before) / seconds;
}

static struct unit_text rate_text(double now, double before, double seconds) {
	return seconds <= 0 ? (struct unit_text){"-"}
						: count_text((uint64_t)(rate(now, before, seconds) + 0.5));
}

static struct unit_text rate_bytes_text(double now, double before, double seconds) {
	return seconds <= 0 ? (struct unit_text){"-"}
						: bytes_text((uint64_t)rate(now, before, seconds));
}

static struct unit_text number(const struct reply *reply, const char *name) {
	return bytes_text((uint64_t)reply_number(reply, name));
}

/* ------------------------------------------------------------------ latency ---------------- */

#define PROBES 50

/* What a client waits for here, beside all others: the empty command, there and back, one at a
 * time. It touches no item and no counter of the cache's. */
static bool probe(struct link *link) {
	snug_histogram histogram;
	snug_histogram_init(&histogram);
	for (int i = 0; i < PROBES; i++) {
		struct reply reply;
		double begin_s = now_s();
		if (!link_ask(link, "mn", &reply)) return false;
		snug_histogram_add(&histogram, (uint64_t)((now_s() - begin_s) * 1e9));
		reply_free(&reply);
	}
	printf("latency of an empty command from here: median %s, worst of %d %s\n",
		   duration_text(snug_histogram_quantile(&histogram, .5)).text, PROBES,
		   duration_text(histogram.max).text);
	return true;
}

/* ------------------------------------------------------------------ the screen ------------- */

/* The sum over all workers of a pool's figure. */
static double pool_sum(const struct reply *metrics, const char *pool, const char *figure) {
	double sum = 0;
	char tail[64];
	snprintf(tail, sizeof tail, ":%s:%s", pool, figure);
	for (size_t i = 0; i < metrics->field_count; i++) {
		const char *colon = strchr(metrics->fields[i].name, ':');
		double value;
		if (colon != NULL && strcmp(colon, tail) == 0 &&
			parse_real(metrics->fields[i].value, &value))
			sum += value;
	}
	return sum;
}

static void print_pools(const struct reply *metrics) {
	static const char *const pools[] = {"small", "medium", "large"};
	printf("\n%-7s %11s %11s %11s %11s %11s %11s\n", "pool", "payload", "slabs", "internal",
		   "holes", "external", "reclaimable");
	for (size_t i = 0; i < sizeof pools / sizeof *pools; i++) {
		double slabs = pool_sum(metrics, pools[i], "slab_bytes"),
			   holes = pool_sum(metrics, pools[i], "hole_bytes");
		double payload = pool_sum(metrics, pools[i], "payload_bytes"),
			   slots = pool_sum(metrics, pools[i], "slot_bytes");
		printf("%-7s %11s %11s %11s %11s %11s %11s\n", pools[i], bytes_text((uint64_t)payload).text,
			   bytes_text((uint64_t)slabs).text,
			   share_text(slots > 0 ? 1 - payload / slots : 0).text,
			   bytes_text((uint64_t)holes).text, share_text(slabs > 0 ? holes / slabs : 0).text,
			   bytes_text((uint64_t)pool_sum(metrics, pools[i], "reclaimable_bytes")).text);
	}
}

static void print_rates(const struct reply *stats, const struct look *before,
						const struct look *now) {
	double seconds = seconds_between(before, now), gets = rate(now->gets, before->gets, seconds),
		   hits = rate(now->hits, before->hits, seconds);
	printf("gets/s %s   sets/s %s   hit rate %s   evictions/s %s\n",
		   rate_text(now->gets, before->gets, seconds).text,
		   rate_text(now->sets, before->sets, seconds).text,
		   gets > 0 ? share_text(hits / gets).text : "-",
		   rate_text(now->evictions, before->evictions, seconds).text);
	double refused =
		reply_number(stats, "store_no_memory") + reply_number(stats, "store_too_large");
	printf("in %s/s   out %s/s   stores refused so far %s\n",
		   rate_bytes_text(now->read_bytes, before->read_bytes, seconds).text,
		   rate_bytes_text(now->written_bytes, before->written_bytes, seconds).text,
		   count_text((uint64_t)refused).text);
}

/* ------------------------------------------------------------------ workers ---------------- */

#define WORKERS_SHOWN 5u /* so that a screen of 24 lines holds it all */

/* Which of them, in their order: all, or the busiest. */
static unsigned choose_workers(const struct look *before, const struct look *now,
							   unsigned chosen[WORKERS_SHOWN]) {
	bool is_taken[SNUG_WORKERS_MAX] = {false};
	unsigned count = now->workers < WORKERS_SHOWN ? now->workers : WORKERS_SHOWN, used = 0;
	for (unsigned taken = 0; taken < count; taken++) {
		unsigned best = 0;
		double most = -1;
		for (unsigned i = 0; i < now->workers; i++) {
			double busy = rate(now->worker[i].cpu_ns, before->worker[i].cpu_ns, 1);
			if (!is_taken[i] && busy > most) {
				most = busy;
				best = i;
			}
		}
		is_taken[best] = true;
	}
	for (unsigned i = 0; i < now->workers; i++)
		if (is_taken[i]) chosen[used++] = i;
	return used;
}

static void print_workers(const struct look *before, const struct look *now) {
	unsigned chosen[WORKERS_SHOWN], count = choose_workers(before, now, chosen);
	double seconds = seconds_between(before, now);
	printf("\n%-7s %11s %11s %11s %13s %11s\n", "worker", "busy", "gets/s", "sets/s", "items",
		   "turn p99");
	for (unsigned i = 0; i < count; i++) {
		const struct worker_look *is = &now->worker[chosen[i]], *was = &before->worker[chosen[i]];
		double busy = rate(is->cpu_ns, was->cpu_ns, seconds) / 1e9;
		printf("%-7u %11s %11s %11s %13s %11s\n", chosen[i],
			   seconds <= 0 ? "-" : share_text(busy).text,
			   rate_text(is->gets_hit + is->gets_missed, was->gets_hit + was->gets_missed, seconds)
				   .text,
			   rate_text(is->sets, was->sets, seconds).text, count_text((uint64_t)is->items).text,
			   duration_text((uint64_t)is->turn_p99_ns).text);
	}
	if (count < now->workers) printf("the %u busiest of %u workers\n", count, now->workers);
}

/* ------------------------------------------------------------------ a look ----------------- */

static void print_look(const struct reply *stats, const struct reply *metrics,
					   const struct look *before, const struct look *now) {
	const char *version = reply_value(stats, "snug_version");
	if (version == NULL) version = "?";
	fputs("snugd ", stdout);
	print_plain(stdout, version, strlen(version));
	double connections = reply_number(stats, "curr_connections"),
		   workers = reply_number(stats, "threads");
	printf("   up %s   %.0f connection%s   %.0f worker%s\n",
		   uptime_text((uint64_t)reply_number(stats, "uptime")).text, connections,
		   connections == 1 ? "" : "s", workers, workers == 1 ? "" : "s");
	printf("limit %s   committed %s   free within the limit %s\n"
		   "resident %s   buffers %s   items %s\n",
		   number(stats, "limit_maxbytes").text, number(stats, "snug_committed_bytes").text,
		   number(stats, "snug_available_bytes").text, number(stats, "snug_resident_bytes").text,
		   number(stats, "snug_buffer_bytes").text,
		   count_text((uint64_t)reply_number(stats, "curr_items")).text);
	printf("fragmentation: internal %s, external %s\nreclaimable %s   reclaimed so far %s\n",
		   share_text(reply_number(stats, "snug_internal_fragmentation")).text,
		   share_text(reply_number(stats, "snug_external_fragmentation")).text,
		   number(stats, "snug_reclaimable_bytes").text,
		   number(stats, "snug_reclaimed_bytes").text);
	print_rates(stats, before, now);
	print_pools(metrics);
	print_workers(before, now);
}

/* ------------------------------------------------------------------ the loop --------------- */

struct terminal {
	bool is_terminal;
	sigset_t waiting; /* the signals that are blocked while it waits for a key */
	struct termios before;
};

/* Keys come one by one, and are not shown. */
static void terminal_begin(struct terminal *terminal) {
	terminal->is_terminal = isatty(STDOUT_FILENO) && isatty(STDIN_FILENO) &&
							tcgetattr(STDIN_FILENO, &terminal->before) == 0;
	if (!terminal->is_terminal) return;
	struct termios raw = terminal->before;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	(void)tcsetattr(STDIN_FILENO, TCSANOW, &raw);
}

static void terminal_end(const struct terminal *terminal) {
	if (terminal->is_terminal) (void)tcsetattr(STDIN_FILENO, TCSANOW, &terminal->before);
}

/* SIGINT and SIGTERM are taken while it waits, and only then: one that came between the look and
 * the wait would be seen too late. */
static void signals_begin(struct terminal *terminal) {
	sigset_t ending;
	(void)sigemptyset(&ending);
	(void)sigaddset(&ending, SIGINT);
	(void)sigaddset(&ending, SIGTERM);
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	(void)sigprocmask(SIG_BLOCK, &ending, &terminal->waiting);
	(void)sigdelset(&terminal->waiting, SIGINT);
	(void)sigdelset(&terminal->waiting, SIGTERM);
}

/* Until the time has passed; a q ends it all. */
static void wait_for_key(const struct terminal *terminal, double seconds) {
	struct pollfd key = {.fd = terminal->is_terminal ? STDIN_FILENO : -1, .events = POLLIN};
	struct timespec timeout = {.tv_sec = (time_t)seconds,
							   .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9)};
	char letter;
	if (ppoll(&key, 1, &timeout, &terminal->waiting) > 0 && read(STDIN_FILENO, &letter, 1) == 1 &&
		letter == 'q')
		is_over = 1;
}

static bool look_once(struct link *link, struct look *before) {
	struct reply stats, metrics;
	if (!link_ask(link, "stats", &stats)) return false;
	bool ok = link_ask(link, "snug metrics", &metrics);
	if (ok) {
		struct look now = look_at(&stats, &metrics);
		print_look(&stats, &metrics, before, &now);
		ok = probe(link);
		*before = now;
		reply_free(&metrics);
	}
	reply_free(&stats);
	return ok;
}

int show_top(struct link *link, double interval_s, unsigned rounds) {
	struct terminal terminal = {0};
	struct look before = {0};
	bool ok = true;
	signals_begin(&terminal);
	terminal_begin(&terminal);
	for (unsigned round = 0; ok && !is_over && (rounds == 0 || round < rounds); round++) {
		if (terminal.is_terminal) fputs("\033[H\033[2J", stdout);
		ok = look_once(link, &before);
		if (terminal.is_terminal) puts("\nq ends");
		fflush(stdout);
		bool is_last = rounds > 0 && round + 1 == rounds;
		if (ok && !is_last) wait_for_key(&terminal, interval_s);
	}
	terminal_end(&terminal);
	return ok ? 0 : 3;
}
