/* server/watch/watch.c: see server/watch/watch.h. */
#include "server/watch/watch.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#define LINE_BYTES 1280u /* the longest: a key of 250 bytes, each as %XX */

void watchers_init(struct watchers *watchers) {
	*watchers = (struct watchers){0};
	pthread_mutex_init(&watchers->mutex, NULL);
}

void watchers_deinit(struct watchers *watchers) {
	pthread_mutex_destroy(&watchers->mutex);
}

struct watch_counts watchers_count(struct watchers *watchers) {
	pthread_mutex_lock(&watchers->mutex);
	struct watch_counts counts = {watchers->count, watchers->skipped};
	pthread_mutex_unlock(&watchers->mutex);
	return counts;
}

/* Under the mutex. */
static void renew_kinds(struct watchers *watchers) {
	uint32_t kinds = watchers->counts_prefixes ? WATCH_PREFIXES : 0;
	for (struct watcher *at = watchers->first; at != NULL; at = at->next) kinds |= at->kinds;
	atomic_store_explicit(&watchers->kinds, kinds, memory_order_relaxed);
}

void watchers_count_prefixes(struct watchers *watchers, bool are_counted) {
	pthread_mutex_lock(&watchers->mutex);
	watchers->counts_prefixes = are_counted;
	renew_kinds(watchers);
	pthread_mutex_unlock(&watchers->mutex);
}

bool watcher_begin(struct watchers *watchers, struct watcher *watcher) {
	pthread_mutex_lock(&watchers->mutex);
	bool may = watchers->count < WATCHERS_MAX;
	if (may) {
		watcher->next = watchers->first;
		watchers->first = watcher;
		watchers->count++;
		renew_kinds(watchers);
	}
	pthread_mutex_unlock(&watchers->mutex);
	return may;
}

void watcher_end(struct watchers *watchers, struct watcher *watcher) {
	pthread_mutex_lock(&watchers->mutex);
	struct watcher **at = &watchers->first;
	while (*at != watcher) at = &(*at)->next;
	*at = watcher->next;
	watchers->count--;
	renew_kinds(watchers);
	pthread_mutex_unlock(&watchers->mutex);
	text_deinit(&watcher->text);
}

bool watcher_has_news(struct watchers *watchers, struct watcher *watcher) {
	pthread_mutex_lock(&watchers->mutex);
	bool has_news = watcher->text.length > 0;
	pthread_mutex_unlock(&watchers->mutex);
	return has_news;
}

void watcher_take(struct watchers *watchers, struct watcher *watcher, struct text *out) {
	pthread_mutex_lock(&watchers->mutex);
	*out = watcher->text;
	watcher->text = (struct text){.account = out->account};
	pthread_mutex_unlock(&watchers->mutex);
}

/* Under the mutex. The whole line, or nothing of it. */
static void tell(struct watchers *watchers, struct watcher *watcher, const char *line,
				 size_t length) {
	struct text *text = &watcher->text;
	size_t before = text->length;
	if (before + length + LINE_BYTES <= WATCH_BYTES) {
		if (watcher->skipped > 0)
			text_print(text, "skipped=%llu\n", (unsigned long long)watcher->skipped);
		text_append(text, line, length);
		if (!text->failed) {
			watcher->skipped = 0;
			return;
		}
		text->length = before;
		text->failed = false;
	}
	watcher->skipped++;
	watchers->skipped++;
}

void watchers_say(struct watchers *watchers, enum watch_kind kind, const char *format, ...) {
	char line[LINE_BYTES];
	struct timespec now;
	va_list arguments;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	pthread_mutex_lock(&watchers->mutex);
	int head = snprintf(line, sizeof line, "ts=%lld.%d gid=%llu ", (long long)now.tv_sec,
						(int)(now.tv_nsec / 1000), (unsigned long long)++watchers->events);
	va_start(arguments, format);
	int body = vsnprintf(line + head, sizeof line - (size_t)head, format, arguments);
	va_end(arguments);
	size_t length = (size_t)head + (size_t)body;
	if (body >= 0 && length + 1 < sizeof line) {
		line[length++] = '\n';
		for (struct watcher *at = watchers->first; at != NULL; at = at->next)
			if ((at->kinds & (uint32_t)kind) != 0) tell(watchers, at, line, length);
	}
	pthread_mutex_unlock(&watchers->mutex);
}
