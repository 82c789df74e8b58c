/* simulate/clients/judge.c: answers against the model: see simulate/clients/simulated_client.h.
 *
 * Commands without an answer are judged when the answer behind them has come: then they were
 * carried out. A quiet meta command has an answer if its opaque number comes next: a get's hit, a
 * delete's miss. */
#include "simulate/clients/simulated_client.h"
#include "simulate/world/world.h"

#include <stdio.h>
#include <string.h>

struct line {
	const char *bytes;
	size_t length; /* its end left out */
};

/* What is judged now. */
struct judged {
	struct client *client;
	struct asked *asked;
	struct line line;
	struct span when;
};

/* ------------------------------------------------------------------ lines ------------------ */

static bool next_line(const struct client *client, size_t from, struct line *out) {
	for (size_t at = from; at + 1 < client->in_bytes; at++)
		if (client->in[at] == '\r' && client->in[at + 1] == '\n') {
			*out = (struct line){client->in + from, at - from};
			return true;
		}
	return false;
}

static bool begins(const struct line *line, const char *with) {
	return line->length >= strlen(with) && memcmp(line->bytes, with, strlen(with)) == 0;
}

static bool is_line(const struct line *line, const char *text) {
	return line->length == strlen(text) && begins(line, text);
}

static bool is_error(const struct line *line) {
	return begins(line, "ERROR") || begins(line, "CLIENT_ERROR ") || begins(line, "SERVER_ERROR ");
}

static const struct rules *rules_of(const struct judged *judged) {
	return &judged->client->run->rules;
}

__attribute__((noreturn)) static void fail(const struct judged *judged, const char *why) {
	int shown = judged->line.length < 120 ? (int)judged->line.length : 120;
	world_fail("client %u: %s: asked \"%s\", answered \"%.*s\"", judged->client->index, why,
			   judged->asked->line, shown, judged->line.bytes);
}

static uint64_t number_at(const char *bytes, size_t length, size_t *used) {
	uint64_t number = 0;
	size_t at = 0;
	for (; at < length && bytes[at] >= '0' && bytes[at] <= '9'; at++)
		number = number * 10 + (uint64_t)(bytes[at] - '0');
	*used = at;
	return number;
}

static void take(struct client *client, size_t bytes) {
	for (size_t i = 0; i < bytes; i++)
		client->run->trace =
			(client->run->trace ^ (unsigned char)client->in[i]) * UINT64_C(1099511628211);
	client->run->trace ^= world_now_ns();
	client->in_bytes -= bytes;
	memmove(client->in, client->in + bytes, client->in_bytes);
}

static bool take_line(const struct judged *judged) {
	take(judged->client, judged->line.length + 2);
	return true;
}

/* ------------------------------------------------------------------ what stores may say ---- */

enum outcome { STORED, NOT_STORED, EXISTS, NOT_FOUND, REFUSED };

static enum outcome outcome_of(const struct judged *judged) {
	static const char *const words[] = {"STORED", "NOT_STORED", "EXISTS", "NOT_FOUND"};
	static const char *const codes[] = {"HD", "NS", "EX", "NF"};
	const struct line *line = &judged->line;
	for (enum outcome outcome = STORED; outcome < REFUSED; outcome++)
		if (judged->asked->is_meta ? begins(line, codes[outcome]) : is_line(line, words[outcome]))
			return outcome;
	if (!begins(line, "SERVER_ERROR ") || !rules_of(judged)->is_full)
		fail(judged, "no answer to a store");
	return REFUSED;
}

static enum outcome outcome_if_there(const struct asked *asked) {
	switch (asked->mode) {
	case MODE_ADD:
		return NOT_STORED;
	case MODE_CAS:
		return asked->token == asked->key[0].own->cas ? STORED : EXISTS;
	default:
		return STORED;
	}
}

static enum outcome outcome_if_absent(const struct asked *asked) {
	switch (asked->mode) {
	case MODE_SET:
	case MODE_ADD:
		return STORED;
	case MODE_CAS:
		return NOT_FOUND;
	default:
		return NOT_STORED;
	}
}

static bool joins_values(const struct asked *asked) {
	return asked->mode == MODE_APPEND || asked->mode == MODE_PREPEND;
}

/* As in memcached what would become too large, for a heap that may have been made smaller, is not
 * stored, and what is there stays. */
static bool may_be_too_large(const struct judged *judged, enum outcome outcome) {
	return outcome == NOT_STORED && joins_values(judged->asked) && rules_of(judged)->is_full;
}

static void apply_store(const struct asked *asked, enum outcome outcome, struct span when) {
	struct own_key *key = asked->key[0].own;
	bool joins = joins_values(asked);
	if (outcome == STORED && joins) {
		own_join(key, &asked->value, asked->mode == MODE_PREPEND, when);
	} else if (outcome == STORED) {
		own_set(key, &asked->value, when);
		own_expire(key, asked->exptime_s, when);
	} else if (outcome == NOT_FOUND || (outcome == NOT_STORED && asked->mode != MODE_ADD)) {
		own_remove(key);
	} else if (outcome == REFUSED && (asked->mode == MODE_SET || (asked->is_meta && !joins))) {
		/* What would have been replaced must not be read for the new value. */
		own_remove(key);
	}
}

static void require_opaque(const struct judged *judged) {
	char wanted[32];
	if (judged->asked->opaque == 0 || is_error(&judged->line)) return;
	int length =
		snprintf(wanted, sizeof wanted, " O%llu", (unsigned long long)judged->asked->opaque);
	size_t at = judged->line.length - (size_t)length;
	if (judged->line.length < (size_t)length ||
		memcmp(judged->line.bytes + at, wanted, (size_t)length) != 0)
		fail(judged, "another opaque number");
}

static bool judge_store(const struct judged *judged) {
	const struct asked *asked = judged->asked;
	const struct target *target = &asked->key[0];
	enum outcome outcome = outcome_of(judged);
	require_opaque(judged);
	if (target->shared != NULL) {
		if (outcome != STORED && outcome != REFUSED) fail(judged, "a set may not say so");
		shared_end(target->shared, target->write,
				   outcome == STORED ? WRITTEN_VALUE : WRITTEN_NOTHING, true);
		return take_line(judged);
	}
	if (may_be_too_large(judged, outcome)) return take_line(judged);
	bool fits = outcome == REFUSED;
	if (outcome == outcome_if_there(asked))
		fits |= own_may_be_there(target->own, rules_of(judged), judged->when);
	if (outcome == outcome_if_absent(asked))
		fits |= own_may_be_absent(target->own, rules_of(judged), judged->when);
	if (!fits) fail(judged, "what the key holds does not let a store say so");
	apply_store(asked, outcome, judged->when);
	return take_line(judged);
}

/* ------------------------------------------------------------------ gets ------------------- */

static const char *name_of(const struct target *target, size_t *length) {
	*length = target->own != NULL ? target->own->name_bytes : target->shared->name_bytes;
	return target->own != NULL ? target->own->name : target->shared->name;
}

static void judge_miss(const struct judged *judged, const struct target *target) {
	const struct rules *rules = rules_of(judged);
	if (target->shared != NULL) {
		shared_require_absent(target->shared, rules, judged->asked->begin);
		return;
	}
	if (!own_may_be_absent(target->own, rules, judged->when)) fail(judged, "a key is lost");
	own_remove(target->own);
}

static void judge_cas(const struct judged *judged, struct own_key *key, uint64_t cas) {
	if (key->cas != 0 && key->cas != cas)
		fail(judged, "the CAS number of what was not changed is another");
	key->cas = cas;
}

static void judge_hit(const struct judged *judged, const struct target *target, const char *bytes,
					  size_t length) {
	if (target->shared != NULL) {
		shared_require(target->shared, bytes, length, judged->asked->begin);
		return;
	}
	own_require(target->own, rules_of(judged), bytes, length, judged->when);
	if (judged->asked->touches) own_expire(target->own, judged->asked->exptime_s, judged->when);
}

/* "VALUE key flags length [cas]": tells its bytes, data included; 0: they are not there yet. */
static size_t judge_value_line(const struct judged *judged) {
	struct asked *asked = judged->asked;
	const char *at = judged->line.bytes + 6, *end = judged->line.bytes + judged->line.length;
	const char *space = memchr(at, ' ', (size_t)(end - at));
	if (space == NULL) fail(judged, "no line of a value");
	size_t name_bytes = (size_t)(space - at), used, length;
	uint64_t flags = number_at(space + 1, (size_t)(end - space - 1), &used);
	space += 1 + used;
	length = (size_t)number_at(space + 1, (size_t)(end - space - 1), &used);
	space += 1 + used;
	size_t head_bytes = judged->line.length + 2, all_bytes = head_bytes + length + 2;
	if (judged->client->in_bytes < all_bytes) return 0;
	for (; asked->keys_answered < asked->key_count; asked->keys_answered++) {
		const struct target *target = &asked->key[asked->keys_answered];
		size_t wanted_bytes;
		const char *name = name_of(target, &wanted_bytes);
		if (wanted_bytes == name_bytes && memcmp(name, at, name_bytes) == 0) break;
		judge_miss(judged, target);
	}
	if (asked->keys_answered == asked->key_count)
		fail(judged, "a key that was not asked for, or not in this place");
	struct target *target = &asked->key[asked->keys_answered++];
	judge_hit(judged, target, judged->client->in + head_bytes, length);
	if (target->own != NULL && target->own->value.flags != flags)
		fail(judged, "other client flags");
	if ((space < end) != (asked->mode == MODE_CAS))
		fail(judged, "a CAS number is told, or not, against the wish");
	if (space < end && target->own != NULL)
		judge_cas(judged, target->own, number_at(space + 1, (size_t)(end - space - 1), &used));
	if (memcmp(judged->client->in + all_bytes - 2, "\r\n", 2) != 0)
		fail(judged, "no end of line behind a value");
	return all_bytes;
}

/* A value for which there was no memory: what was to be touched has been, as in memcached, if it was
 * there. */
static bool take_refusal(const struct judged *judged) {
	const struct asked *asked = judged->asked;
	for (uint32_t i = 0; asked->touches && i < asked->key_count; i++)
		if (asked->key[i].own != NULL)
			own_may_expire(asked->key[i].own, asked->exptime_s, judged->when);
	return take_line(judged);
}

/* Each call takes a value, or the end; false: not there yet. */
static bool judge_get(struct judged *judged, bool *is_done) {
	struct asked *asked = judged->asked;
	*is_done = false;
	if (begins(&judged->line, "VALUE ")) {
		size_t bytes = judge_value_line(judged);
		take(judged->client, bytes);
		return bytes > 0;
	}
	*is_done = true;
	/* In place of all that is left of it, END included. */
	if (begins(&judged->line, "SERVER_ERROR ") && rules_of(judged)->is_full)
		return take_refusal(judged);
	if (!is_line(&judged->line, "END")) fail(judged, "no answer to a get");
	for (; asked->keys_answered < asked->key_count; asked->keys_answered++)
		judge_miss(judged, &asked->key[asked->keys_answered]);
	return take_line(judged);
}

/* A number may have spaces behind it. */
static bool fits_length(const struct own_key *key, uint64_t length) {
	return key == NULL || length == key->value.length ||
		   (key->is_number && length > key->value.length);
}

/* Of "VA length f1 s2 ..": from behind the head on. Of a miss only what is known without the
 * item. */
static void judge_told(const struct judged *judged, const char *at, size_t length, bool is_miss) {
	const struct asked *asked = judged->asked;
	const struct target *target = &asked->key[0];
	const char *end = judged->line.bytes + judged->line.length;
	for (const char *letter = asked->returned; *letter != '\0'; letter++) {
		size_t used, name_bytes;
		const char *name = name_of(target, &name_bytes);
		if (is_miss && *letter != 'k' && *letter != 'O') continue;
		if (end - at < 3 || at[0] != ' ' || at[1] != *letter)
			fail(judged, "a flag's answer is missing, or out of order");
		const char *word = at += 2;
		while (at < end && *at != ' ') at++;
		uint64_t number = number_at(word, (size_t)(at - word), &used);
		bool fits = true;
		if (*letter == 's')
			fits = asked->wants_value ? number == length : fits_length(target->own, number);
		if (*letter == 'f' && target->own != NULL) fits = number == target->own->value.flags;
		if (*letter == 'k')
			fits = (size_t)(at - word) == name_bytes && memcmp(word, name, name_bytes) == 0;
		if (*letter == 'O') fits = number == asked->opaque;
		if (!fits) fail(judged, "a flag's answer is wrong");
		if (*letter == 'c' && target->own != NULL) judge_cas(judged, target->own, number);
	}
	if (at != end) fail(judged, "more is told than was asked for");
}

static bool judge_meta_get(const struct judged *judged) {
	const struct asked *asked = judged->asked;
	const struct target *target = &asked->key[0];
	if (begins(&judged->line, "EN")) {
		judge_told(judged, judged->line.bytes + 2, 0, true);
		judge_miss(judged, target);
		return take_line(judged);
	}
	if (begins(&judged->line, "SERVER_ERROR ") && rules_of(judged)->is_full)
		return take_refusal(judged);
	if (!begins(&judged->line, asked->wants_value ? "VA " : "HD")) fail(judged, "no answer to mg");
	const char *at = judged->line.bytes + 2;
	size_t length = 0, used, bytes = judged->line.length + 2;
	if (asked->wants_value) {
		length = (size_t)number_at(at + 1, judged->line.length - 3, &used);
		at += 1 + used;
		if (judged->client->in_bytes < bytes + length + 2) return false;
		if (memcmp(judged->client->in + bytes + length, "\r\n", 2) != 0)
			fail(judged, "no end of line behind a value");
		judge_hit(judged, target, judged->client->in + bytes, length);
		bytes += length + 2;
	} else if (target->own != NULL) {
		if (!own_may_be_there(target->own, rules_of(judged), judged->when))
			fail(judged, "a key is there that was removed or has expired");
		if (asked->touches) own_expire(target->own, asked->exptime_s, judged->when);
	}
	judge_told(judged, at, length, false);
	take(judged->client, bytes);
	return true;
}

/* ------------------------------------------------------------------ the others ------------- */

static void apply_touch(const struct judged *judged, bool is_there) {
	struct own_key *key = judged->asked->key[0].own;
	if (!is_there)
		own_remove(key);
	else if (judged->asked->touches)
		own_expire(key, judged->asked->exptime_s, judged->when);
}

/* Which of two words; what the key holds must allow it. */
static bool judge_presence(const struct judged *judged, const char *there, const char *absent) {
	const struct target *target = &judged->asked->key[0];
	const struct rules *rules = rules_of(judged);
	if (!begins(&judged->line, there) && !begins(&judged->line, absent))
		fail(judged, "no answer to this");
	bool is_there = begins(&judged->line, there);
	require_opaque(judged);
	if (target->own == NULL) {
		if (!is_there) shared_require_absent(target->shared, rules, judged->asked->begin);
	} else if (is_there ? !own_may_be_there(target->own, rules_of(judged), judged->when)
						: !own_may_be_absent(target->own, rules, judged->when)) {
		fail(judged, is_there ? "a key is there that was removed or has expired" : "a key is lost");
	}
	return is_there;
}

static bool judge_delete(const struct judged *judged) {
	const struct target *target = &judged->asked->key[0];
	bool is_meta = judged->asked->is_meta;
	if (is_error(&judged->line) && rules_of(judged)->refuses) fail(judged, "a delete is refused");
	bool was_there =
		judge_presence(judged, is_meta ? "HD" : "DELETED", is_meta ? "NF" : "NOT_FOUND");
	if (target->shared != NULL)
		shared_end(target->shared, target->write, WRITTEN_NOTHING, was_there);
	else
		own_remove(target->own);
	return take_line(judged);
}

static bool judge_touch(const struct judged *judged) {
	if (begins(&judged->line, "SERVER_ERROR ") && rules_of(judged)->is_full)
		return take_line(judged);
	apply_touch(judged, judge_presence(judged, "TOUCHED", "NOT_FOUND"));
	return take_line(judged);
}

static uint64_t counted(const struct own_key *key, const struct asked *asked) {
	size_t used;
	uint64_t before = number_at(key->value.bytes, key->value.length, &used);
	if (!asked->is_down) return before + asked->delta;
	return before < asked->delta ? 0 : before - asked->delta;
}

static bool judge_count(const struct judged *judged) {
	const struct asked *asked = judged->asked;
	struct own_key *key = asked->key[0].own;
	const struct rules *rules = rules_of(judged);
	struct line number = judged->line;
	if (begins(&number, "SERVER_ERROR ") && rules->is_full) return take_line(judged);
	if (is_line(&number, asked->is_meta ? "NF" : "NOT_FOUND")) {
		if (!own_may_be_absent(key, rules, judged->when)) fail(judged, "a key is lost");
		own_remove(key);
		return take_line(judged);
	}
	size_t taken = number.length + 2;
	if (asked->is_meta) {
		if (!begins(&number, "VA ")) fail(judged, "no answer to ma");
		if (!next_line(judged->client, taken, &number)) return false;
		taken += number.length + 2;
	}
	if (!own_may_be_there(key, rules, judged->when))
		fail(judged, "a key is there that was removed or has expired");
	char wanted[24];
	struct value value = {.bytes = wanted, .flags = key->value.flags};
	value.length =
		(size_t)snprintf(wanted, sizeof wanted, "%llu", (unsigned long long)counted(key, asked));
	while (number.length > 0 && number.bytes[number.length - 1] == ' ') number.length--;
	if (number.length != value.length || memcmp(number.bytes, wanted, value.length) != 0)
		fail(judged, "another number");
	int64_t may_die_s = key->may_die_s, must_die_s = key->must_die_s;
	own_set(key, &value, judged->when);
	key->may_die_s = may_die_s;
	key->must_die_s = must_die_s;
	take(judged->client, taken);
	return true;
}

static bool judge_flush(const struct judged *judged) {
	struct run *run = judged->client->run;
	const struct asked *asked = judged->asked;
	run->flushes_out--;
	if (!is_line(&judged->line, "OK")) {
		if (!rules_of(judged)->refuses) fail(judged, "no answer to flush_all");
		run->flushes_are_lost = true;
		return take_line(judged);
	}
	if (asked->exptime_s == 0)
		for (uint32_t i = 0; i < OWN_KEYS; i++) own_remove(&judged->client->own[i]);
	if (asked->exptime_s > 0 && asked->flushes == run->flushes && !run->flushes_are_lost)
		rules_end_flush(&run->rules, judged->when.from_s + asked->exptime_s,
						judged->when.to_s + asked->exptime_s);
	return take_line(judged);
}

/* "STAT name number", if it is that. */
static bool is_stat(const struct line *line, const char *name, uint64_t *number) {
	size_t used, at = strlen("STAT ") + strlen(name) + 1;
	if (!begins(line, "STAT ") || line->length <= at ||
		memcmp(line->bytes + 5, name, strlen(name)) != 0)
		return false;
	if (line->bytes[at - 1] != ' ') return false;
	*number = number_at(line->bytes + at, line->length - at, &used);
	return true;
}

/* Whether it was met is told before how much it was. */
static void judge_emergency(const struct judged *judged) {
	const struct asked *asked = judged->asked;
	uint64_t returned_bytes = 0;
	if (is_line(&judged->line, "STAT result ok")) judged->client->is_met = true;
	if (!is_stat(&judged->line, "returned_bytes", &returned_bytes)) return;
	if (judged->client->is_met && returned_bytes < asked->delta)
		fail(judged, "less is returned than was asked for");
	if (returned_bytes > world_returned_bytes() - asked->token)
		fail(judged, "more is told than was returned");
}

/* The limit is told before what is used. */
static void judge_limit(const struct judged *judged) {
	uint64_t used_bytes = 0, goal_bytes = 0, asked_bytes = judged->asked->delta;
	uint64_t workers = judged->client->run->workers;
	if (asked_bytes > 0 && is_stat(&judged->line, "limit_goal_bytes", &goal_bytes) &&
		goal_bytes != asked_bytes / workers * workers)
		fail(judged, "another limit than was asked for");
	if (is_stat(&judged->line, "limit_bytes", &judged->client->limit_bytes)) return;
	if (is_stat(&judged->line, "used_bytes", &used_bytes) &&
		used_bytes > judged->client->limit_bytes)
		fail(judged, "more is used than the limit");
}

/* Lines up to END, each taken by itself. */
static bool judge_text(const struct judged *judged, bool *is_done) {
	bool is_refused = is_error(&judged->line);
	if (judged->asked->verb == ASK_CHECK && !is_refused && !is_line(&judged->line, "END") &&
		(judged->line.length < 3 ||
		 memcmp(judged->line.bytes + judged->line.length - 3, " ok", 3) != 0))
		fail(judged, "a law is broken");
	if (judged->asked->verb == ASK_LIMIT) judge_limit(judged);
	if (judged->asked->verb == ASK_EMERGENCY) judge_emergency(judged);
	*is_done = is_refused || is_line(&judged->line, "END");
	return take_line(judged);
}

/* ------------------------------------------------------------------ in order --------------- */

/* Quiet ones are done when what follows them is answered. */
static void settle_quiet(struct judged *judged) {
	const struct asked *asked = judged->asked;
	if (asked->verb == ASK_STORE)
		apply_store(asked, STORED, judged->when);
	else if (asked->verb == ASK_DELETE)
		own_remove(asked->key[0].own);
	else
		judge_miss(judged, &asked->key[0]);
}

static bool is_its_own(const struct judged *judged) {
	char wanted[32];
	if (judged->asked->opaque == 0) return false;
	/* which command it answers cannot be known */
	judged->client->is_confused = begins(&judged->line, "SERVER_ERROR ");
	int length =
		snprintf(wanted, sizeof wanted, " O%llu", (unsigned long long)judged->asked->opaque);
	size_t at = judged->line.length - (size_t)length;
	return judged->line.length > (size_t)length &&
		   memcmp(judged->line.bytes + at, wanted, (size_t)length) == 0;
}

static bool judge_one(struct judged *judged, bool *is_done) {
	*is_done = true;
	switch (judged->asked->verb) {
	case ASK_GET:
		return judged->asked->is_meta ? judge_meta_get(judged) : judge_get(judged, is_done);
	case ASK_STORE:
		return judge_store(judged);
	case ASK_DELETE:
		return judge_delete(judged);
	case ASK_TOUCH:
		return judge_touch(judged);
	case ASK_COUNT:
		return judge_count(judged);
	case ASK_FLUSH:
		return judge_flush(judged);
	case ASK_LINE:
		if (!begins(&judged->line, judged->asked->wanted)) fail(judged, "another line was to come");
		return take_line(judged);
	case ASK_ERROR:
		if (!is_error(&judged->line)) fail(judged, "an error was to come");
		return take_line(judged);
	case ASK_TEXT:
	case ASK_CHECK:
	case ASK_EMERGENCY:
	case ASK_LIMIT:
		return judge_text(judged, is_done);
	}
	return false;
}

bool judge_take(struct client *client) {
	struct judged judged = {.client = client};
	if (client->is_confused || client->answered == client->asked_count ||
		!next_line(client, 0, &judged.line))
		return false;
	bool is_done;
	for (;; client->answered++) {
		judged.asked = &client->asked[client->answered];
		judged.when = (struct span){judged.asked->sent_s, world_now_s()};
		if (!judged.asked->is_quiet || is_its_own(&judged)) break;
		if (client->is_confused) return false;
		settle_quiet(&judged);
	}
	if (!judge_one(&judged, &is_done)) return false;
	if (is_done) {
		client->answered++;
		client->run->answers++;
	}
	return true;
}

/* Who only reads leaves all as it was. */
static bool changes_keys(const struct asked *asked) {
	return asked->verb != ASK_GET || asked->touches;
}

void judge_abandon(struct client *client) {
	for (; client->answered < client->asked_count; client->answered++) {
		const struct asked *asked = &client->asked[client->answered];
		for (uint32_t i = 0; changes_keys(asked) && i < asked->key_count; i++)
			if (asked->key[i].own != NULL) own_rename(asked->key[i].own);
		if (asked->verb != ASK_FLUSH) continue;
		client->run->flushes_are_lost = true;
		for (uint32_t k = 0; k < OWN_KEYS; k++) own_rename(&client->own[k]);
	}
}
