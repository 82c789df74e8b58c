/* server/watch/prefixes.c: see server/watch/prefixes.h. */
#include "server/watch/prefixes.h"

#include "base/bits.h"
#include "work/key_hash.h"

#include <string.h>

#define PREFIXES_MAX 4096u
#define INDEX_PLACES (2 * PREFIXES_MAX) /* a power of two: half of them are free at least */
#define PREFIX_TEXT_BYTES (32u * PREFIXES_MAX)

struct prefix {
	uint64_t gets, hits, sets, deletes;
	uint32_t hash;
	uint32_t text_at;
	uint32_t length;
};

struct prefix_table {
	uint32_t count;
	uint32_t text_bytes;
	uint16_t index[INDEX_PLACES]; /* the prefix's number and 1; 0: free */
	struct prefix prefix[PREFIXES_MAX];
	char text[PREFIX_TEXT_BYTES];
};

_Static_assert(PREFIXES_MAX < UINT16_MAX, "a place holds any number");

void prefixes_init(struct prefixes *prefixes, char delimiter, struct text_account *account,
				   struct watchers *watchers) {
	*prefixes = (struct prefixes){.delimiter = delimiter, .table.account = account, .at = watchers};
	pthread_mutex_init(&prefixes->mutex, NULL);
}

void prefixes_deinit(struct prefixes *prefixes) {
	text_deinit(&prefixes->table);
	pthread_mutex_destroy(&prefixes->mutex);
}

/* Under the mutex, as all up to the public functions. NULL: there is none. */
static struct prefix_table *table_of(struct prefixes *prefixes) {
	return (struct prefix_table *)(void *)prefixes->table.bytes;
}

static bool make_table(struct prefixes *prefixes) {
	if (table_of(prefixes) != NULL) return true;
	void *table = text_extend(&prefixes->table, sizeof(struct prefix_table));
	if (table == NULL)
		text_deinit(&prefixes->table); /* the next one may find memory */
	else
		memset(table, 0, offsetof(struct prefix_table, prefix));
	return table != NULL;
}

static const struct prefix none;

/* The one that has this text, which begins with none counted. NULL: there is no room for it. */
static struct prefix *find(struct prefix_table *table, const char *text, uint32_t length) {
	uint32_t hash = (uint32_t)key_hash(text, length), place = hash;
	struct prefix *at;
	for (; table->index[place % INDEX_PLACES] != 0; place++) {
		at = &table->prefix[table->index[place % INDEX_PLACES] - 1];
		if (at->hash == hash && at->length == length &&
			memcmp(table->text + at->text_at, text, length) == 0)
			return at;
	}
	if (table->count == PREFIXES_MAX || PREFIX_TEXT_BYTES - table->text_bytes < length) return NULL;
	at = &table->prefix[table->count++];
	*at = none;
	at->hash = hash;
	at->text_at = table->text_bytes;
	at->length = length;
	memcpy(table->text + at->text_at, text, length);
	table->text_bytes += length;
	table->index[place % INDEX_PLACES] = (uint16_t)table->count;
	return at;
}

static void count(struct prefix *prefix, const struct operation *operation) {
	bool is_get = operation->kind == OPERATION_GET;
	prefix->gets += is_get;
	prefix->hits += is_get && operation->status == STATUS_FOUND;
	prefix->sets += operation->kind == OPERATION_STORE;
	prefix->deletes += operation->kind == OPERATION_DELETE;
}

/* As memcached: neither touch nor what counts up and down. */
static bool is_counted(const struct operation *operation) {
	if (operation->kind == OPERATION_GET) return (operation->options & OPERATION_IS_TOUCH) == 0;
	return operation->kind == OPERATION_STORE || operation->kind == OPERATION_DELETE;
}

/* ------------------------------------------------------------------ public ----------------- */

bool prefixes_begin(struct prefixes *prefixes) {
	pthread_mutex_lock(&prefixes->mutex);
	bool has_table = make_table(prefixes);
	if (has_table) watchers_count_prefixes(prefixes->at, true);
	pthread_mutex_unlock(&prefixes->mutex);
	return has_table;
}

void prefixes_end(struct prefixes *prefixes) {
	pthread_mutex_lock(&prefixes->mutex);
	watchers_count_prefixes(prefixes->at, false);
	pthread_mutex_unlock(&prefixes->mutex);
}

bool prefixes_are_counted(const struct prefixes *prefixes) {
	uint32_t kinds = atomic_load_explicit(&prefixes->at->kinds, memory_order_relaxed);
	return (kinds & WATCH_PREFIXES) != 0;
}

void prefixes_reset(struct prefixes *prefixes) {
	pthread_mutex_lock(&prefixes->mutex);
	struct prefix_table *table = table_of(prefixes);
	prefixes->dropped = 0;
	if (table != NULL && prefixes_are_counted(prefixes))
		memset(table, 0, offsetof(struct prefix_table, prefix));
	else
		text_deinit(&prefixes->table);
	pthread_mutex_unlock(&prefixes->mutex);
}

uint64_t prefixes_dropped(struct prefixes *prefixes) {
	pthread_mutex_lock(&prefixes->mutex);
	uint64_t dropped = prefixes->dropped;
	pthread_mutex_unlock(&prefixes->mutex);
	return dropped;
}

void prefixes_count(struct prefixes *prefixes, const struct operation *operation) {
	const char *key = operation->key.bytes;
	const char *end = memchr(key, prefixes->delimiter, operation->key.length);
	if (end == NULL || !is_counted(operation)) return;
	pthread_mutex_lock(&prefixes->mutex);
	struct prefix_table *table = table_of(prefixes);
	struct prefix *prefix = table == NULL ? NULL : find(table, key, (uint32_t)(end - key));
	if (prefix != NULL)
		count(prefix, operation);
	else
		prefixes->dropped += table != NULL;
	pthread_mutex_unlock(&prefixes->mutex);
}

static bool is_word(const char *text, size_t length) {
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)text[i] <= ' ' || text[i] == 0x7F) return false;
	return true;
}

static void say(const struct prefix *prefix, const char *text, struct text *out) {
	char room[WATCH_KEY_ROOM];
	text_append(out, "PREFIX ", 7);
	if (is_word(text, prefix->length))
		text_append(out, text, prefix->length);
	else
		text_print(out, "%s", watch_key(text, prefix->length, room));
	text_print(out, " get %llu hit %llu set %llu del %llu\r\n", (unsigned long long)prefix->gets,
			   (unsigned long long)prefix->hits, (unsigned long long)prefix->sets,
			   (unsigned long long)prefix->deletes);
}

#define SAID_AT_A_TIME 128u /* some 100 us, in which operations wait */

bool prefixes_dump(struct prefixes *prefixes, uint32_t *from, struct text *out) {
	pthread_mutex_lock(&prefixes->mutex);
	const struct prefix_table *table = table_of(prefixes);
	uint32_t count = table == NULL ? 0 : table->count;
	uint32_t end = *from < count ? (uint32_t)smaller(*from + SAID_AT_A_TIME, count) : *from;
	for (; *from < end; (*from)++) {
		const struct prefix *prefix = &table->prefix[*from];
		say(prefix, table->text + prefix->text_at, out);
	}
	pthread_mutex_unlock(&prefixes->mutex);
	return end >= count || out->failed;
}
