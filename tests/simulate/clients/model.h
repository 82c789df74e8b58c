/* simulate/clients/model.h: what the server may answer: a model of keys that one client owns, and
 * one of keys that all share.
 *
 *     own      only its client writes it, over one connection at a time, so its content is known to
 *              the byte: a key is the value of the last command that was answered, or it is absent.
 *              In a run that loses nothing (struct rules) it may be absent only for a reason
 *     shared   anybody writes it at any time. Each write has an id, which stands in its value, and
 *              the ticks between which it was done. What a read returns must have been written to
 *              that key, and nothing else may have been written wholly between that write and this
 *              read
 *
 * When a connection ends with commands unanswered, nobody knows which of them were carried out, or
 * will be: their own keys get new names. */
#ifndef SIMULATE_MODEL_H
#define SIMULATE_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NEVER_S INT64_MAX
#define KEY_BYTES_MAX 250u

/* A flush_all that takes effect later: at a moment that lies between the two. */
struct late_flush {
	bool is_certain; /* no other can have replaced it */
	int64_t from_s;
	int64_t to_s;
};

/* What a run allows. */
struct rules {
	bool loses;           /* items may be evicted or flushed at any time */
	bool is_full;         /* stores may be refused; what is there stays there, unless it loses */
	bool refuses;         /* commands may be answered with SERVER_ERROR, and connections closed */
	int64_t loses_from_s; /* from then on a late flush may have taken effect */
	struct late_flush late_flush;
	struct late_flush flushed; /* the last that is over */
	uint64_t item_max_bytes;
};

/* A flush, late or not, begins; it has been answered, and none that began meanwhile can have come
 * after it. */
void rules_begin_flush(struct rules *rules, int64_t delay_s);
void rules_end_flush(struct rules *rules, int64_t from_s, int64_t to_s);

struct value {
	char *bytes; /* plain_realloc's */
	size_t length;
	uint32_t flags;
};

/* When something was asked and answered, by the clock that nobody sets: what is to live for a
 * minute does, whoever sets the one on the wall. */
struct span {
	int64_t from_s;
	int64_t to_s;
};

struct own_key {
	char name[KEY_BYTES_MAX + 1];
	size_t name_bytes;
	uint32_t client;
	uint32_t number;
	uint32_t generation;
	bool is_number; /* its values are numbers, for incr and decr */
	bool is_present;
	struct value value;
	uint64_t cas;       /* 0: not known */
	int64_t may_die_s;  /* from then on it may have expired */
	int64_t must_die_s; /* from then on it must */
	int64_t written_s;  /* not after that */
};

/* A name that was never used. */
void own_rename(struct own_key *key);
bool own_may_be_there(const struct own_key *key, const struct rules *rules, struct span when);
bool own_may_be_absent(const struct own_key *key, const struct rules *rules, struct span when);
void own_set(struct own_key *key, const struct value *value, struct span when);
void own_join(struct own_key *key, const struct value *value, bool in_front, struct span when);
void own_remove(struct own_key *key);
/* Expires `seconds` after; 0: never; below: at once. */
void own_expire(struct own_key *key, int64_t seconds, struct span when);
/* That, or as before. */
void own_may_expire(struct own_key *key, int64_t seconds, struct span when);
/* Fails the run if this is not what a read may return. */
void own_require(struct own_key *key, const struct rules *rules, const char *bytes, size_t length,
				 struct span when);

enum written { WRITTEN_VALUE, WRITTEN_NOTHING /* a delete, or a refused set */ };

struct write {
	uint64_t id;
	enum written what;
	uint64_t begin;
	uint64_t end; /* UINT64_MAX: not known to have ended */
	bool is_done; /* known to have had its effect */
};

struct shared_key {
	char name[32];
	size_t name_bytes;
	struct write *writes;
	size_t count;
	size_t room;
};

/* The number of the write in the key's list. */
size_t shared_begin(struct shared_key *key, uint64_t id, enum written what);
void shared_end(struct shared_key *key, size_t number, enum written what, bool has_effect);
/* The value of a write, by its id. */
void shared_value(const struct shared_key *key, uint64_t id, size_t length, struct value *out);
void shared_require(const struct shared_key *key, const char *bytes, size_t length, uint64_t begin);
void shared_require_absent(const struct shared_key *key, const struct rules *rules, uint64_t begin);

#endif
