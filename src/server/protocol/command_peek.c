/* server/protocol/command_peek.c: the key of a command that stands alone, seen without parsing.
 *
 *     get KEY\r\n                  one line: the word behind the first blank
 *     set KEY 0 0 5\r\nhello\r\n   a store: a line, and one more end of line, which is the last byte
 *     get KEY KEY ..               several keys: they are looked up together anyway
 *     get KEY\r\nget KEY ..        and so are several commands
 *
 * It is a guess, at some tens of instructions: who uses it only asks for memory early. What the
 * parser makes of the bytes afterwards is all that counts. */
#include "server/protocol/command.h"

#include "base/bits.h"

#include <string.h>

#define WORD_BYTES_MAX 7u /* replace */
#define LONE_BYTES_MAX 4096u

/* The rarer ones are not worth a look. */
static bool may_store(const char *bytes, size_t word_bytes) {
	return (word_bytes == 3 && (memcmp(bytes, "set", 3) == 0 || memcmp(bytes, "add", 3) == 0)) ||
		   (word_bytes == 2 && memcmp(bytes, "ms", 2) == 0);
}

bool command_peek(const char *bytes, size_t length, const char **key, size_t *key_bytes) {
	if (length > LONE_BYTES_MAX || length < 2 || bytes[length - 1] != '\n') return false;
	const char *last = bytes + length - 1;
	const char *blank = memchr(bytes, ' ', smaller(length, WORD_BYTES_MAX + 1));
	if (blank == NULL) return false;
	const char *line_end = memchr(blank, '\n', (size_t)(last + 1 - blank));
	const char *first = blank + 1;
	const char *end = memchr(first, ' ', (size_t)(line_end - first));
	if (line_end != last &&
		(!may_store(bytes, (size_t)(blank - bytes)) ||
		 memchr(line_end + 1, '\n', (size_t)(last + 1 - (line_end + 1))) != last))
		return false;
	bool has_more = end != NULL;
	if (!has_more) end = line_end[-1] == '\r' ? line_end - 1 : line_end;
	if (has_more && bytes[0] == 'g') return false; /* get, gets of several, gat */
	if (end <= first || end - first > (ptrdiff_t)SNUG_KEY_BYTES_MAX) return false;
	*key = first;
	*key_bytes = (size_t)(end - first);
	return true;
}
