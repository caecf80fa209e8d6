#include "sim/validation/mechanisms.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "meshstep/v1/framework.pb.h"
#include "sim/base/data_path.h"
#include "strategies/plan/load_framework.h"

namespace meshstep {
namespace {

ComputeCalibration* Calibration(Scenario* scenario) { return &scenario->cluster.chip.calibration; }

void WithoutLaunch(Scenario* scenario) {
  for (MatmulCalibration& c : Calibration(scenario)->matmul) c.launch = Seconds(0);
  Calibration(scenario)->elementwise_launch = Seconds(0);
}

// Tiles of one element: nothing is padded and no wave is partly empty.
void WithoutTiles(Scenario* scenario) {
  for (MatmulCalibration& c : Calibration(scenario)->matmul) {
    c.choose_tile = false;
    c.tile_m = c.tile_n = 1;
    c.load = c.store = BytesPerSecond(0);
    c.tile_start = Seconds(0);
  }
}

void WithoutPowerLimit(Scenario* scenario) {
  for (MatmulCalibration& c : Calibration(scenario)->matmul) {
    c.sustained_fraction = c.grouped_fraction = 1;
    c.exposed_results = 0;
  }
}

void WithoutExposedResults(Scenario* scenario) {
  for (MatmulCalibration& c : Calibration(scenario)->matmul) c.exposed_results = 0;
}

void WithoutPreciseSums(Scenario* scenario) {
  for (MatmulCalibration& c : Calibration(scenario)->matmul) c.precise_fraction = 1;
}

void WithoutGroupedKernels(Scenario* scenario) {
  for (MatmulCalibration& c : Calibration(scenario)->matmul) {
    c.grouped_fraction = c.sustained_fraction;
  }
}

void WithoutMemoryEfficiency(Scenario* scenario) { Calibration(scenario)->hbm_fraction = 1; }

// Changes every attention kernel that works in blocks, and the plan's.
void ChangeBlocks(Scenario* scenario, void (*change)(AttentionBlocks*)) {
  for (auto& [kernel, blocks] : Calibration(scenario)->blocks_by_kernel) change(&blocks);
  if (Calibration(scenario)->attention_blocks) change(&*Calibration(scenario)->attention_blocks);
}

void WithoutAttentionEfficiency(Scenario* scenario) {
  for (AttentionCalibration& c : Calibration(scenario)->attention) c.peak_fraction = 1;
  Calibration(scenario)->blocks_by_kernel.clear();
  if (Calibration(scenario)->attention_blocks) {
    Calibration(scenario)->attention_blocks.reset();
    Calibration(scenario)->attention = {
        {.head_dim = 128, .sequence_length = 1, .peak_fraction = 1}};
  }
}

// Only visible scores are computed.
void WithoutAttentionBlocks(Scenario* scenario) {
  ChangeBlocks(scenario, [](AttentionBlocks* blocks) {
    blocks->block = blocks->backward_block = 1;
    blocks->block_start = blocks->backward_block_start = Seconds(0);
  });
}

void WithoutHeadPadding(Scenario* scenario) {
  ChangeBlocks(scenario, [](AttentionBlocks* blocks) { blocks->array = 1; });
}

void WithoutSoftmax(Scenario* scenario) {
  ChangeBlocks(scenario, [](AttentionBlocks* blocks) { blocks->scores_per_s = 1e30; });
}

void WithoutMeasuredCollectives(Scenario* scenario) {
  scenario->cluster.chip.collectives.clear();
  scenario->cluster.chip.across_nodes.clear();
  scenario->cluster.library.reset();
}

void WithoutNetworkLatency(Scenario* scenario) {
  WithoutMeasuredCollectives(scenario);
  scenario->cluster.chip.interconnect.latency = Seconds(0);
  scenario->cluster.nodes.nic_latency = Seconds(0);
  for (auto& tier : scenario->cluster.nodes.tiers) tier.latency = Seconds(0);
}

void WithoutRecompute(Scenario* scenario) { scenario->plan.recompute = Recompute::kNone; }

void WithoutExposedReduction(Scenario* scenario) { scenario->plan.overlap_gradients = true; }

void WithoutBlockingReductions(Scenario* scenario) {
  if (scenario->plan.reductions_in_flight == 1) scenario->plan.reductions_in_flight = 2;
}

void WithoutKeptProducts(Scenario* scenario) {
  scenario->plan.recompute_keep.clear();
  scenario->plan.recompute_drops_unread = false;
}

void WithoutTakenUnits(Scenario* scenario) { scenario->plan.collectives_take_units = false; }

void WithoutStragglers(Scenario* scenario) { scenario->plan.stragglers = false; }

void WithoutFrameworkKernels(Scenario* scenario) {
  Kernels* kernels = &scenario->plan.kernels;
  kernels->accumulation = Kernels::Accumulation::kNone;
  kernels->unfused_optimizer = false;
}

void WithoutHostDispatch(Scenario* scenario) {
  scenario->plan.kernels.launches = Kernels::Launches::kNone;
}

void WithoutGradientSums(Scenario* scenario) { scenario->plan.kernels.separate_sums = false; }

void WithoutSeparateProjections(Scenario* scenario) {
  scenario->plan.kernels.separate_projections = false;
}

void WithoutDtensor(Scenario* scenario) { scenario->plan.kernels.dtensor = false; }

void WithoutRepeatedHeads(Scenario* scenario) { scenario->plan.kernels.repeated_heads = false; }

void WithoutAlternateProducts(Scenario* scenario) {
  if (scenario->plan.recompute == Recompute::kAlternate) {
    scenario->plan.recompute = Recompute::kMatmuls;
  }
}

void WithoutExpertKernels(Scenario* scenario) {
  scenario->plan.expert_dispatch = ExpertDispatch::kSorted;
  Kernels& kernels = scenario->plan.kernels;
  kernels.expert_tile_rows = 0;
  kernels.each_expert = kernels.fused_experts = false;
}

void WithoutDispatcherRates(Scenario* scenario) {
  Chip& chip = scenario->cluster.chip;
  const auto moved = [](const auto& entry) { return !entry.dispatcher.empty(); };
  std::erase_if(chip.collectives, moved);
  std::erase_if(chip.across_nodes, moved);
}

void WithoutPermutationRate(Scenario* scenario) { Calibration(scenario)->permutation_fraction = 1; }

void WithoutSharedTiles(Scenario* scenario) { scenario->plan.kernels.expert_tile_rows = 0; }

void WithoutChannelScales(Scenario* scenario) {
  Precision& precision = scenario->plan.precision;
  if (precision.scaling == Scaling::kChannel) precision.scaling = Scaling::kTensor;
}

void WithoutExpertOverlap(Scenario* scenario) { scenario->plan.overlap_experts = false; }

void WithoutAttentionGeneration(Scenario* scenario) { scenario->plan.flash_kernel.clear(); }

constexpr char kFrameworks[] = "strategies/frameworks";

}  // namespace

std::vector<Mechanism> Mechanisms() {
  return {
      {"launch", "kernels start at once", WithoutLaunch},
      {"tiles", "matmuls fill every unit, whatever their shape", WithoutTiles},
      {"power", "matmuls run at the rate of a cold chip", WithoutPowerLimit},
      {"exposed-results", "matmuls hide what they read and write of sums in fp32",
       WithoutExposedResults},
      {"grouped-kernels", "grouped matmuls of experts run as other matmuls", WithoutGroupedKernels},
      {"precise-sums", "backward's matmuls add up as fast as forward's", WithoutPreciseSums},
      {"memory-efficiency", "elementwise kernels reach the HBM rate", WithoutMemoryEfficiency},
      {"attention-efficiency", "attention runs at the peak", WithoutAttentionEfficiency},
      {"measured-collectives", "closed forms at the usable rate of the links",
       WithoutMeasuredCollectives},
      {"network-latency", "closed forms without latency", WithoutNetworkLatency},
      {"recompute", "nothing is recomputed", WithoutRecompute},
      {"reduction-tail", "gradients always reduce beside the backward pass",
       WithoutExposedReduction},
      {"blocking-reductions", "backward never waits for the reduction of the layer before",
       WithoutBlockingReductions},
      {"kept-products", "all of a layer runs again, whatever a policy keeps or backward reads",
       WithoutKeptProducts},
      {"taken-units", "collectives take no compute units from kernels", WithoutTakenUnits},
      {"stragglers", "every chip is as fast as the mean one", WithoutStragglers},
      {"framework-kernels", "loss, gradients and optimizer in as few kernels as can be",
       WithoutFrameworkKernels},
      {"gradient-passes", "gradients are not zeroed, checked, scaled or cast by themselves",
       nullptr},
      {"bias-gradients", "gradients of biases are summed in kernels that are there anyway",
       nullptr},
      {"copied-heads", "attention reads and writes heads as their joint product has them", nullptr},
      {"dense-embedding-gradient", "gradients of an embedding are added where they belong",
       nullptr},
      {"expert-kernels", "experts in as few kernels and passes over their tokens as can be",
       WithoutExpertKernels},
      {"permutation", "permutations of tokens reach the rate of a copy", WithoutPermutationRate},
      {"shared-tiles", "tiles of grouped matmuls begin where an expert's rows do",
       WithoutSharedTiles},
      {"channel-scales", "scales of 8-bit operands are known before, one per tensor",
       WithoutChannelScales},
      {"dispatcher-rates", "the library of collectives moves routed tokens",
       WithoutDispatcherRates},
      {"expert-overlap", "no micro-batch hides another's transfers of routed tokens",
       WithoutExpertOverlap},
      {"host-dispatch", "the host is never late with a launch", WithoutHostDispatch},
      {"eager", "elementwise work in as few kernels as can be", nullptr},
      {"gradient-sums", "the parts of a gradient are added by the kernels that make them",
       WithoutGradientSums},
      {"separate-projections", "products of one input are one matmul", WithoutSeparateProjections},
      {"sharded-copies", "nothing is copied around the transfers of sharded parameters", nullptr},
      {"dtensor", "tensor ranks transfer as Megatron's do, in place", WithoutDtensor},
      {"repeated-heads", "attention reads each key/value head once", WithoutRepeatedHeads},
      {"alternate-products", "where every second product runs again, attention does instead",
       WithoutAlternateProducts},
      {"attention-blocks", "attention in blocks computes no hidden scores", WithoutAttentionBlocks},
      {"head-padding", "head sizes fill the matrix units", WithoutHeadPadding},
      {"softmax", "attention's vector units keep up with its matrix units", WithoutSoftmax},
      {"attention-generation", "the fastest attention kernel of the chip",
       WithoutAttentionGeneration},
  };
}

void LeaveOut(const Mechanism& mechanism, Scenario* scenario) {
  if (mechanism.change != nullptr) mechanism.change(scenario);
  KernelTable left = *scenario->plan.kernel_table;
  std::erase_if(left, [&](const KernelRow& row) { return row.label == mechanism.name; });
  scenario->plan.kernel_table = std::make_shared<const KernelTable>(std::move(left));
}

StatusOr<Mechanism> FindMechanism(const std::string& name, const Catalog& catalog,
                                  const std::vector<std::string>& frameworks) {
  std::vector<std::string> names;
  for (Mechanism& mechanism : Mechanisms()) {
    if (name == mechanism.name) return std::move(mechanism);
    names.push_back(std::move(mechanism.name));
  }
  std::vector<std::string> all = ListPresets(kFrameworks);
  for (const std::string& framework : frameworks) all.push_back(FrameworkName(framework));
  for (const std::string& framework : all) {
    v1::Framework file;
    // One that cannot be read is told where a scenario names it.
    if (!catalog.Read(kFrameworks, framework, &file).ok()) continue;
    for (const v1::OpRow& row : file.op()) {
      if (name == row.label()) return Mechanism{name, "these kernels do not run", nullptr};
      if (std::ranges::find(names, row.label()) == names.end()) names.push_back(row.label());
    }
  }
  return InvalidInput(absl::StrCat("--without: is \"", name.substr(0, 64), "\", expected one of ",
                                   absl::StrJoin(names, ", ")));
}

}  // namespace meshstep
