/* simulate/clients/commands.c: what clients say: see simulate/clients/simulated_client.h. */
#include "simulate/clients/simulated_client.h"
#include "simulate/world/world.h"

#include <snug/heap.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static uint64_t below(struct client *client, uint64_t bound) {
	return choose(&client->choice, bound);
}

static bool happens(struct client *client, uint32_t per_mille) {
	return chance(&client->choice, per_mille);
}

/* ------------------------------------------------------------------ bytes ------------------ */

static void put(struct client *client, const char *bytes, size_t length) {
	if (client->out_bytes + length > client->out_room) {
		client->out_room = (client->out_bytes + length) * 2;
		client->out = plain_realloc(client->out, client->out_room);
	}
	if (length > 0) memcpy(client->out + client->out_bytes, bytes, length);
	client->out_bytes += length;
}

__attribute__((format(printf, 2, 3))) static void say(struct client *client, const char *format,
													  ...) {
	char line[1024];
	va_list arguments;
	va_start(arguments, format);
	int length = vsnprintf(line, sizeof line, format, arguments);
	va_end(arguments);
	put(client, line, (size_t)length);
}

/* The next of the batch; its bytes are put behind. */
static struct asked *begin(struct client *client, enum verb verb) {
	struct asked *asked = &client->asked[client->asked_count++];
	char *bytes = asked->value.bytes;
	*asked = (struct asked){
		.verb = verb, .sent_s = world_now_s(), .begin = world_tick(), .value.bytes = bytes};
	return asked;
}

/* What the report will show of it. */
static void note(const struct client *client, struct asked *asked, size_t from) {
	size_t length = 0;
	while (length < sizeof asked->line - 1 && from + length < client->out_bytes &&
		   client->out[from + length] != '\r')
		length++;
	memcpy(asked->line, client->out + from, length);
	asked->line[length] = '\0';
}

struct asked *commands_add(struct client *client, enum verb verb, const char *line) {
	size_t from = client->out_bytes;
	struct asked *asked = begin(client, verb);
	say(client, "%s\r\n", line);
	note(client, asked, from);
	return asked;
}

/* ------------------------------------------------------------------ parts ------------------ */

static struct own_key *some_own(struct client *client, bool is_number) {
	return is_number ? &client->own[below(client, 2)]
					 : &client->own[2 + below(client, OWN_KEYS - 2)];
}

static void make_value(struct client *client, const struct own_key *key, struct value *out) {
	const struct run *run = client->run;
	size_t length = below(client, 50);
	if (happens(client, 500)) length = below(client, 1500);
	if (happens(client, run->is_large ? 300 : 150)) length = below(client, 20000);
	if (happens(client, run->is_large ? 400 : 40))
		length = below(client, run->rules.item_max_bytes < 500000 ? run->rules.item_max_bytes / 2
							   : happens(client, 200)             ? 700000
																  : 100000);
	char digits[24];
	if (key->is_number)
		length = (size_t)snprintf(
			digits, sizeof digits, "%llu",
			(unsigned long long)below(client, happens(client, 200) ? UINT64_MAX : 2000));
	out->bytes = plain_realloc(out->bytes, length + 1);
	out->length = length;
	out->flags = happens(client, 500) ? 0 : (uint32_t)below(client, UINT32_MAX);
	if (key->is_number)
		memcpy(out->bytes, digits, length);
	else
		test_random_fill((unsigned char *)out->bytes, length, below(client, UINT64_MAX));
}

static int64_t some_exptime(struct client *client) {
	if (!client->run->has_expiry || happens(client, 600)) return 0;
	/* no packet says a time that has passed */
	return happens(client, 100) && !client->is_binary ? -1 : (int64_t)(1 + below(client, 4));
}

static const char *quiet_word(const struct asked *asked) {
	return !asked->is_quiet ? "" : asked->is_meta ? " q" : " noreply";
}

/* ------------------------------------------------------------------ store ------------------ */

static enum mode some_mode(struct client *client, const struct own_key *key) {
	if (key->is_number) return happens(client, 700) ? MODE_SET : MODE_ADD;
	if (happens(client, 450)) return MODE_SET;
	enum mode mode = (enum mode)below(client, MODE_CAS + 1);
	return mode == MODE_CAS && key->cas == 0 ? MODE_SET : mode;
}

static void say_store(struct client *client, struct asked *asked, const char *name) {
	static const char *const words[] = {"set", "add", "replace", "append", "prepend", "cas"};
	static const char letters[] = "SERAPS";
	const struct value *value = &asked->value;
	if (asked->is_meta) {
		say(client, "ms %s %zu", name, value->length);
		if (asked->mode != MODE_SET || happens(client, 500))
			say(client, " M%c", letters[asked->mode]);
		if (value->flags != 0) say(client, " F%u", value->flags);
		if (asked->exptime_s != 0) say(client, " T%lld", (long long)asked->exptime_s);
		if (asked->mode == MODE_CAS) say(client, " C%llu", (unsigned long long)asked->token);
		if (asked->opaque != 0) say(client, " O%llu", (unsigned long long)asked->opaque);
	} else {
		say(client, "%s %s %u %lld %zu", words[asked->mode], name, value->flags,
			(long long)asked->exptime_s, value->length);
		if (asked->mode == MODE_CAS) say(client, " %llu", (unsigned long long)asked->token);
	}
	say(client, "%s\r\n", quiet_word(asked));
	put(client, value->bytes, value->length);
	put(client, "\r\n", 2);
}

static void store_own(struct client *client, struct asked *asked) {
	const struct run *run = client->run;
	struct own_key *key = some_own(client, happens(client, 150));
	asked->key[0].own = key;
	asked->mode = some_mode(client, key);
	asked->token = happens(client, 800) ? key->cas : key->cas + 1000000;
	asked->is_quiet = asked->mode == MODE_SET && !run->rules.is_full && happens(client, 200);
	make_value(client, key, &asked->value);
	if (asked->mode == MODE_APPEND || asked->mode == MODE_PREPEND) {
		if (asked->value.length > 1500) asked->value.length = 1500;
	} else {
		asked->exptime_s = some_exptime(client);
	}
	say_store(client, asked, key->name);
}

static void store_shared(struct client *client, struct asked *asked) {
	struct shared_key *key = &client->run->shared[below(client, SHARED_KEYS)];
	uint64_t id = ++client->run->last_id;
	shared_value(
		key, id,
		20 + below(client, happens(client, client->run->is_large ? 600 : 100) ? 60000 : 400),
		&asked->value);
	asked->key[0] = (struct target){.shared = key, .write = shared_begin(key, id, WRITTEN_VALUE)};
	say_store(client, asked, key->name);
}

static void add_store(struct client *client) {
	struct asked *asked = begin(client, ASK_STORE);
	asked->key_count = 1;
	asked->is_meta = happens(client, 400) && !client->is_binary;
	if (asked->is_meta && happens(client, 500)) asked->opaque = 1 + below(client, 1000000);
	size_t from = client->out_bytes;
	if (happens(client, 250))
		store_shared(client, asked);
	else
		store_own(client, asked);
	note(client, asked, from);
}

/* ------------------------------------------------------------------ the others ------------- */

static const char *choose_key(struct client *client, struct asked *asked) {
	struct target *target = &asked->key[asked->key_count++];
	*target = (struct target){0};
	if (happens(client, 200)) {
		target->shared = &client->run->shared[below(client, SHARED_KEYS)];
		return target->shared->name;
	}
	target->own = some_own(client, happens(client, 150));
	return target->own->name;
}

static void add_get(struct client *client) {
	struct asked *asked = begin(client, ASK_GET);
	size_t from = client->out_bytes,
		   keys = happens(client, 500) ? 1 : 1 + below(client, KEYS_OF_GET);
	asked->mode = happens(client, 300) ? MODE_CAS : MODE_SET; /* gets */
	say(client, "%s", asked->mode == MODE_CAS ? "gets" : "get");
	for (size_t i = 0; i < keys; i++) say(client, " %s", choose_key(client, asked));
	say(client, "\r\n");
	note(client, asked, from);
}

static void add_get_and_touch(struct client *client) {
	struct asked *asked = begin(client, ASK_GET);
	size_t from = client->out_bytes;
	asked->mode = happens(client, 300) ? MODE_CAS : MODE_SET;
	asked->touches = true;
	asked->exptime_s = some_exptime(client);
	asked->key[0].own = some_own(client, happens(client, 150));
	asked->key_count = 1;
	const char *word = asked->mode == MODE_CAS ? "gats" : "gat";
	say(client, "%s %lld %s\r\n", word, (long long)asked->exptime_s, asked->key[0].own->name);
	note(client, asked, from);
}

static void add_meta_get(struct client *client) {
	struct asked *asked = begin(client, ASK_GET);
	size_t from = client->out_bytes, told = 0;
	asked->is_meta = true;
	say(client, "mg %s", choose_key(client, asked));
	asked->wants_value = happens(client, 700);
	if (asked->wants_value) say(client, " v");
	asked->opaque = 1 + ++client->run->last_id;
	asked->is_quiet = happens(client, 300);
	for (const char *letter = "sfctk"; *letter != '\0'; letter++)
		if (happens(client, 400)) {
			asked->returned[told++] = *letter;
			say(client, " %c", *letter);
		}
	asked->returned[told] = 'O';
	say(client, " O%llu%s", (unsigned long long)asked->opaque, asked->is_quiet ? " q" : "");
	asked->touches = client->run->has_expiry && asked->key[0].own != NULL && happens(client, 100);
	if (asked->touches) {
		asked->exptime_s = some_exptime(client);
		say(client, " T%lld", (long long)asked->exptime_s);
	}
	say(client, "\r\n");
	note(client, asked, from);
}

static void add_delete(struct client *client) {
	struct asked *asked = begin(client, ASK_DELETE);
	size_t from = client->out_bytes;
	asked->is_meta = happens(client, 400) && !client->is_binary;
	const char *name = choose_key(client, asked);
	struct target *target = &asked->key[0];
	if (target->shared != NULL)
		target->write = shared_begin(target->shared, ++client->run->last_id, WRITTEN_NOTHING);
	else
		asked->is_quiet = !client->run->rules.refuses && happens(client, 300);
	if (asked->is_meta) {
		asked->opaque = 1 + ++client->run->last_id;
		say(client, "md %s O%llu%s\r\n", name, (unsigned long long)asked->opaque,
			quiet_word(asked));
	} else {
		say(client, "delete %s%s\r\n", name, quiet_word(asked));
	}
	note(client, asked, from);
}

static void add_touch(struct client *client) {
	struct asked *asked = begin(client, ASK_TOUCH);
	size_t from = client->out_bytes;
	asked->key[0].own = some_own(client, happens(client, 150));
	asked->key_count = 1;
	asked->touches = true;
	asked->exptime_s = some_exptime(client);
	say(client, "touch %s %lld\r\n", asked->key[0].own->name, (long long)asked->exptime_s);
	note(client, asked, from);
}

static void add_count(struct client *client) {
	struct asked *asked = begin(client, ASK_COUNT);
	size_t from = client->out_bytes;
	asked->key[0].own = some_own(client, true);
	asked->key_count = 1;
	asked->is_down = happens(client, 400);
	asked->delta = below(client, happens(client, 100) ? UINT64_MAX : 1000);
	asked->is_meta = happens(client, 400) && !client->is_binary;
	const char *name = asked->key[0].own->name;
	unsigned long long delta = asked->delta;
	if (asked->is_meta)
		say(client, "ma %s v D%llu M%c\r\n", name, delta, asked->is_down ? 'D' : 'I');
	else
		say(client, "%s %s %llu\r\n", asked->is_down ? "decr" : "incr", name, delta);
	note(client, asked, from);
}

static void add_error(struct client *client) {
	static const char *const lines[] = {
		"nonsense",
		"incr number abc",
		"touch key",
		"mg",
		"get",
		"mg key v v",
		"ms key abc",
		"mn2 and more words than it takes",
		"cas key 0 0 x 1",
		"ma key Dx",
		"md key Oabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz",
		"delete",
		"snug nothing",
	};
	if (happens(client, 300)) {
		char line[KEY_BYTES_MAX + 800], *at = line + 4;
		memcpy(line, happens(client, 500) ? "get " : "mg  ", 4);
		memset(at, 'k', sizeof line - 5);
		at[KEY_BYTES_MAX + 1 + below(client, 500)] = '\0';
		(void)commands_add(client, ASK_ERROR, line);
		return;
	}
	(void)commands_add(client, ASK_ERROR, lines[below(client, sizeof lines / sizeof *lines)]);
}

static void add_line(struct client *client, const char *line, const char *wanted) {
	commands_add(client, ASK_LINE, line)->wanted = wanted;
}

#define STATS_LINES 6u /* the first ones; they are packets, too */

/* What all workers are asked for, and what the coordinator does. */
static void add_errand(struct client *client) {
	static const char *const lines[] = {
		"stats",        "stats items", "stats settings", "stats slabs",
		"stats conns",  "stats sizes", "snug estimate",  "snug defrag",
		"snug metrics", "snug map",    "snug report",    "snug defrag coalesce",
		"snug help",    "snug limit",  "snug schedules", "snug emergency 100k",
		"snug clients", "snug clients idle 1",
	};
	size_t count = client->is_binary ? STATS_LINES : sizeof lines / sizeof *lines;
	client->is_patient = true;
	if (happens(client, 150) && !client->is_binary)
		(void)commands_add(client, ASK_CHECK, "snug check");
	else
		(void)commands_add(client, ASK_TEXT, lines[below(client, count)]);
}

/* Now, or in some seconds. */
static void add_flush(struct client *client) {
	struct run *run = client->run;
	char line[32];
	client->is_patient = true;
	int64_t delay_s = run->has_late_flush && (!run->has_flush || happens(client, 400))
						  ? (int64_t)(1 + below(client, 4))
						  : 0;
	snprintf(line, sizeof line, delay_s > 0 ? "flush_all %lld" : "flush_all", (long long)delay_s);
	struct asked *asked = commands_add(client, ASK_FLUSH, line);
	asked->exptime_s = delay_s;
	run->flushes++;
	asked->flushes = run->flushes_out++ == 0 ? run->flushes : 0;
	rules_begin_flush(&run->rules, delay_s);
}

/* The limit: told, lowered and raised again; in memcached's words, too. */
static void add_limit(struct client *client) {
	const struct run *run = client->run;
	char line[64];
	uint64_t least_bytes = (uint64_t)SNUG_LIMIT_MIN_BYTES * run->workers;
	uint64_t bytes = happens(client, 250)
						 ? run->memory_bytes
						 : least_bytes + below(client, run->memory_bytes - least_bytes + 1);
	if (happens(client, 400)) bytes = least_bytes + (bytes - least_bytes) / 16;
	client->is_patient = true;
	client->limit_bytes = 0;
	bool is_set = happens(client, 700);
	snprintf(line, sizeof line, is_set ? "snug limit %llu" : "snug limit",
			 (unsigned long long)bytes);
	if (happens(client, 800) || bytes < (8u << 20)) {
		struct asked *asked = commands_add(client, ASK_LIMIT, line);
		asked->delta = is_set ? bytes : 0;
		return;
	}
	snprintf(line, sizeof line, "cache_memlimit %llu", (unsigned long long)(bytes >> 20));
	add_line(client, line, "");
}

static void add_emergency(struct client *client) {
	char line[64];
	client->is_patient = true;
	uint64_t bytes = 1 + below(client, client->run->memory_bytes) / (happens(client, 700) ? 16 : 1);
	snprintf(line, sizeof line, "snug emergency %llu%s", (unsigned long long)bytes,
			 happens(client, 600) ? " evict" : "");
	client->is_met = false;
	struct asked *asked = commands_add(client, ASK_EMERGENCY, line);
	asked->delta = bytes;
	asked->token = world_returned_bytes();
}

static void add_operators(struct client *client) {
	/* he answers for it: nobody else may be sure */
	bool flushes = client->run->has_late_flush && happens(client, 200);
	bool is_of_memory = !flushes && client->run->has_limits && happens(client, 600);
	if (flushes)
		add_flush(client);
	else if (!is_of_memory)
		add_errand(client);
	else if (happens(client, 750))
		add_limit(client);
	else
		add_emergency(client);
}

/* ------------------------------------------------------------------ a batch ---------------- */

static void add_something(struct client *client) {
	uint64_t what = below(client, 1000);
	if (what < 330)
		add_store(client);
	else if (what < 535)
		add_get(client);
	else if (what < 560)
		add_get_and_touch(client);
	else if (what < 720 && !client->is_binary)
		add_meta_get(client);
	else if (what < 720)
		add_get(client);
	else if (what < 790)
		add_delete(client);
	else if (what < 830)
		add_touch(client);
	else if (what < 910)
		add_count(client);
	else if (what < 940 && !client->is_binary)
		add_error(client);
	else if (what < 960)
		add_line(client, "version", "VERSION ");
	else if (what < 980 && client->run->has_flush)
		add_flush(client);
	else if (what < 990)
		add_errand(client);
	else
		add_line(client, "mn", "MN");
}

void commands_fill(struct client *client) {
	const struct script *script = &client->run->script;
	size_t count = happens(client, 400) ? 1 : 1 + below(client, BATCH_MAX - 1);
	if (client->is_operator) count = 1;
	for (uint32_t i = 0; i < count; i++) {
		if (script->said != NULL) (*script->said)[client->index][client->batch] |= 1u << i;
		if (!script_keeps(script, client->index, client->batch, i)) continue;
		client->choice = script_choice(script, client->index, client->batch, i);
		if (client->is_operator)
			add_operators(client);
		else
			add_something(client);
	}
	if (client->asked_count > 0 && client->asked[client->asked_count - 1].is_quiet)
		add_line(client, "mn", "MN");
}

/* ------------------------------------------------------------------ what nobody should send - */

static void say_long(struct client *client, const char *head, const char *piece, size_t bytes) {
	say(client, "%s", head);
	while (bytes > 0) {
		size_t length = strlen(piece) < bytes ? strlen(piece) : bytes;
		put(client, piece, length);
		bytes -= length;
	}
	say(client, "\r\n");
}

static void say_value(struct client *client, const char *name, size_t length) {
	static char value[1000];
	say(client, "set %s 0 0 %zu\r\n", name, length);
	memset(value, 'w', sizeof value);
	for (size_t left = length, part; left > 0; left -= part) {
		part = left < sizeof value ? left : sizeof value;
		put(client, value, part);
	}
	say(client, "\r\n");
}

/* A large value, whole. */
static void say_large(struct client *client) {
	char name[16];
	snprintf(name, sizeof name, "w%u", (unsigned)below(client, 20));
	say_value(client, name, 16000 + below(client, happens(client, 300) ? 500000 : 100000));
}

static void say_wild(struct client *client) {
	static const char *const heads[] = {
		"mg w v T",    "ms w 5 T", "md w q T",  "ma w D",        "get ",
		"set w ",      "mg ",      "",          "gat 0 ",        "mg w v P",
		"ms w 5 P",    "md w q L", "ma w P",    "ms w 1000 b O", "mg w v O",
		"mg w1 q k O", "md w O",   "ma w N0 O", "ms w 20000 O",  "ms dw== 3 b O"};
	static const char *const pieces[] = {"0", "a", "w ", "w1 ", " v", "\t", "AAAA", "k f s c "};
	static const char *const lines[] = {
		"ms dw== 3 b\r\nabc",
		"mg dw== b v k",
		"set w 0 0 3\r\nabcdef",
		"ms w 2 q\r\nabc",
		"set w 0 0 99999999999",
		"set w 0 0 -1",
		"ms w 3 I\r\nabc",
		"mg w v E99 N30 R30 q",
		"md w I T30",
		"add w 0 0 2 noreply\r\nxy",
		"append w 0 0 2 noreply\r\nxy",
		"incr w 1 noreply",
		"ma w N0 J13 q v",
		"mg w t l h k q s f c v",
		"get w w1 w2 w3 w4",
		"get w5 w6 w7 w8 w9",
		"mg w3 v",
		"flush_all noreply",
		"verbosity 0 noreply",
		"quit",
	};
	unsigned char noise[300];
	switch (below(client, 8)) {
	case 0:
	case 1:
		say_long(client, heads[below(client, sizeof heads / sizeof *heads)],
				 pieces[below(client, sizeof pieces / sizeof *pieces)],
				 below(client, happens(client, 500) ? 2300 : 20000));
		break;
	case 2:
		test_random_fill(noise, sizeof noise, below(client, UINT64_MAX));
		put(client, (const char *)noise, below(client, sizeof noise));
		say(client, "\r\n");
		break;
	case 3:
		say_large(client);
		break;
	case 4:
		say(client, "ms w%llu %llu\r\n", (unsigned long long)below(client, 20),
			(unsigned long long)below(client, 400000));
		break;
	default: {
		uint64_t which = below(client, sizeof lines / sizeof *lines);
		bool is_flush = strncmp(lines[which], "flush", 5) == 0;
		if (is_flush && !client->run->has_flush) which = 0;
		if (is_flush && client->run->has_flush) client->run->flushes_are_lost = true;
		say(client, "%s\r\n", lines[which]);
	}
	}
}

/* More than there is room for, where little is. */
static uint64_t read_names(const struct run *run) {
	return run->memory_bytes / run->rules.item_max_bytes < 64 ? 60 : 6;
}

/* They come to the reader a window of extents at a time: most have several. */
void commands_fill_reading(struct client *client) {
	uint64_t most = client->run->rules.item_max_bytes;
	for (uint64_t i = 0, count = 1 + below(client, 3); i < count; i++) {
		char name[24];
		snprintf(name, sizeof name, "r%u", (unsigned)below(client, read_names(client->run)));
		if (happens(client, 250))
			say_value(client, name, most / 2 + below(client, most / 2 - 1000));
		bool is_meta = !happens(client, 500) && !client->is_binary;
		say(client, is_meta ? "mg %s v\r\n" : "get %s\r\n", name);
	}
}

/* The beginning of a large value; of one that has no room, where little has. */
void commands_fill_writing(struct client *client) {
	char name[24];
	const struct run *run = client->run;
	uint64_t most = run->rules.item_max_bytes, length = most / 2 + below(client, most / 2 - 1000);
	bool is_narrow = run->memory_bytes / run->workers <= 2u << 20;
	if (is_narrow && happens(client, 800)) length = 900000 + below(client, 100000);
	snprintf(name, sizeof name, "r%u", (unsigned)below(client, read_names(run)));
	say_value(client, name, length);
	client->out_bytes = 40 + below(client, happens(client, 500) ? 1000 : client->out_bytes - 40);
}

/* A packet that may be right, or lie. */
static void say_packet(struct client *client) {
	unsigned char packet[24 + 300];
	test_random_fill(packet, sizeof packet, below(client, UINT64_MAX));
	size_t key = below(client, happens(client, 900) ? 20 : 300);
	static const unsigned char extras[] = {0, 0, 0, 4, 8, 20};
	packet[0] = happens(client, 980) ? 0x80 : packet[0];
	packet[1] = (unsigned char)below(client, happens(client, 900) ? 0x26 : 256);
	bool is_flush = packet[1] == 0x08 || packet[1] == 0x18;
	if (is_flush && !client->run->has_flush) packet[1] = 0;
	if (is_flush && client->run->has_flush) client->run->flushes_are_lost = true;
	packet[2] = (unsigned char)(key >> 8);
	packet[3] = (unsigned char)key;
	packet[4] = extras[below(client, sizeof extras)];
	size_t value = happens(client, 500) ? 0 : below(client, 200), there = packet[4] + key + value;
	size_t body = happens(client, 950) ? there : below(client, 40000);
	for (unsigned i = 0; i < 4; i++) packet[8 + i] = (unsigned char)(body >> 8 * (3 - i));
	for (unsigned i = 0; i < 8; i++) packet[16 + i] = happens(client, 100) ? packet[16 + i] : 0;
	if (there > 300) there = 300;
	put(client, (const char *)packet, 24 + there);
}

void commands_fill_wild(struct client *client) {
	if (client->is_binary) {
		for (size_t left = 1 + below(client, 40); left > 0; left--) say_packet(client);
		return;
	}
	for (size_t left = 1 + below(client, 12); left > 0; left--) say_wild(client);
	say(client, "mn\r\n");
}
