/* test_registry.c: kernels are found by name and type, in the chosen instruction set and no other. */
#include "check.h"

void test_registry(void) {
    int n = tg_kernel_count();
    CHECK(n >= 6, "%d kernels", n);
    for (int k = 0; k < n; k++) {
        const char *name = tg_kernel_name(k);
        CHECK(name && *name, "kernel %d has no name", k);
        int found = tg_kernel_find(name, tg_kernel_dtype(k));
        CHECK(found == k, "%s is kernel %d, found %d", name, k, found);
    }
    CHECK(tg_kernel_find("no_such_kernel", TG_F32) == -1, "found what is not there");
    CHECK(tg_kernel_find("probe_plus", TG_I32) == -1, "found a type that is not there");
    CHECK(tg_kernel_find("probe_plus", TG_F32) != tg_kernel_find("probe_plus", TG_F64), "types share a number");
    CHECK(tg_kernel_find("add", TG_BOOL) == tg_kernel_find("add", TG_U8), "bool and uint8 share kernels");
    CHECK(!tg_kernel_name(-1) && !tg_kernel_name(n) && tg_kernel_dtype(n) == -1, "a number out of range");

    CHECK(tg_isa_available(tg_isa_name()), "%s is in use, not available", tg_isa_name());
    CHECK(!tg_isa_available("avx9"), "avx9");
    const char *before = tg_isa_name();
    CHECK(tg_isa_select("avx9"), "avx9 selected");
    CHECK(!strcmp(before, tg_isa_name()), "a refused selection changed the set");
    CHECK(tg_kernel_find("probe_wide", TG_F32) >= 0 || !tg_isa_available("avx2"), "not found in %s", before);
    if (!tg_isa_select("baseline")) CHECK(tg_kernel_find("probe_wide", TG_F32) == -1, "found in baseline");
    CHECK(!tg_isa_select(before), "%s was available", before);

    tg_node *node = tg_node_new(n, 1);
    CHECK(tg_node_prepare(node), "a number that no kernel has");
    tg_node_free(node);
    node = tg_node_new(tg_kernel_find("probe_spread", TG_F32), 2);
    CHECK(node->run == NULL && node->n_args == 2 && node->args[1].data == NULL, "a new node is not empty");
    CHECK(tg_node_prepare(node) == 1, "the kernel refuses what is not one-dimensional");
    tg_node_free(node);
}
