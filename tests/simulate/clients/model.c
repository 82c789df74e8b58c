/* simulate/clients/model.c: see simulate/clients/model.h. */
#include "simulate/clients/model.h"

#include "simulate/world/world.h"

#include <stdio.h>
#include <string.h>

/* ------------------------------------------------------------------ flushes ---------------- */

/* A flush replaces the one that waits for its moment, if that has not come. */
void rules_begin_flush(struct rules *rules, int64_t delay_s) {
	struct late_flush *late = &rules->late_flush;
	int64_t now_s = world_now_s(), from_s = now_s + delay_s - world_stall_s() - 1;
	if (late->is_certain && now_s > late->to_s) rules->flushed = *late;
	late->is_certain = false;
	if (from_s < rules->loses_from_s) rules->loses_from_s = from_s;
}

void rules_end_flush(struct rules *rules, int64_t from_s, int64_t to_s) {
	rules->late_flush = (struct late_flush){.is_certain = true,
											.from_s = from_s - world_stall_s() - 1,
											.to_s = to_s + world_stall_s() + 1};
}

/* ------------------------------------------------------------------ own -------------------- */

/* Short names and long ones, up to what is allowed. */
void own_rename(struct own_key *key) {
	own_remove(key);
	key->generation++;
	int length = snprintf(key->name, sizeof key->name, "%c%u.%u.%u.", key->is_number ? 'n' : 'o',
						  key->client, key->number, key->generation);
	key->name_bytes = (size_t)length;
	size_t wanted = key->number % 5 == 4 ? KEY_BYTES_MAX : key->name_bytes + key->number * 3;
	while (key->name_bytes < wanted) key->name[key->name_bytes++] = 'x';
	key->name[key->name_bytes] = '\0';
}

/* When it was asked for it had gone. */
static bool is_flushed_by(const struct late_flush *flush, const struct own_key *key,
						  struct span when) {
	return flush->is_certain && key->written_s < flush->from_s &&
		   when.from_s - world_stall_s() > flush->to_s;
}

static bool is_flushed(const struct own_key *key, const struct rules *rules, struct span when) {
	return is_flushed_by(&rules->late_flush, key, when) ||
		   is_flushed_by(&rules->flushed, key, when);
}

bool own_may_be_there(const struct own_key *key, const struct rules *rules, struct span when) {
	if (!key->is_present || is_flushed(key, rules, when)) return false;
	return key->must_die_s == NEVER_S || when.from_s - world_stall_s() < key->must_die_s;
}

bool own_may_be_absent(const struct own_key *key, const struct rules *rules, struct span when) {
	if (rules->loses || !key->is_present || when.to_s >= rules->loses_from_s) return true;
	return key->may_die_s != NEVER_S && when.to_s >= key->may_die_s;
}

static void take_value(struct own_key *key, size_t length) {
	if (length > 0) key->value.bytes = plain_realloc(key->value.bytes, length);
	key->value.length = length;
	key->is_present = true;
	key->cas = 0;
}

void own_set(struct own_key *key, const struct value *value, struct span when) {
	take_value(key, value->length);
	if (value->length > 0) memcpy(key->value.bytes, value->bytes, value->length);
	key->value.flags = value->flags;
	key->written_s = when.to_s;
	key->may_die_s = key->must_die_s = NEVER_S;
}

void own_join(struct own_key *key, const struct value *value, bool in_front, struct span when) {
	size_t before = key->value.length;
	key->written_s = when.to_s;
	take_value(key, before + value->length);
	if (value->length == 0) return;
	if (in_front) memmove(key->value.bytes + value->length, key->value.bytes, before);
	memcpy(key->value.bytes + (in_front ? 0 : before), value->bytes, value->length);
}

void own_remove(struct own_key *key) {
	key->is_present = false;
	key->cas = 0;
	key->may_die_s = key->must_die_s = NEVER_S;
}

/* The server's clock is read once in a turn, and a turn may be kept from running. */
void own_expire(struct own_key *key, int64_t seconds, struct span when) {
	key->may_die_s = key->must_die_s = NEVER_S;
	if (seconds == 0) return;
	if (seconds < 0) {
		own_remove(key);
		return;
	}
	key->may_die_s = when.from_s + seconds - world_stall_s() - 1;
	key->must_die_s = when.to_s + seconds + world_stall_s() + 1;
}

void own_may_expire(struct own_key *key, int64_t seconds, struct span when) {
	int64_t may_die_s = key->may_die_s, must_die_s = key->must_die_s;
	if (seconds < 0)
		key->may_die_s = when.from_s - world_stall_s() - 1;
	else
		own_expire(key, seconds, when);
	if (key->may_die_s > may_die_s) key->may_die_s = may_die_s;
	if (key->must_die_s < must_die_s) key->must_die_s = must_die_s;
}

/* A number that has become shorter may have spaces behind it. */
static size_t without_spaces(const char *bytes, size_t length) {
	while (length > 0 && bytes[length - 1] == ' ') length--;
	return length;
}

void own_require(struct own_key *key, const struct rules *rules, const char *bytes, size_t length,
				 struct span when) {
	if (!own_may_be_there(key, rules, when))
		world_fail("key %s is answered, and was removed or has expired", key->name);
	size_t wanted = key->value.length, got = length;
	if (key->is_number) {
		wanted = without_spaces(key->value.bytes, wanted);
		got = without_spaces(bytes, got);
	}
	if (wanted != got)
		world_fail("key %s: %zu bytes are answered in place of %zu", key->name, got, wanted);
	for (size_t i = 0; i < got; i++)
		if (bytes[i] != key->value.bytes[i])
			world_fail("key %s: byte %zu of %zu is wrong", key->name, i, got);
}

/* ------------------------------------------------------------------ shared ----------------- */

size_t shared_begin(struct shared_key *key, uint64_t id, enum written what) {
	if (key->count == key->room) {
		key->room = key->room * 2 + 16;
		key->writes = plain_realloc(key->writes, key->room * sizeof *key->writes);
	}
	key->writes[key->count] =
		(struct write){.id = id, .what = what, .begin = world_tick(), .end = UINT64_MAX};
	return key->count++;
}

void shared_end(struct shared_key *key, size_t number, enum written what, bool has_effect) {
	/* A delete that found nothing excuses nothing. */
	key->writes[number].end = has_effect || what == WRITTEN_VALUE ? world_tick() : 0;
	key->writes[number].what = what;
	key->writes[number].is_done = has_effect;
}

/* "S3:17:" and what follows from the id. */
void shared_value(const struct shared_key *key, uint64_t id, size_t length, struct value *out) {
	char head[64];
	int head_bytes = snprintf(head, sizeof head, "%s:%llu:", key->name, (unsigned long long)id);
	if (length < (size_t)head_bytes) length = (size_t)head_bytes;
	out->bytes = plain_realloc(out->bytes, length);
	out->length = length;
	out->flags = (uint32_t)id;
	memcpy(out->bytes, head, (size_t)head_bytes);
	for (size_t i = (size_t)head_bytes; i < length; i++)
		out->bytes[i] = (char)('a' + (id * 7 + i * (1 + id % 13)) % 26);
}

static const struct write *write_of(const struct shared_key *key, uint64_t id) {
	for (size_t i = key->count; i-- > 0;)
		if (key->writes[i].id == id && key->writes[i].what == WRITTEN_VALUE) return &key->writes[i];
	return NULL;
}

static void require_own_bytes(const struct shared_key *key, uint64_t id, const char *bytes,
							  size_t length) {
	struct value wanted = {0};
	shared_value(key, id, length, &wanted);
	if (wanted.length != length || memcmp(wanted.bytes, bytes, length) != 0)
		world_fail("key %s: the value of write %llu is not what was written", key->name,
				   (unsigned long long)id);
	plain_free(wanted.bytes);
}

void shared_require(const struct shared_key *key, const char *bytes, size_t length,
					uint64_t begin) {
	uint64_t id = 0;
	size_t at = key->name_bytes + 1;
	if (length < at || memcmp(bytes, key->name, key->name_bytes) != 0)
		world_fail("key %s: the value is another key's", key->name);
	for (; at < length && bytes[at] >= '0' && bytes[at] <= '9'; at++)
		id = id * 10 + (uint64_t)(bytes[at] - '0');
	require_own_bytes(key, id, bytes, length);
	const struct write *source = write_of(key, id);
	if (source == NULL) world_fail("key %s: nobody wrote %llu", key->name, (unsigned long long)id);
	for (size_t i = 0; i < key->count; i++) {
		const struct write *other = &key->writes[i];
		if (other->is_done && other->begin > source->end && other->end < begin)
			world_fail("key %s: write %llu is answered, which was overwritten by %llu before it "
					   "was asked for",
					   key->name, (unsigned long long)id, (unsigned long long)other->id);
	}
}

/* A store that was not answered may have been refused. */
static bool may_have_removed(const struct write *write, const struct rules *rules) {
	return write->what == WRITTEN_NOTHING || (rules->is_full && write->end == UINT64_MAX);
}

/* Somebody may have removed it after the write had begun and before this was answered. */
static bool is_excused(const struct shared_key *key, const struct rules *rules,
					   const struct write *write) {
	for (size_t i = 0; i < key->count; i++)
		if (may_have_removed(&key->writes[i], rules) && key->writes[i].end > write->begin)
			return true;
	return false;
}

void shared_require_absent(const struct shared_key *key, const struct rules *rules,
						   uint64_t begin) {
	if (rules->loses || world_now_s() >= rules->loses_from_s) return;
	for (size_t i = 0; i < key->count; i++) {
		const struct write *write = &key->writes[i];
		if (write->what == WRITTEN_VALUE && write->is_done && write->end < begin &&
			!is_excused(key, rules, write))
			world_fail("key %s: write %llu is lost", key->name, (unsigned long long)write->id);
	}
}
