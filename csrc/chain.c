/* chain.c: one node that does the work of several elementwise ones, block by block.
 *
 * What one part hands on to the next stays in the cache: it lies in the thread's own scratch and never goes to memory.
 * A part is the kernel that would run alone, prepared for a block instead of the whole array, so a chain computes
 * nothing by itself and its results are those of its parts to the bit. Left out on purpose: kernels of several phases.
 * Read next: elementwise.c, what parts are made of; fuse_chain.py, who chooses them. */
#include <stdlib.h>

#define TG_ISA none /* loops.h is written for kernel files; only what it knows of arrays is needed here */
#define TG_TYPE f32
#include "loops.h"

/* Elements of a block: four arrays of 1,024 floats are 16 KB. The seven operations of x * 0.5 * (1 + tanh(...)) on 3.2
 * million floats with two threads on Zen 5 take 659 us in blocks of 1,024, 825 of 2,048, 805 of 4,096, 904 of 8,192. */
#define BLOCK 1024
#define LARGEST 16384 /* a block must hold whole rows where an operand repeats along them: up to so many elements */
#define UNIT 16384    /* elements in a unit */
#define GROUP 128     /* where there are random numbers: they are made so many at a time, so blocks are multiples */

/* A block, then the last one, which is shorter: for each, all parts with their arguments lie one after another. */
typedef struct {
    int64_t blocks, block, group;     /* blocks, elements in one, blocks in a unit */
    int64_t n_parts, bytes[2], slots; /* bytes of the parts for a block and for the last; intermediates */
    char *parts[2];
    int32_t *places; /* of each part's arguments in turn: argument of the chain, or -1 - k for intermediate k */
    int64_t *step;   /* bytes from block to block */
} chain;

static int64_t part_bytes(const tg_node *part) {
    return (int64_t)sizeof *part + part->n_args * (int64_t)sizeof *part->args;
}

static tg_node *next_part(tg_node *part) { return (tg_node *)((char *)part + part_bytes(part)); }

static int64_t least_common(int64_t a, int64_t b) {
    int64_t x = a, y = b;
    while (y) {
        int64_t rest = x % y;
        x = y, y = rest;
    }
    return a / x * b;
}

/* The loops over a part and its inputs, and how many elements its rows have; 0 where it can't go block by block, or had
 * better not: an input that lies across memory is turned as a whole by its own kernel. */
static int64_t row_of(const tg_node *part, int along, loops *l) {
    int inputs = TG_MIN(along, part->n_args) - 1;
    if (inputs < 0 || inputs > MAX_ARRAYS || !is_contiguous(&part->args[0])) return 0;
    collapse(l, &part->args[0], &part->args[1], inputs);
    int64_t row = 1, last = l->dims - 1;
    for (int i = 0; i < inputs && last > 0; i++) {
        int64_t stride = l->stride[i][last];
        if (stride != 0 && stride != item_size(&part->args[i + 1])) return 0;
    }
    for (int64_t d = 1; d < l->dims; d++) row *= l->shape[d];
    return row;
}

/* Describe `to` as part `from` on n elements, n a multiple of its rows, and prepare it; nonzero where that fails. */
static int describe_part(tg_node *to, const tg_node *from, int along, const loops *l, int64_t row, int64_t n,
                         int64_t *own_bytes) {
    *to = (tg_node){.kernel = from->kernel, .n_args = from->n_args, .n_ints = from->n_ints};
    memcpy(to->ints, from->ints, sizeof to->ints);
    memcpy(to->floats, from->floats, sizeof to->floats);
    to->args = (tg_array *)(to + 1);
    memcpy(to->args, from->args, (size_t)from->n_args * sizeof *to->args);
    for (int i = 0; i < along; i++) {
        tg_array *a = &to->args[i];
        int64_t packed = 1;
        a->ndim = (int32_t)l->dims;
        for (int64_t d = l->dims - 1; d >= 0; d--) {
            a->shape[d] = d ? l->shape[d] : n / row;
            a->stride[d] = i ? l->stride[i - 1][d] / item_size(a) : packed;
            packed *= a->shape[d];
        }
    }
    if (tg_node_prepare(to) || to->aux_bytes || to->phases > 1) return 1;
    *own_bytes = TG_MAX(*own_bytes, to->own_bytes);
    return 0;
}

static inline int64_t slot_bytes(const chain *c) { return c->block * 8; }

static void chain_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    (void)phase;
    const chain *c = (const chain *)node->plan;
    char *slots = own, *copies[2] = {slots + c->slots * slot_bytes(c)};
    copies[1] = copies[0] + c->bytes[0];
    char *rest = copies[1] + c->bytes[1];
    int copied[2] = {0, 0};
    hi = TG_MIN(hi * c->group, c->blocks);
    for (int64_t b = lo * c->group; b < hi; b++) {
        int last = b == c->blocks - 1;
        tg_node *part = (tg_node *)copies[last];
        if (!copied[last]++) memcpy(part, c->parts[last], (size_t)c->bytes[last]); /* other threads have theirs */
        int at = 0;
        for (int64_t p = 0; p < c->n_parts; p++, part = next_part(part)) {
            part->args = (tg_array *)(part + 1);
            for (int i = 0; i < part->n_args; i++, at++)
                part->args[i].data = c->places[at] < 0 ? slots + (-1 - c->places[at]) * slot_bytes(c)
                                                       : node->args[c->places[at]].data + b * c->step[at];
            part->first = b * c->block;
            if (part->phases) part->run(part, 0, 0, part->units[0], rest);
        }
    }
}

tg_node *tg_chain_new(int n_args, int outputs, int n_parts, tg_node *const *parts, const int32_t *along,
                      const int32_t *places) {
    const int64_t total = count_of(&parts[0]->args[0]);
    int64_t block = 1, bytes = 0, n_places = 0, slots = 0, own_bytes = 0;
    loops l;
    for (int p = 0; p < n_parts; p++) {
        int64_t row = row_of(parts[p], along[p], &l);
        if (!row || count_of(&parts[p]->args[0]) != total) return NULL;
        block = least_common(block, along[p] < parts[p]->n_args ? least_common(row, GROUP) : row);
        if (block > LARGEST) return NULL;
        bytes += part_bytes(parts[p]);
        n_places += parts[p]->n_args;
    }
    if (block < BLOCK) block = BLOCK / block * block;
    for (int64_t i = 0; i < n_places; i++) slots = TG_MAX(slots, -places[i]);

    int64_t size = (int64_t)sizeof(tg_node) + n_args * (int64_t)sizeof(tg_array) + 2 * bytes + n_places * 16;
    tg_node *node = calloc(1, (size_t)size);
    if (!node) return NULL;
    node->args = (tg_array *)(node + 1);
    chain *c = (chain *)node->plan;
    c->parts[0] = (char *)(node->args + n_args);
    c->parts[1] = c->parts[0] + bytes;
    c->step = (int64_t *)(c->parts[1] + bytes);
    c->places = (int32_t *)(c->step + n_places);
    memcpy(c->places, places, (size_t)n_places * sizeof *places);
    c->block = block, c->blocks = divide_up(total, block), c->group = TG_MAX(1, UNIT / block);
    c->n_parts = n_parts, c->bytes[0] = c->bytes[1] = bytes, c->slots = slots;

    tg_node *whole = (tg_node *)c->parts[0], *rest = (tg_node *)c->parts[1];
    int64_t at = 0, left = total - (c->blocks - 1) * block;
    for (int p = 0; p < n_parts; p++, whole = next_part(whole), rest = next_part(rest)) {
        int64_t row = row_of(parts[p], along[p], &l);
        if (describe_part(whole, parts[p], along[p], &l, row, block, &own_bytes) ||
            describe_part(rest, parts[p], along[p], &l, row, left, &own_bytes)) {
            free(node);
            return NULL;
        }
        for (int i = 0; i < parts[p]->n_args; i++, at++) {
            const tg_array *a = &whole->args[i];
            if (i < along[p]) c->step[at] = (i ? a->stride[0] * (block / row) : block) * item_size(a);
            if (places[at] >= 0) node->args[places[at]] = parts[p]->args[i];
        }
    }
    node->kernel = -1;
    node->n_args = n_args;
    node->outputs = outputs;
    node->run = chain_run;
    node->phases = total > 0;
    node->units[0] = divide_up(c->blocks, c->group);
    node->own_bytes = slots * slot_bytes(c) + 2 * bytes + own_bytes;
    return node;
}
