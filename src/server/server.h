/* server/server.h: snugd from within: the map of this directory. Its rooms, each with a header of
 * its own name that says what is in it:
 *
 *     protocol/         bytes to commands, answers to bytes; pure
 *     io/               sockets, over io_uring or epoll
 *     settings/         what it was told, from one table
 *     auth/             who a client is: the file of users, and a thread that checks passwords
 *     buffers/          the memory that a worker's connections share
 *     tls/              connections that nobody else reads: a layer between connections and io
 *     process/          between the process and the machine: descriptors, user, pid file, log,
 *                       listeners; what of the settings may change while it runs
 *     watch/            what happens, told to clients that watch
 *     figures/          what all workers have counted, added up and made sense of
 *     visit/            what goes from worker to worker, on the thread of each
 *     inspect/          what lies in the cache, for who looks after it
 *     doctor/           what is wrong, and what to do
 *     errand/           what needs all workers, or the coordinator
 *     operator/         the operator's door: the control socket, served by threads of its own
 *     connection/       one client: bytes in, commands, answers in their order, bytes out
 *     server_trouble.c  what goes wrong, for the log
 *     server_worker.c   one worker's turn: answers from others, sockets, requests to others, sends
 *     server.c          the workers and their coordinator: create, stop
 *
 * A room includes only those above it in this list (tests/tree/check_layers.sh); this file lies
 * below figures/.
 *
 *     client --bytes--> worker A: parse -> own key: execute on the own shard ----------> answer
 *                                       -> another's key: request --inbox of B--> execute
 *                                          answer <--A's replies-----------------------'
 *
 * Each worker owns its connections, its shard and its io. Nothing here is shared but what says
 * so. */
#ifndef SNUG_SERVER_SERVER_H
#define SNUG_SERVER_SERVER_H

#include "base/latency.h"
#include "base/text.h"
#include "cache/operation/operation.h"
#include "os/local_time.h"
#include "server/process/settings_live.h"
#include "server/settings/settings.h"
#include "server/tls/tls.h"
#include "server/watch/prefixes.h"
#include "server/watch/slow.h"
#include "server/watch/watch.h"

#include <snug/coordinator.h>
#include <snug/histogram.h>
#include <snug/shard.h>
#include <snug/workers.h>
#include <stdatomic.h>

struct connection;
struct auth;
struct clients;
struct channel;
struct hot_keys;
struct errand;

/* What a worker counts of its connections. */
struct connection_counts {
	uint64_t current;
	uint64_t total;
	uint64_t rejected;        /* more than -c, or there was no memory: */
	uint64_t rejected_memory; /* of them */
	uint64_t read_bytes;
	uint64_t written_bytes;
	uint64_t buffer_bytes;  /* of connection memory that is in use now */
	uint64_t memory_closed; /* because connection memory was short and they held most */
	uint64_t idle_kicks;
	uint64_t killed;       /* by an operator */
	uint64_t yields;       /* turns that a connection gave away so that others get theirs */
	uint64_t reads;        /* gets of other workers' keys that needed no request */
	uint64_t requests_out; /* to other workers */
	uint64_t requests_in;
	uint64_t flush_commands;
	uint64_t auth_commands; /* that said who the client is */
	uint64_t auth_errors;   /* and were refused */
	struct tls_counts tls;
};

/* Commands whose latency is told apart. X(ENUM, name) */
/* clang-format off */
#define LATENCY_KINDS(X) \
	X(GET, "get") X(STORE, "store") X(DELETE, "delete") X(ARITHMETIC, "arithmetic") \
	X(INSPECT, "inspect") X(TOUCH, "touch")
/* clang-format on */

enum latency_kind {
#define LATENCY_KIND(name, text) LATENCY_##name,
	LATENCY_KINDS(LATENCY_KIND)
#undef LATENCY_KIND
		LATENCY_KIND_COUNT
};

/* Of so many commands one is measured: from the beginning of the turn that parsed it until it was
 * carried out, by its owner. A prime: no pipeline has the same one measured each time. */
#define LATENCY_SAMPLE 61u

/* What goes wrong, and is told in the log: server_trouble.h. */
enum trouble_kind {
	TROUBLE_EVICTIONS,  /* have begun */
	TROUBLE_NO_MEMORY,  /* stores refused */
	TROUBLE_TOO_LARGE,  /* likewise */
	TROUBLE_TOO_MANY,   /* connections turned away */
	TROUBLE_NOT_OPENED, /* likewise, for memory */
	TROUBLE_CLOSED,     /* connections closed for memory */
	TROUBLE_KILLED,     /* by an operator */
	TROUBLE_TOKENS,     /* of HTTP, that were wrong */
	TROUBLE_COUNT
};

struct trouble {
	_Atomic uint64_t untold;  /* atomic: any worker adds, who tells takes all */
	_Atomic uint64_t told_ns; /* atomic: who sets it tells; 0: never */
};

/* What a worker had counted at a moment, or what was counted within a time: at_ns is then how long it
 * was. server/figures keeps them. */
/* clang-format off */
#define PAST_COUNTS(X) \
	X(gets) X(hits) X(evictions) X(no_memory) X(too_large) X(too_many) X(not_opened) X(closed) \
	X(late_steps) X(auth_errors) X(handshake_errors) X(cpu_ns)
/* clang-format on */

struct past {
	uint64_t at_ns; /* 0: never */
#define PAST_COUNT(name) uint64_t name;
	PAST_COUNTS(PAST_COUNT)
#undef PAST_COUNT
};
#define PAST_NS UINT64_C(300000000000) /* from mark to mark, at least */
#define PAST_MARKS 3u

/* Who is being served in slices: visit_slices.c. */
struct slices {
	const struct errand *holder; /* only compared */
	uint64_t at_ns;              /* when it had its last slice */
};

struct server_worker {
	/* On a line of its own, for the other workers read it with each key of this one, which writes
	 * what follows all the time. Constant after create */
	_Alignas(64) struct server *server;
	uint32_t index;
	snug_shard *shard;
	snug_error shard_error; /* why there is none */
	/* owner only; seconds since 1970, as of this turn, by a clock that nobody sets: the shard's */
	_Alignas(64) int64_t clock_s;
	int64_t wall_s; /* by the one on the wall, which tells dates */
	struct operation_counts counts;
	struct connection_counts connections;
	snug_shard_stats shard_base;        /* its counters at the last `stats reset` */
	struct connection *connection_list; /* all, by connection.h's links */
	struct connection *described;       /* the one that connections_describe goes on with */
	struct slices check_slices;         /* what is done in slices, for one errand at a time */
	struct slices describe_slices;
	/* connections_describe (connection.h), which lies above the errands that need it; constant
	 * after begin */
	bool (*describe)(struct server_worker *worker, bool from_first, uint32_t most, uint64_t asker,
					 struct text *out, struct text *of_asker);
	/* connections_select, likewise */
	bool (*clients)(struct server_worker *worker, bool from_first, uint32_t most,
					struct clients *clients);
	uint32_t connections_begun; /* comes round */
	uint64_t slice_ns;          /* spent in slices since the turn began: visit_slices.c bounds it */
	uint64_t slice_began_ns;    /* the one under way */
	snug_histogram turn_ns;     /* of turns to which bytes or answers came, upkeep left out */
	struct latency latency[LATENCY_KIND_COUNT]; /* of commands of its connections */
	struct slow slow;                           /* the slowest of them */
	uint64_t troubled[TROUBLE_COUNT];           /* its counters when it last looked */
	struct past past[PAST_MARKS];               /* the latest first */
	struct hot_keys *hot_keys;                  /* of its connections; in its turn */
	uint32_t watched_kinds;   /* enum watch_kind, as of this turn: what somebody watches */
	uint64_t own_bytes;       /* within the limit, for itself and its io; constant after begin */
	uint64_t limit_bytes;     /* of its own memory, as settings_live was last seen to say */
	_Atomic uint64_t stirred; /* atomic: the owner adds 1 where something happens, anyone reads */
	struct turn *turn;        /* server_worker.c's own */
};

/* Atomics: HTTP's threads count here what clients say of themselves; `stats reset` begins anew. */
struct http_tries {
	_Atomic uint64_t commands; /* that brought a password or a token */
	_Atomic uint64_t errors;   /* and were refused */
};

/* What somebody above the server holds: asked for in any thread. */
struct holding {
	uint64_t (*bytes)(const void *context);
	const void *context;
};

struct server {
	/* constant after create */
	struct settings settings;
	snug_workers *workers;
	snug_coordinator *coordinator;
	const struct listeners *listeners;
	snug_log log;
	struct auth *auth; /* NULL: no authentication */
	struct tls *tls;   /* NULL: nobody speaks TLS */
	struct os_epoch started;
	struct os_epoch clock;            /* as `started`; of a memory file, it goes on */
	snug_memory_file *memory_file;    /* NULL: none */
	uint64_t attach_ns;               /* until all workers had what it holds */
	_Atomic uint64_t attached_items;  /* atomics: each worker adds what it found there */
	_Atomic uint64_t recovered_items; /* of those, after a crash; and what was dropped */
	_Atomic uint64_t dropped_items;
	const char *io_name; /* what the workers serve sockets with: io_name() */
	uint32_t worker_count;
	struct server_worker *worker;
	struct collapse *collapse; /* NULL: none */
	/* Answers that errands make for clients draw on it. Atomic: any worker. */
	struct text_account texts;
	/* atomic: HTTP sets it, and takes it back when the workers have ended; NULL: there is none */
	_Atomic(const struct holding *) http_holding;
	struct http_tries http_tries;
	struct watchers watchers;
	struct prefixes prefixes;
	/* atomic, 0: none yet. The class that `stats items` has told all items to be in. */
	_Atomic uint32_t told_class;
	/* atomic: who looks at keys sets it, and takes it back: one errand at a time */
	_Atomic bool is_walked;
	struct trouble trouble[TROUBLE_COUNT];
	struct settings_live live; /* atomics: the main thread sets them, any worker reads them */
	/* atomic: any worker adds and takes away; those above live.connections_max are turned away */
	_Atomic uint32_t connection_count;
	/* atomic: create sets it, when all that commands refer to is there; then the workers listen */
	_Atomic bool is_complete;
	/* atomic: destroy sets it; workers answer what they have received, while all others still serve
	 * them */
	_Atomic bool is_draining;
	_Atomic uint32_t drained;      /* atomic: workers that have; destroy waits on it */
	_Atomic uint32_t listening;    /* atomic: workers that have tried; create waits on it */
	_Atomic uint32_t listen_error; /* atomic: what one of them was told: snug_error */
};

struct listeners;

/* Starts the workers, which accept from the listeners; returns when they do. The listeners, and auth,
 * tls and the memory file, which may be NULL, stay the caller's, and must outlive the server. Errors as
 * of snug_workers_create and snug_coordinator_create, and OS_THREAD. */
SNUG_NODISCARD snug_error server_create(const struct settings *settings,
										const struct listeners *listeners, struct auth *auth,
										struct tls *tls, const snug_log *log,
										snug_memory_file *memory_file, struct server **out);

/* Accepts no more, answers what was asked, closes the connections, ends the threads. Then every
 * message to a worker is answered and every ticket of the coordinator, so that who has sent some
 * can take the results without waiting. It waits for a worker's thread without a limit: one that
 * hangs can be neither ended nor left behind in memory that is given back, so the process must end
 * under it (a second SIGTERM, or the service manager). */
void server_stop(struct server *server);
/* Stops, if that was not done, and gives everything back. Clients of the workers must have ended.
 * NULL is ignored. */
void server_destroy(struct server *server);

#endif
