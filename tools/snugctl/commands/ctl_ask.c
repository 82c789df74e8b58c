/* ctl_ask.c: a command that asks one line and shows the answer, and what the others need of it. */
#include "ctl_command.h"
#include "plain.h"
#include "show.h"

#include <stdio.h>
#include <string.h>

/* Commands that memcached has too; the others begin with snug. */
static bool is_memcached_command(const char *word) {
	static const char *const known[] = {"stats", "verbosity", "flush_all", "shutdown"};
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (strcmp(word, known[i]) == 0) return true;
	return false;
}

static bool join(char line[CALL_LINE_ROOM], const char *first, char **words, int count) {
	size_t length = (size_t)snprintf(line, CALL_LINE_ROOM, "%s", first);
	for (int i = 0; i < count; i++) {
		if (strpbrk(words[i], "\r\n") != NULL) return false;
		length += (size_t)snprintf(line + length, CALL_LINE_ROOM - length, "%s%s",
								   length > 0 ? " " : "", words[i]);
		if (length >= CALL_LINE_ROOM) return false;
	}
	return true;
}

bool call_line(const struct call *call, char line[CALL_LINE_ROOM]) {
	const char *first = is_memcached_command(call->words[0]) ? "" : "snug";
	if (join(line, first, call->words, call->count)) return true;
	fputs("snugctl: the command is too long\n", stderr);
	return false;
}

bool call_ask(struct call *call, const char *line, struct reply *reply) {
	if (!link_ask(call->link, line, reply)) return false;
	if (!door_is_elsewhere(reply) || !door_ask(call->link, call->door)) return true;
	reply_free(reply);
	return link_ask(call->link, line, reply);
}

enum status call_status(const struct reply *reply) {
	const char *result = reply_value(reply, "result"), *complete = reply_value(reply, "complete");
	static const char usage[] = "CLIENT_ERROR usage:";
	if (reply->error != NULL)
		return strncmp(reply->error, usage, sizeof usage - 1) == 0 ? STATUS_USAGE : STATUS_REFUSED;
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

void call_say(const char *text) {
	fputs("snugctl: ", stderr);
	print_plain(stderr, text, strlen(text));
	fputc('\n', stderr);
}

void call_tell_of_door(const struct door *door) {
	if (door->refusal == 0) return;
	fputs("snugctl: ", stderr);
	print_plain(stderr, door->control, strlen(door->control));
	fprintf(stderr, ": %s\n", strerror(door->refusal));
}

bool call_is_refused(const struct call *call, const struct reply *reply) {
	if (reply->error == NULL) return false;
	if (call->options->json)
		show_json(reply);
	else
		call_say(reply->error);
	if (door_is_elsewhere(reply)) call_tell_of_door(call->door);
	return true;
}

enum status call_show(struct call *call, const char *line,
					  void (*print)(const struct reply *reply)) {
	struct reply reply;
	if (!call_ask(call, line, &reply)) return STATUS_UNREACHABLE;
	enum status status = call_status(&reply);
	if (!call_is_refused(call, &reply)) {
		if (call->options->json)
			show_json(&reply);
		else if (print == NULL)
			show_table(line, &reply);
		else
			print(&reply);
	}
	reply_free(&reply);
	return status;
}

enum status run_ask(struct call *call) {
	char line[CALL_LINE_ROOM];
	return call_line(call, line) ? call_show(call, line, NULL) : STATUS_USAGE;
}
