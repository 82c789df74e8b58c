/* simulate/clients/script.c: see simulate/clients/script.h. */
#include "simulate/clients/script.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const calm_names[] = {
#define X(name) #name,
	CALM_TABLE(X)
#undef X
};

void script_init(struct script *script, uint64_t seed) {
	*script = (struct script){.seed = seed};
	memset(script->keep, 0xff, sizeof script->keep);
}

uint32_t script_commands(const struct script *script) {
	uint32_t count = 0;
	for (uint32_t client = 0; client < CLIENTS_MAX; client++)
		for (uint32_t batch = 0; batch < BATCHES_MAX; batch++)
			count += (uint32_t)__builtin_popcount(script->keep[client][batch]);
	return count;
}

/* ------------------------------------------------------------------ choices ---------------- */

static uint64_t mix(uint64_t sum, uint64_t word) {
	sum = (sum ^ word) * UINT64_C(0x9e3779b97f4a7c15);
	return sum ^ sum >> 32;
}

struct choice script_choice(const struct script *script, uint64_t client, uint64_t batch,
							uint64_t part) {
	return (struct choice){
		.random = {mix(mix(mix(script->seed + 1, client + 1), batch + 1), part + 1)}};
}

struct choice script_order(const struct script *script) {
	return (struct choice){.random = {mix(mix(script->seed + 1, 0), script->salt)}};
}

/* ------------------------------------------------------------------ as text ---------------- */

/* "a,b,c": each of them to `take`. */
static bool take_list(struct script *script, char *list,
					  bool (*take)(struct script *script, const char *word)) {
	char *rest = NULL;
	for (char *word = strtok_r(list, ",", &rest); word != NULL; word = strtok_r(NULL, ",", &rest))
		if (!take(script, word)) return false;
	return true;
}

static bool take_calm(struct script *script, const char *word) {
	for (uint32_t i = 0; i < CALM_COUNT; i++) {
		if (strcmp(word, calm_names[i]) != 0) continue;
		script->calm |= 1u << i;
		return true;
	}
	return false;
}

static bool take_kept(struct script *script, const char *word) {
	uint32_t client = 0, batch = 0, commands = ALL_COMMANDS;
	if (sscanf(word, "%" SCNu32 ".%" SCNu32 ".%" SCNx32, &client, &batch, &commands) < 2)
		return false;
	if (client >= CLIENTS_MAX || batch >= BATCHES_MAX) return false;
	script->keep[client][batch] = commands;
	return true;
}

static bool take_word(struct script *script, const char *word) {
	char list[16384];
	if (strncmp(word, "salt=", 5) == 0) {
		script->salt = strtoull(word + 5, NULL, 10);
		return true;
	}
	if (strlen(word) >= sizeof list) return false;
	if (strncmp(word, "calm=", 5) == 0) return take_list(script, strcpy(list, word + 5), take_calm);
	if (strncmp(word, "keep=", 5) != 0) return false;
	memset(script->keep, 0, sizeof script->keep);
	return take_list(script, strcpy(list, word + 5), take_kept);
}

bool script_parse(struct script *script, char *const *words, size_t count) {
	char *end = NULL;
	if (count == 0) return false;
	script_init(script, strtoull(words[0], &end, 0));
	if (end == words[0] || *end != '\0') return false;
	for (size_t i = 1; i < count; i++)
		if (!take_word(script, words[i])) return false;
	return true;
}

struct out {
	char *text;
	size_t room;
	size_t length;
};

__attribute__((format(printf, 2, 3))) static void say(struct out *out, const char *format, ...) {
	va_list arguments;
	va_start(arguments, format);
	bool fits = out->length < out->room;
	int length = vsnprintf(fits ? out->text + out->length : NULL,
						   fits ? out->room - out->length : 0, format, arguments);
	va_end(arguments);
	out->length += (size_t)length;
}

static void say_kept(struct out *out, const struct script *script) {
	const char *separator = " keep=";
	for (uint32_t client = 0; client < CLIENTS_MAX; client++)
		for (uint32_t batch = 0; batch < BATCHES_MAX; batch++) {
			uint32_t commands = script->keep[client][batch];
			if (commands == 0) continue;
			say(out, "%s%" PRIu32 ".%" PRIu32, separator, client, batch);
			if (commands != ALL_COMMANDS) say(out, ".%" PRIx32, commands);
			separator = ",";
		}
}

size_t script_print(const struct script *script, char *text, size_t room) {
	struct out out = {text, room, 0};
	const char *separator = " calm=";
	say(&out, "%" PRIu64, script->seed);
	if (script->salt != 0) say(&out, " salt=%" PRIu64, script->salt);
	for (uint32_t i = 0; i < CALM_COUNT; i++) {
		if ((script->calm >> i & 1) == 0) continue;
		say(&out, "%s%s", separator, calm_names[i]);
		separator = ",";
	}
	if (script_commands(script) < CLIENTS_MAX * BATCHES_MAX * 32) say_kept(&out, script);
	return out.length;
}
