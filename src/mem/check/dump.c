/* mem/check/dump.c: the memory map as JSON, one object a page that was ever used; see dump.h. Some
 * 100 bytes of text a slab, written through the caller's function, a line at a time; nothing is
 * kept. */
#include "mem/check/dump.h"

#include "base/assert.h"
#include "mem/gate.h"
#include "mem/slab/slab.h"

#include <stdio.h>

static const char *const state_names[] = {"cold",   "free",   "stacked", "slab",
										  "victim", "target", "host"};
static const char *const pool_names[] = {"small", "medium", "large"};

/* Slots of the slab that are in use, those in a magazine included: counted in its bitmap and not
 * taken from the descriptor's counter, so that who adds the map up has a second witness. Of a
 * host: residents and guests. */
static uint32_t live_slots(struct page *page, const struct size_class *class) {
	const uint64_t *free_bits = free_bits_of(page, class);
	uint32_t live = class->slots;
	if (page->state == PAGE_HOST) return live - page->free_slots;
	for (uint32_t word = 0; word * 64 < class->slots; word++) live -= bit_count(free_bits[word]);
	return live;
}

static int format_slab(const snug_heap *heap, page_number number, char *line, size_t line_bytes) {
	struct page *page = &heap->arena.pages[number];
	const struct size_class *class = class_of_page(heap, number);
	return snprintf(line, line_bytes,
					"{\"page\":%u,\"state\":\"%s\",\"pool\":\"%s\",\"slot_bytes\":%u,\"slots\":%u,"
					"\"live\":%u,\"pinned\":%u}",
					number - 1, state_names[page->state], pool_names[class->pool], class->stride,
					class->slots, live_slots(page, class), page->pins);
}

static bool write_page(const snug_heap *heap, page_number number, bool first,
					   snug_write_function write, void *context) {
	char line[192];
	const struct page *page = &heap->arena.pages[number];
	int length = page->state >= PAGE_SLAB
					 ? format_slab(heap, number, line, sizeof line)
					 : snprintf(line, sizeof line, "{\"page\":%u,\"state\":\"%s\"}", number - 1,
								state_names[page->state]);
	if (!first && !write(context, ",\n", 2)) return false;
	return write(context, line, (size_t)length);
}

/* Of the last region only the pages that have a descriptor were used. */
uint32_t dump_page_count(const snug_heap *heap) {
	const struct arena *arena = &heap->arena;
	page_number end = arena->region_count << arena->region_shift;
	if (end > arena->page_count) end = arena->page_count;
	page_number described =
		(page_number)(arena->page_range.committed_bytes / sizeof(struct page)) - 1;
	return end < described ? end : described;
}

snug_error dump_begin(snug_heap *heap, uint32_t stride, struct dump *out, snug_write_function write,
					  void *context) {
	snug_error error = gate_enter_any(heap);
	if (error) return error;
	if (write == NULL) return SNUG_ERROR_NULL;
	SNUG_ASSERT(stride > 0);
	const struct arena *arena = &heap->arena;
	char head[96];
	int length = snprintf(head, sizeof head, "{\"page_bytes\":%u,\"limit_bytes\":%zu,\"pages\":[\n",
						  arena->page_bytes, arena->limit_bytes);
	if (!write(context, head, (size_t)length)) return SNUG_ERROR_WRITE;
	*out = (struct dump){.next = 1, .stride = stride};
	return SNUG_OK;
}

snug_error dump_step(snug_heap *heap, struct dump *dump, uint32_t most, bool *done,
					 snug_write_function write, void *context) {
	snug_error error = gate_enter_any(heap);
	if (error) return error;
	page_number end = dump_page_count(heap);
	for (; dump->next <= end && most > 0; dump->next += dump->stride, most--)
		if (!write_page(heap, dump->next, dump->next == 1, write, context)) return SNUG_ERROR_WRITE;
	if (dump->next <= end) {
		*done = false;
		return SNUG_OK;
	}
	if (!write(context, "\n]}\n", 4)) return SNUG_ERROR_WRITE;
	*done = true;
	return SNUG_OK;
}

snug_error snug_dump(snug_heap *heap, snug_write_function write, void *context) {
	struct dump dump;
	bool done = false;
	snug_error error = dump_begin(heap, 1, &dump, write, context);
	return error ? error : dump_step(heap, &dump, UINT32_MAX, &done, write, context);
}
