/* policies.c: see policies.h. */
#include "policies/policies.h"

static const struct policy *const policies[] = {
	&policy_snug,       &policy_snug_bytes, &policy_lru,      &policy_fifo, &policy_s3fifo,
	&policy_sieve,      &policy_arc,        &policy_tinylfu,  &policy_gdsf, &policy_lhd,
	&policy_hyperbolic, &policy_min,        &policy_min_sized};

const struct policy *policy_at(size_t index) {
	return index < sizeof policies / sizeof policies[0] ? policies[index] : NULL;
}
