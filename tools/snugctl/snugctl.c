/* snugctl.c: asks a running snugd about its memory, and has it cleaned up. It speaks the server's
 * own protocol: whatever it can do, a line sent by hand can do as well. */
#include "base/line_text.h"
#include "base/number_text.h"
#include "base/option_text.h"
#include "door.h"
#include "plain.h"
#include "show.h"
#include "show_items.h"

#include <errno.h>
#include <locale.h>
#include <snug/version.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum status { STATUS_DONE = 0, STATUS_REFUSED = 1, STATUS_USAGE = 2, STATUS_UNREACHABLE = 3 };

#define COMMAND_ROOM 512

struct options {
	const char *address;   /* NULL: whichever is found on this machine */
	char port_address[32]; /* of --port */
	const char *svg_path;
	double timeout_s;
	double interval_s;
	unsigned rounds;
	bool json;
	struct dump_options dump;
};

static const char help[] =
	"use: snugctl [OPTION...] COMMAND [ARGUMENT...]\n"
	"Asks a running snugd about its memory, and has it cleaned up.\n"
	"\n"
	"  estimate [coalesce|compact]         what a defragmentation would gain\n"
	"  defrag [coalesce|compact] [bytes N] [ms N] [return]\n"
	"                                      defragments, within a budget of bytes\n"
	"                                      copied or time; return: gives what is\n"
	"                                      free back to the system\n"
	"  emergency BYTES [evict]             returns so many bytes to the machine;\n"
	"                                      evict: by evicting items too; refused,\n"
	"                                      and nothing done, if it cannot be met\n"
	"  schedule HH:MM-HH:MM [target PCT]   defragments daily in that window\n"
	"  schedule every TIME [target PCT]    defragments at intervals: 90s, 30m, 12h\n"
	"  schedules                           the schedules, and when the next is due\n"
	"  cancel NUMBER                       ends a schedule\n"
	"  report [N]                          the last requests, and what they did\n"
	"  metrics                             figures of each worker and pool\n"
	"  map                                 the memory map\n"
	"  limit [BYTES]                       the memory limit; BYTES: set it\n"
	"  check                               walks all memory: is it sound?\n"
	"  verbosity N                         what the log says: 0 errors, warnings .. 3\n"
	"  flush_all [SECONDS]                 every item has expired\n"
	"  shutdown                            ends the server in order\n"
	"  stats [items|slabs|conns|settings]  memcached's statistics\n"
	"  top                                 what the server does; q ends\n"
	"  dump                                all items, to standard output, as commands\n"
	"                                      that store them\n"
	"  load                                stores such items from standard input,\n"
	"                                      here or in any memcached\n"
	"\n"
	"  -p, --port NUMBER     the snugd on this machine at that port; default: 11211\n"
	"  -s, --server ADDRESS  HOST, HOST:PORT, [ADDRESS]:PORT, or a socket's path\n"
	"  -j, --json            one JSON object; not for top, dump and load\n"
	"      --svg FILE        map: draws it into a file\n"
	"      --timeout S       seconds to wait for an answer; default: 60\n"
	"      --interval S      top: seconds between two looks; default: 1\n"
	"      --rounds N        top: ends after so many looks\n"
	"      --rate BYTES      dump, load: a second at most\n"
	"      --from 'W H'      dump: goes on where one that was interrupted says\n"
	"      --login FILE      dump, load: its first line is NAME:PASSWORD\n"
	"  -h, --help            this\n"
	"  -V, --version\n"
	"\n"
	"What changes the server is taken on its control socket alone, which is found\n"
	"by itself on this machine.\n"
	"\n"
	"Exit status: 0 done; 1 refused, or done in part only; 2 wrong use; 3 no server\n"
	"there, or no answer in time.\n";

/* ------------------------------------------------------------------ options ---------------- */

#define SECONDS_MAX 1000000u

static bool take_seconds(const char *text, double *seconds) {
	uint64_t ns;
	if (!number_read_time(text, strlen(text), NUMBER_SECOND_NS, &ns)) return false;
	*seconds = (double)ns / NUMBER_SECOND_NS;
	return ns > 0 && ns <= SECONDS_MAX * NUMBER_SECOND_NS;
}

static bool take_rounds(const char *text, unsigned *rounds) {
	uint64_t number;
	if (!number_read(text, strlen(text), &number) || number == 0 || number > UINT32_MAX)
		return false;
	*rounds = (unsigned)number;
	return true;
}

/* "WORKER HASH" */
static bool take_place(const char *text, uint64_t place[2]) {
	struct line words;
	line_split(&words, text, strlen(text));
	return words.count == 2 && number_read(words.word[0].bytes, words.word[0].length, &place[0]) &&
		   number_read(words.word[1].bytes, words.word[1].length, &place[1]);
}

static bool take_port(const char *text, struct options *options) {
	uint64_t port;
	if (!number_read(text, strlen(text), &port) || port == 0 || port > UINT16_MAX) return false;
	(void)snprintf(options->port_address, sizeof options->port_address, "127.0.0.1:%u",
				   (unsigned)port);
	options->address = options->port_address;
	return true;
}

static int complain(int code, const struct option *known, char *const *arguments) {
	char sentence[OPTION_SENTENCE_BYTES];
	option_explain(code, known, arguments, sentence);
	fprintf(stderr, "snugctl: %s; --help tells\n", sentence);
	return STATUS_USAGE;
}

/* Tells the exit status if there is nothing more to do; -1: go on. */
static int parse(int argument_count, char **arguments, struct options *options) {
	static const char a_time[] = "a time of more than 0 and at most 1000000 seconds";
	enum {
		OPTION_SVG = 256,
		OPTION_TIMEOUT,
		OPTION_INTERVAL,
		OPTION_ROUNDS,
		OPTION_RATE,
		OPTION_FROM,
		OPTION_LOGIN
	};
	static const struct option known[] = {{"port", required_argument, NULL, 'p'},
										  {"server", required_argument, NULL, 's'},
										  {"json", no_argument, NULL, 'j'},
										  {"svg", required_argument, NULL, OPTION_SVG},
										  {"timeout", required_argument, NULL, OPTION_TIMEOUT},
										  {"interval", required_argument, NULL, OPTION_INTERVAL},
										  {"rounds", required_argument, NULL, OPTION_ROUNDS},
										  {"rate", required_argument, NULL, OPTION_RATE},
										  {"from", required_argument, NULL, OPTION_FROM},
										  {"login", required_argument, NULL, OPTION_LOGIN},
										  {"help", no_argument, NULL, 'h'},
										  {"version", no_argument, NULL, 'V'},
										  {NULL, 0, NULL, 0}};
	const char *expected = NULL; /* of the option's value, if it is not that */
	for (int letter;
		 (letter = getopt_long(argument_count, arguments, ":p:s:jhV", known, NULL)) != -1;) {
		switch (letter) {
		case 's':
			options->address = optarg;
			break;
		case 'p':
			if (!take_port(optarg, options)) expected = "a port from 1 to 65535";
			break;
		case 'j':
			options->json = true;
			break;
		case OPTION_SVG:
			options->svg_path = optarg;
			break;
		case OPTION_TIMEOUT:
			if (!take_seconds(optarg, &options->timeout_s)) expected = a_time;
			break;
		case OPTION_INTERVAL:
			if (!take_seconds(optarg, &options->interval_s)) expected = a_time;
			break;
		case OPTION_ROUNDS:
			if (!take_rounds(optarg, &options->rounds)) expected = "a number from 1 on";
			break;
		case OPTION_RATE:
			if (!number_read_size(optarg, strlen(optarg), 1, &options->dump.rate_bytes) ||
				options->dump.rate_bytes == 0)
				expected = "a size from 1 byte on";
			break;
		case OPTION_LOGIN:
			options->dump.login = optarg;
			break;
		case OPTION_FROM:
			if (!take_place(optarg, options->dump.from)) expected = "two numbers";
			break;
		case 'h':
			fputs(help, stdout);
			return STATUS_DONE;
		case 'V':
			puts("snugctl " SNUG_VERSION_TEXT);
			return STATUS_DONE;
		default:
			return complain(letter, known, arguments);
		}
		if (expected != NULL) {
			fprintf(stderr, "snugctl: '%.100s' is not %s; --help tells\n", optarg, expected);
			return STATUS_USAGE;
		}
	}
	if (optind < argument_count) return -1;
	fputs("snugctl: which command? --help lists them\n", stderr);
	return STATUS_USAGE;
}

/* ------------------------------------------------------------------ commands --------------- */

/* A line of the help's list begins with it. */
static bool is_command(const char *word) {
	const char *options = strstr(help, "\n\n  -p");
	size_t length = strlen(word);
	for (const char *line = help; line != NULL && line < options; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (length > 0 && strncmp(line, "  ", 2) == 0 && strncmp(line + 2, word, length) == 0 &&
			line[2 + length] == ' ')
			return true;
	}
	return false;
}

/* What is wrong before a server is needed. */
static bool is_wrong_use(const struct options *options, const char *command) {
	static const char *const streams[] = {"top", "dump", "load"};
	if (!is_command(command)) {
		fprintf(stderr, "snugctl: '");
		print_plain(stderr, command, strnlen(command, 100));
		fprintf(stderr, "' is not a command; --help lists them\n");
		return true;
	}
	for (size_t i = 0; options->json && i < sizeof streams / sizeof *streams; i++)
		if (strcmp(command, streams[i]) == 0) {
			fprintf(stderr, "snugctl: --json is not for %s\n", command);
			return true;
		}
	if (options->svg_path != NULL && strcmp(command, "map") != 0) {
		fprintf(stderr, "snugctl: --svg is for map alone\n");
		return true;
	}
	return false;
}

/* The words of the command line, as one line of the protocol. */
static bool join(char *command, const char *first, char **words, int count) {
	size_t length = (size_t)snprintf(command, COMMAND_ROOM, "%s", first);
	for (int i = 0; i < count; i++) {
		if (strpbrk(words[i], "\r\n") != NULL) return false;
		length += (size_t)snprintf(command + length, COMMAND_ROOM - length, "%s%s",
								   length > 0 ? " " : "", words[i]);
		if (length >= COMMAND_ROOM) return false;
	}
	return true;
}

/* A result that says that less was done than asked is not a success. */
static enum status status_of(const struct reply *reply) {
	const char *result = reply_value(reply, "result"), *complete = reply_value(reply, "complete");
	if (reply->error != NULL) return STATUS_REFUSED;
	for (size_t i = 0; i < reply->field_count; i++) {
		const char *name = strchr(reply->fields[i].name, ':');
		if (name != NULL && strcmp(name, ":check") == 0 &&
			strcmp(reply->fields[i].value, "ok") != 0)
			return STATUS_REFUSED;
	}
	if (result != NULL && strcmp(result, "ok") != 0) return STATUS_REFUSED;
	if (complete != NULL && strcmp(complete, "yes") != 0) return STATUS_REFUSED;
	return STATUS_DONE;
}

/* A sentence of the server's. */
static void say(const char *text) {
	fputs("snugctl: ", stderr);
	print_plain(stderr, text, strlen(text));
	fputc('\n', stderr);
}

static enum status show(const struct options *options, const char *command,
						const struct reply *reply) {
	enum status status = status_of(reply);
	bool is_map = strcmp(command, "snug map") == 0 && reply->error == NULL;
	if (options->json) {
		if (is_map)
			show_map_json(reply);
		else
			show_json(reply);
		return status;
	}
	if (reply->error != NULL) {
		say(reply->error);
		return status;
	}
	if (!is_map) {
		show_table(command, reply);
		return status;
	}
	return show_map(reply, options->svg_path) ? status : STATUS_REFUSED;
}

/* Commands that memcached has too; the others begin with snug. */
static bool is_memcached_command(const char *word) {
	static const char *const known[] = {"stats", "verbosity", "flush_all", "shutdown"};
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (strcmp(word, known[i]) == 0) return true;
	return false;
}

/* Where what was refused at the port would be taken. */
static void tell_of_door(const struct door *door) {
	if (door->refusal == 0) return;
	fputs("snugctl: ", stderr);
	print_plain(stderr, door->control, strlen(door->control));
	fprintf(stderr, ": %s\n", strerror(door->refusal));
}

/* No answer, but the connection's end, when it has begun to stop. */
static enum status shut_down(struct link *link, struct door *door, const char *command) {
	struct reply reply;
	enum link_end end = link_ask_end(link, command, &reply);
	if (end == LINK_ANSWERED && door_ask(link, door)) {
		reply_free(&reply);
		end = link_ask_end(link, command, &reply);
	}
	if (end == LINK_CLOSED) return STATUS_DONE;
	if (end == LINK_FAILED) return STATUS_UNREACHABLE;
	say(reply.error != NULL ? reply.error : "not understood");
	tell_of_door(door);
	if (door->refusal == 0)
		say("on its own machine the control socket takes it; elsewhere only with "
			"--enable-shutdown");
	reply_free(&reply);
	return STATUS_REFUSED;
}

static enum status run(const struct options *options, struct door *door, struct link *link,
					   char **words, int count) {
	char command[COMMAND_ROOM];
	struct reply reply;
	if (strcmp(words[0], "top") == 0)
		return (enum status)show_top(link, options->interval_s, options->rounds);
	if (!join(command, is_memcached_command(words[0]) ? "" : "snug", words, count)) {
		fputs("snugctl: the command is too long\n", stderr);
		return STATUS_USAGE;
	}
	if (strcmp(words[0], "shutdown") == 0) return shut_down(link, door, command);
	if (!link_ask(link, command, &reply)) return STATUS_UNREACHABLE;
	if (door_is_elsewhere(&reply) && door_ask(link, door)) {
		reply_free(&reply);
		if (!link_ask(link, command, &reply)) return STATUS_UNREACHABLE;
	}
	enum status status = show(options, command, &reply);
	if (door_is_elsewhere(&reply)) tell_of_door(door);
	reply_free(&reply);
	return status;
}

static bool moves_items(const char *command) {
	return strcmp(command, "dump") == 0 || strcmp(command, "load") == 0;
}

static int timeout_ms(const struct options *options) {
	return (int)(options->timeout_s * 1000);
}

static bool open_port(const struct options *options, struct link *link) {
	static const char here[] = "127.0.0.1";
	const char *address = options->address != NULL ? options->address : here;
	return link_open(link, address, timeout_ms(options));
}

static bool is_told_elsewhere(struct link *port) {
	struct reply reply;
	if (!link_ask(port, "snug items ?", &reply)) return false;
	bool is_elsewhere = door_is_elsewhere(&reply);
	reply_free(&reply);
	return is_elsewhere;
}

/* The operator's socket tells items where the port does not; but its large values are got at the port. */
static bool dump_from(const struct options *options, struct link *port) {
	struct link items;
	struct door door;
	if (!is_told_elsewhere(port)) return dump_items(port, port, &options->dump);
	if (!door_open(&items, &door, options->address, timeout_ms(options))) return false;
	if (door.control[0] == '\0') (void)door_ask(&items, &door);
	bool is_whole = dump_items(&items, port, &options->dump);
	if (!is_whole) tell_of_door(&door);
	link_close(&items);
	return is_whole;
}

static enum status move_items(const struct options *options, const char *command) {
	struct link link;
	if (!open_port(options, &link)) return STATUS_UNREACHABLE;
	bool is_whole = (options->dump.login == NULL || log_in(&link, options->dump.login)) &&
					(strcmp(command, "dump") == 0 ? dump_from(options, &link)
												  : load_items(&link, &options->dump));
	link_close(&link);
	return is_whole ? STATUS_DONE : STATUS_REFUSED;
}

/* An answer that could not be written was not given: a disk that is full, a reader that has gone. */
static int finish(int status) {
	if (fflush(stdout) == 0 && !ferror(stdout)) return status;
	fprintf(stderr, "snugctl: standard output: %s\n", strerror(errno));
	return status == STATUS_DONE ? STATUS_REFUSED : status;
}

int main(int argument_count, char **arguments) {
	struct options options = {.timeout_s = 60, .interval_s = 1};
	struct link link;
	struct door door;
	(void)setlocale(LC_CTYPE, "");
	int status = parse(argument_count, arguments, &options);
	if (status >= 0) return finish(status);
	if (strcmp(arguments[optind], "help") == 0) {
		fputs(help, stdout);
		return finish(STATUS_DONE);
	}
	if (is_wrong_use(&options, arguments[optind])) return STATUS_USAGE;
	if (moves_items(arguments[optind])) return (int)move_items(&options, arguments[optind]);
	if (!door_open(&link, &door, options.address, timeout_ms(&options))) return STATUS_UNREACHABLE;
	status = (int)run(&options, &door, &link, arguments + optind, argument_count - optind);
	link_close(&link);
	return finish(status);
}
