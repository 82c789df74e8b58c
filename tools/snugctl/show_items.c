/* show_items.c: see show_items.h.
 *
 *     dump: "snug items WORKER HASH" -> items, as they shall be written; LARGE ..; NEXT WORKER HASH
 *           each LARGE one is got by its key (mg), then the next part is asked for
 *     load: a window of commands -> their answers -> the next window
 *
 * A dump that fails tells where the part began that is not whole: it is asked for again, so an item
 * of it may be written twice, which is no harm. */
#include "show_items.h"

#include "base/line_text.h"
#include "base/number_text.h"
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

#define LOGIN_ROOM 512

/* The first line of the file, with a blank between name and password. */
static bool read_login(const char *path, char login[LOGIN_ROOM]) {
	FILE *file = fopen(path, "re");
	bool is_read = file != NULL && fgets(login, LOGIN_ROOM, file) != NULL;
	if (!is_read)
		fprintf(stderr, "snugctl: %s: %s\n", path, file == NULL ? strerror(errno) : "it is empty");
	if (file != NULL) fclose(file);
	if (!is_read) return false;
	login[strcspn(login, "\r\n")] = '\0';
	char *colon = strchr(login, ':');
	if (colon == NULL) {
		fprintf(stderr, "snugctl: %s: its first line is not NAME:PASSWORD\n", path);
		return false;
	}
	*colon = ' ';
	return true;
}

bool log_in(struct link *link, const char *path) {
	char login[LOGIN_ROOM], command[LOGIN_ROOM + 64], *line;
	if (!read_login(path, login)) return false;
	struct stream *answers = calloc(1, sizeof *answers);
	if (answers == NULL) {
		say("out of memory");
		return false;
	}
	answers->fd = link->fd;
	answers->timeout_ms = link->timeout_ms;
	(void)snprintf(command, sizeof command, "set login 0 0 %zu\r\n%s\r\n", strlen(login), login);
	enum stream_end end =
		link_send(link, command, strlen(command)) ? stream_line(answers, &line) : STREAM_FAILED;
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

/* "set KEY FLAGS DATE BYTES ..", or "ms KEY BYTES ..": how long the value is that follows. */
static bool is_store(const char *text, uint64_t *value_bytes) {
	struct line words;
	line_split(&words, text, strlen(text));
	if (words.count < 3) return false;
	if (WORD_IS(words.word[0], "set")) return take_number(&words, 4, value_bytes);
	return WORD_IS(words.word[0], "ms") && take_number(&words, 2, value_bytes);
}

/* ------------------------------------------------------------------ dump ------------------- */

struct large {
	char key[COMMAND_ROOM / 2];
	bool is_base64;
};

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
	struct large *large; /* of this part */
	size_t large_count, large_room;
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

static bool put_item(struct dump *dump, const char *head, uint64_t value_bytes) {
	char line[COMMAND_ROOM];
	int length = snprintf(line, sizeof line, "%s\r\n", head);
	return length > 0 && (size_t)length < sizeof line && put(dump, line, (size_t)length) &&
		   put_value(dump, value_bytes);
}

/* "LARGE KEY FLAGS DATE BYTES [b]" */
static bool keep_large(struct dump *dump, const char *text) {
	struct large large;
	struct line words;
	line_split(&words, text, strlen(text));
	if (words.count < 5 || words.word[1].length >= sizeof large.key) {
		say(text);
		return false;
	}
	memcpy(large.key, words.word[1].bytes, words.word[1].length);
	large.key[words.word[1].length] = '\0';
	large.is_base64 = words.count > 5;
	if (dump->large_count == dump->large_room) {
		size_t room = dump->large_room * 2 + 16;
		struct large *more = realloc(dump->large, room * sizeof *more);
		if (more == NULL) {
			say("out of memory");
			return false;
		}
		dump->large = more;
		dump->large_room = room;
	}
	dump->large[dump->large_count++] = large;
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

/* One that has gone meanwhile is left out. */
static bool put_large(struct dump *dump, const struct large *large) {
	char command[COMMAND_ROOM], *text;
	struct line words;
	uint64_t bytes, flags, left_s;
	(void)snprintf(command, sizeof command, "mg %s v f t%s\r\n", large->key,
				   large->is_base64 ? " b" : "");
	if (!ask(dump, dump->values, command)) return false;
	if (stream_line(&dump->from->stream, &text) != STREAM_GOT) return false;
	line_split(&words, text, strlen(text));
	if (words.count > 0 && WORD_IS(words.word[0], "EN")) return true;
	if (words.count < 4 || !WORD_IS(words.word[0], "VA") || !take_number(&words, 1, &bytes) ||
		!take_marked(&words, 2, 'f', &flags) || !take_marked(&words, 3, 't', &left_s)) {
		say(text);
		return false;
	}
	uint64_t date_s = left_s == UINT64_MAX ? 0 : (uint64_t)time(NULL) + left_s;
	if (large->is_base64)
		(void)snprintf(command, sizeof command, "ms %s %llu b q F%llu T%llu", large->key,
					   (unsigned long long)bytes, (unsigned long long)flags,
					   (unsigned long long)date_s);
	else
		(void)snprintf(command, sizeof command, "set %s %llu %llu %llu noreply", large->key,
					   (unsigned long long)flags, (unsigned long long)date_s,
					   (unsigned long long)bytes);
	return put_item(dump, command, bytes);
}

enum part { PART_MORE, PART_LAST, PART_FAILED };

/* A part; what begins the next one is in `next`. */
static enum part put_part(struct dump *dump, char next[COMMAND_ROOM]) {
	char *line;
	uint64_t bytes;
	dump->large_count = 0;
	while (stream_line(&dump->from->stream, &line) == STREAM_GOT) {
		if (is_store(line, &bytes)) {
			if (!put_item(dump, line, bytes)) return PART_FAILED;
			continue;
		}
		if (starts(line, "LARGE ")) {
			if (!keep_large(dump, line)) return PART_FAILED;
			continue;
		}
		enum part part = starts(line, "NEXT ")      ? PART_MORE
						 : strcmp(line, "END") == 0 ? PART_LAST
													: PART_FAILED;
		if (part == PART_FAILED) {
			say(line);
			if (strstr(line, "unauthenticated") != NULL) say("--login FILE says who you are");
		}
		if (part == PART_MORE) (void)snprintf(next, COMMAND_ROOM, "%s", line + strlen("NEXT "));
		for (size_t i = 0; part != PART_FAILED && i < dump->large_count; i++)
			if (!put_large(dump, &dump->large[i])) part = PART_FAILED;
		return part;
	}
	return PART_FAILED;
}

static void tell_dump(const struct dump *dump, const char *from) {
	fprintf(stderr, "snugctl: %s items, %s\n", count_text(dump->items).text,
			bytes_text(dump->bytes).text);
	if (from != NULL) fprintf(stderr, "snugctl: to go on: dump --from '%s'\n", from);
}

bool dump_items(struct link *items, struct link *port, const struct dump_options *options) {
	struct dump *dump = calloc(1, sizeof *dump);
	char from[COMMAND_ROOM], next[COMMAND_ROOM], command[2 * COMMAND_ROOM];
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
	(void)snprintf(from, sizeof from, "%s", options->from != NULL ? options->from : "0 0");
	while (part == PART_MORE) {
		(void)snprintf(command, sizeof command, "snug items %s\r\n", from);
		part = ask(dump, &dump->part, command) ? put_part(dump, next) : PART_FAILED;
		if (part != PART_FAILED && fflush(stdout) != 0) {
			(void)cannot_write();
			part = PART_FAILED;
		}
		if (part == PART_MORE) memcpy(from, next, sizeof from);
	}
	tell_dump(dump, part == PART_FAILED ? from : NULL);
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

/* Without what asks for no answer. */
static void cut_quiet(char *line) {
	size_t length = strlen(line);
	static const char noreply[] = " noreply";
	if (length > sizeof noreply && strcmp(line + length - (sizeof noreply - 1), noreply) == 0)
		line[length - (sizeof noreply - 1)] = '\0';
	char *q = strstr(line, " q ");
	if (starts(line, "ms ") && q != NULL) memmove(q, q + 2, strlen(q + 2) + 1);
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
	char head[STREAM_LINE_MAX + 8];
	uint64_t bytes;
	if (!is_store(line, &bytes)) {
		say("this is no item of a dump:");
		say(line);
		return false;
	}
	cut_quiet(line);
	int length = snprintf(head, sizeof head, "%s\r\n", line);
	if (length <= 0 || (size_t)length >= sizeof head) return false;
	if (!link_send(load->link, head, (size_t)length) || !send_value(load, bytes)) return false;
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
	fprintf(stderr, "snugctl: %s items stored, %s refused\n", count_text(load->stored).text,
			count_text(load->refused).text);
	is_whole = is_whole && load->refused == 0;
	free(load);
	return is_whole;
}
