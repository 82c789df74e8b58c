/* example_cache.c: a cache in one thread, in ten lines, and what it does when it is full.
 *
 *     cc example_cache.c $(pkg-config --cflags --libs snug) && ./a.out
 *
 * Valid C and C++. */
#include <snug/snug.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check(snug_error error, const char *what) {
	if (error == SNUG_OK) return;
	fprintf(stderr, "%s: %s\n", what, snug_error_text(error));
	exit(EXIT_FAILURE);
}

static void store_many(snug_shard *shard, size_t value_bytes, uint32_t count) {
	static char value[4000];
	memset(value, 'v', sizeof value);
	for (uint32_t i = 0; i < count; i++) {
		char name[32];
		int length = snprintf(name, sizeof name, "user:%" PRIu32 ":%zu", i, value_bytes);
		snug_key key = snug_shard_key(name, (size_t)length);
		check(snug_shard_set(shard, &key, NULL, value, value_bytes), "set");
	}
}

static void print_figures(snug_shard *shard, const char *when) {
	snug_shard_stats stats;
	check(snug_shard_stats_get(shard, &stats), "stats");
	printf("%-28s %8" PRIu64 " items, %5.1f MiB of them, %8" PRIu64
		   " evicted, %4.1f%% of the limit is items\n",
		   when, stats.items, (double)stats.item_bytes / (1 << 20), stats.evictions,
		   100.0 * (double)stats.item_bytes / (double)stats.heap.limit_bytes);
}

int main(void) {
	snug_shard_options options = snug_shard_options_default();
	options.heap.limit_bytes = (size_t)16 << 20; /* everything: items, index, bookkeeping */
	snug_shard *shard;
	check(snug_shard_create(&options, &shard), "create");

	snug_key key = snug_shard_key("greeting", 8);
	check(snug_shard_set(shard, &key, NULL, "hello", 5), "set");
	snug_item item;
	char text[6] = "";
	check(snug_shard_get(shard, &key, &item), "get");
	check(snug_shard_read(shard, &item, 0, text, item.value_bytes), "read");
	printf("greeting: %s\n", text);

	/* Far more than fits; then other sizes. No size keeps memory from another. */
	store_many(shard, 100, 200000);
	print_figures(shard, "full of 100 bytes:");
	store_many(shard, 3000, 8000);
	print_figures(shard, "then of 3000 bytes:");
	store_many(shard, 100, 200000);
	print_figures(shard, "and of 100 bytes again:");

	check(snug_shard_destroy(shard), "destroy");
	return 0;
}
