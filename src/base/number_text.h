/* base/number_text.h: the one place that says how a number is written: as digits, as a size, as a
 * time, as a share. The protocol, the command lines, the config file, the operator's commands and
 * the tools read numbers here and nowhere else, so that "64k" is the same everywhere.
 *
 *     number    12                 digits alone: no sign, no blank
 *     size      12  1.5g  64KiB    k, m, g or t, large or small, perhaps with B or iB behind:
 *                                  binary multiples; b: bytes
 *     time      12  1.5h  500ms    ns, us, ms, s, m (minutes), h or d
 *     share     12  0.25  3%       per cent
 *
 * A number without a unit counts in the unit that the reader names. What is less than the smallest
 * step (a byte, a nanosecond, a millionth) is cut off; a fraction of bytes that bear no unit is
 * refused. All are pure and read no further than `length`. A text that is not wholly what it should
 * be, and a number that does not fit, is false; nothing is written then. What is hot is inline. It
 * is no part of libsnug's own interface. */
#ifndef SNUG_BASE_NUMBER_TEXT_H
#define SNUG_BASE_NUMBER_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NUMBER_DIGITS_MAX 20u        /* of 64 bits */
#define NUMBER_SAFE_DIGITS 16u       /* fit 64 bits, whatever the base */
#define NUMBER_SIZE_END (1ull << 62) /* sizes are below: two of them can be added */
#define NUMBER_PPM_PER_CENT 10000u

#define NUMBER_KIB (1ull << 10)
#define NUMBER_MIB (1ull << 20)
#define NUMBER_SECOND_NS 1000000000ull

/* Digits of `base`, at most 16, at the beginning of the text: how many. 0: there is none, or the
 * number does not fit. */
static inline size_t number_scan(const char *text, size_t length, unsigned base, uint64_t *out) {
	uint64_t value = 0;
	size_t at = 0;
	for (; at < length; at++) {
		uint64_t digit = (uint64_t)(unsigned char)text[at] - '0';
		if (base > 10 && digit > 9) {
			digit = (uint64_t)((unsigned char)text[at] | 0x20) - 'a';
			digit = digit < 6 ? digit + 10 : base;
		}
		if (digit >= base) break;
		if (at >= NUMBER_SAFE_DIGITS && value > (UINT64_MAX - digit) / base) return 0;
		value = value * base + digit;
	}
	if (at > 0) *out = value;
	return at;
}

static inline bool number_read(const char *text, size_t length, uint64_t *out) {
	uint64_t value;
	if (length == 0 || number_scan(text, length, 10, &value) != length) return false;
	*out = value;
	return true;
}

/* What stands at the beginning of a text that ends with a NUL; 0: no number. Of what a program
 * wrote, and nobody typed. */
static inline uint64_t number_leading(const char *text) {
	uint64_t number = 0;
	size_t length = 0;
	while (text[length] >= '0' && text[length] <= '9') length++;
	(void)number_scan(text, length, 10, &number);
	return number;
}

/* The digits of a number, without a NUL: how many. */
static inline size_t number_write(uint64_t number, char text[NUMBER_DIGITS_MAX]) {
	size_t length = 1;
	for (uint64_t bound = 10; length < NUMBER_DIGITS_MAX && number >= bound; bound *= 10) length++;
	for (size_t at = length; at-- > 0; number /= 10) text[at] = (char)('0' + number % 10);
	return length;
}

/* A bare number counts `bare_bytes`: 1, NUMBER_KIB, NUMBER_MIB. */
bool number_read_size(const char *text, size_t length, uint64_t bare_bytes, uint64_t *bytes);
/* A bare number counts `bare_ns`. */
bool number_read_time(const char *text, size_t length, uint64_t bare_ns, uint64_t *ns);
/* The same, of whole seconds: that is what a bare number counts, and a fraction of one is
 * refused. */
bool number_read_seconds(const char *text, size_t length, uint64_t *seconds);
/* As people read it: "17 B", "3.42 MiB", "256.0 MiB". */
#define NUMBER_SIZE_ROOM 24u
struct number_size {
	char text[NUMBER_SIZE_ROOM];
};
struct number_size number_size(uint64_t bytes);
/* Per cent, in millionths of the whole. */
bool number_read_share(const char *text, size_t length, uint64_t *ppm);

#endif
