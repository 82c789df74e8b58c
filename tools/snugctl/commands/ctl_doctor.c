/* ctl_doctor.c: doctor: what is wrong, as sentences.
 *
 *     1. hits fell from 91.2 % to 70.4 % of gets in the last 7 min, while 23 items
 *        were evicted
 *        -> what is used does not fit: raise the limit (snugctl limit), ..
 *
 * The sentences are the server's. */
#include "ctl_command.h"
#include "plain.h"
#include "show.h"

#include <stdio.h>
#include <string.h>

#define COLUMNS 79u

/* Words of a text, in lines that begin at a column; what is on the first stands there already. */
static void print_wrapped(const char *text, size_t begin) {
	for (size_t column = begin; *text != '\0';) {
		size_t length = strcspn(text, " "), gap = column > begin;
		if (column > begin && column + gap + length > COLUMNS) {
			printf("\n%*s", (int)begin, "");
			column = begin;
			gap = 0;
		}
		if (gap > 0) putchar(' ');
		print_plain(stdout, text, length);
		column += gap + length;
		text += length;
		text += strspn(text, " ");
	}
	putchar('\n');
}

static const char *value_of(const struct reply *reply, size_t finding, const char *name) {
	char field[40];
	(void)snprintf(field, sizeof field, "%zu:%s", finding, name);
	return reply_value(reply, field);
}

static void print_findings(const struct reply *reply) {
	const char *what, *advice;
	for (size_t i = 0; (what = value_of(reply, i, "what")) != NULL; i++) {
		printf("%3zu. ", i + 1);
		print_wrapped(what, 5);
		advice = value_of(reply, i, "advice");
		if (advice == NULL) continue;
		fputs("     -> ", stdout);
		print_wrapped(advice, 8);
	}
}

enum status run_doctor(struct call *call) {
	struct reply reply;
	if (!call_ask(call, "snug doctor", &reply)) return STATUS_UNREACHABLE;
	enum status status = call_status(&reply);
	if (!call_is_refused(call, &reply)) {
		bool is_well = reply_number(&reply, "findings") <= 0;
		if (!is_well) status = STATUS_FOUND;
		if (call->options->json)
			show_json(&reply);
		else if (is_well)
			printf("nothing is wrong: %.0f checks\n", reply_number(&reply, "checks"));
		else
			print_findings(&reply);
	}
	reply_free(&reply);
	return status;
}
