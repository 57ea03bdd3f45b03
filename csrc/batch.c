/* batch.c: a batch of floats assembled from images of bytes: gather, scale, normalise. Arithmetic is in double and
 * rounded once, so that the results are those of the NumPy line, bit for bit (the build forbids FMA here).
 * Left out on purpose: augmentation, and layouts other than contiguous. Read next: ops/batch.py. */
#include "kernel.h"

enum {
    UNIT_BYTES = 1 << 15, /* pixels in a unit: about 5 us of work, several times what handing it over costs */
    AHEAD = 4             /* images fetched before their turn: shuffled ones are never in a cache */
};

/* out[b, c, p] = images[indices[b], c, p] * a[c] + b[c]; args out (b, ...), images uint8 (n, ...) contiguous, indices
 * int64 (b,); ints[0] pairs of floats a[0], b[0], a[1], b[1], ...: one for all channels, or one for each. plan: rows in
 * a unit, pairs, pixels of a pair. An index below 0 counts from the end; one outside is clamped to the ends, for a
 * kernel has no way to complain. */
static int assemble_prepare(tg_node *node) {
    const tg_array *out = &node->args[0], *images = &node->args[1];
    if (out->dtype != TG_F32 || images->ndim < 1) return 1;
    int64_t size = 1, rows = out->shape[0], pairs = node->ints[0];
    for (int d = images->ndim - 1; d > 0; d--) {
        if (images->shape[d] != 1 && images->stride[d] != size) return 1;
        size *= images->shape[d];
    }
    if (rows == 0 || size == 0) return 0; /* no phases: nothing to do */
    int64_t each = TG_MAX(UNIT_BYTES / size, 1);
    node->plan[0] = each, node->plan[1] = pairs, node->plan[2] = size / pairs;
    node->phases = 1;
    node->units[0] = (rows + each - 1) / each;
    return 0;
}

/* The image of row r. */
static inline const uint8_t *image(const tg_array *images, const tg_array *indices, int64_t r) {
    int64_t n = images->shape[0], index = ((const int64_t *)indices->data)[r * indices->stride[0]];
    if (index < 0) index += n;
    return (const uint8_t *)images->data + TG_MIN(TG_MAX(index, 0), n - 1) * images->stride[0];
}

static void assemble_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    (void)phase, (void)own;
    const tg_array *images = &node->args[1], *indices = &node->args[2];
    int64_t channels = node->plan[1], pixels = node->plan[2], size = channels * pixels;
    int64_t first = lo * node->plan[0], last = TG_MIN(hi * node->plan[0], indices->shape[0]);
    for (int64_t r = first; r < last; r++) {
        float *restrict y = (float *)node->args[0].data + r * size;
        if (r + AHEAD < last) {
            const uint8_t *next = image(images, indices, r + AHEAD);
            for (int64_t i = 0; i < size; i += 64) __builtin_prefetch(next + i);
        }
        const uint8_t *restrict x = image(images, indices, r);
        for (int64_t c = 0; c < channels; c++, x += pixels, y += pixels) {
            double a = node->floats[2 * c], b = node->floats[2 * c + 1];
            for (int64_t p = 0; p < pixels; p++) y[p] = (float)((double)x[p] * a + b);
        }
    }
}

TG_TABLE(batch) = {
    {"assemble", assemble_prepare, assemble_run},
    {0},
};
