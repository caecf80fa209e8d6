// What holds for every scenario, on random ones.
//
//   properties_scenarios_test [--scenarios=N] [--seed=S]

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "google/protobuf/util/json_util.h"
#include "gtest/gtest.h"
#include "scenario_generator.h"
#include "sim/base/proto_file.h"
#include "sim/simulate/simulate.h"
#include "tests/int_option.h"

namespace meshstep {
namespace {

namespace pb = google::protobuf;

int scenarios = 300;
unsigned seed = 5;

// The message as text, the fields of every message in random order (those of a list stay).
std::string Shuffled(const pb::Message& message, std::mt19937* random) {
  const pb::Reflection* r = message.GetReflection();
  std::vector<const pb::FieldDescriptor*> fields;
  r->ListFields(message, &fields);
  std::shuffle(fields.begin(), fields.end(), *random);
  std::string text;
  for (const pb::FieldDescriptor* field : fields) {
    for (int i = 0; i < (field->is_repeated() ? r->FieldSize(message, field) : 1); ++i) {
      absl::StrAppend(&text, field->name());
      if (field->cpp_type() == pb::FieldDescriptor::CPPTYPE_MESSAGE) {
        const pb::Message& inner = field->is_repeated() ? r->GetRepeatedMessage(message, field, i)
                                                        : r->GetMessage(message, field);
        absl::StrAppend(&text, " { ", Shuffled(inner, random), " } ");
      } else {
        std::string value;
        pb::TextFormat::PrintFieldValueToString(message, field, field->is_repeated() ? i : -1,
                                                &value);
        absl::StrAppend(&text, ": ", value, " ");
      }
    }
  }
  return text;
}

class Scenarios : public ::testing::Test {
 protected:
  StatusOr<v1::SimulateReport> Report(const v1::Scenario& scenario,
                                      Fidelity fidelity = Fidelity::kCalibrated,
                                      bool unfolded = false) const {
    return Simulate(scenario, {.catalog = &catalog_, .fidelity = fidelity, .unfolded = unfolded});
  }
  std::string BytesOf(const v1::Scenario& scenario) const {
    const StatusOr<v1::SimulateReport> report = Report(scenario);
    return report.ok() ? report->SerializeAsString() : report.status().ToString();
  }
  v1::Scenario Parsed(const std::string& content, InputFormat format) const {
    v1::Scenario scenario;
    EXPECT_TRUE(ParseMessage("f", content, format, &scenario).ok()) << content;
    return scenario;
  }
  // Calls visit(scenario, its report) for every valid one.
  template <class Visit>
  void ForEach(Visit visit) {
    ScenarioGenerator generator(seed);
    int valid = 0;
    for (int i = 0; i < scenarios; ++i) {
      const v1::Scenario scenario = generator.Next();
      const StatusOr<v1::SimulateReport> report = Report(scenario);
      if (!report.ok()) {
        EXPECT_EQ(report.status().code(), absl::StatusCode::kInvalidArgument);
        continue;
      }
      ++valid;
      SCOPED_TRACE(scenario.ShortDebugString());
      visit(scenario, *report, &generator.random());
      if (HasFailure()) return;
    }
    EXPECT_GT(valid, scenarios * 7 / 10) << "the generator makes too few valid scenarios";
  }

  Catalog catalog_;
};

TEST_F(Scenarios, PartsSumToTheWhole) {
  ForEach([](const v1::Scenario&, const v1::SimulateReport& report, std::mt19937*) {
    const v1::Breakdown& parts = report.breakdown();
    EXPECT_NEAR(parts.compute_s() + parts.communication_exposed_s() + parts.bubble_s() +
                    parts.optimizer_s() + parts.other_s(),
                report.step_time_s(), 1e-11);
    double exposed = 0;
    for (const v1::CommunicationRow& row : report.communication()) exposed += row.exposed_s();
    EXPECT_NEAR(exposed, parts.communication_exposed_s(), 1e-11);
    const v1::Memory& memory = report.memory();
    EXPECT_EQ(memory.parameters_bytes() + memory.gradients_bytes() + memory.optimizer_bytes() +
                  memory.activations_bytes() + memory.workspace_bytes() + memory.kv_cache_bytes(),
              memory.peak_bytes());
    EXPECT_LE(report.lower_bound_s(), report.step_time_s());
    EXPECT_LE(report.mfu_6nd(), 1);
  });
}

TEST_F(Scenarios, FoldedIsUnfolded) {
  ForEach([this](const v1::Scenario& scenario, const v1::SimulateReport&, std::mt19937*) {
    for (const Fidelity fidelity : {Fidelity::kCalibrated, Fidelity::kIdeal}) {
      const StatusOr<v1::SimulateReport> folded = Report(scenario, fidelity);
      const StatusOr<v1::SimulateReport> unfolded = Report(scenario, fidelity, true);
      ASSERT_TRUE(folded.ok() && unfolded.ok()) << unfolded.status();
      EXPECT_EQ(folded->step_time_s(), unfolded->step_time_s());
    }
  });
}

TEST_F(Scenarios, TheFormAndTheOrderOfAFileDoNotMatter) {
  ForEach(
      [this](const v1::Scenario& scenario, const v1::SimulateReport& report, std::mt19937* random) {
        const std::string bytes = report.SerializeAsString();
        EXPECT_EQ(BytesOf(scenario), bytes) << "the same again";
        EXPECT_EQ(BytesOf(Parsed(Shuffled(scenario, random), InputFormat::kTextproto)), bytes);
        std::string json;
        ASSERT_TRUE(pb::util::MessageToJsonString(scenario, &json).ok());
        EXPECT_EQ(BytesOf(Parsed(json, InputFormat::kJson)), bytes);
        EXPECT_EQ(BytesOf(Parsed(scenario.SerializeAsString(), InputFormat::kBinary)), bytes);
      });
}

// Where nothing is sent: every kernel takes at least its ideal time.
TEST_F(Scenarios, IdealIsNotSlowerOnOneDevice) {
  ForEach([this](const v1::Scenario& scenario, const v1::SimulateReport& report, std::mt19937*) {
    if (!report.communication().empty()) return;
    const StatusOr<v1::SimulateReport> ideal = Report(scenario, Fidelity::kIdeal);
    ASSERT_TRUE(ideal.ok());
    EXPECT_LE(ideal->step_time_s(), report.step_time_s());
  });
}

}  // namespace
}  // namespace meshstep

int main(int argc, char** argv) {
  using namespace meshstep;
  ::testing::InitGoogleTest(&argc, argv);
  scenarios = IntOption(argc, argv, "scenarios", scenarios);
  seed = static_cast<unsigned>(IntOption(argc, argv, "seed", static_cast<int>(seed)));
  return RUN_ALL_TESTS();
}
