/*
 * base/banned.h - functions of libc that nobody calls here.
 *
 * The build includes this before every file. The headers that declare these functions come first,
 * so that only their use is an error and not their declaration. Each name has a bounded or
 * error-reporting counterpart: lv_str…, snprintf, strtoul and the like.
 */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Macros in some configurations of glibc; poisoning is for the names themselves. */
#undef alloca
#undef sprintf
#undef vsprintf
#undef strcpy
#undef strcat
#undef stpcpy
#undef strncpy
#undef strncat

/* No bound on what is written. */
#pragma GCC poison strcpy strcat sprintf vsprintf gets stpcpy
/* A bound, but no terminator, or a bound that means something else than one expects. */
#pragma GCC poison strncpy strncat
/* No report of bad numbers, no bound on the stack. */
#pragma GCC poison atoi atol atoll atof alloca
/* A state or a result shared by all threads; each has a counterpart that ends in _r. */
#pragma GCC poison strtok localtime gmtime ctime asctime
