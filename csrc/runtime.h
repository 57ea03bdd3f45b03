/* runtime.h: what the files of the runtime (tape.c, threads.c, memory.c) need of each other; no kernel sees it.
 *
 * Only pthreads and C11 atomics are used, no OpenMP: they are part of libc on Linux and macOS, so a wheel needs no
 * other library and meets no second copy of one, and the thread sanitizer understands them. */
#ifndef TG_RUNTIME_H
#define TG_RUNTIME_H

#include <stdint.h>

#include "tg.h"

/* memory.c: memory straight from the system, 64-byte aligned, on huge pages where large; ends the process with a
 * message when there is none, for callers that have no way to report it. free() gives it back. */
char *tg_scratch_alloc(int64_t bytes);

/* threads.c: scratch of the calling thread, kept until the thread ends: aux is for all threads that help it, own for
 * itself. The pointers hold until the thread's next call. */
typedef struct {
    char *aux, *own;
    int64_t aux_bytes, own_bytes;
} tg_scratch;
tg_scratch *tg_scratch_get(int64_t aux_bytes, int64_t own_bytes);

/* threads.c: between enter and leave the workers stand by. enter returns 0 where there are none, or where another
 * thread has them: then the caller does everything itself. phase runs all units of one phase and returns when
 * they are done; own is the caller's scratch. */
int tg_team_enter(void);
void tg_team_phase(const tg_node *node, int phase, int64_t units, char *own);
void tg_team_leave(void);

#endif
