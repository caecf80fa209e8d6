#include "sim/simulate/scenario_table.h"

#include <filesystem>
#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "sim/base/proto_file.h"
#include "sim/simulate/simulate.h"
#include "sim/validation/validate_runs.h"
#include "strategies/plan/load_framework.h"

namespace meshstep {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A table in a file of its own; its name is in what errors say.
std::string Written(const std::string& content) {
  const std::string path = ::testing::TempDir() + "table.csv";
  std::ofstream(path) << content;
  return path;
}

std::string ErrorOf(const std::string& content) {
  const StatusOr<ScenarioTable> table = ReadScenarioTable(Written(content));
  return table.ok() ? "" : std::string(table.status().message());
}

TEST(ScenarioTable, ColumnsAreFieldsAndEmptyCellsLeaveThemUnset) {
  const StatusOr<ScenarioTable> table = ReadScenarioTable(
      Written("name,base,plan.framework,plan.tensor,plan.recompute_modules,measured.step_time_s,"
              "first_error,source,step_time_s,memory.peak_bytes\n"
              "a,llama3-70b-h100-512,megatron-core,2,mlp;moe,9.41,-0.5,our logs,1,2\n"
              "b,a,,,,,,,,\n"));
  ASSERT_TRUE(table.ok()) << std::string(table.status().message());
  ASSERT_EQ(table->rows.size(), 2U);
  const ScenarioRow& a = table->rows[0];
  EXPECT_EQ(a.scenario.name(), "a");
  EXPECT_EQ(a.scenario.model().preset(), "llama-3-70b");
  EXPECT_EQ(a.scenario.plan().framework(), "megatron-core");
  EXPECT_EQ(a.scenario.plan().tensor(), 2);
  EXPECT_THAT(a.scenario.plan().recompute_modules(), ElementsAre("mlp", "moe"));
  EXPECT_EQ(a.measured.step_time_s, 9.41);
  EXPECT_EQ(a.first_error, -0.5);
  EXPECT_EQ(a.family, "our logs");
  // Builds on the row above, without its name and what it measured.
  const ScenarioRow& b = table->rows[1];
  EXPECT_EQ(b.name, "b");
  EXPECT_EQ(b.scenario.plan().tensor(), 2);
  EXPECT_FALSE(b.measured.time());
}

TEST(ScenarioTable, ErrorsNameLineAndColumn) {
  EXPECT_THAT(ErrorOf("name,plan.tensr\na,2\n"),
              HasSubstr("table.csv:1:2: column \"plan.tensr\": plan has no field \"tensr\""));
  EXPECT_THAT(ErrorOf("name,tensor\na,2\n"), HasSubstr("table.csv:1:2: column \"tensor\""));
  EXPECT_THAT(ErrorOf("name,plan.tensor,plan.data\na,2,\nb,x,1.5\n"),
              HasSubstr("table.csv:3:2: plan.tensor is \"x\", expected a whole number\n"));
  EXPECT_THAT(ErrorOf("name,plan.tensor,plan.data\na,2,\nb,x,1.5\n"),
              HasSubstr("table.csv:3:3: plan.data is \"1.5\", expected a whole number"));
  EXPECT_THAT(ErrorOf("name,name\na,b\n"), HasSubstr("1:2: column \"name\" stands twice"));
  EXPECT_THAT(ErrorOf("name,measured.step_time_s\na,-1\n"),
              HasSubstr("2:2: measured.step_time_s is \"-1\", expected a number above 0"));
  EXPECT_THAT(ErrorOf("name,base\na,nowhere\n"), HasSubstr("table.csv:2:2: base: "));
  EXPECT_THAT(ErrorOf(""), HasSubstr("is empty"));
}

TEST(ScenarioTable, AFieldIsFoundInItsCell) {
  const StatusOr<ScenarioTable> table =
      ReadScenarioTable(Written("name,model.preset,plan.tensor\na,llama-3-8b,3\n"));
  ASSERT_TRUE(table.ok());
  EXPECT_THAT(table->rows[0].locator("plan.tensor"), HasSubstr("table.csv:2:3"));
  EXPECT_THAT(table->rows[0].locator("plan.data"), HasSubstr("table.csv:2"));
}

// What people get: every row that ships names a framework and is, as it is printed, what is
// simulated.
class Shipped : public ::testing::TestWithParam<std::string> {
 protected:
  static std::string Path() {
    return std::string(MESHSTEP_SOURCE_DIR) + "/examples/validation/" + GetParam() + ".csv";
  }
};

TEST_P(Shipped, EveryRowNamesAFrameworkAndIsWhatIsPrinted) {
  const StatusOr<ScenarioTable> table = ReadScenarioTable(Path());
  ASSERT_TRUE(table.ok()) << std::string(table.status().message());
  ASSERT_FALSE(table->rows.empty());
  for (const ScenarioRow& row : table->rows) {
    if (!row.reason.empty()) continue;
    EXPECT_FALSE(row.scenario.plan().framework().empty()) << row.name;
    std::string text;
    google::protobuf::TextFormat::PrintToString(row.scenario, &text);
    v1::Scenario read;
    ASSERT_TRUE(ParseMessage("row", text, InputFormat::kTextproto, &read).ok()) << row.name;
    EXPECT_EQ(read.SerializeAsString(), row.scenario.SerializeAsString()) << row.name;
  }
}

TEST_P(Shipped, ValidatePredictsWhatSimulateSaysOfThePrintedScenario) {
  StatusOr<ScenarioTable> table = ReadScenarioTable(Path());
  ASSERT_TRUE(table.ok());
  constexpr std::size_t kEvery = 53;  // to be quick; the test above shows that none differs
  std::vector<ScenarioRow> rows;
  for (std::size_t i = 0; i < table->rows.size(); i += kEvery) rows.push_back(table->rows[i]);
  const Catalog catalog;
  const v1::ValidateReport report =
      SimulateRows(rows, {.catalog = &catalog},
                   [](const ScenarioRow&, const auto& simulated, v1::ValidateRow* out) {
                     if (simulated.ok()) out->set_predicted_s(simulated->step_time_s());
                   });
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const StatusOr<v1::Scenario> printed = ScenarioOfRow(Path(), rows[i].name);
    const v1::ValidateRow& row = report.rows(static_cast<int>(i));
    if (!printed.ok()) {
      EXPECT_FALSE(row.has_predicted_s()) << rows[i].name;
      continue;
    }
    const StatusOr<v1::SimulateReport> simulated = Simulate(*printed, {.catalog = &catalog});
    EXPECT_EQ(simulated.ok(), row.has_predicted_s()) << rows[i].name;
    if (simulated.ok()) {
      EXPECT_EQ(simulated->step_time_s(), row.predicted_s()) << rows[i].name;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Tables, Shipped,
                         ::testing::Values("training_runs", "training_runs_one_node", "memory_runs",
                                           "memory_published", "fresh_runs"));

}  // namespace
}  // namespace meshstep
