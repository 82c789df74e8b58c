/* popularity.h: how often each of many keys is asked for. Keys are numbered from the hottest on. */
#ifndef REPLAY_POPULARITY_H
#define REPLAY_POPULARITY_H

#include "ledger/random.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Down to the `key_share` hottest of all keys, one key gets `requests`. */
struct popularity_row {
	double key_share;
	double requests;
};

struct popularity_rows {
	const struct popularity_row *rows;
	size_t count;
};

extern const struct popularity_rows popularity_meta_kvcache;
extern const struct popularity_rows popularity_meta_graph;

struct popularity {
	uint32_t keys;
	double *cumulative; /* the share of all requests that go to this key and the hotter ones */
};

/* Key i, from 0, gets requests in proportion to (i + 1) ^ -exponent. False: no memory. */
bool popularity_of_zipf(double exponent, uint32_t keys, struct popularity *out);

/* An even sample of the keys of a production cache: as many, and as hot, in each stretch of the
 * original. */
bool popularity_of_rows(const struct popularity_rows *rows, uint32_t keys, struct popularity *out);

/* Requests per key in such a sample; with it the number of keys follows from that of the
 * requests. */
double popularity_requests_per_key(const struct popularity_rows *rows, uint32_t keys);

uint32_t popularity_draw(const struct popularity *popularity, struct random *random);
void popularity_deinit(struct popularity *popularity);

#endif
