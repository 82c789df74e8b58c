/* server/settings.h: what snugd was told to do: by its command line, its config file, or by default. */
#ifndef SNUG_SERVER_SETTINGS_H
#define SNUG_SERVER_SETTINGS_H

#include "server/io.h"

#define SETTINGS_LISTEN_MAX 16u

struct settings {
	uint64_t memory_bytes;     /* -m: MiB; of everything, over all workers */
	uint64_t memory_max_bytes; /* --memory-max: as far as `snug limit` may go; default: memory */
	uint32_t threads;          /* -t */
	uint32_t connections_max;  /* -c */
	uint64_t item_max_bytes;   /* -I */
	bool no_eviction;          /* -M */
	bool no_flush;             /* -F: flush_all is refused */
	bool huge_pages;           /* -L */
	uint16_t port;             /* -p; 0: a free one, which is printed; TCP off when there is only a unix socket */
	bool has_port;             /* -p was given */
	char listen[SETTINGS_LISTEN_MAX][128]; /* -l: addresses, "127.0.0.1", "[::1]:11211", "localhost" */
	uint32_t listen_count;
	char socket_path[108];    /* -s; "": none */
	uint32_t socket_mask;     /* -a: octal access bits */
	char control_path[108];   /* --control: the same protocol on a socket for the owner alone; "": none */
	uint32_t backlog;         /* -b */
	uint32_t idle_timeout_s;  /* -o idle_timeout: 0: none */
	bool daemonize;           /* -d */
	char user[64];            /* -u */
	char pid_file[256];       /* -P */
	uint32_t verbosity;       /* -v, -vv, -vvv */
	bool log_json;            /* --log-format plain|json */
	enum io_kind io;          /* --io auto|uring|epoll */
	bool background;          /* --defrag on|off: background cleanup by the coordinator */
	uint32_t defrag_duty_ppm; /* --defrag-duty: per cent of a worker's time while serving */
	uint32_t defrag_step_bytes;
};

#endif
