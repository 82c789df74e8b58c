/* snugctl.c: asks a running snugd about its memory, and has it cleaned up. It speaks the server's
 * own protocol: whatever it can do, a line sent by hand can do as well. The commands are in
 * commands/ctl_commands.c. */
#include "commands/ctl_command.h"
#include "plain.h"

#include <errno.h>
#include <getopt.h>
#include <locale.h>
#include <snug/version.h>
#include <stdio.h>
#include <string.h>

static void print_help(void) {
	fputs("use: snugctl [OPTION...] COMMAND [ARGUMENT...]\n"
		  "Asks a running snugd about its memory, and has it cleaned up.\n"
		  "\n",
		  stdout);
	command_print_help();
	printf("\n%s\n", options_help);
	fputs("What changes the server is taken on its control socket alone, which is found\n"
		  "by itself on this machine.\n"
		  "\n"
		  "Exit status: 0 done; 1 refused, or done in part only; 2 wrong use; 3 no server\n"
		  "there, or no answer in time; 4 doctor found something.\n",
		  stdout);
}

/* What is wrong before a server is needed. */
static bool is_wrong_use(const struct options *options, const struct command *command, char **words,
						 int count) {
	const char *name = words[0];
	if (command == NULL) {
		fprintf(stderr, "snugctl: '");
		print_plain(stderr, name, strnlen(name, 100));
		fprintf(stderr, "' is not a command; --help lists them\n");
		return true;
	}
	if (options->json && (command->marks & COMMAND_NO_JSON) != 0) {
		fprintf(stderr, "snugctl: --json is not for %s\n", name);
		return true;
	}
	if (!options_fit(options, command->marks)) return true;
	if (command_fits(command, words, count)) return false;
	if (*command->forms == '\0')
		fprintf(stderr, "snugctl: %s takes no more words\n", name);
	else
		fprintf(stderr, "snugctl: %s does not take these words; it is used so:\n%s", name,
				command->help);
	return true;
}

static enum status run(const struct options *options, const struct command *command, char **words,
					   int count) {
	struct link link;
	struct door door;
	struct call call = {.options = options, .words = words, .count = count};
	if ((command->marks & COMMAND_CONNECTS) != 0) return command->run(&call);
	if (!door_open(&link, &door, options->address, options_timeout_ms(options)))
		return STATUS_UNREACHABLE;
	call.link = &link;
	call.door = &door;
	enum status status = command->run(&call);
	link_close(&link);
	return status;
}

/* An answer that could not be written was not given: a disk that is full, a reader that has gone. */
static int finish(enum status status) {
	if (fflush(stdout) == 0 && !ferror(stdout)) return (int)status;
	fprintf(stderr, "snugctl: standard output: %s\n", strerror(errno));
	return (int)(status == STATUS_DONE ? STATUS_REFUSED : status);
}

static enum status help(void) {
	print_help();
	return STATUS_DONE;
}

static enum status version(void) {
	puts("snugctl " SNUG_VERSION_TEXT);
	return STATUS_DONE;
}

int main(int argument_count, char **arguments) {
	struct options options = {.timeout_s = 60, .interval_s = 1};
	(void)setlocale(LC_CTYPE, "");
	enum options_end end = options_read(&options, argument_count, arguments);
	if (end == OPTIONS_WRONG) return STATUS_USAGE;
	if (end == OPTIONS_HELP) return finish(help());
	if (end == OPTIONS_VERSION) return finish(version());
	if (optind >= argument_count) {
		fputs("snugctl: which command? --help lists them\n", stderr);
		return STATUS_USAGE;
	}
	char **words = arguments + optind;
	if (strcmp(words[0], "help") == 0) return finish(help());
	const struct command *command = command_find(words[0]);
	if (is_wrong_use(&options, command, words, argument_count - optind)) return STATUS_USAGE;
	return finish(run(&options, command, words, argument_count - optind));
}
