/* main.c: runs the C tests one after the other, once for each instruction set of this machine.
 *
 * Built by `make sanitize` with the sanitizers, against the same sources that the extension is made of. */
#include "check.h"

int main(void) {
    test_registry();
    test_memory();
    const char *const isas[] = {"baseline", "neon", "avx2", "avx512"};
    for (size_t i = 0; i < sizeof isas / sizeof *isas; i++) {
        if (tg_isa_select(isas[i])) continue;
        printf("%s\n", isas[i]);
        test_runner();
        test_chain();
        test_kernels();
        test_families();
    }
    tg_threads_set(1); /* joins the workers: the thread sanitizer reports those that are left behind */
    tg_memory_trim();
    puts("C tests passed");
    return 0;
}
