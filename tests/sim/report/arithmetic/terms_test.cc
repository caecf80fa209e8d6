#include "sim/report/arithmetic/terms.h"

#include <gtest/gtest.h>

#include <limits>
#include <map>
#include <set>

#include "google/protobuf/message.h"
#include "meshstep/v1/budget_report.pb.h"
#include "meshstep/v1/model_report.pb.h"
#include "meshstep/v1/roofline_report.pb.h"

namespace meshstep {
namespace {

namespace pb = google::protobuf;

void Paths(const pb::Descriptor* type, const std::string& prefix, std::set<std::string>* out) {
  for (int i = 0; i < type->field_count(); ++i) {
    const pb::FieldDescriptor* field = type->field(i);
    if (field->is_repeated()) continue;  // sentences and tables
    if (field->message_type() != nullptr) {
      Paths(field->message_type(), prefix + field->name() + ".", out);
    } else {
      out->insert(prefix + field->name());
    }
  }
}

// Every field has one term, every term its field.
void Check(const pb::Descriptor* type, const std::vector<std::span<const TermGroup>>& of) {
  std::set<std::string> fields, terms;
  Paths(type, "", &fields);
  for (const std::span<const TermGroup> groups : of) {
    for (const TermGroup& group : groups) {
      for (const Term& term : group.terms) {
        const std::string path = std::string(group.prefix) + std::string(term.field);
        EXPECT_TRUE(fields.contains(path)) << path;
        EXPECT_TRUE(terms.insert(path).second || path == "chip") << path << " twice";
        EXPECT_FALSE(term.says.empty()) << path;
        EXPECT_EQ(term.name.find('_'), std::string_view::npos) << path;
      }
    }
  }
  for (const std::string& field : fields) EXPECT_TRUE(terms.contains(field)) << field;
}

TEST(Terms, EveryFieldIsNamedAndDefinedOnce) {
  Check(v1::ModelReport::descriptor(), {ModelTerms()});
  Check(v1::BudgetReport::descriptor(), {BudgetTerms()});
  Check(v1::RooflineReport::descriptor(), {RooflineTerms(), InferenceTerms()});
}

TEST(Terms, AmountsHaveFourDigitsAndUnits) {
  EXPECT_EQ(Amount(70.553e9, "parameters"), "70.55 billion parameters");
  EXPECT_EQ(Amount(15e12, "tokens"), "15 trillion tokens");
  EXPECT_EQ(Amount(4096, "tokens"), "4,096 tokens");
  EXPECT_EQ(Amount(128256, ""), "128,256");
  EXPECT_EQ(Amount(0.45, "%"), "45 %");
  EXPECT_EQ(Amount(1.931e15, "FLOP"), "1.931 PFLOP");
  EXPECT_EQ(Amount(2.765e12, "B/s"), "2.765 TB/s");
  EXPECT_EQ(Amount(2200, "FLOP/B"), "2,200 FLOP/B");
  EXPECT_EQ(Amount(0.002344, "s"), "2.344 ms");
  EXPECT_EQ(Amount(3452345, "s"), "3,452,345 s");
  EXPECT_EQ(Amount(12.3e6, "$"), "$ 12.3 million");
  EXPECT_EQ(Amount(std::numeric_limits<double>::infinity(), "tokens"), "unlimited");
  EXPECT_EQ(Amount(0, "s"), "0 s");
}

v1::BudgetReport Budget() {
  v1::BudgetReport report;
  report.set_parameters(70e9);
  report.set_active_parameters(70e9);
  report.set_tokens(15e12);
  report.set_training_flops(6 * 70e9 * 15e12);
  v1::TrainingTime* time = report.mutable_time();
  time->set_chips(4096);
  time->set_flops_per_s(990e12);
  time->set_mfu(0.45);
  time->set_days(39.96);
  time->set_chip_hours(3.928e6);
  time->set_available_flops(1.4e25);
  report.add_assumed("something");
  return report;
}

TEST(Terms, OneSentenceComesFirst) {
  const std::string text = ToText(Budget(), false);
  EXPECT_EQ(text.substr(0, text.find("Assumed")),
            "Training 70 billion parameters on 15 trillion tokens takes 6.3 YFLOP: 4,096 chips at "
            "45 % MFU need\n39.96 days, 3.928 million chip-hours.\n");
  EXPECT_NE(text.find("\nAssumed: something\n"), std::string::npos);
  EXPECT_EQ(text.find("possible in that time"), std::string::npos);
  EXPECT_NE(text.find("and prints 1 more"), std::string::npos) << text;
}

TEST(Terms, ExplainDefinesAllThatIsPrinted) {
  const std::string text = ToText(Budget(), true);
  EXPECT_NE(text.find("6 times used parameters times tokens"), std::string::npos);
  EXPECT_NE(text.find("possible in that time"), std::string::npos);
  EXPECT_NE(text.find("\nSymbols\n  C        FLOP/s of a chip at its peak\n"), std::string::npos)
      << text;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\n', at);
    EXPECT_LE(end - at, 100u) << text.substr(at, end - at);
    at = end + 1;
  }
}

TEST(Terms, SymbolsAreWordsAndNoArrays) {
  EXPECT_EQ(SymbolsOf("AllGather(C): C[I,K] over W_in"), "");
  EXPECT_NE(SymbolsOf("T = V (N-1)/(N W)").find("W  "), std::string::npos);
  EXPECT_EQ(SymbolsOf("T = V (N-1)/(N W)").find("w  "), std::string::npos);
}

}  // namespace
}  // namespace meshstep
