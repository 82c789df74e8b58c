/* server/errand/errand_slow.c: `snug slow`: the slowest commands of the last minutes, of all workers
 * (server/watch/slow.h): SLOW_TOLD_MAX of them, slowest first. Keys are told as %XX, so that nothing in them
 * could end a line or speak to a terminal; what is cut off a long one is a "..". */
#include "server/errand/errand_parts.h"
#include "server/watch/slow.h"

struct slow_errand {
	struct errand errand; /* must be the first */
	uint32_t count;
	struct slow_command worst[SLOW_TOLD_MAX];
};

static void visit(struct errand *errand, struct server_worker *worker) {
	struct slow_errand *self = (struct slow_errand *)(void *)errand;
	self->count = slow_merge(&worker->slow, slow_minute(worker->clock_s), self->worst, self->count);
}

static void say(struct text *out, uint32_t number, const struct slow_command *command) {
	char room[WATCH_KEY_ROOM];
	bool is_cut = command->key_bytes > SLOW_KEY_BYTES;
	text_print(out, "STAT %u:took_ns %llu\r\n", number, (unsigned long long)command->took_ns);
	text_print(out, "STAT %u:command %s\r\n", number, command->command);
	text_print(out, "STAT %u:key %s%s\r\n", number,
			   watch_key(command->key, is_cut ? SLOW_KEY_BYTES : command->key_bytes, room),
			   is_cut ? ".." : "");
	text_print(out, "STAT %u:bytes %u\r\n", number, command->bytes);
	text_print(out, "STAT %u:time %lld\r\n", number, (long long)command->wall_s);
	text_print(out, "STAT %u:client %llu\r\n", number, (unsigned long long)command->client);
	text_print(out, "STAT %u:addr %s\r\n", number, command->address);
}

static void answer(struct errand *errand, struct text *out) {
	const struct slow_errand *self = (const struct slow_errand *)(const void *)errand;
	stat_u64(out, "sample", LATENCY_SAMPLE);
	stat_u64(out, "minutes", SLOW_MINUTES);
	for (uint32_t i = 0; i < self->count; i++) say(out, i + 1, &self->worst[i]);
	text_say(out, "END");
}

struct errand *errand_slow(struct server *server, struct text *out) {
	struct slow_errand *self = errand_new(server, sizeof *self, out);
	if (self == NULL) return NULL;
	self->errand.visit = visit;
	self->errand.answer = answer;
	return &self->errand;
}
