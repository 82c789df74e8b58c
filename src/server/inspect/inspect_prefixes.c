/* server/inspect/inspect_prefixes.c: `stats detail on|off|dump`: operations counted by the prefix
 * of their keys (server/watch/prefixes.h). The dump is made some lines at a time, between which
 * operations go on: each line is of one moment, and all of them of some. */
#include "server/inspect/inspect.h"
#include "server/watch/prefixes.h"

struct dump {
	struct errand errand; /* must be the first */
	uint32_t at;
	struct text text;
};

static struct dump *dump_of(struct errand *errand) {
	return (struct dump *)(void *)errand;
}

static bool is_ready(struct errand *errand) {
	struct dump *dump = dump_of(errand);
	return prefixes_dump(&errand->server->prefixes, &dump->at, &dump->text);
}

static void answer(struct errand *errand, struct text *out) {
	text_move(out, &dump_of(errand)->text);
	text_say(out, "END");
}

static void destroy(struct errand *errand) {
	text_deinit(&dump_of(errand)->text);
	errand_free(errand);
}

static struct errand *dump_begin(struct server *server, struct text *out) {
	struct dump *dump = errand_new(server, sizeof *dump, out);
	if (dump == NULL) return NULL;
	dump->errand.is_ready = is_ready;
	dump->errand.answer = answer;
	dump->errand.destroy = destroy;
	dump->text.account = out->account;
	return &dump->errand;
}

struct errand *inspect_prefixes(struct server *server, const struct line *words, struct text *out) {
	if (words_is(words, 1, "dump")) return dump_begin(server, out);
	if (words_is(words, 1, "off")) {
		prefixes_end(&server->prefixes);
		text_say(out, "OK");
	} else if (words_is(words, 1, "on")) {
		text_say(out, prefixes_begin(&server->prefixes)
						  ? "OK"
						  : "SERVER_ERROR out of memory: nothing is counted by prefix");
	} else {
		text_say(out, "CLIENT_ERROR usage: stats detail on|off|dump");
	}
	return NULL;
}
