/* http/http_metrics.c: see http/http_metrics.h. Three tables say which statistic is which metric:
 *
 *     of_server   STAT evictions 7           memcached_items_evicted_total 7
 *     of_worker   STAT 0:evictions 7         snug_worker_evictions_total{worker="0"} 7
 *     of_pool     STAT 0:small:slabs 7       snug_pool_slabs{worker="0",pool="small"} 7
 *
 * and latencies are Prometheus' histograms.
 *
 * Samples of one metric must stand together, so each row, or run of rows with one name, is looked
 * for in the answer by itself: rows times lines, some thousands of comparisons for a scrape. Times
 * are told in seconds, as Prometheus wants them. */
#include "http/http_metrics.h"

#include "base/number_text.h"
#include "http/http_json.h"
#include "server/figures/figures.h"

#include <snug/version.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct metric {
	const char *statistic;
	const char *name;
	const char *labels; /* "": none */
	const char *type;
	const char *help;
};

#define COMMAND(statistic, command, status)                                                       \
	{                                                                                             \
		statistic, "memcached_commands_total", "{command=\"" command "\",status=\"" status "\"}", \
			"counter", "Requests, by command and what came of them."                              \
	}

#define PURPOSE(name, what)                                                                  \
	{"snug_memory_" #name "_bytes", "snug_memory_bytes", "{purpose=\"" #name "\"}", "gauge", \
	 "What the memory that counts towards the limit is used for; the sum is "                \
	 "snug_memory_used_bytes."},

/* Of `stats`. */
static const struct metric of_server[] = {
	{"uptime", "memcached_uptime_seconds", "", "gauge", "Seconds since the server started."},
	{"time", "memcached_time_seconds", "", "gauge", "The server's clock, in seconds since 1970."},
	{"rusage_user", "memcached_process_user_cpu_seconds_total", "", "counter",
	 "Processor time of the process, user."},
	{"rusage_system", "memcached_process_system_cpu_seconds_total", "", "counter",
	 "Processor time of the process, system."},
	{"bytes_read", "memcached_read_bytes_total", "", "counter", "Bytes received from clients."},
	{"bytes_written", "memcached_written_bytes_total", "", "counter", "Bytes sent to clients."},
	{"curr_connections", "memcached_current_connections", "", "gauge", "Open connections."},
	{"max_connections", "memcached_max_connections", "", "gauge",
	 "Connections that may be open at a time."},
	{"total_connections", "memcached_connections_total", "", "counter", "Connections accepted."},
	{"rejected_connections", "memcached_connections_rejected_total", "", "counter",
	 "Connections turned away."},
	{"conn_yields", "memcached_connections_yielded_total", "", "counter",
	 "Turns that a connection gave away so that others get theirs."},
	{"snug_rejected_too_many", "snug_connections_rejected_total", "{reason=\"too_many\"}",
	 "counter", "Connections turned away: too many were open, or there was no memory for them."},
	{"snug_rejected_no_memory", "snug_connections_rejected_total", "{reason=\"no_memory\"}",
	 "counter", "Connections turned away: too many were open, or there was no memory for them."},
	{"snug_memory_closed", "snug_connections_closed_total", "{reason=\"memory\"}", "counter",
	 "Connections that the server closed: they held most when connection memory was short, said "
	 "nothing for --idle-timeout, or an operator closed them."},
	{"idle_kicks", "snug_connections_closed_total", "{reason=\"idle\"}", "counter",
	 "Connections that the server closed: they held most when connection memory was short, said "
	 "nothing for --idle-timeout, or an operator closed them."},
	{"snug_killed", "snug_connections_closed_total", "{reason=\"operator\"}", "counter",
	 "Connections that the server closed: they held most when connection memory was short, said "
	 "nothing for --idle-timeout, or an operator closed them."},
	{"snug_connection_memory_bytes", "snug_connection_memory_limit_bytes", "", "gauge",
	 "What connections may hold, beside the memory limit."},
	{"snug_log_dropped", "snug_log_dropped_total", "", "counter",
	 "Log lines dropped because nobody read them in time."},
	{"auth_cmds", "snug_auth_commands_total", "", "counter",
	 "Passwords and tokens that were checked."},
	{"auth_errors", "snug_auth_errors_total", "", "counter", "Of these, those that were wrong."},
	{"snug_ssl_connections", "snug_ssl_connections", "", "gauge",
	 "Connections that are secured by TLS, or about to be."},
	{"snug_ssl_handshakes", "snug_ssl_handshakes_total", "", "counter",
	 "Handshakes of TLS that succeeded."},
	{"snug_ssl_resumed", "snug_ssl_resumed_total", "", "counter",
	 "Of these, those that went on with an earlier session."},
	{"ssl_handshake_errors", "snug_ssl_handshake_errors_total", "", "counter",
	 "Handshakes of TLS that did not succeed."},
	{"snug_ssl_handshakes_late", "snug_ssl_handshakes_late_total", "", "counter",
	 "Of these, those that took too long."},
	{"snug_ssl_handshakes_ended", "snug_ssl_handshakes_ended_total", "", "counter",
	 "Of these, those that made room for others."},
	{"ssl_proto_errors", "snug_ssl_record_errors_total", "", "counter",
	 "Connections secured by TLS that ended because their bytes were wrong."},
	{"snug_ssl_by_kernel", "snug_ssl_by_kernel_total", "", "counter",
	 "Connections secured by TLS whose answers the kernel came to encrypt."},
	{"snug_ssl_memory_bytes", "snug_ssl_memory_bytes", "", "gauge",
	 "What OpenSSL holds for connections, within the connection memory."},
	{"time_since_server_cert_refresh", "snug_ssl_certificate_age_seconds", "", "gauge",
	 "Since the certificates were read."},
	{"snug_ssl_certificate_valid_s", "snug_ssl_certificate_valid_seconds", "", "gauge",
	 "Until the server's certificate expires; below 0 it has."},
	{"snug_open_addresses", "snug_open_addresses", "", "gauge",
	 "Addresses that can be reached from elsewhere while nobody is asked for a password."},
	{"threads", "snug_workers", "", "gauge", "Worker threads."},
	{"curr_items", "memcached_current_items", "", "gauge", "Items stored now."},
	{"total_items", "memcached_items_total", "", "counter", "Items ever stored."},
	{"bytes", "memcached_current_bytes", "", "gauge", "Bytes of the items, their heads included."},
	{"limit_maxbytes", "memcached_limit_bytes", "", "gauge", "The memory limit, of everything."},
	{"snug_limit_bytes", "snug_limit_bytes", "", "gauge",
	 "The memory limit as it is kept now; it follows memcached_limit_bytes, its goal, step by "
	 "step."},
	{"snug_limit_max_bytes", "snug_limit_max_bytes", "", "gauge",
	 "How far the memory limit may be raised while the server runs."},
	{"store_no_memory", "snug_stores_refused_total", "{reason=\"no_memory\"}", "counter",
	 "Stores refused: there was no room, or the item was larger than one may be."},
	{"store_too_large", "snug_stores_refused_total", "{reason=\"too_large\"}", "counter",
	 "Stores refused: there was no room, or the item was larger than one may be."},
	{"evictions", "memcached_items_evicted_total", "", "counter",
	 "Items evicted before they expired."},
	{"evicted_unfetched", "memcached_items_evicted_unfetched_total", "", "counter",
	 "Items evicted that nobody had asked for."},
	{"reclaimed", "memcached_items_reclaimed_total", "", "counter", "Items whose time was over."},
	{"expired_unfetched", "memcached_items_expired_unfetched_total", "", "counter",
	 "Items whose time was over and that nobody had asked for."},
	COMMAND("get_hits", "get", "hit"),
	COMMAND("get_misses", "get", "miss"),
	COMMAND("cmd_set", "set", "hit"),
	COMMAND("delete_hits", "delete", "hit"),
	COMMAND("delete_misses", "delete", "miss"),
	COMMAND("incr_hits", "incr", "hit"),
	COMMAND("incr_misses", "incr", "miss"),
	COMMAND("decr_hits", "decr", "hit"),
	COMMAND("decr_misses", "decr", "miss"),
	COMMAND("cas_hits", "cas", "hit"),
	COMMAND("cas_misses", "cas", "miss"),
	COMMAND("cas_badval", "cas", "badval"),
	COMMAND("touch_hits", "touch", "hit"),
	COMMAND("touch_misses", "touch", "miss"),
	COMMAND("cmd_flush", "flush", "hit"),
	{"snug_attached_items", "snug_attached_items", "", "gauge",
	 "Items that the memory file held when the server started."},
	{"snug_recovered_items", "snug_recovered_items", "", "gauge",
	 "Of those: items of a process that was killed."},
	{"snug_dropped_items", "snug_dropped_items", "", "gauge",
	 "Items that it had left half-changed, or damaged."},
	{"snug_attach_seconds", "snug_attach_seconds", "", "gauge",
	 "How long the server took at its start until it had them."},
	{"snug_memory_used_bytes", "snug_memory_used_bytes", "", "gauge",
	 "All that counts towards the memory limit."},
	{"snug_memory_peak_bytes", "snug_memory_peak_bytes", "", "gauge",
	 "The most that it ever was: the sum of what each worker had at most."},
	MEMORY_PURPOSES(PURPOSE){
		"snug_http_bytes", "snug_http_bytes", "", "gauge",
		"What HTTP's connections, answers and history hold, beside the limit."},
	{"snug_answer_bytes", "snug_answer_bytes", "", "gauge",
	 "Answers to operators' commands that are not sent yet, beside the limit."},
	{"snug_log_bytes", "snug_log_bytes", "", "gauge",
	 "Room for log lines that are not written yet, beside the limit."},
	{"snug_resident_peak_bytes", "snug_resident_peak_bytes", "", "gauge",
	 "The most resident memory that the process ever had."},
	{"snug_committed_bytes", "snug_committed_bytes", "", "gauge", "Pages in use by the heap."},
	{"snug_metadata_bytes", "snug_metadata_bytes", "", "gauge", "Bookkeeping of the heap."},
	{"snug_charged_bytes", "snug_charged_bytes", "", "gauge",
	 "Tables and buffers that count towards the memory limit."},
	{"snug_available_bytes", "snug_available_bytes", "", "gauge",
	 "What may still be used under the memory limit."},
	{"snug_buffer_bytes", "snug_buffer_bytes", "", "gauge",
	 "What connections hold, beside the limit."},
	{"snug_reclaimable_bytes", "snug_reclaimable_bytes", "", "gauge",
	 "What a defragmentation would reclaim now."},
	{"snug_internal_fragmentation", "snug_internal_fragmentation_ratio", "", "gauge",
	 "Share of the objects' slots that holds nothing."},
	{"snug_external_fragmentation", "snug_external_fragmentation_ratio", "", "gauge",
	 "Share of the slabs that is holes."},
	{"snug_defragmentations", "snug_defragmentations_total", "", "counter",
	 "Defragmentations begun, by all workers."},
	{"snug_late_steps", "snug_late_steps_total", "", "counter",
	 "Steps of defragmentations that took more than twice the time they were given."},
	{"snug_moves", "snug_moves_total", "", "counter", "Objects moved."},
	{"snug_moved_bytes", "snug_moved_bytes_total", "", "counter", "Bytes moved."},
	{"snug_reclaimed_bytes", "snug_reclaimed_bytes_total", "", "counter",
	 "Bytes of whole pages reclaimed."},
	{"snug_returned_bytes", "snug_returned_bytes_total", "", "counter",
	 "Bytes given back to the system."},
	{"snug_collapsed_bytes", "snug_collapsed_bytes_total", "", "counter",
	 "Bytes of resident memory that were made huge pages."},
	{"snug_reads_between_workers", "snug_reads_between_workers_total", "", "counter",
	 "Gets of another worker's keys that were read without a request to it."},
	{"snug_requests_between_workers", "snug_requests_between_workers_total", "", "counter",
	 "Requests sent from one worker to another."},
	{"snug_coordinator_requests", "snug_coordinator_requests_total", "", "counter",
	 "Requests that the coordinator took: defragmentations, estimates, emergencies, schedules, "
	 "cancels."},
	{"snug_coordinator_refused", "snug_coordinator_refused_total", "", "counter",
	 "Requests that it refused, because they were wrong or too many."},
	{"snug_coordinator_answers", "snug_coordinator_answers_total", "", "counter",
	 "Requests that have ended; those taken and not ended wait or run."},
	{"snug_coordinator_joins", "snug_coordinator_joins_total", "", "counter",
	 "Requests that shared the work of an earlier one."},
	{"snug_coordinator_jobs", "snug_coordinator_jobs_total", "", "counter",
	 "Jobs that it sent to workers."},
	{"snug_coordinator_background_runs", "snug_coordinator_background_runs_total", "", "counter",
	 "Cleanups that it began by itself."},
	{"snug_coordinator_spare_runs", "snug_coordinator_spare_runs_total", "", "counter",
	 "Of these, begun to give back memory that nothing uses."},
	{"snug_coordinator_turns", "snug_coordinator_turns_total", "", "counter", "Turns of its loop."},
	{"snug_coordinator_tickets", "snug_coordinator_tickets", "", "gauge",
	 "Requests that are not answered, or whose result was not taken."},
	{"snug_coordinator_schedules", "snug_coordinator_schedules", "", "gauge",
	 "Schedules that it keeps."},
	{"snug_coordinator_machine_pressure", "snug_coordinator_machine_pressure", "", "gauge",
	 "1: the machine, or the cgroup, is short of memory."},
};

/* Of `snug metrics`, for each worker. */
static const struct metric of_worker[] = {
	{"limit_bytes", "snug_worker_limit_bytes", "", "gauge",
	 "The worker's share of the memory limit."},
	{"committed_bytes", "snug_worker_committed_bytes", "", "gauge", "Pages in use."},
	{"metadata_bytes", "snug_worker_metadata_bytes", "", "gauge", "Bookkeeping of the heap."},
	{"index_bytes", "snug_worker_index_bytes", "", "gauge", "The index of keys."},
	{"buffer_bytes", "snug_worker_buffer_bytes", "", "gauge", "Connections' buffers."},
	{"available_bytes", "snug_worker_available_bytes", "", "gauge",
	 "What may still be used under the limit."},
	{"items", "snug_worker_items", "", "gauge", "Items stored."},
	{"item_bytes", "snug_worker_item_bytes", "", "gauge",
	 "Bytes of the items, their heads included."},
	{"evictions", "snug_worker_evictions_total", "", "counter",
	 "Items evicted before they expired."},
	{"connections", "snug_worker_connections", "", "gauge", "Open connections."},
	{"cpu_ns", "snug_worker_cpu_seconds_total", "", "counter",
	 "Processor time of the worker's thread, whoever it worked for."},
	{"requests_served", "snug_worker_requests_served_total", "", "counter",
	 "Requests of other workers, and of HTTP and operators, that it carried out."},
	{"requests_sent", "snug_worker_requests_sent_total", "", "counter",
	 "Requests that it sent to other workers."},
	{"reads", "snug_worker_reads_total", "", "counter",
	 "Gets of other workers' keys that it read without a request."},
	{"get_hits", "snug_worker_get_hits_total", "", "counter", "Keys asked for and found."},
	{"get_misses", "snug_worker_get_misses_total", "", "counter", "Keys asked for and not found."},
	{"cmd_set", "snug_worker_stores_total", "", "counter", "Stores."},
	{"turns", "snug_worker_turns_total", "", "counter",
	 "Turns to which bytes from clients, or answers of other workers, came."},
	{"turn_p50_ns", "snug_worker_turn_p50_seconds", "", "gauge",
	 "Median duration of a turn since the start."},
	{"turn_p99_ns", "snug_worker_turn_p99_seconds", "", "gauge",
	 "99th percentile of a turn's duration."},
	{"turn_p999_ns", "snug_worker_turn_p999_seconds", "", "gauge",
	 "99.9th percentile of a turn's duration."},
	{"turn_max_ns", "snug_worker_turn_max_seconds", "", "gauge", "The longest turn."},
};

/* The same, for each pool of each worker. */
static const struct metric of_pool[] = {
	{"objects", "snug_pool_objects", "", "gauge", "Objects stored."},
	{"payload_bytes", "snug_pool_payload_bytes", "", "gauge", "Bytes of the objects."},
	{"slot_bytes", "snug_pool_slot_bytes", "", "gauge", "Bytes of the slots that objects lie in."},
	{"slab_bytes", "snug_pool_slab_bytes", "", "gauge", "Bytes of the slabs that slots lie in."},
	{"hole_bytes", "snug_pool_hole_bytes", "", "gauge",
	 "Bytes of free slots in slabs that are in use."},
	{"reclaimable_bytes", "snug_pool_reclaimable_bytes", "", "gauge",
	 "What a defragmentation would reclaim now."},
	{"slabs", "snug_pool_slabs", "", "gauge", "Slabs."},
	{"pinned_slabs", "snug_pool_pinned_slabs", "", "gauge", "Slabs that hold a pinned object."},
	{"classes", "snug_pool_classes", "", "gauge", "Size classes in use."},
	{"internal_fragmentation", "snug_pool_internal_fragmentation_ratio", "", "gauge",
	 "Share of the slots that holds nothing."},
	{"external_fragmentation", "snug_pool_external_fragmentation_ratio", "", "gauge",
	 "Share of the slabs that is holes."},
};

static const struct metric of_http[] = {
	{"", "snug_http_limit_bytes", "", "gauge",
	 "What HTTP's connections, answers and history may hold."},
	{"", "snug_http_answer_bytes", "", "gauge", "What its answers hold."},
	{"", "snug_http_closed_for_memory_total", "", "counter",
	 "HTTP clients closed because they did not read and others needed the memory."},
};

/* By the names that Prometheus' own libraries give them. */
static const struct metric of_process[] = {
	{"", "process_resident_memory_bytes", "", "gauge", "Resident memory of the process."},
	{"", "process_start_time_seconds", "", "gauge",
	 "When the server started, in seconds since 1970."},
	{"", "process_open_fds", "", "gauge", "Descriptors in use."},
	{"", "process_max_fds", "", "gauge", "Descriptors that may be in use."},
};

/* What is written otherwise than line by line. */
static const struct metric of_itself[] = {
	{"", "memcached_up", "", "gauge", "Whether the server answers."},
	{"", "snug_build_info", "", "gauge", "The version of snugd."},
	{"", "memcached_version", "", "gauge", "The version that clients are told."},
	{"", "snug_command_latency_seconds", "", "histogram",
	 "How long commands took until they were carried out, from the beginning of the turn that "
	 "parsed "
	 "them; one in 61 is measured."},
};

enum { UP, BUILD_INFO, VERSION, COMMAND_LATENCY };

static void write_head(const struct metric *metric, struct text *out) {
	text_print(out, "# HELP %s %s\n# TYPE %s %s\n", metric->name, metric->help, metric->name,
			   metric->type);
}

static bool is(const char *name, size_t length, const char *statistic) {
	return strlen(statistic) == length && memcmp(name, statistic, length) == 0;
}

/* Exporters tell a version as a label, because a sample is a number. */
static void write_version(const struct text *stats, struct text *out) {
	struct stat_line line;
	for (size_t at = 0; stat_next(stats, &at, &line);)
		if (line.name != NULL && is(line.name, line.name_length, "version")) {
			write_head(&of_itself[VERSION], out);
			text_print(out, "memcached_version{version=\"%.*s\"} 1\n", (int)line.value_length,
					   line.value);
		}
}

static void write_server(const struct text *stats, struct text *out) {
	const char *before = "";
	for (size_t i = 0; i < sizeof of_server / sizeof *of_server; i++) {
		const struct metric *metric = &of_server[i];
		struct stat_line line;
		for (size_t at = 0; stat_next(stats, &at, &line);) {
			if (line.name == NULL || !is(line.name, line.name_length, metric->statistic)) continue;
			if (strcmp(before, metric->name) != 0) write_head(metric, out);
			before = metric->name;
			text_print(out, "%s%s %.*s\n", metric->name, metric->labels, (int)line.value_length,
					   line.value);
			break;
		}
	}
}

/* A name is "worker:field" or "worker:pool:field". */
struct path {
	int worker_length;
	int pool_length; /* 0: none */
	const char *pool;
	const char *field;
	size_t field_length;
};

static bool split(const struct stat_line *line, struct path *out) {
	const char *end = line->name + line->name_length,
			   *colon = memchr(line->name, ':', line->name_length);
	if (colon == NULL) return false;
	const char *second = memchr(colon + 1, ':', (size_t)(end - colon) - 1);
	out->worker_length = (int)(colon - line->name);
	out->pool = colon + 1;
	out->pool_length = second == NULL ? 0 : (int)(second - out->pool);
	out->field = second == NULL ? colon + 1 : second + 1;
	out->field_length = (size_t)(end - out->field);
	return true;
}

/* Prometheus has seconds where the server has nanoseconds. */
static void write_value(const struct stat_line *line, struct text *out) {
	static const char unit[] = "_ns";
	size_t length = sizeof unit - 1;
	if (line->name_length > length &&
		memcmp(line->name + line->name_length - length, unit, length) == 0)
		text_print(out, "} %.9f\n", (double)number_leading(line->value) / 1e9);
	else
		text_print(out, "} %.*s\n", (int)line->value_length, line->value);
}

static void write_each(const struct metric *table, size_t count, bool is_heap,
					   const struct text *metrics, struct text *out) {
	for (size_t i = 0; i < count; i++) {
		struct stat_line line;
		struct path path;
		write_head(&table[i], out);
		for (size_t at = 0; stat_next(metrics, &at, &line);) {
			if (line.name == NULL || !split(&line, &path) || (path.pool_length > 0) != is_heap)
				continue;
			if (!is(path.field, path.field_length, table[i].statistic)) continue;
			text_print(out, "%s{worker=\"%.*s\"", table[i].name, path.worker_length, line.name);
			if (is_heap) text_print(out, ",pool=\"%.*s\"", path.pool_length, path.pool);
			write_value(&line, out);
		}
	}
}

/* In Prometheus' buckets: each counts what is below its bound, "le". The last line of each command is
 * max_ns: then all is known. */
void metrics_write_latency(const struct text *latency, struct text *out) {
	static const char name[] = "snug_command_latency_seconds", within[] = "within_";
	struct stat_line line;
	struct path path;
	uint64_t sum_ns = 0, count = 0;
	write_head(&of_itself[COMMAND_LATENCY], out);
	for (size_t at = 0; stat_next(latency, &at, &line);) {
		if (line.name == NULL || !split(&line, &path)) continue;
		uint64_t value = number_leading(line.value);
		int length = path.worker_length; /* of the command's name */
		if (path.field_length > sizeof within && memcmp(path.field, within, sizeof within - 1) == 0)
			text_print(out, "%s_bucket{command=\"%.*s\",le=\"%.6f\"} %llu\n", name, length,
					   line.name, (double)number_leading(path.field + sizeof within - 1) / 1e6,
					   (unsigned long long)value);
		else if (is(path.field, path.field_length, "count"))
			count = value;
		else if (is(path.field, path.field_length, "sum_ns"))
			sum_ns = value;
		else if (is(path.field, path.field_length, "max_ns"))
			text_print(out,
					   "%s_bucket{command=\"%.*s\",le=\"+Inf\"} %llu\n"
					   "%s_sum{command=\"%.*s\"} %.9f\n%s_count{command=\"%.*s\"} %llu\n",
					   name, length, line.name, (unsigned long long)count, name, length, line.name,
					   (double)sum_ns / 1e9, name, length, line.name, (unsigned long long)count);
	}
}

void metrics_write(const struct text *stats, const struct text *metrics, struct text *out) {
	write_head(&of_itself[UP], out);
	text_print(out, "memcached_up 1\n");
	write_head(&of_itself[BUILD_INFO], out);
	text_print(out, "snug_build_info{version=\"%s\"} 1\n", snug_version());
	write_version(stats, out);
	write_server(stats, out);
	write_each(of_worker, sizeof of_worker / sizeof *of_worker, false, metrics, out);
	write_each(of_pool, sizeof of_pool / sizeof *of_pool, true, metrics, out);
}

static void write_one(const struct metric *metric, uint64_t value, struct text *out) {
	write_head(metric, out);
	text_print(out, "%s %llu\n", metric->name, (unsigned long long)value);
}

void metrics_write_own(const struct http_figures *figures, struct text *out) {
	const uint64_t of_http_now[] = {figures->limit_bytes, figures->used_bytes, figures->closed};
	const uint64_t of_process_now[] = {figures->resident_bytes, (uint64_t)figures->started_s,
									   figures->open_fds, figures->max_fds};
	_Static_assert(sizeof of_http / sizeof *of_http == 3 &&
					   sizeof of_process / sizeof *of_process == 4,
				   "a figure for each");
	for (size_t i = 0; i < 3; i++) write_one(&of_http[i], of_http_now[i], out);
	for (size_t i = 0; i < 4; i++) write_one(&of_process[i], of_process_now[i], out);
}

/* ------------------------------------------------------------------ the document ----------- */

static void write_table(const char *title, const char *from, const struct metric *table,
						size_t count, struct text *out) {
	text_print(out, "\n## %s\n\n| metric | type | %s | meaning |\n|---|---|---|---|\n", title,
			   from);
	for (size_t i = 0; i < count; i++)
		text_print(out, "| `%s%s` | %s | %s%s%s | %s |\n", table[i].name, table[i].labels,
				   table[i].type, *table[i].statistic == '\0' ? "" : "`", table[i].statistic,
				   *table[i].statistic == '\0' ? "" : "`", table[i].help);
}

#define TABLE(title, from, table) \
	write_table(title, from, table, sizeof(table) / sizeof *(table), out)

void metrics_write_document(struct text *out) {
	text_print(out,
			   "# Metrics\n\nWhat `/metrics` tells, in Prometheus' text format.\nThis page is made "
			   "from the tables of `src/http/http_metrics.c`; a test compares them.\n");
	TABLE("Of the server", "`stats`", of_server);
	TABLE("Of each worker", "`snug metrics`", of_worker);
	TABLE("Of each pool of each worker", "`snug metrics`", of_pool);
	TABLE("Latency, version and life", "", of_itself);
	TABLE("Of HTTP", "", of_http);
	TABLE("Of the process", "", of_process);
}
