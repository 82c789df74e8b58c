/* simulate/clients/script.h: what a run is: a seed, what is left out of it, and which order its
 * threads take.
 *
 *     seed      how many workers and clients, which weather, and what each client says and does
 *     salt      which thread is next, what is refused, when: another salt is another order of the
 *               same script
 *     calm      kinds of weather that are left out
 *     keep      for each client and batch of commands, those that are said; the others are left out
 *               as if they had never been there
 *
 * Each batch, and each command in it, is chosen by numbers of its own. So what is left out changes
 * nothing of what is kept: that is what lets a failing seed be shortened (shorten.h). As text,
 * which the program takes and prints: "17 salt=2 calm=stall,preempt keep=0.3,2.11.5"; 2.11.5 are
 * the commands 0 and 2 (0x5) of client 2's batch 11. */
#ifndef SIMULATE_SCRIPT_H
#define SIMULATE_SCRIPT_H

#include "simulate/world/choice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLIENTS_MAX 8u /* the operator with them */
#define BATCHES_MAX 128u
#define ALL_COMMANDS UINT32_MAX

/* X(what is left out): fields of struct world_weather. */
#define CALM_TABLE(X) \
	X(preempt)        \
	X(stall)          \
	X(wake_early) X(late_close) X(refuse_memory) X(refuse_commit) X(refuse_request) X(slow_owner)

enum calm {
#define X(name) CALM_##name,
	CALM_TABLE(X)
#undef X
		CALM_COUNT
};

struct script {
	uint64_t seed;
	uint64_t salt;
	uint32_t calm;                           /* bits by enum calm */
	uint32_t keep[CLIENTS_MAX][BATCHES_MAX]; /* a bit for each command */
	/* those that the run came to, for whoever shortens it; NULL: nobody asks */
	uint32_t (*said)[CLIENTS_MAX][BATCHES_MAX];
};

/* All of a seed. */
void script_init(struct script *script, uint64_t seed);
/* Of the words of a command line; false: they are none. */
bool script_parse(struct script *script, char *const *words, size_t count);
/* As script_parse takes it. Tells the length, which may be more than the room. */
size_t script_print(const struct script *script, char *text, size_t room);
uint32_t script_commands(const struct script *script);

static inline bool script_is_calm(const struct script *script, enum calm what) {
	return (script->calm >> what & 1) != 0;
}

static inline bool script_keeps(const struct script *script, uint32_t client, uint32_t batch,
								uint32_t command) {
	return (script->keep[client][batch] >> command & 1) != 0;
}

/* Numbers of their own for a part of the run. */
struct choice script_choice(const struct script *script, uint64_t client, uint64_t batch,
							uint64_t part);
/* And for the order of its threads. */
struct choice script_order(const struct script *script);

#endif
