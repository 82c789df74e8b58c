/* policies.c: see policies.h. */
#include "policies/policies.h"

#include <string.h>

static const struct policy *const policies[] = {&policy_snug,   &policy_snug_bytes, &policy_lru, &policy_fifo,
												&policy_s3fifo, &policy_sieve,      &policy_lhd, &policy_hyperbolic};

const struct policy *policy_at(size_t index) {
	return index < sizeof policies / sizeof policies[0] ? policies[index] : NULL;
}

const struct policy *policy_find(const char *name, size_t length) {
	for (size_t i = 0; i < sizeof policies / sizeof policies[0]; i++)
		if (strlen(policies[i]->name) == length && strncmp(policies[i]->name, name, length) == 0) return policies[i];
	return NULL;
}
