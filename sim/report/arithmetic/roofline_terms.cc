// What the figures of `meshstep roofline chip`, `matmul`, `attention` and `training` are called.

#include "sim/report/arithmetic/terms.h"

namespace meshstep {
namespace {

constexpr Term kChip[] = {{"chip", "chip", "", "Its name", true}};

constexpr Term kRates[] = {
    {"flops_per_s", "peak", "FLOP/s", "C: dense, of --math", true},
    {"hbm_bytes", "HBM", "B", "Capacity", true},
    {"hbm_bytes_per_s", "HBM rate", "B/s", "W_hbm", true},
    {"link_bytes_per_s", "link", "B/s",
     "W: what one collective gets: a torus axis both ways, or all links of a chip into its switch "
     "one way",
     true},
    {"link_one_way_bytes_per_s", "link, one way", "B/s", "Half of a torus axis"},
    {"host_bytes_per_s", "host link", "B/s", "PCIe, one way", true},
    {"scale_out_bytes_per_s", "scale-out of a chip", "B/s",
     "Its part of what leaves the node or pod, one way", true},
    {"node_scale_out_bytes_per_s", "scale-out of a node", "B/s",
     "All chips of a switch domain or host"},
};

constexpr Term kBalance[] = {
    {"hbm_intensity", "HBM", "FLOP/B", "C / W_hbm: with fewer FLOPs per byte of HBM, memory binds",
     true},
    {"link_intensity", "one link or axis", "FLOP/B", "alpha = C / W", true},
    {"all_axes_intensity", "all axes of a torus", "FLOP/B", "alpha over the axes", true},
    {"host_intensity", "host link", "FLOP/B", "C over its rate"},
    {"scale_out_intensity", "scale-out of a chip", "FLOP/B", "C over its rate", true},
    {"node_scale_out_intensity", "scale-out of a node", "FLOP/B", "C of its chips over its rate"},
    {"hbm_over_link", "HBM over link", "x", "beta = W_hbm / W"},
    {"hbm_over_link_one_way", "HBM over link, one way", "x", "The same one way"},
    {"two_chip_contraction", "contraction over two chips", "",
     "Width from which a product whose contraction two chips share is compute-bound: 2 C / W"},
};

constexpr Term kAll[] = {
    {"chips", "chips", "chips", "--chips, or a pod", true},
    {"total_flops_per_s", "peak", "FLOP/s", "Of all of them", true},
    {"total_hbm_bytes", "HBM", "B", "Of all of them", true},
    {"total_scale_out_bytes_per_s", "scale-out", "B/s", "Of all of them"},
    {"domain_bytes_per_s", "into the switch", "B/s", "All chips of one switch domain"},
    {"bisection_bytes_per_s", "bisection of the switch", "B/s",
     "Half of the chips to the other half, both ways"},
};

constexpr Term kWork[] = {
    {"compute_s", "--flops", "s", "At the peak of all chips", true},
    {"bytes_per_chip", "--bytes on a chip", "B", "Over the chips", true},
    {"hbm_s", "--bytes from HBM", "s", "At its rate", true},
    {"host_s", "--bytes from the host", "s", "At its rate", true},
    {"flops_per_dollar", "a dollar", "FLOP", "An hour at the peak over --price", true},
    {"flops_per_cycle", "a cycle", "FLOP", "Units x lanes x FLOPs of a lane", true},
    {"vector_flops_per_s", "vector units", "FLOP/s", "The same times --clock", true},
    {"clock_hz", "clock", "Hz", "--vector-flops over FLOPs of a cycle", true},
    {"matmul_over_vector", "matrix over vector", "x", "C over that of the vector units", true},
};

constexpr Term kMatmul[] = {
    {"flops", "FLOPs", "FLOP", "2 B D F", true},
    {"backward_flops", "backward", "FLOP", "4 B D F"},
    {"training_flops", "forward and backward", "FLOP", "6 B D F"},
    {"bytes", "bytes", "B", "A, W and C once each", true},
    {"input_elements", "elements of the inputs", "", "B D + D F"},
    {"intensity", "FLOPs per byte", "FLOP/B", "FLOPs over bytes", true},
    {"critical_intensity", "needed", "FLOP/B", "C over the rate of the memory", true},
    {"compute_s", "compute", "s", "FLOPs / C", true},
    {"memory_s", "memory", "s", "Bytes over its rate", true},
    {"time_s", "together, overlapped", "s", "The larger", true},
    {"sequential_s", "together, one after the other", "s", "The sum"},
    {"bound", "bound by", "", "The larger of the two", true},
    {"critical_batch", "critical batch", "rows",
     "B from which it is compute-bound if the weights are all the traffic (times E/k for experts)",
     true},
    {"exact_critical_batch", "the same, exactly", "rows", "With activations counted", true},
    {"memory_bytes_per_s", "rate of the memory", "B/s", "--memory"},
};

constexpr Term kAttention[] = {
    {"flops", "FLOPs", "FLOP", "4 B T S N H: scores and A V", true},
    {"causal_flops", "causal", "FLOP", "Half, where T = S", true},
    {"bytes", "bytes", "B", "Q, K, V read, the output written", true},
    {"intensity", "FLOPs per byte", "FLOP/B",
     "T S G / (T G + S) at two bytes, G query heads a key head", true},
    {"critical_intensity", "needed", "FLOP/B", "C over the rate of the memory", true},
    {"compute_s", "compute", "s", "FLOPs / C", true},
    {"memory_s", "memory", "s", "Bytes over its rate", true},
    {"time_s", "together, overlapped", "s", "The larger", true},
    {"bound", "bound by", "", "The larger of the two", true},
    {"critical_length", "critical length", "tokens",
     "T = S from which it is compute-bound: I (G + 1) / G, I FLOPs per byte needed", true},
    {"decode_intensity_limit", "decode, long context", "FLOP/B", "G at two bytes, however long",
     true},
};

constexpr Term kPlan[] = {
    {"cost_model", "a gather costs", "",
     "V its bytes, W both ways, w one way, N, D, M chips, M axes of a torus", true},
    {"placement", "placement", "", "X for data or FSDP, Y for tensor parallelism, innermost", true},
    {"fsdp_bytes_per_s", "rate over X", "B/s", "V over the time of a gather", true},
    {"tensor_bytes_per_s", "rate over Y", "B/s", "The same over Y", true},
    {"alpha", "alpha", "FLOP/B", "C / W of one axis or node", true},
    {"alpha_over_axes", "alpha over axes of X", "FLOP/B", "alpha / Mx"},
    {"scale_out_alpha", "alpha of scale-out", "FLOP/B", "C over the rate out of a node", true},
    {"chips", "chips", "chips", "X Y, or --chips", true},
    {"tokens_per_chip", "tokens a chip", "tokens", "B over chips", true},
};

constexpr Term kLayer[] = {
    {"compute_s", "compute", "s", "FLOPs of the two matmuls over C and the chips", true},
    {"fsdp_s", "gathers over X", "s", "Weights (backward: gradients too)", true},
    {"tensor_s", "gathers over Y", "s", "Activations", true},
    {"communication_max_s", "communication, overlapped", "s", "The larger of the two", true},
    {"communication_sum_s", "communication, one after the other", "s", "Their sum"},
    {"bound_max", "bound by", "", "Communication overlapped, against compute", true},
    {"bound_sum", "bound by, one after the other", "", "The sum against compute"},
};

constexpr Term kCritical[] = {
    {"critical_fsdp", "data parallel or FSDP", "tokens",
     "alpha over the axes (times E/k for experts)", true},
    {"critical_mixed_max", "FSDP x tensor", "tokens",
     "alpha^2 / (Mx My F), communication of X and Y overlapped", true},
    {"critical_mixed_sum", "the same, summed", "tokens",
     "4 alpha^2 / (Mx My F): their communication adds up (first edition)"},
    {"critical_scale_out", "across nodes or pods", "tokens", "alpha of scale-out", true},
    {"min_batch_fsdp", "smallest batch, FSDP", "tokens",
     "Times the chips; beyond one node with what is across nodes", true},
    {"min_batch_mixed_max", "smallest batch, FSDP x tensor", "tokens", "The same", true},
    {"min_batch_mixed_sum", "the same, summed", "tokens", "The same"},
    {"max_chips_fsdp", "most chips, FSDP", "chips", "B over tokens a chip", true},
    {"max_chips_mixed_max", "most chips, FSDP x tensor", "chips", "The same", true},
    {"max_chips_mixed_sum", "the same, summed", "chips", "The same"},
};

constexpr Term kSplit[] = {
    {"x_opt", "best X", "", "sqrt(B Mx N / (F My))", true},
    {"y_opt", "best Y", "", "N / X", true},
    {"x", "X", "", "The nearest power of two", true},
    {"y", "Y", "", "The nearest power of two below", true},
    {"tensor_max", "most tensor parallelism", "ways", "F My / alpha", true},
    {"tensor_max_scale_out", "the same across nodes", "ways", "F / alpha of scale-out"},
    {"tensor_max_two_nodes", "the same over two nodes", "ways", "Both tiers"},
    {"ffn_for_tensor", "F that Y needs", "", "Y alpha / My"},
    {"expert_ffn_min", "F that Z expert shards need", "",
     "alpha times the share of shards that a token goes to", true},
    {"expert_ffn_min_many", "the same, many shards", "", "Its limit"},
    {"expert_shards_expected", "shards a token goes to", "%", "Expected for random experts"},
    {"expert_shards_bound", "the same, at most", "%", "min(k / Z, 1)"},
    {"pipeline_hop_s", "pipeline: one hop", "s", "Activations of a micro-batch over a link", true},
    {"pipeline_s", "pipeline: hops of a step", "s", "Micro-batches + stages - 2 hops", true},
};

constexpr TermGroup kGroups[] = {
    {"", "", kChip},
    {"Rates of a chip", "chip_roofline.", kRates},
    {"FLOPs per byte at which compute and ... balance", "chip_roofline.", kBalance},
    {"All chips", "chip_roofline.", kAll},
    {"What was asked", "chip_roofline.", kWork},
    {"Matmul C[B,F] = A[B,D] W[D,F]", "matmul.", kMatmul},
    {"Attention", "attention.", kAttention},
    {"Plan of an MLP In[B,D] W_in[D,F] W_out[F,D]", "training.", kPlan},
    {"One layer, forward", "training.forward.", kLayer},
    {"One layer, backward", "training.backward.", kLayer},
    {"Tokens a chip from which compute binds", "training.", kCritical},
    {"Ways of parallelism", "training.", kSplit},
};

}  // namespace

std::span<const TermGroup> RooflineTerms() { return kGroups; }

}  // namespace meshstep
