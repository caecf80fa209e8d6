// What the figures of `meshstep roofline inference` are called.

#include "sim/report/arithmetic/terms.h"

namespace meshstep {
namespace {

constexpr Term kChip[] = {{"chip", "chip", "", "Its name", true}};

constexpr Term kMemory[] = {
    {"parameter_bytes", "parameters", "B", "In --weights", true},
    {"kv_bytes_per_token", "cache of a position", "B", "2 L K H in --kv"},
    {"kv_bytes_per_sequence", "cache of a sequence", "B", "Times S, or --kv-per-sequence", true},
    {"kv_bytes", "cache of the batch", "B", "Times B", true},
    {"memory_bytes", "together", "B", "Parameters and cache", true},
    {"capacity_bytes", "HBM of all chips", "B", "Data sheet", true},
    {"fits", "fits", "", "Together in HBM", true},
    {"free_bytes", "left for caches", "B", "HBM without parameters"},
    {"max_batch", "most sequences", "sequences", "Whose caches that holds", true},
    {"chips_for_parameters", "chips for parameters", "chips", "Parameters over HBM of a chip"},
    {"chips_for_all", "chips for all", "chips", "With the cache"},
    {"slice_for_parameters", "slice for parameters", "chips", "Rounded up to a power of two"},
    {"slice_for_all", "slice for all", "chips", "Rounded up to a power of two", true},
};

constexpr Term kStep[] = {
    {"flops_per_token", "a token", "FLOP", "2 per parameter that it uses"},
    {"kv_s", "reading the cache", "s", "Cache / (chips x W_hbm)", true},
    {"parameters_s", "reading the parameters", "s", "Parameters / (chips x W_hbm)", true},
    {"compute_s", "compute", "s", "B tokens / (chips x C)", true},
    {"linear_s", "parameters and compute", "s", "The larger of the two"},
    {"step_s", "one step", "s", "Cache + the larger of parameters and compute", true},
    {"bound", "bound by", "", "The largest", true},
    {"tokens_per_s", "throughput", "tokens/s", "B over the step", true},
    {"tokens_per_s_per_chip", "throughput of a chip", "tokens/s", "The same over the chips", true},
    {"full_hbm_s", "reading all HBM once", "s", "A step at the largest batch takes no less"},
    {"critical_batch", "critical batch", "sequences",
     "B from which parameters are compute-bound (times E/k for experts)", true},
};

constexpr Term kRequests[] = {
    {"decode_s", "decode of a request", "s", "--steps steps", true},
    {"full_hbm_decode_s", "decode at full HBM", "s", "--steps times reading all of it"},
    {"requests_per_s_per_chip", "requests a second and chip", "1/s", "At this batch", true},
    {"max_batch_requests_per_s_per_chip", "the same, largest batch", "1/s",
     "At the most sequences"},
    {"latency_batch", "batch within --latency", "sequences", "The largest", true},
    {"latency_tokens_per_s_per_chip", "its throughput of a chip", "tokens/s", "At that batch",
     true},
    {"prefill_flops", "prefill", "FLOP", "2 a parameter and token of the prompt", true},
    {"prefill_with_attention_flops", "prefill with attention", "FLOP", "With its dot products"},
    {"prefill_s", "prefill", "s", "At --mfu of the peak of all chips", true},
    {"prefill_servers", "prefill servers", "", "For one decode server", true},
    {"evicted_tokens_per_step", "cache positions freed a step", "tokens",
     "B (T + G) / G: sequences of T prompt and G decoded tokens end"},
};

constexpr Term kWays[] = {
    {"tensor_max", "most tensor parallelism", "ways", "F M / alpha, where compute binds", true},
    {"tensor_max_memory", "the same in decode", "ways", "F / (B beta), where loads of weights bind",
     true},
    {"hbm_over_link", "HBM over link", "x", "beta = W_hbm / W"},
    {"kv_head_ways", "cache over heads", "ways", "As many as key heads"},
    {"kv_batch_ways", "cache over the batch", "ways", "The rest"},
    {"matmul_link_s", "one matmul: link", "s", "Its activations over one axis"},
    {"matmul_hbm_s", "one matmul: HBM", "s", "Its weights"},
    {"matmul_compute_s", "one matmul: compute", "s", "Its FLOPs"},
    {"stationary_2d_x", "weights over X x YZ: best X", "ways",
     "2D weight-stationary (Pope et al. 2022)"},
    {"stationary_2d_s", "its MLP", "s", "Communication of one layer"},
    {"stationary_1d_s", "the MLP, weights one way", "s", "Split over three axes"},
    {"stationary_2d_chips", "chips from which 2D is quicker", "chips", "Where the two are equal"},
};

constexpr TermGroup kGroups[] = {
    {"", "", kChip},
    {"Memory", "inference.", kMemory},
    {"One decode step", "inference.", kStep},
    {"Requests", "inference.", kRequests},
    {"Ways of parallelism", "inference.", kWays},
};

}  // namespace

std::span<const TermGroup> InferenceTerms() { return kGroups; }

}  // namespace meshstep
