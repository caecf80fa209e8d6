#include <cmath>

#include "absl/strings/str_cat.h"
#include "sim/base/format.h"
#include "sim/report/einsum_report.h"
#include "strategies/einsum/answer.h"
#include "strategies/einsum/formula.h"

namespace meshstep {
namespace {

using einsum::Answer;
using einsum::CostModel;
using einsum::Derivation;
using einsum::Expression;
using einsum::SolveOptions;
using einsum::Step;

std::string Known(double value, std::string (*format)(double)) {
  return std::isnan(value) ? "-" : format(value);
}
std::string Times(double value) { return FormatNumber(value) + " x"; }

std::string ModelSentence(const SolveOptions& options) {
  if (!options.hardware) return "no chip, so no times (--chip=tpu-v5p gives them)";
  return absl::StrCat(options.hardware->name, ", cost model ", std::string(NameOf(options.model)),
                      " (", CostFormula(options), ")");
}

// "1.10 TFLOP"; beyond the prefixes "2e+45 FLOP".
std::string Flop(double flops) {
  return flops >= 1e21 ? absl::StrCat(absl::SixDigits(flops), " FLOP") : FormatFlops(flops);
}

// "2IJK = 1.10 TFLOP", or the formula alone while a size is missing.
std::string Equals(const std::string& formula, double flops) {
  return std::isnan(flops) ? formula : absl::StrCat(formula, " = ", Flop(flops));
}

std::string Heading(const Expression& expression, const SolveOptions& options,
                    const Answer& answer) {
  const std::vector<Step>& steps = answer.BookDerivation().steps;
  const std::string formula = einsum::FlopsFormula(steps, expression.mesh, false);
  const std::string local = einsum::FlopsFormula(steps, expression.mesh, true);
  std::string text =
      absl::StrCat(ToString(expression), "\n  mesh         ", ToString(expression.mesh),
                   "\n  hardware     ", ModelSentence(options), "\n");
  if (!answer.placement.empty()) {
    absl::StrAppend(&text, "  placement    ", answer.placement, "\n");
  }
  if (formula.empty()) return text;
  absl::StrAppend(&text, "  FLOPs        ", Equals(formula, answer.flops_theoretical),
                  "; per chip ", Equals(local, answer.flops_per_chip));
  if (!std::isnan(answer.flops_executed)) {
    absl::StrAppend(&text, "; all chips ", Flop(answer.flops_executed));
  }
  absl::StrAppend(&text, "\n  replication  ", Known(answer.replication, Times), "\n");
  return text;
}

std::string MemoryTable(const Answer& answer) {
  std::vector<std::vector<std::string>> rows = {{"array", "local shape", "per chip", "all chips"}};
  for (const einsum::ArrayMemory& memory : answer.memory) {
    std::string shape;
    for (double size : memory.local_shape) {
      absl::StrAppend(&shape, shape.empty() ? "[" : ",",
                      std::isnan(size) ? "?" : absl::StrCat(static_cast<std::int64_t>(size)));
    }
    rows.push_back({memory.array, shape + "]",
                    std::isnan(memory.bytes_per_chip) ? memory.formula + " B"
                                                      : FormatBytes(memory.bytes_per_chip),
                    Known(memory.bytes_all_chips, FormatBytes)});
  }
  return FormatTable(rows, "<<>>", 2);
}

std::string Notes(const Answer& answer) {
  std::string text;
  for (const std::string& note : answer.notes) {
    absl::StrAppend(&text, "  ", WrapText("note: " + note, 98, 8), "\n");
  }
  return text;
}

std::vector<std::string> StepRow(const Step& step, const einsum::MeshShape& mesh) {
  const std::string amount = einsum::AmountFormula(step, mesh);
  std::string number =
      step.is_product ? Known(step.flops, Flop) : Known(step.volume, FormatTraffic);
  if (amount.empty()) number = "free";
  const bool sends = !step.is_product && !amount.empty();
  return {NameOf(step, mesh),
          step.to,
          amount,
          number,
          sends ? Known(step.sent, FormatTraffic) : "",
          Known(step.seconds, FormatSeconds)};
}

std::string PlanTable(const Derivation& plan, const einsum::MeshShape& mesh) {
  std::vector<std::vector<std::string>> rows = {
      {"step", "gives", "amount", "", "sent/chip", "time"}};
  for (const Step& step : plan.steps) rows.push_back(StepRow(step, mesh));
  return FormatTable(rows, "<<<>>>", 4);
}

std::string PlanTimes(const Derivation& plan) {
  if (std::isnan(plan.overlapped_s)) return "";
  return absl::StrCat("    compute ", FormatSeconds(plan.compute_s), ", communication ",
                      FormatSeconds(plan.communication_s), ", HBM ", FormatSeconds(plan.hbm_s),
                      "; overlapped ", FormatSeconds(plan.overlapped_s), ", one after the other ",
                      FormatSeconds(plan.sequential_s), "; bound by ", plan.bound, "\n");
}

// All digits of a whole number, as long as a person can read them.
std::string Exact(double value) {
  if (std::isnan(value)) return "?";
  if (value == std::floor(value) && value < 1e15) {
    return FormatCount(static_cast<std::int64_t>(value));
  }
  return FormatNumber(value, 6);
}

// " = 12 bytes", nothing if it is not known.
std::string EqualsBytes(double bytes) {
  return std::isnan(bytes) ? "" : absl::StrCat(" = ", Exact(bytes), " bytes");
}
std::string EqualsSeconds(double seconds) {
  return std::isnan(seconds) ? "" : absl::StrCat(" = ", FormatSeconds(seconds));
}

std::string ProductDerivation(const Step& step, const std::string& amount,
                              const SolveOptions& options) {
  std::string text = absl::StrCat("\n       FLOPs per chip ", amount);
  if (!std::isnan(step.flops)) absl::StrAppend(&text, " = ", Exact(step.flops));
  const double peak = options.hardware ? options.hardware->peak(step.dtype).value() : 0;
  if (peak <= 0) return text + "\n";
  return absl::StrCat(text, "; T_math = FLOPs/C", EqualsSeconds(step.seconds),
                      " at C = ", FormatNumber(peak / 1e12), " TFLOP/s (",
                      std::string(meshstep::NameOf(step.dtype)), ")\n");
}

std::string StepDerivation(const Step& step, const einsum::MeshShape& mesh,
                           const SolveOptions& options) {
  std::string text = absl::StrCat("     ", NameOf(step, mesh), ": ", step.from, " -> ", step.to);
  const std::string amount = einsum::AmountFormula(step, mesh);
  if (step.is_product) return text + ProductDerivation(step, amount, options);
  if (amount.empty()) return text + "\n       each chip keeps its part of what it has: free\n";
  absl::StrAppend(&text, "\n       V = ", amount, EqualsBytes(step.volume),
                  ", N = ", Exact(step.chips));
  if (!std::isnan(step.sent)) {
    absl::StrAppend(&text, "; each chip sends ", Exact(step.sent), " bytes");
  }
  if (options.hardware) {
    absl::StrAppend(&text, "; T = ", step.formula, EqualsSeconds(step.seconds));
  }
  if (step.latency_s > 0) absl::StrAppend(&text, " (the hops, not the bytes)");
  return text + "\n";
}

// The two bounds of the time and what sets the lower one.
std::string Verdict(const Derivation& plan) {
  if (std::isnan(plan.overlapped_s)) return "";
  std::string text =
      absl::StrCat("     T >= max(T_math, T_comms, T_hbm) = max(", FormatSeconds(plan.compute_s),
                   ", ", FormatSeconds(plan.communication_s), ", ", FormatSeconds(plan.hbm_s),
                   ") = ", FormatSeconds(plan.overlapped_s), ": bound by ", plan.bound, "\n");
  return text +
         absl::StrCat("     T <= max(T_math, T_hbm) + T_comms = ", FormatSeconds(plan.sequential_s),
                      " if nothing overlaps\n");
}

std::string Derive(const Derivation& plan, const Expression& expression,
                   const SolveOptions& options) {
  std::string text;
  for (const Step& step : plan.steps) {
    absl::StrAppend(&text, StepDerivation(step, expression.mesh, options));
  }
  return text + Verdict(plan);
}

// The cases of each product as it was written, before anything is moved.
std::string CasesText(const Expression& expression) {
  std::string text;
  for (const einsum::Statement& statement : expression.statements) {
    if (statement.contractions.size() != 1) continue;
    std::vector<std::string> notes;
    const auto product =
        einsum::Resolve(statement.inputs[0], statement.inputs[1], statement.contractions[0],
                        {&*statement.output, nullptr}, &notes);
    if (!product.ok()) continue;
    for (const std::string& sentence : einsum::Cases(*product, expression.mesh)) {
      absl::StrAppend(&text, "     ", WrapText(sentence, 93, 7), "\n");
    }
  }
  return text;
}

std::string Symbols(const SolveOptions& options) {
  if (!options.hardware) return "";
  const einsum::Hardware& hw = *options.hardware;
  return absl::StrCat("     w = ", FormatNumber(hw.link.value() / 1e9), " GB/s one way",
                      hw.interconnect.kind == Interconnect::Kind::kFullMesh
                          ? " (each link of a chip)"
                      : hw.is_switch() ? " (all links of a chip)"
                                       : ", W = 2 w both ways",
                      ", HBM ", FormatNumber(hw.hbm_rate.value() / 1e9), " GB/s\n");
}

std::string OtherPlans(const Expression& expression, const SolveOptions& options,
                       const Answer& answer) {
  const Derivation& best = answer.derivations[0];
  if (!best.book) {
    return absl::StrCat("\n  3. A better one of the ", answer.derivations_found,
                        " plans: ", best.name, "\n", Derive(best, expression, options));
  }
  if (answer.derivations_found == 1) return "\n  3. There is no other plan\n";
  if (answer.missing.empty()) {
    return absl::StrCat("\n  3. None of the ", answer.derivations_found,
                        " plans is better than it\n");
  }
  std::string text = "\n  3. The other plans; which is best depends on the sizes\n";
  for (const Derivation& plan : answer.derivations) {
    if (!plan.book) absl::StrAppend(&text, "     ", plan.name, "\n");
  }
  return text;
}

std::string NotesAfter(const Answer& answer) {
  const std::string notes = Notes(answer);
  return notes.empty() ? "" : "\n" + notes;
}

std::string SwitchFormula(const SolveOptions& options) {
  const bool book = options.model == CostModel::kBook;
  return absl::StrCat(book ? "V/w" : "V (D-1)/(D w)", " in a node of ",
                      options.hardware->interconnect.domain_chips,
                      ", V (M-1)/(M D w_out) for D chips in each of M nodes");
}

}  // namespace

std::string CostFormula(const SolveOptions& options) {
  if (!options.hardware) return "";
  if (options.hardware->is_switch()) return SwitchFormula(options);
  switch (options.model) {
    case CostModel::kChip:
      return "V (N-1)/(N W) on rings, V (N-1)/(N w) on lines, with latency of hops";
    case CostModel::kBook:
      return "V/(W n), every axis a ring";
    case CostModel::kRing:
      return "V (N-1)/(N W n), every axis a ring";
    case CostModel::kNoWrap:
      return "V (N-1)/(N w n), every axis a line";
  }
  return "";
}

std::string EinsumText(const Expression& expression, const SolveOptions& options,
                       const Answer& answer, std::size_t plans) {
  std::string text = Heading(expression, options, answer);
  absl::StrAppend(&text, "\n", MemoryTable(answer));
  for (std::size_t i = 0; i < std::min(plans, answer.derivations.size()); ++i) {
    const Derivation& plan = answer.derivations[i];
    if (plan.steps.empty()) continue;
    absl::StrAppend(&text, "\n  ", i + 1, ". ", plan.name, plan.book ? "   (the book's plan)" : "",
                    "\n", PlanTable(plan, expression.mesh), PlanTimes(plan));
  }
  if (answer.derivations_found > plans) {
    absl::StrAppend(&text, "\n  ", answer.derivations_found,
                    " plans in all; --top=", answer.derivations_found, " lists them\n");
  }
  return text + NotesAfter(answer);
}

std::string EinsumDerivation(const Expression& expression, const SolveOptions& options,
                             const Answer& answer) {
  std::string text = Heading(expression, options, answer);
  const std::string cases = CasesText(expression);
  if (!cases.empty()) absl::StrAppend(&text, "\n  1. What the shardings ask for\n", cases);
  const Derivation& book = answer.BookDerivation();
  absl::StrAppend(&text, "\n  2. The plan of the book's rules: ",
                  book.steps.empty() ? "nothing to do" : book.name, "\n", Symbols(options),
                  Derive(book, expression, options));
  return absl::StrCat(text, OtherPlans(expression, options, answer), NotesAfter(answer));
}

}  // namespace meshstep
