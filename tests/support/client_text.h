/* client_text.h: what a client of two_workers.h says and has heard, for cmocka tests. */
#ifndef SNUG_TEST_CLIENT_TEXT_H
#define SNUG_TEST_CLIENT_TEXT_H

#include "support/two_workers.h"
#include "unit/cmocka_all.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A text that grows. Ended by a NUL that is not counted. */
struct words {
	char *bytes;
	size_t length;
	size_t room;
};

static inline void words_append(struct words *words, const char *bytes, size_t length) {
	if (words->length + length + 1 > words->room) {
		words->room = 2 * (words->length + length + 1);
		words->bytes = realloc(words->bytes, words->room);
		assert_non_null(words->bytes);
	}
	memcpy(words->bytes + words->length, bytes, length);
	words->length += length;
	words->bytes[words->length] = '\0';
}

__attribute__((format(printf, 2, 3))) static inline void words_print(struct words *words,
																	 const char *format, ...) {
	char text[512];
	va_list arguments;
	va_start(arguments, format);
	int length = vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	assert_true(length >= 0 && (size_t)length < sizeof text);
	words_append(words, text, (size_t)length);
}

/* A value that shows where each of its bytes belongs. */
static inline void words_value(struct words *words, size_t bytes, uint32_t seed) {
	for (size_t at = 0; at < bytes; at++) {
		char byte = (char)('a' + (at * 7 + at / 251 + seed) % 26);
		words_append(words, &byte, 1);
	}
}

static inline void words_clear(struct words *words) {
	free(words->bytes);
	*words = (struct words){0};
}

static inline void say(uint32_t client, const char *text) {
	fake_send(client, text, strlen(text));
}

static inline size_t heard_bytes(uint32_t client) {
	const struct byte_queue *answers = &fake_socket(client)->answers;
	return answers->end - answers->begin;
}

/* He has heard just that, and takes it. */
static inline void expect_bytes(uint32_t client, const char *bytes, size_t length) {
	struct byte_queue *answers = &fake_socket(client)->answers;
	const char *heard = answers->bytes == NULL ? "" : answers->bytes + answers->begin;
	size_t there = heard_bytes(client), at = 0;
	while (at < there && at < length && heard[at] == bytes[at]) at++;
	if (at < length || at < there) {
		int heard_shown = there - at < 200 ? (int)(there - at) : 200;
		int asked_shown = length - at < 200 ? (int)(length - at) : 200;
		fail_msg("client %u at byte %zu of %zu: heard %zu bytes: '%.*s', not '%.*s'", client, at,
				 length, there, heard_shown, heard + at, asked_shown, bytes + at);
	}
	answers->begin = answers->end;
}

static inline void expect(uint32_t client, const char *text) {
	expect_bytes(client, text, strlen(text));
}

#endif
