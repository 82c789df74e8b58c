/* server/protocol/base64.c: see server/protocol/base64.h.
 *
 * Strict: four letters at a time, padding at the end alone, and no bits that nobody would read. So
 * a key has one text in base64, and what goes back to the client is what came. */
#include "server/protocol/base64.h"

#include <stdint.h>

/* 0 .. 63; 64: no digit. */
static uint32_t digit(char letter) {
	if (letter >= 'A' && letter <= 'Z') return (uint32_t)(letter - 'A');
	if (letter >= 'a' && letter <= 'z') return (uint32_t)(letter - 'a') + 26;
	if (letter >= '0' && letter <= '9') return (uint32_t)(letter - '0') + 52;
	return letter == '+' ? 62 : letter == '/' ? 63 : 64;
}

bool base64_decode(const char *text, size_t length, char *to, size_t *to_bytes) {
	size_t padding = 0, out = 0;
	if (length == 0 || length % 4 != 0) return false;
	while (padding < 2 && text[length - 1 - padding] == '=') padding++;
	for (size_t at = 0; at < length; at += 4) {
		size_t missing = at + 4 == length ? padding : 0;
		uint32_t bits = 0;
		for (size_t i = 0; i < 4; i++) {
			uint32_t value = i < 4 - missing ? digit(text[at + i]) : 0;
			if (value > 63) return false;
			bits = bits << 6 | value;
		}
		/* bits that nobody would read */
		if (missing > 0 && (bits & ((1u << 8 * missing) - 1)) != 0) return false;
		to[out++] = (char)(bits >> 16);
		if (missing < 2) to[out++] = (char)(bits >> 8);
		if (missing < 1) to[out++] = (char)bits;
	}
	*to_bytes = out;
	return true;
}

void base64_encode(const char *from, size_t length, char *text, size_t *text_bytes) {
	static const char letters[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t out = 0;
	for (size_t at = 0; at < length; at += 3) {
		size_t left = length - at < 3 ? length - at : 3;
		uint32_t bits = 0;
		for (size_t i = 0; i < 3; i++) bits = bits << 8 | (i < left ? (uint8_t)from[at + i] : 0);
		for (size_t i = 0; i < 4; i++)
			text[out++] = i <= left ? letters[bits >> (18 - 6 * i) & 63] : '=';
	}
	*text_bytes = out;
}
