/* simulate/clients/tongue.c: see simulate/clients/tongue.h. The protocol is written down here once
 * more, from its description: what the server's own headers say is not used. */
#include "simulate/clients/tongue.h"

#include "simulate/world/world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GET = 0, SET, ADD, REPLACE, DELETE, INCREMENT, DECREMENT, FLUSH = 8, NOOP = 10, VERSION };
enum { GETK = 12, GETKQ, APPEND, PREPEND, STAT, SETQ, DELETEQ = 20, TOUCH = 28, GATK = 35 };
enum { OK = 0, MISSING, EXISTS, TOO_LARGE, INVALID, NOT_STORED, NO_NUMBER, NO_MEMORY = 0x82 };

#define HEAD_BYTES 24u
#define NEVER UINT32_MAX /* as a counter's expiry: it is not made */

/* ------------------------------------------------------------------ bytes ------------------ */

static void put(struct tongue_bytes *to, const void *bytes, size_t length) {
	if (to->length + length > to->room) {
		to->room = 2 * (to->length + length);
		to->bytes = plain_realloc(to->bytes, to->room);
	}
	if (length > 0) memcpy(to->bytes + to->length, bytes, length);
	to->length += length;
}

__attribute__((format(printf, 2, 3))) static void say_line(struct tongue *tongue,
														   const char *format, ...) {
	char line[1024];
	va_list arguments;
	va_start(arguments, format);
	int length = vsnprintf(line, sizeof line, format, arguments);
	va_end(arguments);
	put(&tongue->lines, line, (size_t)length);
}

static void put_number(struct tongue_bytes *to, uint64_t number, unsigned bytes) {
	char text[8];
	for (unsigned i = 0; i < bytes; i++) text[i] = (char)(number >> 8 * (bytes - 1 - i));
	put(to, text, bytes);
}

static uint64_t number_at(const char *at, unsigned bytes) {
	uint64_t number = 0;
	for (unsigned i = 0; i < bytes; i++) number = number << 8 | (unsigned char)at[i];
	return number;
}

/* ------------------------------------------------------------------ saying ----------------- */

#define PARTS_MAX 20u

struct line {
	char text[8192];
	char *part[PARTS_MAX];
	size_t count;
};

/* Its words; tells the length, line end included; 0: there is no whole line. */
static size_t read_line(struct line *line, const char *bytes, size_t length) {
	const char *end = memchr(bytes, '\n', length);
	size_t used = end == NULL ? 0 : (size_t)(end + 1 - bytes);
	if (used < 2 || used > sizeof line->text) return 0;
	memcpy(line->text, bytes, used - 2);
	line->text[used - 2] = '\0';
	line->count = 0;
	for (char *at = line->text; line->count < PARTS_MAX;) {
		line->part[line->count++] = at;
		at = strchr(at, ' ');
		if (at == NULL) break;
		*at++ = '\0';
	}
	return used;
}

static uint64_t part_number(const struct line *line, size_t which) {
	return which < line->count ? strtoull(line->part[which], NULL, 10) : 0;
}

static struct tongue_word *add_word(struct tongue *tongue, uint8_t verb) {
	if (tongue->count == TONGUE_WORDS) world_fail("more packets than a batch has");
	struct tongue_word *word = &tongue->word[(tongue->first + tongue->count++) % TONGUE_WORDS];
	*word = (struct tongue_word){.number = ++tongue->said, .verb = verb};
	return word;
}

static void put_head(struct tongue *tongue, uint8_t opcode, const char *key, unsigned extras,
					 size_t value_bytes, uint64_t cas) {
	struct tongue_bytes *to = &tongue->packets;
	put_number(to, 0x80, 1);
	put_number(to, opcode, 1);
	put_number(to, strlen(key), 2);
	put_number(to, extras, 1);
	put_number(to, 0, 3);
	put_number(to, extras + strlen(key) + value_bytes, 4);
	put_number(to, tongue->said, 4);
	put_number(to, cas, 8);
}

static void say_get(struct tongue *tongue, const struct line *line, bool touches) {
	size_t first = touches ? 2 : 1;
	bool with_cas = strchr(line->part[0], 's') != NULL, is_list = line->count > first + 1;
	for (size_t i = first; i < line->count; i++) {
		struct tongue_word *word = add_word(tongue, GET);
		word->with_cas = with_cas;
		word->ends_list = !is_list;
		put_head(tongue,
				 touches   ? GATK
				 : is_list ? GETKQ
						   : GETK,
				 line->part[i], touches ? 4 : 0, 0, 0);
		if (touches) put_number(&tongue->packets, part_number(line, 1), 4);
		put(&tongue->packets, line->part[i], strlen(line->part[i]));
	}
	if (!is_list) return;
	add_word(tongue, GET)->ends_list = true;
	put_head(tongue, NOOP, "", 0, 0, 0);
}

/* The line's value follows; tells how much of `rest` it is. */
static size_t say_store(struct tongue *tongue, const struct line *line, uint8_t verb,
						const char *rest, size_t length) {
	size_t value_bytes = (size_t)part_number(line, 4), there = value_bytes;
	bool extends = verb == APPEND || verb == PREPEND, compares = strcmp(line->part[0], "cas") == 0;
	struct tongue_word *word = add_word(tongue, verb);
	word->is_quiet = strcmp(line->part[line->count - 1], "noreply") == 0;
	word->with_cas = compares;
	uint8_t opcode = word->is_quiet && verb == SET ? SETQ : verb;
	put_head(tongue, opcode, line->part[1], extends ? 0 : 8, value_bytes,
			 compares ? part_number(line, 5) : 0);
	if (!extends) {
		put_number(&tongue->packets, part_number(line, 2), 4);
		put_number(&tongue->packets, part_number(line, 3), 4);
	}
	put(&tongue->packets, line->part[1], strlen(line->part[1]));
	if (there > length) there = length;
	put(&tongue->packets, rest, there);
	return there + 2 > length ? length : there + 2;
}

static void say_count(struct tongue *tongue, const struct line *line, uint8_t verb) {
	(void)add_word(tongue, verb);
	put_head(tongue, verb, line->part[1], 20, 0, 0);
	put_number(&tongue->packets, part_number(line, 2), 8);
	put_number(&tongue->packets, 0, 8);
	put_number(&tongue->packets, NEVER, 4);
	put(&tongue->packets, line->part[1], strlen(line->part[1]));
}

static void say_key(struct tongue *tongue, const struct line *line, uint8_t verb) {
	struct tongue_word *word = add_word(tongue, verb);
	word->is_quiet = line->count > 2 && strcmp(line->part[2], "noreply") == 0;
	put_head(tongue, word->is_quiet ? DELETEQ : verb, line->part[1], verb == TOUCH ? 4 : 0, 0, 0);
	if (verb == TOUCH) put_number(&tongue->packets, part_number(line, 2), 4);
	put(&tongue->packets, line->part[1], strlen(line->part[1]));
}

static void say_rest(struct tongue *tongue, const struct line *line) {
	const char *name = line->part[0];
	bool is_flush = strcmp(name, "flush_all") == 0, is_stat = strcmp(name, "stats") == 0;
	uint8_t verb = strcmp(name, "version") == 0 ? VERSION
				   : is_flush                   ? FLUSH
				   : is_stat                    ? STAT
												: NOOP;
	const char *key = is_stat && line->count > 1 ? line->part[1] : "";
	bool is_late = is_flush && line->count > 1;
	if (verb == NOOP && strcmp(name, "mn") != 0) world_fail("no packet says: %s", name);
	(void)add_word(tongue, verb);
	put_head(tongue, verb, key, is_late ? 4 : 0, 0, 0);
	if (is_late) put_number(&tongue->packets, part_number(line, 1), 4);
	put(&tongue->packets, key, strlen(key));
}

/* Tells how much of what is behind the line it has taken, too. */
static size_t say_one(struct tongue *tongue, const struct line *line, const char *rest,
					  size_t length) {
	static const struct {
		const char *name;
		uint8_t verb;
	} stores[] = {{"set", SET},         {"cas", SET},       {"add", ADD},
				  {"replace", REPLACE}, {"append", APPEND}, {"prepend", PREPEND}};
	const char *name = line->part[0];
	for (size_t i = 0; i < sizeof stores / sizeof *stores; i++)
		if (strcmp(name, stores[i].name) == 0)
			return say_store(tongue, line, stores[i].verb, rest, length);
	if (strcmp(name, "get") == 0 || strcmp(name, "gets") == 0)
		say_get(tongue, line, false);
	else if (strcmp(name, "gat") == 0 || strcmp(name, "gats") == 0)
		say_get(tongue, line, true);
	else if (strcmp(name, "delete") == 0 || strcmp(name, "touch") == 0)
		say_key(tongue, line, name[0] == 'd' ? DELETE : TOUCH);
	else if (strcmp(name, "incr") == 0 || strcmp(name, "decr") == 0)
		say_count(tongue, line, name[0] == 'i' ? INCREMENT : DECREMENT);
	else
		say_rest(tongue, line);
	return 0;
}

void tongue_begin(struct tongue *tongue) {
	tongue->first = tongue->count = 0;
	tongue->list_failed = false;
	tongue->packets.length = tongue->heard.length = tongue->lines.length = 0;
}

void tongue_say(struct tongue *tongue, const char *lines, size_t length) {
	struct line line;
	size_t used;
	for (size_t at = 0; at < length && (used = read_line(&line, lines + at, length - at)) > 0;) {
		at += used;
		at += say_one(tongue, &line, lines + at, length - at);
	}
}

/* ------------------------------------------------------------------ hearing ---------------- */

struct packet {
	uint8_t opcode;
	unsigned status;
	uint32_t number;
	uint64_t cas;
	const char *extras;
	const char *key;
	size_t key_bytes;
	const char *value;
	size_t value_bytes;
};

/* Tells its length; 0: it is not whole. */
static size_t read_packet(const struct tongue_bytes *from, size_t at, struct packet *packet) {
	const char *head = from->bytes + at;
	size_t there = from->length - at;
	if (there < HEAD_BYTES) return 0;
	size_t body_bytes = (size_t)number_at(head + 8, 4), extras = (unsigned char)head[4];
	if ((unsigned char)head[0] != 0x81) world_fail("an answer that is no packet");
	if (there < HEAD_BYTES + body_bytes) return 0;
	packet->opcode = (uint8_t)head[1];
	packet->key_bytes = (size_t)number_at(head + 2, 2);
	packet->status = (unsigned)number_at(head + 6, 2);
	packet->number = (uint32_t)number_at(head + 12, 4);
	packet->cas = number_at(head + 16, 8);
	if (extras + packet->key_bytes > body_bytes) world_fail("a packet's lengths contradict");
	packet->extras = head + HEAD_BYTES;
	packet->key = packet->extras + extras;
	packet->value = packet->key + packet->key_bytes;
	packet->value_bytes = body_bytes - extras - packet->key_bytes;
	return HEAD_BYTES + body_bytes;
}

static void say_error(struct tongue *tongue, const struct packet *packet) {
	bool is_ours = packet->status == NO_MEMORY || packet->status == TOO_LARGE;
	say_line(tongue, "%s_ERROR %.*s\r\n", is_ours ? "SERVER" : "CLIENT", (int)packet->value_bytes,
			 packet->value);
}

static void hear_value(struct tongue *tongue, const struct tongue_word *word,
					   const struct packet *packet) {
	bool is_missing = packet->status == MISSING;
	if (packet->status == OK && packet->opcode != NOOP && !tongue->list_failed) {
		say_line(tongue, "VALUE %.*s %u %zu", (int)packet->key_bytes, packet->key,
				 (unsigned)number_at(packet->extras, 4), packet->value_bytes);
		if (packet->cas == 0) world_fail("a value without a CAS number");
		if (word->with_cas) say_line(tongue, " %llu", (unsigned long long)packet->cas);
		say_line(tongue, "\r\n");
		put(&tongue->lines, packet->value, packet->value_bytes);
		say_line(tongue, "\r\n");
	} else if (packet->status != OK && !is_missing && !tongue->list_failed) {
		say_error(tongue, packet);
		tongue->list_failed = true;
	}
	if (!word->ends_list) return;
	if (!tongue->list_failed) say_line(tongue, "END\r\n");
	tongue->list_failed = false;
}

static void hear_store(struct tongue *tongue, const struct tongue_word *word,
					   const struct packet *packet) {
	switch (packet->status) {
	case OK:
		say_line(tongue, "STORED\r\n");
		break;
	case MISSING:
		say_line(tongue, word->verb == SET ? "NOT_FOUND\r\n" : "NOT_STORED\r\n");
		break;
	case EXISTS:
		say_line(tongue, word->verb == SET ? "EXISTS\r\n" : "NOT_STORED\r\n");
		break;
	case NOT_STORED:
		say_line(tongue, "NOT_STORED\r\n");
		break;
	default:
		say_error(tongue, packet);
	}
}

static void hear_statistic(struct tongue *tongue, const struct packet *packet) {
	if (packet->status != OK)
		say_error(tongue, packet);
	else if (packet->key_bytes == 0)
		say_line(tongue, "END\r\n");
	else
		say_line(tongue, "STAT %.*s %.*s\r\n", (int)packet->key_bytes, packet->key,
				 (int)packet->value_bytes, packet->value);
}

static void hear_done(struct tongue *tongue, const struct packet *packet, const char *done) {
	if (packet->status == OK)
		say_line(tongue, "%s\r\n", done);
	else if (packet->status == MISSING)
		say_line(tongue, "NOT_FOUND\r\n");
	else
		say_error(tongue, packet);
}

static void hear_number(struct tongue *tongue, const struct packet *packet) {
	char number[24];
	(void)snprintf(number, sizeof number, "%llu",
				   (unsigned long long)(packet->status == OK ? number_at(packet->value, 8) : 0));
	hear_done(tongue, packet, number);
}

static void hear_one(struct tongue *tongue, const struct tongue_word *word,
					 const struct packet *packet) {
	switch (word->verb) {
	case GET:
		hear_value(tongue, word, packet);
		break;
	case STAT:
		hear_statistic(tongue, packet);
		break;
	case INCREMENT:
	case DECREMENT:
		hear_number(tongue, packet);
		break;
	case DELETE:
		if (word->is_quiet && packet->status == MISSING) return; /* of a noreply nothing is said */
		hear_done(tongue, packet, "DELETED");
		break;
	case TOUCH:
		hear_done(tongue, packet, "TOUCHED");
		break;
	case FLUSH:
		hear_done(tongue, packet, "OK");
		break;
	case NOOP:
		hear_done(tongue, packet, "MN");
		break;
	case VERSION:
		say_line(tongue, "VERSION %.*s\r\n", (int)packet->value_bytes, packet->value);
		break;
	default:
		hear_store(tongue, word, packet);
	}
}

/* Those before it were quiet, and all went as it usually does. */
static struct tongue_word take_word(struct tongue *tongue, const struct packet *packet) {
	for (; tongue->count > 0; tongue->first = (tongue->first + 1) % TONGUE_WORDS, tongue->count--) {
		struct tongue_word word = tongue->word[tongue->first];
		bool is_quiet = word.is_quiet || (word.verb == GET && !word.ends_list);
		if (word.number == packet->number) return word;
		if (!is_quiet) break;
	}
	world_fail("opcode %u: an answer to nothing, or out of order", packet->opcode);
}

void tongue_hear(struct tongue *tongue, const char *bytes, size_t length) {
	struct packet packet;
	size_t at = 0, used;
	put(&tongue->heard, bytes, length);
	while ((used = read_packet(&tongue->heard, at, &packet)) > 0) {
		struct tongue_word word = take_word(tongue, &packet);
		hear_one(tongue, &word, &packet);
		bool goes_on = word.verb == STAT && packet.status == OK && packet.key_bytes > 0;
		if (!goes_on) {
			tongue->first = (tongue->first + 1) % TONGUE_WORDS;
			tongue->count--;
		}
		at += used;
	}
	tongue->heard.length -= at;
	if (at > 0) memmove(tongue->heard.bytes, tongue->heard.bytes + at, tongue->heard.length);
}
