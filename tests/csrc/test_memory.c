/* test_memory.c: blocks are large enough, aligned, counted, handed out again; checksums see every change. */
#include <pthread.h>

#include "check.h"

#define MIB (INT64_C(1) << 20)

static void *churn(void *seed) {
    uint64_t state = (uint64_t)(uintptr_t)seed;
    char *held[16] = {0};
    int64_t bytes[16] = {0};
    for (int i = 0; i < 4000; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        int k = (int)(state >> 60);
        for (int64_t b = 0; b < bytes[k]; b += 97) CHECK(held[k][b] == (char)k, "a block was handed out twice");
        tg_free((uintptr_t)held[k], bytes[k]);
        bytes[k] = (int64_t)(state >> 20 & 0xffff);
        held[k] = (char *)tg_alloc(bytes[k]);
        memset(held[k], k, (size_t)bytes[k]);
    }
    for (int k = 0; k < 16; k++) tg_free((uintptr_t)held[k], bytes[k]);
    return NULL;
}

static void test_in_range(void) {
    enum { N = 37 };
    int64_t x[N];
    for (int i = 0; i < N; i++) x[i] = i - 5;
    CHECK(tg_in_range((uintptr_t)x, N, -5, N - 6), "all are inside");
    CHECK(tg_in_range((uintptr_t)x, 0, 1, 0), "none is outside");
    const int64_t outside[] = {-6, N - 5, INT64_MIN, INT64_MAX};
    for (int i = 0; i < N; i++) {
        int64_t was = x[i];
        x[i] = outside[i % 4];
        CHECK(!tg_in_range((uintptr_t)x, N, -5, N - 6), "number %d outside unseen", i);
        x[i] = was;
    }
}

static void test_true_places(void) {
    enum { N = 37 };
    uint8_t bytes[N];
    int64_t places[3 * N + 1], expected = 0;
    const int64_t all = N, shape[3] = {2, 4, 5}; /* 40 places, of which 37 are looked at */
    for (int i = 0; i < N; i++) bytes[i] = (uint8_t)(i % 3 ? 0 : i + 1), expected += i % 3 == 0;
    places[expected] = -7;
    CHECK(tg_true_places((uintptr_t)bytes, N, 1, &all, 0) == expected, "counted");
    CHECK(tg_true_places((uintptr_t)bytes, N, 1, &all, (uintptr_t)places) == expected, "counted while written");
    for (int k = 0; k < expected; k++) CHECK(places[k] == 3 * k, "place %d is %lld", k, (long long)places[k]);
    CHECK(places[expected] == -7, "written past the end");
    CHECK(tg_true_places((uintptr_t)bytes, 0, 1, &all, (uintptr_t)places) == 0, "none in nothing");
    CHECK(tg_true_places((uintptr_t)bytes, N, 3, shape, (uintptr_t)places) == expected, "counted in dimensions");
    for (int k = 0; k < expected; k++) {
        const int64_t *at = places + 3 * k;
        CHECK((at[0] * 4 + at[1]) * 5 + at[2] == 3 * k && at[1] < 4 && at[2] < 5, "place %d in dimensions", k);
    }
}

static void test_checksum(void) {
    enum { N = 1000 };
    char data[N];
    for (int i = 0; i < N; i++) data[i] = (char)(i * 37);
    for (int n = 0; n <= N; n += n < 140 ? 1 : 97) {
        uint64_t whole = tg_checksum((uintptr_t)data, n);
        for (int i = 0; i < n; i++) {
            data[i] ^= 1 << i % 8;
            CHECK(tg_checksum((uintptr_t)data, n) != whole, "byte %d of %d changed unseen", i, n);
            data[i] ^= 1 << i % 8;
        }
        CHECK(tg_checksum((uintptr_t)data, n) == whole, "not a function of the bytes");
    }
    double x[64];
    for (int i = 0; i < 64; i++) x[i] = i + 1;
    uint64_t before = tg_checksum((uintptr_t)x, sizeof x);
    for (int i = 0; i < 64; i++) x[i] = -x[i];
    CHECK(tg_checksum((uintptr_t)x, sizeof x) != before, "negation unseen");
    for (int i = 0; i < 64; i++) x[i] = -x[i];
    double first = x[0];
    x[0] = x[8], x[8] = first;
    CHECK(tg_checksum((uintptr_t)x, sizeof x) != before, "exchange unseen");
}

void test_memory(void) {
    tg_memory_trim();
    int64_t start = tg_memory_in_use();
    for (int64_t bytes = 0; bytes < 5000; bytes++) {
        uintptr_t block = tg_alloc(bytes);
        CHECK(block && block % 64 == 0, "%lld bytes", (long long)bytes);
        memset((char *)block, 1, (size_t)bytes);
        int64_t used = tg_memory_in_use() - start;
        CHECK(used >= bytes && used <= bytes + bytes / 8 + 64, "%lld for %lld", (long long)used, (long long)bytes);
        tg_free(block, bytes);
        CHECK(tg_memory_in_use() == start, "freeing %lld", (long long)bytes);
        uintptr_t again = tg_alloc(bytes);
        CHECK(again == block, "a freed block is not used again");
        tg_free(again, bytes);
    }
    tg_memory_reset_peak();
    uintptr_t large = tg_alloc(9 * MIB + 1), other = tg_alloc(MIB);
    CHECK(large % (2 * MIB) == 0, "large blocks start on a huge page");
    memset((char *)large, 1, (size_t)(9 * MIB + 1));
    tg_free(large, 9 * MIB + 1);
    tg_free(other, MIB);
    CHECK(tg_memory_peak() - start >= 10 * MIB && tg_memory_in_use() == start, "peak");
    tg_memory_reset_peak();
    CHECK(tg_memory_peak() == start, "peak after reset");
    CHECK(!tg_alloc(-1) && !tg_alloc(INT64_C(1) << 60), "an impossible size");
    tg_free(0, 100);

    pthread_t threads[4];
    for (uintptr_t i = 0; i < 4; i++) pthread_create(&threads[i], NULL, churn, (void *)(i + 1));
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    CHECK(tg_memory_in_use() == start, "%lld bytes lost", (long long)(tg_memory_in_use() - start));
    test_checksum();
    test_in_range();
    test_true_places();
}
