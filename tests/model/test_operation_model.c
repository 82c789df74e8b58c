/* test_operation_model.c: operations against a naive twin of memcached: random operations with
 * random options, every answer and every byte compared.
 *
 *     SNUG_SEED=0x1234 build/tests/model/test_operation_model     the same run again
 *     SNUG_OPS=2000000                                            operations in each configuration
 *
 * The twin is a table of whole items in plain memory. CAS numbers are known to it once they were
 * told: numbers that were not are only known to be larger. Before each operation the twin asks
 * whether the item was evicted, which it may have been if anything may. */
#include "cache/operation/operation.h"
#include "os/fake.h"
#include "support/require.h"
#include "support/test_random.h"
#include "support/test_secret.h"
#include "unit/cmocka_all.h"

#include <ctype.h>
#include <errno.h>
#include <snug/defragment.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define KEYS 160u
#define ITEM_MAX 40000u
#define VALUE_MAX (2 * ITEM_MAX)
#define PINS 4u
#define MIB ((size_t)1 << 20)
#define NEVER_GIVEN (UINT64_C(1) << 60)

struct twin {
	bool present;
	bool stale;
	bool won;
	uint32_t flags;
	int64_t expires_at_s; /* 0: never */
	uint64_t cas;         /* 0: nobody knows it */
	uint32_t bytes;
	unsigned char *value; /* VALUE_MAX */
};

struct pinned {
	snug_lease lease;
	unsigned char *value;
};

struct play {
	snug_shard *shard;
	struct fake_os fake;
	struct operation_counts counts;
	test_random random;
	int64_t now_s;
	int64_t flush_at_s; /* 0: none to come */
	bool evicts;
	struct twin twin[KEYS];
	struct pinned pinned[PINS];
	uint64_t cas_max; /* of those that were told or given */
	uint64_t statuses[STATUS_COUNT];
	uint64_t lost;
	unsigned char value[VALUE_MAX];
	unsigned char found[VALUE_MAX];
	char note[200];
};

static int64_t now_of(void *context) {
	return ((struct play *)context)->now_s;
}

static snug_key key_of(uint32_t number) {
	static char text[SNUG_KEY_BYTES_MAX + 1];
	int length = snprintf(text, sizeof text, "%u", number);
	for (; length < (int)(number % 5 == 0 ? 180 + number % 71 : 0); length++) text[length] = 'k';
	return snug_shard_key(text, (size_t)length);
}

/* ------------------------------------------------------------------ what the twin says ----- */

static int64_t twin_time(const struct play *play, int64_t exptime) {
	if (exptime == 0) return 0;
	if (exptime < 0) return 1;
	return exptime <= 60 * 60 * 24 * 30 ? play->now_s + exptime : exptime;
}

static bool has(const struct operation *operation, uint32_t option) {
	return (operation->options & option) != 0;
}

/* Removes what has expired. */
static bool is_there(const struct play *play, struct twin *twin) {
	if (twin->present && twin->expires_at_s != 0 && twin->expires_at_s <= play->now_s)
		twin->present = false;
	return twin->present;
}

static int64_t ttl(const struct play *play, const struct twin *twin) {
	return twin->expires_at_s == 0 ? -1 : twin->expires_at_s - play->now_s;
}

static void put(struct twin *twin, const void *value, uint32_t bytes, uint32_t flags,
				int64_t expires_at_s) {
	if (bytes > 0) memmove(twin->value, value, bytes);
	twin->present = true;
	twin->bytes = bytes;
	twin->flags = flags;
	twin->expires_at_s = expires_at_s;
	twin->stale = twin->won = false;
}

/* The number after a change, from what was told. */
static void renumber(struct play *play, struct twin *twin, const struct operation *operation) {
	bool given = has(operation, OPERATION_HAS_CAS_NEW) && operation->cas_new != 0;
	twin->cas = given ? operation->cas_new : 0;
	if (has(operation, OPERATION_WANTS_CAS)) {
		REQUIRE(given ? operation->cas == twin->cas : operation->cas > play->cas_max,
				"an old number was told");
		twin->cas = operation->cas;
	}
	if (twin->cas > play->cas_max) play->cas_max = twin->cas;
}

static void require_status(const struct operation *operation, enum operation_status expected) {
	REQUIRE(operation->status == expected, "status %u, not %u", operation->status,
			(unsigned)expected);
}

static void expect_get(struct play *play, struct twin *twin, const struct operation *operation) {
	uint8_t marks = 0;
	if (!is_there(play, twin)) {
		if (!has(operation, OPERATION_HAS_VIVIFY)) {
			require_status(operation, STATUS_NOT_FOUND);
			return;
		}
		require_status(operation, STATUS_FOUND);
		REQUIRE(operation->marks == OPERATION_WON && operation->item.value_bytes == 0,
				"not made for the asker");
		put(twin, NULL, 0, 0, twin_time(play, operation->vivify_exptime));
		twin->won = true;
		renumber(play, twin, operation);
		return;
	}
	int64_t old_ttl = ttl(play, twin), expires_at_s = twin->expires_at_s;
	if (has(operation, OPERATION_HAS_EXPTIME)) expires_at_s = twin_time(play, operation->exptime);
	if (!has(operation, OPERATION_NO_STALE)) {
		int64_t counts =
			has(operation, OPERATION_TOUCHES_FIRST) ? expires_at_s : twin->expires_at_s;
		bool soon = has(operation, OPERATION_HAS_RECACHE) && counts != 0 &&
					counts - play->now_s < operation->recache_s;
		if (twin->stale) marks |= OPERATION_STALE;
		if (twin->won)
			marks |= OPERATION_WON_BEFORE;
		else if (twin->stale || soon)
			marks |= OPERATION_WON;
		if (marks & OPERATION_WON) twin->won = true;
	}
	bool ends =
		has(operation, OPERATION_HAS_EXPTIME) && expires_at_s != 0 && expires_at_s <= play->now_s;
	if (ends)
		marks |= OPERATION_EXPIRES_NOW;
	else
		twin->expires_at_s = expires_at_s;
	if (has(operation, OPERATION_HAS_CAS_COMPARE) && twin->cas != 0 &&
		twin->cas == operation->cas_compare)
		marks |= OPERATION_CAS_MATCHES;
	require_status(operation, STATUS_FOUND);
	REQUIRE(operation->marks == marks, "marks %u, not %u", operation->marks, marks);
	if (has(operation, OPERATION_IS_META) && !ends) {
		int64_t told = has(operation, OPERATION_TELLS_OLD_TTL) ? old_ttl : ttl(play, twin);
		REQUIRE(operation->ttl_s == told, "%lld s to live, not %lld", (long long)operation->ttl_s,
				(long long)told);
	}
	if (has(operation, OPERATION_WANTS_CAS)) {
		REQUIRE(twin->cas != 0 ? operation->cas == twin->cas : operation->cas > play->cas_max,
				"another number");
		twin->cas = operation->cas;
		if (twin->cas > play->cas_max) play->cas_max = twin->cas;
	}
}

static bool is_older(const struct play *play, const struct twin *twin, uint64_t number) {
	return number != 0 && (twin->cas != 0 ? number < twin->cas : number <= play->cas_max);
}

/* What a store would do if there is room; the new item is left to the caller. */
static enum operation_status judge_store(const struct play *play, struct twin *twin,
										 const struct operation *operation, bool *stays_stale) {
	bool there = is_there(play, twin), extends = operation->mode >= STORE_APPEND;
	bool compares =
		has(operation, OPERATION_HAS_CAS_COMPARE) && !(extends && operation->cas_compare == 0);
	bool matches = there && operation->cas_compare != 0 && twin->cas == operation->cas_compare;
	*stays_stale = false;
	if (operation->mode == STORE_ADD) return there ? STATUS_NOT_STORED : STATUS_STORED;
	if (!there && extends)
		return has(operation, OPERATION_HAS_VIVIFY) ? STATUS_STORED : STATUS_NOT_STORED;
	if (!there && has(operation, OPERATION_HAS_CAS_COMPARE)) return STATUS_NOT_FOUND;
	if (!there) return operation->mode == STORE_REPLACE ? STATUS_NOT_STORED : STATUS_STORED;
	if (!compares || matches) return STATUS_STORED;
	*stays_stale = !extends && has(operation, OPERATION_INVALIDATES) &&
				   is_older(play, twin, operation->cas_compare);
	return *stays_stale ? STATUS_STORED : STATUS_EXISTS;
}

static void do_put(struct play *play, struct twin *twin, const struct operation *operation,
				   const void *value, uint32_t bytes, bool stays_stale) {
	bool was_won = twin->won, there = twin->present;
	int64_t expires_at_s = stays_stale ? twin->expires_at_s : twin_time(play, operation->exptime);
	if (operation->mode < STORE_APPEND) {
		put(twin, value, bytes, operation->client_flags, expires_at_s);
	} else if (!there) {
		put(twin, value, bytes, operation->client_flags,
			twin_time(play, operation->vivify_exptime));
	} else {
		bool in_front = operation->mode == STORE_PREPEND;
		memcpy(play->found, twin->value, twin->bytes);
		memcpy(twin->value + (in_front ? bytes : 0), play->found, twin->bytes);
		memcpy(twin->value + (in_front ? 0 : twin->bytes), value, bytes);
		twin->bytes += bytes;
		twin->stale = twin->won = false;
	}
	twin->stale = stays_stale;
	twin->won = stays_stale && was_won;
	renumber(play, twin, operation);
}

static void expect_store(struct play *play, struct twin *twin, const struct operation *operation,
						 const void *value, uint32_t bytes) {
	bool stays_stale;
	enum operation_status status = judge_store(play, twin, operation, &stays_stale);
	bool joins = operation->mode >= STORE_APPEND && twin->present;
	uint32_t total = bytes + (joins ? twin->bytes : 0);
	if (status == STATUS_STORED && operation->key.length + total > ITEM_MAX)
		status = joins ? STATUS_NOT_STORED : STATUS_TOO_LARGE;
	if (status == STATUS_STORED && operation->status == STATUS_NO_MEMORY && play->evicts)
		status = STATUS_NO_MEMORY;
	require_status(operation, status);
	if (status == STATUS_STORED) do_put(play, twin, operation, value, bytes, stays_stale);
	if (status != STATUS_TOO_LARGE && status != STATUS_NO_MEMORY) return;
	bool sets = operation->mode == STORE_SET && !has(operation, OPERATION_HAS_CAS_COMPARE);
	if (sets || has(operation, OPERATION_IS_META)) twin->present = false;
}

static void expect_delete(struct play *play, struct twin *twin, const struct operation *operation) {
	if (!is_there(play, twin)) {
		require_status(operation, STATUS_NOT_FOUND);
		return;
	}
	bool matches = operation->cas_compare != 0 && operation->cas_compare == twin->cas;
	if (has(operation, OPERATION_HAS_CAS_COMPARE) && !matches) {
		require_status(operation, STATUS_EXISTS);
		return;
	}
	require_status(operation, STATUS_DONE);
	int64_t expires_at_s = twin->expires_at_s;
	uint64_t cas = twin->cas;
	if (has(operation, OPERATION_HAS_EXPTIME)) expires_at_s = twin_time(play, operation->exptime);
	if (has(operation, OPERATION_CLEARS_VALUE)) {
		put(twin, NULL, 0, operation->client_flags,
			has(operation, OPERATION_HAS_EXPTIME) ? expires_at_s : 0);
		bool keeps = cas != 0 && !has(operation, OPERATION_HAS_CAS_NEW | OPERATION_INVALIDATES);
		if (!keeps) renumber(play, twin, operation);
		REQUIRE(!has(operation, OPERATION_WANTS_CAS) || operation->cas == twin->cas,
				"another number");
	}
	if (has(operation, OPERATION_INVALIDATES)) {
		if (!has(operation, OPERATION_CLEARS_VALUE)) {
			twin->expires_at_s = expires_at_s;
			renumber(play, twin, operation);
		}
		twin->stale = true;
		twin->won = false;
	} else if (!has(operation, OPERATION_CLEARS_VALUE)) {
		twin->present = false;
	}
}

/* By the C library, as memcached does it. */
static bool number_of(const struct twin *twin, uint64_t *number) {
	char text[300], *end;
	if (twin->bytes == 0 || twin->bytes > 256) return false;
	memcpy(text, twin->value, twin->bytes);
	text[twin->bytes] = '\0';
	errno = 0;
	unsigned long long value = strtoull(text, &end, 10);
	if (errno == ERANGE || end == text || memchr(text, '-', (size_t)(end - text)) != NULL)
		return false;
	*number = value;
	return *end == '\0' || isspace((unsigned char)*end);
}

static void expect_arithmetic(struct play *play, struct twin *twin,
							  const struct operation *operation) {
	uint64_t number = 0;
	if (!is_there(play, twin)) {
		if (!has(operation, OPERATION_HAS_VIVIFY)) {
			require_status(operation, STATUS_NOT_FOUND);
			return;
		}
		require_status(operation, STATUS_DONE);
		char text[32];
		int length = snprintf(text, sizeof text, "%llu", (unsigned long long)operation->initial);
		put(twin, text, (uint32_t)length, 0, twin_time(play, operation->vivify_exptime));
		renumber(play, twin, operation);
		return;
	}
	if (twin->bytes == 0) {
		require_status(operation, STATUS_NOT_A_NUMBER);
		return;
	}
	if (has(operation, OPERATION_HAS_CAS_COMPARE) && operation->cas_compare != 0 &&
		operation->cas_compare != twin->cas) {
		require_status(operation, STATUS_EXISTS);
		return;
	}
	if (!number_of(twin, &number)) {
		require_status(operation, STATUS_NOT_A_NUMBER);
		return;
	}
	require_status(operation, STATUS_DONE);
	number = !has(operation, OPERATION_DECREMENTS) ? number + operation->delta
			 : number < operation->delta           ? 0
												   : number - operation->delta;
	REQUIRE(operation->number == number, "another result");
	char text[300];
	int length =
		snprintf(text, sizeof text, "%-*llu", (int)twin->bytes, (unsigned long long)number);
	memcpy(twin->value, text, (size_t)length);
	twin->bytes = (uint32_t)length;
	if (has(operation, OPERATION_HAS_EXPTIME))
		twin->expires_at_s = twin_time(play, operation->exptime);
	renumber(play, twin, operation);
}

static void expect_inspect(struct play *play, struct twin *twin,
						   const struct operation *operation) {
	require_status(operation, is_there(play, twin) ? STATUS_FOUND : STATUS_NOT_FOUND);
	if (operation->status != STATUS_FOUND) return;
	REQUIRE(operation->cas == twin->cas && operation->ttl_s == ttl(play, twin), "another item");
}

/* ------------------------------------------------------------------ comparing -------------- */

/* As it is now, after what was evicted. */
static void compare(struct play *play, uint32_t number, bool may_be_lost) {
	struct twin *twin = &play->twin[number];
	snug_key key = key_of(number);
	snug_item item;
	if (snug_shard_find(play->shard, &key, &item) != SNUG_OK) {
		if (is_there(play, twin)) {
			REQUIRE(may_be_lost && play->evicts, "key %u is lost", number);
			play->lost++;
		}
		twin->present = false;
		return;
	}
	REQUIRE(is_there(play, twin), "key %u is there", number);
	REQUIRE(item.value_bytes == twin->bytes, "key %u has %zu bytes, not %u", number,
			item.value_bytes, twin->bytes);
	REQUIRE(item.attributes.client_flags == twin->flags &&
				item.attributes.expires_at_s == twin->expires_at_s &&
				item.attributes.is_stale == twin->stale && item.attributes.is_won == twin->won &&
				item.attributes.cas == twin->cas,
			"key %u has other attributes", number);
	REQUIRE_OK(snug_shard_read(play->shard, &item, 0, play->found, item.value_bytes));
	REQUIRE(memcmp(play->found, twin->value, twin->bytes) == 0, "key %u has another value", number);
}

/* ------------------------------------------------------------------ what is asked ---------- */

static bool chance(struct play *play, uint32_t per_mille) {
	return test_random_chance(&play->random, per_mille);
}

static int64_t random_exptime(struct play *play) {
	switch (test_random_below(&play->random, 8)) {
	case 0:
		return chance(play, 250) ? -1 : 0;
	case 1:
		return play->now_s + (int64_t)test_random_below(&play->random, 50);
	case 2:
		return 60 * 60 * 24 * 30 + chance(play, 150); /* the last from now; 1970 */
	case 3:
	case 4:
		return (int64_t)test_random_between(&play->random, 1, 300);
	default:
		return 0;
	}
}

static uint64_t random_cas(struct play *play, const struct twin *twin) {
	switch (test_random_below(&play->random, 6)) {
	case 0:
		return 0;
	case 1:
		return NEVER_GIVEN;
	case 2:
		return play->cas_max == 0 ? 0 : test_random_between(&play->random, 1, play->cas_max);
	case 3:
		return twin->cas > 0 ? twin->cas - 1 : 0;
	default:
		return twin->cas;
	}
}

static uint32_t random_value(struct play *play) {
	static const char *const numbers[] = {"0",
										  "7",
										  "10",
										  " +12 ",
										  "007",
										  "18446744073709551615",
										  "18446744073709551616",
										  "5x",
										  "-3",
										  "99999999999999999999",
										  "+",
										  " ",
										  "1 2",
										  "++1"};
	uint64_t kind = test_random_below(&play->random, 100);
	if (kind < 45) {
		const char *text =
			numbers[test_random_below(&play->random, sizeof numbers / sizeof numbers[0])];
		memcpy(play->value, text, strlen(text));
		return (uint32_t)strlen(text);
	}
	uint32_t most = kind < 50 ? 0 : kind < 65 ? 200 : kind < 85 ? 4000 : ITEM_MAX + 2000;
	uint32_t bytes = (uint32_t)test_random_between(&play->random, 0, most);
	test_random_fill(play->value, bytes, test_random_next(&play->random));
	return bytes;
}

/* The value, directly or in a lease. */
static uint32_t give_value(struct play *play, struct operation *operation) {
	uint32_t bytes = random_value(play), at = 0;
	operation->value = play->value;
	operation->value_bytes = bytes;
	if (!chance(play, 300) || bytes == 0) return bytes;
	if (snug_shard_reserve(play->shard, &operation->key, bytes, &operation->lease) != SNUG_OK) {
		REQUIRE(play->evicts || operation->key.length + bytes > ITEM_MAX, "no room for a lease");
		return bytes;
	}
	while (at < bytes) {
		snug_extent extents[8];
		size_t count = 8, length = bytes - at < 3000 ? bytes - at : 3000;
		REQUIRE_OK(
			snug_shard_lease_view(play->shard, &operation->lease, at, length, extents, &count));
		for (size_t i = 0; i < count; i++) {
			memcpy(extents[i].data, play->value + at, extents[i].length);
			at += (uint32_t)extents[i].length;
		}
	}
	operation->value = NULL;
	operation->value_bytes = 0;
	return bytes;
}

static uint16_t random_options(struct play *play) {
	uint16_t options = 0;
	for (uint32_t bit = 0; bit < 13; bit++)
		if (chance(play, 200)) options |= (uint16_t)(1u << bit);
	if (options & OPERATION_HAS_EXPTIME && chance(play, 300)) options |= OPERATION_TELLS_OLD_TTL;
	if (options & OPERATION_HAS_EXPTIME && chance(play, 300)) options |= OPERATION_TOUCHES_FIRST;
	return options;
}

static struct operation random_operation(struct play *play, uint32_t number) {
	static const uint8_t kinds[] = {OPERATION_GET,        OPERATION_GET,    OPERATION_GET,
									OPERATION_STORE,      OPERATION_STORE,  OPERATION_STORE,
									OPERATION_STORE,      OPERATION_DELETE, OPERATION_ARITHMETIC,
									OPERATION_ARITHMETIC, OPERATION_INSPECT};
	struct operation operation = {
		.key = key_of(number),
		.kind = kinds[test_random_below(&play->random, sizeof kinds)],
		.mode = (uint8_t)test_random_below(&play->random, 5),
		.options = random_options(play),
		.client_flags = chance(play, 300) ? (uint32_t)test_random_next(&play->random) : 0,
		.exptime = random_exptime(play),
		.vivify_exptime = random_exptime(play),
		.recache_s = (int64_t)test_random_below(&play->random, 400),
		.cas_compare = random_cas(play, &play->twin[number]),
		.delta = chance(play, 200) ? test_random_next(&play->random)
								   : test_random_below(&play->random, 20),
		.initial = test_random_below(&play->random, 1000)};
	operation.cas_new = chance(play, 200) ? 0 : play->cas_max + test_random_below(&play->random, 5);
	if (chance(play, 300)) operation.mode = STORE_SET;
	if (chance(play, 300))
		operation.options = operation.options & OPERATION_WANTS_CAS ? OPERATION_NO_STALE : 0;
	return operation;
}

static void operate(struct play *play) {
	uint32_t number = (uint32_t)test_random_below(&play->random, KEYS), bytes = 0;
	struct twin *twin = &play->twin[number];
	struct operation operation = random_operation(play, number);
	if (operation.kind == OPERATION_STORE) bytes = give_value(play, &operation);
	compare(play, number, true);
	snprintf(play->note + 60, sizeof play->note - 60, "key %u, kind %u, mode %u, options 0x%x",
			 number, operation.kind, operation.mode, operation.options);
	operation_execute(play->shard, &operation, &play->counts);
	REQUIRE(operation.status < STATUS_COUNT && operation.lease.ref == 0, "no answer");
	play->statuses[operation.status]++;
	if (operation.status == STATUS_NO_MEMORY && operation.kind != OPERATION_STORE && play->evicts) {
		compare(play, number, true); /* nothing has changed */
		return;
	}
	if (operation.kind == OPERATION_GET) expect_get(play, twin, &operation);
	if (operation.kind == OPERATION_STORE) expect_store(play, twin, &operation, play->value, bytes);
	if (operation.kind == OPERATION_DELETE) expect_delete(play, twin, &operation);
	if (operation.kind == OPERATION_ARITHMETIC) expect_arithmetic(play, twin, &operation);
	if (operation.kind == OPERATION_INSPECT) expect_inspect(play, twin, &operation);
	if (operation.kind == OPERATION_GET && operation.status == STATUS_FOUND) {
		if (twin->present) compare(play, number, false);
		operation_end(play->shard, &operation);
		if (operation.marks & OPERATION_EXPIRES_NOW) twin->present = false;
	}
	compare(play, number, false);
}

/* ------------------------------------------------------------------ beside them ------------ */

static void require_pinned(struct play *play, const struct pinned *pinned) {
	for (uint32_t at = 0; at < pinned->lease.value_bytes;) {
		snug_extent extents[64];
		size_t count = 64, length = pinned->lease.value_bytes - at < 20000
										? pinned->lease.value_bytes - at
										: 20000;
		REQUIRE_OK(snug_shard_lease_view(play->shard, &pinned->lease, at, length, extents, &count));
		for (size_t i = 0; i < count; i++) {
			REQUIRE(memcmp(extents[i].data, pinned->value + at, extents[i].length) == 0,
					"a pinned value changed");
			at += (uint32_t)extents[i].length;
		}
	}
}

static void pin_or_release(struct play *play) {
	struct pinned *pinned = &play->pinned[test_random_below(&play->random, PINS)];
	uint32_t number = (uint32_t)test_random_below(&play->random, KEYS);
	struct operation operation = {
		.kind = OPERATION_GET, .options = OPERATION_NO_STALE, .key = key_of(number)};
	if (pinned->lease.ref != 0) {
		require_pinned(play, pinned);
		snug_shard_release(play->shard, &pinned->lease);
		return;
	}
	compare(play, number, true);
	operation_execute(play->shard, &operation, &play->counts);
	if (operation.status != STATUS_FOUND) return;
	snug_error error = snug_shard_pin(play->shard, &operation.item, &pinned->lease);
	REQUIRE(!error || (error == SNUG_ERROR_NO_MEMORY && play->evicts), "pin: %s",
			snug_error_text(error));
	if (!error) memcpy(pinned->value, play->twin[number].value, pinned->lease.value_bytes);
}

static void pass_time(struct play *play) {
	play->now_s += (int64_t)test_random_between(&play->random, 0, 10);
	if (play->flush_at_s == 0 || play->flush_at_s > play->now_s) return;
	play->flush_at_s = 0;
	for (uint32_t i = 0; i < KEYS; i++) play->twin[i].present = false;
}

static void flush(struct play *play) {
	bool later = chance(play, 500);
	snug_shard_flush(play->shard, later ? play->now_s + 20 : 0);
	play->flush_at_s = later ? play->now_s + 20 : 0;
	for (uint32_t i = 0; i < KEYS && !later; i++) play->twin[i].present = false;
}

static void do_something(struct play *play) {
	uint64_t kind = test_random_below(&play->random, 1000);
	snug_report report;
	if (kind < 900) {
		operate(play);
	} else if (kind < 930) {
		pin_or_release(play);
	} else if (kind < 950) {
		pass_time(play);
	} else if (kind < 952) {
		flush(play);
	} else if (kind < 960) {
		snug_error error = snug_defragment(snug_shard_heap(play->shard), NULL, &report);
		REQUIRE(!error || error == SNUG_ERROR_BUSY, "defragment: %s", snug_error_text(error));
	} else {
		(void)snug_shard_maintain(play->shard);
	}
}

static uint64_t base_seed;
static uint64_t operations_each;

static void play_begin(struct play *play, size_t limit_bytes, bool evicts) {
	snug_shard_options options = snug_shard_options_default();
	for (uint32_t i = 0; i < KEYS; i++)
		REQUIRE((play->twin[i].value = malloc(VALUE_MAX)) != NULL, "no memory");
	for (uint32_t i = 0; i < PINS; i++)
		REQUIRE((play->pinned[i].value = malloc(VALUE_MAX)) != NULL, "no memory");
	fake_os_init(&play->fake);
	options.heap.limit_bytes = limit_bytes;
	options.heap.page_bytes = 4096;
	options.heap.os = &play->fake.os;
	options.item_max_bytes = ITEM_MAX;
	options.no_eviction = !evicts;
	options.now_s = now_of;
	options.now_context = play;
	play->random.state = base_seed + limit_bytes;
	play->now_s = 1700000000;
	play->evicts = evicts;
	REQUIRE_OK(snug_shard_create(&options, &play->shard));
}

static void play_end(struct play *play) {
	for (uint32_t i = 0; i < PINS; i++) {
		snug_shard_release(play->shard, &play->pinned[i].lease);
		free(play->pinned[i].value);
	}
	REQUIRE_OK(snug_shard_check(play->shard, NULL));
	REQUIRE_OK(snug_shard_destroy(play->shard));
	REQUIRE(play->fake.mistakes == 0 && play->fake.reserved_bytes == 0,
			"mistakes or leaks at the OS");
	fake_os_deinit(&play->fake);
	for (uint32_t i = 0; i < KEYS; i++) free(play->twin[i].value);
	free(play);
}

static void run(size_t limit_bytes, bool evicts) {
	struct play *play = calloc(1, sizeof *play);
	REQUIRE(play != NULL, "the test ran out of memory");
	play_begin(play, limit_bytes, evicts);
	require_note(play->note);
	for (uint64_t done = 0; done < operations_each; done++) {
		snprintf(play->note, sizeof play->note, "%-59s ", "");
		int length =
			snprintf(play->note, 60, "seed 0x%llx, operation %llu:", (unsigned long long)base_seed,
					 (unsigned long long)done);
		play->note[length] = ' ';
		do_something(play);
		if (done % 64 != 0) continue;
		snug_check_result wrong;
		REQUIRE(snug_shard_check(play->shard, &wrong) == SNUG_OK, "law %s: %s", wrong.law,
				wrong.message);
	}
	printf("  %zu KiB%s:", limit_bytes >> 10, evicts ? "" : " without eviction");
	for (uint32_t i = 0; i < STATUS_COUNT; i++) {
		printf(" %llu", (unsigned long long)play->statuses[i]);
		bool is_rare = i == STATUS_NO_MEMORY || i == STATUS_BAD_KEY;
		REQUIRE(is_rare || operations_each < 10000 || play->statuses[i] > 0,
				"status %u was never told", i);
	}
	printf(" by status; %llu evicted\n", (unsigned long long)play->lost);
	require_note(NULL);
	play_end(play);
}

static void with_room_for_all(void **state) {
	(void)state;
	run(24 * MIB, false);
}

static void evicting(void **state) {
	(void)state;
	run(600 << 10, true);
	run(400 << 10, true);
}

int main(void) {
	const struct CMUnitTest tests[] = {cmocka_unit_test(with_room_for_all),
									   cmocka_unit_test(evicting)};
	base_seed = test_environment_number("SNUG_SEED",
										(uint64_t)time(NULL) * UINT64_C(0x9e3779b97f4a7c15) >> 16);
	operations_each = test_environment_number("SNUG_OPS", 60000);
	test_set_secret(base_seed);
	printf("operation model: SNUG_SEED=0x%llx SNUG_OPS=%llu\n", (unsigned long long)base_seed,
		   (unsigned long long)operations_each);
	return cmocka_run_group_tests_name("operation_model", tests, NULL, NULL);
}
