/* conv.c: 2-D convolution and its two gradients: which method computes what.
 *
 * Three kernels make a closed family, as every gradient of each is one of the three. Arguments: conv.h; the first ones
 * of ints, before stride, padding, dilation and groups, are the size that shapes do not tell.
 * Left out on purpose: one dimension, which is two of which one has size 1. Read next: conv.h, conv_gemm.h (most
 * shapes), conv_few.h (depthwise), conv_weight.h (the weights' gradient), winograd.h (3x3 with many channels). */
#include "conv_gemm.h"
#include "conv_weight.h"
#include "winograd.h"

#define CONV_WINOGRAD(name, which)                                                                   \
    static void name##_winograd(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) { \
        winograd_run(which, node, phase, lo, hi, own);                                               \
    }                                                                                                \
    static int name##_by_winograd(tg_node *node) {                                                   \
        if (!winograd_fits(node, which) || winograd_prepare(node, which)) return 0;                  \
        node->run = name##_winograd;                                                                 \
        return 1;                                                                                    \
    }

/* out[N, K, P, Q] = relu(conv(input[N, C, H, W], weight[K, C / groups, R, S]) + bias[K]), bias and relu as asked for:
 * args out, input, weight and perhaps bias; ints stride, padding, dilation (two each), groups, relu. */
CONV_WINOGRAD(conv2d, CONV_FORWARD)
static int conv2d_prepare(tg_node *node) {
    return conv2d_by_winograd(node) ? 0 : conv_gemm_prepare(node, CONV_FORWARD);
}

static void conv2d_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    conv_gemm_run(node, CONV_FORWARD, phase, lo, hi, own);
}

/* dx[N, C, H, W] of out = conv(x, weight): args dx, dout, weight; ints H, W, stride, padding, dilation, groups. */
CONV_WINOGRAD(conv2d_grad_input, CONV_GRAD_INPUT)
static int conv2d_grad_input_prepare(tg_node *node) {
    return conv2d_grad_input_by_winograd(node) ? 0 : conv_gemm_prepare(node, CONV_GRAD_INPUT);
}

static void conv2d_grad_input_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    conv_gemm_run(node, CONV_GRAD_INPUT, phase, lo, hi, own);
}

/* dw[K, C / groups, R, S] of out = conv(x, w): args dw, dout, x; ints R, S, stride, padding, dilation, groups. */
CONV_WINOGRAD(conv2d_grad_weight, CONV_GRAD_WEIGHT)
static int conv2d_grad_weight_prepare(tg_node *node) {
    return conv2d_grad_weight_by_winograd(node) ? 0 : conv_weight_prepare(node);
}

static void conv2d_grad_weight_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    conv_weight_run(node, phase, lo, hi, own);
}

TG_TABLE(conv) = {
    {"conv2d", conv2d_prepare, conv2d_run},
    {"conv2d_grad_input", conv2d_grad_input_prepare, conv2d_grad_input_run},
    {"conv2d_grad_weight", conv2d_grad_weight_prepare, conv2d_grad_weight_run},
    {0},
};
