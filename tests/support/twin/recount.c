/* recount.c: see recount.h. The parser knows exactly the documented form of the map and nothing
 * else of JSON: a deviation is a failure, since tools are written against that form. */
#include "support/twin/recount.h"

#include "support/require.h"

#include <stdlib.h>
#include <string.h>

typedef struct text_buffer {
	char *text;
	size_t length;
	size_t room;
} text_buffer;

static bool append_text(void *context, const char *text, size_t length) {
	text_buffer *buffer = context;
	if (buffer->length + length + 1 > buffer->room) {
		buffer->room = 2 * (buffer->length + length + 1);
		buffer->text = realloc(buffer->text, buffer->room);
		REQUIRE(buffer->text != NULL, "the test ran out of memory");
	}
	memcpy(buffer->text + buffer->length, text, length);
	buffer->length += length;
	buffer->text[buffer->length] = '\0';
	return true;
}

static void skip_blanks(const char **cursor) {
	while (**cursor == ' ' || **cursor == '\n') {
		(*cursor)++;
	}
}

/* Goes over `token`, which must be next; blanks may stand before it. */
static void take(const char **cursor, const char *token) {
	skip_blanks(cursor);
	size_t length = strlen(token);
	REQUIRE(strncmp(*cursor, token, length) == 0, "the map has no %s at: %.60s", token, *cursor);
	*cursor += length;
}

static uint64_t take_number(const char **cursor, const char *name) {
	take(cursor, name);
	char *end;
	uint64_t value = strtoull(*cursor, &end, 10);
	REQUIRE(end != *cursor, "the map has no number after %s", name);
	*cursor = end;
	return value;
}

/* Which of `words` stands next, in quotes. */
static size_t take_word(const char **cursor, const char *const *words, size_t count) {
	for (size_t i = 0; i < count; i++) {
		size_t length = strlen(words[i]);
		if ((*cursor)[0] == '"' && strncmp(*cursor + 1, words[i], length) == 0 &&
			(*cursor)[1 + length] == '"') {
			*cursor += length + 2;
			return i;
		}
	}
	require_failed(__FILE__, __LINE__, "the map has an unknown word at: %.60s", *cursor);
}

static void count_slab(const char **cursor, recount *out) {
	static const char *const pool_names[SNUG_POOL_COUNT] = {"small", "medium", "large"};
	take(cursor, ",\"pool\":");
	recount_pool *pool = &out->pool[take_word(cursor, pool_names, SNUG_POOL_COUNT)];
	uint64_t slot_bytes = take_number(cursor, ",\"slot_bytes\":");
	uint64_t slots = take_number(cursor, ",\"slots\":");
	uint64_t live = take_number(cursor, ",\"live\":");
	uint64_t pinned = take_number(cursor, ",\"pinned\":");
	REQUIRE(slots > 0 && slots * slot_bytes <= out->page_bytes,
			"%llu slots of %llu bytes do not fit in a page", (unsigned long long)slots,
			(unsigned long long)slot_bytes);
	REQUIRE(live <= slots && pinned <= live, "a slab with more live or pinned slots than slots");
	out->slab_pages++;
	out->empty_slabs += live == 0;
	pool->slabs++;
	pool->live_slots += live;
	pool->live_bytes += live * slot_bytes;
	pool->hole_bytes += (slots - live) * slot_bytes;
	pool->pinned_slabs += pinned > 0;
}

/* It and the victim are one slab: what lies here fills holes there. */
static void count_target(const char **cursor, recount *out) {
	recount both = *out;
	count_slab(cursor, &both);
	for (int i = 0; i < SNUG_POOL_COUNT; i++) {
		uint64_t live_bytes = both.pool[i].live_bytes - out->pool[i].live_bytes;
		out->pool[i].live_slots = both.pool[i].live_slots;
		out->pool[i].live_bytes = both.pool[i].live_bytes;
		out->pool[i].hole_bytes -= live_bytes;
	}
	out->target_pages++;
	out->free_pages++;
}

static void count_page(const char **cursor, recount *out, uint64_t *next_page) {
	enum { SLAB, VICTIM, TARGET, HOST, STACKED, FREE, RETURNED, STATES };
	static const char *const state_names[STATES] = {"slab",    "victim", "target", "host",
													"stacked", "free",   "cold"};
	uint64_t page = take_number(cursor, "{\"page\":");
	REQUIRE(page >= *next_page, "the map lists page %llu twice or out of order",
			(unsigned long long)page);
	*next_page = page + 1;
	out->pages++;
	take(cursor, ",\"state\":");
	switch (take_word(cursor, state_names, STATES)) {
	case VICTIM:
		out->victim_pages++;
		count_slab(cursor, out);
		break;
	case TARGET:
		count_target(cursor, out);
		break;
	case HOST:
	case SLAB:
		count_slab(cursor, out);
		break;
	case RETURNED:
		out->returned_pages++;
		break;
	default:
		out->free_pages++;
		break;
	}
	take(cursor, "}");
}

void recount_heap(snug_heap *heap, recount *out) {
	static text_buffer buffer; /* kept between calls: model tests recount very often */
	buffer.length = 0;
	REQUIRE_OK(snug_dump(heap, append_text, &buffer));
	REQUIRE(buffer.length > 0, "the map is empty");
	*out = (recount){0};
	const char *cursor = buffer.text;
	out->page_bytes = take_number(&cursor, "{\"page_bytes\":");
	out->limit_bytes = take_number(&cursor, ",\"limit_bytes\":");
	take(&cursor, ",\"pages\":[");
	uint64_t next_page = 0;
	skip_blanks(&cursor);
	while (*cursor != ']') {
		if (next_page > 0) {
			take(&cursor, ",");
		}
		count_page(&cursor, out, &next_page);
		skip_blanks(&cursor);
	}
	take(&cursor, "]}");
}
