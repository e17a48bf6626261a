// lv_alloc() gives void *, which needs no cast in C; a cast would hide a wrong type.
@@
type t;
identifier f =~ "^lv_(alloc|calloc|realloc)$";
@@
* (t *)f(...)
