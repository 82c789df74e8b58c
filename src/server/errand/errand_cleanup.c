/* server/errand/errand_cleanup.c: what `snug` asks of the coordinator: estimate, defrag, emergency,
 * schedule(s), cancel, report.
 *
 *     words -> snug_request -> submit: a ticket -> poll .. poll -> snug_response -> STAT lines
 *
 * The errand is a ticket that is looked at until its result is there. It visits no worker: the
 * coordinator does. If the client goes meanwhile, the work goes on, and `snug report` tells of it.
 *
 * Laws    - A request is read whole before it is made: one that is wrong does nothing.
 *         - The answer tells what was done, also if that was less than was asked for; the line
 *           `result` says so, and `why` tells the first reason that applies.
 *         - CLIENT_ERROR is what the client can mend, SERVER_ERROR what he cannot.
 *         - What only reads (schedules, report) is answered at once, by a copy of the
 *           coordinator's. */
#include "server/errand/errand_parts.h"

#include "base/number_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct cleanup {
	struct errand errand; /* must be the first */
	snug_ticket ticket;
	snug_request_kind kind;
	uint64_t asked_bytes; /* EMERGENCY */
	bool may_evict;       /* the same */
	snug_error error;     /* of taking the result */
	snug_response response;
};

static struct cleanup *cleanup_of(struct errand *errand) {
	return (struct cleanup *)(void *)errand;
}

/* ------------------------------------------------------------------ answers ---------------- */

static void refuse(struct text *out, snug_error error) {
	bool is_mistake = error == SNUG_ERROR_OPTION || error == SNUG_ERROR_BUDGET_ZERO ||
					  error == SNUG_ERROR_GOAL || error == SNUG_ERROR_SCHEDULE ||
					  error == SNUG_ERROR_TICKET;
	text_print(out, "%s %s\r\n", is_mistake ? "CLIENT_ERROR" : "SERVER_ERROR",
			   snug_error_text(error));
}

static const char *estimate_text(const snug_estimate_report *estimate) {
	if (estimate->outcome == SNUG_OUTCOME_DONE) return "something to gain";
	if (estimate->returnable_bytes > 0) return "nothing to gain, but free memory to return";
	return snug_outcome_text(estimate->outcome);
}

static void say_estimate(const snug_estimate_report *estimate, struct text *out) {
	stat_u64(out, "free_bytes", estimate->free_bytes);
	stat_u64(out, "reclaimable_bytes", estimate->reclaimable_bytes);
	stat_u64(out, "evictable_bytes", estimate->evictable_bytes);
	stat_u64(out, "coalesce_bytes", estimate->coalesce_bytes);
	stat_u64(out, "moves", estimate->moves);
	stat_u64(out, "move_bytes", estimate->move_bytes);
	stat_u64(out, "returnable_bytes", estimate->returnable_bytes);
	stat_u64(out, "relocate_bytes", estimate->relocate_bytes);
	stat_u64(out, "steps", estimate->steps);
	stat_u64(out, "predicted_ns", estimate->predicted_ns);
	stat_u64(out, "longest_step_ns", estimate->longest_step_ns);
	stat_u64(out, "pinned_bytes", estimate->pinned_bytes);
	stat_u64(out, "unmovable_bytes", estimate->unmovable_bytes);
	stat_text(out, "outcome", estimate_text(estimate));
}

/* Why an emergency returned less than was asked for. The first that applies. */
static const char *why_short(const struct cleanup *cleanup) {
	const snug_report *report = &cleanup->response.report;
	if (cleanup->response.error == SNUG_ERROR_GOAL)
		return cleanup->may_evict
				   ? "all that could be evicted would not give so much: nothing was changed"
				   : "so much is not free, nor to be had by compacting: nothing was changed";
	if (cleanup->response.error != SNUG_ERROR_NO_MEMORY) return "it was ended before it was done";
	if (report->returns_refused > 0)
		return "the system does not take memory back: it is locked, perhaps";
	if (report->pinned_objects > 0) return "items that are being sent or stored are in the way";
	if (!cleanup->may_evict)
		return "compacting gave less than it might have: only evicting would give more";
	return "what was stored meanwhile has taken it";
}

static void say_emergency(const struct cleanup *cleanup, struct text *out) {
	const snug_response *response = &cleanup->response;
	stat_u64(out, "asked_bytes", cleanup->asked_bytes);
	stat_u64(out, "possible_bytes", response->possible_bytes);
	stat_u64(out, "evicted_items", response->evicted_objects);
	if (response->error) stat_text(out, "why", why_short(cleanup));
}

static const char *result_text(snug_request_kind kind, snug_error error) {
	if (error == SNUG_OK) return "ok";
	if (kind == SNUG_REQUEST_EMERGENCY && error == SNUG_ERROR_GOAL)
		return "refused: so much cannot be returned";
	if (kind == SNUG_REQUEST_EMERGENCY && error == SNUG_ERROR_NO_MEMORY)
		return "less than was asked for";
	return snug_error_text(error);
}

static void say_report(const struct cleanup *cleanup, struct text *out) {
	const snug_response *response = &cleanup->response;
	const snug_report *report = &response->report;
	stat_text(out, "result", result_text(cleanup->kind, response->error));
	if (cleanup->kind == SNUG_REQUEST_EMERGENCY) say_emergency(cleanup, out);
	stat_text(out, "outcome", snug_outcome_text(report->outcome));
	stat_text(out, "complete", response->complete ? "yes" : "no");
	stat_text(out, "joined", response->joined ? "yes" : "no");
	stat_u64(out, "reclaimed_bytes", report->reclaimed_bytes);
	stat_u64(out, "coalesced_bytes", report->coalesced_bytes);
	stat_u64(out, "returned_bytes", report->returned_bytes);
	stat_u64(out, "evicted_bytes", response->evicted_bytes);
	stat_u64(out, "moved_objects", report->moved_objects);
	stat_u64(out, "moved_bytes", report->moved_bytes);
	stat_u64(out, "relocated_bytes", report->relocated_bytes);
	stat_u64(out, "released_slabs", report->released_slabs);
	stat_u64(out, "pinned_objects", report->pinned_objects);
	stat_u64(out, "pinned_bytes", report->pinned_bytes);
	stat_u64(out, "unmovable_bytes", report->unmovable_bytes);
	stat_ppm(out, "external_fragmentation_before", report->before.total.external_fragmentation);
	stat_ppm(out, "external_fragmentation_after", report->after.total.external_fragmentation);
	stat_u64(out, "steps", report->steps);
	stat_u64(out, "longest_step_ns", report->longest_step_ns);
	stat_u64(out, "late_steps", report->late_steps);
	stat_u64(out, "work_ns", report->work_ns);
	stat_u64(out, "total_ns", response->total_ns);
}

static bool is_ready(struct errand *errand) {
	struct cleanup *cleanup = cleanup_of(errand);
	cleanup->error = snug_coordinator_poll(errand->server->coordinator, cleanup->ticket,
										   &cleanup->response, NULL, NULL);
	return cleanup->error != SNUG_ERROR_TIMED_OUT;
}

/* What was reclaimed is told even if it was less than was asked for: the result line says so. */
static void answer(struct errand *errand, struct text *out) {
	const struct cleanup *cleanup = cleanup_of(errand);
	const snug_response *response = &cleanup->response;
	if (cleanup->error) {
		refuse(out, cleanup->error);
		return;
	}
	if (cleanup->kind == SNUG_REQUEST_SCHEDULE || cleanup->kind == SNUG_REQUEST_CANCEL) {
		if (response->error)
			refuse(out, response->error);
		else if (cleanup->kind == SNUG_REQUEST_CANCEL)
			text_say(out, "OK");
		else
			text_print(out, "STAT schedule %llu\r\nEND\r\n",
					   (unsigned long long)response->schedule);
		return;
	}
	if (cleanup->kind == SNUG_REQUEST_ESTIMATE)
		say_estimate(&response->estimate, out);
	else
		say_report(cleanup, out);
	text_say(out, "END");
}

static struct errand *submit(struct server *server, const snug_request *request, struct text *out) {
	struct cleanup *cleanup = errand_new(server, sizeof *cleanup, out);
	if (cleanup == NULL) return NULL;
	cleanup->errand.is_ready = is_ready;
	cleanup->errand.answer = answer;
	cleanup->kind = request->kind;
	cleanup->asked_bytes = request->min_bytes;
	cleanup->may_evict = request->may_evict;
	snug_error error = snug_coordinator_submit(server->coordinator, request, &cleanup->ticket);
	if (!error) return &cleanup->errand;
	errand_free(&cleanup->errand);
	refuse(out, error);
	return NULL;
}

/* ------------------------------------------------------------------ commands --------------- */

static struct errand *usage(struct text *out, const char *form) {
	text_print(out, "CLIENT_ERROR usage: snug %s\r\n", form);
	return NULL;
}

static bool take_mode(const struct line *words, size_t *at, snug_request *request) {
	if (words_is(words, *at, "compact") || words_is(words, *at, "coalesce")) {
		request->options.mode = words_is(words, *at, "coalesce") ? SNUG_COALESCE : SNUG_COMPACT;
		++*at;
	}
	return true;
}

static struct errand *estimate(struct server *server, const struct line *words, struct text *out) {
	snug_request request = snug_request_default(SNUG_REQUEST_ESTIMATE);
	size_t at = 1;
	take_mode(words, &at, &request);
	if (at != words->count) return usage(out, "estimate [coalesce|compact]");
	return submit(server, &request, out);
}

static struct errand *defragment(struct server *server, const struct line *words,
								 struct text *out) {
	snug_request request = snug_request_default(SNUG_REQUEST_DEFRAGMENT);
	size_t at = 1;
	bool right = take_mode(words, &at, &request);
	while (right && at < words->count) {
		uint64_t number;
		if (words_is(words, at, "return")) {
			request.options.retain_bytes = 0;
			at++;
			continue;
		}
		right = true;
		if (words_is(words, at, "bytes") && words_bytes(words, at + 1, &number))
			request.options.budget_bytes = number;
		else if (words_is(words, at, "ms") && words_number(words, at + 1, &number) &&
				 number < UINT64_MAX / 1000000)
			request.options.budget_ns = number * 1000000;
		else
			right = false;
		at += 2;
	}
	if (!right) return usage(out, "defrag [coalesce|compact] [bytes N] [ms N] [return]");
	return submit(server, &request, out);
}

static struct errand *emergency(struct server *server, const struct line *words, struct text *out) {
	snug_request request = snug_request_default(SNUG_REQUEST_EMERGENCY);
	bool evict = words_is(words, 2, "evict");
	if (!words_bytes(words, 1, &request.min_bytes) || words->count > (evict ? 3u : 2u))
		return usage(out, "emergency BYTES [evict]");
	if (evict && server->settings.no_eviction) {
		text_say(out, "CLIENT_ERROR snugd was started with -M: nothing is evicted");
		return NULL;
	}
	request.may_evict = evict;
	return submit(server, &request, out);
}

/* HH:MM, as a minute of the day; 24:00 is its end. */
static bool take_minute(const char *bytes, uint16_t *minute) {
	uint64_t hours, minutes;
	if (!number_read(bytes, 2, &hours) || bytes[2] != ':' || !number_read(bytes + 3, 2, &minutes))
		return false;
	if (minutes > 59 || hours * 60 + minutes > SNUG_MINUTES_A_DAY) return false;
	*minute = (uint16_t)(hours * 60 + minutes);
	return true;
}

static bool take_window(const struct line *words, size_t at, snug_window *window) {
	if (at >= words->count || words->word[at].length != 11 || words->word[at].bytes[5] != '-')
		return false;
	return take_minute(words->word[at].bytes, &window->from_minute) &&
		   take_minute(words->word[at].bytes + 6, &window->to_minute);
}

static struct errand *schedule(struct server *server, const struct line *words, struct text *out) {
	static const char form[] = "schedule HH:MM-HH:MM|every TIME [target PERCENT]";
	snug_request request = snug_request_default(SNUG_REQUEST_SCHEDULE);
	uint64_t number;
	size_t at = 2;
	if (words_is(words, 1, "every")) {
		if (!words_seconds(words, 2, &number) || number == 0 || number > UINT32_MAX)
			return usage(out, form);
		request.schedule.interval_ns = number * NUMBER_SECOND_NS;
		at = 3;
	} else {
		if (!take_window(words, 1, &request.schedule.windows[0])) return usage(out, form);
		request.schedule.window_count = 1;
	}
	if (words_is(words, at, "target")) {
		if (!words_share(words, at + 1, &number) || number >= 100 * NUMBER_PPM_PER_CENT)
			return usage(out, form);
		request.schedule.target_fragmentation_ppm = (uint32_t)number;
		at += 2;
	}
	if (at != words->count) return usage(out, form);
	return submit(server, &request, out);
}

static void say_when(const snug_schedule *schedule, struct text *out) {
	if (schedule->window_count == 0)
		text_print(out, " every %llu s", (unsigned long long)(schedule->interval_ns / 1000000000));
	for (uint32_t i = 0; i < schedule->window_count; i++) {
		const snug_window *window = &schedule->windows[i];
		text_print(out, " %02u:%02u-%02u:%02u", window->from_minute / 60, window->from_minute % 60,
				   window->to_minute / 60, window->to_minute % 60);
	}
}

static void say_schedule(const snug_schedule_entry *entry, struct text *out) {
	char name[24];
	snprintf(name, sizeof name, "%llu", (unsigned long long)entry->name);
	text_print(out, "STAT %s:when", name);
	say_when(&entry->schedule, out);
	text_print(out, "\r\nSTAT %s:target_percent %g\r\n", name,
			   (double)entry->schedule.target_fragmentation_ppm / NUMBER_PPM_PER_CENT);
	text_print(out, "STAT %s:running %s\r\n", name, entry->running != 0 ? "yes" : "no");
	text_print(out, "STAT %s:runs %llu\r\n", name, (unsigned long long)entry->runs);
	text_print(out, "STAT %s:left_out %llu\r\n", name, (unsigned long long)entry->left_out);
	text_print(out, "STAT %s:reclaimed_bytes %llu\r\n", name,
			   (unsigned long long)entry->reclaimed_bytes);
	text_print(out, "STAT %s:last_time %lld\r\n", name, (long long)entry->last_s);
	if (entry->runs > 0)
		text_print(out, "STAT %s:last_result %s\r\n", name,
				   entry->last_error == SNUG_OK ? "ok" : snug_error_text(entry->last_error));
	text_print(out, "STAT %s:next_time %lld\r\n", name, (long long)entry->next_s);
}

static struct errand *schedules(struct server *server, const struct line *words, struct text *out) {
	snug_schedule_entry entries[SNUG_SCHEDULES_MAX];
	uint32_t count = SNUG_SCHEDULES_MAX;
	if (words->count != 1) return usage(out, "schedules");
	snug_error error = snug_coordinator_schedules(server->coordinator, entries, &count);
	if (error) {
		refuse(out, error);
		return NULL;
	}
	for (uint32_t i = 0; i < count; i++) say_schedule(&entries[i], out);
	text_say(out, "END");
	return NULL;
}

static struct errand *cancel(struct server *server, const struct line *words, struct text *out) {
	snug_request request = snug_request_default(SNUG_REQUEST_CANCEL);
	if (words->count != 2 || !words_number(words, 1, &request.target))
		return usage(out, "cancel ID");
	return submit(server, &request, out);
}

/* ------------------------------------------------------------------ the last requests ------ */

#define ENTRIES_MAX 100u
#define ENTRIES_DEFAULT 10u

static void say_entry(const snug_audit_entry *entry, struct text *out) {
	char name[48];
	snprintf(name, sizeof name, "%llu", (unsigned long long)entry->id);
	text_print(out, "STAT %s:request %s %s %s\r\n", name, snug_request_kind_text(entry->kind),
			   snug_priority_text(entry->priority), snug_origin_text(entry->origin));
	text_print(out, "STAT %s:time %lld\r\n", name, (long long)entry->submitted_s);
	text_print(out, "STAT %s:result %s%s\r\n", name, entry->refused != 0 ? "refused: " : "",
			   entry->error == SNUG_OK ? "ok" : snug_error_text(entry->error));
	if (entry->outcome != SNUG_OUTCOME_COUNT)
		text_print(out, "STAT %s:outcome %s\r\n", name, snug_outcome_text(entry->outcome));
	text_print(out, "STAT %s:complete %s\r\n", name, entry->complete != 0 ? "yes" : "no");
	text_print(out, "STAT %s:reclaimed_bytes %llu\r\n", name,
			   (unsigned long long)entry->reclaimed_bytes);
	text_print(out, "STAT %s:returned_bytes %llu\r\n", name,
			   (unsigned long long)entry->returned_bytes);
	text_print(out, "STAT %s:evicted_bytes %llu\r\n", name,
			   (unsigned long long)entry->evicted_bytes);
	text_print(out, "STAT %s:total_ns %llu\r\n", name, (unsigned long long)entry->total_ns);
}

static struct errand *report(struct server *server, const struct line *words, struct text *out) {
	uint64_t wanted = ENTRIES_DEFAULT;
	if (words->count > 2 ||
		(words->count == 2 && (!words_number(words, 1, &wanted) || wanted == 0)))
		return usage(out, "report [N]");
	if (wanted > ENTRIES_MAX) wanted = ENTRIES_MAX;
	snug_audit_entry *entries = calloc(wanted, sizeof *entries);
	uint32_t count = (uint32_t)wanted;
	snug_error error = entries == NULL
						   ? SNUG_ERROR_OS_MEMORY
						   : snug_coordinator_audit(server->coordinator, entries, &count);
	if (error) {
		refuse(out, error);
	} else {
		for (uint32_t i = 0; i < count; i++) say_entry(&entries[i], out);
		text_say(out, "END");
	}
	free(entries);
	return NULL;
}

/* ------------------------------------------------------------------ which ------------------ */

struct errand *errand_cleanup(struct server *server, const struct line *words, bool *known,
							  struct text *out) {
	static const struct {
		const char *name;
		struct errand *(*begin)(struct server *server, const struct line *words, struct text *out);
	} commands[] = {
		{"estimate", estimate}, {"defrag", defragment},   {"emergency", emergency},
		{"schedule", schedule}, {"schedules", schedules}, {"cancel", cancel},
		{"report", report},
	};
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
		if (!words_is(words, 0, commands[i].name)) continue;
		*known = true;
		return commands[i].begin(server, words, out);
	}
	return NULL;
}
