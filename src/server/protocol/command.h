/* server/protocol/command.h: a command of a client, parsed; and the parser, which is told bytes and
 * gives commands, one key each.
 *
 *     get a b\r\n                ->  OPERATION a, OPERATION b, which ends the list
 *     set k 0 0 5\r\nhello\r\n   ->  OPERATION k; the value and "\r\n" are still in the input
 *     set k 0 x 5\r\nhello\r\n   ->  SAY_SKIP "CLIENT_ERROR ..", and 7 bytes that nobody looks at
 *     mn\r\n                     ->  SAY "MN"
 *     stats items\r\n            ->  STATS "items"
 *     80 01 00 01 08 ..          ->  OPERATION of one byte of key; the value is still in the input
 *
 * A line with several keys (get, gets, gat, gats) gives a command for each key, and one for its END
 * where that does not stand right behind the last of them. So it may be longer than what is at hand. What is left of it is the parser's state. A storing
 * line gives a command that says how many bytes follow: the value is the connection's concern.
 * Nothing is copied: a command's pointers lead into the bytes that were parsed.
 *
 * The parser never fails but by a command that says what to answer. */
#ifndef SNUG_SERVER_COMMAND_H
#define SNUG_SERVER_COMMAND_H

#include "cache/operation/operation.h"

#include <snug/version.h>

/* Of a line that is not a list of keys, its end left out; however it was cut. */
#define LINE_BYTES_MAX 2048u

enum command_kind {
	/* `operation`; a STORE's value of operation.value_bytes, and reply.value_end_bytes of VALUE_END,
	 * follow in the input */
	COMMAND_OPERATION,
	COMMAND_SAY, /* `text` is the answer */
	/* the same, and skip_bytes of the input after the line are not looked at: the value of a store
	 * that is refused; the old item, if operation.key is given (length > 0), goes: a client must
	 * not read what he thinks he has replaced */
	COMMAND_SAY_SKIP,
	/* operation.exptime: the delay, 0: now; answered with OK when all workers have done it */
	COMMAND_FLUSH,
	COMMAND_VERBOSITY, /* operation.delta: the level; answered with OK */
	/* operation.delta: the memory limit in MiB; answered with OK when all workers have it */
	COMMAND_MEMLIMIT,
	COMMAND_SHUTDOWN, /* operation.delta: enum command_shutdown */
	COMMAND_REFRESH,  /* refresh_certs: answered with OK when they are read again */
	COMMAND_STATS,    /* `text`: what stands behind "stats", without blanks around it */
	COMMAND_SNUG,     /* `text`: what stands behind "snug", likewise */
	COMMAND_CRAWLER,  /* the same of "lru_crawler" */
	COMMAND_WATCH,    /* the same of "watch" */
	/* says who the client is. Of the parser: SASL; `text` is the mechanism, operation.value_bytes
	 * follow in the input. Then connection_login.c's: `text` is what says it */
	COMMAND_LOGIN,
	COMMAND_QUIT, /* closes, after what was asked before was answered */
	/* the same, after `text` was said, if there is any: HTTP, a line that is too long, a packet
	 * that is none, the binary quit */
	COMMAND_FAIL,
};

/* memcached's two are one here: the end is always in order. */
enum command_shutdown { SHUTDOWN_PLAIN, SHUTDOWN_GRACEFUL, SHUTDOWN_UNKNOWN };

enum answer_form {
	ANSWER_GET,   /* VALUE key flags bytes; nothing if there is none */
	ANSWER_GETS,  /* .. and the CAS number */
	ANSWER_STORE, /* STORED .. */
	ANSWER_DELETE,
	ANSWER_TOUCH,
	ANSWER_NUMBER, /* incr, decr */
	ANSWER_META_GET,
	ANSWER_META_STORE,
	ANSWER_META_DELETE,
	ANSWER_META_NUMBER,
	ANSWER_META_DEBUG,
	ANSWER_BINARY, /* by reply.opcode */
};

#define REPLY_FLAGS_MAX 8u       /* letters that are answered, each once: O k c f h l s t */
#define OPAQUE_BYTES_MAX 32u     /* its letter included */
#define SHOWN_KEY_BYTES_MAX 336u /* of a key in base64 */

/* Lines of text end their values so; binary ones have no such end. */
#define VALUE_END "\r\n"
#define VALUE_END_BYTES 2u
/* And lists of keys so. */
#define LIST_END "END\r\n"
#define LIST_END_BYTES 5u

/* How an operation is answered. All of it is bounded, whatever the line was: what is kept of it
 * fits any record. */
struct reply {
	uint8_t form; /* enum answer_form */
	/* noreply: nothing is answered, errors included; meta q: nothing when all went as it usually
	 * does (answer.h) */
	bool is_quiet;
	bool is_base64; /* the key came, and goes back, in base64 */
	bool wants_value;
	uint8_t flag_count;
	uint8_t opaque_bytes;
	uint8_t value_end_bytes; /* of VALUE_END, behind a value that comes or goes */
	uint8_t opcode;          /* binary */
	bool ends_list;          /* the last key of a get line: its END is said with the answer */
	uint32_t shown_key_bytes;
	char flag[REPLY_FLAGS_MAX]; /* meta: what is answered, in this order */
	uint32_t token;             /* binary: the opaque, as its bytes are */
	const char *shown_key;      /* in the input: the key as it was given */
	const char *opaque;         /* in the input: what O says, its letter included */
};

static inline bool reply_is_binary(const struct reply *reply) {
	return reply->value_end_bytes == 0;
}

struct command {
	uint8_t kind;      /* enum command_kind */
	bool is_too_large; /* SAY_SKIP: that is why */
	bool is_listed;    /* of the list of keys of a get line */
	bool ends_list;    /* of it, but no key: what is said at the line's end */
	uint8_t verb;      /* parser.verb, of what is no list */
	struct reply reply;
	const char *text;
	size_t text_bytes;
	uint64_t skip_bytes;
	struct operation operation;
};

/* What the parser is in the midst of: zero in the beginning, or with a speech alone. */
struct parser {
	uint8_t speech;  /* enum parser_speech */
	uint8_t list;    /* keys of a get line are to come: 1 + enum answer_form; 0: none */
	bool touches;    /* gat, gats */
	bool is_keyless; /* blanks alone so far, more than the bound: no key may come */
	/* a key of the list was wrong, and that was answered: what is left of the line is passed
	 * over */
	bool is_broken;
	uint8_t verb; /* of the last command that was whole: parser_last_command tells it */
	int64_t exptime;
};

/* The last command that was whole, by its first word, of a packet by its name: "get", "mg",
 * "append"; "unknown" if there is no such command, "none" before the first. */
const char *parser_last_command(const struct parser *parser);

/* Which protocol a client speaks: its first byte says it, for as long as the connection lasts. */
enum parser_speech {
	SPEECH_UNKNOWN, /* nothing has come yet */
	SPEECH_TEXT,
	SPEECH_BINARY,
	/* nothing has come yet, and the other protocol is refused, in its own words */
	SPEECH_TEXT_ALONE,
	SPEECH_BINARY_ALONE,
};

#define DECODED_KEY_BYTES (SNUG_KEY_BYTES_MAX + 2u)

/* What a command holds besides depends on its kind: OPERATION: reply, operation as its kind needs;
 * others: text. Always set: reply.is_quiet, .value_end_bytes, .shown_key, where it is binary
 * .opcode and .token; operation.key, .options, .value, .value_bytes, .lease.ref. */

/* The next command in [bytes, bytes + length). Writes `*command` whole; `*used` are the bytes it
 * took, line end included, value excluded. `decoded` is DECODED_KEY_BYTES of room for a key in
 * base64, or what a binary client is told, which the command refers to. False: there is no whole
 * command there yet; `*used` bytes may be dropped all the same. The hash of operation.key is not made
 * here. item_max_bytes: longer values are refused. */
bool parser_next(struct parser *parser, const char *bytes, size_t length, uint64_t item_max_bytes,
				 char *decoded, struct command *command, size_t *used);

/* ------------------------------------------------------------------ who the client is ------ */

/* It says who he is; or what follows it does, if he has not been let in. */
bool command_is_login(const struct command *command);
/* Who has not been let in may say it. */
bool command_is_for_strangers(const struct command *command);

enum login_step {
	LOGIN_VALUE,           /* who he is follows */
	LOGIN_LIST,            /* asks which mechanisms there are */
	LOGIN_FIRST,           /* the value comes with the next step */
	LOGIN_NEXT,            /* which is this one */
	LOGIN_LONG_MECHANISM,  /* than any has */
	LOGIN_OTHER_MECHANISM, /* than PLAIN */
};
enum login_step command_login_step(const struct command *command);
/* The answer to LIST and FIRST. `told` is DECODED_KEY_BYTES of room, here and below. */
void command_say_login(struct command *command, enum login_step step, char *told);

enum command_refusal {
	REFUSED_STRANGER,    /* he must say who he is first */
	REFUSED_NOT_ALLOWED, /* this user may not */
	REFUSED_UNKNOWN,     /* nobody has to say who he is here */
	REFUSED_MECHANISM,
	REFUSED_TOO_LONG,
	REFUSED_BAD_END,
};
/* It becomes words that say so, and its value is passed over. */
void command_refuse(struct command *command, enum command_refusal why, char *told);

/* What a COMMAND_LOGIN's text says; in the command's text. False: it says nothing of the kind. */
struct login {
	const char *name;
	size_t name_bytes;
	const char *password;
	size_t password_bytes;
};
bool command_read_login(const struct command *command, struct login *login);

/* The key of the one command that the bytes are, as a guess for who asks for memory early: nothing
 * else may depend on it. False: several commands or keys, or none that is easily seen. */
bool command_peek(const char *bytes, size_t length, const char **key, size_t *key_bytes);

#endif
