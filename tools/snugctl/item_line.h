/* item_line.h: the lines of a dump that begin an item: what they say, and how they are written.
 *
 *     set KEY FLAGS DATE BYTES [noreply]      ms KEY BYTES b q F.. T..      LARGE KEY FLAGS DATE BYTES [b]
 *
 * What is read is not passed on but written anew. So a server that lies, or a file from a stranger,
 * can bring items, and nothing else: what is behind a line that the next server refuses would be
 * commands to it. */
#ifndef SNUGCTL_ITEM_LINE_H
#define SNUGCTL_ITEM_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ITEM_KEY_ROOM 340u  /* 250 bytes in base64, and a NUL */
#define ITEM_LINE_ROOM 512u /* of any line about one */

struct item_line {
	char key[ITEM_KEY_ROOM];
	bool is_base64;
	uint32_t client_flags;
	uint64_t date_s; /* 0: none */
	uint64_t value_bytes;
};

/* False: it is no such line, or no server would take it as it stands. */
bool item_line_read(const char *text, struct item_line *item);
bool item_line_read_large(const char *text, struct item_line *item);

/* The command that stores it, and the end of its line: its length. `is_quiet`: nothing is answered. */
size_t item_line_write(const struct item_line *item, bool is_quiet, char line[ITEM_LINE_ROOM]);

#endif
