/* svg.h: what the two pictures share: a file being written, and colours that read on white and on
 * black. */
#ifndef REPLAY_SVG_H
#define REPLAY_SVG_H

#include <stdio.h>

#define SVG_WIDTH 900

/* Opens the file and the <svg> element; text is set in the reader's own colour scheme. NULL: a
 * message is on standard error. */
FILE *svg_begin(const char *path, int height, const char *title);
/* Closes both. False: not all could be written. */
int svg_end(FILE *svg);
void svg_text(FILE *svg, double x, double y, const char *css_class, const char *text);

#endif
