/* server/inspect/inspect_watch.c: `watch`: an errand that never ends. Its parts are what has
 * happened; it is over when the connection goes.
 *
 *     begun -> OK told -> waits for news -> told -> waits -> .. -> forgotten
 *
 * It looks for news some hundred times a second at least, and at once while there is much. */
#include "server/inspect/inspect.h"
#include "server/watch/watch.h"

struct watch {
	struct errand errand; /* must be the first */
	struct watcher watcher;
	bool is_over;
};

static struct watch *watch_of(struct errand *errand) {
	return (struct watch *)(void *)errand;
}

static bool is_ready(struct errand *errand) {
	struct watch *watch = watch_of(errand);
	return watch->is_over || watcher_has_news(&errand->server->watchers, &watch->watcher);
}

static void answer(struct errand *errand, struct text *out) {
	watcher_take(&errand->server->watchers, &watch_of(errand)->watcher, out);
	errand->has_part = true;
}

static void forget(struct errand *errand) {
	watch_of(errand)->is_over = true;
}

static void destroy(struct errand *errand) {
	watcher_end(&errand->server->watchers, &watch_of(errand)->watcher);
	errand_free(errand);
}

/* 0: there is no such kind, or nothing of it is told here. */
static uint32_t kind_of(struct word word) {
	if (WORD_IS(word, "fetchers")) return WATCH_FETCHERS;
	if (WORD_IS(word, "mutations")) return WATCH_MUTATIONS;
	if (WORD_IS(word, "evictions")) return WATCH_EVICTIONS;
	if (WORD_IS(word, "deletions")) return WATCH_DELETIONS;
	if (WORD_IS(word, "connevents")) return WATCH_CONNECTIONS;
	return WORD_IS(word, "sysevents") ? WATCH_SYSTEM : 0;
}

struct errand *inspect_watch(struct server *server, const char *what, size_t length,
							 struct text *out) {
	struct line words;
	uint32_t kinds = 0;
	line_split(&words, what, length);
	for (size_t i = 0; i < words.count; i++) {
		uint32_t kind = kind_of(words.word[i]);
		if (kind == 0) {
			text_say(out, "ERROR");
			return NULL;
		}
		kinds |= kind;
	}
	struct watch *watch = errand_new(server, sizeof *watch, out);
	if (watch == NULL) return NULL;
	watch->errand.is_endless = true;
	watch->errand.is_ready = is_ready;
	watch->errand.answer = answer;
	watch->errand.forget = forget;
	watch->errand.destroy = destroy;
	watch->watcher.kinds = kinds == 0 ? WATCH_FETCHERS : kinds;
	watch->watcher.text.account = out->account;
	text_say(&watch->watcher.text, "OK");
	if (!watch->watcher.text.failed && watcher_begin(&server->watchers, &watch->watcher))
		return &watch->errand;
	text_say(out, watch->watcher.text.failed ? "WATCHER_FAILED failed to add log watcher"
											 : "WATCHER_TOO_MANY log watcher limit reached");
	text_deinit(&watch->watcher.text);
	errand_free(&watch->errand);
	return NULL;
}
