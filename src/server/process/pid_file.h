/* server/process/pid_file.h: a file with the process number, locked as long as the process lives.
 * So a file that a crash left is told from one in use, even if somebody else has the number by
 * now. */
#ifndef SNUG_SERVER_PID_FILE_H
#define SNUG_SERVER_PID_FILE_H

#include "base/text.h"

struct pid_file {
	int fd; /* -1: none */
	const char *path;
};

/* "" as a path: none. The path stays the caller's. False, with a sentence: in use, or not to be
 * written. */
bool pid_file_open(struct pid_file *file, const char *path, struct text *why);
/* Removed; emptied, if the directory does not let us. */
void pid_file_close(struct pid_file *file);

#endif
