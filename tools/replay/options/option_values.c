/* option_values.c: what an option's value says beyond its kind. */
#include "options/options.h"
#include "replay.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

bool options_complain(const char *option, const char *value, const char *what) {
	fprintf(stderr, "snug-replay: --%s: '%s' %s\nTry: snug-replay --help\n", option, value, what);
	return false;
}

bool options_each(const char *option, const char *words,
				  bool (*take)(void *context, const char *word), void *context) {
	for (;; words++) {
		char word[NAME_ROOM];
		size_t length = strcspn(words, ",");
		if (length >= sizeof word) return options_complain(option, words, "is too long");
		memcpy(word, words, length);
		word[length] = '\0';
		if (!take(context, word)) return false;
		words += length;
		if (*words == '\0') return true;
	}
}

uint64_t options_seed(const struct options *options) {
	uint32_t seed;
	if (options->seed_given) return options->seed;
	return getrandom(&seed, sizeof seed, 0) == (ssize_t)sizeof seed ? seed : 1;
}
