/* server/protocol/command_words.c: a word as a number with a sign. See command_parts.h. */
#include "server/protocol/command_parts.h"

bool word_to_i32(struct word word, int64_t *number) {
	uint64_t value;
	bool is_negative = word.length > 0 && word.bytes[0] == '-';
	if (is_negative) word = (struct word){word.bytes + 1, word.length - 1};
	if (!word_to_u64(word, &value) || value > (uint64_t)INT32_MAX + is_negative) return false;
	*number = is_negative ? -(int64_t)value : (int64_t)value;
	return true;
}
