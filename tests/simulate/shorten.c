/* simulate/shorten.c: see simulate/shorten.h.
 *
 * Cuts are tried from large to small: a client with all it says; half of all batches, a quarter, ..
 * one; the commands of those that are left, in the same way; each kind of weather. A cut that fails
 * in the same way is kept. What is cut moves the rest in time, so each cut is tried with some
 * orders of the threads: most faults need one. (Halves: Zeller's delta debugging.) */
#include "simulate/shorten.h"

#include <string.h>
#include <time.h>

#define ORDERS_TRIED 6u
#define UNITS_MAX (CLIENTS_MAX * BATCHES_MAX * 32u)

struct cutter {
	struct script *script;
	struct outcome *outcome;
	uint64_t end_s;
};

static uint64_t real_s(void) {
	struct timespec now;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec;
}

/* Keeps the cut if it fails in the same way. */
static bool try_cut(struct cutter *cutter, struct script *cut) {
	static struct outcome outcome;
	for (uint64_t order = 0; order < ORDERS_TRIED && real_s() < cutter->end_s; order++) {
		if (order > 0) cut->salt++;
		run_apart(cut, &outcome);
		if (outcome.is_fine || strcmp(outcome.kind, cutter->outcome->kind) != 0) continue;
		*cutter->script = *cut;
		*cutter->outcome = outcome;
		return true;
	}
	return false;
}

static void leave_out_unsaid(struct script *script, const struct outcome *outcome) {
	for (uint32_t client = 0; client < CLIENTS_MAX; client++)
		for (uint32_t batch = 0; batch < BATCHES_MAX; batch++)
			script->keep[client][batch] &= outcome->said[client][batch];
}

static void cut_clients(struct cutter *cutter) {
	for (uint32_t client = 0; client < CLIENTS_MAX; client++) {
		struct script cut = *cutter->script;
		memset(cut.keep[client], 0, sizeof cut.keep[client]);
		if (script_commands(&cut) < script_commands(cutter->script)) (void)try_cut(cutter, &cut);
	}
}

/* A batch, or a command. */
struct unit {
	uint8_t client;
	uint8_t batch;
	uint32_t commands;
};

static uint32_t list_units(const struct script *script, bool by_command, struct unit *units) {
	uint32_t count = 0;
	for (uint8_t client = 0; client < CLIENTS_MAX; client++)
		for (uint8_t batch = 0; batch < BATCHES_MAX; batch++)
			for (uint32_t left = script->keep[client][batch]; left != 0;) {
				uint32_t commands = by_command ? left & (0 - left) : left;
				units[count++] = (struct unit){client, batch, commands};
				left &= ~commands;
			}
	return count;
}

/* Without the units [from, to). */
static bool cut_units(struct cutter *cutter, const struct unit *units, uint32_t from, uint32_t to) {
	struct script cut = *cutter->script;
	for (uint32_t i = from; i < to; i++)
		cut.keep[units[i].client][units[i].batch] &= ~units[i].commands;
	return try_cut(cutter, &cut);
}

static void cut_by_halves(struct cutter *cutter, bool by_command) {
	static struct unit units[UNITS_MAX];
	uint32_t count = list_units(cutter->script, by_command, units);
	for (uint32_t part = (count + 1) / 2; part > 0 && count > 1;
		 part = part == 1 ? 0 : (part + 1) / 2)
		for (uint32_t from = 0; from < count;) {
			uint32_t to = count - from < part ? count : from + part;
			if (to - from == count || !cut_units(cutter, units, from, to))
				from = to;
			else
				count = list_units(cutter->script, by_command, units);
		}
}

static void cut_weather(struct cutter *cutter) {
	for (uint32_t what = 0; what < CALM_COUNT; what++) {
		struct script cut = *cutter->script;
		cut.calm |= 1u << what;
		if (cut.calm != cutter->script->calm) (void)try_cut(cutter, &cut);
	}
}

void shorten(struct script *script, struct outcome *outcome, uint64_t seconds) {
	struct cutter cutter = {.script = script, .outcome = outcome, .end_s = real_s() + seconds};
	leave_out_unsaid(script, outcome);
	cut_clients(&cutter);
	cut_by_halves(&cutter, false);
	cut_by_halves(&cutter, true);
	cut_weather(&cutter);
	cut_by_halves(&cutter, false);
}
