/* work/policy/shares.h: how an emergency is divided over workers. A pure function. */
#ifndef SNUG_WORK_SHARES_H
#define SNUG_WORK_SHARES_H

#include <stddef.h>
#include <stdint.h>

/* Divides `goal_bytes` by weight, in whole units (pages, a worker's own): the shares add up to at
 * least the goal and to less than a unit more, and who weighs nothing gets nothing. All zero if
 * nobody weighs anything. `unit_bytes` are not 0 where the weight is not. */
void divide_shares(uint64_t goal_bytes, const uint64_t *weights, const uint64_t *unit_bytes,
				   size_t count, uint64_t *shares);

#endif
