/* client_twin.c: see client_twin.h. */
#include "client_twin.h"

#include "support/require.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------ bytes ------------------ */

static void append(struct twin_bytes *to, const char *bytes, size_t length) {
	if (to->length + length > to->room) {
		to->room = 2 * (to->length + length);
		to->bytes = realloc(to->bytes, to->room);
		REQUIRE(to->bytes != NULL, "no memory");
	}
	if (length > 0) memcpy(to->bytes + to->length, bytes, length);
	to->length += length;
}

__attribute__((format(printf, 2, 3))) static void print(struct twin_bytes *to, const char *format,
														...) {
	char text[256];
	va_list arguments;
	va_start(arguments, format);
	int length = vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	REQUIRE(length >= 0 && (size_t)length < sizeof text, "a line that is too long");
	append(to, text, (size_t)length);
}

/* One of its own each time. */
static void make_value(struct client_twin *twin, size_t bytes, struct twin_bytes *value) {
	static const char letters[] = "ahovcjqxelszgnubipwdkryfmtahovcjqxelszgnubipwdkryfmt";
	uint32_t seed = twin->values++ % 26;
	for (size_t at = 0; at < bytes; at += 26, seed = (seed + (uint32_t)at / 1024) % 26)
		append(value, letters + seed, bytes - at < 26 ? bytes - at : 26);
}

void client_twin_init(struct client_twin *twin, uint32_t first_key) {
	*twin = (struct client_twin){0};
	for (uint32_t i = 0; i < TWIN_KEYS; i++)
		world_key(i % WORLD_WORKERS, first_key + i, twin->key[i]);
}

void client_twin_deinit(struct client_twin *twin) {
	for (uint32_t i = 0; i < TWIN_KEYS; i++) free(twin->item[i].value.bytes);
	free(twin->says.bytes);
	free(twin->expected.bytes);
}

/* ------------------------------------------------------------------ items ------------------ */

static void forget(struct twin_item *item) {
	item->is_there = false;
	item->value.length = 0;
}

static void say_value(struct client_twin *twin, const char *key, const struct twin_item *item) {
	print(&twin->expected, "VALUE %s %u %zu\r\n", key, item->flags, item->value.length);
	append(&twin->expected, item->value.bytes, item->value.length);
	append(&twin->expected, "\r\n", 2);
	twin->value_bytes += item->value.length;
}

static void answer(struct client_twin *twin, const char *text) {
	append(&twin->expected, text, strlen(text));
}

/* ------------------------------------------------------------------ storing ---------------- */

/* Around the bounds at which a value takes another road, and one that is refused. */
static const uint32_t sizes[] = {
	0,    1,     140000, 100,   3000,  3300,   4000,   8192,
	8193, 12000, 16384,  16385, 20000, 140000, 100000, TWIN_ITEM_BYTES_MAX + 9};
#define SIZES (sizeof sizes / sizeof *sizes)

static uint32_t size_of(uint8_t what) {
	return sizes[what / TWIN_KEYS % SIZES];
}

enum store_kind { TWIN_SET, TWIN_ADD, TWIN_REPLACE, TWIN_APPEND, TWIN_PREPEND };

static void put(struct twin_item *item, enum store_kind kind, uint32_t flags,
				const struct twin_bytes *value) {
	struct twin_bytes whole = {0};
	if (kind != TWIN_APPEND && kind != TWIN_PREPEND) {
		item->value.length = 0;
		item->flags = flags;
	}
	if (kind == TWIN_PREPEND) append(&whole, value->bytes, value->length);
	append(&whole, item->value.bytes, item->value.length);
	if (kind != TWIN_PREPEND) append(&whole, value->bytes, value->length);
	free(item->value.bytes);
	item->value = whole;
	item->is_there = true;
}

static bool is_storable(const struct twin_item *item, enum store_kind kind) {
	return kind == TWIN_SET || item->is_there == (kind != TWIN_ADD);
}

static void store(struct client_twin *twin, enum store_kind kind, uint8_t what, bool is_quiet,
				  bool ends_wrong) {
	static const char *const names[] = {"set", "add", "replace", "append", "prepend"};
	struct twin_item *item = &twin->item[what % TWIN_KEYS];
	struct twin_bytes value = {0};
	uint32_t bytes = size_of(what);
	bool is_joined = kind == TWIN_APPEND || kind == TWIN_PREPEND;
	if (is_joined && item->value.length + bytes > TWIN_ITEM_BYTES_MAX - 100) kind = TWIN_SET;
	make_value(twin, bytes, &value);
	print(&twin->says, "%s %s %u 0 %u%s\r\n", names[kind], twin->key[what % TWIN_KEYS],
		  twin->values, bytes, is_quiet ? " noreply" : "");
	append(&twin->says, value.bytes, value.length);
	append(&twin->says, ends_wrong ? "xx" : "\r\n", 2);
	twin->value_bytes += bytes;
	const char *said = "STORED\r\n";
	if (bytes > TWIN_ITEM_BYTES_MAX) {
		said = "SERVER_ERROR object too large for cache\r\n";
		if (kind == TWIN_SET) forget(item);
	} else if (ends_wrong) {
		said = "CLIENT_ERROR bad data chunk\r\n";
	} else if (!is_storable(item, kind)) {
		said = "NOT_STORED\r\n";
	} else {
		put(item, kind, twin->values, &value);
	}
	if (!is_quiet) answer(twin, said);
	free(value.bytes);
}

static void meta_store(struct client_twin *twin, uint8_t what, bool is_quiet) {
	struct twin_bytes value = {0};
	uint32_t bytes = size_of(what);
	if (bytes > TWIN_ITEM_BYTES_MAX) bytes = 7;
	make_value(twin, bytes, &value);
	print(&twin->says, "ms %s %u%s F%u\r\n", twin->key[what % TWIN_KEYS], bytes,
		  is_quiet ? " q" : "", twin->values);
	append(&twin->says, value.bytes, value.length);
	append(&twin->says, "\r\n", 2);
	twin->value_bytes += bytes;
	put(&twin->item[what % TWIN_KEYS], TWIN_SET, twin->values, &value);
	if (!is_quiet) answer(twin, "HD\r\n");
	free(value.bytes);
}

static void store_number(struct client_twin *twin, uint8_t what) {
	char digits[16];
	int length = snprintf(digits, sizeof digits, "%u", what * 7u);
	struct twin_bytes value = {.bytes = digits, .length = (size_t)length};
	print(&twin->says, "set %s 0 0 %d\r\n%s\r\n", twin->key[what % TWIN_KEYS], length, digits);
	put(&twin->item[what % TWIN_KEYS], TWIN_SET, 0, &value);
	answer(twin, "STORED\r\n");
}

static bool number_of(const struct twin_bytes *value, uint64_t *number) {
	*number = 0;
	if (value->length == 0 || value->length > 15) return false;
	for (size_t i = 0; i < value->length; i++) {
		if (value->bytes[i] < '0' || value->bytes[i] > '9') return false;
		*number = *number * 10 + (uint64_t)(value->bytes[i] - '0');
	}
	return true;
}

static void increment(struct client_twin *twin, uint8_t what) {
	struct twin_item *item = &twin->item[what % TWIN_KEYS];
	char digits[24];
	uint64_t number = 0;
	if (item->is_there && item->value.length == 0) return; /* a word of its own in memcached, too */
	print(&twin->says, "incr %s %u\r\n", twin->key[what % TWIN_KEYS], what);
	if (!item->is_there) {
		answer(twin, "NOT_FOUND\r\n");
	} else if (!number_of(&item->value, &number)) {
		answer(twin, "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n");
	} else {
		int length = snprintf(digits, sizeof digits, "%llu", (unsigned long long)(number + what));
		item->value.length = 0;
		append(&item->value, digits, (size_t)length);
		print(&twin->expected, "%s\r\n", digits);
	}
}

/* ------------------------------------------------------------------ the others ------------- */

static void get(struct client_twin *twin, uint8_t what) {
	print(&twin->says, "get");
	for (uint32_t i = 0; i <= what / TWIN_KEYS % 6; i++) {
		uint32_t which = (what + i * (1 + what / 32)) % TWIN_KEYS;
		print(&twin->says, " %s", twin->key[which]);
		if (twin->item[which].is_there) say_value(twin, twin->key[which], &twin->item[which]);
	}
	print(&twin->says, "\r\n");
	answer(twin, "END\r\n");
}

static void meta_get(struct client_twin *twin, uint8_t what, bool is_quiet) {
	const struct twin_item *item = &twin->item[what % TWIN_KEYS];
	const char *key = twin->key[what % TWIN_KEYS];
	print(&twin->says, "mg %s v f k%s\r\n", key, is_quiet ? " q" : "");
	if (!item->is_there) {
		if (!is_quiet) print(&twin->expected, "EN k%s\r\n", key);
		return;
	}
	print(&twin->expected, "VA %zu f%u k%s\r\n", item->value.length, item->flags, key);
	append(&twin->expected, item->value.bytes, item->value.length);
	answer(twin, "\r\n");
	twin->value_bytes += item->value.length;
}

static void delete_it(struct client_twin *twin, uint8_t what, bool is_meta, bool is_quiet) {
	struct twin_item *item = &twin->item[what % TWIN_KEYS];
	const char *key = twin->key[what % TWIN_KEYS];
	if (is_meta) {
		print(&twin->says, "md %s%s\r\n", key, is_quiet ? " q" : "");
		if (!item->is_there || !is_quiet) answer(twin, item->is_there ? "HD\r\n" : "NF\r\n");
	} else {
		print(&twin->says, "delete %s%s\r\n", key, is_quiet ? " noreply" : "");
		if (!is_quiet) answer(twin, item->is_there ? "DELETED\r\n" : "NOT_FOUND\r\n");
	}
	forget(item);
}

/* Figures, and what is done by visiting all workers; a flush that comes true long after the end. */
static void visit_all(struct client_twin *twin, uint8_t what) {
	static const char *const words[] = {"stats\r\n", "stats conns\r\n", "snug check\r\n",
										"flush_all 1000000\r\n"};
	static const char figures[] = {TWIN_ANYTHING_TO_END, '\0'};
	print(&twin->says, "%s", words[what % 4]);
	answer(twin, what % 4 == 3 ? "OK\r\n" : figures);
}

static void say_words(struct client_twin *twin, uint8_t what) {
	switch (what % 4) {
	case 0:
		print(&twin->says, "mn\r\n");
		answer(twin, "MN\r\n");
		break;
	case 1:
		print(&twin->says, "version\r\n");
		answer(twin, "VERSION " PROTOCOL_VERSION_TEXT "\r\n");
		break;
	case 2:
		print(&twin->says, "bogus\r\n");
		answer(twin, "ERROR\r\n");
		break;
	default:
		print(&twin->says, "touch %s 0\r\n", twin->key[what / 4 % TWIN_KEYS]);
		answer(twin, twin->item[what / 4 % TWIN_KEYS].is_there ? "TOUCHED\r\n" : "NOT_FOUND\r\n");
	}
}

#define VALUE_BYTES_MAX ((uint64_t)4 << 20) /* of one client: what is leased must not run short */

void client_twin_say(struct client_twin *twin, uint8_t kind, uint8_t what) {
	if (twin->is_over) return;
	if (twin->value_bytes > VALUE_BYTES_MAX) kind = 13;
	switch (kind % 16) {
	case 0:
	case 1:
		store(twin, TWIN_SET, what, kind % 2 == 1, false);
		break;
	case 2:
		store(twin, (enum store_kind)(1 + kind / 16 % 4), what, kind / 64 % 2 == 1, false);
		break;
	case 3:
		store(twin, TWIN_SET, what, kind / 16 % 2 == 1, true);
		break;
	case 4:
	case 5:
		meta_store(twin, what, kind % 2 == 1);
		break;
	case 6:
		delete_it(twin, what, kind / 16 % 2 == 1, kind / 32 % 2 == 1);
		break;
	case 7:
		store_number(twin, what);
		break;
	case 8:
		increment(twin, what);
		break;
	case 9:
	case 10:
		meta_get(twin, what, kind % 2 == 1);
		break;
	case 11:
		visit_all(twin, what);
		break;
	case 12:
		if (what < 250) return;
		print(&twin->says, "quit\r\n");
		twin->is_over = true;
		break;
	case 13:
		say_words(twin, what);
		break;
	default:
		get(twin, what);
	}
}

/* ------------------------------------------------------------------ heard ------------------ */

#define SHOWN 60

static int shown(size_t left) {
	return left < SHOWN ? (int)left : SHOWN;
}

/* Behind the next END line; NULL: it has not come. */
static const char *end_of_figures(const char *at, const char *end) {
	for (; end - at >= 5; at++)
		if (memcmp(at, "END\r\n", 5) == 0) return at + 5;
	return NULL;
}

void client_twin_check(const struct client_twin *twin, const char *heard, size_t length,
					   bool beginning_is_enough) {
	const char *at = length > 0 ? heard : "", *end = at + length, *expected = twin->expected.bytes;
	size_t left = twin->expected.length;
	for (; left > 0 && at < end; expected++, left--) {
		if (*expected != TWIN_ANYTHING_TO_END) {
			REQUIRE(*at == *expected, "heard '%.*s' at byte %zu of %zu, not '%.*s'",
					shown((size_t)(end - at)), at, length - (size_t)(end - at), length, shown(left),
					expected);
			at++;
			continue;
		}
		REQUIRE(end - at < 5 || memcmp(at, "STAT ", 5) == 0, "heard '%.*s', not figures",
				shown((size_t)(end - at)), at);
		at = end_of_figures(at, end);
		if (at != NULL) continue;
		REQUIRE(beginning_is_enough, "figures have no end");
		return;
	}
	REQUIRE(at == end, "heard %zu bytes more than was asked for: '%.*s'", (size_t)(end - at),
			shown((size_t)(end - at)), at);
	REQUIRE(beginning_is_enough || left == 0, "%zu bytes were not heard of %zu: '%.*s'", left,
			twin->expected.length, shown(left), expected);
}
