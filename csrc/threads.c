/* threads.c: the team of worker threads, and the scratch of every thread.
 *
 * Workers never wait for each other. A phase is a ticket: one atomic word that says which phase it is and how many of
 * its units are left. Whoever is free, the caller included, takes a piece off it; the phase is over when all units are
 * done, whoever did them. So a core that is slow, or a worker that wakes late, delays nothing but its own piece.
 * Not here: nested teams, and sharing the workers between two callers (the second runs alone). Read next: tape.c. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "runtime.h"

#define MAX_THREADS 256
#define SPIN_NS 50000    /* how long a worker spins after a region: what it costs to wake one up, both sides together */
#define YIELD_NS 1000000 /* who has spun for this long inside a region lets other processes have the core */
#define LINE 128         /* bytes between things that different threads write: x86 fetches 64-byte lines in pairs */
#define WORKER_STACK (2 << 20)

typedef struct {
    pthread_t thread;
    char *own;
    int64_t own_bytes;
} worker;

static struct {
    _Alignas(LINE) _Atomic uint64_t ticket; /* number of the phase << 32 | units left */
    _Alignas(LINE) _Atomic int64_t done;    /* units of this phase that are finished */
    _Alignas(LINE) _Atomic int open;        /* inside a region: do not sleep */
    _Atomic int quit;
    _Atomic int cpu; /* where the caller entered the region */
    _Alignas(LINE) _Atomic int sleepers;
    /* What the ticket is for. Written before the ticket, and not before all units of the last one are done. */
    _Alignas(LINE) const tg_node *node;
    int64_t units;
    int phase, size, wanted; /* size: threads that run, the caller counted; wanted: what was asked for, 0 = default */
    uint32_t phases;
    worker workers[MAX_THREADS];
    pthread_mutex_t region; /* held by the caller whom the workers help */
    pthread_mutex_t sleep;
    pthread_cond_t wake;
} team = {
    .size = 1,
    .region = PTHREAD_MUTEX_INITIALIZER,
    .sleep = PTHREAD_MUTEX_INITIALIZER,
    .wake = PTHREAD_COND_INITIALIZER,
};

static inline void pause_cpu(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb"); /* "yield" is a no-op on most ARM cores; isb waits about as long as pause does */
#endif
}

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* A spin of a few dozen pauses between looks at the clock, which costs as much as one pause or two. */
typedef struct {
    int64_t since;
    int turns;
} spin;

/* Nanoseconds of this spin so far, as of the last look at the clock. */
static inline int64_t spin_on(spin *s) {
    pause_cpu();
    if (++s->turns % 32) return 0;
    int64_t now = now_ns();
    if (!s->since) s->since = now;
    return now - s->since;
}

static void grow(char **memory, int64_t *have, int64_t want) {
    if (want <= *have) return;
    free(*memory);
    *memory = tg_scratch_alloc(want);
    *have = want;
}

/* Take some of the units that are left and run them; 0 if there were none. A piece is a share of what is left: large
 * at first, so that neighbouring units stay on one core, and small at the end, so that all finish together. */
static int take_piece(worker *self, char *own) {
    uint64_t ticket = atomic_load_explicit(&team.ticket, memory_order_acquire);
    uint32_t left, take;
    do {
        left = (uint32_t)ticket;
        if (!left) return 0;
        take = left / (2 * (uint32_t)team.size);
        if (!take) take = 1;
    } while (!atomic_compare_exchange_weak_explicit(&team.ticket, &ticket, ticket - take, memory_order_acq_rel,
                                                    memory_order_acquire));
    /* From here until `done` counts this piece, the phase cannot end and nobody writes node, phase, units. */
    if (self) {
        grow(&self->own, &self->own_bytes, team.node->own_bytes);
        own = self->own;
    }
    int64_t lo = team.units - left;
    team.node->run(team.node, team.phase, lo, lo + take, own);
    atomic_fetch_add_explicit(&team.done, take, memory_order_release);
    return 1;
}

/* Leave the processor that the caller runs on. A woken thread is put beside its waker and often stays there for long:
 * the caller takes all units itself, so the system sees no reason to part the two (512x512x512 with two threads: 300
 * GFLOP/s instead of 470). */
#ifdef __linux__
static void leave_callers_cpu(const cpu_set_t *allowed) {
    int cpu = atomic_load_explicit(&team.cpu, memory_order_relaxed);
    if (sched_getcpu() != cpu) return;
    cpu_set_t others = *allowed;
    CPU_CLR(cpu, &others);
    if (CPU_COUNT(&others)) sched_setaffinity(0, sizeof others, &others);
}
#endif

static void *work(void *argument) {
    worker *self = argument;
#ifdef __linux__
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed)) CPU_ZERO(&allowed);
#endif
    spin idle = {0, 0}, closed = {0, 0};
    while (!atomic_load_explicit(&team.quit, memory_order_relaxed)) {
        if (take_piece(self, NULL)) {
            idle = (spin){0, 0};
            continue;
        }
        if (atomic_load_explicit(&team.open, memory_order_relaxed)) {
#ifdef __linux__
            leave_callers_cpu(&allowed);
#endif
            closed = (spin){0, 0};
            if (spin_on(&idle) > YIELD_NS) sched_yield();
            continue;
        }
        if (spin_on(&closed) < SPIN_NS) continue;
        /* enter sets `open`, then reads `sleepers`; here it is the other way round: one of the two sees the other. */
        pthread_mutex_lock(&team.sleep);
        atomic_fetch_add(&team.sleepers, 1);
        while (!atomic_load(&team.open) && !atomic_load(&team.quit)) pthread_cond_wait(&team.wake, &team.sleep);
        atomic_fetch_sub(&team.sleepers, 1);
        pthread_mutex_unlock(&team.sleep);
#ifdef __linux__
        leave_callers_cpu(&allowed);
#endif
        idle = (spin){0, 0};
    }
    return NULL;
}

/* The lock makes sure that a worker either waits by now or has yet to look at `open`. It is free again before the
 * broadcast, or who wakes up would run into it and sleep once more. */
static void wake_sleepers(void) {
    pthread_mutex_lock(&team.sleep);
    pthread_mutex_unlock(&team.sleep);
    pthread_cond_broadcast(&team.wake);
}

#ifdef __linux__
/* The lowest-numbered processor that shares cpu's core, or cpu itself where the system does not say. */
static int core_of(int cpu) {
    char path[96];
    int first = cpu;
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu);
    FILE *f = fopen(path, "r");
    if (!f) return cpu;
    if (fscanf(f, "%d", &first) != 1) first = cpu;
    fclose(f);
    return first;
}

/* What a container's limit leaves of n processors: "quota period" in microseconds, or "max". */
static int within_quota(int n) {
    long quota, period;
    FILE *f = fopen("/sys/fs/cgroup/cpu.max", "r");
    if (!f) return n;
    if (fscanf(f, "%ld %ld", &quota, &period) == 2 && (quota + period - 1) / period < n)
        n = (int)((quota + period - 1) / period);
    fclose(f);
    return n;
}
#endif

/* TG_THREADS, else the cores that this process may use; two hardware threads of one core count once, since they share
 * the vector units that kernels are bound by. */
static int default_threads(void) {
    const char *wish = getenv("TG_THREADS");
    int n = wish ? atoi(wish) : 0;
    if (n > 0) return n;
#ifdef __linux__
    cpu_set_t allowed, cores;
    CPU_ZERO(&cores);
    if (!sched_getaffinity(0, sizeof allowed, &allowed)) {
        for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
            if (CPU_ISSET(cpu, &allowed)) CPU_SET(core_of(cpu), &cores);
        return within_quota(CPU_COUNT(&cores));
    }
#endif
    return (int)sysconf(_SC_NPROCESSORS_ONLN);
}

/* How many threads a region has. Caller holds team.region. */
static int wanted(void) {
    if (!team.wanted) team.wanted = default_threads();
    if (team.wanted > MAX_THREADS) team.wanted = MAX_THREADS;
    return team.wanted;
}

/* A fork copies the memory but not the workers: the child starts over. Their scratch stays, for its own workers. */
static void forked(void) {
    team.size = 1;
    atomic_store(&team.ticket, 0);
    atomic_store(&team.open, 0);
    atomic_store(&team.quit, 0);
    atomic_store(&team.sleepers, 0);
    pthread_mutex_init(&team.region, NULL);
    pthread_mutex_init(&team.sleep, NULL);
    pthread_cond_init(&team.wake, NULL);
}

/* Start workers until there are as many as wanted or the system has no more. Caller holds team.region. */
static void start_workers(void) {
    static int watching;
    if (!watching) watching = !pthread_atfork(NULL, NULL, forked);
    sigset_t all, before;
    pthread_attr_t attributes;
    sigfillset(&all);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, WORKER_STACK);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are for Python's main thread: workers inherit this mask */
    int n = wanted();
    for (int i = 1; i < n; i++) {
        if (pthread_create(&team.workers[i].thread, &attributes, work, &team.workers[i])) break;
        team.size = i + 1;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
}

static void stop_workers(void) {
    atomic_store(&team.quit, 1);
    wake_sleepers();
    for (int i = 1; i < team.size; i++) {
        pthread_join(team.workers[i].thread, NULL);
        free(team.workers[i].own);
        team.workers[i] = (worker){0};
    }
    atomic_store(&team.quit, 0);
    team.size = 1;
}

int tg_team_enter(void) {
    if (pthread_mutex_trylock(&team.region)) return 0;
    if (wanted() > 1 && team.size == 1) start_workers();
    if (team.size == 1) {
        pthread_mutex_unlock(&team.region);
        return 0;
    }
#ifdef __linux__
    atomic_store_explicit(&team.cpu, sched_getcpu(), memory_order_relaxed);
#endif
    atomic_store(&team.open, 1);
    if (atomic_load(&team.sleepers)) wake_sleepers();
    return 1;
}

void tg_team_phase(const tg_node *node, int phase, int64_t units, char *own) {
    team.node = node;
    team.phase = phase;
    team.units = units;
    atomic_store_explicit(&team.done, 0, memory_order_relaxed);
    atomic_store_explicit(&team.ticket, (uint64_t)++team.phases << 32 | (uint64_t)units, memory_order_release);
    while (take_piece(NULL, own)) continue;
    spin waiting = {0, 0};
    while (atomic_load_explicit(&team.done, memory_order_acquire) < units)
        if (spin_on(&waiting) > YIELD_NS) sched_yield(); /* a worker may have lost its core to another process */
}

void tg_team_leave(void) {
    atomic_store_explicit(&team.open, 0, memory_order_release);
    pthread_mutex_unlock(&team.region);
}

void tg_threads_set(int n) {
    if (n < 1) n = 1;
    if (n > MAX_THREADS) n = MAX_THREADS;
    pthread_mutex_lock(&team.region);
    if (n != team.size) stop_workers();
    team.wanted = n;
    pthread_mutex_unlock(&team.region);
}

int tg_threads_get(void) {
    pthread_mutex_lock(&team.region);
    int n = wanted();
    pthread_mutex_unlock(&team.region);
    return n;
}

static pthread_key_t scratch_key;
static pthread_once_t scratch_once = PTHREAD_ONCE_INIT;

static void scratch_free(void *scratch) {
    tg_scratch *s = scratch;
    free(s->aux);
    free(s->own);
    free(s);
}

static void scratch_init(void) {
    if (pthread_key_create(&scratch_key, scratch_free)) abort(); /* a process has hundreds of keys and uses a few */
}

tg_scratch *tg_scratch_get(int64_t aux_bytes, int64_t own_bytes) {
    pthread_once(&scratch_once, scratch_init);
    tg_scratch *s = pthread_getspecific(scratch_key);
    if (!s) {
        s = (tg_scratch *)tg_scratch_alloc(sizeof *s);
        *s = (tg_scratch){0};
        pthread_setspecific(scratch_key, s);
    }
    grow(&s->aux, &s->aux_bytes, aux_bytes);
    grow(&s->own, &s->own_bytes, own_bytes);
    return s;
}
