#include "strategies/bounds/step_bounds.h"

#include <cmath>
#include <string>

#include "gtest/gtest.h"
#include "meshstep/v1/cluster.pb.h"
#include "sim/base/catalog.h"
#include "topologies/build_fabric.h"
#include "topologies/load_cluster.h"

namespace meshstep {
namespace {

Cluster ClusterOf(const v1::Cluster& given) {
  v1::Cluster proto = given;
  Diagnostics diagnostics;
  ResolveClusterPresets(&proto, "cluster", Catalog(), &diagnostics);
  Cluster cluster = LoadCluster(proto, "cluster", &diagnostics);
  EXPECT_TRUE(diagnostics.errors().empty()) << diagnostics.status().message();
  return cluster;
}

Cluster Nodes(const std::string& preset, int chips) {
  v1::Cluster proto;
  proto.set_preset(preset);
  proto.set_chips(chips);
  return ClusterOf(proto);
}

Cluster Torus(const std::string& preset, const std::string& slice, int slices = 1) {
  v1::Cluster proto;
  proto.set_preset(preset);
  proto.set_slice(slice);
  proto.set_slices(slices);
  return ClusterOf(proto);
}

// GB/s out of all parts of that name together; 0 if there are none.
double Capacity(const Cluster& cluster, const std::string& part, double parts) {
  const auto fabric = BuildFabric(cluster, RateSet::kDatasheet, Fidelity::kCalibrated);
  for (const FabricCut& cut : CutsOf(*fabric, cluster.chip.devices_per_chip)) {
    if (cut.part != part) continue;
    EXPECT_DOUBLE_EQ(cut.parts, parts);
    return cut.capacity.value() / 1e9;
  }
  return 0;
}

// dgx-h100: NVLink 450 GB/s and a NIC of 50 GB/s a chip, no taper; the wires, calibrated too.
TEST(FabricCuts, Nodes) {
  const Cluster cluster = Nodes("dgx-h100", 16384);
  EXPECT_NEAR(Capacity(cluster, "chip", 16384), 16384.0 * 500, 1e-3);
  EXPECT_NEAR(Capacity(cluster, "node", 2048), 16384.0 * 50, 1e-3);
  EXPECT_NEAR(Capacity(cluster, "leaf", 64), 16384.0 * 50, 1e-3);
  EXPECT_NEAR(Capacity(cluster, "spine", 16), 16384.0 * 50, 1e-3);
}

// Meta's pods of 3,072 are joined at 7 : 1.
TEST(FabricCuts, ATaperedTier) {
  const Cluster cluster = Nodes("meta-24k-h100", 3072 * 4);
  EXPECT_NEAR(Capacity(cluster, "pod", 4), 4 * 3072.0 * 50 / 7, 1e-3);
}

// v5e: links of 50 GB/s (data sheet), 16 x 16 closes: half of x has 2 · 16 links out.
TEST(FabricCuts, Torus) {
  const Cluster pod = Torus("tpu-v5e", "16x16");
  EXPECT_NEAR(Capacity(pod, "half of x", 2), 2 * 32 * 50.0, 1e-6);
  EXPECT_NEAR(Capacity(pod, "chip", 256), 256 * 4 * 50.0, 1e-6);
  EXPECT_NEAR(Capacity(pod, "2x2", 64), 64 * 8 * 50.0, 1e-6);
  // 8 x 8 does not: half of it has 8 links out, corners have two.
  const Cluster part = Torus("tpu-v5e", "8x8");
  EXPECT_NEAR(Capacity(part, "half of x", 2), 2 * 8 * 50.0, 1e-6);
  EXPECT_NEAR(Capacity(part, "chip", 64), (2 * 7 * 8) * 2 * 50.0, 1e-6);
}

TEST(FabricCuts, Slices) {
  const Cluster two = Torus("tpu-v5e", "16x16", 2);
  EXPECT_NEAR(Capacity(two, "slice", 2), 512 * two.dcn.value() / 1e9, 1e-6);
}

// Three devices in a row, 0 - 1 - 2, 10 GB/s: four directed links, two between {0, 1} and {2}.
TEST(FabricCuts, CustomGraph) {
  v1::Cluster proto;
  proto.mutable_chip()->set_preset("h100-sxm");
  proto.set_chips(3);
  for (int i = 0; i < 2; ++i) {
    v1::GraphLink* link = proto.mutable_graph()->add_links();
    link->set_from(i);
    link->set_to(i + 1);
    link->set_gbytes_per_s(10);
  }
  const Cluster cluster = ClusterOf(proto);
  EXPECT_DOUBLE_EQ(Capacity(cluster, "chip", 3), 40);
  EXPECT_DOUBLE_EQ(Capacity(cluster, "half", 1.5), 20);
}

// P = 1e9 in bf16 both ways (k = 4), d = 1000, a = 2.
constexpr ChainedWork kWork{1e9, 1000, 1e9, 4, 2};

// With 1e9 tokens each part of two meets all weights: an all-reduce, less what a part may leave to
// the other, d^2 = 1e6 products of a token.
TEST(LeastCrossing, TwoPartsSumTheirGradients) {
  EXPECT_DOUBLE_EQ(LeastCrossing(kWork, 0.5).value(), 4 * (1e9 - 2e6));
}

// One part that may do everything sends nothing.
TEST(LeastCrossing, OnePartMayDoAll) { EXPECT_EQ(LeastCrossing(kWork, 1).value(), 0); }

// With few tokens it is the activations that pass: all tokens meet half of the weights in each of
// two parts, 2 p = P, so that nothing is summed: a d D of each part.
TEST(LeastCrossing, FewTokensPassBetweenHalvesOfTheModel) {
  ChainedWork work = kWork;
  work.tokens = 1e5;
  EXPECT_DOUBLE_EQ(LeastCrossing(work, 0.5).value(), 2 * 2 * 1000 * 1e5);
}

// A million tokens, 100 parts of 1e13 products each: p = sqrt(a W d / k) = sqrt(2 · 1e13 · 1000 / 4)
// = 7.07e7 weights meet 1.41e5 tokens; 2 k p of each part, less k P.
TEST(LeastCrossing, ManyPartsBalanceWeightsAndTokens) {
  ChainedWork work = kWork;
  work.tokens = 1e6;
  EXPECT_NEAR(LeastCrossing(work, 0.01).value(), 100 * 2 * 4 * std::sqrt(5e15) - 4e9, 1);
}

Model Dense() {
  Model model;
  model.layers = 10;
  model.hidden = 4096;
  model.heads = 32;
  model.kv_heads = 8;
  model.head_dim = 128;
  model.ffn = 14336;
  model.vocab = 32000;
  model.gated_mlp = true;
  return model;
}

Workload Training(int sequences) {
  Workload workload;
  workload.batch = sequences;
  workload.sequence = 4096;
  return workload;
}

// Eight of ten layers: projections of queries and outputs, three matmuls of the MLP.
TEST(StepBounds, CountsWhatEveryTokenMeets) {
  const ChainedWork work = ChainedWorkOf(Dense(), Training(64), {});
  EXPECT_EQ(work.weights, 8 * (2.0 * 4096 * 4096 + 3.0 * 4096 * 14336));
  EXPECT_EQ(work.width, 4096);
  EXPECT_EQ(work.tokens, 64 * 4096);
  EXPECT_EQ(work.weight_bytes, 4 + 2);
  EXPECT_EQ(work.activation_bytes, 2);
}

double Cut(const StepBounds& bounds, const std::string& part) {
  for (const StepBounds::Cut& cut : bounds.cuts) {
    if (cut.cut.part == part) return cut.time.value();
  }
  return -1;
}

// Slices of v5e over a network of 1 MB/s a chip: the sum of gradients binds, and the bound is where
// the two slices have shared the work so unevenly that it takes as long to compute: one slice alone
// takes twice the time of both.
TEST(StepBounds, ASlowNetworkBindsUpToOneSliceAlone) {
  Cluster cluster = Torus("tpu-v5e", "16x16", 2);
  const StepBounds fast = StepBoundsOf(Dense(), Training(2048), {}, cluster);
  EXPECT_LT(Cut(fast, "slice"), fast.compute.value());
  cluster.dcn = BytesPerSecond(1e6);
  const StepBounds slow = StepBoundsOf(Dense(), Training(2048), {}, cluster);
  EXPECT_EQ(slow.compute, fast.compute);
  EXPECT_GT(slow.value(), slow.compute);
  EXPECT_LT(slow.value(), 2 * slow.compute);
  EXPECT_EQ(slow.value().value(), Cut(slow, "slice"));
}

// More bandwidth never raises it, more chips never raise compute.
TEST(StepBounds, FallsWithBandwidth) {
  Cluster cluster = Nodes("dgx-h100", 512);
  double last = 1e300;
  for (const double rate : {1e8, 1e9, 1e10, 5e10}) {
    cluster.nodes.nic = BytesPerSecond(rate);
    const double bound = StepBoundsOf(Dense(), Training(512), {}, cluster).value().value();
    EXPECT_LE(bound, last);
    last = bound;
  }
}

TEST(StepBounds, ForwardOnlyHasNoCuts) {
  Workload workload = Training(64);
  workload.mode = Workload::Mode::kPrefill;
  EXPECT_TRUE(StepBoundsOf(Dense(), workload, {}, Nodes("dgx-h100", 64)).cuts.empty());
}

}  // namespace
}  // namespace meshstep
