/* ctl_memory.c: memory: what the server's memory is used for, from `stats`.
 *
 *     within the limit      parts that add up to what is used, and shares of the limit
 *     beside the limit      what connections, HTTP and the log hold
 *     resident              what the process has of the machine
 *
 * What the process has resident and is in neither is the program, its libraries and its stacks, and
 * pages that were used once and are kept. */
#include "base/json_text.h"
#include "base/number_text.h"
#include "ctl_command.h"
#include "units.h"

#include <stdio.h>
#include <string.h>

struct row {
	const char *statistic;
	const char *what;
};

static const struct row parts[] = {
	{"snug_memory_values_bytes", "values"},
	{"snug_memory_keys_bytes", "keys"},
	{"snug_memory_heads_bytes", "heads of items"},
	{"snug_memory_held_bytes", "leased, or not removed yet"},
	{"snug_memory_waste_bytes", "rounding up to slots"},
	{"snug_memory_holes_bytes", "holes between items"},
	{"snug_memory_page_ends_bytes", "ends of pages"},
	{"snug_memory_free_pages_bytes", "free pages"},
	{"snug_memory_tables_bytes", "the heap's tables"},
	{"snug_memory_index_bytes", "index of keys"},
	{"snug_memory_ghosts_bytes", "ghosts of evicted items"},
	{"snug_memory_workers_bytes", "the workers"},
};

static const struct row beside[] = {
	{"snug_buffer_bytes", "connections"},
	{"snug_ssl_memory_bytes", "  of these, TLS"},
	{"snug_http_bytes", "HTTP"},
	{"snug_answer_bytes", "answers to operators"},
	{"snug_log_bytes", "log lines to come"},
};

static const struct row whole[] = {
	{"snug_limit_bytes", "limit"},
	{"snug_memory_used_bytes", "used"},
	{"snug_memory_peak_bytes", "used at most"},
	{"snug_resident_bytes", "resident"},
	{"snug_resident_peak_bytes", "resident at most"},
};

#define ROWS(table) (table), sizeof(table) / sizeof *(table)

static uint64_t bytes_of(const struct reply *stats, const char *name) {
	const char *value = reply_value(stats, name);
	return value == NULL ? 0 : number_leading(value);
}

static void print_row(const struct reply *stats, const struct row *row, uint64_t limit_bytes) {
	uint64_t bytes = bytes_of(stats, row->statistic);
	printf("  %-28s%12s", row->what, bytes_text(bytes).text);
	if (limit_bytes > 0) printf("%10s", share_text(ratio(bytes, limit_bytes)).text);
	putchar('\n');
}

static void print_rows(const struct reply *stats, const struct row *row, size_t count,
					   uint64_t limit_bytes) {
	for (size_t i = 0; i < count; i++)
		if (reply_value(stats, row[i].statistic) != NULL) print_row(stats, &row[i], limit_bytes);
}

static void print_memory(const struct reply *stats) {
	uint64_t limit_bytes = bytes_of(stats, "snug_limit_bytes");
	printf("within the limit of %s\n", bytes_text(limit_bytes).text);
	print_rows(stats, ROWS(parts), limit_bytes);
	print_rows(stats, &whole[1], 2, limit_bytes);
	printf("\nbeside the limit\n");
	print_rows(stats, ROWS(beside), 0);
	printf("\nthe process\n");
	print_rows(stats, &whole[3], 2, 0);
}

/* The names are those of `stats`. */
static void json_rows(const struct reply *stats, const struct row *row, size_t count,
					  const char **comma) {
	for (size_t i = 0; i < count; i++) {
		const char *value = reply_value(stats, row[i].statistic);
		if (value == NULL || !json_is_number(value, strlen(value))) continue;
		printf("%s\"%s\":%s", *comma, row[i].statistic, value);
		*comma = ",";
	}
}

static void json_memory(const struct reply *stats) {
	const char *comma = "";
	putchar('{');
	json_rows(stats, ROWS(whole), &comma);
	json_rows(stats, ROWS(parts), &comma);
	json_rows(stats, ROWS(beside), &comma);
	puts("}");
}

enum status run_memory(struct call *call) {
	struct reply stats;
	if (!call_ask(call, "stats", &stats)) return STATUS_UNREACHABLE;
	enum status status = call_status(&stats);
	if (!call_is_refused(call, &stats)) {
		if (call->options->json)
			json_memory(&stats);
		else
			print_memory(&stats);
	}
	reply_free(&stats);
	return status;
}
