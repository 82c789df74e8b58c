/* base/text.c: how a text grows, and what it is charged.
 *
 * After a refusal a text takes nothing more, so what is there is always a beginning of the whole.
 *
 * Room doubles while it is small. A large text grows by an eighth: its block has pages of its own,
 * which realloc moves without copying, and what is charged stays near what is used. So appending is
 * O(1) on average, and a text of n bytes is charged at most 2 n, or n and an eighth from 64 KiB on.
 *
 * An account is shared by any number of texts in any thread: one compare-and-swap each time that a
 * text's room grows, and none for what fits. */
#include "base/text.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_ROOM_BYTES 256u
#define DOUBLED_ROOM_MAX 65536u

/* ------------------------------------------------------------------ the account ------------ */

static bool charge(struct text_account *account, size_t bytes) {
	if (account == NULL) return true;
	size_t used = atomic_load_explicit(&account->used_bytes, memory_order_relaxed);
	do {
		if (used > account->limit_bytes || bytes > account->limit_bytes - used) return false;
	} while (!atomic_compare_exchange_weak_explicit(&account->used_bytes, &used, used + bytes,
													memory_order_relaxed, memory_order_relaxed));
	return true;
}

static void discharge(struct text_account *account, size_t bytes) {
	if (account != NULL)
		(void)atomic_fetch_sub_explicit(&account->used_bytes, bytes, memory_order_relaxed);
}

/* ------------------------------------------------------------------ room ------------------- */

/* 0: there is no such number. */
static size_t next_room(const struct text *text, size_t length) {
	size_t room = text->room == 0 ? FIRST_ROOM_BYTES : text->room;
	while (room - text->length < length) {
		size_t more = room < DOUBLED_ROOM_MAX ? room : room / 8;
		if (room > SIZE_MAX - more) return 0;
		room += more;
	}
	return room;
}

static bool make_room(struct text *text, size_t length) {
	if (text->failed) return false;
	if (text->room - text->length >= length) return true;
	size_t room = next_room(text, length);
	bool is_charged = room > 0 && charge(text->account, room - text->room);
	char *bytes = is_charged ? realloc(text->bytes, room) : NULL;
	if (bytes == NULL) {
		if (is_charged) discharge(text->account, room - text->room);
		text->failed = true;
		return false;
	}
	text->bytes = bytes;
	text->room = room;
	return true;
}

void text_deinit(struct text *text) {
	free(text->bytes);
	discharge(text->account, text->room);
	*text = (struct text){.account = text->account};
}

void text_append(struct text *text, const void *bytes, size_t length) {
	if (length == 0 || !make_room(text, length)) return;
	memcpy(text->bytes + text->length, bytes, length);
	text->length += length;
}

char *text_extend(struct text *text, size_t length) {
	if (!make_room(text, length)) return NULL;
	text->length += length;
	return text->bytes + (text->length - length);
}

void text_print(struct text *text, const char *format, ...) {
	va_list arguments;
	va_start(arguments, format);
	va_list again;
	va_copy(again, arguments);
	int length = vsnprintf(NULL, 0, format, arguments);
	va_end(arguments);
	/* One more for the NUL that vsnprintf writes; it is no part of the text. */
	if (length > 0 && make_room(text, (size_t)length + 1)) {
		(void)vsnprintf(text->bytes + text->length, (size_t)length + 1, format, again);
		text->length += (size_t)length;
	}
	va_end(again);
}
