/* cmocka_all.h: cmocka.h with the headers that it asks its users to include first. */
#ifndef SNUG_TEST_CMOCKA_ALL_H
#define SNUG_TEST_CMOCKA_ALL_H

/* The order is cmocka's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
