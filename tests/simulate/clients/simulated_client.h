/* simulate/clients/simulated_client.h: one client of a simulated server: what it has asked, in
 * order, and what it thinks of the answers.
 *
 *     commands.c          fills a batch: bytes to send, and for each command what was asked (struct
 *                         asked)
 *     simulated_client.c  sends, receives, waits; ends connections in bad ways; says who waits for
 *                         ever
 *     judge.c             takes one answer after the other, and compares it with the model
 *     tongue.h            its lines as binary packets, and packets as lines
 *     veil.h              TLS, on some connections
 *     model.h             what the server may answer
 *     script.h            which commands are said, of those that a seed makes
 *
 * A client is a thread of the simulation, so its code waits as a client's does. */
#ifndef SIMULATE_CLIENT_H
#define SIMULATE_CLIENT_H

#include "os/threads.h"
#include "simulate/clients/model.h"
#include "simulate/clients/script.h"
#include "simulate/clients/tongue.h"
#include "simulate/clients/veil.h"
#include "simulate/world/choice.h"

#define BATCH_MAX 24u
#define KEYS_OF_GET 12u
#define OWN_KEYS 10u
#define SHARED_KEYS 6u

enum verb {
	ASK_GET,
	ASK_STORE,
	ASK_DELETE,
	ASK_TOUCH,
	ASK_COUNT, /* incr, decr */
	ASK_FLUSH,
	ASK_LINE,      /* one line that begins with `wanted` */
	ASK_ERROR,     /* one line that tells of an error */
	ASK_TEXT,      /* lines to END, or an error */
	ASK_CHECK,     /* the same, and nothing in it may be broken */
	ASK_EMERGENCY, /* the same, and what is told to be returned was returned */
	ASK_LIMIT,     /* the same, and no more is used than the limit allows */
};

enum mode { MODE_SET, MODE_ADD, MODE_REPLACE, MODE_APPEND, MODE_PREPEND, MODE_CAS };

/* One of the two. */
struct target {
	struct own_key *own;
	struct shared_key *shared;
	size_t write; /* the shared key's */
};

struct asked {
	enum verb verb;
	enum mode mode;
	bool is_meta;
	bool is_quiet;
	bool wants_value; /* meta */
	bool touches;
	bool is_down; /* decr */
	uint32_t key_count;
	uint32_t keys_answered;
	struct target key[KEYS_OF_GET];
	int64_t exptime_s;
	int64_t sent_s;
	uint64_t begin; /* the tick */
	struct value value;
	uint64_t flushes; /* that had begun, with this one; 0: another was under way */
	uint64_t token;   /* CAS */
	uint64_t delta;
	uint64_t opaque;    /* 0: none */
	char returned[8];   /* meta: the letters of what is to be told, in order */
	const char *wanted; /* LINE */
	char line[96];      /* its beginning, for the report */
};

struct run {
	struct script script;
	struct rules rules;
	bool has_flush;
	bool has_late_flush; /* flush_all with a delay */
	bool has_expiry;
	bool has_readers; /* of large values, who go in the midst of them */
	bool has_limits;  /* the limit is lowered and raised, and memory given back in emergencies */
	bool has_jumps;   /* the wall clock is set */
	bool is_told;     /* what clients say is shown */
	bool is_slow;     /* clients dawdle */
	bool is_large;    /* most values are too large to be copied */
	bool has_binary;  /* some connections speak the binary protocol */
	bool has_tls;     /* some connections speak TLS */
	bool is_rude;     /* many connections end in the midst of something */
	uint32_t workers;
	uint32_t client_count;
	uint32_t batches;
	uint64_t patience_ns; /* for an answer */
	uint64_t last_id;
	uint64_t memory_bytes; /* the limit, as it began */
	uint64_t flushes;      /* that have begun */
	uint64_t flushes_out;  /* and have no answer yet */
	bool flushes_are_lost; /* one was never answered: when it takes effect is not known */
	uint64_t answers;
	uint64_t trace; /* of all that was answered: two runs of a seed have the same */
	struct shared_key shared[SHARED_KEYS];
};

struct client {
	struct run *run;
	struct os_thread thread;
	struct choice choice; /* of the part of the script that is said */
	uint32_t index;
	uint32_t batch;
	bool is_operator;
	bool is_connected;
	bool is_binary; /* this connection: what is said and heard goes through the tongue */
	struct tongue tongue;
	/* an answer cannot be told from another's: the connection is of no more use */
	bool is_confused;
	bool is_patient; /* this batch asks for what may take long */
	uint32_t socket;
	struct veil veil; /* before it */
	struct own_key own[OWN_KEYS];
	char *out;
	size_t out_bytes;
	size_t out_room;
	size_t sent_bytes;
	char *in;
	size_t in_bytes;
	size_t in_room;
	uint32_t asked_count;
	uint32_t answered;
	uint64_t limit_bytes; /* ASK_LIMIT: what was told so far */
	bool is_met;          /* ASK_EMERGENCY: likewise */
	struct asked asked[BATCH_MAX];
};

/* The thread's main. */
void client_run(void *client);
/* Asks one thing, waits, and leaves. */
void client_ask(struct client *client, const char *line, enum verb verb);

/* commands.c: a batch of commands that are judged. */
void commands_fill(struct client *client);
/* Makes and gets large values, which nobody judges. */
void commands_fill_reading(struct client *client);
void commands_fill_writing(struct client *client);
/* Bytes of which anything may become, the last line of which is "mn"; or packets. */
void commands_fill_wild(struct client *client);
struct asked *commands_add(struct client *client, enum verb verb, const char *line);

/* judge.c: takes what it can; tells whether it was anything. */
bool judge_take(struct client *client);
/* Nobody knows what has become of what was not answered. */
void judge_abandon(struct client *client);

#endif
