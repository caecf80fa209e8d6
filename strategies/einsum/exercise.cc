#include "strategies/einsum/exercise.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "sim/cost/collective_model.h"
#include "strategies/einsum/answer.h"
#include "strategies/einsum/notation/parser.h"
#include "strategies/einsum/notation/spelling.h"

namespace meshstep::einsum {
namespace {

using Op = ReshardStep::Op;

std::optional<double> IfKnown(double value) {
  return std::isnan(value) ? std::nullopt : std::optional<double>(value);
}

bool IsCollective(const Step& step) { return !step.is_product && step.reshard.op != Op::kSlice; }

// Collectives named in a text, in any spelling.
std::set<Op> NamedOps(const std::string& words) {
  std::string plain;
  for (char c : Plain(words)) {
    if (c != ' ' && c != '_') plain += c;
  }
  std::set<Op> ops;
  auto has = [&](const char* word) { return plain.find(word) != std::string::npos; };
  if (has("gather")) ops.insert(Op::kAllGather);
  if (has("reducescatter")) ops.insert(Op::kReduceScatter);
  if (has("allreduce")) ops.insert(Op::kAllReduce);
  if (has("alltoall")) ops.insert(Op::kAllToAll);
  return ops;
}

// True if `words` has `name` as a word of its own.
bool Mentions(const std::string& words, const std::string& name) {
  auto is_letter = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; };
  for (std::size_t at = words.find(name); at != std::string::npos; at = words.find(name, at + 1)) {
    const bool begins = at == 0 || !is_letter(words[at - 1]);
    const std::size_t end = at + name.size();
    if (begins && (end == words.size() || !is_letter(words[end]))) return true;
  }
  return false;
}

// How many collectives of the derivation are on an array that the words mention.
std::size_t Mentioned(const Derivation& plan, const std::string& words) {
  return static_cast<std::size_t>(std::count_if(
      plan.steps.begin(), plan.steps.end(),
      [&](const Step& step) { return IsCollective(step) && Mentions(words, step.array); }));
}

}  // namespace

std::size_t ChooseDerivation(const Answer& answer, const std::string& words) {
  const auto book = static_cast<std::size_t>(&answer.BookDerivation() - answer.derivations.data());
  if (words.empty()) return book;
  const std::set<Op> named = NamedOps(words);
  std::optional<std::size_t> best;
  for (std::size_t i = 0; i < answer.derivations.size(); ++i) {
    std::set<Op> ops;
    for (const Step& step : answer.derivations[i].steps) {
      if (IsCollective(step)) ops.insert(step.reshard.op);
    }
    if (named.empty() || ops != named) continue;
    const bool more = best && Mentioned(answer.derivations[i], words) >
                                  Mentioned(answer.derivations[*best], words);
    if (!best || more) best = i;
  }
  if (best) return *best;
  if (words.find("alternative") == std::string::npos || answer.derivations.size() < 2) return book;
  return book == 0 ? 1 : 0;
}

StatusOr<ExerciseAnswer> ExerciseAnswer::Make(const Exercise& exercise) {
  ExerciseAnswer made;
  made.exercise_ = exercise;
  ASSIGN_OR_RETURN(made.expression_, ParseExpression(exercise.expression, exercise.mesh));
  for (const std::string& dim : MissingSizes(made.expression_)) {
    const auto size = exercise.sizes.find(dim);
    if (size != exercise.sizes.end()) made.expression_.sizes.insert(*size);
  }
  ASSIGN_OR_RETURN(made.answer_, Solve(made.expression_, exercise.options));
  made.chosen_ = ChooseDerivation(made.answer_, exercise.plan);
  return made;
}

std::vector<Step> ExerciseAnswer::Collectives(std::size_t plan) const {
  std::vector<Step> collectives;
  for (const Step& step : answer_.derivations[plan].steps) {
    if (IsCollective(step)) collectives.push_back(step);
  }
  return collectives;
}

double ExerciseAnswer::CommunicationSeconds(const Derivation& plan, CostModel model,
                                            bool one_ring) const {
  const Hardware hardware = exercise_.options.hardware.value_or(Hardware());
  const CollectiveFormula cost(hardware, expression_.mesh, model, exercise_.options.hop_latency,
                               exercise_.options.order);
  double seconds = 0;
  for (const Step& step : plan.steps) {
    if (!IsCollective(step)) continue;
    const bool exchange = step.reshard.op == Op::kAllToAll || step.reshard.op == Op::kPermute;
    const double rings = one_ring && !exchange ? static_cast<double>(step.axes.size()) : 1;
    seconds += rings * cost.Of(step.reshard.op, step.axes, step.volume).total();
  }
  return seconds;
}

const ArrayMemory* ExerciseAnswer::Find(const std::string& array) const {
  for (const ArrayMemory& memory : answer_.memory) {
    if (memory.name == array) return &memory;
  }
  return nullptr;
}

std::optional<double> ExerciseAnswer::BytesOf(const std::string& quantity) const {
  if (answer_.memory.empty()) return std::nullopt;
  // Bytes on one chip: "local_bytes", "local_A_bytes", "A_local_bytes", "A_bytes_per_chip".
  if (quantity == "local_bytes") return IfKnown(answer_.memory.back().bytes_per_chip);
  for (const ArrayMemory& memory : answer_.memory) {
    if (quantity == "local_" + memory.name + "_bytes" || quantity == memory.name + "_local_bytes" ||
        quantity == memory.name + "_bytes_per_chip") {
      return IfKnown(memory.bytes_per_chip);
    }
  }
  if (quantity.ends_with("_bytes")) {
    const ArrayMemory* memory = Find(quantity.substr(0, quantity.size() - 6));
    return memory == nullptr ? std::nullopt : IfKnown(memory->bytes_one_copy);
  }
  const ArrayMemory& last = answer_.memory.back();
  if (quantity == "bytes") return IfKnown(last.bytes_one_copy);
  if (quantity == "bytes_per_chip") return IfKnown(last.bytes_per_chip);
  if (quantity == "bytes_all_chips" || quantity == "bytes_total") {
    return IfKnown(last.bytes_all_chips);
  }
  return std::nullopt;
}

// Compute and communication are products of powers of the dimension, so one evaluation and the two
// exponents give where they meet.
std::optional<double> ExerciseAnswer::CriticalSize(const std::string& dim,
                                                   const Derivation& plan) const {
  const double size = SizeOf(dim, expression_.sizes);
  const double comms = CommunicationSeconds(plan, exercise_.options.model);
  std::optional<int> compute_power, comms_power;
  for (const Step& step : plan.steps) {
    if (!step.is_product && !IsCollective(step)) continue;
    const std::vector<std::string> dims = step.product.Dims();
    const int power = step.is_product ? static_cast<int>(std::count(dims.begin(), dims.end(), dim))
                                      : (step.reshard.before.Find(dim) >= 0 ? 1 : 0);
    std::optional<int>& known = step.is_product ? compute_power : comms_power;
    if (known && *known != power) return std::nullopt;
    known = power;
  }
  if (!compute_power || !comms_power || *compute_power == *comms_power) return std::nullopt;
  return IfKnown(size * std::pow(comms / plan.compute_s, 1.0 / (*compute_power - *comms_power)));
}

std::optional<double> ExerciseAnswer::NumberOf(const std::string& quantity,
                                               const Derivation& plan) const {
  const double chips = expression_.mesh.Chips();
  const CostModel model = exercise_.options.model;
  const double comms = CommunicationSeconds(plan, model, model == CostModel::kBook);
  const Hardware hardware = exercise_.options.hardware.value_or(Hardware());
  // Unknown if either is: std::max would pass over what is not a number.
  const double upper = plan.compute_s + comms;
  const double lower = std::isnan(upper) ? upper : std::max(comms, plan.compute_s);
  const std::map<std::string, double> values = {
      {"flops_theoretical", answer_.flops_theoretical},
      {"flops_total", answer_.flops_theoretical},
      {"flops", answer_.flops_theoretical},
      {"flops_per_chip", plan.flops_per_chip},
      {"flops_executed_all_chips", plan.flops_per_chip * chips},
      {"flops_executed", plan.flops_per_chip * chips},
      {"replication", plan.flops_per_chip * chips / answer_.flops_theoretical},
      {"t_math", plan.compute_s},
      {"t_comms", comms},
      {"t_comms_no_wrap", CommunicationSeconds(plan, CostModel::kNoWrap)},
      {"t_comms_if_ring", CommunicationSeconds(plan, CostModel::kBook)},
      {"t_comms_book_formula", CommunicationSeconds(plan, CostModel::kBook)},
      {"t_comms_book", CommunicationSeconds(plan, CostModel::kBook)},
      {"t_comms_exact_ring", CommunicationSeconds(plan, CostModel::kRing)},
      {"t_hbm", plan.hbm_s},
      {"t", lower},
      {"t_lower", lower},
      {"t_upper", upper},
  };
  const auto found = values.find(quantity);
  if (found != values.end()) return IfKnown(found->second);
  if (quantity == "alpha" && hardware.link.value() > 0) {
    return hardware.peak(exercise_.options.dtype).value() / (2 * hardware.link.value());
  }
  if (quantity.ends_with("_crit")) {
    return CriticalSize(quantity.substr(0, quantity.size() - 5), plan);
  }
  return BytesOf(quantity);
}

std::optional<double> ExerciseAnswer::Number(const std::string& quantity) const {
  if (quantity.starts_with("s1_")) return NumberOf(quantity.substr(3), answer_.BookDerivation());
  if (quantity.starts_with("s2_")) {
    for (const Derivation& plan : answer_.derivations) {
      if (!plan.book) return NumberOf(quantity.substr(3), plan);
    }
    return std::nullopt;
  }
  return NumberOf(quantity, plan());
}

std::optional<std::vector<double>> ExerciseAnswer::Shape(const std::string& quantity) const {
  if (!quantity.starts_with("local_") || answer_.memory.empty()) return std::nullopt;
  std::string name = quantity.substr(6);
  if (name == "shape") return answer_.memory.back().local_shape;
  if (name.starts_with("shape_")) name = name.substr(6);
  const ArrayMemory* memory = Find(name);
  if (memory == nullptr) return std::nullopt;
  return memory->local_shape;
}

std::string ExerciseAnswer::Bound() const {
  return plan().compute_s >= CommunicationSeconds(plan(), exercise_.options.model) ? "compute"
                                                                                   : "comms";
}

}  // namespace meshstep::einsum
