/* show_items.c: see show_items.h.
 *
 *     dump: "snug items WORKER HASH" -> items, as they shall be written; LARGE ..; NEXT WORKER HASH
 *           each LARGE one is got by its key (mg), then the next part is asked for
 *     load: a window of commands -> their answers -> the next window
 *
 * A dump that fails tells where the part began that is not whole: it is asked for again, so an item
 * of it may be written twice, which is no harm.
 *
 * Neither the server nor the dump is trusted: what they bring are items or a refusal (item_line.h),
 * and takes bounded memory. */
#include "show_items.h"

#include "base/line_text.h"
#include "base/number_text.h"
#include "item_line.h"
#include "plain.h"
#include "stream.h"
#include "units.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define COMMAND_ROOM ((size_t)1024)

static bool starts(const char *text, const char *with) {
	return strncmp(text, with, strlen(with)) == 0;
}

static void say(const char *line) {
	fputs("snugctl: ", stderr);
	print_plain(stderr, line, strlen(line));
	fputc('\n', stderr);
}

/* ------------------------------------------------------------------ who it is -------------- */

/* More than a name, a password and what is between them can have (server/auth/users.h). */
#define LOGIN_ROOM 640

/* The first line of the file, with a blank between name and password. */
static bool read_login(const char *path, char login[LOGIN_ROOM]) {
	FILE *file = fopen(path, "re");
	if (file != NULL) (void)setvbuf(file, NULL, _IONBF, 0); /* nothing of it stays behind */
	bool is_read = file != NULL && fgets(login, LOGIN_ROOM, file) != NULL;
	if (!is_read)
		fprintf(stderr, "snugctl: %s: %s\n", path, file == NULL ? strerror(errno) : "it is empty");
	if (file != NULL) fclose(file);
	if (!is_read) return false;
	size_t length = strcspn(login, "\r\n");
	if (length == LOGIN_ROOM - 1) {
		fprintf(stderr, "snugctl: %s: its first line is too long\n", path);
		return false;
	}
	login[length] = '\0';
	char *colon = strchr(login, ':');
	if (colon == NULL) {
		fprintf(stderr, "snugctl: %s: its first line is not NAME:PASSWORD\n", path);
		return false;
	}
	*colon = ' ';
	return true;
}

static bool send_login(struct link *link, const char *path) {
	char login[LOGIN_ROOM] = "", command[LOGIN_ROOM + 64] = "";
	bool is_sent = read_login(path, login);
	if (is_sent) {
		(void)snprintf(command, sizeof command, "set login 0 0 %zu\r\n%s\r\n", strlen(login),
					   login);
		is_sent = link_send(link, command, strlen(command));
	}
	explicit_bzero(login, sizeof login);
	explicit_bzero(command, sizeof command);
	return is_sent;
}

/* A server that does not ask would take the password for a value, and keep it for everybody. So it is
 * asked first for what only a server that asks refuses. */
static enum stream_end ask_whether_it_asks(struct link *link, struct stream *answers, bool *asks) {
	static const char harmless[] = "version\r\n";
	char *line;
	if (!link_send(link, harmless, sizeof harmless - 1)) return STREAM_FAILED;
	enum stream_end end = stream_line(answers, &line);
	if (end == STREAM_GOT) *asks = !starts(line, "VERSION ");
	return end;
}

bool log_in(struct link *link, const char *path) {
	char *line;
	bool asks = true;
	struct stream *answers = calloc(1, sizeof *answers);
	if (answers == NULL) {
		say("out of memory");
		return false;
	}
	answers->fd = link->fd;
	answers->timeout_ms = link->timeout_ms;
	enum stream_end end = ask_whether_it_asks(link, answers, &asks);
	if (end == STREAM_GOT && !asks) {
		say("the server does not ask who one is");
		free(answers);
		return true;
	}
	if (end == STREAM_GOT)
		end = send_login(link, path) ? stream_line(answers, &line) : STREAM_FAILED;
	bool is_in = end == STREAM_GOT && strcmp(line, "STORED") == 0;
	if (end == STREAM_GOT && !is_in) say(line);
	if (end == STREAM_ENDED) say("the server closed the connection");
	free(answers);
	return is_in;
}

/* ------------------------------------------------------------------ lines ------------------ */

static bool take_number(const struct line *words, size_t at, uint64_t *number) {
	return at < words->count && number_read(words->word[at].bytes, words->word[at].length, number);
}

/* Behind a letter: "f7". A time may be -1, which is none. */
static bool take_marked(const struct line *words, size_t at, char mark, uint64_t *number) {
	if (at >= words->count || words->word[at].length < 2 || words->word[at].bytes[0] != mark)
		return false;
	const char *digits = words->word[at].bytes + 1;
	size_t length = words->word[at].length - 1;
	if (length == 2 && memcmp(digits, "-1", 2) == 0) {
		*number = UINT64_MAX;
		return true;
	}
	return number_read(digits, length, number);
}

/* ------------------------------------------------------------------ dump ------------------- */

/* A part has 64 KiB, and what one place of the index holds; so no more of them are in one. */
#define LARGE_MAX 8192u

struct source {
	struct link *link;
	struct stream stream;
};

struct dump {
	struct source part, port;
	struct source *values; /* where large values are got: one of the two */
	struct source *from;   /* which is being read */
	struct pace pace;
	uint64_t items, bytes;
	struct item_line *large; /* of this part */
	size_t large_count, large_room;
	uint64_t at[2]; /* where the part begins: a worker and a hash */
};

static bool cannot_write(void) {
	fprintf(stderr, "snugctl: standard output: %s\n", strerror(errno));
	return false;
}

static bool put(struct dump *dump, const char *bytes, size_t length) {
	if (fwrite(bytes, 1, length, stdout) != length) return cannot_write();
	dump->bytes += length;
	pace_keep(&dump->pace, length);
	return true;
}

/* A value, and the end of its line. */
static bool put_value(struct dump *dump, uint64_t value_bytes) {
	uint64_t left = value_bytes + 2;
	while (left > 0) {
		const char *some;
		size_t count = stream_some(&dump->from->stream,
								   left < STREAM_ROOM ? (size_t)left : STREAM_ROOM, &some);
		if (count == 0) {
			say("the answer ends amid a value");
			return false;
		}
		if (!put(dump, some, count)) return false;
		left -= count;
	}
	dump->items++;
	return true;
}

static bool put_item(struct dump *dump, const struct item_line *item) {
	char line[ITEM_LINE_ROOM];
	return put(dump, line, item_line_write(item, true, line)) && put_value(dump, item->value_bytes);
}

static bool keep_large(struct dump *dump, const char *text) {
	struct item_line item;
	if (!item_line_read_large(text, &item) || dump->large_count == LARGE_MAX) {
		say(text);
		return false;
	}
	if (dump->large_count == dump->large_room) {
		size_t room = dump->large_room * 2 + 16;
		struct item_line *more = realloc(dump->large, room * sizeof *more);
		if (more == NULL) {
			say("out of memory");
			return false;
		}
		dump->large = more;
		dump->large_room = room;
	}
	dump->large[dump->large_count++] = item;
	return true;
}

static bool ask(struct dump *dump, struct source *source, const char *command) {
	dump->from = source;
	return link_send(source->link, command, strlen(command));
}

static void source_init(struct source *source, struct link *link) {
	source->link = link;
	source->stream.fd = link->fd;
	source->stream.timeout_ms = link->timeout_ms;
}

/* "VA BYTES f.. t.." */
static bool take_found(const char *text, struct item_line *item) {
	struct line words;
	uint64_t bytes, flags, left_s;
	line_split(&words, text, strlen(text));
	if (words.count < 4 || !WORD_IS(words.word[0], "VA") || !take_number(&words, 1, &bytes) ||
		!take_marked(&words, 2, 'f', &flags) || !take_marked(&words, 3, 't', &left_s) ||
		bytes > INT32_MAX || flags > UINT32_MAX)
		return false;
	item->value_bytes = bytes;
	item->client_flags = (uint32_t)flags;
	item->date_s = left_s == UINT64_MAX  ? 0
				   : left_s > UINT32_MAX ? UINT32_MAX
										 : (uint64_t)time(NULL) + left_s;
	return true;
}

/* One that has gone meanwhile is left out. */
static bool put_large(struct dump *dump, const struct item_line *large) {
	char command[ITEM_LINE_ROOM], *text;
	struct item_line item = *large;
	(void)snprintf(command, sizeof command, "mg %s v f t%s\r\n", large->key,
				   large->is_base64 ? " b" : "");
	if (!ask(dump, dump->values, command) || stream_line(&dump->from->stream, &text) != STREAM_GOT)
		return false;
	if (strcmp(text, "EN") == 0) return true;
	if (take_found(text, &item)) return put_item(dump, &item);
	say(text);
	return false;
}

enum part { PART_MORE, PART_LAST, PART_FAILED };

/* "NEXT WORKER HASH", which must lie behind where this part began: else it would never end. */
static bool take_next(const struct dump *dump, const char *text, uint64_t next[2]) {
	struct line words;
	line_split(&words, text, strlen(text));
	return words.count == 3 && WORD_IS(words.word[0], "NEXT") && take_number(&words, 1, &next[0]) &&
		   take_number(&words, 2, &next[1]) &&
		   (next[0] > dump->at[0] || (next[0] == dump->at[0] && next[1] > dump->at[1]));
}

/* A part; where the next one begins is in `next`. */
static enum part put_part(struct dump *dump, uint64_t next[2]) {
	char *line;
	struct item_line item;
	dump->large_count = 0;
	while (stream_line(&dump->from->stream, &line) == STREAM_GOT) {
		if (item_line_read(line, &item)) {
			if (!put_item(dump, &item)) return PART_FAILED;
			continue;
		}
		if (starts(line, "LARGE ")) {
			if (!keep_large(dump, line)) return PART_FAILED;
			continue;
		}
		enum part part = take_next(dump, line, next) ? PART_MORE
						 : strcmp(line, "END") == 0  ? PART_LAST
													 : PART_FAILED;
		if (part == PART_FAILED) {
			say(line);
			if (strstr(line, "unauthenticated") != NULL) say("--login FILE says who you are");
		}
		for (size_t i = 0; part != PART_FAILED && i < dump->large_count; i++)
			if (!put_large(dump, &dump->large[i])) part = PART_FAILED;
		return part;
	}
	return PART_FAILED;
}

static void tell_dump(const struct dump *dump, bool is_whole) {
	fprintf(stderr, "snugctl: %s item%s, %s\n", count_text(dump->items).text,
			dump->items == 1 ? "" : "s", bytes_text(dump->bytes).text);
	if (!is_whole)
		fprintf(stderr, "snugctl: to go on: dump --from '%llu %llu'\n",
				(unsigned long long)dump->at[0], (unsigned long long)dump->at[1]);
}

static enum part ask_part(struct dump *dump, uint64_t next[2]) {
	char command[COMMAND_ROOM];
	(void)snprintf(command, sizeof command, "snug items %llu %llu\r\n",
				   (unsigned long long)dump->at[0], (unsigned long long)dump->at[1]);
	enum part part = ask(dump, &dump->part, command) ? put_part(dump, next) : PART_FAILED;
	if (part == PART_FAILED || fflush(stdout) == 0) return part;
	(void)cannot_write();
	return PART_FAILED;
}

bool dump_items(struct link *items, struct link *port, const struct dump_options *options) {
	struct dump *dump = calloc(1, sizeof *dump);
	uint64_t next[2];
	enum part part = PART_MORE;
	if (dump == NULL) {
		say("out of memory");
		return false;
	}
	(void)signal(SIGPIPE, SIG_IGN); /* where to go on is to be told */
	source_init(&dump->part, items);
	source_init(&dump->port, port);
	dump->values = port == items ? &dump->part : &dump->port;
	dump->pace.rate_bytes = options->rate_bytes;
	memcpy(dump->at, options->from, sizeof dump->at);
	while ((part = ask_part(dump, next)) == PART_MORE) memcpy(dump->at, next, sizeof next);
	tell_dump(dump, part == PART_LAST);
	free(dump->large);
	free(dump);
	return part == PART_LAST;
}

/* ------------------------------------------------------------------ load ------------------- */

#define WINDOW_COMMANDS 64u
#define WINDOW_BYTES ((size_t)256 << 10)

struct load {
	struct link *link;
	struct stream from, answers;
	struct pace pace;
	uint64_t stored, refused;
	size_t commands, bytes; /* not answered yet */
};

static bool take_answers(struct load *load) {
	char *line;
	for (; load->commands > 0; load->commands--) {
		if (stream_line(&load->answers, &line) != STREAM_GOT) return false;
		if (strcmp(line, "STORED") == 0 || starts(line, "HD")) {
			load->stored++;
			continue;
		}
		if (load->refused++ == 0) say(line);
	}
	load->bytes = 0;
	return true;
}

static bool send_value(struct load *load, uint64_t value_bytes) {
	uint64_t left = value_bytes + 2;
	while (left > 0) {
		const char *some;
		size_t count =
			stream_some(&load->from, left < STREAM_ROOM ? (size_t)left : STREAM_ROOM, &some);
		if (count == 0) {
			say("it ends amid a value");
			return false;
		}
		if (!link_send(load->link, some, count)) return false;
		pace_keep(&load->pace, count);
		load->bytes += count;
		left -= count;
	}
	return true;
}

static bool load_one(struct load *load, char *line) {
	char head[ITEM_LINE_ROOM];
	struct item_line item;
	if (!item_line_read(line, &item)) {
		say("this is no item of a dump:");
		say(line);
		return false;
	}
	if (!link_send(load->link, head, item_line_write(&item, false, head)) ||
		!send_value(load, item.value_bytes))
		return false;
	load->commands++;
	if (load->commands < WINDOW_COMMANDS && load->bytes < WINDOW_BYTES) return true;
	return take_answers(load);
}

bool load_items(struct link *link, const struct dump_options *options) {
	struct load *load = calloc(1, sizeof *load);
	enum stream_end end;
	char *line;
	if (load == NULL) {
		say("out of memory");
		return false;
	}
	load->link = link;
	load->from.fd = STDIN_FILENO;
	load->from.timeout_ms = -1;
	load->answers.fd = link->fd;
	load->answers.timeout_ms = link->timeout_ms;
	load->pace.rate_bytes = options->rate_bytes;
	bool is_whole = true;
	while (is_whole && (end = stream_line(&load->from, &line)) != STREAM_ENDED)
		is_whole = end == STREAM_GOT && load_one(load, line);
	is_whole = is_whole && take_answers(load);
	fprintf(stderr, "snugctl: %s item%s stored, %s refused\n", count_text(load->stored).text,
			load->stored == 1 ? "" : "s", count_text(load->refused).text);
	is_whole = is_whole && load->refused == 0;
	free(load);
	return is_whole;
}
