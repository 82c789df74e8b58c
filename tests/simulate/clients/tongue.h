/* simulate/clients/tongue.h: a client's lines as binary packets, and the server's packets as lines.
 *
 *     commands.c --lines--> tongue_say --packets--> server --packets--> tongue_hear --lines--> judge.c
 *
 * So what is said is made, and what is answered judged, by the same code whichever protocol a
 * connection speaks. A list of keys becomes quiet gets and a noop, whose answer is its END. Each
 * packet has a number of its own as its opaque: an answer that is missing, or overtakes another, is
 * seen here.
 *
 * Lines of commands that this protocol has not are not taken: binary clients do not say them. */
#ifndef SIMULATE_TONGUE_H
#define SIMULATE_TONGUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TONGUE_WORDS 640u /* of packets that have no answer yet */

/* A packet that was said. */
struct tongue_word {
	uint32_t number; /* its opaque */
	uint8_t verb;    /* tongue.c's */
	bool is_quiet;   /* a line with noreply: no line answers it */
	bool with_cas;
	bool ends_list; /* END follows its answer */
};

struct tongue_bytes {
	char *bytes;
	size_t length;
	size_t room;
};

struct tongue {
	uint32_t said;  /* packets, and the number of the last one */
	uint32_t first; /* of words that wait, from here on */
	uint32_t count;
	bool list_failed; /* an error was said in place of what is left of the list */
	struct tongue_word word[TONGUE_WORDS];
	struct tongue_bytes packets; /* said and not sent */
	struct tongue_bytes heard;   /* and not whole */
	struct tongue_bytes lines;   /* of what was heard */
};

/* A new connection. */
void tongue_begin(struct tongue *tongue);
/* All lines of `lines`, the last of which may have less value than it says; `packets` has them then. */
void tongue_say(struct tongue *tongue, const char *lines, size_t length);
/* What the server has sent; `lines` gets what is whole. */
void tongue_hear(struct tongue *tongue, const char *bytes, size_t length);

#endif
