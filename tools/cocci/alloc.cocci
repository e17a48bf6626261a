// All allocation goes through base/alloc.h, so that tests can make any of it fail.
@@
identifier f =~ "^(malloc|calloc|realloc|reallocarray|free|strdup|strndup|aligned_alloc|posix_memalign|asprintf|vasprintf)$";
@@
* f(...)
