/* batch.c: a batch of floats assembled from images of bytes: gather, augment, scale, normalise. Arithmetic is in double
 * and rounded once, so that the results are those of the NumPy line, bit for bit (the build forbids FMA here).
 * Left out on purpose: layouts other than contiguous. Read next: augment.h, ops/batch.py, ops/augment.py. */
#include "augment.h"

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

/* y = x a + b, for each of `channels` planes its own a and b. */
static inline void normalise(float *restrict y, const uint8_t *restrict x, const double *ab, int64_t channels,
                             int64_t pixels) {
    for (int64_t c = 0; c < channels; c++, x += pixels, y += pixels) {
        double a = ab[2 * c], b = ab[2 * c + 1];
        for (int64_t p = 0; p < pixels; p++) y[p] = (float)((double)x[p] * a + b);
    }
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
        normalise(y, image(images, indices, r), node->floats, channels, pixels);
    }
}

/* The same of images that a program of steps has changed, each by numbers of its own: image r of the batch gets group r
 * of the stream. args out (b, C, H', W'), images uint8 (n, C, H, W) contiguous, indices int64 (b,), key int64 (2,),
 * program float64 (steps, sizeof(step) / 8); ints[0] pairs of floats, ints[1], ints[2] the greatest height and width
 * that an image has on the way. plan: images in a unit, bytes of one on the way. own: two such images, the maps'. */
static int augment_prepare(tg_node *node) {
    const tg_array *out = &node->args[0], *images = &node->args[1], *key = &node->args[3], *program = &node->args[4];
    int64_t size = 1, channels = images->shape[1];
    if (out->dtype != TG_F32 || channels > CHANNELS || node->ints[0] > 4 || key->stride[0] != 1) return 1;
    if (program->stride[0] != program->shape[1] || program->stride[1] != 1) return 1;
    if (program->shape[1] * 8 != sizeof(step)) return 1;
    for (int d = 3; d > 0; d--) {
        if (images->shape[d] != 1 && images->stride[d] != size) return 1;
        size *= images->shape[d];
    }
    if (out->shape[0] * out->shape[1] * out->shape[2] * out->shape[3] == 0) return 0;
    int64_t room = channels * node->ints[1] * node->ints[2], each = TG_MAX(UNIT_BYTES / 8 / room, 1);
    room = (room + SLACK + 63) / 64 * 64;
    node->plan[0] = each, node->plan[1] = room;
    node->phases = 1;
    node->units[0] = (out->shape[0] + each - 1) / each;
    node->own_bytes = 2 * room + affine_bytes(node->ints[1], node->ints[2]);
    return 0;
}

static void augment_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    (void)phase;
    const tg_array *out = &node->args[0], *images = &node->args[1], *indices = &node->args[2];
    const int64_t channels = out->shape[1], pixels = out->shape[2] * out->shape[3], pairs = node->ints[0];
    const int64_t steps = node->args[4].shape[0], size = channels * images->shape[2] * images->shape[3];
    const int64_t first = lo * node->plan[0], last = TG_MIN(hi * node->plan[0], indices->shape[0]);
    const step *program = (const step *)node->args[4].data;
    uint8_t *planes[] = {(uint8_t *)own, (uint8_t *)own + node->plan[1]};
    for (int64_t r = first; r < last; r++) {
        if (r + 1 < last) {
            const uint8_t *next = image(images, indices, r + 1);
            for (int64_t i = 0; i < size; i += 64) __builtin_prefetch(next + i);
        }
        const uint8_t *x = image(images, indices, r);
        words w;
        philox(w, (const uint64_t *)node->args[3].data, r);
        for (int64_t s = 0; s < steps; s++) {
            double u[NUMBERS];
            numbers_of(w, s, u);
            take_step(&program[s], u, channels, &x, x == planes[0] ? planes[1] : planes[0], own + 2 * node->plan[1]);
        }
        normalise((float *)out->data + r * channels * pixels, x, node->floats, pairs, channels * pixels / pairs);
    }
}

TG_TABLE(batch) = {
    {"assemble", assemble_prepare, assemble_run},
    {"augment", augment_prepare, augment_run},
    {0},
};
