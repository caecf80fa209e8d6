// Chips and clusters from protos: defaults, wraparound by generation, and every refusal.

#include "topologies/load_cluster.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "absl/strings/str_cat.h"
#include "google/protobuf/text_format.h"
#include "meshstep/v1/cluster.pb.h"
#include "sim/base/catalog.h"
#include "sim/base/data_path.h"
#include "topologies/build_fabric.h"
#include "topologies/fabric.h"
#include "topologies/load_chip.h"
#include "topologies/tiers.h"

namespace meshstep {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr char kGpu[] = R"(
  chip {
    name: "gpu"
    datasheet { matmul { dtype: "bf16" flops_per_s: 1e15 } hbm_bytes: 80000000000
                hbm_bytes_per_s: 3e12 link_gbytes_per_s: 450 }
    interconnect { kind: SWITCH domain_chips: 8 }
  }
  nodes { chips_per_node: 8 nic_gbytes_per_s: 50 nic_latency_ns: 2800 }
)";

constexpr char kTpu[] = R"(
  chip {
    name: "tpu"
    datasheet { matmul { dtype: "bf16" flops_per_s: 4e14 } hbm_bytes: 95000000000
                hbm_bytes_per_s: 2e12 link_gbytes_per_s: 100 }
    interconnect { kind: TORUS dimensions: 3 wraparound: WHOLE_CUBES pod: [16, 20, 28] }
  }
)";

v1::Cluster Parse(const std::string& text) {
  v1::Cluster proto;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &proto)) << text;
  return proto;
}

Cluster Load(const std::string& base, const std::string& more, Diagnostics* diagnostics) {
  v1::Cluster proto = Parse(base);
  proto.MergeFrom(Parse(more));
  return LoadCluster(proto, "cluster", diagnostics);
}

Cluster LoadOk(const std::string& base, const std::string& more) {
  Diagnostics diagnostics;
  const Cluster cluster = Load(base, more, &diagnostics);
  EXPECT_TRUE(diagnostics.ok()) << diagnostics.status();
  return cluster;
}

std::vector<std::string> Errors(const std::string& base, const std::string& more) {
  Diagnostics diagnostics;
  Load(base, more, &diagnostics);
  return diagnostics.errors();
}

TEST(LoadCluster, FillsDefaults) {
  const Cluster cluster = LoadOk(kGpu, "chips: 16");
  EXPECT_EQ(cluster.devices(), 16);
  EXPECT_EQ(cluster.nodes.nics_per_node, 8);
  EXPECT_EQ(cluster.nodes.nic_usable_fraction, 1);
  EXPECT_EQ(cluster.nodes.nic.value(), 50e9);
  EXPECT_EQ(cluster.nodes.nic_latency.value(), 2800 * 1e-9);
  EXPECT_EQ(cluster.chip.devices_per_chip, 1);
  EXPECT_DOUBLE_EQ(cluster.chip.interconnect.latency.value(), 1000e-9);
  EXPECT_EQ(cluster.chip.interconnect.usable_fraction, 1);
  // The book's rates are the data sheet's unless given.
  EXPECT_EQ(cluster.chip.book.peak(Dtype::kBf16).value(), 1e15);
  EXPECT_EQ(cluster.chip.book.link.value(), 450e9);
  EXPECT_EQ(cluster.chip.datasheet.peak(Dtype::kFp8).value(), 0);
  EXPECT_TRUE(std::isinf(cluster.chip.datasheet.vector.value()));
  // Estimates, as chip.proto and load_chip.cc document them.
  EXPECT_EQ(cluster.chip.calibration.hbm_fraction, 0.85);
  EXPECT_EQ(cluster.chip.calibration.elementwise_launch.value(), 4.5e-6);
  for (const MatmulCalibration& m : cluster.chip.calibration.matmul)
    EXPECT_GT(m.launch, Seconds(0));
}

TEST(LoadCluster, BookOverridesFieldByField) {
  const Cluster cluster = LoadOk(kGpu, R"(chips: 8 chip { book { hbm_bytes_per_s: 3.35e12
      matmul { dtype: "fp8" flops_per_s: 2e15 } } })");
  EXPECT_EQ(cluster.chip.book.hbm_rate.value(), 3.35e12);
  EXPECT_EQ(cluster.chip.datasheet.hbm_rate.value(), 3e12);
  EXPECT_EQ(cluster.chip.book.peak(Dtype::kFp8).value(), 2e15);
  EXPECT_EQ(cluster.chip.book.peak(Dtype::kBf16).value(), 1e15);
}

TEST(LoadChip, FormatsWithoutMeasurementsBehaveAsBf16) {
  const Cluster cluster = LoadOk(kGpu, R"(chips: 8 chip { calibration { matmul {
      dtype: "bf16" launch_ns: 7000 peak_fraction: 0.5 hbm_fraction: 0.4 tile_m: 64 tile_n: 32 }
      attention { head_dim: 128 causal: true sequence_length: 4096 peak_fraction: 0.6 } } })");
  const MatmulCalibration& fp8 =
      cluster.chip.calibration.matmul[static_cast<std::size_t>(Dtype::kFp8)];
  EXPECT_EQ(fp8.launch.value(), 7000 * 1e-9);
  EXPECT_EQ(fp8.peak_fraction, 0.5);
  EXPECT_EQ(fp8.tile_n, 32);
  ASSERT_EQ(cluster.chip.calibration.attention.size(), 1u);
  EXPECT_EQ(cluster.chip.calibration.attention[0].head_dim, 128);
}

constexpr char kBlocks[] = "block: 512 backward_block: 256 array: 128 matmul_fraction: 0.8 ";

TEST(LoadChip, AttentionBlocks) {
  const auto chip = [](const std::string& text) {
    return absl::StrCat("chips: 8 chip { calibration { ", text, " } }");
  };
  const std::string one = absl::StrCat("attention_blocks { ", kBlocks, "scores_per_s: 1e12 ");
  const Cluster cluster =
      LoadOk(kGpu, chip(one + "} " + one + "kernel: 'splash-1' block_ns: 7 backward_matmuls: 7 }"));
  const ComputeCalibration& c = cluster.chip.calibration;
  ASSERT_TRUE(c.attention_blocks);
  EXPECT_EQ(c.attention_blocks->backward_block, 256);
  EXPECT_TRUE(c.attention_blocks->fused_backward);
  EXPECT_FALSE(c.blocks_by_kernel.at("splash-1").fused_backward);
  EXPECT_DOUBLE_EQ(c.blocks_by_kernel.at("splash-1").block_start.value(), 7e-9);
  const std::string field = "cluster.chip.calibration.attention_blocks";
  EXPECT_THAT(Errors(kGpu, chip(one + "backward_matmuls: 6 }")),
              ElementsAre(field + "[0].backward_matmuls: is 6, expected 5 or 7"));
  EXPECT_THAT(
      Errors(kGpu, chip(one + "kernel: 'flash-9' }")),
      ElementsAre(field + "[0].kernel: is \"flash-9\", expected flash-1, flash-2, cudnn-2024, "
                          "splash-1, splash-2, splash-3 or none"));
  EXPECT_THAT(Errors(kGpu, chip(one + "} " + one + "}")),
              ElementsAre(field + "[1].kernel: is \"\" a second time"));
  EXPECT_THAT(Errors(kGpu, chip(absl::StrCat("attention_blocks { ", kBlocks, "}"))),
              ElementsAre(HasSubstr(field + "[0].scores_per_s: is 0, expected a number above 0")));
}

std::vector<bool> Wraps(const std::string& interconnect, const std::string& slice) {
  return LoadOk(kTpu, "slice: \"" + slice + "\" chip { interconnect { " + interconnect + " } }")
      .wraps;
}

// hardware.md "TPU topology rules" (S1, S2, S5, S10): v4, v5p and v7x wrap only slices of whole
// 4x4x4 cubes: 2x2x1, 2x2x2, 2x2x4 and 2x4x4 do not.
TEST(LoadCluster, WholeCubesWrap) {
  EXPECT_THAT(Wraps("", "4x4x4"), ElementsAre(true, true, true));
  EXPECT_THAT(Wraps("", "8x12x16"), ElementsAre(true, true, true));
  for (const char* slice : {"2x2x1", "2x2x2", "2x2x4", "2x4x4"}) {
    EXPECT_THAT(Wraps("", slice), ElementsAre(false, false, false)) << slice;
  }
  // Without its third dimension a slice is no cube.
  EXPECT_THAT(Wraps("", "4x4"), ElementsAre(false, false));
}

// v5e and v6e wrap only an axis of the full 16: 8x16 wraps on the 16; 4x4 and 8x8 do not.
TEST(LoadCluster, FullAxisWraps) {
  const std::string v5e = "dimensions: 3 wraparound: FULL_AXIS full_axis: 16";
  EXPECT_THAT(Wraps(v5e, "8x16"), ElementsAre(false, true));
  EXPECT_THAT(Wraps(v5e, "16x16"), ElementsAre(true, true));
  EXPECT_THAT(Wraps(v5e, "4x4"), ElementsAre(false, false));
  EXPECT_THAT(Wraps(v5e, "8x8"), ElementsAre(false, false));
}

TEST(LoadCluster, AlwaysAndNever) {
  EXPECT_THAT(Wraps("wraparound: ALWAYS", "2x3x1"), ElementsAre(false, true, false));
  EXPECT_THAT(Wraps("wraparound: NEVER", "4x4x4"), ElementsAre(false, false, false));
}

TEST(LoadCluster, SlicesFitThePodInSomeOrder) {
  EXPECT_EQ(LoadOk(kTpu, "slice: \"28x16x20\"").chips, 28 * 16 * 20);
  EXPECT_EQ(LoadOk(kTpu, "slice: \"16x16x24\" chips: 6144").chips, 6144);
  // Optical switches join any cubes: arXiv 2304.01433 section 2; MLPerf 4.1 ran 4x8x64.
  EXPECT_EQ(LoadOk(kTpu, "slice: \"4x8x64\"").chips, 4 * 8 * 64);
  EXPECT_THAT(Errors(kTpu, "slice: \"32x4x2\""),
              ElementsAre("cluster.slice: is \"32x4x2\", which does not fit in the pod of 16x20x28 "
                          "chips"));
  EXPECT_THAT(Errors(kTpu, "slice: \"20x20x24\""),
              ElementsAre(HasSubstr("does not fit in the pod")));
  EXPECT_THAT(Errors(kTpu, "slice: \"2x2x2x2\""),
              ElementsAre(HasSubstr("at most the 3 dimensions")));
}

TEST(LoadCluster, SliceIsRefused) {
  for (const char* slice : {"8x", "x8", "8X8", "0x4", "-1x4", "8x8x", "a", "4 x4", "1e3",
                            "99999999999x1", "1048577", "1024x1024x2"}) {
    EXPECT_THAT(Errors(kTpu, std::string("slice: \"") + slice + "\""),
                ElementsAre(HasSubstr("cluster.slice: is \"")))
        << slice;
  }
  EXPECT_THAT(Errors(kTpu, ""), ElementsAre(HasSubstr("cluster.slice: is missing")));
  EXPECT_THAT(Errors(kTpu, "slice: \"4x4x4\" chips: 63"),
              ElementsAre("cluster.chips: is 63, but the slice \"4x4x4\" has 64 chips"));
  EXPECT_THAT(Errors(kGpu, "slice: \"4x4\" chips: 16"), ElementsAre(HasSubstr("not on a torus")));
}

TEST(LoadCluster, Twist) {
  for (const char* slice : {"4x4x8", "4x8x8", "8x4x4", "8x16x16"}) {
    EXPECT_TRUE(LoadOk(kTpu, std::string("twisted: true slice: \"") + slice + "\"").twisted);
  }
  for (const char* slice : {"4x4x4", "4x8x12", "4x4", "2x2x4", "4x16x16"}) {
    EXPECT_THAT(Errors(kTpu, std::string("twisted: true slice: \"") + slice + "\""),
                ElementsAre(HasSubstr("cluster.twisted: is true")))
        << slice;
  }
}

TEST(LoadCluster, NodesAreRefused) {
  EXPECT_THAT(Errors(kGpu, ""), ElementsAre(HasSubstr("cluster.chips: is 0")));
  EXPECT_THAT(Errors(kGpu, "chips: -8"), ElementsAre(HasSubstr("cluster.chips: is -8")));
  EXPECT_THAT(Errors(kGpu, "chips: 12"), ElementsAre(HasSubstr("multiple of the 8 chips")));
  EXPECT_THAT(Errors(kGpu, "chips: 16 nodes { nics_per_node: 3 }"),
              ElementsAre(HasSubstr("cluster.nodes.nics_per_node: is 3")));
  EXPECT_THAT(Errors(kGpu, "chips: 16 nodes { nic_gbytes_per_s: -1 }"),
              ElementsAre(HasSubstr("cluster.nodes.nic_gbytes_per_s: is -1")));
  EXPECT_THAT(Errors(kGpu, "chips: 16 nodes { nic_gbytes_per_s: nan }"),
              ElementsAre(HasSubstr("cluster.nodes.nic_gbytes_per_s: is nan")));
  EXPECT_THAT(Errors(kGpu, "chips: 16 nodes { nic_usable_fraction: 1.5 }"),
              ElementsAre(HasSubstr("above 0 and at most 1")));
  EXPECT_THAT(Errors(kGpu, "chips: 16 nodes { tiers { oversubscription: 0 } }"),
              ElementsAre(HasSubstr("cluster.nodes.tiers[0].oversubscription: is 0")));
  EXPECT_THAT(Errors(kGpu, "chips: 16 nodes { tiers { nodes: 1 } }"),
              ElementsAre(HasSubstr("the last tier joins 1 nodes, but the cluster has 2")));
}

TEST(LoadCluster, TiersThatNodesDoNotFill) {
  const std::string taper =
      "nodes { tiers { name: \"leaf\" nodes: 4 oversubscription: 2 } tiers { name: \"spine\" } }";
  EXPECT_THAT(
      Errors(kGpu, "chips: 56 " + taper),
      ElementsAre("cluster.nodes: tiers[0] (leaf) joins 4 nodes with oversubscription 2, but "
                  "the cluster's 7 nodes do not fill such units evenly; expected a multiple "
                  "of 4 nodes or oversubscription 1"));
  LoadOk(kGpu, "chips: 64 " + taper);
  // Six nodes take three of the four in each of two leaves, under the uplinks of four.
  const auto tiers =
      UsedTiers({{"leaf", 4, 2, Seconds(0), false}, {"spine", 0, 1, Seconds(0), false}}, 6);
  ASSERT_TRUE(tiers.ok()) << tiers.status();
  EXPECT_EQ(tiers->front().nodes, 3);
  EXPECT_EQ(tiers->front().oversubscription, 2.0 * 3 / 4);
  // Without oversubscription the tier joins the next one.
  const Cluster cluster = LoadOk(
      kGpu, "chips: 48 nodes { tiers { name: \"leaf\" nodes: 4 } tiers { name: \"spine\" } }");
  const auto fabric = BuildFabric(cluster, RateSet::kDatasheet, Fidelity::kIdeal);
  ASSERT_EQ(fabric->levels().size(), 2u);
  EXPECT_EQ(fabric->levels()[1].name, "spine");
  EXPECT_EQ(fabric->levels()[1].extent, 6);
}

// GB200 jobs of 64, 128 and 256 take 64 of the 72 GPUs of a rack, 16 of its 18 trays of 4, and the NICs
// of those trays.
TEST(LoadCluster, JobsTakeTraysOfARack) {
  const std::string rack =
      "chip { interconnect { domain_chips: 72 } } nodes { chips_per_node: 72 nics_per_node: 144 "
      "tray_chips: 4 } ";
  for (const int chips : {128, 256, 512}) {
    const Cluster cluster = LoadOk(kGpu, absl::StrCat(rack, "chips: ", chips));
    EXPECT_EQ(cluster.nodes.chips_per_node, 64) << chips;
    EXPECT_EQ(cluster.nodes.nics_per_node, 64 * 144 / 72) << chips;
  }
  EXPECT_EQ(LoadOk(kGpu, rack + "chips: 64").chips, 64);
  EXPECT_EQ(LoadOk(kGpu, rack + "chips: 144").nodes.chips_per_node, 72);
  EXPECT_EQ(LoadOk(kGpu, rack + "chips: 96").nodes.chips_per_node, 96 / 2);
  Diagnostics diagnostics;
  Load(kGpu, rack + "chips: 128", &diagnostics);
  EXPECT_THAT(diagnostics.notes(),
              ElementsAre("64 of the 72 chips of each of 2 nodes are in use, with their 128 NICs"));
  EXPECT_THAT(
      Errors(kGpu, rack + "chips: 130"),
      ElementsAre("cluster.chips: is 130, expected a multiple of the 72 chips of a node, or "
                  "fewer, or as many whole trays of each of several nodes"));
  EXPECT_THAT(Errors(kGpu, "chips: 16 nodes { tray_chips: 5 }"),
              ElementsAre(HasSubstr("tray_chips: is 5, expected a divisor of the 8 chips")));
}

TEST(LoadCluster, ConfidenceIsTheWeaker) {
  EXPECT_EQ(LoadOk(kGpu, "chips: 8").confidence, Confidence::kDataSheet);
  EXPECT_EQ(LoadOk(kGpu, "chips: 8 confidence: MEASURED").confidence, Confidence::kDataSheet);
  EXPECT_EQ(LoadOk(kGpu, "chips: 8 confidence: MEASURED chip { confidence: MEASURED }").confidence,
            Confidence::kMeasured);
  EXPECT_EQ(LoadOk(kGpu, "chips: 8 confidence: ANNOUNCED chip { confidence: MEASURED }").confidence,
            Confidence::kAnnounced);
}

TEST(LoadCluster, RailsNeedRailsBelow) {
  EXPECT_THAT(Errors(kGpu,
                     "chips: 64 nodes { tiers { name: \"a\" nodes: 4 } "
                     "tiers { name: \"b\" rails: true } }"),
              ElementsAre(HasSubstr("has rails above a tier that has none")));
}

TEST(LoadCluster, AllProblemsAtOnce) {
  const std::vector<std::string> errors = Errors(kTpu, R"(
      slice: "5y5" chip { year: 3 devices_per_chip: 99 datasheet { hbm_bytes: -1
      matmul { dtype: "fp7" flops_per_s: 1 } matmul { dtype: "bf16" flops_per_s: 1 } }
      interconnect { usable_fraction: 2 dimensions: 7 latency_ns: -5 host: [2, 0] }
      calibration { hbm_fraction: 0 matmul { dtype: "bf16" } } })");
  EXPECT_THAT(errors, testing::Contains(HasSubstr("cluster.slice: ")));
  EXPECT_THAT(errors, testing::Contains(HasSubstr("cluster.chip.year: is 3")));
  EXPECT_THAT(errors, testing::Contains(HasSubstr("cluster.chip.devices_per_chip: is 99")));
  EXPECT_THAT(errors, testing::Contains(HasSubstr("cluster.chip.datasheet.hbm_bytes: is -1")));
  EXPECT_THAT(errors, testing::Contains(HasSubstr("datasheet.matmul[1].dtype: is \"fp7\"")));
  EXPECT_THAT(errors, testing::Contains(HasSubstr("matmul[2].dtype: is \"bf16\" a second time")));
  EXPECT_THAT(errors, testing::Contains(HasSubstr("interconnect.usable_fraction: is 2")));
  EXPECT_THAT(errors, testing::Contains(HasSubstr("interconnect.dimensions: is 7")));
  EXPECT_THAT(errors, testing::Contains(HasSubstr("interconnect.latency_ns: is -5")));
  EXPECT_THAT(errors, testing::Contains(HasSubstr("interconnect.host[1]: is 0")));
  EXPECT_THAT(errors, testing::Contains(HasSubstr("calibration.hbm_fraction: is 0")));
  EXPECT_THAT(errors, testing::Contains(HasSubstr("calibration.matmul[0].peak_fraction: is 0")));
}

TEST(LoadCluster, MissingParts) {
  Diagnostics diagnostics;
  LoadCluster(v1::Cluster(), "cluster", &diagnostics);
  EXPECT_THAT(diagnostics.errors(), ElementsAre(HasSubstr("cluster.chip: is missing")));
  const std::vector<std::string> errors =
      Errors("chip { interconnect { kind: SWITCH } }", "chips: 1");
  EXPECT_THAT(errors, testing::Contains(HasSubstr("datasheet.matmul: is missing")));
  EXPECT_THAT(errors, testing::Contains(HasSubstr("datasheet.link_gbytes_per_s: is missing")));
  EXPECT_THAT(Errors(kGpu, "chips: 8 chip { devices_per_chip: 2 }"),
              ElementsAre(HasSubstr("die_to_die_gbytes_per_s: is missing")));
}

TEST(LoadCluster, Slices) {
  const Cluster cluster =
      LoadOk(kTpu, "slice: \"4x4x4\" slices: 3 dcn_gbytes_per_s: 6.25 chips: 192");
  EXPECT_EQ(cluster.chips, 3 * 64);
  EXPECT_EQ(cluster.dcn.value(), 6.25e9);
  EXPECT_DOUBLE_EQ(cluster.dcn_latency.value(), 31e-6);
  EXPECT_EQ(LoadOk(kTpu, R"(slice: "4x4x4" slices: 2
      chip { datasheet { scale_out_gbytes_per_s: 12.5 } })")
                .dcn.value(),
            12.5e9);
  EXPECT_THAT(Errors(kTpu, "slice: \"4x4x4\" slices: 2"),
              ElementsAre(HasSubstr("cluster.dcn_gbytes_per_s: is missing")));
  EXPECT_THAT(Errors(kTpu, "slice: \"4x4x4\" slices: 0"),
              ElementsAre(HasSubstr("cluster.slices: is 0")));
  EXPECT_THAT(Errors(kTpu, "slice: \"4x4x4\" slices: 2 dcn_gbytes_per_s: 6 chips: 64"),
              ElementsAre("cluster.chips: is 64, but 2 slices \"4x4x4\" have 128 chips"));
  EXPECT_THAT(Errors(kTpu, "slice: \"28x20x16\" slices: 1000 dcn_gbytes_per_s: 6"),
              ElementsAre(HasSubstr("cluster.slices: is 1000, which makes more than 1048576")));
}

constexpr char kGraph[] = R"(
  chip { datasheet { matmul { dtype: "bf16" flops_per_s: 1e15 } hbm_bytes: 80000000000
                     hbm_bytes_per_s: 3e12 } }
)";

TEST(LoadCluster, Graph) {
  const Cluster cluster = LoadOk(kGraph, R"(chips: 3 graph { switches: 1
      links { from: 0 to: 3 gbytes_per_s: 100 } links { from: 1 to: 3 gbytes_per_s: 50 latency_ns: 5 }
      links { from: 2 to: 3 gbytes_per_s: 25 one_way: true }
      links { from: 3 to: 2 gbytes_per_s: 10 one_way: true } })");
  EXPECT_EQ(cluster.graph.size(), 6u);
  const auto fabric = BuildFabric(cluster, RateSet::kDatasheet, Fidelity::kIdeal);
  std::vector<Hop> hops;
  fabric->Route(1, 2, &hops);
  ASSERT_EQ(hops.size(), 2u);
  EXPECT_EQ(fabric->capacity(hops[0].link).value(), 50e9);
  EXPECT_EQ(fabric->capacity(hops[1].link).value(), 10e9);
}

TEST(LoadCluster, GraphIsRefused) {
  EXPECT_THAT(
      Errors(kGraph, "chips: 2 graph {}"),
      ElementsAre("cluster.graph: is disconnected: device 0 cannot reach device 1; expected a "
                  "way from every device to every other"));
  EXPECT_THAT(Errors(kGraph, "chips: 2 graph { links { to: 1 gbytes_per_s: 1 one_way: true } }"),
              ElementsAre(HasSubstr("device 1 cannot reach device 0")));
  EXPECT_THAT(Errors(kGraph, "chips: 2 graph { links { to: 1 } }"),
              ElementsAre("cluster.graph.links[0].gbytes_per_s: is 0, expected a number above 0"));
  EXPECT_THAT(Errors(kGraph, "chips: 2 graph { links { from: -1 to: 2 gbytes_per_s: 1 } }"),
              ElementsAre("cluster.graph.links[0].from: is -1, expected an integer from 0 to 1",
                          "cluster.graph.links[0].to: is 2, expected an integer from 0 to 1"));
  EXPECT_THAT(Errors(kGraph, "chips: 2 graph { links { from: 1 to: 1 gbytes_per_s: 1 } }"),
              ElementsAre(HasSubstr("the same node as from")));
  EXPECT_THAT(Errors(kGraph, "chips: 2 slice: \"2\" graph { links { to: 1 gbytes_per_s: 1 } }"),
              ElementsAre(HasSubstr("cluster.slice: is given beside a graph")));
  EXPECT_THAT(Errors(kGraph, "chips: 5000 graph {}"),
              ElementsAre(HasSubstr("expected at most 4096")));
  EXPECT_THAT(Errors(kGraph, "chips: 4096 graph { switches: 65536 }"),
              ElementsAre(HasSubstr("cluster.graph.switches: is 65536 beside 4096 devices")));
  EXPECT_THAT(Errors(kGraph, "chips: 2 graph { switches: -1 }"),
              testing::Contains(HasSubstr("cluster.graph.switches: is -1")));
}

// Every data file loads; tori with their smallest slices, nodes with as many chips as a node has.
TEST(LoadCluster, DataFiles) {
  EXPECT_FALSE(ListPresets("topologies/clusters").empty());
  for (const std::string& name : ListPresets("topologies/clusters")) {
    v1::Cluster proto;
    proto.set_preset(name);
    Diagnostics diagnostics;
    ResolveClusterPresets(&proto, "cluster", Catalog(), &diagnostics);
    const bool torus = proto.chip().interconnect().kind() == v1::Interconnect::TORUS;
    if (torus && proto.slice().empty()) proto.set_slice("4x4");
    if (!torus && proto.chips() == 0) proto.set_chips(proto.nodes().chips_per_node());
    const Cluster cluster = LoadCluster(proto, "cluster", &diagnostics);
    EXPECT_TRUE(diagnostics.ok()) << name << ": " << diagnostics.status();
    if (!diagnostics.ok()) continue;
    EXPECT_GT(BuildFabric(cluster, RateSet::kBook, Fidelity::kCalibrated)->links(), 0) << name;
  }
}

}  // namespace
}  // namespace meshstep
