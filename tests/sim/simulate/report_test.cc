#include "sim/simulate/report.h"

#include <cmath>

#include "gtest/gtest.h"
#include "meshstep/v1/scenario.pb.h"
#include "sim/base/check.h"
#include "sim/base/proto_file.h"
#include "sim/report/compare.h"
#include "sim/report/text.h"
#include "sim/simulate/simulate.h"
#include "sim/simulate/stages.h"

namespace meshstep {
namespace {

v1::Scenario Parsed(const std::string& text) {
  v1::Scenario proto;
  CHECK(ParseMessage("test", text, InputFormat::kTextproto, &proto).ok());
  return proto;
}

v1::SimulateReport ReportOf(const v1::Scenario& proto, Fidelity fidelity = Fidelity::kIdeal,
                            bool unfolded = false) {
  const StatusOr<v1::SimulateReport> report =
      Simulate(proto, {.fidelity = fidelity, .unfolded = unfolded});
  CHECK(report.ok()) << std::string(report.status().message());
  return *report;
}

// A dense model small enough to check by hand: L layers, D = 1024, F = 4096, 16 heads of 64.
constexpr char kSmall[] = R"pb(
  name: "small"
  model { name: "small" layers: 4 hidden: 1024 heads: 16 ffn: 4096 vocab: 32768 }
  cluster { preset: "dgx-h100" chips: 8 }
  workload { global_batch_sequences: 16 sequence_length: 2048 }
)pb";

v1::Scenario Small(const std::string& plan) {
  return Parsed(std::string(kSmall) + "plan { " + plan + " }");
}

std::vector<v1::Scenario> Plans() {
  return {Small("data: 8"),
          Small("fsdp: 8"),
          Small("fsdp: 8 recompute: \"full\""),
          Small("tensor: 8 sequence_parallel: true"),
          Small("data: 2 tensor: 4 micro_batch_sequences: 2"),
          Small("fsdp: 2 tensor: 2 pipeline: 2 micro_batch_sequences: 1"),
          Small("data: 2 pipeline: 4 micro_batch_sequences: 1 schedule: \"gpipe\""),
          Small("data: 8 zero_stage: 1")};
}

TEST(Report, TheFivePartsSumToTheStep) {
  for (const v1::Scenario& proto : Plans()) {
    const v1::SimulateReport r = ReportOf(proto);
    const v1::Breakdown& b = r.breakdown();
    const v1::BreakdownDetail& d = r.breakdown_detail();
    // Parts are whole picoseconds, so only the sum of doubles rounds.
    constexpr double kRounding = 1e-15;
    const double step = r.step_time_s();
    EXPECT_NEAR(
        b.compute_s() + b.communication_exposed_s() + b.bubble_s() + b.optimizer_s() + b.other_s(),
        step, kRounding * 10);
    EXPECT_NEAR(d.forward_s() + d.recompute_s() + d.backward_s(), b.compute_s(), kRounding * 10);
    EXPECT_NEAR(d.exposed_activations_s() + d.exposed_parameters_s() + d.exposed_gradients_s() +
                    d.exposed_pipeline_s() + d.exposed_host_s(),
                b.communication_exposed_s(), kRounding * 10);
    double exposed = 0;
    for (const v1::CommunicationRow& row : r.communication()) {
      exposed += row.exposed_s();
      EXPECT_LE(row.exposed_s(), row.busy_s());
      EXPECT_GT(row.count(), 0);
    }
    EXPECT_NEAR(exposed, b.communication_exposed_s(), kRounding * 10);
    EXPECT_LE(b.communication_exposed_s(), d.communication_busy_s() + kRounding);
  }
}

TEST(Report, MemoryBucketsSumToThePeak) {
  for (const v1::Scenario& proto : Plans()) {
    const v1::SimulateReport r = ReportOf(proto);
    const v1::Memory& m = r.memory();
    EXPECT_EQ(m.parameters_bytes() + m.gradients_bytes() + m.optimizer_bytes() +
                  m.activations_bytes() + m.workspace_bytes(),
              m.peak_bytes());
    EXPECT_EQ(m.fits(), m.peak_bytes() <= m.capacity_bytes());
    for (const v1::StageReport& stage : r.stages()) {
      EXPECT_LE(stage.memory().peak_bytes(), m.peak_bytes());
      EXPECT_LE(stage.busy_s(), r.step_time_s());
    }
  }
}

TEST(Report, NoPlanBeatsTheLowerBound) {
  for (const v1::Scenario& proto : Plans()) {
    for (const Fidelity fidelity : {Fidelity::kIdeal, Fidelity::kCalibrated}) {
      const v1::SimulateReport r = ReportOf(proto, fidelity);
      EXPECT_LE(r.lower_bound_s(), r.step_time_s()) << r.description();
      EXPECT_GT(r.lower_bound_s(), 0);
    }
  }
}

TEST(Report, TheLowerBoundDependsOnNeitherPlanNorFidelity) {
  const double bound = ReportOf(Plans()[0]).lower_bound_s();
  for (const v1::Scenario& proto : Plans()) {
    EXPECT_EQ(ReportOf(proto, Fidelity::kCalibrated).lower_bound_s(), bound);
  }
}

// L (2 B T (4 D² + 2 D F) + 4 B T² D / 2) + 2 B T D V forward, three times that in training.
TEST(Report, FlopsAreThoseOfTheFormula) {
  const v1::SimulateReport r = ReportOf(Small("data: 8"));
  constexpr double kL = 4, kD = 1024, kF = 4096, kV = 32768, kB = 16, kT = 2048;
  const double matmuls = kL * 2 * kB * kT * (4 * kD * kD + 2 * kD * kF) + 2 * kB * kT * kD * kV;
  const double square = kL * 4 * kB * kT * kT * kD;
  EXPECT_DOUBLE_EQ(r.flops().model(), 3 * (matmuls + square / 2));
  EXPECT_DOUBLE_EQ(r.flops().model_full_attention(), 3 * (matmuls + square));
  // Norms: two of D per layer and the final one.
  const double parameters = kL * (4 * kD * kD + 2 * kD * kF + 2 * kD) + kD + kD * kV;
  EXPECT_DOUBLE_EQ(r.flops().model_6nd(), 6 * parameters * kB * kT);
  // Nothing is recomputed or padded: the chips execute the model's FLOPs.
  EXPECT_DOUBLE_EQ(r.flops().hardware(), r.flops().model());
  EXPECT_DOUBLE_EQ(r.tokens_per_s(), kB * kT / r.step_time_s());
  EXPECT_DOUBLE_EQ(r.mfu(), r.flops().model() / (r.step_time_s() * 8 * 9.894e14))
      << "H100 data sheet: 989.4 TFLOP/s in bf16";
}

// 2 (parameters of layers and norms) B T + 2 D V B: in prefill the last position alone has logits.
TEST(Report, PrefillCountsOneHeadPerSequence) {
  v1::Scenario proto = Small("data: 8");
  proto.mutable_workload()->set_mode(v1::Workload::PREFILL);
  const v1::SimulateReport r = ReportOf(proto);
  constexpr double kL = 4, kD = 1024, kF = 4096, kV = 32768, kB = 16, kT = 2048;
  const double parameters = kL * (4 * kD * kD + 2 * kD * kF + 2 * kD) + kD;
  EXPECT_DOUBLE_EQ(r.flops().model_6nd(), 2 * kB * (parameters * kT + kD * kV));
  // A large head on a small model: more FLOPs than the step has, if every position counted.
  const v1::SimulateReport wide =
      ReportOf(Parsed("model { layers: 1 hidden: 128 heads: 2 ffn: 128 vocab: 256000 } "
                      "cluster { preset: \"dgx-h100\" chips: 1 } workload { mode: PREFILL "
                      "global_batch_sequences: 64 sequence_length: 8192 } plan { }"));
  EXPECT_LE(wide.mfu_6nd(), 1);
}

TEST(Report, RecomputationCountsAsHardwareFlopsOnly) {
  const v1::SimulateReport none = ReportOf(Small("fsdp: 8"));
  const v1::SimulateReport full = ReportOf(Small("fsdp: 8 recompute: \"full\""));
  EXPECT_EQ(full.flops().model(), none.flops().model());
  EXPECT_GT(full.hfu(), full.mfu());
  EXPECT_GT(full.breakdown_detail().recompute_s(), 0);
  EXPECT_EQ(none.breakdown_detail().recompute_s(), 0);
}

TEST(Report, FoldedAndUnfoldedSayTheSame) {
  for (const v1::Scenario& proto : Plans()) {
    v1::SimulateReport folded = ReportOf(proto), unfolded = ReportOf(proto, Fidelity::kIdeal, true);
    EXPECT_EQ(unfolded.simulation().device_classes(), 8);
    folded.clear_simulation();
    unfolded.clear_simulation();
    EXPECT_EQ(folded.DebugString(), unfolded.DebugString());
  }
}

// A ring all-gather or reduce-scatter of V bytes over p chips sends V (p - 1) / p per chip
// (How To Scale Your Model, ch. 3), whatever the algorithm on a switch.
TEST(Report, BytesOfTheGradientReduceScatterAreTheFormulas) {
  const v1::SimulateReport r = ReportOf(Small("fsdp: 8"));
  constexpr double kD = 1024, kF = 4096, kV = 32768, kL = 4, kFp32 = 4;
  const double parameters = kL * (4 * kD * kD + 2 * kD * kF + 2 * kD) + kD + kD * kV + kV * kD;
  double sent = 0;
  for (const v1::CommunicationRow& row : r.communication()) {
    if (row.tensor() == "gradients") sent += row.bytes_per_chip();
  }
  EXPECT_NEAR(sent, parameters * kFp32 * 7 / 8, 1);
}

TEST(Compare, ReasonsSumToTheDifference) {
  const std::vector<v1::Scenario> plans = Plans();
  std::vector<v1::SimulateReport> reports;
  for (const v1::Scenario& proto : plans) reports.push_back(ReportOf(proto));
  const v1::CompareReport compare = Compare(plans, reports);
  ASSERT_EQ(compare.comparisons_size(), static_cast<int>(plans.size()) - 1);
  for (int i = 0; i < compare.comparisons_size(); ++i) {
    double sum = 0, last = INFINITY;
    for (const v1::Reason& reason : compare.comparisons(i).reasons()) {
      sum += reason.difference_s();
      EXPECT_LE(std::abs(reason.difference_s()), last) << "largest first";
      last = std::abs(reason.difference_s());
    }
    const double difference =
        reports[static_cast<std::size_t>(i) + 1].step_time_s() - reports[0].step_time_s();
    EXPECT_NEAR(sum, difference, 1e-14);
  }
}

TEST(Compare, ListsTheFieldsThatDifferAndNoOthers) {
  const std::vector<v1::Scenario> plans = {Small("data: 8"), Small("fsdp: 8")};
  const std::vector<v1::SimulateReport> reports = {ReportOf(plans[0]), ReportOf(plans[1])};
  const v1::CompareReport compare = Compare(plans, reports);
  ASSERT_EQ(compare.fields_size(), 2);
  EXPECT_EQ(compare.fields(0).field(), "plan.data");
  EXPECT_EQ(compare.fields(0).values(0), "8");
  EXPECT_EQ(compare.fields(0).values(1), "");
  EXPECT_EQ(compare.fields(1).field(), "plan.fsdp");
}

// Stages that wait for each other: each stage's parts sum to the step, one stage is critical.
TEST(Stages, PartsOfEveryStageSumToTheStep) {
  const v1::Scenario proto = Small("pipeline: 4 data: 2 micro_batch_sequences: 1");
  const StatusOr<SimulatedStep> step = SimulateStep(proto, {});
  ASSERT_TRUE(step.ok()) << std::string(step.status().message());
  v1::SimulateReport report = step->report;
  AddStageBreakdowns(step->step, step->run, &report);
  ASSERT_EQ(report.stages_size(), 4);
  int critical = 0;
  double least_bubble = INFINITY;
  for (const v1::StageReport& stage : report.stages()) {
    const v1::Breakdown& b = stage.breakdown();
    EXPECT_NEAR(
        b.compute_s() + b.communication_exposed_s() + b.bubble_s() + b.optimizer_s() + b.other_s(),
        report.step_time_s(), 1e-12);
    EXPECT_NEAR(b.compute_s() + b.optimizer_s(), stage.busy_s(), 1e-12);
    critical += stage.critical() ? 1 : 0;
    least_bubble = std::min(least_bubble, b.bubble_s() + b.other_s());
  }
  EXPECT_EQ(critical, 1);
  for (const v1::StageReport& stage : report.stages()) {
    if (!stage.critical()) continue;
    EXPECT_NEAR(stage.breakdown().bubble_s() + stage.breakdown().other_s(), least_bubble, 1e-12);
  }
}

TEST(Text, LinesAreShortAndHaveNoTrailingSpacesOrControlCodes) {
  for (const v1::Scenario& proto : Plans()) {
    std::string line;
    for (const char c : ToText(ReportOf(proto))) {
      EXPECT_NE(c, '\033');
      if (c != '\n') {
        line += c;
        continue;
      }
      EXPECT_LT(line.size(), 100u) << line;
      EXPECT_FALSE(line.ends_with(' ')) << line;
      line.clear();
    }
    EXPECT_EQ(line, "") << "the last line ends";
  }
}

TEST(Text, VerdictSaysByHowMuch) {
  v1::Memory memory;
  memory.set_capacity_bytes(std::int64_t{95} << 30);
  memory.set_peak_bytes(std::int64_t{61} << 30);
  memory.set_fits(true);
  EXPECT_EQ(Verdict(memory), "fits: 61.0 of 95.0 GiB");
  memory.set_reserve_bytes(std::int64_t{35} << 30);
  memory.set_verdict(v1::Memory::TIGHT);
  EXPECT_EQ(Verdict(memory), "tight: 61.0 of 95.0 GiB, beside a reserve of 35.0 GiB");
  memory.set_peak_bytes(std::int64_t{97} << 30);
  memory.set_fits(false);
  memory.set_stage(3);
  EXPECT_EQ(Verdict(memory), "does not fit: 2.00 GiB too much on stage 3");
}

}  // namespace
}  // namespace meshstep
