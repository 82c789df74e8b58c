/* plain.h: text that came from elsewhere, for a terminal. An answer tells paths, addresses and
 * names that others have chosen, and a server may be another than it seems. A terminal takes
 * control characters for commands: it would move, rename, hide or send what it is told to. */
#ifndef SNUGCTL_PLAIN_H
#define SNUGCTL_PLAIN_H

#include <stddef.h>
#include <stdio.h>

/* Control characters, and bytes that are no UTF-8, as \x1b; all else as it is. */
void print_plain(FILE *file, const char *text, size_t length);

#endif
