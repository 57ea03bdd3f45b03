/* tg.h: the manual of the C core, and the declarations that Python reads through cffi.
 *
 * The core knows arrays, nodes, tapes and threads. It knows nothing of Python, of tensors that need a
 * gradient, or of shapes that do not fit: Python checks those once, when it describes a node.
 *
 * A node is one call of one kernel: where to write, what to read, a few numbers. Every kernel has the same
 * calling convention, so running an op eagerly (one node) and replaying a recorded step (a tape of nodes)
 * is the same thing. Read next: kernel.h (how a kernel is written), tape.c (the runner), then any family.
 *
 * Only what cffi can parse stands here: no macro but numbers, no include. */

enum { TG_F32 = 0, TG_F64 = 1, TG_I32 = 2, TG_I64 = 3, TG_U8 = 4, TG_BOOL = 5 };

#define TG_DIMS 8   /* most dimensions of an array; Python falls back to the reference above that */
#define TG_PHASES 3 /* most phases of a kernel */
#define TG_INTS 24  /* small integers of a node */
#define TG_FLOATS 8 /* small floats of a node */

/* An array in memory. shape and stride are in elements; a stride may be 0 (broadcast) or negative.
 * data points at the element with index zero in every dimension. */
typedef struct {
    char *data;
    int32_t dtype, ndim;
    int64_t shape[TG_DIMS], stride[TG_DIMS];
} tg_array;

/* A kernel runs in phases. A phase is a number of units, pieces of work that do not depend on each other
 * and may run on any thread in any order; the runner puts a barrier between phases. The units of a node
 * depend on its shapes only, never on the thread count: that is what makes results bit-identical for any
 * number of threads. One unit means: too small to share. A phase has less than 2^31 units; run gets any number
 * of neighbouring ones at a time, and what it writes must not depend on how they were grouped.
 *
 * args[0] is the output, written and never read (but see kernels whose name ends in _, which update it).
 * ints and floats carry the op's attributes in the order that the op declares them.
 * aux is scratch shared by all threads while the node runs (packed panels, partial sums); prepare asks for
 * its size in aux_bytes. own_bytes is the private scratch that each thread gets as `own`. Both start on a cache line
 * and hold whatever an earlier node left there. plan is whatever prepare worked out for run, in numbers (collapsed
 * loops, block sizes). Where a chain runs a kernel on a block of an array, first is the place of the block's first
 * element in the whole, on which random numbers depend; else 0. outputs is how many of args the checked mode looks at,
 * from args[0] on; 0 means 1. */
typedef struct tg_node {
    void (*run)(const struct tg_node *node, int phase, int64_t lo, int64_t hi, char *own);
    int32_t kernel, n_args, phases, n_ints;
    int64_t first, outputs;
    int64_t units[TG_PHASES];
    int64_t aux_bytes, own_bytes;
    char *aux;
    int64_t ints[TG_INTS];
    double floats[TG_FLOATS];
    int64_t plan[48];
    tg_array *args;
} tg_node;

/* Kernels. find gives the number of the kernel of that name and working dtype (the dtype of the inputs, after
 * promotion) in the chosen instruction set, or -1. Names are the ops' names. */
int tg_kernel_find(const char *name, int dtype);
int tg_kernel_count(void);
const char *tg_kernel_name(int kernel);
int tg_kernel_dtype(int kernel);

/* Nodes. new leaves everything but kernel and n_args zero. prepare is called after args, ints and floats are
 * set (args[i].data may still be NULL): it returns 0, or nonzero where the kernel does not cover this case
 * and the caller must use the reference instead. */
tg_node *tg_node_new(int kernel, int n_args);
int tg_node_prepare(tg_node *node);
void tg_node_free(tg_node *node);

/* Chains. A chain is one node that does what its parts would do one after another, a block of elements at a time, so
 * that what they hand on to each other stays in the cache. parts are described for whole arrays (they need not be
 * prepared, and stay the caller's): elementwise kernels of as many elements each. along[p] says how many of part p's
 * arguments, from the first, go with the elements; each block reads the others whole (the key of random numbers).
 * places says for each argument of each part which argument of the chain it is, or -1 - k: intermediate number k, which
 * exists in scratch only. The chain's first `outputs` arguments are what it writes. NULL where some part can't go block
 * by block. A chain is prepared, is freed by tg_node_free, and is meant for tapes. */
tg_node *tg_chain_new(int n_args, int outputs, int n_parts, tg_node *const *parts, const int32_t *along,
                      const int32_t *places);

/* Run one node on given addresses: args[0], args[1], ... in order. The node itself is not written, so several threads
 * may run it at once, each on its own addresses. */
void tg_run1(tg_node *node, uintptr_t out);
void tg_run2(tg_node *node, uintptr_t out, uintptr_t a);
void tg_run3(tg_node *node, uintptr_t out, uintptr_t a, uintptr_t b);
void tg_run4(tg_node *node, uintptr_t out, uintptr_t a, uintptr_t b, uintptr_t c);
void tg_run_many(tg_node *node, const uintptr_t *addresses);

/* Tapes. A tape owns nothing: its nodes stay the caller's, and so does all memory but the scratch.
 * run executes the nodes in order; loop does so `times` times and after each moves the address of n arguments on by
 * steps[i] bytes (the mini-batches of an epoch). run_timed also writes each node's nanoseconds (some 25 of them the
 * clock's). run_checked stops after the first node whose floating-point output holds a NaN (or, with inf != 0, an
 * infinity) and returns its index, or -1 when all is well. bind sets args[arg].data of node `node` (input slots change
 * address). Nodes are prepared before they are set; a tape, unlike a single node, is run by one thread at a time. */
typedef struct tg_tape tg_tape;
tg_tape *tg_tape_new(int n);
void tg_tape_set(tg_tape *tape, int i, tg_node *node);
void tg_tape_bind(tg_tape *tape, int node, int arg, uintptr_t address);
void tg_tape_run(tg_tape *tape);
void tg_tape_loop(tg_tape *tape, int64_t times, int n, const int32_t *nodes, const int32_t *args, const int64_t *steps);
void tg_tape_run_timed(tg_tape *tape, int64_t *nanoseconds);
int tg_tape_run_checked(tg_tape *tape, int inf);
int64_t tg_tape_scratch_bytes(tg_tape *tape);
void tg_tape_free(tg_tape *tape);

/* Instruction sets: "baseline", "avx2", "avx512" on x86, "neon" on ARM, "baseline" elsewhere. isa_select returns 0, or
 * nonzero when the machine or the build lacks it, and holds for nodes prepared from then on. Without a call, what the
 * environment's TG_ISA names is in use, or the best that the machine has where it names none of them. */
int tg_isa_select(const char *name);
const char *tg_isa_name(void);
int tg_isa_available(const char *name);

/* Winograd's method for 3 x 3 convolutions: on unless TG_WINOGRAD is 0. Holds for nodes prepared from then on. */
void tg_winograd_set(int on);
int tg_winograd_get(void);

/* Threads: 1 or more, counting the caller; at first TG_THREADS, or the cores that the process may use. Workers start
 * when first needed, spin for a short while between regions and then sleep; a forked child starts with none. */
void tg_threads_set(int n);
int tg_threads_get(void);

/* Memory, aligned to 64 bytes, not cleared. Freed blocks are kept by size and handed out again:
 * a page touched for the first time can cost more than the arithmetic done in it. alloc returns 0 when
 * there is no memory; free is told the same number of bytes. In use and peak count what blocks take up, up to an
 * eighth more than was asked for. trim gives what is kept back to the system. */
uintptr_t tg_alloc(int64_t bytes);
void tg_free(uintptr_t address, int64_t bytes);
int64_t tg_memory_in_use(void);
int64_t tg_memory_peak(void);
void tg_memory_reset_peak(void);
void tg_memory_trim(void);

/* A position-dependent 64-bit checksum of a run of bytes, fast enough to notice data changed behind our back. */
uint64_t tg_checksum(uintptr_t address, int64_t bytes);

/* Whether n integers of 64 bits that lie side by side are all from low to high. */
int tg_in_range(uintptr_t address, int64_t n, int64_t low, int64_t high);

/* Whether n floats (dtype TG_F32 or TG_F64) that lie side by side are all from 0 to 1. */
int tg_probabilities(uintptr_t address, int64_t n, int dtype);

/* How many of n bytes are not 0; where places is not 0, it gets their positions, as integers of 64 bits: for each a
 * position in each dimension of an array of that shape. */
int64_t tg_true_places(uintptr_t bytes, int64_t n, int ndim, const int64_t *shape, uintptr_t places);
