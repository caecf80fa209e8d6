// The first sentences of `meshstep model`, `budget` and `roofline`, and their figures below.

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "meshstep/v1/budget_report.pb.h"
#include "meshstep/v1/model_report.pb.h"
#include "meshstep/v1/roofline_report.pb.h"
#include "sim/base/format.h"
#include "sim/report/arithmetic/terms.h"

namespace meshstep {
namespace {

std::vector<TermGroup> Groups(std::span<const TermGroup> groups) {
  return {groups.begin(), groups.end()};
}

std::string Sequences(double count) { return Amount(count, "sequences"); }

std::string Sentence(const v1::ModelReport& r) {
  const v1::ModelParameters& p = r.parameters();
  std::string out = absl::StrCat(r.model().empty() ? "The model" : r.model(), " has ",
                                 Amount(p.total(), "parameters"));
  if (p.active() < p.total()) {
    absl::StrAppend(&out, ", of which a token uses ", Amount(p.active(), ""));
  }
  if (r.queries() == 1 && r.keys() > 1) {
    absl::StrAppend(&out, "; one token of ", Sequences(r.batch_sequences()), " over ",
                    Amount(r.keys(), "positions"), " takes ", Amount(r.flops().forward(), "FLOP"));
  } else {
    absl::StrAppend(&out, "; ", Sequences(r.batch_sequences()), " of ",
                    Amount(r.queries(), "tokens"), r.batch_sequences() == 1 ? " takes " : " take ",
                    Amount(r.flops().forward(), "FLOP"), " forward and ",
                    Amount(r.flops().training(), "FLOP"), " in training");
  }
  if (r.kv_cache_bytes() > 0) {
    absl::StrAppend(&out, ", with ", Amount(r.kv_cache_bytes(), "B"), " of keys and values");
  }
  return out + ".";
}

// ": 4,096 chips at 45 % MFU need 39.96 days, 3.928 million chip-hours".
std::string TimeOf(const v1::TrainingTime& t) {
  std::string out;
  const std::string at =
      t.has_mfu() ? absl::StrCat(" at ", Amount(t.mfu(), "%"), " MFU") : std::string();
  if (t.has_chips_needed()) {
    return absl::StrCat(": ", Amount(t.chips_needed(), "chips"), at, " do it in ",
                        Amount(t.days(), "days"));
  }
  if (t.has_days() && t.has_chips()) {
    absl::StrAppend(&out, ": ", Amount(t.chips(), "chips"), at, " need ", Amount(t.days(), "days"));
  }
  if (t.has_chip_hours()) {
    absl::StrAppend(&out, out.empty() ? ": " : ", ", Amount(t.chip_hours(), "chip-hours"),
                    t.has_days() && t.has_chips() ? "" : at);
  }
  if (t.has_dollars()) absl::StrAppend(&out, ", ", Amount(t.dollars(), "$"));
  return out;
}

std::string Sentence(const v1::BudgetReport& r) {
  if (r.has_training_flops() && r.has_parameters() && r.has_tokens()) {
    return absl::StrCat("Training ", Amount(r.parameters(), "parameters"), " on ",
                        Amount(r.tokens(), "tokens"), " takes ", Amount(r.training_flops(), "FLOP"),
                        TimeOf(r.time()), ".");
  }
  if (r.has_training_flops()) {
    return absl::StrCat(Amount(r.training_flops(), "FLOP"), " train best ",
                        Amount(r.chinchilla().parameters(), "parameters"), " on ",
                        Amount(r.chinchilla().tokens(), "tokens"), TimeOf(r.time()), ".");
  }
  if (r.has_parameters()) {
    return absl::StrCat(Amount(r.parameters(), "parameters"), " are trained best on ",
                        Amount(r.optimal_tokens(), "tokens"), "; their training state takes ",
                        Amount(r.memory().state_bytes(), "B"), TimeOf(r.time()), ".");
  }
  return absl::StrCat("The run", TimeOf(r.time()), ".");
}

std::string Sentence(const std::string& chip, const v1::ChipRoofline& r) {
  std::string out =
      absl::StrCat(chip.empty() ? "The chip" : chip, " does ", Amount(r.flops_per_s(), "FLOP/s"));
  if (r.hbm_bytes_per_s() > 0) {
    absl::StrAppend(&out, " and reads ", Amount(r.hbm_bytes_per_s(), "B/s"),
                    " of HBM: work of more than ", Amount(r.hbm_intensity(), "FLOPs"),
                    " per byte is bound by compute");
  }
  return out + ".";
}

std::string Sentence(const v1::MatmulRoofline& r) {
  if (!r.has_time_s()) {
    return absl::StrCat("A matmul is bound by compute from ", Amount(r.critical_batch(), "rows"),
                        " on.");
  }
  return absl::StrCat("The matmul takes at least ", Amount(r.time_s(), "s"), ", bound by ",
                      r.bound(), "; compute binds from ", Amount(r.critical_batch(), "rows"),
                      " on.");
}

std::string Sentence(const v1::AttentionRoofline& r) {
  return absl::StrCat("Attention takes at least ", Amount(r.time_s(), "s"), ", bound by ",
                      r.bound(), ": ", Amount(r.intensity(), "FLOPs"), " per byte, where ",
                      Amount(r.critical_intensity(), ""), " are needed.");
}

std::string Sentence(const v1::TrainingBounds& r) {
  if (!r.has_forward()) {
    return absl::StrCat("Data parallelism and FSDP are bound by compute from ",
                        Amount(r.critical_fsdp(), "tokens"), " a chip on.");
  }
  const v1::LayerTimes& f = r.forward();
  return absl::StrCat("Forward of one MLP layer is bound by ", f.bound_max(), ": ",
                      Amount(f.compute_s(), "s"), " of compute, ",
                      Amount(f.communication_max_s(), "s"), " of communication",
                      r.has_tokens_per_chip()
                          ? absl::StrCat(" at ", Amount(r.tokens_per_chip(), "tokens"), " a chip")
                          : std::string(),
                      ".");
}

std::string Sentence(const v1::InferenceBounds& r) {
  if (r.step_s() <= 0) return "What serving asks for.";
  std::string out =
      absl::StrCat("A decode step takes at least ", Amount(r.step_s(), "s"), ", bound by ",
                   r.bound(), ": ", Amount(r.tokens_per_s(), "tokens/s"));
  if (r.capacity_bytes() > 0) {
    absl::StrAppend(&out, "; parameters and caches ",
                    r.fits() ? "fit: " : "do not fit: ", Amount(r.memory_bytes(), "B"), " of ",
                    Amount(r.capacity_bytes(), "B"));
  }
  return out + ".";
}

std::string Sentence(const v1::RooflineReport& r) {
  if (r.has_matmul()) return Sentence(r.matmul());
  if (r.has_attention()) return Sentence(r.attention());
  if (r.has_training()) return Sentence(r.training());
  if (r.has_inference()) return Sentence(r.inference());
  return Sentence(r.chip(), r.chip_roofline());
}

std::string Ops(const v1::ModelReport& report) {
  std::vector<std::vector<std::string>> rows = {
      {"block", "layers", "op", "FLOPs", "bytes", "parameters", "FLOP/B"}};
  for (const v1::OpCount& op : report.ops()) {
    const auto some = [](double value, const char* unit) {
      return value > 0 ? Amount(value, unit) : std::string();
    };
    rows.push_back({op.block(), Amount(op.layers(), ""), op.name(), some(op.flops(), "FLOP"),
                    some(op.bytes(), "B"), some(op.parameters(), ""), some(op.intensity(), "")});
  }
  return "\nEvery op of one layer, forward, of the batch\n" + FormatTable(rows, "<><>>>>", 2);
}

}  // namespace

std::string ToText(const v1::ModelReport& report, bool explain) {
  std::string text = TermsText(report, Sentence(report), Groups(ModelTerms()), explain);
  return explain && report.ops_size() > 0 ? text + Ops(report) : text;
}

std::string ToText(const v1::BudgetReport& report, bool explain) {
  return TermsText(report, Sentence(report), Groups(BudgetTerms()), explain);
}

std::string ToText(const v1::RooflineReport& report, bool explain) {
  return TermsText(report, Sentence(report),
                   Groups(report.has_inference() ? InferenceTerms() : RooflineTerms()), explain);
}

}  // namespace meshstep
