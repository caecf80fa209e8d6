// What the figures of `meshstep model` are called.

#include "sim/report/arithmetic/terms.h"

namespace meshstep {
namespace {

constexpr Term kBatch[] = {
    {"model", "model", "", "Its name"},
    {"batch_sequences", "sequences", "sequences", "--batch: sequences that are computed together",
     true},
    {"queries", "new positions", "tokens",
     "T: positions of each sequence that are computed; 1 with --decode", true},
    {"keys", "positions attended to", "tokens", "S: --seq; in decode those in the cache", true},
    {"tokens", "tokens", "tokens", "Sequences times new positions", true},
};

constexpr Term kParameters[] = {
    {"total", "all", "parameters", "Everything that is trained", true},
    {"active", "used by a token", "parameters", "Of E experts only the k that a token is sent to",
     true},
    {"embedding", "token table", "parameters", "V D", true},
    {"head", "head", "parameters", "V D once more, unless the head is the token table", true},
    {"position", "position table", "parameters", "Learned positions, one row each", true},
    {"vocabulary", "token table and head", "parameters", "Both of the above"},
    {"attention", "attention", "parameters", "Query, key, value and output of all layers", true},
    {"mlp", "MLPs", "parameters", "All layers and all experts", true},
    {"router", "routers", "parameters", "D E of every layer with experts", true},
    {"norm", "norms", "parameters", "Scales (and shifts) of all layers", true},
    {"prediction", "multi-token prediction", "parameters",
     "What is added for predicting further tokens", true},
    {"per_layer", "one layer", "parameters", "Mean over layers of all of the following", true},
    {"attention_per_layer", "attention of one layer", "parameters", "Mean over layers"},
    {"mlp_per_layer", "MLP of one layer", "parameters", "Mean over layers"},
    {"router_per_layer", "router of one layer", "parameters", "Mean over layers"},
    {"norm_per_layer", "norms of one layer", "parameters", "Mean over layers"},
    {"matmul_per_layer", "matmuls of one layer", "parameters", "Attention, MLP and router"},
    {"without_embedding", "without looked-up tables", "parameters",
     "All but token and position tables"},
    {"without_vocabulary", "without any table", "parameters", "The same without the head"},
    {"attention_fraction_of_layer", "attention in a layer", "%",
     "Attention over attention and MLP"},
    {"attention_fraction", "attention in the whole", "%", "Attention over all parameters"},
    {"bytes", "in memory", "B", "Parameters times the bytes of --weights", true},
};

constexpr Term kFlops[] = {
    {"forward", "forward", "FLOP",
     "2 per multiply-add of every matmul, dot products of attention over the whole T x S square",
     true},
    {"training", "training", "FLOP",
     "3 times forward: backward multiplies for the input and for the weights", true},
    {"per_token_forward", "forward, a token", "FLOP", "Forward over tokens"},
    {"per_token_training", "training, a token", "FLOP", "Training over tokens", true},
    {"qkvo", "of forward: projections", "FLOP", "Query, key, value and output", true},
    {"scores", "of forward: dot products", "FLOP",
     "Q K and A V of attention: 4 T S N H a sequence and layer", true},
    {"state", "of forward: mixers with a state", "FLOP",
     "Recurrences and convolutions, besides their projections", true},
    {"mlp", "of forward: MLPs", "FLOP", "Two matmuls of D F, three where gated", true},
    {"router", "of forward: routers", "FLOP", "D E a token", true},
    {"head", "of forward: head", "FLOP", "2 D V a token", true},
    {"prediction", "of forward: prediction", "FLOP", "Multi-token prediction", true},
    {"scores_causal", "dot products, causal", "FLOP",
     "What masks and windows leave of the square: half, if causal"},
    {"forward_causal", "forward, causal", "FLOP", "Forward with that"},
    {"training_causal", "training, causal", "FLOP", "Training with that", true},
    {"six_nd", "6 N D", "FLOP", "6 times all parameters times tokens"},
    {"model_6nd", "6 N D, used parameters", "FLOP",
     "6 times parameters that a token uses, without tables that are only looked up, times tokens"},
    {"training_full_recompute", "training, recompute full", "FLOP",
     "Forward of every layer done twice"},
    {"recompute_selective", "done again: selective", "FLOP",
     "Forward FLOPs of scores, softmax and A V"},
    {"recompute_matmuls", "done again: matmuls", "FLOP",
     "What is left once results of the big matmuls are kept"},
    {"attention_over_matmul", "dot products / matmuls", "x",
     "Dot products over projections and MLPs"},
    {"attention_over_mlp", "dot products / MLPs", "x", "Dot products over MLPs"},
    {"matmul_training_per_parameter_token", "a parameter and token", "FLOP",
     "Training of one layer over its parameters and tokens, dot products left out: 6 for a dense "
     "layer"},
};

constexpr Term kParts[] = {
    {"qkvo", "projections", "", "Query, key, value and output"},
    {"scores", "dot products", "", "Q K and A V"},
    {"scores_qk", "Q K", "", "Half of the dot products"},
    {"scores_av", "A V", "", "The other half"},
    {"mlp", "MLP", "", "Two matmuls, three where gated"},
    {"router", "router", "", "D E a token"},
    {"layer", "layer", "", "Projections, dot products, MLP and router"},
    {"matmuls", "matmuls", "", "The same without dot products"},
    {"attention", "attention", "", "Projections and dot products"},
    {"head", "head", "", "2 D V a token, forward"},
};

constexpr Term kCache[] = {
    {"kv_cache_bytes_per_token", "one position", "B",
     "2 L K H times the bytes of --kv (less with latent attention)", true},
    {"kv_cache_bytes_per_sequence", "one sequence", "B",
     "S positions; a layer with a window keeps no more than it", true},
    {"kv_cache_bytes", "the batch", "B", "All sequences", true},
};

constexpr Term kActivations[] = {
    {"none", "recompute none", "", "Everything that backward reads", true},
    {"selective", "recompute selective", "", "Scores, softmax and A V are made again", true},
    {"matmuls", "recompute matmuls", "", "Only results of the seven big matmuls are kept", true},
    {"full", "recompute full", "", "Only the layer's input is kept", true},
    {"block", "recompute block", "", "Another name of full"},
    {"megatron", "Megatron's formula", "",
     "s b h (34 + 5 a s / h), Korthikanti et al. Table 2: unfused attention, dropout, plain MLP of "
     "4 D"},
    {"megatron_selective", "the same, selective", "", "34 s b h"},
    {"hidden_array", "one array of D", "", "The batch's activations once"},
    {"ffn_array", "one array of F", "", "The batch's activations inside the MLP once"},
};

constexpr Term kOutside[] = {
    {"outside_layers_activation_bytes", "outside the layers", "B",
     "Dropout masks of the embedding, final norm, logits and softmax (Korthikanti et al. 4.3)"},
    {"outside_layers_first_stage_bytes", "of it on the first stage", "B",
     "Dropout masks of the embedding of all micro-batches in flight"},
};

constexpr Term kIntensity[] = {
    {"qkvo", "projections", "FLOP/B", "FLOPs over bytes of HBM that are read and written", true},
    {"scores", "dot products", "FLOP/B",
     "T S G / (T G + S) at two bytes, G queries heads a key head", true},
    {"mlp", "MLP", "FLOP/B",
     "As the projections; near the batch where weights are most of the traffic", true},
    {"head", "head", "FLOP/B", "As the projections", true},
};

constexpr Term kCrossover[] = {
    {"all_matmuls", "projections and MLP", "tokens",
     "T from which dot products (whole square) cost more", true},
    {"mlp", "MLP", "tokens", "The same against the MLP alone", true},
    {"qkvo", "projections", "tokens", "The same against the projections alone", true},
};

constexpr TermGroup kGroups[] = {
    {"Batch", "", kBatch},
    {"Parameters", "parameters.", kParameters},
    {"FLOPs of the batch", "flops.", kFlops},
    {"Keys and values kept", "", kCache},
    {"Activations that one layer keeps for backward", "activation_bytes_per_layer.", kActivations,
     "B"},
    {"Activations that all layers keep", "activation_bytes.", kActivations, "B", false},
    {"Activations outside the layers", "", kOutside},
    {"FLOPs per byte of HBM", "intensity.", kIntensity},
    {"Sequence length from which attention's dot products cost more than", "crossover.",
     kCrossover},
    {"Shares of forward", "flops.share.", kParts, "%", false},
    {"One layer, forward", "flops.per_layer_forward.", kParts, "FLOP", false},
    {"One layer, training", "flops.per_layer_training.", kParts, "FLOP", false},
    {"All layers, training", "flops.training_parts.", kParts, "FLOP", false},
};

}  // namespace

std::span<const TermGroup> ModelTerms() { return kGroups; }

}  // namespace meshstep
