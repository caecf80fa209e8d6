// Step time and peak of a step whose middle is left out are those of the whole step.
//
//   properties_step_figures_test [--plans=N] [--seed=S]

#include "sim/simulate/step_figures.h"

#include <initializer_list>
#include <random>
#include <string>

#include "absl/strings/str_cat.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "meshstep/v1/scenario.pb.h"
#include "sim/base/catalog.h"
#include "sim/base/check.h"
#include "sim/simulate/simulate.h"
#include "strategies/plan/load_scenario.h"
#include "tests/int_option.h"

namespace meshstep {
namespace {

int plans = 250;
unsigned seed = 3;

const Catalog& Presets() {
  static const Catalog catalog;
  return catalog;
}

StatusOr<Scenario> Loaded(const std::string& text) {
  v1::Scenario proto;
  CHECK(google::protobuf::TextFormat::ParseFromString(text, &proto)) << text;
  Diagnostics diagnostics;
  Scenario scenario = LoadScenario(proto, Presets(), &diagnostics);
  RETURN_IF_ERROR(diagnostics.status());
  return scenario;
}

// Random plans of many micro-batches: every schedule, networks whose links are shared, frameworks
// whose hosts run ahead or wait, copies to the host.
class Plans {
 public:
  std::string Next() {
    const int pipeline = OneOf({1, 1, 2, 4}), tensor = OneOf({1, 2});
    const int rest = 32 / pipeline / tensor, fsdp = OneOf({1, rest}), data = rest / fsdp;
    const std::string schedule =
        pipeline == 1 ? "1f1b"
                      : OneOf({"1f1b", "interleaved", "zb-h1", "zb-v", "gpipe", "dualpipe"});
    const int chunks = schedule == "interleaved" || schedule == "zb-v" ? 2 : 1;
    const int micro_batches = pipeline * OneOf({8, 12, 20}) * (pipeline == 1 ? 3 : 1);
    return absl::StrCat(
        "model { name: 'm' layers: ", pipeline * chunks * OneOf({1, 2, 3}),
        " hidden: ", OneOf({256, 1024, 4096}),
        " heads: 8 kv_heads: 4 head_dim: 64 ffn: ", OneOf({1152, 8192}),
        " vocab: 32000 tied_embeddings: ", OneOf({0, 1}),
        OneOf({0, 0, 1}) == 1 ? " moe { experts: 8 experts_per_token: 2 expert_ffn: 512 }" : "",
        " } cluster { ",
        OneOf({"preset: 'dgx-h100' chips: 32", "preset: 'gcp-a3-high' chips: 32",
               "preset: 'tpu-v5p' slice: '4x4x2'",
               "preset: 'dgx-h100' chips: 32 nodes { nics_per_node: 4 tiers { name: 'leaf' nodes: "
               "2 oversubscription: 2 } tiers { name: 'spine' } }"}),
        " } workload { mode: TRAIN global_batch_sequences: ", fsdp * data * micro_batches,
        " sequence_length: ", OneOf({256, 4096}), " } plan { pipeline: ", pipeline,
        " tensor: ", tensor, " fsdp: ", fsdp, " data: ", data,
        " micro_batch_sequences: 1 schedule: '", schedule, "'",
        chunks > 1 ? " virtual_stages: 2" : "", " sequence_parallel: ", tensor > 1 ? 1 : 0,
        " zero_stage: ", OneOf({0, 1, 2}), " recompute: '", OneOf({"none", "selective", "full"}),
        "' accumulate_unsharded: ", OneOf({0, 1}), " overlap_gradients: ", OneOf({0, 1}),
        OneOf({0, 0, 0, 1}) == 1 ? " offload { activations: 0.5 }" : "",
        OneOf({"", "", " framework: 'megatron-core'", " framework: 'megatron-lm'",
               " framework: 'torchtitan'"}),
        " }");
  }

 private:
  template <class T>
  T OneOf(std::initializer_list<T> values) {
    return values.begin()[static_cast<std::size_t>(random_()) % values.size()];
  }
  std::mt19937 random_{seed};
};

TEST(StepFigures, FoldedIsWhole) {
  Plans random;
  int valid = 0, folded = 0;
  for (int i = 0; i < plans; ++i) {
    const std::string text = random.Next();
    SCOPED_TRACE(text);
    const StatusOr<Scenario> scenario = Loaded(text);
    if (!scenario.ok()) continue;
    const StatusOr<StepFigures> few = FiguresOf(*scenario, {});
    const StatusOr<StepFigures> all = FiguresOf(*scenario, {}, /*fold=*/false);
    ASSERT_EQ(few.ok(), all.ok());
    if (!few.ok()) continue;
    ++valid;
    folded += few->left_out > 0 ? 1 : 0;
    ASSERT_EQ(few->time.ps(), all->time.ps()) << few->left_out << " left out";
    ASSERT_EQ(few->peak_bytes, all->peak_bytes) << few->left_out << " left out";
    ASSERT_EQ(all->left_out, 0);
    // A report knows nothing of this.
    const StatusOr<SimulatedStep> whole = SimulateStep(*scenario, {.catalog = &Presets()});
    ASSERT_TRUE(whole.ok());
    ASSERT_EQ(few->time, whole->run.makespan);
    ASSERT_EQ(few->peak_bytes, whole->report.memory().peak_bytes());
  }
  RecordProperty("folded", folded);
  EXPECT_GT(valid, plans / 2) << "the generator makes too few valid plans";
  EXPECT_GT(folded, valid / 4) << "too few repeat themselves";
}

}  // namespace
}  // namespace meshstep

int main(int argc, char** argv) {
  using namespace meshstep;
  ::testing::InitGoogleTest(&argc, argv);
  plans = IntOption(argc, argv, "plans", plans);
  seed = static_cast<unsigned>(IntOption(argc, argv, "seed", static_cast<int>(seed)));
  return RUN_ALL_TESTS();
}
