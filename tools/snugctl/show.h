/* show.h: answers for people and for programs. */
#ifndef SNUGCTL_SHOW_H
#define SNUGCTL_SHOW_H

#include "link.h"

/* Names and values in two columns, with units that people read; "3:name" goes under a heading that
 * says what 3 is of the answers to `command`: "worker 3", "schedule 3". */
void show_table(const char *command, const struct reply *reply);
/* One object: numbers as numbers, all else as strings; what is counted by prefix under "prefixes"; other lines as
 * they are. Once: an answer's lines are cut in words. */
void show_json(const struct reply *reply);
/* What it is made of. */
void show_json_string(const char *text);
void show_json_value(const char *text);

/* {"workers":[{"worker":0,"stride_pages":1,"map":{..}},..]} */
void show_map_json(const struct reply *reply);
/* The workers' maps as text, or as a picture in a file. False: a sentence is on standard error. */
bool show_map(const struct reply *reply, const char *svg_path);

/* Figures that change, until a key or a signal ends it. `rounds` 0: without end. Returns the exit
 * status. */
int show_top(struct link *link, double interval_s, unsigned rounds);

#endif
