/* server/settings/settings.h: what snugd was told to do: by its command line, its config file, or
 * by default. The door of this room:
 *
 *     settings.c            defaults, what must fit together once all is read, `stats settings`
 *     settings_table.h      the one table of options, and what the files of this room share
 *     settings_table.c      the table as data; finding in it; how a refusal is told
 *     settings_value.c      text <-> a field, by its kind and bounds
 *     settings_parse.c      the command line
 *     settings_config.c     the config file
 *     settings_help.c       --help and --check-config
 *     settings_manual.c     --man
 *
 *     presets --> config files --> command line --> what must fit together --> struct settings
 *
 * What is told later wins. The struct is plain data: whoever has one may copy it, and it stays as
 * it is. What may change while snugd runs is process/settings_live.h's.
 *
 * Whoever tells something wrong gets a sentence, and no settings: a server that ignored an option
 * would do something else than it was told. What has no effect here is said in a note, and snugd
 * starts. */
#ifndef SNUG_SERVER_SETTINGS_H
#define SNUG_SERVER_SETTINGS_H

#include "base/text.h"
#include "server/io/io.h"

#include <snug/shard.h>
#include <string.h>

#define SETTINGS_LIST_MAX 16u
#define SETTINGS_PORT_NONE 0   /* no TCP */
#define SETTINGS_PORT_ANY (-1) /* one that the kernel chooses */
/* Connections to the control socket at a time; conn-limit does not count them. */
#define OPERATORS_MAX 8u
#define SETTINGS_NO_CONTROL "none" /* as a path of the control socket */

enum settings_protocol { SETTINGS_PROTOCOL_AUTO, SETTINGS_PROTOCOL_TEXT, SETTINGS_PROTOCOL_BINARY };

/* An option that may have several values. */
struct settings_list {
	uint32_t count;
	char entry[SETTINGS_LIST_MAX][128];
};

struct settings {
	uint64_t memory_bytes; /* -m: MiB; of everything, over all workers */
	/* --connection-memory: of all workers' connections together */
	uint64_t connection_memory_bytes;
	/* --memory-max: as far as `snug limit` may go; default: memory */
	uint64_t memory_max_bytes;
	uint32_t threads;         /* -t */
	uint32_t accept_threads;  /* workers 0 .. this take connections */
	uint32_t connections_max; /* -c */
	uint64_t item_max_bytes;  /* -I */
	uint64_t keep_free_bytes; /* --keep-free: of all workers together */
	bool no_eviction;         /* -M */
	snug_evict_for evict_for; /* --evict-for hits|bytes */
	bool no_flush;            /* -F: flush_all is refused */
	bool huge_pages;          /* -L */
	bool collapse;
	bool lock_memory;         /* -k */
	char memory_file[256];    /* -e: where the items outlive the process; "": nowhere */
	bool memory_file_on_disk; /* --memory-file-on-disk */
	/* -p: a port, PORT_NONE or PORT_ANY; once snugd listens, the port that it got */
	int32_t port;
	bool has_port;               /* -p was given */
	struct settings_list listen; /* -l: addresses, "127.0.0.1", "[::1]:11211", "localhost" */
	char socket_path[108];       /* -s; "": none */
	uint32_t socket_mask;        /* -a: octal access bits */
	/* --control: the operator's socket; "": where it is by default; "none" */
	char control_path[108];
	/* --control-group: who may use it beside the owner; "": nobody */
	char control_group[64];
	/* --control-only: all commands that begin with snug are refused elsewhere */
	bool control_only;
	bool open_commands;   /* --open-commands: none is */
	bool no_dump;         /* -X: snug items is refused elsewhere */
	bool no_watch;        /* -W */
	bool enable_shutdown; /* -A: clients may end the server */
	/* --http: the address for metrics, health and the dashboard; "": none */
	char http[128];
	bool http_ssl; /* --http-ssl: it speaks TLS alone, with the certificate of -Z */
	/* --http-host: names by which it may be asked, beside that of --http */
	struct settings_list http_hosts;
	char http_token_file[256];
	char auth_file[256];             /* -Y: the users; "": no authentication */
	enum settings_protocol protocol; /* -B auto|ascii|binary */
	bool ssl_enabled;                /* -Z: clients over TCP speak TLS, but on notls: addresses */
	char ssl_chain_cert[256]; /* the server's certificate, and those between it and its root */
	char ssl_key[256];        /* "": in the same file */
	uint32_t ssl_keyformat;   /* 1: PEM, 2: DER */
	char ssl_ca_cert[256];    /* who may sign clients' certificates; "": nobody */
	uint32_t ssl_verify_mode; /* 0: clients are asked for none, 1: for one, 2: must have one */
	char ssl_ciphers[384];    /* "": OpenSSL's */
	uint32_t ssl_min_version; /* 0: TLS 1.2, 1: TLS 1.3 */
	bool ssl_session_cache;   /* clients may resume sessions */
	bool ssl_kernel_tls;      /* large answers are encrypted by the kernel, where it can */
	uint32_t ssl_wbuf_bytes;  /* at least so much is encrypted for a send: see tls_io.c */
	uint32_t ssl_handshake_timeout_s;
	uint32_t backlog;         /* -b */
	uint32_t turn_commands;   /* -R: of one connection, before others get their turn */
	uint32_t idle_timeout_s;  /* -o idle_timeout: 0: none */
	char hash_secret[33];     /* --hash-secret: 32 hexadecimal digits; "": random */
	bool core_dumps;          /* -r */
	bool daemonize;           /* -d */
	char user[64];            /* -u */
	char pid_file[256];       /* -P */
	char prefix_delimiter[2]; /* -D; "": nothing is counted by prefix before it is asked for */
	uint32_t verbosity;       /* -v, -vv, -vvv */
	bool log_json;            /* --log-format plain|json */
	enum io_kind io;          /* --io auto|uring|epoll */
	bool background;          /* --defrag on|off: background cleanup by the coordinator */
	uint32_t defrag_duty_ppm; /* --defrag-duty: per cent of a worker's time while serving */
	uint32_t defrag_step_bytes;
};

/* How clients of one address of -l are spoken to. */
enum settings_tls {
	SETTINGS_TLS_NONE,     /* notls:, and all without -Z */
	SETTINGS_TLS_AS_SET,   /* by --ssl-verify-mode */
	SETTINGS_TLS_UNASKED,  /* btls: no certificate is asked for */
	SETTINGS_TLS_CERTIFIED /* mtls: one is needed */
};

enum settings_wish {
	/* the settings are complete; the text holds notes, a line each, about what has no effect
	 * here */
	SETTINGS_RUN,
	SETTINGS_TELL, /* the text (help, version, manual page) is to be printed, and that is all */
	/* the same, a config file, if snugd could start with the settings, which are complete */
	SETTINGS_CHECK,
	SETTINGS_REFUSE /* the text is a sentence that says why; the settings are not to be used */
};

/* Reads the config file that the command line names, then the command line, which wins. */
enum settings_wish settings_parse(int argument_count, char *const *arguments, struct settings *out,
								  struct text *text);

/* Name and value of each setting, for `stats settings`: memcached's names where it has them. */
void settings_visit(const struct settings *settings,
					void (*visit)(void *context, const char *name, const char *value),
					void *context);

/* The largest item that each of the workers can always store: the most that --max-item-size may be,
 * and its default where that is less than the table's. */
uint64_t settings_item_most_bytes(const struct settings *settings);

/* What stands before an entry's address says how its clients are spoken to: "notls:127.0.0.1". Tells
 * where the address begins. */
const char *settings_listen_address(const struct settings *settings, const char *entry,
									enum settings_tls *tls);

static inline char settings_prefix_delimiter(const struct settings *settings) {
	return settings->prefix_delimiter[0] != '\0' ? settings->prefix_delimiter[0] : ':';
}

/* A control socket is named, or has been found a place. */
static inline bool settings_has_control_path(const struct settings *settings) {
	return settings->control_path[0] != '\0' &&
		   strcmp(settings->control_path, SETTINGS_NO_CONTROL) != 0;
}

/* It is not turned off; it may still have no place. */
static inline bool settings_wants_control(const struct settings *settings) {
	return strcmp(settings->control_path, SETTINGS_NO_CONTROL) != 0;
}

/* Port 0 turns TCP off, as does a unix socket alone, unless a port or an address was asked for. */
static inline bool settings_want_tcp(const struct settings *settings) {
	if (settings->port == SETTINGS_PORT_NONE) return false;
	return settings->socket_path[0] == '\0' || settings->has_port || settings->listen.count > 0;
}

#endif
