/* striped.c: a hash table under striped locks: what one writes oneself when one has an afternoon.
 *
 *     hash -> bucket -> node -> node          key, hash and value lie in the node, malloc'd whole
 *        \--> stripe: a mutex for each STRIPES-th bucket, in a cache line of its own
 *
 * The table is made as large as it will be, so it never grows. A set allocates the new node before
 * it takes the lock and frees the old one after: under it are only a search and a pointer's change. */
#include "bench.h"

#include "readers/contestant.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define STRIPES 1024u
#define LINE_BYTES 64

struct node {
	struct node *next;
	uint64_t hash;
	struct reader_key key;
	struct reader_value value;
};

struct stripe {
	_Alignas(LINE_BYTES) pthread_mutex_t mutex;
};

struct table {
	struct stripe stripes[STRIPES];
	uint64_t mask;
	struct node **buckets; /* mask + 1; each under its stripe */
};

static void *create(const struct contest *contest) {
	struct table *table = bench_map(sizeof *table, false);
	uint64_t buckets = STRIPES;
	while (buckets < contest->items) buckets *= 2;
	table->mask = buckets - 1;
	table->buckets = bench_map(buckets * sizeof table->buckets[0], contest->huge_pages);
	for (unsigned i = 0; i < STRIPES; i++)
		if (pthread_mutex_init(&table->stripes[i].mutex, NULL) != 0) bench_fail("no mutex");
	return table;
}

static void destroy(void *at) {
	struct table *table = at;
	for (uint64_t i = 0; i <= table->mask; i++)
		for (struct node *node = table->buckets[i], *next; node != NULL; node = next) {
			next = node->next;
			free(node);
		}
	for (unsigned i = 0; i < STRIPES; i++) (void)pthread_mutex_destroy(&table->stripes[i].mutex);
	bench_unmap(table->buckets, (table->mask + 1) * sizeof table->buckets[0]);
	bench_unmap(table, sizeof *table);
}

static void *enter(void *table) {
	return table;
}

static void leave(void *visitor) {
	(void)visitor;
}

static pthread_mutex_t *mutex_of(struct table *table, uint64_t hash) {
	return &table->stripes[hash % STRIPES].mutex;
}

/* Where the node hangs, or would. Under the lock. */
static struct node **place_of(struct table *table, uint64_t hash, const struct reader_key *key) {
	struct node **place = &table->buckets[hash & table->mask];
	while (*place != NULL &&
		   ((*place)->hash != hash || memcmp(&(*place)->key, key, sizeof *key) != 0))
		place = &(*place)->next;
	return place;
}

static bool get(void *visitor, const struct reader_key *key, struct reader_value *out) {
	struct table *table = visitor;
	uint64_t hash = XXH3_64bits(key, sizeof *key);
	pthread_mutex_t *mutex = mutex_of(table, hash);
	(void)pthread_mutex_lock(mutex);
	const struct node *node = *place_of(table, hash, key);
	if (node != NULL) *out = node->value;
	(void)pthread_mutex_unlock(mutex);
	return node != NULL;
}

static void set(void *visitor, const struct reader_key *key, const struct reader_value *value) {
	struct table *table = visitor;
	uint64_t hash = XXH3_64bits(key, sizeof *key);
	pthread_mutex_t *mutex = mutex_of(table, hash);
	struct node *made = malloc(sizeof *made);
	if (made == NULL) bench_fail("no memory for a node");
	*made = (struct node){NULL, hash, *key, *value};
	(void)pthread_mutex_lock(mutex);
	struct node **place = place_of(table, hash, key), *old = *place;
	if (old != NULL) made->next = old->next;
	*place = made;
	(void)pthread_mutex_unlock(mutex);
	free(old);
}

const struct contestant contestant_striped = {
	.name = "striped",
	.create = create,
	.destroy = destroy,
	.enter = enter,
	.leave = leave,
	.get = get,
	.set = set,
};
