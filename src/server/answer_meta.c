/* server/answer_meta.c: answers to meta commands: a code of two letters, what the flags asked for in the order in which they were given, and
 * what the client must know beside: W (it is his to make the item anew), X (stale), Z (somebody else was told to).
 *
 * q leaves out the answer that says that all went as it usually does: HD, and for mg EN. */
#include "server/answer_parts.h"

#include <string.h>

/* ------------------------------------------------------------------ flags ------------------ */

static char *put_ttl(char *at, int64_t ttl_s) {
	if (ttl_s < 0) return put_bytes(at, "-1", 2);
	return put_u64(at, (uint64_t)ttl_s);
}

/* One flag's answer. `found`: there is an item to tell of; else only what was said is repeated. */
static char *put_flag(const struct command *command, char *at, const char *flag, size_t length, bool found) {
	const struct operation *operation = &command->operation;
	char letter = flag[0];
	if (letter == 'O') {
		*at++ = ' ';
		return put_bytes(at, flag, length);
	}
	if (letter == 'k') {
		at = put_bytes(at, " k", 2);
		at = put_bytes(at, command->shown_key, command->shown_key_bytes);
		return command->is_base64 ? put_bytes(at, " b", 2) : at;
	}
	if (!found || strchr("cfhlst", letter) == NULL) return at;
	if (command->answer == ANSWER_META_STORE && letter != 'c' && letter != 's') return at;
	if (command->answer == ANSWER_META_NUMBER && letter != 'c' && letter != 't') return at;
	if (command->answer == ANSWER_META_DELETE) return at;
	*at++ = ' ';
	*at++ = letter;
	switch (letter) {
	case 'c':
		return put_u64(at, operation->cas);
	case 'f':
		return put_u64(at, operation->item.attributes.client_flags);
	case 'h':
		*at++ = operation->item.was_fetched ? '1' : '0';
		return at;
	case 'l':
		return put_u64(at, operation->item.idle_s);
	case 's':
		return put_u64(at, operation->item.value_bytes);
	default:
		return put_ttl(at, operation->ttl_s);
	}
}

static char *put_flags(const struct command *command, char *at, bool found) {
	if (command->flags_bytes == 0) return at;
	const char *flag = command->flags, *end = flag + command->flags_bytes;
	while (flag < end) {
		const char *blank = memchr(flag, ' ', (size_t)(end - flag));
		const char *flag_end = blank == NULL ? end : blank;
		if (flag_end > flag) at = put_flag(command, at, flag, (size_t)(flag_end - flag), found);
		flag = flag_end + 1;
	}
	return at;
}

static char *put_marks(const struct command *command, char *at) {
	uint8_t marks = command->operation.marks;
	if (marks & OPERATION_WON_BEFORE) at = put_bytes(at, " Z", 2);
	if (marks & OPERATION_STALE) at = put_bytes(at, " X", 2);
	if (marks & OPERATION_WON) at = put_bytes(at, " W", 2);
	return at;
}

/* ------------------------------------------------------------------ forms ------------------ */

static size_t coded(const struct command *command, char *text, const char *code, bool found) {
	char *at = put_flags(command, put_bytes(text, code, 2), found);
	at = put_bytes(at, "\r\n", 2);
	return (size_t)(at - text);
}

static size_t meta_get(const struct command *command, char *text, bool *has_value) {
	const struct operation *operation = &command->operation;
	if (operation->status == STATUS_NOT_FOUND) return command->is_quiet ? 0 : coded(command, text, "EN", false);
	if (operation->status != STATUS_FOUND) return answer_words(command, text);
	*has_value = command->wants_value && (operation->marks & OPERATION_CAS_MATCHES) == 0;
	char *at = text;
	if (*has_value) {
		at = put_bytes(at, "VA ", 3);
		at = put_u64(at, operation->item.value_bytes);
	} else {
		at = put_bytes(at, "HD", 2);
	}
	at = put_marks(command, put_flags(command, at, true));
	at = put_bytes(at, "\r\n", 2);
	return (size_t)(at - text);
}

static size_t number_value(const struct command *command, char *text) {
	char digits[20];
	size_t length = (size_t)(put_u64(digits, command->operation.number) - digits);
	char *at = put_bytes(text, "VA ", 3);
	at = put_u64(at, length);
	at = put_flags(command, at, true);
	at = put_bytes(at, "\r\n", 2);
	at = put_bytes(at, digits, length);
	at = put_bytes(at, "\r\n", 2);
	return (size_t)(at - text);
}

/* ms, md, ma */
static size_t meta_change(const struct command *command, char *text) {
	switch ((enum operation_status)command->operation.status) {
	case STATUS_STORED:
	case STATUS_DONE:
		if (command->is_quiet) return 0;
		if (command->answer == ANSWER_META_NUMBER && command->wants_value) return number_value(command, text);
		return coded(command, text, "HD", true);
	case STATUS_NOT_FOUND:
		return coded(command, text, "NF", false);
	case STATUS_NOT_STORED:
		return coded(command, text, "NS", false);
	case STATUS_EXISTS:
		return coded(command, text, "EX", false);
	default:
		return answer_words(command, text);
	}
}

/* What there is to know of an item, in the words of memcached. */
static size_t meta_debug(const struct command *command, char *text) {
	const struct operation *operation = &command->operation;
	const snug_item *item = &operation->item;
	if (operation->status != STATUS_FOUND) return (size_t)(put_bytes(text, "EN\r\n", 4) - text);
	char *at = put_bytes(text, "ME ", 3);
	at = put_bytes(at, command->shown_key, command->shown_key_bytes);
	at = put_ttl(put_bytes(at, " exp=", 5), operation->ttl_s);
	at = put_u64(put_bytes(at, " la=", 4), item->idle_s);
	at = put_u64(put_bytes(at, " cas=", 5), operation->cas);
	at = put_bytes(at, item->was_fetched ? " fetch=yes" : " fetch=no", item->was_fetched ? 10 : 9);
	at = put_bytes(at, " cls=1 size=", 12);
	at = put_u64(at, item->item_bytes);
	at = put_bytes(at, "\r\n", 2);
	return (size_t)(at - text);
}

size_t answer_meta(const struct command *command, char *text, bool *has_value) {
	switch ((enum answer_form)command->answer) {
	case ANSWER_META_GET:
		return meta_get(command, text, has_value);
	case ANSWER_META_DEBUG:
		return meta_debug(command, text);
	default:
		return meta_change(command, text);
	}
}
