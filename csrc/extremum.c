/* extremum.c: argmax and argmin. A span's extremum is found by lanes, then the first place that has it.
 *
 * NaN counts as the extremum. Read next: reduce.h. */
#include "reduce.h"

typedef struct {
    wide value;
    int64_t at;
} place;

static int is_better(kind k, wide b, wide a) {
    if (IS_NAN(b)) return !IS_NAN(a);
    return k == AMAX ? b > a : b < a;
}

static int extremum_prepare(tg_node *node) {
    plan *p = (plan *)node->plan;
    if (plan_reduction(node, 1)) return 1;
    if (p->parts > 1) node->aux_bytes = p->parts * p->outputs * (int64_t)sizeof(place);
    return 0;
}

/* Positions lo .. hi - 1 of what is reduced to one output. A span that has nothing better is not looked through. */
static ALWAYS_INLINE place find_place(kind k, const plan *p, const char *x, int64_t lo, int64_t hi, char *own) {
    const walk *w = &p->reduced;
    int64_t length = w->shape[w->dims - 1];
    place best = {start_of(k), lo};
    for (int64_t n; lo < hi; lo += n) {
        const real *span = (const real *)own;
        if (p->direct) {
            n = TG_MIN(TG_MIN(length - lo % length, BUFFER), hi - lo);
            span = (const real *)(x + walk_offset(w, lo));
        } else {
            n = TG_MIN(BUFFER, hi - lo);
            fetch(w->dims, w->shape, w->stride, x, lo, n, sizeof(real), own);
        }
        wide value = reduce_span(k, span, n, 0);
        if (!is_better(k, value, best.value)) continue;
        int64_t i = 0;
        if (IS_NAN(value))
            while (!IS_NAN(span[i])) i++;
        else
            while (span[i] != (real)value) i++;
        best = (place){value, lo + i};
    }
    return best;
}

static ALWAYS_INLINE void find(kind k, const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    const plan *p = (const plan *)node->plan;
    place *partial = (place *)node->aux;
    int64_t *out = (int64_t *)node->args[0].data;
    if (phase == 1) {
        for (int64_t o = lo * (SHARE / 8); o < TG_MIN(hi * (SHARE / 8), p->outputs); o++) {
            place best = partial[o];
            for (int64_t i = 1; i < p->parts; i++)
                if (is_better(k, partial[i * p->outputs + o].value, best.value)) best = partial[i * p->outputs + o];
            out[o] = best.at;
        }
        return;
    }
    for (int64_t u = lo; u < hi; u++) {
        int64_t part = u / p->groups, first = part * p->part, end = TG_MIN(first + p->part, p->count);
        int64_t o = u % p->groups * p->group, stop = TG_MIN(o + p->group, p->blocks);
        for (; o < stop; o++) {
            place best = find_place(k, p, node->args[1].data + walk_offset(&p->kept, o), first, end, own);
            if (p->parts > 1)
                partial[part * p->outputs + o] = best;
            else
                out[o] = best.at;
        }
    }
}

static void argmax_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    find(AMAX, node, phase, lo, hi, own);
}

static void argmin_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    find(AMIN, node, phase, lo, hi, own);
}

TG_TABLE(extremum) = {
    {"argmax", extremum_prepare, argmax_run},
    {"argmin", extremum_prepare, argmin_run},
    {0},
};
