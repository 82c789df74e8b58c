/* simulate/clients/simulated_client.c: see simulate/clients/simulated_client.h. */
#include "simulate/clients/simulated_client.h"

#include "simulate/world/simulated_sockets.h"
#include "simulate/world/world.h"

#include <stdio.h>
#include <string.h>

#define MS UINT64_C(1000000)
#define LONG_PATIENCE_NS (30000 * MS) /* of what the coordinator does, and of all workers */
#define WILD_PATIENCE_NS (50 * MS)
#define WILD_BYTES_MAX ((size_t)2 << 20) /* a line of keys may ask for hundreds of times as much */

/* Beside the commands of a batch. */
enum part { PART_WHICH = 100, PART_HOW, PART_PAUSE, PART_TONGUE, PART_VEIL };

static bool happens(struct client *client, uint32_t per_mille) {
	return chance(&client->choice, per_mille);
}

/* ------------------------------------------------------------------ a connection ----------- */

/* The listeners of those that speak TLS are behind the others. */
static void connect_socket(struct client *client) {
	struct choice choice =
		script_choice(&client->run->script, client->index, client->batch, PART_VEIL);
	bool is_secured = client->run->has_tls && chance(&choice, 700);
	int listener = LISTENER_FIRST + (int)choose(&client->choice, client->run->workers);
	if (is_secured) listener += (int)client->run->workers;
	client->socket = socket_connect(listener, &client->choice);
	veil_begin(&client->veil, client->socket, is_secured, chance(&choice, 300));
}

static void connect(struct client *client) {
	connect_socket(client);
	client->is_connected = true;
	client->is_confused = false;
	client->in_bytes = 0;
	struct choice choice =
		script_choice(&client->run->script, client->index, client->batch, PART_TONGUE);
	client->is_binary = client->run->has_binary && !client->is_operator && chance(&choice, 600);
	tongue_begin(&client->tongue);
}

static void leave(struct client *client, bool is_reset) {
	veil_end(&client->veil);
	socket_leave(client->socket, is_reset);
	client->is_connected = false;
	judge_abandon(client);
}

static bool send_some(struct client *client, size_t until) {
	size_t length = client->sent_bytes < until ? until - client->sent_bytes : 0;
	if (length == 0 && veil_is_said(&client->veil)) return false;
	if (length > 0 && happens(client, 300)) length = 1 + choose(&client->choice, length);
	size_t sent = veil_put(&client->veil, client->out + client->sent_bytes, length);
	client->sent_bytes += sent;
	return sent > 0;
}

static void keep(struct client *client, const char *bytes, size_t length) {
	if (client->in_bytes + length > client->in_room) {
		client->in_room = (client->in_bytes + length) * 2;
		client->in = plain_realloc(client->in, client->in_room);
	}
	if (length > 0) memcpy(client->in + client->in_bytes, bytes, length);
	client->in_bytes += length;
}

static bool receive_some(struct client *client) {
	char bytes[4096];
	size_t got = veil_take(&client->veil, bytes,
						   happens(client, 200) ? 1 + choose(&client->choice, 100) : sizeof bytes);
	if (got == 0) return false;
	if (!client->is_binary) {
		keep(client, bytes, got);
		return true;
	}
	tongue_hear(&client->tongue, bytes, got);
	keep(client, client->tongue.lines.bytes, client->tongue.lines.length);
	client->tongue.lines.length = 0;
	return true;
}

/* What was said as lines becomes packets. */
static void translate(struct client *client) {
	struct tongue *tongue = &client->tongue;
	if (!client->is_binary) return;
	tongue->packets.length = 0;
	tongue_say(tongue, client->out, client->out_bytes);
	if (tongue->packets.length > client->out_room) {
		client->out_room = 2 * tongue->packets.length;
		client->out = plain_realloc(client->out, client->out_room);
	}
	client->out_bytes = tongue->packets.length;
	if (client->out_bytes > 0) memcpy(client->out, tongue->packets.bytes, client->out_bytes);
}

static bool may_go_on(void *context) {
	const struct client *client = context;
	bool has_more = client->sent_bytes < client->out_bytes || !veil_is_said(&client->veil);
	if (has_more && veil_has_room(&client->veil)) return true;
	return veil_has_bytes(&client->veil) || socket_is_over(client->socket);
}

/* A sleeper may be woken for nothing. */
static bool wait_for(bool (*is_ready)(void *context), struct client *client, uint64_t patience_ns) {
	uint64_t deadline_ns = world_now_ns() + patience_ns;
	while (!world_wait(is_ready, client, deadline_ns - world_now_ns()))
		if (world_now_ns() >= deadline_ns) return false;
	return true;
}

static void dawdle(struct client *client) {
	if (client->run->is_slow && happens(client, 100))
		os_thread_sleep(choose(&client->choice, 40 * MS));
}

/* ------------------------------------------------------------------ a batch ---------------- */

static uint64_t patience_of(const struct client *client) {
	return client->is_patient ? LONG_PATIENCE_NS : client->run->patience_ns;
}

static const struct asked *next_asked(const struct client *client) {
	return &client->asked[client->answered < client->asked_count ? client->answered
																 : client->asked_count - 1];
}

static void fail_waiting(const struct client *client) {
	const struct asked *asked = next_asked(client);
	char state[64];
	socket_describe(client->socket, state, sizeof state);
	world_fail(
		"client %u waits for the answer to: %s (%zu of %zu bytes sent, %u of %u answered; %s)",
		client->index, asked->line, client->sent_bytes, client->out_bytes, client->answered,
		client->asked_count, state);
}

/* The server has closed it. It may, when it refuses; else there is no reason. */
static void lose(struct client *client) {
	const struct asked *asked = next_asked(client);
	if (!client->run->rules.refuses)
		world_fail("client %u: the server closed the connection before it answered: %s",
				   client->index, asked->line);
	leave(client, false);
}

/* A value may be refused before it was sent. */
static bool is_done(const struct client *client) {
	return client->answered == client->asked_count && client->sent_bytes == client->out_bytes;
}

/* Until all is sent and answered; or the connection has ended. */
static void exchange(struct client *client) {
	while (client->is_connected && !is_done(client)) {
		bool is_over = socket_is_over(client->socket);
		bool any = send_some(client, client->out_bytes);
		dawdle(client);
		any |= receive_some(client);
		while (judge_take(client)) any = true;
		if (client->is_confused) leave(client, true);
		if (!client->is_connected || is_done(client) || any) continue;
		if (is_over)
			lose(client);
		else if (!wait_for(may_go_on, client, patience_of(client)))
			fail_waiting(client);
	}
	if (client->is_connected && client->in_bytes > 0)
		world_fail("client %u: an answer to nothing", client->index);
}

/* The server ends what its client has ended, when it has answered. */
static bool is_over(void *context) {
	const struct client *client = context;
	return socket_is_over(client->socket);
}

static void end_politely(struct client *client) {
	while (send_some(client, client->out_bytes)) {
	}
	if (client->sent_bytes == client->out_bytes && veil_is_said(&client->veil))
		veil_say_end(&client->veil);
	exchange(client);
	if (!client->is_connected) return;
	veil_say_end(&client->veil);
	if (!wait_for(is_over, client, client->run->patience_ns))
		world_fail("client %u: the connection stays open after its end", client->index);
	char byte;
	if (veil_take(&client->veil, &byte, 1) > 0)
		world_fail("client %u: an answer to nothing, at the end", client->index);
	leave(client, false);
}

/* Some of the batch, no matter where it is cut, and away. */
static void end_rudely(struct client *client) {
	size_t until = choose(&client->choice, client->out_bytes + 1);
	for (uint64_t tries = choose(&client->choice, happens(client, 300) ? 400 : 40);
		 tries > 0 && client->answered < client->asked_count; tries--) {
		(void)send_some(client, until);
		if (happens(client, 300)) (void)receive_some(client);
		while (judge_take(client)) {
		}
		if (happens(client, 300)) os_thread_sleep(choose(&client->choice, MS / 5));
	}
	leave(client, happens(client, 500));
}

/* Nothing of it is judged: that the server lives, and others do not notice, is all that is
 * asked. */
static void go_wild(struct client *client) {
	bool runs = happens(client, 500); /* as soon as all is said */
	size_t most_bytes =
		happens(client, 500) ? choose(&client->choice, WILD_BYTES_MAX) : WILD_BYTES_MAX;
	commands_fill_wild(client);
	client->is_binary = false; /* nobody understands the answers */
	while (
		!(client->in_bytes >= 4 && memcmp(client->in + client->in_bytes - 4, "MN\r\n", 4) == 0)) {
		bool any = send_some(client, client->out_bytes);
		dawdle(client);
		any |= receive_some(client);
		if ((runs && client->sent_bytes == client->out_bytes) || client->in_bytes > most_bytes)
			break;
		if (any) continue;
		if (socket_is_over(client->socket) || !wait_for(may_go_on, client, WILD_PATIENCE_NS)) break;
	}
	leave(client, happens(client, 600));
}

#define MOMENT_NS UINT64_C(30000)

/* Takes large values, as fast as they come or slowly, and goes in the midst of them: most often
 * when nothing comes for a moment, since then the server has sent one window of a value and waits
 * for the next. Or begins to send one, and goes when nothing is taken. */
static void read_and_run(struct client *client) {
	bool writes = happens(client, 350);
	size_t least_bytes =
		writes ? 0 : choose(&client->choice, client->run->rules.item_max_bytes / 2);
	uint32_t runs = happens(client, 700) ? 300 : 20; /* of the moments when nothing comes */
	if (writes)
		commands_fill_writing(client);
	else
		commands_fill_reading(client);
	translate(client);
	for (bool rests = false;;) {
		bool any = send_some(client, client->out_bytes);
		any |= receive_some(client);
		dawdle(client);
		rests = !any && !rests;
		if (rests) {
			os_thread_sleep(choose(&client->choice, MOMENT_NS));
			continue;
		}
		if (any) continue;
		if (client->in_bytes >= least_bytes && happens(client, runs)) break;
		if (socket_is_over(client->socket) || !wait_for(may_go_on, client, WILD_PATIENCE_NS)) break;
	}
	leave(client, happens(client, 900));
}

/* Backwards as well as forwards, by a little or by days. */
static void set_the_clock(struct client *client) {
	int64_t seconds = 1 + (int64_t)choose(&client->choice, happens(client, 500) ? 200000 : 5);
	world_shift_wall(happens(client, 500) ? -seconds : seconds);
}

/* ------------------------------------------------------------------ the script ------------- */

static void begin_part(struct client *client, enum part part) {
	client->choice = script_choice(&client->run->script, client->index, client->batch, part);
}

static void begin_batch(struct client *client) {
	client->out_bytes = client->sent_bytes = 0;
	client->asked_count = client->answered = 0;
	client->is_patient = false;
}

/* What is no list of commands counts as one. */
static bool do_odd_batch(struct client *client) {
	const struct run *run = client->run;
	begin_part(client, PART_WHICH);
	bool sets_clock = client->is_operator && run->has_jumps && happens(client, 200);
	bool reads = !client->is_operator && run->has_readers && happens(client, 400);
	bool is_wild = !client->is_operator && !reads && happens(client, run->is_rude ? 300 : 60);
	if (!sets_clock && !reads && !is_wild) return false;
	if (run->script.said != NULL) (*run->script.said)[client->index][client->batch] = 1;
	if (!script_keeps(&run->script, client->index, client->batch, 0)) return true;
	if (run->is_told)
		fprintf(stderr, "%llu ns, client %u, batch %u: %s\n", (unsigned long long)world_now_ns(),
				client->index, client->batch,
				sets_clock ? "sets the clock"
				: reads    ? "reads and runs"
						   : "goes wild");
	if (sets_clock)
		set_the_clock(client);
	else if (reads)
		read_and_run(client);
	else
		go_wild(client);
	return true;
}

static void tell_commands(const struct client *client) {
	for (uint32_t i = 0; client->run->is_told && i < client->asked_count; i++)
		fprintf(stderr, "%llu ns, client %u, batch %u: %s\n", (unsigned long long)world_now_ns(),
				client->index, client->batch, client->asked[i].line);
}

static void do_batch(struct client *client) {
	begin_batch(client);
	if (!client->is_connected) connect(client);
	if (do_odd_batch(client)) return;
	commands_fill(client);
	tell_commands(client);
	translate(client);
	begin_part(client, PART_HOW);
	if (!client->is_operator && happens(client, client->run->is_rude ? 300 : 60))
		end_rudely(client);
	else if (happens(client, 60))
		end_politely(client);
	else
		exchange(client);
}

void client_run(void *context) {
	struct client *client = context;
	const struct run *run = client->run;
	(void)world_enter_server(false);
	for (; client->batch < run->batches; client->batch++) {
		if (run->script.keep[client->index][client->batch] == 0) continue;
		do_batch(client);
		begin_part(client, PART_PAUSE);
		if (happens(client, 200)) os_thread_sleep(choose(&client->choice, 20 * MS));
		bool waits_for_time = run->has_expiry || run->has_late_flush;
		if (waits_for_time && happens(client, 50))
			os_thread_sleep(choose(&client->choice, 3000 * MS));
		if (run->has_late_flush && client->is_operator && happens(client, 300))
			os_thread_sleep(choose(&client->choice, 6000 * MS));
	}
	if (client->is_connected) leave(client, happens(client, 500));
}

void client_ask(struct client *client, const char *line, enum verb verb) {
	begin_batch(client);
	begin_part(client, PART_HOW);
	connect(client);
	client->is_binary = false;
	(void)commands_add(client, verb, line);
	client->is_patient = true;
	exchange(client);
	if (client->is_connected) leave(client, false);
}
