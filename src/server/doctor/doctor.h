/* server/doctor/doctor.h: what is wrong with the server, the figure that says so, and what to do. The
 * door of this room:
 *
 *     doctor_checks.c   from figures to findings: pure, one row of a table for each
 *     doctor.c          the figures: of the workers, the process and the machine
 *
 * It stands in the server, and not in snugctl, because HTTP and a line sent by hand shall have it
 * too. It costs nothing while nobody asks, but for the marks of server/figures.
 *
 * What happened is looked at over the last minutes, or what was wrong once would be wrong for ever. */
#ifndef SNUG_SERVER_DOCTOR_H
#define SNUG_SERVER_DOCTOR_H

#include "server/figures/figures.h"
#include "server/visit/visit.h"

/* What is not known is 0, unless it says otherwise. */
struct doctor_figures {
	/* what was counted in the last minutes, and before that; cpu_ns of all workers */
	struct past recent, before;
	uint32_t workers;
	uint64_t busiest_cpu_ns; /* of the recent time: the worker that had most */
	uint32_t busiest_worker;
	/* memory within the limit */
	uint64_t limit_bytes;
	uint64_t limit_goal_bytes;
	uint64_t reclaimable_bytes;
	uint64_t leased_bytes;
	bool no_eviction;
	bool cleans_up; /* by itself */
	uint64_t item_max_bytes;
	/* connections */
	uint64_t connections, connections_max;
	uint64_t connection_memory_bytes;
	uint64_t listen_waiting, listen_room; /* that were not accepted yet, of the fullest queue */
	uint32_t open_addresses;              /* while nobody is asked for a password */
	bool has_certificate;
	int64_t certificate_valid_s;
	/* the process and the machine */
	uint64_t resident_bytes, accounted_bytes; /* what the process has, and knows that it has */
	uint64_t swapped_bytes;
	uint64_t promised_bytes; /* what may become resident, as far as the limit may be raised */
	uint64_t machine_bytes;  /* that the machine, or the cgroup, has; UINT64_MAX: not known */
	bool is_machine_short;
	/* the cache lies in a memory file: what that holds, and what is free there */
	bool has_file;
	uint64_t file_bytes, file_free_bytes;
	const char *anew_reason; /* why what it held was thrown away, not long ago; NULL: it was not */
	int64_t clock_set_s; /* by how much the clock on the wall was set since the start */
	uint64_t log_dropped;
};

#define FINDING_ROOM 192u

struct finding {
	const char *check;
	char what[FINDING_ROOM];   /* a sentence with the figure */
	char advice[FINDING_ROOM]; /* what to do */
};

/* Looks at all that is known: at most `room` findings, in the order of the table. Pure. */
size_t doctor_find(const struct doctor_figures *figures, struct finding *out, size_t room);
/* How many checks there are: no more findings than that. */
size_t doctor_checks(void);

/* `snug doctor`: `words` are those behind `snug`. NULL: `out` has the answer. */
struct errand *doctor_errand(struct server *server, const struct line *words, struct text *out);

#endif
