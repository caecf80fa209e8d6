#include "sim/report/arithmetic/budget_report.h"

#include <cmath>

#include "meshstep/v1/budget_report.pb.h"
#include "sim/report/numbers.h"
#include "strategies/bounds/scaling_law.h"

namespace meshstep {
namespace {

constexpr double kSecondsPerDay = 86400, kSecondsPerHour = 3600;

void Fill(const Optimum& optimum, const Optimum& of_ten_times, double flops,
          v1::ComputeOptimum* out) {
  out->set_parameters_per_decade(of_ten_times.parameters / optimum.parameters);
  out->set_tokens_per_decade(of_ten_times.tokens / optimum.tokens);
  out->set_flops(flops);
  out->set_parameters(optimum.parameters);
  out->set_tokens(optimum.tokens);
  out->set_loss(ParametricLoss(optimum.parameters, optimum.tokens));
}

// FLOPs, parameters and tokens: C = 6 N D from any two of them.
void FillScale(const BudgetInput& in, v1::BudgetReport* out) {
  const auto& n = in.numbers;
  if (HasNumber(n, "params")) out->set_parameters(n.at("params"));
  if (HasNumber(n, "active")) out->set_active_parameters(n.at("active"));
  if (out->has_parameters() && !out->has_active_parameters()) {
    out->set_active_parameters(out->parameters());
  }
  if (HasNumber(n, "tokens")) out->set_tokens(n.at("tokens"));
  if (HasNumber(n, "flops")) out->set_training_flops(n.at("flops"));
  const bool has_n = out->has_active_parameters(), has_d = out->has_tokens();
  if (has_n && has_d && !out->has_training_flops()) {
    out->set_training_flops(TrainingFlops(out->active_parameters(), out->tokens()));
  } else if (has_n && !has_d && out->has_training_flops()) {
    out->set_tokens(out->training_flops() / 6 / out->active_parameters());
  } else if (!has_n && has_d && out->has_training_flops()) {
    out->set_active_parameters(out->training_flops() / 6 / out->tokens());
    out->set_parameters(out->active_parameters());
  }
}

void FillLaws(const BudgetInput& in, v1::BudgetReport* out) {
  const double ratio = NumberOr(in.numbers, "tokens-per-parameter", kChinchillaTokensPerParameter);
  if (out->has_parameters()) {
    out->set_optimal_tokens(ratio * out->parameters());
    if (out->has_tokens()) {
      out->set_tokens_per_parameter(out->tokens() / out->parameters());
      out->set_loss(ParametricLoss(out->parameters(), out->tokens()));
    }
  }
  if (!out->has_training_flops()) return;
  const double flops = out->training_flops();
  const double ten = 10 * flops;
  Fill(ChinchillaOptimum(flops, ratio), ChinchillaOptimum(ten, ratio), flops,
       out->mutable_chinchilla());
  Fill(ParametricOptimum(flops), ParametricOptimum(ten), flops, out->mutable_parametric());
  Fill(KaplanOptimum(flops), KaplanOptimum(ten), flops, out->mutable_kaplan());
  if (!HasNumber(in.numbers, "inference-tokens")) return;
  v1::OverTraining* over = out->mutable_over_training();
  const double served = in.numbers.at("inference-tokens");
  const Optimum best = OverTrainingOptimum(out->parametric().loss(), served);
  over->set_inference_tokens(served);
  over->set_parameters(best.parameters);
  over->set_tokens(best.tokens);
  over->set_tokens_per_parameter(best.tokens / best.parameters);
  over->set_training_flops(TrainingFlops(best.parameters, best.tokens));
  over->set_inference_flops(2 * best.parameters * served);
  over->set_total_flops(over->training_flops() + over->inference_flops());
  over->set_optimal_total_flops(flops + 2 * out->parametric().parameters() * served);
  over->set_saving(1 - over->total_flops() / over->optimal_total_flops());
}

// Where neither a utilisation nor a time says how fast the run is. 40 % is what "How To Scale Your
// Model", chapter 6, takes for LLaMA 3.
constexpr double kAssumedMfu = 0.4;

void AssumeMfu(const BudgetInput& in, v1::BudgetReport* out) {
  v1::TrainingTime* time = out->mutable_time();
  const bool timed = time->has_chip_hours() || (time->has_days() && time->has_chips()) ||
                     HasNumber(in.numbers, "step-time");
  if (time->has_mfu() || timed || !out->has_training_flops()) return;
  time->set_mfu(kAssumedMfu);
  out->add_assumed("an MFU of 40 % for the time of the run, as --mfu is not given");
}

// Time of the run, from utilisation or the other way round.
void FillTime(const BudgetInput& in, v1::BudgetReport* out) {
  const auto& n = in.numbers;
  v1::TrainingTime* time = out->mutable_time();
  if (in.flops_per_s > 0) time->set_flops_per_s(in.flops_per_s);
  if (HasNumber(n, "chips")) time->set_chips(n.at("chips"));
  if (HasNumber(n, "mfu")) time->set_mfu(n.at("mfu"));
  if (HasNumber(n, "hours")) time->set_chip_hours(n.at("hours"));
  if (HasNumber(n, "days")) time->set_days(n.at("days"));
  const double rate = in.flops_per_s;
  if (rate <= 0) return;
  AssumeMfu(in, out);
  if (time->has_mfu() && out->has_training_flops()) {
    const double chip_seconds = out->training_flops() / (rate * time->mfu());
    if (time->has_days()) {
      time->set_chips_needed(chip_seconds / (time->days() * kSecondsPerDay));
    } else if (!time->has_chip_hours()) {
      time->set_chip_hours(chip_seconds / kSecondsPerHour);
      if (time->has_chips()) time->set_time_s(chip_seconds / time->chips());
    }
  } else if (time->has_days() && time->has_chips()) {
    time->set_chip_hours(time->days() * 24 * time->chips());
  }
  if (time->has_chip_hours()) {
    time->set_available_flops(time->chip_hours() * kSecondsPerHour * rate);
    if (out->has_training_flops() && !time->has_mfu()) {
      time->set_mfu(out->training_flops() / time->available_flops());
    } else if (time->has_mfu() && !out->has_training_flops()) {
      out->set_training_flops(time->available_flops() * time->mfu());
    }
    if (time->has_chips() && !time->has_time_s()) {
      time->set_time_s(time->chip_hours() * kSecondsPerHour / time->chips());
    }
    if (HasNumber(n, "price")) time->set_dollars(time->chip_hours() * n.at("price"));
  }
  if (time->has_time_s() && !time->has_days()) time->set_days(time->time_s() / kSecondsPerDay);
}

void FillStep(const BudgetInput& in, v1::BudgetReport* out) {
  const auto& n = in.numbers;
  if (!HasNumber(n, "batch-tokens")) return;
  v1::StepTime* step = out->mutable_step();
  step->set_tokens(n.at("batch-tokens"));
  step->set_model_flops(TrainingFlops(out->active_parameters(), step->tokens()));
  if (out->has_tokens()) step->set_steps(out->tokens() / step->tokens());
  if (HasNumber(n, "seq")) step->set_sequences(step->tokens() / n.at("seq"));
  if (!HasNumber(n, "chips")) return;
  step->set_tokens_per_chip(step->tokens() / n.at("chips"));
  if (in.flops_per_s <= 0) return;
  const double full = step->model_flops() / (n.at("chips") * in.flops_per_s);
  step->set_roofline_s(full);
  if (HasNumber(n, "step-time")) {
    step->set_time_s(n.at("step-time"));
    step->set_mfu(full / step->time_s());
  } else if (HasNumber(n, "mfu")) {
    step->set_mfu(n.at("mfu"));
    step->set_time_s(full / step->mfu());
  }
}

void FillMemory(const BudgetInput& in, v1::BudgetReport* out) {
  if (!out->has_parameters()) return;
  const auto& n = in.numbers;
  v1::MemoryBudget* memory = out->mutable_memory();
  const double parameters = out->parameters();
  memory->set_parameter_bytes(parameters * in.parameter_bytes);
  memory->set_gradient_bytes(parameters * in.gradient_bytes);
  memory->set_optimizer_bytes(parameters * in.optimizer_bytes);
  const double each =
      NumberOr(n, "bytes-per-param", in.parameter_bytes + in.gradient_bytes + in.optimizer_bytes);
  memory->set_bytes_per_parameter(each);
  memory->set_state_bytes(each * parameters);
  memory->set_state_over_parameters(each / in.parameter_bytes);
  memory->set_activation_bytes(NumberOr(n, "checkpoint", 0) * NumberOr(n, "layers", 1) *
                               NumberOr(n, "batch-tokens", 0) * in.activation_bytes);
  memory->set_total_bytes(memory->state_bytes() + memory->activation_bytes());
  const double chips = NumberOr(n, "chips", 0);
  if (chips > 0) memory->set_bytes_per_chip(memory->total_bytes() / chips);
  const double replicated = memory->state_bytes() / NumberOr(n, "model-parallel", 1);
  memory->set_replicated_state_bytes_per_chip(replicated);
  if (in.hbm_bytes <= 0) return;
  memory->set_capacity_bytes(in.hbm_bytes);
  memory->set_fits_replicated(replicated <= in.hbm_bytes);
  if (chips > 0) {
    memory->set_capacity_bytes_all(chips * in.hbm_bytes);
    memory->set_fits(memory->bytes_per_chip() <= in.hbm_bytes);
    memory->set_max_parameters(chips * in.hbm_bytes / each);
  }
  memory->set_min_chips(memory->total_bytes() / in.hbm_bytes);
  memory->set_min_chips_state(memory->state_bytes() / in.hbm_bytes);
  memory->set_min_whole_chips_state(std::ceil(memory->min_chips_state()));
  if (in.node_chips > 0) {
    memory->set_min_nodes_state(std::ceil(memory->min_whole_chips_state() / in.node_chips));
  }
  memory->set_max_parameters_one_chip(in.hbm_bytes / each);
}

}  // namespace

v1::BudgetReport MakeBudgetReport(const BudgetInput& in) {
  v1::BudgetReport report;
  FillScale(in, &report);
  FillTime(in, &report);
  FillScale(in, &report);  // FLOPs may have come from chip-hours and utilisation
  FillLaws(in, &report);
  FillStep(in, &report);
  FillMemory(in, &report);
  return report;
}

}  // namespace meshstep
