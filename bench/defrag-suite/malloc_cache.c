/*
 * malloc-cache PORT LIMIT_MB: the plainest cache there can be on an allocator: one malloc for each
 * item, a hash table, the least recently used one evicted when the bytes asked for reach the limit.
 * Speaks so much of memcached's text protocol as the suite needs: get, set, delete, flush_all,
 * version, quit. It stands for the allocator that is preloaded (LD_PRELOAD), not for a server: what
 * it is told is trusted, and it listens on 127.0.0.1 alone.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

enum {
	bucket_count = 1 << 20,
	client_count = 64,
	swept_at_once = bucket_count / 64,
	sweep_interval_ms = 16
};

struct item {
	struct item *next_in_bucket, *older, *newer;
	time_t expires; /* 0: never */
	uint32_t value_bytes;
	uint16_t key_bytes;
	char data[]; /* the key, then the value */
};

struct client {
	int socket;
	char *input, *output;
	size_t input_bytes, input_room, output_bytes, output_room;
};

static struct item *buckets[bucket_count];
static struct item *newest, *oldest;
static size_t used_bytes, limit_bytes, swept_to;
static struct client clients[client_count];

static void *must(void *memory) {
	if (!memory) {
		perror("malloc-cache");
		exit(1);
	}
	return memory;
}

/* ---- items ---- */

static size_t size_of(const struct item *item) {
	return sizeof *item + item->key_bytes + item->value_bytes;
}

static struct item **place_of(const char *key, size_t key_bytes) {
	struct item **at = &buckets[XXH3_64bits(key, key_bytes) % bucket_count];
	while (*at && ((*at)->key_bytes != key_bytes || memcmp((*at)->data, key, key_bytes) != 0))
		at = &(*at)->next_in_bucket;
	return at;
}

static void take_from_list(struct item *item) {
	*(item->newer ? &item->newer->older : &newest) = item->older;
	*(item->older ? &item->older->newer : &oldest) = item->newer;
}

static void put_first(struct item *item) {
	item->newer = NULL;
	item->older = newest;
	*(newest ? &newest->newer : &oldest) = item;
	newest = item;
}

static void drop(struct item **at) {
	struct item *item = *at;
	*at = item->next_in_bucket;
	take_from_list(item);
	used_bytes -= size_of(item);
	free(item);
}

static bool is_over(const struct item *item) {
	return item->expires && item->expires <= time(NULL);
}

static struct item **find(const char *key, size_t key_bytes) {
	struct item **at = place_of(key, key_bytes);
	if (*at && is_over(*at)) drop(at);
	return place_of(key, key_bytes);
}

static void store(const char *key, size_t key_bytes, const char *value, size_t value_bytes,
				  long seconds) {
	struct item **at = place_of(key, key_bytes);
	if (*at) drop(at);
	struct item *item = must(malloc(sizeof *item + key_bytes + value_bytes));
	item->key_bytes = (uint16_t)key_bytes;
	item->value_bytes = (uint32_t)value_bytes;
	item->expires = seconds > 0 ? time(NULL) + seconds : 0;
	memcpy(item->data, key, key_bytes);
	memcpy(item->data + key_bytes, value, value_bytes);
	used_bytes += size_of(item);
	while (used_bytes > limit_bytes && oldest) drop(place_of(oldest->data, oldest->key_bytes));
	at = place_of(key, key_bytes);
	item->next_in_bucket = *at;
	*at = item;
	put_first(item);
}

/* A part of the table, if it is time: all of it once a second or so. */
static void sweep(void) {
	static int64_t due_ms;
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	int64_t now_ms = now.tv_sec * 1000 + now.tv_nsec / 1000000;
	if (now_ms < due_ms) return;
	due_ms = now_ms + sweep_interval_ms;
	for (size_t i = 0; i < swept_at_once; i++, swept_to = (swept_to + 1) % bucket_count)
		for (struct item **at = &buckets[swept_to]; *at;)
			if (is_over(*at))
				drop(at);
			else
				at = &(*at)->next_in_bucket;
}

/* ---- the protocol ---- */

static void grow(char **buffer, size_t *room, size_t wanted) {
	if (wanted <= *room) return;
	*room = wanted * 2;
	*buffer = must(realloc(*buffer, *room));
}

static void answer(struct client *client, const char *data, size_t bytes) {
	grow(&client->output, &client->output_room, client->output_bytes + bytes);
	memcpy(client->output + client->output_bytes, data, bytes);
	client->output_bytes += bytes;
}

static void answer_text(struct client *client, const char *text) {
	answer(client, text, strlen(text));
}

static void get(struct client *client, const char *key, size_t key_bytes) {
	struct item *item = *find(key, key_bytes);
	if (item) {
		char head[320];
		int bytes = snprintf(head, sizeof head, "VALUE %.*s 0 %u\r\n", (int)key_bytes, key,
							 item->value_bytes);
		answer(client, head, (size_t)bytes);
		answer(client, item->data + key_bytes, item->value_bytes);
		answer_text(client, "\r\n");
		take_from_list(item);
		put_first(item);
	}
	answer_text(client, "END\r\n");
}

static void flush(void) {
	while (oldest) drop(place_of(oldest->data, oldest->key_bytes));
}

/* One request from the start of the input; how many bytes it has, 0 if it has not come whole. */
static size_t serve_one(struct client *client, char *input, size_t input_bytes) {
	char *end = memchr(input, '\n', input_bytes);
	if (!end) return 0;
	size_t line_bytes = (size_t)(end + 1 - input);
	*end = '\0';
	char verb[16], key[256];
	long flags, seconds;
	unsigned long value_bytes;
	int words = sscanf(input, "%15s %255s %ld %ld %lu", verb, key, &flags, &seconds, &value_bytes);
	*end = '\n';
	if (words >= 5 && strcmp(verb, "set") == 0) {
		if (input_bytes < line_bytes + value_bytes + 2) return 0;
		store(key, strlen(key), input + line_bytes, value_bytes, seconds);
		answer_text(client, "STORED\r\n");
		return line_bytes + value_bytes + 2;
	}
	if (words >= 2 && strcmp(verb, "get") == 0) {
		get(client, key, strlen(key));
	} else if (words >= 2 && strcmp(verb, "delete") == 0) {
		struct item **at = find(key, strlen(key));
		answer_text(client, *at ? "DELETED\r\n" : "NOT_FOUND\r\n");
		if (*at) drop(at);
	} else if (words >= 1 && strcmp(verb, "flush_all") == 0) {
		flush();
		answer_text(client, "OK\r\n");
	} else if (words >= 1 && strcmp(verb, "version") == 0) {
		answer_text(client, "VERSION malloc-cache\r\n");
	} else {
		answer_text(client, "ERROR\r\n");
	}
	return line_bytes;
}

static bool write_all(struct client *client) {
	for (size_t at = 0; at < client->output_bytes;) {
		ssize_t bytes = write(client->socket, client->output + at, client->output_bytes - at);
		if (bytes < 0 && errno != EINTR) return false;
		at += bytes > 0 ? (size_t)bytes : 0;
	}
	client->output_bytes = 0;
	return true;
}

static bool serve(struct client *client) {
	grow(&client->input, &client->input_room, client->input_bytes + 65536);
	ssize_t bytes = read(client->socket, client->input + client->input_bytes,
						 client->input_room - client->input_bytes);
	if (bytes <= 0) return bytes < 0 && errno == EINTR;
	client->input_bytes += (size_t)bytes;
	size_t served = 0, taken;
	while ((taken = serve_one(client, client->input + served, client->input_bytes - served)) > 0)
		served += taken;
	client->input_bytes -= served;
	memmove(client->input, client->input + served, client->input_bytes);
	return write_all(client);
}

/* ---- connections ---- */

static void take_in(int listener) {
	int socket = accept(listener, NULL, NULL), yes = 1;
	/* A second answer would wait for the client to acknowledge the first: 40 ms for each batch. */
	if (socket >= 0) setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
	for (int i = 0; socket >= 0 && i < client_count; i++)
		if (clients[i].socket < 0) {
			clients[i].socket = socket;
			return;
		}
	if (socket >= 0) close(socket);
}

static void let_go(struct client *client) {
	close(client->socket);
	free(client->input);
	free(client->output);
	*client = (struct client){.socket = -1};
}

static int listen_at(uint16_t port) {
	int listener = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
		bind(listener, (struct sockaddr *)&address, sizeof address) != 0 ||
		listen(listener, 16) != 0) {
		perror("malloc-cache");
		exit(1);
	}
	return listener;
}

int main(int argc, char **argv) {
	if (argc != 3 || atoi(argv[1]) <= 0 || atoi(argv[2]) <= 0) {
		fprintf(stderr, "usage: malloc-cache PORT LIMIT_MB\n");
		return 2;
	}
	limit_bytes = (size_t)atoi(argv[2]) << 20;
	int listener = listen_at((uint16_t)atoi(argv[1]));
	for (int i = 0; i < client_count; i++) clients[i].socket = -1;
	for (;;) {
		struct pollfd waits[client_count + 1];
		for (int i = 0; i < client_count; i++)
			waits[i] = (struct pollfd){.fd = clients[i].socket, .events = POLLIN};
		waits[client_count] = (struct pollfd){.fd = listener, .events = POLLIN};
		poll(waits, client_count + 1, sweep_interval_ms);
		for (int i = 0; i < client_count; i++)
			if (clients[i].socket >= 0 && waits[i].revents != 0 && !serve(&clients[i]))
				let_go(&clients[i]);
		if (waits[client_count].revents != 0) take_in(listener);
		sweep();
	}
}
