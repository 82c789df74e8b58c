/* server/process/settings_live.h: the settings that change while snugd runs. A reload stores them,
 * one by one; workers read each where they need it, so that no worker waits for another. Nothing
 * depends on two of them at once, which is why their order is nobody's concern. */
#ifndef SNUG_SERVER_SETTINGS_LIVE_H
#define SNUG_SERVER_SETTINGS_LIVE_H

#include "server/process/log_stderr.h"
#include "server/settings/settings.h"

#include <snug/log.h>
#include <stdatomic.h>

struct settings_live {
	_Atomic uint64_t memory_bytes;
	/* the same, or what an operator has asked for since: errands set it */
	_Atomic uint64_t memory_asked_bytes;
	_Atomic uint32_t connections_max;
	_Atomic uint32_t idle_timeout_s;
	_Atomic bool no_flush;
};

void settings_live_init(struct settings_live *live, const struct settings *settings);

/* The settings as they are now: `settings` with what has changed since. */
static inline struct settings settings_live_now(const struct settings_live *live,
												const struct settings *settings) {
	struct settings now = *settings;
	now.memory_bytes = atomic_load_explicit(&live->memory_asked_bytes, memory_order_relaxed);
	now.connections_max = atomic_load_explicit(&live->connections_max, memory_order_relaxed);
	now.idle_timeout_s = atomic_load_explicit(&live->idle_timeout_s, memory_order_relaxed);
	now.no_flush = atomic_load_explicit(&live->no_flush, memory_order_relaxed);
	now.verbosity = log_stderr_verbosity();
	return now;
}

/* Takes over what may change and has; a line for each setting that differs goes to the log:
 * changed, or "needs a restart". `running` is what snugd runs with, and afterwards what it runs
 * with then. A memory limit below `least_memory_bytes` is not taken. Any thread, one at a time. */
void settings_live_change(struct settings_live *live, struct settings *running,
						  const struct settings *wanted, uint64_t least_memory_bytes,
						  const snug_log *log);

#endif
