/* cache_stock.c: see cache_stock.h. */
#include "caches/cache_stock.h"

#include "ledger/ledger.h"

#include <stdlib.h>

bool cache_stock_init(struct cache_stock *stock, const struct cache_load *load, uint64_t seed) {
	*stock = (struct cache_stock){.load = load, .seed = seed};
	for (size_t i = 0; i < load->count; i++) {
		uint32_t bytes = cache_stock_value_bytes(stock, &load->requests[i]);
		if (bytes > stock->value_most_bytes) stock->value_most_bytes = bytes;
	}
	stock->entries = malloc(load->keys * sizeof stock->entries[0]);
	if (stock->entries == NULL) return false;
	for (uint32_t key = 0; key < load->keys; key++)
		stock->entries[key] = (struct stocked){0, STOCK_NOTHING, 0};
	return true;
}

void cache_stock_deinit(struct cache_stock *stock) {
	free(stock->entries);
}

void cache_stock_key(const struct cache_stock *stock, uint32_t number,
					 unsigned char bytes[SNUG_KEY_BYTES_MAX]) {
	struct pattern pattern = pattern_of(mix64(number ^ mix64(stock->seed)), stock->seed);
	pattern_write(&pattern, 0, bytes, stock->load->key_bytes);
}

struct pattern cache_stock_value(const struct cache_stock *stock, uint32_t number) {
	return pattern_of(object_header(number, stock->entries[number].stamp), stock->seed);
}
