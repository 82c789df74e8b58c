/* base/json_text.c: numbers and strings as JSON has them.
 *
 *     in the text                        in the JSON string
 *     a quote, a backslash               behind a backslash
 *     control characters, U+0080-9F too  \u and four digits: a terminal would obey them
 *     UTF-8                              as it is
 *     a byte that is no UTF-8            U+FFFD, one for each byte
 *
 * A number is one that each reader has as it stands: 15 digits before the point at most, of which a
 * double holds every one, no leading zero, no exponent. What has more digits is written as a
 * string. */
#include "base/json_text.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define EXACT_DIGITS_MAX 15u /* of which a double holds every number */

static size_t count_digits(const char *text, size_t length) {
	size_t count = 0;
	while (count < length && text[count] >= '0' && text[count] <= '9') count++;
	return count;
}

bool json_is_number(const char *text, size_t length) {
	if (length > 0 && *text == '-') {
		text++;
		length--;
	}
	size_t whole = count_digits(text, length);
	if (whole == 0 || whole > EXACT_DIGITS_MAX || (whole > 1 && text[0] == '0')) return false;
	if (whole == length) return true;
	size_t rest = length - whole - 1;
	return text[whole] == '.' && rest > 0 && count_digits(text + whole + 1, rest) == rest;
}

/* The length of the character of UTF-8 that begins here, beyond ASCII; 0: there is none. The second
 * byte's bounds leave out overlong forms, surrogates and what is beyond U+10FFFF (Unicode, table
 * 3-7). */
static size_t utf8_length(const uint8_t *text, size_t length) {
	uint8_t first = text[0];
	size_t wanted = first >= 0xC2 && first <= 0xDF   ? 2
					: first >= 0xE0 && first <= 0xEF ? 3
					: first >= 0xF0 && first <= 0xF4 ? 4
													 : 0;
	if (wanted == 0 || length < wanted) return 0;
	uint8_t least = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
	uint8_t most = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
	if (text[1] < least || text[1] > most) return 0;
	for (size_t i = 2; i < wanted; i++)
		if ((text[i] & 0xC0) != 0x80) return 0;
	return wanted;
}

size_t json_take_part(const char *text, size_t length, char out[JSON_PART_BYTES]) {
	uint8_t first = (uint8_t)*text;
	if (first == '"' || first == '\\') {
		(void)snprintf(out, JSON_PART_BYTES, "\\%c", first);
		return 1;
	}
	if (first < 0x20 || first == 0x7F) {
		(void)snprintf(out, JSON_PART_BYTES, "\\u%04x", first);
		return 1;
	}
	size_t taken = first < 0x80 ? 1 : utf8_length((const uint8_t *)text, length);
	if (first == 0xC2 && taken == 2 && (uint8_t)text[1] < 0xA0) { /* U+0080 to U+009F */
		(void)snprintf(out, JSON_PART_BYTES, "\\u%04x", (uint8_t)text[1]);
		return 2;
	}
	if (taken == 0) {
		(void)snprintf(out, JSON_PART_BYTES, "\\ufffd");
		return 1;
	}
	memcpy(out, text, taken);
	out[taken] = '\0';
	return taken;
}
