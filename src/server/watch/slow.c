/* server/watch/slow.c: see server/watch/slow.h. */
#include "server/watch/slow.h"

#include "base/assert.h"

#include <string.h>

/* ------------------------------------------------------------------ what it was ------------ */

static const char *store_name(const struct operation *operation) {
	if ((operation->options & OPERATION_HAS_CAS_COMPARE) != 0) return "cas";
	switch ((enum store_mode)operation->mode) {
	case STORE_ADD:
		return "add";
	case STORE_REPLACE:
		return "replace";
	case STORE_APPEND:
		return "append";
	case STORE_PREPEND:
		return "prepend";
	default:
		return "set";
	}
}

static const char *get_name(const struct operation *operation) {
	if ((operation->options & OPERATION_IS_TOUCH) != 0) return "touch";
	return (operation->options & OPERATION_HAS_EXPTIME) != 0 ? "gat" : "get";
}

/* Of meta commands by their letter, of the others, and of packets, by their word. */
static const char *name_of(const struct operation *operation) {
	static const char *const meta[OPERATION_KIND_COUNT] = {
		[OPERATION_GET] = "mg",        [OPERATION_STORE] = "ms",   [OPERATION_DELETE] = "md",
		[OPERATION_ARITHMETIC] = "ma", [OPERATION_INSPECT] = "me",
	};
	SNUG_ASSERT(operation->kind < OPERATION_KIND_COUNT);
	if ((operation->options & OPERATION_IS_META) != 0) return meta[operation->kind];
	switch ((enum operation_kind)operation->kind) {
	case OPERATION_GET:
		return get_name(operation);
	case OPERATION_STORE:
		return store_name(operation);
	case OPERATION_DELETE:
		return "delete";
	case OPERATION_ARITHMETIC:
		return (operation->options & OPERATION_DECREMENTS) != 0 ? "decr" : "incr";
	case OPERATION_INSPECT:
	case OPERATION_KIND_COUNT:
		break;
	}
	return "me";
}

static uint32_t bytes_of(const struct operation *operation) {
	if (operation->kind == OPERATION_STORE) return operation->value_bytes;
	if (operation->kind != OPERATION_GET || operation->status != STATUS_FOUND) return 0;
	/* what is leased has its length there alone */
	return operation->lease.ref != 0 ? (uint32_t)operation->lease.value_bytes
									 : (uint32_t)operation->item.value_bytes;
}

/* ------------------------------------------------------------------ a place ---------------- */

static struct slow_command *places(struct slow *slow) {
	return &slow->command[(size_t)slow->at * SLOW_A_MINUTE];
}

static void begin_minute(struct slow *slow, int64_t minute) {
	slow->minute = minute;
	slow->at = (slow->at + 1) % SLOW_MINUTES;
	slow->count = 0;
	slow->bar_ns = 0;
	memset(places(slow), 0, SLOW_A_MINUTE * sizeof(struct slow_command));
}

static struct slow_command *fastest(struct slow *slow) {
	struct slow_command *place = places(slow), *found = place;
	for (uint32_t i = 1; i < SLOW_A_MINUTE; i++)
		if (place[i].took_ns < found->took_ns) found = &place[i];
	return found;
}

struct slow_command *slow_note(struct slow *slow, int64_t minute, uint64_t took_ns,
							   const struct operation *operation) {
	if (minute != slow->minute) begin_minute(slow, minute);
	bool is_full = slow->count == SLOW_A_MINUTE;
	struct slow_command *place = is_full ? fastest(slow) : &places(slow)[slow->count++];
	size_t kept_bytes =
		operation->key.length < SLOW_KEY_BYTES ? operation->key.length : SLOW_KEY_BYTES;
	*place = (struct slow_command){.took_ns = took_ns,
								   .minute = minute,
								   .bytes = bytes_of(operation),
								   .key_bytes = (uint32_t)operation->key.length,
								   .command = name_of(operation)};
	memcpy(place->key, operation->key.bytes, kept_bytes);
	slow->bar_ns = slow->count == SLOW_A_MINUTE ? fastest(slow)->took_ns : 0;
	return place;
}

/* ------------------------------------------------------------------ all of them ------------ */

static uint32_t insert(const struct slow_command *command, struct slow_command *worst,
					   uint32_t count) {
	uint32_t at = count;
	if (count == SLOW_TOLD_MAX) {
		if (command->took_ns <= worst[--at].took_ns) return count;
	} else {
		count++;
	}
	for (; at > 0 && worst[at - 1].took_ns < command->took_ns; at--) worst[at] = worst[at - 1];
	worst[at] = *command;
	return count;
}

uint32_t slow_merge(const struct slow *slow, int64_t minute, struct slow_command *worst,
					uint32_t count) {
	for (size_t i = 0; i < SLOW_MINUTES * SLOW_A_MINUTE; i++) {
		const struct slow_command *command = &slow->command[i];
		bool is_recent =
			command->command != NULL && minute - command->minute < (int64_t)SLOW_MINUTES;
		if (is_recent) count = insert(command, worst, count);
	}
	return count;
}
