/* server/protocol/command_words.c: a line in words, and a word as a number. See command_parts.h. */
#include "server/protocol/command_parts.h"

void line_split(struct line *line, const char *bytes, size_t length) {
	const char *at = bytes, *end = bytes + length;
	line->count = 0;
	while (line->count < WORDS_MAX) {
		while (at < end && *at == ' ') at++;
		if (at == end) return;
		const char *begin = at;
		while (at < end && *at != ' ') at++;
		line->word[line->count++] = (struct word){begin, (size_t)(at - begin)};
	}
	struct word *last = &line->word[WORDS_MAX - 1];
	last->length = (size_t)(end - last->bytes);
}

bool word_to_i32(struct word word, int64_t *number) {
	uint64_t value;
	bool is_negative = word.length > 0 && word.bytes[0] == '-';
	if (is_negative) word = (struct word){word.bytes + 1, word.length - 1};
	if (!word_to_u64(word, &value) || value > (uint64_t)INT32_MAX + is_negative) return false;
	*number = is_negative ? -(int64_t)value : (int64_t)value;
	return true;
}
