/* item_line.c: see item_line.h. */
#include "item_line.h"

#include "base/line_text.h"
#include "base/number_text.h"

#include <stdio.h>
#include <string.h>

#define KEY_BYTES_MAX 250u
/* As the servers take it: what states more is refused there, and its value would be commands. */
#define VALUE_BYTES_MAX ((uint64_t)INT32_MAX - 2)
#define DATE_MAX ((uint64_t)INT32_MAX) /* of ms, and of memcached before 1.6.45 */

static bool take_number(struct word word, uint64_t most, uint64_t *number) {
	uint64_t value;
	if (!number_read(word.bytes, word.length, &value) || value > most) return false;
	*number = value;
	return true;
}

static bool take_flags(struct word word, uint32_t *client_flags) {
	uint64_t value;
	if (!take_number(word, UINT32_MAX, &value)) return false;
	*client_flags = (uint32_t)value;
	return true;
}

/* What is later than can be said is as late as can be. */
static bool take_date(struct word word, uint64_t *date_s) {
	if (!take_number(word, UINT64_MAX, date_s)) return false;
	if (*date_s > DATE_MAX) *date_s = DATE_MAX;
	return true;
}

/* Without control characters: to some server a line may end there. */
static bool take_key(struct word word, struct item_line *item) {
	size_t most = item->is_base64 ? sizeof item->key - 1 : KEY_BYTES_MAX;
	if (word.length > most) return false;
	for (size_t i = 0; i < word.length; i++)
		if ((unsigned char)word.bytes[i] <= ' ' || word.bytes[i] == 0x7F) return false;
	memcpy(item->key, word.bytes, word.length);
	item->key[word.length] = '\0';
	return true;
}

/* KEY FLAGS DATE BYTES, behind the first word. */
static bool take_plain(const struct line *words, struct item_line *item) {
	return take_flags(words->word[2], &item->client_flags) &&
		   take_date(words->word[3], &item->date_s) &&
		   take_number(words->word[4], VALUE_BYTES_MAX, &item->value_bytes) &&
		   take_key(words->word[1], item);
}

/* Of ms. Each once, as the servers want it. */
static bool take_marks(const struct line *words, struct item_line *item) {
	static const char known[] = "bqFT";
	bool seen[sizeof known] = {false};
	for (size_t i = 3; i < words->count; i++) {
		struct word word = words->word[i], token = {word.bytes + 1, word.length - 1};
		const char *mark = strchr(known, word.bytes[0]);
		if (mark == NULL || *mark == '\0' || seen[mark - known]) return false;
		seen[mark - known] = true;
		if (*mark == 'F' && !take_flags(token, &item->client_flags)) return false;
		if (*mark == 'T' && !take_date(token, &item->date_s)) return false;
		if ((*mark == 'b' || *mark == 'q') && token.length > 0) return false;
	}
	item->is_base64 = seen[0];
	return true;
}

bool item_line_read(const char *text, struct item_line *item) {
	struct line words;
	*item = (struct item_line){.is_base64 = false};
	line_split(&words, text, strlen(text));
	if (words.count < 3) return false;
	if (WORD_IS(words.word[0], "ms"))
		return take_number(words.word[2], VALUE_BYTES_MAX, &item->value_bytes) &&
			   take_marks(&words, item) && take_key(words.word[1], item);
	bool is_set = WORD_IS(words.word[0], "set") &&
				  (words.count == 5 || (words.count == 6 && WORD_IS(words.word[5], "noreply")));
	return is_set && take_plain(&words, item);
}

bool item_line_read_large(const char *text, struct item_line *item) {
	struct line words;
	*item = (struct item_line){.is_base64 = false};
	line_split(&words, text, strlen(text));
	item->is_base64 = words.count == 6 && WORD_IS(words.word[5], "b");
	return (words.count == 5 || item->is_base64) && WORD_IS(words.word[0], "LARGE") &&
		   take_plain(&words, item);
}

size_t item_line_write(const struct item_line *item, bool is_quiet, char line[ITEM_LINE_ROOM]) {
	unsigned long long date_s = item->date_s < DATE_MAX ? item->date_s : DATE_MAX;
	unsigned long long bytes = item->value_bytes;
	int length = item->is_base64
					 ? snprintf(line, ITEM_LINE_ROOM, "ms %s %llu b%s F%u T%llu\r\n", item->key,
								bytes, is_quiet ? " q" : "", item->client_flags, date_s)
					 : snprintf(line, ITEM_LINE_ROOM, "set %s %u %llu %llu%s\r\n", item->key,
								item->client_flags, date_s, bytes, is_quiet ? " noreply" : "");
	return (size_t)length;
}
