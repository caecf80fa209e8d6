#include "strategies/pass_builder.h"

#include <algorithm>

namespace meshstep {

Collective CollectiveOf(ReshardStep::Op op) {
  switch (op) {
    case ReshardStep::Op::kAllGather:
      return Collective::kAllGather;
    case ReshardStep::Op::kReduceScatter:
      return Collective::kReduceScatter;
    case ReshardStep::Op::kAllReduce:
      return Collective::kAllReduce;
    case ReshardStep::Op::kAllToAll:
      return Collective::kAllToAll;
    case ReshardStep::Op::kPermute:
      return Collective::kPermute;
    case ReshardStep::Op::kSlice:
      break;
  }
  CHECK(false) << "a slice is not a collective ";
  return Collective::kPermute;
}

double TransferBytes(const ReshardStep& step, const BlockContext& context, double element_bytes) {
  const Sharding& whole = step.op == ReshardStep::Op::kAllGather ? step.after : step.before;
  return context.LocalElements(whole) * element_bytes;
}

const std::vector<std::string>& PassBuilder::DimsOf(ArrayId array) const {
  return block_.arrays[static_cast<std::size_t>(array)].dims;
}

Sharding PassBuilder::Stored(ArrayId array) const {
  const Rules& rules = context_.plan->rules;
  const std::vector<std::string>& dims = DimsOf(array);
  if (block_.arrays[static_cast<std::size_t>(array)].parameter) {
    return Apply(rules.parameters, dims);
  }
  const bool residual = std::find(dims.begin(), dims.end(), "D") != dims.end();
  return Apply(residual ? rules.residual : rules.compute, dims);
}

Sharding PassBuilder::Used(ArrayId array) const {
  return Apply(context_.plan->rules.compute, DimsOf(array));
}

double PassBuilder::ElementBytes(ArrayKey key) const {
  const Precision& precision = context_.plan->precision;
  if (key.narrow) return precision.OperandBytes();
  const double bytes = block_.arrays[static_cast<std::size_t>(key.array)].element_bytes;
  return bytes > 0 ? bytes : SizeOf(precision.activations).value();
}

double PassBuilder::LocalBytes(ArrayId array, const Sharding& sharding) const {
  return context_.LocalElements(sharding) * ElementBytes({array, false});
}

Dtype PassBuilder::TypeOf(const Op& op) const {
  const Precision& precision = context_.plan->precision;
  return op.big_matmul ? precision.compute : precision.activations;
}

bool PassBuilder::IsNarrow(const Op& op) const {
  return op.big_matmul && context_.plan->precision.quantised();
}

double PassBuilder::CastBytes(ArrayId array) const {
  const Precision& precision = context_.plan->precision;
  return context_.LocalElements(Stored(array)) * precision.OperandBytes() *
         precision.OperandVersions(context_.compute->narrow_matmuls_one_layout());
}

double PassBuilder::CastInNorm(const Op& op, bool* only_narrow) const {
  *only_narrow = false;
  if (op.part != Op::Part::kNorm || !context_.plan->precision.FusesCastIntoNorm()) return 0;
  bool narrow = false, wide = false;
  const ArrayId output = op.outputs[0];
  for (const Op& reader : block_.ops) {
    if (std::find(reader.inputs.begin(), reader.inputs.end(), output) == reader.inputs.end()) {
      continue;
    }
    (IsNarrow(reader) ? narrow : wide) = true;
  }
  *only_narrow = narrow && !wide;
  return narrow ? CastBytes(output) : 0;
}

int PassBuilder::WeightVersions() const {
  return context_.plan->precision.WeightVersions(context_.compute->narrow_matmuls_one_layout());
}

double PassBuilder::StoredBytes(ArrayId array) const { return LocalBytes(array, Stored(array)); }

void PassBuilder::Define(ArrayKey key, const Sharding& sharding, int step) {
  auto& versions = values_[key];
  const bool another_part = key.gradient && !versions.empty() && versions.front().first == sharding;
  if (another_part) {
    step = AddPart(key, versions.front().second, step);
    versions.clear();
  }
  versions.emplace_back(sharding, step);
}

// An array that several ops read has a gradient in as many parts. A kernel that makes a part adds
// the ones before it; a part that arrives by a collective takes a kernel of its own to add.
int PassBuilder::AddPart(ArrayKey key, int before, int part) {
  if (part == before || part < 0) return before;
  BlockStep& step = pass_.steps[static_cast<std::size_t>(part)];
  if (step.transfer < 0) {
    if (before == kInput) step.needs_input = true;
    // Compute steps follow each other on their stream anyway.
    if (before >= 0 && pass_.steps[static_cast<std::size_t>(before)].transfer >= 0) {
      step.after.push_back(before);
    }
    return part;
  }
  const Bytes bytes(3 * StoredBytes(key.array));
  return Compute("d" + block_.arrays[static_cast<std::size_t>(key.array)].name + " sum",
                 context_.compute->Elementwise(bytes), Flops(), {before, part}, false, bytes);
}

int PassBuilder::StepOf(ArrayKey key) const {
  const auto it = values_.find(key);
  CHECK(it != values_.end()) << "array " << key.array << " was not made ";
  return it->second.front().second;
}

StatusOr<int> PassBuilder::Bring(ArrayKey key, const Sharding& sharding) {
  const auto it = values_.find(key);
  CHECK(it != values_.end()) << block_.arrays[static_cast<std::size_t>(key.array)].name
                             << " is used before it is made ";
  for (const auto& [there, step] : it->second) {
    if (there == sharding) return step;
  }
  const auto [from, made] = it->second.front();
  ASSIGN_OR_RETURN(const int step, Emit(key, from, sharding, made));
  Define(key, sharding, step);
  return step;
}

StatusOr<int> PassBuilder::BringOperand(const Op& op, ArrayKey key, const Sharding& sharding) {
  key.narrow = IsNarrow(op);
  return Bring(key, sharding);
}

void PassBuilder::Cast(const Op& op, const std::string& name, const std::vector<ArrayKey>& keys) {
  if (!IsNarrow(op)) return;
  double bytes = 0;
  std::vector<int> after;
  std::vector<ArrayKey> missing;
  for (ArrayKey key : keys) {
    const int made = StepOf(key);
    key.narrow = true;
    if (IsDefined(key)) continue;
    missing.push_back(key);
    after.push_back(made);
    bytes += StoredBytes(key.array) + CastBytes(key.array);
  }
  if (missing.empty()) return;
  const int step = Compute(name, context_.compute->Elementwise(Bytes(bytes)), Flops(), after, false,
                           Bytes(bytes));
  for (const ArrayKey& key : missing) Define(key, Stored(key.array), step);
}

void PassBuilder::CastWeights(const Op& op) {
  const Precision& precision = context_.plan->precision;
  const double from = SizeOf(precision.Gathered(true)).value();
  if (!op.big_matmul || from <= SizeOf(precision.compute).value()) return;
  double bytes = 0;
  for (const ArrayId weight : op.weights) {
    if (Stored(weight) == Used(weight)) continue;
    bytes += context_.LocalElements(Used(weight)) * (from + precision.WeightBytes());
  }
  if (bytes == 0) return;
  Compute(op.name + " weight cast", context_.compute->Elementwise(Bytes(bytes)), Flops(), {}, true,
          Bytes(bytes));
}

Status PassBuilder::Finish(ArrayKey key, const Sharding& natural, int step) {
  const Sharding stored = Stored(key.array);
  ASSIGN_OR_RETURN(const int last, Emit(key, natural, stored, step));
  Define(key, stored, last);
  return absl::OkStatus();
}

StatusOr<int> PassBuilder::Emit(ArrayKey key, const Sharding& from, const Sharding& to, int step) {
  ASSIGN_OR_RETURN(const std::vector<ReshardStep> steps, Reshard(from, to));
  const Array& array = block_.arrays[static_cast<std::size_t>(key.array)];
  for (const ReshardStep& s : steps) {
    if (s.op == ReshardStep::Op::kSlice) continue;
    step = Transfer((key.gradient ? "d" : "") + array.name, CollectiveOf(s.op), s.axes,
                    TransferBytes(s, context_, ElementBytes(key)), {step});
  }
  return step;
}

int PassBuilder::Compute(const std::string& name, Time duration, Flops flops,
                         const std::vector<int>& after, bool needs_parameters, Bytes hbm_bytes) {
  BlockStep step{.name = name, .duration = duration, .flops = flops, .hbm_bytes = hbm_bytes};
  step.needs_parameters = needs_parameters;
  for (const int s : after) {
    if (s == kInput) step.needs_input = true;
    // Compute steps follow each other on their stream anyway.
    if (s >= 0 && pass_.steps[static_cast<std::size_t>(s)].transfer >= 0) step.after.push_back(s);
  }
  pass_.steps.push_back(std::move(step));
  return static_cast<int>(pass_.steps.size()) - 1;
}

int PassBuilder::Transfer(const std::string& name, Collective collective,
                          const std::vector<AxisId>& axes, double bytes,
                          const std::vector<int>& after) {
  BlockStep step{.name = name};
  step.transfer = context_.transfers->Intern({collective, axes, Role::kActivations, bytes});
  for (const int s : after) {
    if (s == kInput) step.needs_input = true;
    if (s >= 0) step.after.push_back(s);
  }
  pass_.steps.push_back(std::move(step));
  return static_cast<int>(pass_.steps.size()) - 1;
}

BlockPass PassBuilder::Take(int output) {
  pass_.output = output;
  return std::move(pass_);
}

}  // namespace meshstep
