/* work/policy/shares.c: proportional shares in whole units. First the whole units of everybody's
 * proportion; what is left over then goes, a unit each, to those whose proportion was cut the most.
 *
 *     goal 10 units, weights 5 : 3 : 3      exact 4.55 : 2.73 : 2.73
 *     whole units                           4 : 2 : 2        two are left over
 *     to who lacks most                     4 : 3 : 3
 *
 * This is the largest-remainder method of elections. There are at most as many units left over as
 * there are workers, so O(workers^2) is short: at most 64. Doubles lose bits of shares above 2^53
 * bytes; the last loop runs until the goal is met, so that the sum is right all the same. */
#include "work/policy/shares.h"

#include "base/assert.h"
#include "base/bits.h"

/* Who lacks most of his proportion, as it would be without whole units. `count`: nobody weighs
 * anything. */
static size_t neediest(uint64_t goal_bytes, double whole, const uint64_t *weights, size_t count,
					   const uint64_t *shares) {
	size_t found = count;
	double most = 0;
	for (size_t index = 0; index < count; index++) {
		if (weights[index] == 0) continue;
		double lack = (double)goal_bytes * ((double)weights[index] / whole) - (double)shares[index];
		if (found == count || lack > most) {
			found = index;
			most = lack;
		}
	}
	return found;
}

void divide_shares(uint64_t goal_bytes, const uint64_t *weights, const uint64_t *unit_bytes,
				   size_t count, uint64_t *shares) {
	double whole = 0;
	uint64_t given_bytes = 0;
	for (size_t index = 0; index < count; index++) {
		shares[index] = 0;
		whole += (double)weights[index];
	}
	for (size_t index = 0; index < count; index++) {
		if (weights[index] == 0) continue;
		SNUG_ASSERT(unit_bytes[index] > 0);
		uint64_t part = (uint64_t)((double)goal_bytes * ((double)weights[index] / whole));
		part = smaller(part, goal_bytes - given_bytes);
		shares[index] = part - part % unit_bytes[index];
		given_bytes += shares[index];
	}
	SNUG_ASSERT(given_bytes <= goal_bytes);
	while (given_bytes < goal_bytes) {
		size_t index = neediest(goal_bytes, whole, weights, count, shares);
		if (index == count) return;
		SNUG_ASSERT(index < count && weights[index] > 0);
		shares[index] += unit_bytes[index];
		given_bytes += unit_bytes[index];
	}
}
