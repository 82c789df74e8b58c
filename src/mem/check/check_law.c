/* mem/check/check_law.c: how a broken law is told: its number, what it is about, and either what
 * was stored and what was counted, or the place. Only the first is kept: what follows it is often
 * its consequence. So all checks go on being called, and answer false, once one has failed. */
#include "base/log_line.h"
#include "mem/check/check.h"

#include <stdio.h>

static void note(struct check *check, const char *law, const char *message) {
	check->broken = true;
	snprintf(check->result.law, sizeof check->result.law, "%s", law);
	snprintf(check->result.message, sizeof check->result.message, "%s", message);
}

bool check_equal(struct check *check, const char *law, const char *what, uint64_t stored,
				 uint64_t counted) {
	if (stored == counted || check->broken) return !check->broken;
	char message[sizeof check->result.message];
	snprintf(message, sizeof message, "%s: stored %llu, counted %llu", what,
			 (unsigned long long)stored, (unsigned long long)counted);
	note(check, law, message);
	return false;
}

bool check_that(struct check *check, const char *law, const char *what, uint64_t where,
				bool condition) {
	if (condition || check->broken) return !check->broken;
	char message[sizeof check->result.message];
	snprintf(message, sizeof message, "%s (at %llu)", what, (unsigned long long)where);
	note(check, law, message);
	return false;
}

void check_tell(snug_heap *heap, const snug_check_result *result) {
	snug_log_line(&heap->log, SNUG_LOG_ERROR, "law %s is broken: %s", result->law, result->message);
}
