/* example_shared_cache.c: a cache that several threads use, each through a client of its own.
 *
 *     cc example_shared_cache.c $(pkg-config --cflags --libs snug) -pthread && ./a.out
 *
 * Valid C and C++. */
#include <snug/snug.h>

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define THREADS 2
#define ITEMS 20000

static void check(snug_error error, const char *what) {
	if (error == SNUG_OK) return;
	fprintf(stderr, "%s: %s\n", what, snug_error_text(error));
	exit(EXIT_FAILURE);
}

/* Stores, reads what it has stored, and counts in common with the others. */
static void *visit(void *context) {
	snug_cache_client *client;
	check(snug_cache_client_create((snug_cache *)context, NULL, &client), "client");
	for (uint32_t i = 0; i < ITEMS; i++) {
		char key[32], stored[32], found[32];
		int key_bytes = snprintf(key, sizeof key, "item:%" PRIu32, i);
		int bytes = snprintf(stored, sizeof stored, "the value of %" PRIu32, i);
		check(snug_cache_set(client, key, (size_t)key_bytes, stored, (size_t)bytes, NULL), "set");
		snug_cache_value value;
		check(snug_cache_get(client, key, (size_t)key_bytes, found, sizeof found, &value), "get");
		if (value.bytes != (size_t)bytes || memcmp(found, stored, value.bytes) != 0)
			exit(EXIT_FAILURE);
		check(snug_cache_increment(client, "visits", 6, 1, NULL), "increment");
	}
	check(snug_cache_client_destroy(client), "end of a client");
	return NULL;
}

int main(void) {
	snug_cache_options options = snug_cache_options_default();
	options.workers = 2;
	options.limit_bytes = (size_t)32 << 20;
	snug_cache *cache;
	check(snug_cache_create(&options, &cache), "create");
	snug_cache_client *client;
	check(snug_cache_client_create(cache, NULL, &client), "client");
	check(snug_cache_set(client, "visits", 6, "0", 1, NULL), "set");

	pthread_t threads[THREADS];
	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, visit, cache) != 0) return EXIT_FAILURE;
	for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);

	char text[24];
	snug_cache_value value;
	check(snug_cache_get(client, "visits", 6, text, sizeof text, &value), "get");
	printf("%.*s visits\n", (int)value.bytes, text);
	snug_cache_stats stats;
	check(snug_cache_stats_get(client, &stats), "stats");
	printf("%" PRIu64 " items, %.1f MiB of them in %.1f MiB\n", stats.items,
		   (double)stats.item_bytes / (1 << 20),
		   (double)(stats.committed_bytes + stats.metadata_bytes + stats.index_bytes) / (1 << 20));
	check(snug_cache_client_destroy(client), "end of a client");
	check(snug_cache_destroy(cache), "destroy");
	return 0;
}
