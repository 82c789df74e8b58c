/* server/protocol/answer_meta.c: heads of answers to meta commands: a code of two letters, what the
 * flags asked for in the order in which they were given, and what the client must know beside.
 *
 *     code   mg     VA with a value, HD without; EN: nothing there
 *            ms     HD; NS: not stored; EX: another CAS number; NF: nothing to compare with
 *            md     HD; NF; EX
 *            ma     HD, or VA with the number; NF; EX
 *            me     ME key exp= la= cas= fetch= cls= size=; EN
 *     marks  W      it is the client's to make the item anew
 *            X      the item is stale
 *            Z      somebody else was told W
 *
 * q leaves out the answer that says that all went as it usually does: HD, and for mg EN. A row of
 * mg with q and an mn behind them is answered with what is there and MN.
 *
 * A flag is answered if there is something to tell. Of what was not found O and k alone repeat what
 * was said; after a store there are c and s besides, after arithmetic c and t. */
#include "server/protocol/answer_parts.h"

/* ------------------------------------------------------------------ flags ------------------ */

static char *put_ttl(char *at, int64_t ttl_s) {
	if (ttl_s < 0) return put_bytes(at, "-1", 2);
	return put_u64(at, (uint64_t)ttl_s);
}

/* One flag's answer. `found`: there is an item to tell of; else only what was said is repeated. */
static char *put_flag(const struct reply *reply, const struct operation *operation, char *at,
					  char letter, bool found) {
	if (letter == 'O') {
		*at++ = ' ';
		return put_bytes(at, reply->opaque, reply->opaque_bytes);
	}
	if (letter == 'k') {
		at = put_bytes(at, " k", 2);
		at = put_bytes(at, reply->shown_key, reply->shown_key_bytes);
		return reply->is_base64 ? put_bytes(at, " b", 2) : at;
	}
	/* Where nothing was stored the number is 0, as in memcached. */
	if (!found && letter == 'c' && reply->form == ANSWER_META_STORE) return put_bytes(at, " c0", 3);
	if (!found) return at;
	if (reply->form == ANSWER_META_STORE && letter != 'c' && letter != 's') return at;
	if (reply->form == ANSWER_META_NUMBER && letter != 'c' && letter != 't') return at;
	if (reply->form == ANSWER_META_DELETE) return at;
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

static char *put_flags(const struct reply *reply, const struct operation *operation, char *at,
					   bool found) {
	for (uint32_t i = 0; i < reply->flag_count; i++)
		at = put_flag(reply, operation, at, reply->flag[i], found);
	return at;
}

static char *put_marks(const struct operation *operation, char *at) {
	uint8_t marks = operation->marks;
	if (marks & OPERATION_WON_BEFORE) at = put_bytes(at, " Z", 2);
	if (marks & OPERATION_STALE) at = put_bytes(at, " X", 2);
	if (marks & OPERATION_WON) at = put_bytes(at, " W", 2);
	return at;
}

/* ------------------------------------------------------------------ forms ------------------ */

static size_t coded(const struct reply *reply, const struct operation *operation, char *text,
					const char *code, bool found) {
	char *at = put_flags(reply, operation, put_bytes(text, code, 2), found);
	at = put_bytes(at, "\r\n", 2);
	return (size_t)(at - text);
}

static size_t meta_get(const struct reply *reply, const struct operation *operation, char *text,
					   bool *has_value) {
	if (operation->status == STATUS_NOT_FOUND)
		return reply->is_quiet ? 0 : coded(reply, operation, text, "EN", false);
	if (operation->status != STATUS_FOUND) return answer_words(operation, text);
	*has_value = reply->wants_value && (operation->marks & OPERATION_CAS_MATCHES) == 0;
	char *at = text;
	if (*has_value) {
		at = put_bytes(at, "VA ", 3);
		at = put_u64(at, operation->item.value_bytes);
	} else {
		at = put_bytes(at, "HD", 2);
	}
	at = put_marks(operation, put_flags(reply, operation, at, true));
	at = put_bytes(at, "\r\n", 2);
	return (size_t)(at - text);
}

static size_t number_value(const struct reply *reply, const struct operation *operation,
						   char *text) {
	char digits[20];
	size_t length = (size_t)(put_u64(digits, operation->number) - digits);
	char *at = put_bytes(text, "VA ", 3);
	at = put_u64(at, length);
	at = put_flags(reply, operation, at, true);
	at = put_bytes(at, "\r\n", 2);
	at = put_bytes(at, digits, length);
	at = put_bytes(at, "\r\n", 2);
	return (size_t)(at - text);
}

/* ms, md, ma */
static size_t meta_change(const struct reply *reply, const struct operation *operation,
						  char *text) {
	switch ((enum operation_status)operation->status) {
	case STATUS_STORED:
	case STATUS_DONE:
		if (reply->is_quiet) return 0;
		if (reply->form == ANSWER_META_NUMBER && reply->wants_value)
			return number_value(reply, operation, text);
		return coded(reply, operation, text, "HD", true);
	case STATUS_NOT_FOUND:
		return coded(reply, operation, text, "NF", false);
	case STATUS_NOT_STORED:
		return coded(reply, operation, text, "NS", false);
	case STATUS_EXISTS:
		return coded(reply, operation, text, "EX", false);
	default:
		return answer_words(operation, text);
	}
}

/* What there is to know of an item, in the words of memcached. */
static size_t meta_debug(const struct reply *reply, const struct operation *operation, char *text) {
	const snug_item *item = &operation->item;
	if (operation->status != STATUS_FOUND) return (size_t)(put_bytes(text, "EN\r\n", 4) - text);
	char *at = put_bytes(text, "ME ", 3);
	at = put_bytes(at, reply->shown_key, reply->shown_key_bytes);
	at = put_ttl(put_bytes(at, " exp=", 5), operation->ttl_s);
	at = put_u64(put_bytes(at, " la=", 4), item->idle_s);
	at = put_u64(put_bytes(at, " cas=", 5), operation->cas);
	at = put_bytes(at, item->was_fetched ? " fetch=yes" : " fetch=no", item->was_fetched ? 10 : 9);
	at = put_bytes(at, " cls=1 size=", 12);
	at = put_u64(at, item->item_bytes);
	at = put_bytes(at, "\r\n", 2);
	return (size_t)(at - text);
}

size_t answer_meta(const struct reply *reply, const struct operation *operation, char *text,
				   bool *has_value) {
	switch ((enum answer_form)reply->form) {
	case ANSWER_META_GET:
		return meta_get(reply, operation, text, has_value);
	case ANSWER_META_DEBUG:
		return meta_debug(reply, operation, text);
	default:
		return meta_change(reply, operation, text);
	}
}
