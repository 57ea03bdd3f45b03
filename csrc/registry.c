/* registry.c: which kernels there are, and which variant of each this machine runs.
 *
 * Every family is compiled once for each instruction set and type; its tables are listed in tables.def, which
 * build.py writes. A kernel's number stands for its name and type whatever the instruction set, and does not change
 * while the process lives. Where the chosen set lacks a kernel, the next plainer one serves.
 * Read next: kernel.h (what a table holds), build.py (where variants come from). */
#include <pthread.h>
#include <stdlib.h>

#define TG_ISA none /* kernel.h is written for kernel files; only its table's type is needed here */
#define TG_TYPE f32
#include "kernel.h"

enum {
#define ISA(name) ISA_##name,
#include "isas.def"
#undef ISA
    N_ISAS
};

static const char *const isa_names[N_ISAS] = {
#define ISA(name) #name,
#include "isas.def"
#undef ISA
};

enum { type_f32 = TG_F32, type_f64 = TG_F64, type_i32 = TG_I32, type_i64 = TG_I64, type_u8 = TG_U8 };

#define TABLE(family, isa, type) extern const tg_kernel tg_table_##family##_##isa##_##type[];
#include "tables.def"
#undef TABLE

static const struct {
    const tg_kernel *kernels;
    int isa, dtype;
} tables[] = {
#define TABLE(family, isa, type) {tg_table_##family##_##isa##_##type, ISA_##isa, type_##type},
#include "tables.def"
#undef TABLE
    {NULL, 0, 0},
};

typedef struct {
    const char *name;
    int dtype;
    const tg_kernel *variant[N_ISAS];
} entry;

static entry *entries; /* in order of registration: the index is the kernel's number */
static int n_entries;
static int *slots; /* open-addressed hash table from (name, dtype) to number, -1 = free */
static uint32_t slot_mask;
static int chosen_isa;
static int winograd; /* whether kernels may choose it */
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* The slot where (name, dtype) is, or belongs. FNV-1a spreads short names well enough. */
static uint32_t slot_of(const char *name, int dtype) {
    uint32_t h = 2166136261u ^ (uint32_t)dtype;
    for (const char *c = name; *c; c++) h = (h ^ (uint8_t)*c) * 16777619u;
    for (h &= slot_mask;; h = (h + 1) & slot_mask) {
        if (slots[h] < 0) return h;
        const entry *e = &entries[slots[h]];
        if (e->dtype == dtype && !strcmp(e->name, name)) return h;
    }
}

/* What the processor and the operating system can do: both must save the wide registers. */
static int machine_has(int isa) {
    const char *name = isa_names[isa];
#if defined(__x86_64__) || defined(__i386__)
    __builtin_cpu_init();
    if (!strcmp(name, "avx2")) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (!strcmp(name, "avx512"))
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
               __builtin_cpu_supports("fma");
#endif
    return !strcmp(name, "baseline") || !strcmp(name, "neon");
}

static int isa_of(const char *name) {
    for (int isa = 0; isa < N_ISAS; isa++)
        if (!strcmp(isa_names[isa], name) && machine_has(isa)) return isa;
    return -1;
}

static void register_all(void) {
    int rows = 0;
    for (size_t t = 0; tables[t].kernels; t++)
        for (const tg_kernel *k = tables[t].kernels; k->name; k++) rows++;
    slot_mask = 15;
    while (slot_mask < 2 * (uint32_t)rows) slot_mask = 2 * slot_mask + 1;
    entries = calloc((size_t)rows + 1, sizeof *entries);
    slots = malloc((slot_mask + 1) * sizeof *slots);
    if (!entries || !slots) abort(); /* a few kilobytes while loading: nothing can go on without */
    for (uint32_t i = 0; i <= slot_mask; i++) slots[i] = -1;

    for (size_t t = 0; tables[t].kernels; t++)
        for (const tg_kernel *k = tables[t].kernels; k->name; k++) {
            uint32_t slot = slot_of(k->name, tables[t].dtype);
            if (slots[slot] < 0) {
                entries[n_entries].name = k->name;
                entries[n_entries].dtype = tables[t].dtype;
                slots[slot] = n_entries++;
            }
            entries[slots[slot]].variant[tables[t].isa] = k;
        }

    const char *wish = getenv("TG_ISA");
    chosen_isa = wish ? isa_of(wish) : -1;
    for (int isa = N_ISAS - 1; chosen_isa < 0; isa--)
        if (machine_has(isa)) chosen_isa = isa;
    wish = getenv("TG_WINOGRAD");
    winograd = !wish || strcmp(wish, "0") != 0;
}

static void load(void) { pthread_once(&once, register_all); }

int tg_kernel_find(const char *name, int dtype) {
    load();
    if (dtype == TG_BOOL) dtype = TG_U8; /* a bool is a byte that is 0 or 1 */
    int number = slots[slot_of(name, dtype)];
    if (number < 0) return -1;
    for (int isa = chosen_isa; isa >= 0; isa--)
        if (entries[number].variant[isa]) return number;
    return -1;
}

int tg_kernel_count(void) {
    load();
    return n_entries;
}

const char *tg_kernel_name(int kernel) {
    load();
    return kernel >= 0 && kernel < n_entries ? entries[kernel].name : NULL;
}

int tg_kernel_dtype(int kernel) {
    load();
    return kernel >= 0 && kernel < n_entries ? entries[kernel].dtype : -1;
}

int tg_isa_select(const char *name) {
    load();
    int isa = isa_of(name);
    if (isa < 0) return 1;
    chosen_isa = isa;
    return 0;
}

const char *tg_isa_name(void) {
    load();
    return isa_names[chosen_isa];
}

int tg_isa_available(const char *name) { return isa_of(name) >= 0; }

void tg_winograd_set(int on) {
    load();
    winograd = on != 0;
}

int tg_winograd_get(void) {
    load();
    return winograd;
}

tg_node *tg_node_new(int kernel, int n_args) {
    tg_node *node = calloc(1, sizeof *node + (size_t)n_args * sizeof *node->args);
    if (!node) return NULL;
    node->kernel = kernel;
    node->n_args = n_args;
    node->args = (tg_array *)(node + 1);
    return node;
}

int tg_node_prepare(tg_node *node) {
    load();
    if (node->kernel < 0 || node->kernel >= n_entries) return 1;
    for (int isa = chosen_isa; isa >= 0; isa--) {
        const tg_kernel *k = entries[node->kernel].variant[isa];
        if (!k) continue;
        node->run = k->run;
        return k->prepare(node);
    }
    return 1;
}

void tg_node_free(tg_node *node) { free(node); }
