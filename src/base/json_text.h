/* base/json_text.h: the one place that says how a value stands in JSON: for the log, for HTTP and
 * for snugctl, which so cannot disagree. Pure; whoever writes has his own way of writing. It is no
 * part of libsnug, which writes no JSON but maps, and those hold no strings. */
#ifndef SNUG_BASE_JSON_TEXT_H
#define SNUG_BASE_JSON_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Whether the text is a number in JSON as it stands, which no reader rounds: with at most 15 digits
 * before the point; a schedule's number, which has more, is a string. Of the forms that JSON
 * allows, those without an exponent, for nothing here writes one. */
bool json_is_number(const char *text, size_t length);

#define JSON_PART_BYTES 8u /* with the NUL */

/* The first character of a text that is not empty, as it stands between the quotes of a JSON
 * string, goes to `out`; how many of the text's bytes that was is returned. UTF-8 passes as it is,
 * but for control characters, which a terminal would obey. A byte that is none, as in a path that
 * somebody chose, becomes U+FFFD: JSON must be UTF-8. */
size_t json_take_part(const char *text, size_t length, char out[JSON_PART_BYTES]);

#endif
