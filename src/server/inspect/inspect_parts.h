/* server/inspect/inspect_parts.h: a walk over the items, part by part, and how a key is told. */
#ifndef SNUG_SERVER_INSPECT_PARTS_H
#define SNUG_SERVER_INSPECT_PARTS_H

#include "cache/shard/shard_find.h"
#include "server/inspect/inspect.h"

/* Said in place of the rest. */
#define WALK_CORRUPT "SERVER_ERROR the index is damaged; snug check tells where"

struct walk {
	struct text text;                   /* what the visitor writes */
	const struct server_worker *worker; /* whose items are walked over */
	uint64_t at_hash;                   /* where it goes on; 0: this worker's are all told */
	size_t part_bytes;                  /* of text, and it is full */
	bool is_full;
	bool is_corrupt;
};

/* Goes on for a part of a slice, until it is full, at the latest to the worker's end. */
void walk_some(struct walk *walk, struct server_worker *worker, shard_visitor visitor,
			   void *context);

/* It can be a word of a line: there are no blanks and control characters in it. */
bool key_is_word(const snug_key *key);
/* As it is, or in base64 if it is no word. */
void walk_say_key(struct text *text, const snug_key *key);

/* As errand_new, for what needs some hundred KiB until it is answered: beside bigkeys and hotkeys of
 * others nobody has one. NULL: `out` says why. */
void *keys_errand_new(struct server *server, size_t bytes, struct text *out);

/* A key, or a part of one, as a word of a STAT line: letters, digits and marks as they are, %XX for blanks,
 * control characters, '%' and what is no ASCII. "": as it is. */
#define WORD_ROOM (3 * SNUG_KEY_BYTES_MAX + 1)
const char *walk_word(const void *bytes, size_t length, char room[WORD_ROOM]);

#endif
