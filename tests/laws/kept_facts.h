/* kept_facts.h: what a shard in a memory file holds by what was acknowledged, and whether a copy of the
 * file, taken in the midst of anything, holds that too.
 *
 *     no operation under way    each item as it was, and none that went
 *     under way                 its key's item as before it, or as after it
 *     changed in place          or not at all
 *     a flush                   all as before, or none
 *     evicted, expired          gone at the latest when the operation is over that it went for
 *
 * What an operation makes of its key is not modelled here (tests/model does that): a scenario runs
 * twice, and what the first run has found after each operation is what the second run may find. */
#ifndef SNUG_TEST_KEPT_FACTS_H
#define SNUG_TEST_KEPT_FACTS_H

#include "each_store.h"

#include <snug/snug.h>
#include <stdio.h>
#include <unistd.h>

#define FACT_KEYS 1200u
#define FACT_VALUE_MAX 200000u

/* What is there of a key; the value is the fact's own. */
struct fact {
	bool is_there;
	bool may_go; /* it is on its way out */
	uint32_t value_bytes;
	unsigned char *value;
	snug_attributes attributes;
};

struct facts {
	snug_shard *shard;
	snug_memory_file *file;
	int descriptor; /* of the file */
	int copy;       /* what is looked at */
	int64_t now_s;  /* the shard's clock */
	size_t limit_bytes;
	size_t limit_max_bytes;
	bool no_eviction;
	bool is_crowded; /* all keys meet in one group of the index */
	struct fact now[FACT_KEYS];
	struct fact *next; /* what the first run has found after each operation */
	size_t next_count, next_most;
	size_t operation; /* the one that is under way, or comes next */
	bool is_first_run;
	uint32_t under_way; /* its key + 1; 0: none */
	bool is_flushing;
	uint64_t cas_told;
	/* of the second run */
	const char *scenario;
	uint64_t stride, phase;
	uint64_t looks, looked, dropped;
	uint64_t all_looks; /* of all stretches of the scenario */
};

/* In a process of its own: its parent hears of it by its status. */
#define KEPT(is_so, facts, ...)                                                              \
	do {                                                                                     \
		if (is_so) break;                                                                    \
		fprintf(stderr, "%s, before store %llu, operation %zu: %s:%d: ", (facts)->scenario,  \
				(unsigned long long)(facts)->looks, (facts)->operation, __FILE__, __LINE__); \
		fprintf(stderr, __VA_ARGS__);                                                        \
		fputc('\n', stderr);                                                                 \
		_exit(1);                                                                            \
	} while (0)

#define KEPT_OK(call, facts)                                                              \
	do {                                                                                  \
		snug_error kept_error = (call);                                                   \
		KEPT(kept_error == SNUG_OK, facts, "%s: %s", #call, snug_error_name(kept_error)); \
	} while (0)

#define FACT_KEY_BYTES 40u

/* The key of a number, its text in `text`. */
snug_key fact_key(const struct facts *facts, uint32_t number, char *text);

/* Opens the file and the shard in it; and leaves both. */
void facts_open(struct facts *facts);
void facts_close(struct facts *facts);

/* Around what changes one key. */
void fact_begin(struct facts *facts, uint32_t number);
void fact_end(struct facts *facts, uint32_t number);

/* After what may have evicted, or let something expire. */
void facts_settle(struct facts *facts);

/* Around a flush that is now. */
void facts_begin_flush(struct facts *facts);
void facts_end_flush(struct facts *facts);

/* Looks at the file as it is: each_store_look. `context` is the facts. */
void facts_look(void *context, uint64_t number);

/* The copy becomes as the file is. */
void facts_copy(const struct facts *facts);

void facts_forget(struct facts *facts);

#endif
