/* popularity.c: see popularity.h. A draw is a binary search in the cumulative shares. */
#include "caches/popularity.h"

#include <math.h>
#include <stdlib.h>

/* Turns the weights that stand in `cumulative` into cumulative shares. */
static void accumulate(struct popularity *popularity) {
	double total = 0;
	for (uint32_t key = 0; key < popularity->keys; key++) total += popularity->cumulative[key];
	double sum = 0;
	for (uint32_t key = 0; key < popularity->keys; key++) {
		sum += popularity->cumulative[key];
		popularity->cumulative[key] = sum / total;
	}
}

static bool make_room(struct popularity *out, uint32_t keys) {
	*out = (struct popularity){keys, malloc(keys * sizeof(double))};
	return out->cumulative != NULL;
}

bool popularity_of_zipf(double exponent, uint32_t keys, struct popularity *out) {
	if (!make_room(out, keys)) return false;
	for (uint32_t key = 0; key < keys; key++) out->cumulative[key] = pow(key + 1.0, -exponent);
	accumulate(out);
	return true;
}

static double requests_of(const struct popularity_rows *rows, uint32_t key, uint32_t keys,
						  size_t *row) {
	double share = (key + 0.5) / keys;
	while (*row + 1 < rows->count && rows->rows[*row].key_share < share) ++*row;
	return rows->rows[*row].requests;
}

bool popularity_of_rows(const struct popularity_rows *rows, uint32_t keys, struct popularity *out) {
	size_t row = 0;
	if (!make_room(out, keys)) return false;
	for (uint32_t key = 0; key < keys; key++)
		out->cumulative[key] = requests_of(rows, key, keys, &row);
	accumulate(out);
	return true;
}

double popularity_requests_per_key(const struct popularity_rows *rows, uint32_t keys) {
	double sum = 0;
	size_t row = 0;
	for (uint32_t key = 0; key < keys; key++) sum += requests_of(rows, key, keys, &row);
	return sum / keys;
}

uint32_t popularity_draw(const struct popularity *popularity, struct random *random) {
	double unit = random_unit(random);
	uint32_t low = 0;
	uint32_t high = popularity->keys - 1;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (popularity->cumulative[middle] <= unit)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void popularity_deinit(struct popularity *popularity) {
	free(popularity->cumulative);
}
