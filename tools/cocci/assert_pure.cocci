// An assert changes nothing: the program has to be the same without it.
@@
expression a, b;
@@
(
* assert(<+... a = b ...+>)
|
* assert(<+... a++ ...+>)
|
* assert(<+... a-- ...+>)
|
* assert(<+... ++a ...+>)
|
* assert(<+... --a ...+>)
)
