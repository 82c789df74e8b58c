/* example_owner.c: a heap that keeps no handles. The program has its own index, and is told when an
 * object moves.
 *
 * The index is a plain array: the word with number n is at words[n]. Each object begins with its
 * number, so `moved` finds the entry that must change without any search, and an object costs no
 * handle and no header of the library. Valid C and C++. */
#include <snug/snug.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS 5000

struct word {
	uint32_t number; /* the key: which entry of the index names it */
	char text[28];
};

struct word_index {
	snug_heap *heap;
	snug_ref words[WORDS];
};

static void require(snug_error error, const char *what) {
	if (error != SNUG_OK) {
		fprintf(stderr, "%s: %s\n", what, snug_error_text(error));
		exit(1);
	}
}

/* Runs inside the call that moves; the bytes are already at `to`. */
static void word_moved(void *context, snug_ref from, snug_ref to, size_t size) {
	struct word_index *index = (struct word_index *)context;
	struct word word;
	(void)from;
	(void)size;
	memcpy(&word, snug_ref_at(index->heap, to), sizeof word); /* a copy: bytes of any alignment */
	index->words[word.number] = to;
}

static void add_word(struct word_index *index, uint32_t number) {
	struct word word = {number, ""};
	snprintf(word.text, sizeof word.text, "word %" PRIu32, number);
	require(snug_ref_alloc(index->heap, sizeof word, &index->words[number]), "alloc");
	require(snug_ref_write(index->heap, index->words[number], sizeof word, 0, &word, sizeof word),
			"write");
}

int main(void) {
	static struct word_index index;
	snug_heap_options options = snug_heap_options_default();
	options.limit_bytes = 1 << 20;
	options.owner.moved = word_moved;
	options.owner.context = &index;
	options.no_last_resort = true; /* a word's first bytes, read in word_moved, lie together */
	require(snug_heap_create(&options, &index.heap), "create");
	for (uint32_t i = 0; i < WORDS; i++) {
		add_word(&index, i);
	}
	for (uint32_t i = 0; i < WORDS; i++) {
		if (i % 3 != 0) {
			require(snug_ref_free(index.heap, index.words[i], sizeof(struct word)), "free");
		}
	}
	snug_report report;
	require(snug_defragment(index.heap, NULL, &report), "defragment");
	printf("%" PRIu64 " words moved, %" PRIu64 " bytes reclaimed\n", report.moved_objects,
		   report.reclaimed_bytes);
	for (uint32_t i = 0; i < WORDS; i += 3) {
		struct word word;
		memcpy(&word, snug_ref_at(index.heap, index.words[i]), sizeof word);
		if (word.number != i) {
			return 1;
		}
	}
	require(snug_heap_destroy(index.heap), "destroy");
	return report.moved_objects > 0 ? 0 : 1;
}
