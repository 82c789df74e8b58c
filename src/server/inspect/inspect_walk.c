/* server/inspect/inspect_walk.c: a slice of a walk over one worker's items. See
 * server/inspect/inspect_parts.h. */
#include "os/threads.h"
#include "server/inspect/inspect_parts.h"
#include "server/protocol/base64.h"
#include "server/protocol/protocol.h"

#define STEP_NS UINT64_C(100000)

void walk_some(struct walk *walk, struct server_worker *worker, shard_visitor visitor,
			   void *context) {
	uint64_t until_ns = os_now_ns() + STEP_NS;
	walk->worker = worker;
	do {
		if (shard_walk(worker->shard, walk->at_hash, &walk->at_hash, visitor, context) != SNUG_OK) {
			walk->is_corrupt = true;
			return;
		}
		walk->is_full = walk->text.length >= walk->part_bytes || walk->text.failed;
	} while (walk->at_hash != 0 && !walk->is_full && os_now_ns() < until_ns);
}

/* Blanks and control characters end a word. */
bool key_is_word(const snug_key *key) {
	const unsigned char *bytes = key->bytes;
	for (size_t i = 0; i < key->length; i++)
		if (bytes[i] <= ' ' || bytes[i] == 0x7F) return false;
	return true;
}

void walk_say_key(struct text *text, const snug_key *key) {
	char shown[SHOWN_KEY_BYTES_MAX];
	size_t shown_bytes;
	if (key_is_word(key)) {
		text_append(text, key->bytes, key->length);
		return;
	}
	base64_encode(key->bytes, key->length, shown, &shown_bytes);
	text_append(text, shown, shown_bytes);
}

static void keys_destroy(struct errand *errand) {
	atomic_store_explicit(&errand->server->is_walked, false, memory_order_release);
	errand_free(errand);
}

void *keys_errand_new(struct server *server, size_t bytes, struct text *out) {
	if (atomic_exchange_explicit(&server->is_walked, true, memory_order_acquire)) {
		text_say(out, "SERVER_ERROR the keys are being looked at for somebody else: try again");
		return NULL;
	}
	struct errand *errand = errand_new(server, bytes, out);
	if (errand == NULL)
		atomic_store_explicit(&server->is_walked, false, memory_order_release);
	else
		errand->destroy = keys_destroy;
	return errand;
}

const char *walk_word(const void *bytes, size_t length, char room[WORD_ROOM]) {
	static const char digits[] = "0123456789ABCDEF";
	const unsigned char *from = bytes;
	char *to = room;
	for (size_t i = 0; i < length && i < SNUG_KEY_BYTES_MAX; i++) {
		if (from[i] > ' ' && from[i] < 0x7F && from[i] != '%') {
			*to++ = (char)from[i];
			continue;
		}
		*to++ = '%';
		*to++ = digits[from[i] >> 4];
		*to++ = digits[from[i] & 15];
	}
	*to = '\0';
	return room;
}
