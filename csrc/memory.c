/* memory.c: blocks of memory for arrays, kept by size when freed; the checksum that notices changed data, and a check
 * of positions.
 *
 * A page that a process touches for the first time is cleared by the system, which can cost more than the arithmetic
 * done in it; a training step frees and needs the same sizes again and again. So a freed block goes into the list of
 * its size class. What is in use and what is kept never exceed, together, the most that was in use at once (or
 * KEEP_ALWAYS): the process never holds more than it once needed. No per-thread lists: Python allocates under one
 * lock anyway. Read next: threads.c (scratch). */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "runtime.h"

#define ALIGN 64                     /* a cache line, and the widest vector */
#define HUGE_PAGE (INT64_C(2) << 20) /* x86 and most ARM: from here on, blocks start on a huge page */
#define KEEP_ALWAYS (INT64_C(256) << 20)

/* Size classes: multiples of 64 up to 512 bytes, then eight to each power of two, so a block is at most an eighth
 * larger than asked for. */
#define SMALL 512
#define N_CLASSES (8 + 8 * (48 - 9)) /* up to 2^48 bytes, the address space of today's processors */

typedef struct block {
    struct block *next;
} block;

static struct {
    pthread_mutex_t lock;
    block *kept[N_CLASSES];
    int64_t in_use, peak, kept_bytes;
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER};

static int class_of(int64_t bytes) {
    if (bytes <= SMALL) return bytes <= ALIGN ? 0 : (int)((bytes - 1) / ALIGN);
    int octave = 63 - __builtin_clzll((uint64_t)bytes - 1); /* 2^octave < bytes <= 2^(octave+1) */
    return 8 * (octave - 8) + (int)((bytes - 1) >> (octave - 3)) - 8;
}

static int64_t class_bytes(int c) {
    if (c < 8) return ALIGN * (int64_t)(c + 1);
    return (int64_t)(9 + c % 8) << (c / 8 + 5);
}

static void *system_alloc(int64_t bytes) {
    void *address;
    if (posix_memalign(&address, bytes >= HUGE_PAGE ? HUGE_PAGE : ALIGN, (size_t)bytes)) return NULL;
#ifdef MADV_HUGEPAGE
    if (bytes >= HUGE_PAGE) madvise(address, (size_t)(bytes & ~(HUGE_PAGE - 1)), MADV_HUGEPAGE); /* a hint: may fail */
#endif
    return address;
}

char *tg_scratch_alloc(int64_t bytes) {
    void *address = system_alloc(bytes);
    if (address) return address;
    fprintf(stderr, "tinygrad_edu: no memory for %lld bytes of scratch\n", (long long)bytes);
    abort();
}

/* Give kept blocks back to the system, the largest first, until at most `limit` bytes are kept. */
static void shrink_to(int64_t limit) {
    for (int c = N_CLASSES - 1; c >= 0 && pool.kept_bytes > limit; c--)
        while (pool.kept[c] && pool.kept_bytes > limit) {
            block *b = pool.kept[c];
            pool.kept[c] = b->next;
            pool.kept_bytes -= class_bytes(c);
            free(b);
        }
}

uintptr_t tg_alloc(int64_t bytes) {
    if (bytes < 0 || bytes > class_bytes(N_CLASSES - 1)) return 0;
    int c = class_of(bytes);
    int64_t size = class_bytes(c);
    pthread_mutex_lock(&pool.lock);
    void *address = pool.kept[c];
    if (address) {
        pool.kept[c] = pool.kept[c]->next;
        pool.kept_bytes -= size;
    }
    int64_t in_use = pool.in_use + size, peak = in_use > pool.peak ? in_use : pool.peak;
    if (!address) {
        shrink_to((peak > KEEP_ALWAYS ? peak : KEEP_ALWAYS) - in_use);
        address = system_alloc(size);
        if (!address) { /* what is kept may be what is missing */
            shrink_to(0);
            address = system_alloc(size);
        }
    }
    if (address) pool.in_use = in_use, pool.peak = peak;
    pthread_mutex_unlock(&pool.lock);
    return (uintptr_t)address;
}

void tg_free(uintptr_t address, int64_t bytes) {
    if (!address) return;
    int c = class_of(bytes);
    block *b = (block *)address;
    pthread_mutex_lock(&pool.lock);
    b->next = pool.kept[c];
    pool.kept[c] = b;
    pool.in_use -= class_bytes(c);
    pool.kept_bytes += class_bytes(c);
    pthread_mutex_unlock(&pool.lock);
}

static int64_t read_locked(const int64_t *value) {
    pthread_mutex_lock(&pool.lock);
    int64_t v = *value;
    pthread_mutex_unlock(&pool.lock);
    return v;
}

int64_t tg_memory_in_use(void) { return read_locked(&pool.in_use); }

int64_t tg_memory_peak(void) { return read_locked(&pool.peak); }

void tg_memory_reset_peak(void) {
    pthread_mutex_lock(&pool.lock);
    pool.peak = pool.in_use;
    pthread_mutex_unlock(&pool.lock);
}

void tg_memory_trim(void) {
    pthread_mutex_lock(&pool.lock);
    shrink_to(0);
    pthread_mutex_unlock(&pool.lock);
}

/* A fork copies the lists as they are: no other thread may be halfway through changing them. */
static void fork_prepare(void) { pthread_mutex_lock(&pool.lock); }
static void fork_done(void) { pthread_mutex_unlock(&pool.lock); }
__attribute__((constructor)) static void watch_forks(void) { pthread_atfork(fork_prepare, fork_done, fork_done); }

/* Eight lanes hide the latency of the multiplication: about 8 bytes a cycle. Each step is a bijection of the word it
 * takes in, so one changed word always shows; the rotation carries high bits (signs) down, where a product alone would
 * let two flipped signs cancel. The constants are xxHash's primes. */
#define LANES 8
#define P1 UINT64_C(0x9E3779B185EBCA87)
#define P2 UINT64_C(0xC2B2AE3D27D4EB4F)

static inline uint64_t rotate(uint64_t x, int by) { return x << by | x >> (64 - by); }

uint64_t tg_checksum(uintptr_t address, int64_t bytes) {
    const char *p = (const char *)address;
    uint64_t lane[LANES], word[LANES];
    for (int i = 0; i < LANES; i++) lane[i] = P2 * (uint64_t)(i + 1);
    int64_t whole = bytes / (int64_t)sizeof word;
    for (int64_t s = 0; s < whole; s++, p += sizeof word) {
        memcpy(word, p, sizeof word);
#pragma GCC unroll 8
        for (int i = 0; i < LANES; i++) lane[i] = rotate(lane[i] ^ word[i], 29) * P1;
    }
    memset(word, 0, sizeof word);
    for (int64_t left = bytes - whole * (int64_t)sizeof word, i = 0; i < left; i++) ((char *)word)[i] = p[i];
    uint64_t sum = (uint64_t)bytes * P2;
    for (int i = 0; i < LANES; i++) {
        lane[i] = rotate(lane[i] ^ word[i], 29) * P1;
        sum = rotate(sum ^ (lane[i] ^ lane[i] >> 32), 27) * P2;
    }
    return sum ^ sum >> 29;
}

int tg_in_range(uintptr_t address, int64_t n, int64_t low, int64_t high) {
    const int64_t *x = (const int64_t *)address;
    uint64_t signs = 0; /* of differences, which wrap only where a number is outside: vectors of any processor do it */
    for (int64_t i = 0; i < n; i++) signs |= ((uint64_t)x[i] - (uint64_t)low) | ((uint64_t)high - (uint64_t)x[i]);
    return !(signs >> 63);
}

int tg_probabilities(uintptr_t address, int64_t n, int dtype) {
    int outside = 0;
    if (dtype == TG_F32)
        for (int64_t i = 0; i < n; i++)
            outside |= !(((const float *)address)[i] >= 0 && ((const float *)address)[i] <= 1);
    else
        for (int64_t i = 0; i < n; i++)
            outside |= !(((const double *)address)[i] >= 0 && ((const double *)address)[i] <= 1);
    return !outside;
}

int64_t tg_true_places(uintptr_t bytes, int64_t n, int ndim, const int64_t *shape, uintptr_t places) {
    const uint8_t *x = (const uint8_t *)bytes;
    int64_t *out = (int64_t *)places, count = 0;
    if (!out) {
        for (int64_t i = 0; i < n; i++) count += x[i] != 0;
        return count;
    }
    for (int64_t i = 0; i < n; i++) {
        if (!x[i]) continue;
        int64_t at = i;
        for (int d = ndim - 1; d > 0; d--) {
            out[count * ndim + d] = at % shape[d];
            at /= shape[d];
        }
        out[ndim * count++] = at;
    }
    return count;
}
