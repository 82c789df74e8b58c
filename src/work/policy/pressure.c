/* work/policy/pressure.c: hysteresis, and the parsers of what the kernel writes.
 *
 * Each value has two thresholds, and the state between them is the one before: so a value that
 * trembles at one of them changes nothing.
 *
 *     off ----- some value crosses its start -----> on
 *     on  --- all values are back across stop ----> off
 *     on, and nothing can be gained: on, but no run (it would be begun for ever)
 *
 *     of a worker      reclaimable / slabs, available / limit: by what it has published
 *     of the machine   memory stalls (PSI), the cgroup's use / limit, and events, which only count
 *                      upward: new ones mean pressure, whatever the shares say
 *
 * Under pressure of the machine a run has no target, and returns what is free. Else it is to
 * reclaim what is missing to the stop, at least a page.
 *
 * SPARE memory, which nothing has used for some seconds, is a reason of its own, with a hysteresis
 * of its own (spare.h): such a run has no target either, and returns what is spare. It says nothing
 * about whether cleanup for the other reasons goes on.
 *
 * The texts are read strictly: what is not exactly what the kernel writes is not known, and what is
 * not known starts nothing. Numbers that do not fit are refused, not cut. */
#include "work/policy/pressure.h"

#include "base/bits.h"
#include "base/number_text.h"
#include "work/policy/spare.h"

#include <string.h>

#define MILLION UINT64_C(1000000)
#define UNIT_BYTES (UINT64_C(2) << 20) /* in which memory is returned */

/* ------------------------------------------------------------------ thresholds ------------- */

static bool are_shares(const snug_background *t) {
	const uint32_t shares[] = {
		t->start_reclaimable_ppm, t->stop_reclaimable_ppm, t->start_available_ppm,
		t->stop_available_ppm,    t->start_stall_ppm,      t->stop_stall_ppm,
		t->start_cgroup_ppm,      t->stop_cgroup_ppm,      t->duty_ppm};
	for (size_t index = 0; index < sizeof shares / sizeof shares[0]; index++) {
		if (shares[index] > MILLION) return false;
	}
	return true;
}

snug_error pressure_check(const snug_background *t) {
	if (!t->on) return SNUG_OK;
	bool ordered = t->start_reclaimable_ppm >= t->stop_reclaimable_ppm &&
				   t->start_available_ppm <= t->stop_available_ppm &&
				   t->start_stall_ppm >= t->stop_stall_ppm &&
				   t->start_cgroup_ppm >= t->stop_cgroup_ppm;
	return ordered && are_shares(t) && t->duty_ppm > 0 ? SNUG_OK : SNUG_ERROR_OPTION;
}

/* In double: whole figures times a million may not fit. */
static uint64_t share_ppm(uint64_t part, uint64_t whole) {
	return whole == 0 ? 0 : (uint64_t)((double)part / (double)whole * (double)MILLION);
}

static uint64_t share_of(uint64_t whole, uint32_t ppm) {
	return (uint64_t)((double)whole * ppm / (double)MILLION);
}

/* ------------------------------------------------------------------ the machine ------------ */

static uint64_t cgroup_share_ppm(const struct machine_sample *sample) {
	bool limited = sample->cgroup_known && sample->limit_bytes != CGROUP_NO_LIMIT;
	return limited ? share_ppm(sample->current_bytes, sample->limit_bytes) : 0;
}

bool machine_is_pressed(bool pressed, const snug_background *t, const struct machine_sample *sample,
						uint64_t events) {
	uint64_t stall_ppm = sample->stall_known ? sample->stall_ppm : 0;
	uint64_t cgroup_ppm = cgroup_share_ppm(sample);
	bool new_events = sample->events_known && sample->events > events;
	bool start = (sample->stall_known && stall_ppm >= t->start_stall_ppm) ||
				 (cgroup_ppm > 0 && cgroup_ppm >= t->start_cgroup_ppm) || new_events;
	bool stop = stall_ppm <= t->stop_stall_ppm && cgroup_ppm <= t->stop_cgroup_ppm && !new_events;
	return pressed ? !stop : start;
}

/* ------------------------------------------------------------------ the kernel's files ------ */

/* A decimal number; *end is what follows. False: none, or it does not fit. */
static bool parse_number(const char *text, uint64_t *number, const char **end) {
	size_t digits = number_scan(text, strlen(text), 10, number);
	*end = text + digits;
	return digits > 0;
}

static bool is_line_end(const char *text) {
	return *text == '\n' || *text == '\0';
}

/* The text after `prefix` at the beginning of a line; NULL: no such line. */
static const char *after_prefix(const char *text, const char *prefix) {
	size_t length = strlen(prefix);
	for (const char *line = text; line != NULL && *line != '\0';) {
		if (strncmp(line, prefix, length) == 0) return line + length;
		line = strchr(line, '\n');
		if (line != NULL) line++;
	}
	return NULL;
}

/* "some avg10=1.25 avg60=..." in per cent with two digits. */
bool parse_stall(const char *text, uint32_t *some_avg10_ppm) {
	const char *at = after_prefix(text, "some avg10=");
	uint64_t whole;
	uint64_t hundredths;
	if (at == NULL || !parse_number(at, &whole, &at) || *at != '.') return false;
	const char *fraction = at + 1;
	if (!parse_number(fraction, &hundredths, &at) || at - fraction != 2) return false;
	if (*at != ' ' && !is_line_end(at)) return false;
	if (whole > 100 || whole * 100 + hundredths > 10000) return false;
	*some_avg10_ppm = (uint32_t)(whole * 100 + hundredths) * 100;
	return true;
}

bool parse_cgroup_path(const char *text, char *path, size_t room) {
	const char *at = after_prefix(text, "0::");
	if (at == NULL || *at != '/') return false;
	size_t length = strcspn(at, "\n");
	if (length >= room) return false;
	memcpy(path, at, length);
	path[length] = '\0';
	return true;
}

bool parse_cgroup_bytes(const char *text, uint64_t *bytes) {
	const char *end = text + 3;
	uint64_t number = CGROUP_NO_LIMIT;
	if (strncmp(text, "max", 3) != 0 && !parse_number(text, &number, &end)) return false;
	if (!is_line_end(end)) return false;
	*bytes = number;
	return true;
}

bool parse_cgroup_events(const char *text, uint64_t *events) {
	static const char *const names[] = {"high ", "max ", "oom "};
	uint64_t sum = 0;
	for (size_t index = 0; index < sizeof names / sizeof names[0]; index++) {
		const char *at = after_prefix(text, names[index]);
		uint64_t number;
		if (at == NULL || !parse_number(at, &number, &at) || !is_line_end(at)) return false;
		sum += number;
	}
	*events = sum;
	return true;
}

/* ------------------------------------------------------------------ a worker --------------- */

/* How much must be reclaimed until all is back across `stop`; at least a page. */
static uint64_t missing_bytes(const snug_background *t, const snug_stats *stats) {
	uint64_t reclaimable_bytes = stats->total.reclaimable_bytes;
	uint64_t may_stay_bytes = share_of(stats->total.slab_bytes, t->stop_reclaimable_ppm);
	uint64_t must_be_bytes = share_of(stats->limit_bytes, t->stop_available_ppm);
	uint64_t missing = stats->page_bytes;
	if (reclaimable_bytes > may_stay_bytes + missing) missing = reclaimable_bytes - may_stay_bytes;
	if (must_be_bytes > stats->available_bytes + missing)
		missing = must_be_bytes - stats->available_bytes;
	return missing;
}

struct cleanup_wish cleanup_wish_of(bool on, const snug_background *t, const snug_stats *stats,
									bool pressed, uint64_t kept_bytes) {
	uint64_t reclaimable_ppm = share_ppm(stats->total.reclaimable_bytes, stats->total.slab_bytes);
	uint64_t available_ppm = share_ppm(stats->available_bytes, stats->limit_bytes);
	bool start =
		reclaimable_ppm >= t->start_reclaimable_ppm || available_ppm <= t->start_available_ppm;
	bool stop =
		reclaimable_ppm <= t->stop_reclaimable_ppm && available_ppm >= t->stop_available_ppm;
	struct cleanup_wish wish = {.on = pressed || (on ? !stop : start)};
	bool reclaims =
		stats->total.reclaimable_bytes >= stats->page_bytes && stats->total.reclaimable_bytes > 0;
	bool returns = pressed && stats->free_page_bytes >= UNIT_BYTES &&
				   stats->free_page_bytes - UNIT_BYTES >= t->retain_bytes;
	wish.spare = !pressed && spare_is_much(stats, kept_bytes);
	wish.run = (wish.on && (reclaims || returns)) || wish.spare;
	wish.target_bytes = pressed || wish.spare ? SNUG_NO_BUDGET : missing_bytes(t, stats);
	wish.retain_bytes = pressed ? t->retain_bytes : SNUG_NO_BUDGET;
	if (!wish.spare) return wish;
	snug_defragment_options options = {0};
	spare_set_return(&options, stats, kept_bytes);
	wish.retain_bytes = options.retain_bytes;
	wish.return_bytes = options.return_bytes;
	return wish;
}
