/* work/policy/pressure.h: when background cleanup is wanted, and what the kernel's files say about
 * memory. Pure functions: figures or text in, a decision out. */
#ifndef SNUG_WORK_PRESSURE_H
#define SNUG_WORK_PRESSURE_H

#include <snug/coordinator.h>
#include <stdbool.h>
#include <stdint.h>

/* OPTION: a start on the wrong side of its stop, a share beyond a million, no duty. */
snug_error pressure_check(const snug_background *thresholds);

/* ------------------------------------------------------------------ the machine ------------ */

#define CGROUP_NO_LIMIT UINT64_MAX

/* What was read; what could not be is not known. */
struct machine_sample {
	bool stall_known;
	/* PSI: share of the last ten seconds in which something waited for memory */
	uint32_t stall_ppm;
	bool cgroup_known;
	uint64_t current_bytes;
	uint64_t limit_bytes; /* the lower of memory.high and memory.max, or CGROUP_NO_LIMIT */
	bool events_known;
	/* of memory.events: times that memory.high or memory.max was met, or memory ran out */
	uint64_t events;
};

/* Under pressure from `start` on until all is back across `stop`. `events` are those of the sample
 * before. */
bool machine_is_pressed(bool pressed, const snug_background *thresholds,
						const struct machine_sample *sample, uint64_t events);

/* Each answers false, and writes nothing, where the text is not what the kernel writes. */
bool parse_stall(const char *text, uint32_t *some_avg10_ppm); /* /proc/pressure/memory */
/* /proc/self/cgroup: the line of version 2, "0::PATH" */
bool parse_cgroup_path(const char *text, char *path, size_t room);
/* memory.current, .high, .max; "max": CGROUP_NO_LIMIT */
bool parse_cgroup_bytes(const char *text, uint64_t *bytes);
bool parse_cgroup_events(const char *text, uint64_t *events); /* memory.events: high + max + oom */

/* ------------------------------------------------------------------ a worker --------------- */

struct cleanup_wish {
	bool on;    /* the hysteresis: background cleanup goes on */
	bool run;   /* and there is something to gain now, or to give back */
	bool spare; /* it is begun because nothing uses some memory */
	/* with run: reclaimed so much, it is back across `stop`; SNUG_NO_BUDGET: as much as there is */
	uint64_t target_bytes;
	uint64_t retain_bytes; /* what may stay in free pages; SNUG_NO_BUDGET: all of it */
	uint64_t return_bytes; /* what goes back by the page, whatever may stay */
};

/* `kept_bytes`: what the worker should keep free (spare.h). */
struct cleanup_wish cleanup_wish_of(bool on, const snug_background *thresholds,
									const snug_stats *stats, bool pressed, uint64_t kept_bytes);

#endif
