/* base/text.c: see text.h. Doubles its room; after a refusal it takes nothing more, so what is there is always a beginning of the whole. */
#include "base/text.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_ROOM_BYTES 256u

static bool make_room(struct text *text, size_t length) {
	if (text->failed) return false;
	if (text->room - text->length >= length) return true;
	size_t room = text->room == 0 ? FIRST_ROOM_BYTES : text->room;
	while (room - text->length < length) {
		if (room > SIZE_MAX / 2) {
			text->failed = true;
			return false;
		}
		room *= 2;
	}
	char *bytes = realloc(text->bytes, room);
	if (bytes == NULL) {
		text->failed = true;
		return false;
	}
	text->bytes = bytes;
	text->room = room;
	return true;
}

void text_deinit(struct text *text) {
	free(text->bytes);
	*text = (struct text){0};
}

void text_append(struct text *text, const void *bytes, size_t length) {
	if (length == 0 || !make_room(text, length)) return;
	memcpy(text->bytes + text->length, bytes, length);
	text->length += length;
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
