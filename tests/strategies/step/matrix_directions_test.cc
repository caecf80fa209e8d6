// Muon: FLOPs of its products, who does them, what moves and what is kept.
//
// No published time stands here. NVIDIA/Megatron-LM issue 6676 has 632 ms duplicated, 356 distributed
// and 157 with owners on 32 GB300 (2 tensor x 8 shards of the optimizer), pull request 6683 264 and
// 139, all on "production matrix shapes" that neither says; on dimensions made up for them we had 716,
// 497 and 66. What they do say: 16 ranks do an owner's products 16 times, so that of 632 = n + c and
// 157 = n / 16 + c the products are n = 507 and all else c = 125 ms, and by the others 133 and 131. c
// does not grow with the products; ours was 23. The review of the pull request has its cause, which
// depends on the matrices too: a loop over hundreds of experts' matrices is bound by launches. Ours
// counts 22 launches a matrix, so that the count of matrices, not only their sizes, must be known.

#include "strategies/step/matrix_directions.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "meshstep/v1/report.pb.h"
#include "sim/simulate/simulate.h"
#include "strategies/framework/optimizer.h"
#include "tests/strategies/scenario_fixtures.h"

namespace meshstep {
namespace {

using testing::HasSubstr;

// 8 layers of four matrices of h x h and two of h x 4 h.
constexpr double kLayers = 8, kH = 1024, kIterations = 5, kV = 8192, kRanks = 8;
constexpr double kElements = kLayers * 12 * kH * kH;

// 2 m^2 n + 2 m^3 + 2 m^2 n, m <= n: kellerjordan.github.io/posts/muon.
double Iteration(double m, double n) { return 4 * m * m * n + 2 * m * m * m; }
const double kFlops = kLayers * kIterations * (4 * Iteration(kH, kH) + 2 * Iteration(kH, 4 * kH));

v1::SimulateReport StepWith(const std::string& plan, int chips = 8) {
  const v1::Scenario proto = ParseScenario(absl::StrCat(
      "model { name: 'gpt' layers: 8 hidden: 1024 heads: 16 ffn: 4096 vocab: 8192 } ",
      RoundCluster(chips), " workload { global_batch_sequences: 8 sequence_length: 512 } plan { ",
      plan, " }"));
  return StepOf(Load(proto)).report;
}

v1::SimulateReport WithMuon(const std::string& plan, const std::string& method) {
  return StepWith(
      absl::StrCat(plan, " precision { optimizer: 'muon' } muon { method: '", method, "' }"));
}

// What one chip sends, and how often, in excess of the same step with Adam.
double Sent(const v1::SimulateReport& report, const std::string& collective) {
  double bytes = 0;
  for (const v1::CommunicationRow& row : report.communication()) {
    if (row.collective() == collective && row.tensor() == "gradients")
      bytes += row.bytes_per_chip();
  }
  return bytes;
}

TEST(Muon, WholeMatricesOnEveryRank) {
  for (const char* plan : {"fsdp: 8", "tensor: 8", "tensor: 2 fsdp: 4"}) {
    const v1::SimulateReport adam = StepWith(plan), muon = WithMuon(plan, "duplicated");
    EXPECT_DOUBLE_EQ(muon.flops().hardware() - adam.flops().hardware(), kRanks * kFlops) << plan;
    EXPECT_DOUBLE_EQ(Sent(muon, "all-gather"), (kRanks - 1) / kRanks * 4 * kElements) << plan;
  }
  // Without sharding there is nothing to gather.
  const v1::SimulateReport alone = WithMuon("data: 8", "duplicated");
  EXPECT_EQ(Sent(alone, "all-gather"), 0);
  EXPECT_DOUBLE_EQ(alone.flops().hardware() - StepWith("data: 8").flops().hardware(),
                   kRanks * kFlops);
}

TEST(Muon, AnOwnerForEachMatrix) {
  for (const char* plan : {"fsdp: 8", "tensor: 8", "tensor: 2 fsdp: 4"}) {
    const v1::SimulateReport adam = StepWith(plan), muon = WithMuon(plan, "owner");
    EXPECT_DOUBLE_EQ(muon.flops().hardware() - adam.flops().hardware(), kFlops) << plan;
    // There and back, in fp32, but for what stays.
    EXPECT_DOUBLE_EQ(Sent(muon, "all-to-all"), 2 * (kRanks - 1) / kRanks * 4 * kElements / kRanks)
        << plan;
    EXPECT_EQ(Sent(muon, "all-gather"), 0) << plan;
    EXPECT_LT(muon.step_time_s(), WithMuon(plan, "duplicated").step_time_s()) << plan;
  }
}

// Under tensor the MLP's matrices are cut along their longer side and the others along one of theirs:
// a square of h is summed in every iteration.
TEST(Muon, SumsOfSquares) {
  const v1::SimulateReport adam = StepWith("tensor: 8"),
                           muon = WithMuon("tensor: 8", "distributed");
  const auto rank = [](double m, double n) { return 4 * m * m * n / kRanks + 2 * m * m * m; };
  EXPECT_DOUBLE_EQ(muon.flops().hardware() - adam.flops().hardware(),
                   kRanks * kLayers * kIterations * (4 * rank(kH, kH) + 2 * rank(kH, 4 * kH)));
  const double squares = 2 * (kRanks - 1) / kRanks * kLayers * 6 * kIterations * 2 * kH * kH;
  // And a norm of four bytes for each matrix.
  const double sent = Sent(muon, "all-reduce") - Sent(adam, "all-reduce");
  EXPECT_GT(sent, squares);
  EXPECT_LE(sent, squares + kLayers * 6 * 4 * (kRanks - 1) * 2);
}

TEST(Muon, PartsOnTheirOwn) {
  const v1::SimulateReport adam = StepWith("tensor: 8"), muon = WithMuon("tensor: 8", "blockwise");
  const double part = kH / kRanks;
  EXPECT_DOUBLE_EQ(
      muon.flops().hardware() - adam.flops().hardware(),
      kRanks * kLayers * kIterations * (4 * Iteration(part, kH) + 2 * Iteration(4 * part, kH)));
  EXPECT_EQ(Sent(muon, "all-gather") + Sent(muon, "all-to-all"), 0);
}

TEST(Muon, StateIsMomentumOfMatrices) {
  const double others = 2 * kV * kH + (2 * kLayers + 1) * kH;  // table, head, norms
  EXPECT_DOUBLE_EQ(
      static_cast<double>(
          StepWith("fsdp: 8 precision { optimizer: 'muon' }").memory().optimizer_bytes()),
      (8 * kElements + 12 * others) / kRanks);
  EXPECT_DOUBLE_EQ(static_cast<double>(StepWith("fsdp: 8").memory().optimizer_bytes()),
                   12 * (kElements + others) / kRanks);
  // Adafactor: the master copy, and a row and a column of each array of two dimensions.
  const double sides = kLayers * (4 * 2 * kH + 2 * 5 * kH) + 2 * (kV + kH);
  const double vectors = (2 * kLayers + 1) * kH;
  EXPECT_DOUBLE_EQ(
      static_cast<double>(
          StepWith("precision { optimizer: 'adafactor' }", 1).memory().optimizer_bytes()),
      4 * (kElements + 2 * kV * kH) + 4 * sides + 8 * vectors);
}

TEST(Muon, BytesOfItsKernels) {
  const auto passes = [](const std::string& kernels, bool matrix) {
    const v1::Scenario proto = ParseScenario(absl::StrCat(
        "model { name: 'gpt' layers: 8 hidden: 1024 heads: 16 ffn: 4096 vocab: 8192 } ",
        RoundCluster(1),
        " workload { global_batch_sequences: 8 sequence_length: 512 } plan { "
        "precision { optimizer: 'muon' } ",
        kernels, " }"));
    const Plan plan = Load(proto).plan;
    std::vector<double> all = OptimizerPasses(plan, matrix);
    if (matrix) {
      const std::vector<double> after = DirectionPasses(plan);
      all.insert(all.end(), after.begin(), after.end());
    }
    return all;
  };
  using Passes = std::vector<double>;
  // Gradient, momentum there and back, what it leaves; the direction, master copy, parameter.
  EXPECT_EQ(passes("", true), Passes({4 + 2 * 4 + 4, 4 + 2 * 4 + 2}));
  EXPECT_EQ(passes("", false), Passes({4 + 2 * 12 + 2}));
  EXPECT_EQ(passes("kernels { unfused_optimizer: true }", true),
            Passes({4, 2 * 4, 4 + 2 * 4 + 4, 4 + 2 * 4, 4 + 2}));
}

TEST(Muon, LongestFirst) {
  const auto busiest = [](const std::vector<Jobs>& jobs, int ranks) {
    const Jobs all = LongestFirst(jobs, ranks);
    return std::pair(all.time, all.count);
  };
  const auto time = [](int ps) { return Time(ps); };
  // 5 and 2 on one rank, 3 and 3 on the other.
  EXPECT_EQ(busiest({{time(5), 1}, {time(3), 2}, {time(2), 1}}, 2), std::pair(time(7), 2.0));
  EXPECT_EQ(busiest({{time(4), 8}}, 8), std::pair(time(4), 1.0));
  EXPECT_EQ(busiest({{time(4), 9}}, 8), std::pair(time(8), 2.0));
  EXPECT_EQ(busiest({{time(4), 1}}, 8), std::pair(time(4), 1.0));
  // Far more than are dealt out one by one.
  EXPECT_EQ(busiest({{time(4), 8e6 + 1}}, 8), std::pair(time(4'000'004), 1e6 + 1));
}

TEST(Muon, IsRefusedWhereItCannotBe) {
  const auto error = [](const std::string& plan) {
    Diagnostics diagnostics;
    LoadScenario(OnDgx("name: 'gpt' layers: 8 hidden: 1024 heads: 16 ffn: 4096 vocab: 8192", 8,
                       "fsdp: 8 " + plan),
                 Catalog(), &diagnostics);
    return std::string(diagnostics.status().message());
  };
  EXPECT_THAT(error("muon { method: 'owner' }"), HasSubstr("plan.muon: is given, but"));
  const std::string muon = "precision { optimizer: 'muon' } ";
  EXPECT_THAT(
      error(muon + "muon { method: 'x' }"),
      HasSubstr("plan.muon.method: is \"x\", expected one of duplicated, distributed, owner, "
                "blockwise"));
  EXPECT_THAT(error(muon + "muon { iterations: 65 }"),
              HasSubstr("plan.muon.iterations: is 65, expected 1 to 64"));
  EXPECT_THAT(error(muon + "offload { optimizer: 1 }"), HasSubstr("plan.offload: has optimizer"));
  EXPECT_THAT(error("precision { optimizer: 'adam-bf16-remainder' parameters: 'fp32' }"),
              HasSubstr("plan.precision.optimizer: is \"adam-bf16-remainder\" with parameters"));
}

}  // namespace
}  // namespace meshstep
