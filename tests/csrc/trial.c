/* trial.c: see trial.h. Values come from one generator with a fixed seed: every run draws the same. */
#define _POSIX_C_SOURCE 200809L /* posix_memalign */
#include "trial.h"

#define MAX_KERNELS 1000

static int ran[MAX_KERNELS];

int trial_ran(int kernel) { return ran[kernel]; }
void trial_forget(void) { memset(ran, 0, sizeof ran); }

static uint64_t draw(void) {
    static uint64_t state = 1;
    state = state * 6364136223846793005u + 1442695040888963407u;
    return state >> 33;
}

static int64_t size_of(int dtype) {
    return dtype == TG_F64 || dtype == TG_I64 ? 8 : dtype == TG_F32 || dtype == TG_I32 ? 4 : 1;
}

trial trial_new(int kernel, int n_args) {
    CHECK(n_args <= MAX_ARGS && kernel >= 0 && kernel < MAX_KERNELS, "kernel %d, %d arguments", kernel, n_args);
    return (trial){.node = tg_node_new(kernel, n_args)};
}

void trial_free(trial *t) {
    for (int i = 0; i < t->node->n_args; i++) free(t->block[i]);
    tg_node_free(t->node);
}

static void fill_array(int dtype, char *block, int64_t count) {
    static const int64_t extremes[] = {INT64_MIN, INT64_MAX, INT32_MIN, INT32_MAX};
    for (int64_t i = 0; i < count; i++) {
        uint64_t r = draw();
        int64_t whole = r % 64 ? (int64_t)(r >> 8) % 11 - 5 : extremes[r / 64 % 4];
        double x = r % 16 ? (double)(r % 100003) / 25000 - 2 : 0; /* in [-2, 2], often 0 */
        switch (dtype) {
            case TG_F32:
                ((float *)block)[i] = (float)x;
                break;
            case TG_F64:
                ((double *)block)[i] = x;
                break;
            case TG_I32:
                ((int32_t *)block)[i] = (int32_t)whole;
                break;
            case TG_I64:
                ((int64_t *)block)[i] = whole;
                break;
            case TG_U8:
                ((uint8_t *)block)[i] = (uint8_t)whole;
                break;
            default:
                ((uint8_t *)block)[i] = r & 1;
        }
    }
}

void trial_array(trial *t, int arg, int dtype, int ndim, const int64_t *shape, int layout) {
    tg_array *a = &t->node->args[arg];
    describe(a, dtype, ndim, shape, NULL);
    int64_t count = 1, lowest = 0, highest = 0;
    for (int d = 0; d < ndim; d++) count *= shape[d];
    if (layout == TRANSPOSED) {
        int64_t stride = 1;
        for (int d = 0; d < ndim; stride *= shape[d++]) a->stride[d] = stride;
    }
    for (int d = 0; d < ndim; d++) {
        if (layout == STEPPED) a->stride[d] *= 2;
        if (layout == REVERSED) a->stride[d] = -a->stride[d];
    }
    if (layout == FIRST_REPEATED && ndim > 0) a->stride[0] = 0;
    if (layout == LAST_REPEATED && ndim > 0) {
        for (int d = 0; d < ndim - 1; d++) a->stride[d] /= shape[ndim - 1] ? shape[ndim - 1] : 1;
        a->stride[ndim - 1] = 0;
    }
    for (int d = 0; d < ndim; d++) {
        int64_t reach = (shape[d] - 1) * a->stride[d];
        if (reach < 0)
            lowest += reach;
        else
            highest += reach;
    }
    int64_t held = count ? highest - lowest + 1 : 0;
    t->bytes[arg] = held * size_of(dtype);
    t->block[arg] = malloc((size_t)t->bytes[arg]);
    fill_array(dtype, t->block[arg], held);
    a->data = t->block[arg] - (count ? lowest : 0) * size_of(dtype);
}

void trial_positions(trial *t, int arg, int64_t n) {
    int64_t *positions = (int64_t *)t->block[arg];
    for (int64_t i = 0; i < t->bytes[arg] / 8; i++) {
        uint64_t r = draw();
        positions[i] = r % 8 ? (int64_t)(r / 8 % (2 * (uint64_t)n)) - n : positions[i];
    }
}

static char *scratch(int64_t bytes) {
    void *block = NULL;
    CHECK(!posix_memalign(&block, 64, (size_t)bytes), "no memory");
    memset(block, 0xff, (size_t)bytes); /* NaNs, or -1 */
    return block;
}

static void run_by_hand(const trial *t) {
    tg_node node = *t->node;
    char *own = scratch(node.own_bytes);
    node.aux = scratch(node.aux_bytes);
    for (int phase = 0; phase < node.phases; phase++)
        for (int64_t unit = node.units[phase] - 1; unit >= 0; unit--) node.run(&node, phase, unit, unit + 1, own);
    free(node.aux), free(own);
}

/* The first element that differs, or -1. Two NaNs are the same, whatever their bits. */
static int64_t first_difference(int dtype, const char *a, const char *b, int64_t bytes) {
    int64_t size = size_of(dtype);
    if (!memcmp(a, b, (size_t)bytes)) return -1;
    for (int64_t i = 0; i < bytes / size; i++) {
        if (!memcmp(a + i * size, b + i * size, (size_t)size)) continue;
        if (dtype == TG_F32 && isnan(((const float *)a)[i]) && isnan(((const float *)b)[i])) continue;
        if (dtype == TG_F64 && isnan(((const double *)a)[i]) && isnan(((const double *)b)[i])) continue;
        return i;
    }
    return -1;
}

static void run_both(trial *t, unsigned changed) {
    tg_node *node = t->node;
    uintptr_t addresses[MAX_ARGS];
    char *before[MAX_ARGS], *after[MAX_ARGS];
    for (int i = 0; i < node->n_args; i++) {
        size_t bytes = (size_t)t->bytes[i];
        addresses[i] = (uintptr_t)node->args[i].data;
        before[i] = malloc(bytes), after[i] = malloc(bytes);
        if (t->block[i]) memcpy(before[i], t->block[i], bytes);
    }
    int only_written = t->block[0] && !(changed & 1);
    if (only_written) memset(t->block[0], 0xa5, (size_t)t->bytes[0]);
    tg_run_many(node, addresses);
    for (int i = 0; i < node->n_args; i++) {
        if (!t->block[i]) continue;
        memcpy(after[i], t->block[i], (size_t)t->bytes[i]);
        memcpy(t->block[i], before[i], (size_t)t->bytes[i]);
    }
    if (only_written) memset(t->block[0], 0x5a, (size_t)t->bytes[0]);
    run_by_hand(t);
    for (int i = 0; i < node->n_args; i++) {
        if (t->block[i]) {
            int dtype = node->args[i].dtype, read = i > 0 && !(changed >> i & 1);
            int64_t different = first_difference(dtype, t->block[i], after[i], t->bytes[i]);
            CHECK(different < 0, "%s: argument %d, element %lld in memory, type %d", tg_kernel_name(node->kernel), i,
                  (long long)different, dtype);
            CHECK(!read || !memcmp(t->block[i], before[i], (size_t)t->bytes[i]), "%s: writes to argument %d",
                  tg_kernel_name(node->kernel), i);
        }
        free(before[i]), free(after[i]);
    }
}

void trial_run(trial *t, unsigned changed) {
    if (!tg_node_prepare(t->node)) {
        run_both(t, changed);
        ran[t->node->kernel]++;
    }
    trial_free(t);
}
