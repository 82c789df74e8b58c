/* example_sessions.c: a table of sessions in one thread: who is logged in, until when, and what the
 * memory for it is at most.
 *
 *     cc example_sessions.c $(pkg-config --cflags --libs snug) && ./a.out
 *
 * A session is kept by its token and ends half an hour after it was last used. When memory is short
 * those go that are used least. Valid C and C++. */
#include <snug/snug.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIFE_S 1800
#define TOKEN_BYTES 16

struct session {
	uint32_t user;
	uint32_t requests;
	char language[8];
};

struct table {
	snug_shard *shard;
	uint64_t removed[SNUG_REMOVAL_COUNT];
};

static void check(snug_error error, const char *what) {
	if (error == SNUG_OK) return;
	fprintf(stderr, "%s: %s\n", what, snug_error_text(error));
	exit(EXIT_FAILURE);
}

/* A session that nobody has ended. Nothing else of the shard may be called here. */
static void count_removed(void *context, snug_shard *shard, snug_removal why, const snug_key *key,
						  const snug_item *item) {
	struct table *table = (struct table *)context;
	(void)shard;
	(void)key;
	(void)item;
	table->removed[why]++;
}

static void table_init(struct table *table, size_t limit_bytes) {
	snug_shard_options options = snug_shard_options_default();
	memset(table, 0, sizeof *table);
	options.heap.limit_bytes = limit_bytes; /* of everything */
	options.removed = count_removed;
	options.removed_context = table;
	check(snug_shard_create(&options, &table->shard), "create");
}

static void save(struct table *table, const char *token, const struct session *session) {
	snug_key key = snug_shard_key(token, TOKEN_BYTES);
	snug_attributes attributes;
	memset(&attributes, 0, sizeof attributes);
	attributes.expires_at_s = (uint32_t)snug_shard_now_s(table->shard) + LIFE_S;
	check(snug_shard_set(table->shard, &key, &attributes, session, sizeof *session), "save");
}

static void log_in(struct table *table, const char *token, uint32_t user) {
	struct session session = {user, 0, "en"};
	save(table, token, &session);
}

/* A request of a session's: false: it is over. Whoever comes by has another half an hour. */
static bool use(struct table *table, const char *token, struct session *session) {
	snug_key key = snug_shard_key(token, TOKEN_BYTES);
	snug_item item;
	snug_error error = snug_shard_get(table->shard, &key, &item);
	if (error == SNUG_ERROR_NOT_FOUND) return false;
	check(error, "get");
	if (item.value_bytes != sizeof *session) return false;
	check(snug_shard_read(table->shard, &item, 0, session, sizeof *session), "read");
	session->requests++;
	save(table, token, session);
	return true;
}

static bool log_out(struct table *table, const char *token) {
	snug_key key = snug_shard_key(token, TOKEN_BYTES);
	return snug_shard_delete(table->shard, &key) == SNUG_OK;
}

struct of_user {
	snug_shard *shard;
	uint32_t user;
	uint32_t sessions;
};

static void meet(void *context, const snug_key *key, const snug_item *item) {
	struct of_user *of_user = (struct of_user *)context;
	struct session session;
	(void)key;
	if (item->value_bytes != sizeof session) return;
	check(snug_shard_read(of_user->shard, item, 0, &session, sizeof session), "read");
	if (session.user == of_user->user) of_user->sessions++;
}

static uint32_t sessions_of(struct table *table, uint32_t user) {
	struct of_user of_user = {table->shard, user, 0};
	uint64_t cursor = 0;
	do check(snug_shard_walk(table->shard, &cursor, meet, &of_user), "walk");
	while (cursor != 0);
	return of_user.sessions;
}

static const char *token_of(uint32_t number) {
	static char token[TOKEN_BYTES + 1];
	snprintf(token, sizeof token, "token%011" PRIu32, number); /* yours are random */
	return token;
}

int main(void) {
	struct table table;
	struct session session;
	snug_shard_stats stats;
	table_init(&table, (size_t)1 << 20);
	for (uint32_t i = 0; i < 3; i++) log_in(&table, token_of(i), 7);
	for (uint32_t i = 0; i < 10; i++)
		if (!use(&table, token_of(1), &session)) return EXIT_FAILURE;
	printf("user %" PRIu32 ", %" PRIu32 " requests, %" PRIu32 " sessions\n", session.user,
		   session.requests, sessions_of(&table, 7));
	if (!log_out(&table, token_of(1)) || use(&table, token_of(1), &session)) return EXIT_FAILURE;
	if (sessions_of(&table, 7) != 2) return EXIT_FAILURE;

	/* More than fit: those go that are used least, and this one stays. */
	for (uint32_t i = 3; i < 50000; i++) {
		log_in(&table, token_of(i), i);
		if (!use(&table, token_of(0), &session)) return EXIT_FAILURE;
		(void)snug_shard_maintain(table.shard); /* when there is nothing else to do */
	}
	check(snug_shard_stats_get(table.shard, &stats), "stats");
	printf("%" PRIu64 " sessions, %" PRIu64 " have gone for others\n", stats.items,
		   table.removed[SNUG_REMOVAL_EVICTED]);
	check(snug_shard_destroy(table.shard), "destroy");
	return stats.items > 5000 && stats.items + table.removed[SNUG_REMOVAL_EVICTED] == 49999
			   ? EXIT_SUCCESS
			   : EXIT_FAILURE;
}
