#include "sim/validation/plan_order.h"

#include <string>

#include "gtest/gtest.h"

namespace meshstep {
namespace {

void AddRow(const std::string& group, double predicted, double measured,
            v1::ValidateReport* report) {
  v1::ValidateRow* const row = report->add_rows();
  row->set_group(group);
  row->set_predicted_s(predicted);
  row->set_measured_s(measured);
  row->set_tokens(1);
}

TEST(PlanOrder, CountsPairsThatAreFarEnoughApart) {
  v1::ValidateReport report;
  AddRow("a", 1, 10, &report);
  AddRow("a", 3, 10.9, &report);  // 9 % from the first: no pair with it
  AddRow("a", 2, 11.5, &report);  // 15 % from the first, right; 6 % from the second
  AddRow("a", 4, 20, &report);    // far from all three, right
  SummarizeOrder(&report);
  EXPECT_EQ(report.order().pairs(), 4);
  EXPECT_EQ(report.order().near_pairs(), 1);
  EXPECT_EQ(report.order().right(), 1);
  EXPECT_EQ(report.order().mean_regret(), 0);
}

TEST(PlanOrder, RegretIsWhatTheBestPredictedCosts) {
  v1::ValidateReport report;
  AddRow("a", 1, 12, &report);
  AddRow("a", 2, 10, &report);  // the order is wrong: 12 / 10 - 1
  AddRow("b", 1, 5, &report);
  AddRow("b", 2, 6, &report);
  AddRow("alone", 1, 7, &report);
  SummarizeOrder(&report);
  EXPECT_EQ(report.order().groups(), 2);
  EXPECT_EQ(report.order().pairs(), 2);
  EXPECT_EQ(report.order().right(), 0.5);
  EXPECT_DOUBLE_EQ(report.order().worst_regret(), 12.0 / 10 - 1);
  EXPECT_DOUBLE_EQ(report.order().mean_regret(), (12.0 / 10 - 1) / 2);
}

TEST(PlanOrder, WithoutPairsThereIsNone) {
  v1::ValidateReport report;
  AddRow("a", 1, 12, &report);
  AddRow("b", 1, 12, &report);
  SummarizeOrder(&report);
  EXPECT_FALSE(report.has_order());
}

}  // namespace
}  // namespace meshstep
