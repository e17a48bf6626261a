// Errors are returned negative: -LV_E_NOMEM, never LV_E_NOMEM.
@@
identifier e =~ "^LV_E_";
@@
* return e;
