/* lockfree.c: liburcu's lock-free hash table, cds_lfht, in the flavour that reads fastest.
 *
 * With QSBR a read-side critical section is no instruction at all; in return each thread says again
 * and again that it holds nothing (here after each block of operations). The other flavours pay two
 * stores or more for each read. A program that can embed a cache can do that, so it is fair, and
 * what is best for liburcu. The table has as many buckets as items, made at once, and does not
 * resize. A set adds a new node in the old one's place, which is freed after a grace period by
 * call_rcu's thread. */
#include "bench.h"

#include "readers/contestant.h"

#include <stdlib.h>
#include <string.h>
#include <urcu/rculfhash.h>
#include <urcu/urcu-qsbr.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define LEAST_BUCKETS 1024ul

struct node {
	struct cds_lfht_node link;
	struct reader_key key;
	struct reader_value value;
	struct rcu_head head;
};

static struct node *node_of(struct cds_lfht_node *link) {
	return (struct node *)(void *)((char *)link - offsetof(struct node, link));
}

static void *create(const struct contest *contest) {
	unsigned long buckets = LEAST_BUCKETS;
	while (buckets < contest->items) buckets *= 2;
	struct cds_lfht *table =
		cds_lfht_new_flavor(buckets, buckets, buckets, 0, &urcu_qsbr_flavor, NULL);
	if (table == NULL) bench_fail("no memory for liburcu's table");
	return table;
}

static void free_node(struct rcu_head *head) {
	free((char *)head - offsetof(struct node, head));
}

static void *enter(void *table) {
	urcu_qsbr_register_thread();
	return table;
}

static void leave(void *visitor) {
	(void)visitor;
	urcu_qsbr_unregister_thread();
}

static void destroy(void *at) {
	struct cds_lfht *table = at;
	struct cds_lfht_iter iter;
	urcu_qsbr_register_thread();
	urcu_qsbr_read_lock();
	cds_lfht_first(table, &iter);
	while (cds_lfht_iter_get_node(&iter) != NULL) {
		struct cds_lfht_node *link = cds_lfht_iter_get_node(&iter);
		cds_lfht_next(table, &iter);
		if (cds_lfht_del(table, link) == 0) urcu_qsbr_call_rcu(&node_of(link)->head, free_node);
	}
	urcu_qsbr_read_unlock();
	urcu_qsbr_unregister_thread();
	urcu_qsbr_barrier(); /* all that was given to call_rcu is free */
	if (cds_lfht_destroy(table, NULL) != 0) bench_fail("liburcu's table is not empty");
}

static int matches(struct cds_lfht_node *link, const void *key) {
	return memcmp(&node_of(link)->key, key, sizeof(struct reader_key)) == 0;
}

static bool get(void *visitor, const struct reader_key *key, struct reader_value *out) {
	struct cds_lfht_iter iter;
	urcu_qsbr_read_lock();
	cds_lfht_lookup(visitor, XXH3_64bits(key, sizeof *key), matches, key, &iter);
	struct cds_lfht_node *link = cds_lfht_iter_get_node(&iter);
	if (link != NULL) *out = node_of(link)->value;
	urcu_qsbr_read_unlock();
	return link != NULL;
}

static void set(void *visitor, const struct reader_key *key, const struct reader_value *value) {
	struct node *made = malloc(sizeof *made);
	if (made == NULL) bench_fail("no memory for a node");
	cds_lfht_node_init(&made->link);
	made->key = *key;
	made->value = *value;
	urcu_qsbr_read_lock();
	struct cds_lfht_node *old = cds_lfht_add_replace(visitor, XXH3_64bits(key, sizeof *key),
													 matches, &made->key, &made->link);
	if (old != NULL) urcu_qsbr_call_rcu(&node_of(old)->head, free_node);
	urcu_qsbr_read_unlock();
}

static void hold_nothing(void *visitor) {
	(void)visitor;
	urcu_qsbr_quiescent_state();
}

const struct contestant contestant_lockfree = {
	.name = "liburcu",
	.create = create,
	.destroy = destroy,
	.enter = enter,
	.leave = leave,
	.get = get,
	.set = set,
	.pause = hold_nothing,
};
