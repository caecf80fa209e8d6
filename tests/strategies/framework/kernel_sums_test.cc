#include "strategies/framework/kernel_sums.h"

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "meshstep/v1/framework.pb.h"
#include "sim/base/catalog.h"
#include "sim/base/data_path.h"
#include "sim/validation/mechanisms.h"
#include "strategies/plan/load_framework.h"
#include "strategies/plan/load_kernel_table.h"
#include "strategies/plan/load_scenario.h"
#include "tests/strategies/scenario_fixtures.h"

namespace meshstep {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

const std::string kFolder = std::string(MESHSTEP_SOURCE_DIR) + "/tests/data/frameworks/";
constexpr double kHidden = 64, kTokens = 2 * 128;

v1::Scenario Proto(const std::string& kernels) {
  return ParseScenario(
      "model { name: 'llama' layers: 1 hidden: 64 heads: 4 kv_heads: 2 ffn: 256 vocab: 4096 "
      "gated_mlp: true } cluster { preset: 'dgx-h100' chips: 8 } workload { "
      "global_batch_sequences: 16 sequence_length: 128 } plan { data: 8 micro_batch_sequences: 2 " +
      kernels + " }");
}

struct Layer {
  explicit Layer(const std::string& kernels)
      : scenario(Load(Proto(kernels))),
        block(BuildTransformer(scenario.model, {}).kinds[0]),
        compute(scenario.cluster.chip, RateSet::kDatasheet, Fidelity::kIdeal),
        context{&scenario.model, &scenario.plan, &scenario.workload, &compute, &transfers},
        view(block, context) {}

  const Op& op(OpRole role) const {
    return *std::find_if(block.ops.begin(), block.ops.end(),
                         [&](const Op& one) { return one.role == role; });
  }

  Scenario scenario;
  Block block;
  ComputeModel compute;
  TransferTable transfers;
  BlockContext context;
  BlockView view;
};

KernelRow Row(const std::string& text) {
  v1::OpRow proto;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString("label: 'eager' " + text, &proto))
      << text;
  const StatusOr<KernelRow> row = LoadKernelRow(proto);
  EXPECT_TRUE(row.ok()) << row.status();
  return *row;
}

// torchtitan/models/norms.py in bf16: 28 + 4a bytes for each element, six kernels over them and two
// over rows.
TEST(KernelSums, RmsNormOfEagerPyTorch) {
  const Layer layer("kernels { elementwise: 'eager' launches: 'pytorch' }");
  const KernelSum forward = KernelsInstead(layer.op(OpRole::kRmsNorm), false, layer.view);
  EXPECT_EQ(forward.bytes, (28 + 4 * 2) * kTokens * kHidden);
  EXPECT_EQ(forward.kernels, 6 + 2);
  EXPECT_EQ(forward.host_ops, 6 + 2);
  const KernelSum backward = KernelsInstead(layer.op(OpRole::kRmsNorm), true, layer.view);
  EXPECT_EQ(backward.bytes, (76 + 8 * 2) * kTokens * kHidden);
  EXPECT_EQ(backward.kernels, 13 + 3);
  EXPECT_EQ(KernelsInstead(layer.op(OpRole::kResidualAdd), false, layer.view).kernels, 0);
}

// Queries of 4 heads and keys of 2.
TEST(KernelSums, RowsOfEachResult) {
  const Layer layer("kernels { elementwise: 'inductor' }");
  const KernelSum rotary = KernelsInstead(layer.op(OpRole::kRotary), false, layer.view);
  EXPECT_EQ(rotary.bytes, (16 + 2 * 2) * kTokens * kHidden * (1 + 0.5));
  EXPECT_EQ(rotary.kernels, 2 * 3);
  EXPECT_EQ(KernelsInstead(layer.op(OpRole::kRmsNorm), false, layer.view).kernels, 0);
}

TEST(KernelSums, AKernelWithoutItsOperandDoesNotRun) {
  const Layer layer("");
  const KernelRow row =
      Row("role: 'qkv' kernel { reads: 'ys' writes: 'bias' } "
          "kernel { reads: 'x:fp32*0.5' writes: 'x' times: 2 }");
  const KernelSum sum = SumOf(row, layer.op(OpRole::kQkv), layer.view);
  EXPECT_EQ(sum.bytes, 2 * (4 * 0.5 + 2) * kTokens * kHidden);
  EXPECT_EQ(sum.kernels, 2);
  EXPECT_EQ(sum.host_ops, 2);
  EXPECT_FALSE(sum.for_weights);
}

TEST(KernelSums, ACastToTheSameTypeDoesNotRun) {
  const Layer layer("");
  const KernelRow same = Row("role: 'qkv' kernel { reads: 'x' writes: 'x:bf16' cast: true }");
  EXPECT_EQ(SumOf(same, layer.op(OpRole::kQkv), layer.view).kernels, 0);
  const KernelRow other = Row("role: 'qkv' kernel { reads: 'x' writes: 'x:fp32' cast: true }");
  EXPECT_EQ(SumOf(other, layer.op(OpRole::kQkv), layer.view).bytes, (2 + 4) * kTokens * kHidden);
}

TEST(KernelSums, UnitsOfARow) {
  const Layer layer("");
  const auto host_ops = [&](const std::string& per) {
    return SumOf(Row("role: 'qkv' host_ops: 2 per: " + per), layer.op(OpRole::kQkv), layer.view)
        .host_ops;
  };
  EXPECT_EQ(host_ops("OP"), 2);
  EXPECT_EQ(host_ops("WEIGHT"), 2 * 3);
  EXPECT_EQ(host_ops("OTHER_WEIGHT"), 2 * 2);
  EXPECT_EQ(host_ops("BIAS"), 0);
  EXPECT_EQ(host_ops("BIASED"), 0);
}

TEST(KernelTable, WrongRowsAreReported) {
  const auto problem = [](const std::string& text) {
    v1::OpRow proto;
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &proto)) << text;
    return std::string(LoadKernelRow(proto).status().message());
  };
  const std::string row = "role: 'qkv' label: 'eager' ";
  EXPECT_THAT(problem("role: 'norm' label: 'eager'"),
              StartsWith("role[0]: is \"norm\", expected one of products, rms-norm, "));
  EXPECT_EQ(problem("label: 'eager'"), "role: is not given, expected one role or more");
  EXPECT_THAT(problem("role: 'qkv'"), StartsWith("label: is \"\", expected up to 64"));
  EXPECT_THAT(problem("role: 'qkv' label: 'two words'"), StartsWith("label: is \"two words\""));
  EXPECT_THAT(problem(row + "kernel { reads: 'z' }"),
              StartsWith("kernel[0].reads: has operand \"z\", expected one of x, x2, "));
  EXPECT_THAT(problem(row + "kernel { writes: 'x:fp99' }"),
              StartsWith("kernel[0].writes: has type \"fp99\", expected one of "));
  EXPECT_EQ(problem(row + "kernel { reads: 'x*0' }"),
            "kernel[0].reads factor: is 0, expected above 0, at most 1e6");
  EXPECT_EQ(problem(row + "kernel { reads: 'x*nan' }"),
            "kernel[0].reads factor: is nan, expected above 0, at most 1e6");
  EXPECT_EQ(problem(row + "kernel { reads: 'x*two' }"),
            "kernel[0].reads: has factor \"two\", expected a number");
  EXPECT_EQ(problem(row + "kernel { }"),
            "kernel[0]: reads and writes nothing, expected an operand");
  EXPECT_EQ(problem(row + "kernel { reads: 'x' times: -1 }"),
            "kernel[0].times: is -1, expected above 0, at most 1e6");
  EXPECT_EQ(problem(row + "kernel { reads: 'x' fixed_ns: -1 }"),
            "kernel[0].fixed_ns: is -1, expected 0 to 1e9");
  EXPECT_EQ(problem(row + "host_ops: -1"), "host_ops: is -1, expected 0 to 1e6");
  EXPECT_EQ(problem(row + "host_ops: inf"), "host_ops: is inf, expected 0 to 1e6");
  EXPECT_EQ(problem(row + "counted_host_ops: 1e9"),
            "counted_host_ops: is 1e+09, expected 0 to 1e6");
}

// A framework is one file: its defaults, the kernels it runs and a label of its own for them.
TEST(KernelTable, AFrameworkIsOneFile) {
  const Layer base("framework: 'pytorch-fsdp'");
  Layer layer("framework: '" + kFolder + "norms-twice.textproto'");
  EXPECT_EQ(layer.scenario.plan.kernels.launches, base.scenario.plan.kernels.launches);
  const KernelTable& table = *layer.scenario.plan.kernel_table;
  ASSERT_EQ(table.size(), base.scenario.plan.kernel_table->size() + 1);
  EXPECT_THAT(table.back().roles, ElementsAre(OpRole::kRmsNorm));
  EXPECT_EQ(SumOf(table.back(), layer.op(OpRole::kRmsNorm), layer.view).bytes,
            2 * 2 * kTokens * kHidden);
  LeaveOut({"norms-twice", "", nullptr}, &layer.scenario);
  EXPECT_EQ(layer.scenario.plan.kernel_table->size(), base.scenario.plan.kernel_table->size());
}

TEST(KernelTable, AWrongRowOfAFileIsToldAtItsPlace) {
  const v1::Scenario proto = Proto("framework: '" + kFolder + "wrong-row.textproto'");
  Diagnostics diagnostics;
  LoadScenario(proto, Catalog(), &diagnostics);
  EXPECT_THAT(std::string(diagnostics.status().message()),
              AllOf(HasSubstr("wrong-row.textproto:8:3: op[0].host_ops: is -2, expected 0 to 1e6"),
                    HasSubstr("wrong-row.textproto:13:3: op[1].role[0]: is \"norm\", expected one"),
                    HasSubstr("plan.framework")));
}

// The two kernels on halves of SwiGLU's joint product issue elements slower than HBM brings them: of
// 4,096 tokens of 6,144 (topologies/chips/h100-sxm.textproto: 3.07e11 elements a second), 82 us each;
// that of a plain product of as many is bound by HBM.
TEST(KernelSums, StridedKernelsAreBoundByElements) {
  const Scenario scenario = Load(Proto("framework: 'nemo-default@25.09'"));
  const ComputeModel compute(scenario.cluster.chip, RateSet::kDatasheet, Fidelity::kCalibrated);
  const double elements = 4096 * 6144;
  const KernelSum strided{.bytes = 4 * elements,
                          .kernels = 1,
                          .strided_bytes = 4 * elements,
                          .strided_elements = elements};
  const KernelSum plain{.bytes = 4 * elements, .kernels = 1};
  const double launch = scenario.cluster.chip.calibration.elementwise_launch.value();
  EXPECT_NEAR(TimeOf(strided, compute).seconds(), elements / 3.07e11 + launch, 1e-9);
  EXPECT_EQ(TimeOf(plain, compute), compute.Elementwise(Bytes(4 * elements)));
  const KernelSum fixed{.bytes = 0, .kernels = 2, .fixed = Seconds(7e-5)};
  EXPECT_NEAR(TimeOf(fixed, compute).seconds(), 7e-5 + 2 * launch, 1e-9);
}

TEST(KernelSums, RowsSayWhichKernelsAreStrided) {
  const Layer layer("framework: 'nemo-default@25.09'");
  const Op& op = layer.op(OpRole::kGatedActivation);
  const KernelSum forward = KernelsInstead(op, false, layer.view);
  EXPECT_EQ(forward.strided_bytes, forward.bytes);
  EXPECT_EQ(forward.strided_elements, 2 * kTokens * 256);
  const KernelSum backward = KernelsInstead(op, true, layer.view);
  EXPECT_EQ(backward.strided_elements, 2 * kTokens * 256);
  EXPECT_LT(backward.strided_bytes, backward.bytes);
}

TEST(KernelTable, ALabelOfAFileGivenByPathCanBeDropped) {
  const std::string path = kFolder + "norms-twice.textproto";
  EXPECT_FALSE(FindMechanism("norms-twice", Catalog()).ok());
  EXPECT_TRUE(FindMechanism("norms-twice", Catalog(), {path}).ok());
}

TEST(KernelTable, ALabelDropsItsRows) {
  Scenario scenario = Load(Proto("kernels { elementwise: 'eager' loss: 'eager' }"));
  const std::size_t all = scenario.plan.kernel_table->size();
  LeaveOut(*FindMechanism("eager", Catalog()), &scenario);
  const KernelTable& left = *scenario.plan.kernel_table;
  EXPECT_LT(left.size(), all);
  EXPECT_FALSE(left.empty());
  for (const KernelRow& row : left) EXPECT_NE(row.label, "eager");
}

// What a reader may ask of every row: what it is of, what drops it, where it is written.
TEST(KernelTable, EveryRowHasARoleALabelAndASource) {
  const std::filesystem::path folder = std::string(DataRoot()) + "/strategies/frameworks";
  int rows = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    v1::Framework framework;
    const std::string name = entry.path().stem();
    ASSERT_TRUE(Catalog().Read("strategies/frameworks", name, &framework).ok()) << name;
    for (const v1::OpRow& row : framework.op()) {
      const std::string text = name + ": " + row.ShortDebugString();
      ++rows;
      EXPECT_TRUE(LoadKernelRow(row).ok()) << text;
      EXPECT_FALSE(row.role().empty()) << text;
      EXPECT_TRUE(FindMechanism(row.label(), Catalog()).ok()) << text;
      EXPECT_FALSE(row.source().empty()) << text;
    }
  }
  EXPECT_GT(rows, 80);
}

}  // namespace
}  // namespace meshstep
