// What the figures of `meshstep budget` are called.

#include "sim/report/arithmetic/terms.h"

namespace meshstep {
namespace {

constexpr Term kRun[] = {
    {"parameters", "parameters", "parameters", "N: of the model", true},
    {"active_parameters", "used by a token", "parameters",
     "Of experts only those that a token is sent to", true},
    {"tokens", "tokens", "tokens", "D: that it is trained on", true},
    {"training_flops", "training", "FLOP", "6 times used parameters times tokens", true},
    {"tokens_per_parameter", "tokens a parameter", "tokens", "Tokens over parameters", true},
    {"optimal_tokens", "compute-optimal tokens", "tokens",
     "20 a parameter (Hoffmann et al. 2022), or --tokens-per-parameter", true},
    {"loss", "loss", "", "E + A / N^a + B / D^b as Hoffmann et al. fit it (3.3), nats a token",
     true},
};

constexpr Term kOptimum[] = {
    {"flops", "FLOPs", "FLOP", "Those of the run"},
    {"parameters", "parameters", "parameters", "That these FLOPs train best", true},
    {"tokens", "tokens", "tokens", "The same", true},
    {"loss", "loss", "", "By the parametric fit", true},
    {"parameters_per_decade", "parameters for 10 x FLOPs", "x", "How many times more"},
    {"tokens_per_decade", "tokens for 10 x FLOPs", "x", "How many times more"},
};

constexpr Term kServed[] = {
    {"inference_tokens", "tokens served", "tokens", "--inference-tokens", true},
    {"parameters", "parameters", "parameters",
     "That reach the parametric optimum's loss with the fewest FLOPs of training and serving",
     true},
    {"tokens", "training tokens", "tokens", "The same", true},
    {"tokens_per_parameter", "tokens a parameter", "tokens", "Training tokens over parameters"},
    {"training_flops", "training", "FLOP", "6 N D"},
    {"inference_flops", "serving", "FLOP", "2 N a token served"},
    {"total_flops", "both", "FLOP", "Training and serving", true},
    {"optimal_total_flops", "both, compute-optimal model", "FLOP",
     "The same loss without regard to serving", true},
    {"saving", "saved", "%", "1 - the one over the other (Sardana et al. 2024)", true},
};

constexpr Term kTime[] = {
    {"chips", "chips", "chips", "--chips", true},
    {"flops_per_s", "peak of a chip", "FLOP/s", "C: data sheet, dense, of --dtype", true},
    {"mfu", "MFU", "%", "Training FLOPs over what the chips could do in the time", true},
    {"time_s", "time", "s", "Training FLOPs / (chips x C x MFU)", true},
    {"days", "days", "days", "The same in days", true},
    {"chip_hours", "chip-hours", "h", "Hours times chips", true},
    {"available_flops", "possible in that time", "FLOP", "Chip-hours at the peak"},
    {"dollars", "cost", "$", "Chip-hours times --price", true},
    {"chips_needed", "chips for --days", "chips", "That finish in time", true},
};

constexpr Term kStep[] = {
    {"tokens", "tokens", "tokens", "--batch-tokens", true},
    {"model_flops", "FLOPs", "FLOP", "6 times used parameters times tokens", true},
    {"tokens_per_chip", "tokens a chip", "tokens", "Tokens over chips", true},
    {"time_s", "time", "s", "--step-time, or what --mfu makes it", true},
    {"roofline_s", "time at the peak", "s", "FLOPs / (chips x C)", true},
    {"mfu", "MFU", "%", "Time at the peak over time", true},
    {"steps", "steps of the run", "steps", "Tokens of the run over those of a step", true},
    {"sequences", "sequences", "sequences", "Tokens over --seq", true},
};

constexpr Term kMemory[] = {
    {"parameter_bytes", "parameters", "B", "Parameters in --parameters", true},
    {"gradient_bytes", "gradients", "B", "Parameters in --gradients", true},
    {"optimizer_bytes", "optimizer", "B", "Moments and master copy of --optimizer", true},
    {"state_bytes", "state", "B", "All three", true},
    {"bytes_per_parameter", "state of a parameter", "B",
     "State over parameters, or --bytes-per-param"},
    {"state_over_parameters", "state / parameters", "x", "Bytes of state over bytes of parameters"},
    {"activation_bytes", "activations", "B", "--checkpoint elements x layers x --batch-tokens",
     true},
    {"total_bytes", "together", "B", "State and activations", true},
    {"capacity_bytes", "HBM of a chip", "B", "Data sheet", true},
    {"capacity_bytes_all", "HBM of all chips", "B", "Times chips"},
    {"bytes_per_chip", "on a chip, shared by all", "B", "All of it over the chips: FSDP", true},
    {"fits", "fits, shared by all", "", "At most the HBM of a chip", true},
    {"replicated_state_bytes_per_chip", "state on a chip, replicated", "B",
     "A whole copy on every --model-parallel chips: data parallelism", true},
    {"fits_replicated", "fits, replicated", "", "At most the HBM of a chip", true},
    {"min_chips", "chips that hold all", "chips", "Together over HBM"},
    {"min_chips_state", "chips that hold the state", "chips", "State over HBM"},
    {"min_whole_chips_state", "the same, whole chips", "chips", "Rounded up", true},
    {"min_nodes_state", "the same, nodes", "nodes", "Or hosts, rounded up"},
    {"max_parameters_one_chip", "largest model, one chip", "parameters",
     "HBM over the state of a parameter", true},
    {"max_parameters", "largest model, all chips", "parameters", "The same of all chips"},
};

constexpr TermGroup kGroups[] = {
    {"The run", "", kRun},
    {"Compute-optimal for these FLOPs, 20 tokens a parameter (Hoffmann et al. 2022)", "chinchilla.",
     kOptimum},
    {"Compute-optimal by the fit of the loss (Hoffmann et al. 3.3)", "parametric.", kOptimum, "",
     false},
    {"Compute-optimal as Kaplan et al. 2020 had it", "kaplan.", kOptimum, "", false},
    {"With serving counted", "over_training.", kServed},
    {"Time", "time.", kTime},
    {"One step", "step.", kStep},
    {"Memory", "memory.", kMemory},
};

}  // namespace

std::span<const TermGroup> BudgetTerms() { return kGroups; }

}  // namespace meshstep
