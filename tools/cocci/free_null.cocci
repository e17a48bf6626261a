// lv_free() and the lv_..._free() and ..._unref() functions take NULL; asking first is noise.
@@
expression p;
identifier f =~ "^lv_([a-z0-9_]+_)?(free|unref)$";
@@
(
* if (p != NULL) f(p);
|
* if (p) f(p);
)
