/* http/page.h: the dashboard, made one page and compiled in by embed.py. It asks for nothing else,
 * so it works where the machine reaches nothing. */
#ifndef SNUG_HTTP_PAGE_H
#define SNUG_HTTP_PAGE_H

#include <stddef.h>

extern const char http_page[];
extern const size_t http_page_length;

#endif
