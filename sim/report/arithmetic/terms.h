// Reports of arithmetic as text: one sentence first, then figures in groups, each with a name, its
// unit and a definition that --explain prints.
//
// A term says of one field of a report what a reader calls it. The tables of terms stand beside the
// reports they are of (model_terms.cc, budget_terms.cc, roofline_terms.cc, inference_terms.cc); a
// test holds that every field has one.

#ifndef MESHSTEP_SIM_REPORT_ARITHMETIC_TERMS_H_
#define MESHSTEP_SIM_REPORT_ARITHMETIC_TERMS_H_

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace google::protobuf {
class Message;
}

namespace meshstep {

namespace v1 {
class BudgetReport;
class ModelReport;
class RooflineReport;
}  // namespace v1

struct Term {
  std::string_view field;  // below the group's prefix
  std::string_view name;
  // What the number is in: "B", "FLOP", "FLOP/s", "B/s", "s", "FLOP/B" take prefixes; "%" is of a
  // fraction; others ("tokens") follow the number; "": a plain number or words.
  std::string_view unit;
  std::string_view says;
  bool main = false;  // printed without --explain too
};

struct TermGroup {
  std::string_view title;
  std::string_view prefix;  // "flops."
  std::span<const Term> terms;
  std::string_view unit = {};  // of terms that name none
  bool main = true;            // false: the whole group is --explain's
};

std::span<const TermGroup> ModelTerms();
std::span<const TermGroup> BudgetTerms();
std::span<const TermGroup> RooflineTerms();
std::span<const TermGroup> InferenceTerms();

// "70.55 G tokens", "1.2 ms", "45.0 %": four digits.
std::string Amount(double value, std::string_view unit);

// What the report says of a model; explain: every figure with its definition.
std::string ToText(const v1::ModelReport& report, bool explain);
std::string ToText(const v1::BudgetReport& report, bool explain);
std::string ToText(const v1::RooflineReport& report, bool explain);

// `sentence`, what was assumed, and the groups that have figures.
std::string TermsText(const google::protobuf::Message& report, const std::string& sentence,
                      const std::vector<TermGroup>& groups, bool explain);

// The meaning of every symbol that `text` uses, one line each: those of "How To Scale Your Model".
std::string SymbolsOf(std::string_view text);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_REPORT_ARITHMETIC_TERMS_H_
