// Nothing to call: the library is preloaded into a program (see crash.c).
