/* server/process/settings_live.c: see server/process/settings_live.h.
 *
 *     as told at the start, and by reloads since --+--> a line in the log for each that differs
 *     as told now (options and config file) -------+--> struct settings_live: those that can change
 *
 * What is compared is what was told, not what snugd made of it: a port that the kernel chose, or a
 * limit that an operator set meanwhile, is no difference. Which setting differs is found by the
 * options' table; which can change stands in one table here.
 *
 * A memory limit is bounded as `snug limit` bounds it. One lowered below what is used is brought
 * down by each worker as there: at once for new memory, and by upkeep for what is there. */
#include "server/process/settings_live.h"

#include "base/log_line.h"
#include "server/process/process.h"
#include "server/settings/settings_table.h"

#include <string.h>

void settings_live_init(struct settings_live *live, const struct settings *settings) {
	/* A reload that says nothing new leaves what was asked for meanwhile. */
	uint64_t was_bytes =
		atomic_exchange_explicit(&live->memory_bytes, settings->memory_bytes, memory_order_relaxed);
	if (was_bytes != settings->memory_bytes)
		atomic_store_explicit(&live->memory_asked_bytes, settings->memory_bytes,
							  memory_order_relaxed);
	atomic_store_explicit(&live->connections_max, settings->connections_max, memory_order_relaxed);
	atomic_store_explicit(&live->idle_timeout_s, settings->idle_timeout_s, memory_order_relaxed);
	atomic_store_explicit(&live->no_flush, settings->no_flush, memory_order_relaxed);
}

/* ------------------------------------------------------------------ what can change -------- */

/* What it runs with, what is wanted of it now, and what bounds that. */
struct change {
	struct settings *running;
	const struct settings *wanted;
	uint64_t least_memory_bytes;
	const snug_log *log;
};

/* False: not now; the sentence says why. */
typedef bool may_change(const struct change *change, struct text *why);

static bool may_limit(const struct change *change, struct text *why) {
	uint64_t wanted_bytes = change->wanted->memory_bytes;
	bool is_too_much = wanted_bytes > change->running->memory_max_bytes,
		 is_too_little = wanted_bytes < change->least_memory_bytes;
	if (is_too_much)
		text_print(why, "more than memory-max, which is %llu bytes",
				   (unsigned long long)change->running->memory_max_bytes);
	else if (is_too_little)
		text_print(why, "less than the %llu bytes that its workers need",
				   (unsigned long long)change->least_memory_bytes);
	return !is_too_much && !is_too_little;
}

static bool may_connect(const struct change *change, struct text *why) {
	struct settings with = *change->running;
	with.connections_max = change->wanted->connections_max;
	return process_allow_descriptors(&with, why);
}

static const struct {
	size_t offset;
	may_change *may; /* NULL: always */
} changeable[] = {
	{offsetof(struct settings, memory_bytes), may_limit},
	{offsetof(struct settings, connections_max), may_connect},
	{offsetof(struct settings, idle_timeout_s), NULL},
	{offsetof(struct settings, no_flush), NULL},
	{offsetof(struct settings, verbosity), NULL},
};

static bool can_change(const struct settings_option *option, const struct change *change,
					   struct text *why) {
	for (size_t i = 0; i < sizeof changeable / sizeof changeable[0]; i++)
		if (changeable[i].offset == option->offset)
			return changeable[i].may == NULL || changeable[i].may(change, why);
	return false;
}

/* What follows from the memory limit by default follows it only at the start. */
static bool follows_memory(const struct settings_option *option, const struct settings *wanted) {
	if (option->offset == offsetof(struct settings, memory_max_bytes))
		return wanted->memory_max_bytes == wanted->memory_bytes;
	return option->offset == offsetof(struct settings, item_max_bytes) &&
		   wanted->item_max_bytes == settings_item_most_bytes(wanted);
}

static void show(const struct settings *settings, const struct settings_option *option,
				 struct text *out) {
	settings_show_as_given(settings, option, out);
	text_append(out, "", 1);
}

static void change_one(const struct settings_option *option, const struct change *change) {
	struct settings *running = change->running;
	const struct settings *wanted = change->wanted;
	const snug_log *log = change->log;
	struct text was = {0};
	struct text is = {0};
	struct text why = {0};
	show(running, option, &was);
	show(wanted, option, &is);
	if (was.failed || is.failed) {
		snug_log_line(log, SNUG_LOG_WARNING, "reload: no memory to compare %s", option->name);
	} else if (strcmp(was.bytes, is.bytes) != 0 && !follows_memory(option, wanted)) {
		if (can_change(option, change, &why)) {
			memcpy((char *)running + option->offset, (const char *)wanted + option->offset,
				   option->bytes);
			snug_log_line(log, SNUG_LOG_INFO, "reload: %s: %s, was %s", option->name, is.bytes,
						  was.bytes);
		} else {
			snug_log_line(log, SNUG_LOG_WARNING, "reload: %s: %s needs a restart; still %s%s%.*s",
						  option->name, is.bytes, was.bytes, why.length > 0 ? ": " : "",
						  (int)why.length, why.length > 0 ? why.bytes : "");
		}
	}
	text_deinit(&was);
	text_deinit(&is);
	text_deinit(&why);
}

void settings_live_change(struct settings_live *live, struct settings *running,
						  const struct settings *wanted, uint64_t least_memory_bytes,
						  const snug_log *log) {
	struct change change = {running, wanted, least_memory_bytes, log};
	uint32_t verbosity = running->verbosity;
	for (size_t i = 0; i < SETTINGS_OPTION_COUNT; i++)
		if (settings_kept(&settings_options[i])) change_one(&settings_options[i], &change);
	settings_live_init(live, running);
	if (running->verbosity != verbosity) log_stderr_set_verbosity(running->verbosity);
}
