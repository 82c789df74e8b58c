/* server/doctor/doctor_checks.c: from figures to findings. See server/doctor/doctor.h.
 *
 * A check is a function that says nothing, or what is wrong, and a row of the table. It goes by
 * figures alone: no clock, no file, no server. A bound is where somebody would do something about it;
 * so what a healthy server has now and then is below. */
#include "base/number_text.h"
#include "server/doctor/doctor.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define NS_PER_S UINT64_C(1000000000)
#define MIB UINT64_C(1048576)

__attribute__((format(printf, 2, 3))) static void say(char *room, const char *format, ...) {
	va_list arguments;
	va_start(arguments, format);
	(void)vsnprintf(room, FINDING_ROOM, format, arguments);
	va_end(arguments);
}

static double share(uint64_t part, uint64_t whole) {
	return whole == 0 ? 0 : (double)part / (double)whole;
}

#define SIZE(bytes) number_size(bytes).text

/* "7 min" */
struct span_text {
	char text[24];
};

static struct span_text span_text(uint64_t ns) {
	struct span_text out;
	uint64_t s = ns / NS_PER_S;
	if (s < 120)
		(void)snprintf(out.text, sizeof out.text, "%" PRIu64 " s", s);
	else if (s < 2 * 3600)
		(void)snprintf(out.text, sizeof out.text, "%" PRIu64 " min", s / 60);
	else
		(void)snprintf(out.text, sizeof out.text, "%" PRIu64 " h", s / 3600);
	return out;
}

#define RECENT(figures) span_text((figures)->recent.at_ns).text

static const char *s(uint64_t count) {
	return count == 1 ? "" : "s";
}

/* ------------------------------------------------------------------ stores and memory ------ */

static bool no_room(const struct doctor_figures *figures, struct finding *out) {
	uint64_t count = figures->recent.no_memory;
	if (count == 0) return false;
	say(out->what, "%" PRIu64 " store%s refused in the last %s: no room within the limit of %s%s",
		count, s(count), RECENT(figures), SIZE(figures->limit_bytes),
		figures->no_eviction ? ", and nothing is evicted (-M)" : "");
	say(out->advice, "%s",
		figures->no_eviction ? "raise the limit (snugctl limit), delete items, or run without -M"
							 : "the items are large for the limit, or readers hold too much: raise "
							   "it (snugctl limit)");
	return true;
}

static bool too_large(const struct doctor_figures *figures, struct finding *out) {
	uint64_t count = figures->recent.too_large;
	if (count == 0) return false;
	say(out->what, "%" PRIu64 " store%s refused in the last %s: larger than an item may be, %s",
		count, s(count), RECENT(figures), SIZE(figures->item_max_bytes));
	say(out->advice, "raise -I, or store smaller values; watch for who stores them");
	return true;
}

/* A twentieth of the limit is what a cleanup by itself leaves at most. */
static bool evicts_beside_holes(const struct doctor_figures *figures, struct finding *out) {
	uint64_t count = figures->recent.evictions;
	if (count == 0 || share(figures->reclaimable_bytes, figures->limit_bytes) < .05) return false;
	say(out->what,
		"%" PRIu64 " item%s evicted in the last %s, while %s (%.0f %%) lie in holes between items",
		count, s(count), RECENT(figures), SIZE(figures->reclaimable_bytes),
		100 * share(figures->reclaimable_bytes, figures->limit_bytes));
	say(out->advice, "%s",
		figures->cleans_up ? "snugctl defrag; and more time for it: --defrag-duty"
						   : "snugctl defrag; --defrag on has it done by itself");
	return true;
}

static bool cleanup_off(const struct doctor_figures *figures, struct finding *out) {
	if (figures->cleans_up || share(figures->reclaimable_bytes, figures->limit_bytes) < .1)
		return false;
	say(out->what, "background cleanup is off, and %s (%.0f %% of the limit) could be reclaimed",
		SIZE(figures->reclaimable_bytes),
		100 * share(figures->reclaimable_bytes, figures->limit_bytes));
	say(out->advice, "snugctl defrag return; --defrag on has it done by itself");
	return true;
}

#define GETS_MIN 1000u

static bool fewer_hits(const struct doctor_figures *figures, struct finding *out) {
	const struct past *recent = &figures->recent, *before = &figures->before;
	if (recent->evictions == 0 || recent->gets < GETS_MIN || before->gets < GETS_MIN) return false;
	double now = share(recent->hits, recent->gets), then = share(before->hits, before->gets);
	if (now > then - .05) return false;
	say(out->what,
		"hits fell from %.1f %% to %.1f %% of gets in the last %s, while %" PRIu64
		" item%s evicted",
		100 * then, 100 * now, RECENT(figures), recent->evictions,
		recent->evictions == 1 ? " was" : "s were");
	say(out->advice, "what is used does not fit: raise the limit (snugctl limit), or look who "
					 "stores much (snugctl bigkeys)");
	return true;
}

/* Leases hold half of the limit at most; what more is asked is refused. */
static bool leases(const struct doctor_figures *figures, struct finding *out) {
	if (share(figures->leased_bytes, figures->limit_bytes) < .4) return false;
	say(out->what, "slow readers hold %s of large values, of %s at most: large gets are refused",
		SIZE(figures->leased_bytes), SIZE(figures->limit_bytes / 2));
	say(out->advice, "find them: snugctl clients has what each holds; -o idle_timeout closes who "
					 "says nothing");
	return true;
}

static bool limit_not_reached(const struct doctor_figures *figures, struct finding *out) {
	if (figures->limit_bytes <= figures->limit_goal_bytes || !figures->no_eviction) return false;
	say(out->what, "the limit is still %s and shall be %s: nothing is evicted for it (-M)",
		SIZE(figures->limit_bytes), SIZE(figures->limit_goal_bytes));
	say(out->advice, "delete items, or raise the limit again: until then stores are refused");
	return true;
}

/* ------------------------------------------------------------------ connections ------------ */

static bool too_many(const struct doctor_figures *figures, struct finding *out) {
	uint64_t count = figures->recent.too_many;
	if (count == 0) return false;
	say(out->what,
		"%" PRIu64 " connection%s turned away in the last %s: %" PRIu64 " may be open at a time",
		count, s(count), RECENT(figures), figures->connections_max);
	say(out->advice, "raise -c, or find who opens so many: snugctl clients");
	return true;
}

static bool almost_too_many(const struct doctor_figures *figures, struct finding *out) {
	if (figures->recent.too_many > 0 || share(figures->connections, figures->connections_max) < .9)
		return false;
	say(out->what, "%" PRIu64 " connections are open, and %" PRIu64 " may be", figures->connections,
		figures->connections_max);
	say(out->advice, "raise -c before clients are turned away");
	return true;
}

static bool connection_memory(const struct doctor_figures *figures, struct finding *out) {
	uint64_t closed = figures->recent.closed, away = figures->recent.not_opened;
	if (closed + away == 0) return false;
	say(out->what,
		"for memory %" PRIu64 " connection%s closed and %" PRIu64
		" turned away in the last %s: %s are for all of them",
		closed, s(closed), away, RECENT(figures), SIZE(figures->connection_memory_bytes));
	say(out->advice,
		"raise --connection-memory, or find who reads slowly: snugctl clients has what "
		"each holds");
	return true;
}

static bool backlog(const struct doctor_figures *figures, struct finding *out) {
	if (figures->listen_waiting < 8 || figures->listen_waiting * 2 < figures->listen_room)
		return false;
	say(out->what, "%" PRIu64 " connections wait to be accepted, where %" PRIu64 " can",
		figures->listen_waiting, figures->listen_room);
	say(out->advice, "raise -b and net.core.somaxconn; workers that are too busy need -t");
	return true;
}

static bool open_addresses(const struct doctor_figures *figures, struct finding *out) {
	if (figures->open_addresses == 0) return false;
	say(out->what, "%u address%s can be reached from elsewhere, and nobody is asked for a password",
		figures->open_addresses, figures->open_addresses == 1 ? "" : "es");
	say(out->advice, "--auth-file, or -l 127.0.0.1, or a firewall that lets in who may");
	return true;
}

#define PASSWORDS_MAX 20u

static bool passwords(const struct doctor_figures *figures, struct finding *out) {
	uint64_t count = figures->recent.auth_errors;
	if (count < PASSWORDS_MAX) return false;
	say(out->what, "%" PRIu64 " wrong passwords in the last %s", count, RECENT(figures));
	say(out->advice,
		"a client has an old one, or somebody tries: snugctl clients has the addresses");
	return true;
}

static bool handshakes(const struct doctor_figures *figures, struct finding *out) {
	uint64_t count = figures->recent.handshake_errors;
	if (count < PASSWORDS_MAX) return false;
	say(out->what, "%" PRIu64 " handshakes of TLS failed in the last %s", count, RECENT(figures));
	say(out->advice, "the log says why: a client without TLS, or a certificate it does not trust");
	return true;
}

#define CERTIFICATE_S (14 * 86400)

static bool certificate(const struct doctor_figures *figures, struct finding *out) {
	int64_t valid_s = figures->certificate_valid_s;
	if (!figures->has_certificate || valid_s >= CERTIFICATE_S) return false;
	if (valid_s <= 0)
		say(out->what, "the server's certificate has expired");
	else
		say(out->what, "the server's certificate expires in %s",
			span_text((uint64_t)valid_s * NS_PER_S).text);
	say(out->advice, "put a new one in its place; SIGHUP or refresh_certs reads it");
	return true;
}

/* ------------------------------------------------------------------ the machine ------------ */

#define LATE_STEPS_MAX 100u

static bool late_steps(const struct doctor_figures *figures, struct finding *out) {
	uint64_t count = figures->recent.late_steps;
	if (count < LATE_STEPS_MAX) return false;
	say(out->what,
		"%" PRIu64 " steps of defragmentations took more than twice their time in the "
		"last %s",
		count, RECENT(figures));
	say(out->advice, "the processors are shared with others, or swap: give snugd its own, or fewer "
					 "workers (-t)");
	return true;
}

#define BUSY .9

static bool is_busy(const struct doctor_figures *figures) {
	return figures->recent.at_ns >= 10 * NS_PER_S && figures->workers > 0 &&
		   share(figures->recent.cpu_ns, figures->workers * figures->recent.at_ns) >= BUSY;
}

static bool busy(const struct doctor_figures *figures, struct finding *out) {
	if (!is_busy(figures)) return false;
	say(out->what, "the workers used %.0f %% of their processors in the last %s",
		100 * share(figures->recent.cpu_ns, figures->workers * figures->recent.at_ns),
		RECENT(figures));
	say(out->advice, "more workers (-t) where there are processors; else more servers");
	return true;
}

/* One of them alone is at its end. */
static bool uneven(const struct doctor_figures *figures, struct finding *out) {
	uint64_t span_ns = figures->recent.at_ns;
	if (span_ns < 10 * NS_PER_S || figures->workers < 2 || is_busy(figures)) return false;
	double most = share(figures->busiest_cpu_ns, span_ns),
		   mean = share(figures->recent.cpu_ns, figures->workers * span_ns);
	if (most < .7 || most < 1.5 * mean) return false;
	say(out->what,
		"worker %u used %.0f %% of a processor in the last %s, all of them %.0f %% on "
		"average",
		figures->busiest_worker, 100 * most, RECENT(figures), 100 * mean);
	say(out->advice, "few connections do most, or few keys are asked for most: snugctl hotkeys");
	return true;
}

static bool beyond_machine(const struct doctor_figures *figures, struct finding *out) {
	if (figures->promised_bytes <= figures->machine_bytes) return false;
	say(out->what,
		"the limit and what connections may hold are %s, and the machine or cgroup has %s",
		SIZE(figures->promised_bytes), SIZE(figures->machine_bytes));
	say(out->advice, "a lower limit (snugctl limit), --memory-max or --connection-memory");
	return true;
}

static bool machine_short(const struct doctor_figures *figures, struct finding *out) {
	if (!figures->is_machine_short) return false;
	say(out->what, "the machine, or the cgroup, is short of memory");
	say(out->advice, "a lower limit (snugctl limit), or give back now: snugctl emergency BYTES");
	return true;
}

static bool swapped(const struct doctor_figures *figures, struct finding *out) {
	if (figures->swapped_bytes < MIB) return false;
	say(out->what, "%s of the server are swapped out: who asks for them waits for a disk",
		SIZE(figures->swapped_bytes));
	say(out->advice, "a lower limit, no swap for it (MemorySwapMax=0), or -k");
	return true;
}

/* Programs, libraries and stacks take some; what is beyond is lost or held by a library. */
static bool resident(const struct doctor_figures *figures, struct finding *out) {
	uint64_t usual_bytes = figures->accounted_bytes + figures->accounted_bytes / 4 + 64 * MIB;
	if (figures->resident_bytes <= usual_bytes) return false;
	say(out->what, "the process has %s resident, and knows of %s", SIZE(figures->resident_bytes),
		SIZE(figures->accounted_bytes));
	say(out->advice, "snugctl memory shows what it knows of; report it, with that and the log");
	return true;
}

static bool file_room(const struct doctor_figures *figures, struct finding *out) {
	if (!figures->has_file || figures->file_bytes >= figures->limit_goal_bytes) return false;
	uint64_t growth_bytes = figures->limit_goal_bytes - figures->file_bytes;
	if (figures->file_free_bytes >= growth_bytes) return false;
	say(out->what, "the memory file may grow by %s, and where it lies %s are free",
		SIZE(growth_bytes), SIZE(figures->file_free_bytes));
	say(out->advice, "a larger tmpfs (mount -o remount,size=..), or a lower limit: snugctl limit");
	return true;
}

static bool began_anew(const struct doctor_figures *figures, struct finding *out) {
	if (figures->anew_reason == NULL) return false;
	say(out->what, "what the memory file held is gone: %s", figures->anew_reason);
	say(out->advice,
		"before -t or --hash-secret changes: snugctl dump; after the start: snugctl load");
	return true;
}

#define CLOCK_S 60

static bool clock_set(const struct doctor_figures *figures, struct finding *out) {
	int64_t by_s = figures->clock_set_s;
	if (by_s > -CLOCK_S && by_s < CLOCK_S) return false;
	say(out->what, "the machine's clock was set %s by %s since the start",
		by_s < 0 ? "back" : "forward",
		span_text((uint64_t)(by_s < 0 ? -by_s : by_s) * NS_PER_S).text);
	say(out->advice, "items that expire at a date do so by the clock as it was when they were "
					 "stored; look after the machine's time");
	return true;
}

static bool log_dropped(const struct doctor_figures *figures, struct finding *out) {
	if (figures->log_dropped == 0) return false;
	say(out->what, "%" PRIu64 " log line%s dropped since the start: nobody read them in time",
		figures->log_dropped, s(figures->log_dropped));
	say(out->advice, "see what reads standard error, or say less: snugctl verbosity 0");
	return true;
}

/* ------------------------------------------------------------------ all of them ------------ */

/* What costs clients most is first. */
static const struct {
	const char *name;
	bool (*check)(const struct doctor_figures *figures, struct finding *out);
} checks[] = {
	{"no_room", no_room},
	{"too_many_connections", too_many},
	{"connection_memory", connection_memory},
	{"certificate", certificate},
	{"swapped", swapped},
	{"beyond_machine", beyond_machine},
	{"machine_short", machine_short},
	{"file_room", file_room},
	{"began_anew", began_anew},
	{"open_addresses", open_addresses},
	{"limit_not_reached", limit_not_reached},
	{"too_large", too_large},
	{"evicts_beside_holes", evicts_beside_holes},
	{"fewer_hits", fewer_hits},
	{"leases", leases},
	{"busy", busy},
	{"uneven", uneven},
	{"backlog", backlog},
	{"almost_too_many", almost_too_many},
	{"late_steps", late_steps},
	{"resident", resident},
	{"cleanup_off", cleanup_off},
	{"passwords", passwords},
	{"handshakes", handshakes},
	{"clock_set", clock_set},
	{"log_dropped", log_dropped},
};

size_t doctor_checks(void) {
	return sizeof checks / sizeof *checks;
}

size_t doctor_find(const struct doctor_figures *figures, struct finding *out, size_t room) {
	size_t count = 0;
	for (size_t i = 0; i < doctor_checks() && count < room; i++) {
		if (!checks[i].check(figures, &out[count])) continue;
		out[count].check = checks[i].name;
		count++;
	}
	return count;
}
