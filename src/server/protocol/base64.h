/* server/protocol/base64.h: keys in base64 (RFC 4648, with padding). Values are bytes. */
#ifndef SNUG_SERVER_BASE64_H
#define SNUG_SERVER_BASE64_H

#include <stdbool.h>
#include <stddef.h>

#define BASE64_BYTES(bytes) (((size_t)(bytes) + 2) / 3 * 4)

/* `to` has room for length / 4 * 3 bytes. False: it is no base64. */
bool base64_decode(const char *text, size_t length, char *to, size_t *to_bytes);

/* `text` has room for (length + 2) / 3 * 4 bytes. */
void base64_encode(const char *from, size_t length, char *text, size_t *text_bytes);

#endif
