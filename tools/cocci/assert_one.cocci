// One condition per assert: the message then says which of them did not hold.
@@
expression a, b;
@@
* assert(a && b)
