/* server_load.c: see server_load.h. */
#include "server_load.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define POPULARITY_DRAWS (1u << 22)
#define ZIPF_EXPONENT 0.99
#define OUT_BYTES (2 * MIB)
#define FILL_BYTES (128 * KIB) /* enough at once */
#define IN_BYTES (64 * KIB)
#define LINE_BYTES 512u
#define FILL_PIPELINE 64u
#define SCAN_KEYS 64u
#define ANSWER_MS 60000

struct connection {
	int descriptor;
	unsigned pending;    /* answers that are to come */
	uint64_t skip_bytes; /* of the value that is being read */
	uint64_t sent_at_ns;
	size_t line_bytes;
	char line[LINE_BYTES]; /* an answer's line as far as it has come */
	size_t out_bytes;
	size_t out_sent;
	char *out;
};

struct load {
	struct load_options options;
	bench_random random;
	uint32_t *draws; /* keys by popularity; NULL before the first run */
	uint32_t next_draw;
	uint32_t new_keys; /* that were stored */
	char *value;
	struct connection *connections;
	char *in;
	/* of the run */
	const struct load_shape *shape;
	struct load_result *result;
	uint32_t range_next;
	uint32_t range_end;
	enum { RANDOM, FILLING, SCANNING } mode;
};

/* ------------------------------------------------------------------ popularity ---------------- */

static uint32_t key_at(const double *below, uint32_t count, double at) {
	uint32_t low = 0, high = count - 1;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (below[middle] < at)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Ranks are spread over the keys, so that popular ones are no neighbours. */
static void draw_keys(struct load *load) {
	uint32_t keys = load->options.keys;
	double *below = bench_map(keys * sizeof *below, false);
	double sum = 0;
	for (uint32_t rank = 0; rank < keys; rank++) {
		sum += pow((double)rank + 1, -ZIPF_EXPONENT);
		below[rank] = sum;
	}
	load->draws = bench_map(POPULARITY_DRAWS * sizeof *load->draws, false);
	for (uint32_t i = 0; i < POPULARITY_DRAWS; i++) {
		double at = (double)(bench_random_next(&load->random) >> 11) * 0x1p-53 * sum;
		load->draws[i] = (uint32_t)(((uint64_t)key_at(below, keys, at) * 2654435761u) % keys);
	}
	bench_unmap(below, keys * sizeof *below);
}

struct load *load_create(const struct load_options *options) {
	struct load *load = bench_map(sizeof *load, false);
	load->options = *options;
	bench_random_init(&load->random, options->seed);
	load->value = bench_map(VALUE_BYTES_MAX, false);
	memset(load->value, 'v', VALUE_BYTES_MAX);
	load->connections = bench_map(options->connections * sizeof *load->connections, false);
	for (unsigned i = 0; i < options->connections; i++)
		load->connections[i].out = bench_map(OUT_BYTES, false);
	load->in = bench_map(IN_BYTES, false);
	return load;
}

void load_destroy(struct load *load) {
	for (unsigned i = 0; i < load->options.connections; i++)
		bench_unmap(load->connections[i].out, OUT_BYTES);
	bench_unmap(load->connections, load->options.connections * sizeof *load->connections);
	bench_unmap(load->value, VALUE_BYTES_MAX);
	if (load->draws != NULL) bench_unmap(load->draws, POPULARITY_DRAWS * sizeof *load->draws);
	bench_unmap(load->in, IN_BYTES);
	bench_unmap(load, sizeof *load);
}

/* ------------------------------------------------------------------ requests ------------------ */

static void put(struct connection *connection, const void *bytes, size_t length) {
	if (connection->out_bytes + length > OUT_BYTES)
		bench_fail("requests of more than %zu bytes at once", OUT_BYTES);
	memcpy(connection->out + connection->out_bytes, bytes, length);
	connection->out_bytes += length;
}

static void key_text(const struct load *load, uint32_t key, char text[KEY_BYTES_MAX + 1]) {
	(void)snprintf(text, KEY_BYTES_MAX + 1, "key:%0*u", (int)load->options.key_bytes - 4, key);
}

static uint32_t value_bytes_of(const struct load *load, uint32_t key) {
	if (load->options.value_bytes_min == 0) {
		bench_random random;
		bench_random_init(&random, key);
		return (uint32_t)bench_meta_size(&random, VALUE_BYTES_MAX);
	}
	uint32_t span = load->options.value_bytes_max - load->options.value_bytes_min + 1;
	return load->options.value_bytes_min +
		   (uint32_t)(((uint64_t)key * 0x9E3779B97F4A7C15u >> 33) % span);
}

/* The value begins with its key. */
static void put_set(struct load *load, struct connection *connection, uint32_t key) {
	char text[KEY_BYTES_MAX + 1], line[KEY_BYTES_MAX + 32];
	uint32_t bytes = value_bytes_of(load, key), key_bytes = load->options.key_bytes;
	key_text(load, key, text);
	int length = snprintf(line, sizeof line, "set %s 0 0 %u\r\n", text, bytes);
	put(connection, line, (size_t)length);
	memcpy(load->value, text, bytes < key_bytes ? bytes : key_bytes);
	put(connection, load->value, bytes);
	put(connection, "\r\n", 2);
	connection->pending++;
}

static uint32_t draw(struct load *load) {
	if (load->shape->new_keys) return load->options.keys + load->new_keys++;
	return load->draws[load->next_draw++ % POPULARITY_DRAWS];
}

static void put_key(struct load *load, struct connection *connection, uint32_t key) {
	char text[KEY_BYTES_MAX + 1];
	key_text(load, key, text);
	put(connection, " ", 1);
	put(connection, text, load->options.key_bytes);
	load->result->misses++; /* until it is answered */
}

static void put_get(struct load *load, struct connection *connection) {
	put(connection, "get", 3);
	for (unsigned i = 0; i < load->shape->multiget; i++) put_key(load, connection, draw(load));
	put(connection, "\r\n", 2);
	connection->pending++;
}

static void put_scan(struct load *load, struct connection *connection) {
	if (load->range_next == load->range_end) return;
	put(connection, "get", 3);
	for (unsigned i = 0; i < SCAN_KEYS && load->range_next < load->range_end; i++)
		put_key(load, connection, load->range_next++);
	put(connection, "\r\n", 2);
	connection->pending++;
}

static void put_fill(struct load *load, struct connection *connection) {
	for (unsigned i = 0; i < FILL_PIPELINE && connection->out_bytes < FILL_BYTES &&
						 load->range_next < load->range_end;
		 i++)
		put_set(load, connection, load->range_next++);
}

static void put_random(struct load *load, struct connection *connection) {
	for (unsigned i = 0; i < load->shape->pipeline; i++) {
		if (load->shape->set_share != 0 &&
			bench_random_below(&load->random, load->shape->set_share) == 0)
			put_set(load, connection, draw(load));
		else
			put_get(load, connection);
	}
}

static void put_requests(struct load *load, struct connection *connection) {
	switch (load->mode) {
	case RANDOM:
		put_random(load, connection);
		break;
	case FILLING:
		put_fill(load, connection);
		break;
	case SCANNING:
		put_scan(load, connection);
		break;
	}
}

static void flush(struct connection *connection) {
	while (connection->out_sent < connection->out_bytes) {
		ssize_t sent = send(connection->descriptor, connection->out + connection->out_sent,
							connection->out_bytes - connection->out_sent, MSG_NOSIGNAL);
		if (sent < 0 && errno == EAGAIN) return; /* told by epoll when there is room */
		if (sent <= 0) bench_fail("send: %s", strerror(errno));
		connection->out_sent += (size_t)sent;
	}
	connection->out_bytes = connection->out_sent = 0;
}

static void send_next(struct load *load, struct connection *connection) {
	connection->sent_at_ns = bench_now_ns();
	put_requests(load, connection);
	flush(connection);
}

/* ------------------------------------------------------------------ answers ------------------- */

static bool begins(const struct connection *connection, const char *word) {
	size_t length = strlen(word);
	return connection->line_bytes >= length && memcmp(connection->line, word, length) == 0;
}

/* "VALUE key flags bytes" */
static void read_value_line(struct load *load, struct connection *connection) {
	unsigned key, flags, bytes;
	connection->line[connection->line_bytes] = '\0';
	if (sscanf(connection->line, "VALUE key:%u %u %u", &key, &flags, &bytes) != 3 ||
		key >= load->options.keys || bytes != value_bytes_of(load, key))
		bench_fail("an answer that was not asked for: %s", connection->line);
	connection->skip_bytes = bytes + 2;
	load->result->hits++;
	load->result->hit_bytes += load->options.key_bytes + bytes;
	load->result->misses--;
}

static void read_line(struct load *load, struct connection *connection) {
	if (begins(connection, "VALUE ")) {
		read_value_line(load, connection);
		return;
	}
	if (begins(connection, "SERVER_ERROR")) {
		load->result->refused++;
	} else if (!begins(connection, "END") && !begins(connection, "STORED")) {
		bench_fail("an answer that was not expected: %.*s", (int)connection->line_bytes,
				   connection->line);
	}
	if (connection->pending == 0) bench_fail("more answers than requests");
	connection->pending--;
	load->result->requests++;
}

static void read_bytes(struct load *load, struct connection *connection, const char *bytes,
					   size_t length) {
	while (length > 0) {
		if (connection->skip_bytes > 0) {
			size_t skipped = connection->skip_bytes < length ? connection->skip_bytes : length;
			connection->skip_bytes -= skipped;
			bytes += skipped;
			length -= skipped;
			continue;
		}
		const char *end = memchr(bytes, '\n', length);
		size_t part = end == NULL ? length : (size_t)(end - bytes) + 1;
		if (connection->line_bytes + part >= LINE_BYTES) bench_fail("an answer's line is too long");
		memcpy(connection->line + connection->line_bytes, bytes, part);
		connection->line_bytes += part;
		bytes += part;
		length -= part;
		if (end == NULL) return;
		read_line(load, connection);
		connection->line_bytes = 0;
	}
}

/* Reads what is there; true when all answers have come. */
static bool receive(struct load *load, struct connection *connection) {
	while (connection->pending > 0) {
		ssize_t received = recv(connection->descriptor, load->in, IN_BYTES, 0);
		if (received < 0 && errno == EAGAIN) return false;
		if (received <= 0) bench_fail("the server closed a connection");
		read_bytes(load, connection, load->in, (size_t)received);
		if ((size_t)received < IN_BYTES && connection->pending > 0) return false;
	}
	return true;
}

/* ------------------------------------------------------------------ the loop ------------------ */

static bool serve(struct load *load, struct connection *connection, bool ending) {
	flush(connection);
	if (!receive(load, connection)) return true;
	snug_histogram_add(&load->result->latency_ns, bench_now_ns() - connection->sent_at_ns);
	if (ending) return false;
	send_next(load, connection);
	return connection->pending > 0;
}

static void open_connections(struct load *load, const struct server_process *server, int poll) {
	for (unsigned i = 0; i < load->options.connections; i++) {
		struct connection *connection = &load->connections[i];
		char *out = connection->out;
		struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = connection};
		*connection = (struct connection){.descriptor = server_connect(server), .out = out};
		if (epoll_ctl(poll, EPOLL_CTL_ADD, connection->descriptor, &event) != 0)
			bench_fail("epoll: %s", strerror(errno));
	}
}

static void run(struct load *load, const struct server_process *server, uint64_t duration_ns) {
	struct epoll_event events[64];
	unsigned busy = 0;
	int poll = epoll_create1(EPOLL_CLOEXEC);
	if (poll < 0) bench_fail("epoll: %s", strerror(errno));
	open_connections(load, server, poll);
	uint64_t cpu_ns = server_cpu_ns(server), begin_ns = bench_now_ns();
	for (unsigned i = 0; i < load->options.connections; i++) {
		send_next(load, &load->connections[i]);
		busy += load->connections[i].pending > 0;
	}
	while (busy > 0) {
		int count = epoll_wait(poll, events, 64, ANSWER_MS);
		if (count <= 0) bench_fail("no answer for a minute");
		bool ending = bench_now_ns() - begin_ns >= duration_ns;
		for (int i = 0; i < count; i++) {
			struct connection *connection = events[i].data.ptr;
			if (connection->pending > 0 && !serve(load, connection, ending)) busy--;
		}
	}
	load->result->elapsed_ns = bench_now_ns() - begin_ns;
	load->result->server_cpu_ns = server_cpu_ns(server) - cpu_ns;
	for (unsigned i = 0; i < load->options.connections; i++) close(load->connections[i].descriptor);
	close(poll);
}

static void begin(struct load *load, struct load_result *result) {
	*result = (struct load_result){0};
	snug_histogram_init(&result->latency_ns);
	load->result = result;
}

static void run_range(struct load *load, const struct server_process *server, uint32_t from,
					  uint32_t to) {
	load->range_next = from;
	load->range_end = to;
	run(load, server, UINT64_MAX);
	load->mode = RANDOM;
}

void load_fill(struct load *load, const struct server_process *server, uint32_t from, uint32_t to,
			   struct load_result *result) {
	begin(load, result);
	load->mode = FILLING;
	run_range(load, server, from, to);
}

void load_scan(struct load *load, const struct server_process *server, uint32_t from, uint32_t to,
			   struct load_result *result) {
	begin(load, result);
	load->mode = SCANNING;
	run_range(load, server, from, to);
}

void load_run(struct load *load, const struct server_process *server,
			  const struct load_shape *shape, uint64_t duration_ns, struct load_result *result) {
	if (load->draws == NULL && !shape->new_keys) draw_keys(load);
	begin(load, result);
	load->shape = shape;
	run(load, server, duration_ns);
}
