#include "strategies/pass_builder.h"

#include <algorithm>
#include <utility>

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

namespace {

// A gather or a scatter of another dimension than the first.
bool IsOverLaterDim(const ReshardStep& step) {
  const bool gather = step.op == ReshardStep::Op::kAllGather;
  if (!gather && step.op != ReshardStep::Op::kReduceScatter) return false;
  const Sharding& parts = gather ? step.before : step.after;
  for (std::size_t d = 1; d < parts.dims.size(); ++d) {
    for (const AxisId axis : parts.dims[d].axes) {
      if (std::find(step.axes.begin(), step.axes.end(), axis) != step.axes.end()) return true;
    }
  }
  return false;
}

}  // namespace

const std::vector<std::string>& PassBuilder::DimsOf(ArrayId array) const {
  return block_.arrays[static_cast<std::size_t>(array)].dims;
}

Sharding PassBuilder::Stored(ArrayId array) const {
  const Rules& rules = context_.plan->rules;
  const std::vector<std::string>& dims = DimsOf(array);
  const Array& a = block_.arrays[static_cast<std::size_t>(array)];
  if (a.parameter) return Apply(IsRouted(array) ? rules.expert_parameters : rules.parameters, dims);
  switch (a.place) {
    case Place::kInner:
      break;
    case Place::kResidual:
      return Apply(rules.residual, dims);
    case Place::kRouted:
      // Between ops the ranks of one expert share its tokens; within, they share its width.
      return std::find(dims.begin(), dims.end(), "D") == dims.end()
                 ? Used(array)
                 : Spread(*context_.plan, Used(array), "B");
  }
  return Apply(rules.compute, dims);
}

Sharding PassBuilder::Used(ArrayId array) const {
  const Rules& rules = context_.plan->rules;
  return Apply(IsRouted(array) ? rules.experts : rules.compute, DimsOf(array));
}

Sharding PassBuilder::Updated(ArrayId parameter) const {
  const Rules& rules = context_.plan->rules;
  return Apply(IsRouted(parameter) ? rules.expert_optimizer : rules.optimizer, DimsOf(parameter));
}

Sharding PassBuilder::Operand(const Op& op) const {
  const auto is_stream = [&](ArrayId array) {
    return block_.arrays[static_cast<std::size_t>(array)].place == Place::kResidual;
  };
  const ArrayId input = op.inputs[0];
  if (op.kind != Op::Kind::kMatmul || !is_stream(input) ||
      !std::all_of(op.outputs.begin(), op.outputs.end(), is_stream)) {
    return Used(input);
  }
  Sharding sharding = Stored(input);
  for (ShardedDim& dim : sharding.dims) {
    if (dim.name != "B" && dim.name != "T") dim.axes.clear();
  }
  return sharding;
}

Sharding PassBuilder::ElementwiseOperand(const Op& op, ArrayId input) const {
  const auto place = [&](ArrayId a) { return block_.arrays[static_cast<std::size_t>(a)].place; };
  const bool leaves = place(input) == Place::kResidual && place(op.outputs[0]) == Place::kInner;
  return leaves ? Used(input) : Stored(input);
}

Sharding PassBuilder::SummedOver(const Op& op, Sharding input) const {
  for (const ShardedDim& dim : Stored(op.outputs[0]).dims) {
    for (const AxisId axis : dim.axes) {
      if (input.Find(dim.name) < 0 && !input.Uses(axis)) input.unreduced.push_back(axis);
    }
  }
  return input;
}

Sharding PassBuilder::Factor(const Op& op, ArrayId weight) const {
  Sharding sharding = Used(weight);
  if (op.kind == Op::Kind::kExperts) {
    std::erase_if(sharding.dims, [](const ShardedDim& dim) { return dim.name == "E"; });
  }
  return sharding;
}

bool PassBuilder::IsRouted(ArrayId array) const {
  return block_.arrays[static_cast<std::size_t>(array)].place == Place::kRouted;
}

double PassBuilder::Load(ArrayId array) const {
  const Plan& plan = *context_.plan;
  if (!IsRouted(array) || block_.arrays[static_cast<std::size_t>(array)].parameter) return 1;
  return plan.capacity_factor > 0 ? plan.capacity_factor : plan.expert_imbalance;
}

double PassBuilder::ElementBytes(ArrayKey key) const {
  const Precision& precision = context_.plan->precision;
  if (key.narrow) return precision.OperandBytes();
  const double bytes = block_.arrays[static_cast<std::size_t>(key.array)].element_bytes;
  return bytes > 0 ? bytes : SizeOf(precision.activations).value();
}

double PassBuilder::LocalBytes(ArrayId array, const Sharding& sharding) const {
  return context_.LocalElements(sharding) * Load(array) * ElementBytes({array, false});
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
  const int versions =
      TransposesGathered(array, Used(array))
          ? 1
          : precision.OperandVersions(context_.compute->narrow_matmuls_one_layout());
  return context_.LocalElements(Stored(array)) * Load(array) * precision.OperandBytes() * versions;
}

bool PassBuilder::TransposesGathered(ArrayId array, const Sharding& sharding) const {
  return context_.plan->precision.one_scale() && context_.compute->narrow_matmuls_one_layout() &&
         context_.LocalElements(sharding) > context_.LocalElements(Stored(array));
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
// the ones before it, unless the framework adds in kernels of their own (autograd's InputBuffer:
// two operands read, one result written); a part that arrives by a collective always takes one.
int PassBuilder::AddPart(ArrayKey key, int before, int part) {
  if (part == before || part < 0) return before;
  BlockStep& step = pass_.steps[static_cast<std::size_t>(part)];
  if (step.transfer < 0 && !context_.plan->kernels.separate_sums) {
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

bool PassBuilder::Holds(ArrayKey key, const Sharding& sharding) const {
  const auto it = values_.find(key);
  return it != values_.end() &&
         std::any_of(it->second.begin(), it->second.end(),
                     [&](const auto& version) { return version.first == sharding; });
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
    const Precision& precision = context_.plan->precision;
    const double products = precision.CastsPerProduct() && key.gradient ? 2 : 1;
    bytes += products * (precision.CastKernels() * StoredBytes(key.array) + CastBytes(key.array));
    if (key.gradient) {
      bytes += products * precision.NoiseBytes() * context_.LocalElements(Stored(key.array)) *
               Load(key.array);
    }
  }
  if (missing.empty()) return;
  const auto more = static_cast<std::int64_t>(CastsOf(op) - context_.plan->precision.CastKernels());
  const Time time = CastTime(bytes) + context_.compute->Elementwise(Bytes(0)) * more;
  const int step = Compute(name, time, Flops(), after, false, Bytes(bytes));
  for (const ArrayKey& key : missing) Define(key, Stored(key.array), step);
}

void PassBuilder::CastWeights(const Op& op) {
  const Precision& precision = context_.plan->precision;
  const double from = SizeOf(precision.Gathered(true)).value();
  if (!op.big_matmul || from <= SizeOf(precision.compute).value()) return;
  double bytes = 0;
  for (const ArrayId weight : op.weights) {
    if (Stored(weight) == Used(weight)) continue;
    bytes += context_.LocalElements(Used(weight)) *
             (precision.CastKernels() * from + precision.WeightBytes());
  }
  if (bytes == 0) return;
  Compute(op.name + " weight cast", CastTime(bytes), Flops(), {}, true, Bytes(bytes));
}

void PassBuilder::TransposeWeights(const Op& op) {
  const Precision& precision = context_.plan->precision;
  const bool narrow = SizeOf(precision.Gathered(true)) <= SizeOf(precision.compute);
  if (!IsNarrow(op) || !narrow || !precision.one_scale() ||
      !context_.compute->narrow_matmuls_one_layout()) {
    return;
  }
  double bytes = 0;
  for (const ArrayId weight : op.weights) {
    if (Stored(weight) == Used(weight)) continue;
    bytes += 2 * context_.LocalElements(Used(weight)) * precision.WeightBytes();
  }
  if (bytes == 0) return;
  Compute(op.name + " weight transpose", context_.compute->Elementwise(Bytes(bytes)), Flops(), {},
          true, Bytes(bytes));
}

double PassBuilder::CastsOf(const Op& op) const {
  const Plan& plan = *context_.plan;
  const bool each = op.kind == Op::Kind::kExperts && plan.kernels.each_expert &&
                    plan.precision.scaling != Scaling::kTensor;
  const double parts = each ? context_.LocalElements(Apply(plan.rules.experts, {"E"})) : 1;
  return plan.precision.CastKernels() * parts;
}

Time PassBuilder::CastTime(double bytes) const {
  const int kernels = context_.plan->precision.CastKernels();
  Time time;
  for (int i = 0; i < kernels; ++i) time += context_.compute->Elementwise(Bytes(bytes / kernels));
  return time;
}

void PassBuilder::TransposeGathered(const Op& op,
                                    const std::vector<std::pair<ArrayKey, Sharding>>& operands,
                                    const std::vector<int>& after) {
  if (!IsNarrow(op)) return;
  double bytes = 0;
  for (const auto& [key, sharding] : operands) {
    if (!TransposesGathered(key.array, sharding)) continue;
    bytes += 2 * context_.LocalElements(sharding) * Load(key.array) *
             context_.plan->precision.OperandBytes();
  }
  if (bytes == 0) return;
  MarkForWeights(Compute(op.name + " transpose", context_.compute->Elementwise(Bytes(bytes)),
                         Flops(), after, false, Bytes(bytes)));
}

Status PassBuilder::Finish(ArrayKey key, const Sharding& natural, int step) {
  const Sharding stored = Stored(key.array);
  ASSIGN_OR_RETURN(const int last, Emit(key, natural, stored, step));
  Define(key, stored, last);
  return absl::OkStatus();
}

// torch/distributed/_functional_collectives.py: all_gather_tensor splits what it got by ranks and
// joins it along another dimension than the first, reduce_scatter_tensor does so before.
StatusOr<int> PassBuilder::Emit(ArrayKey key, const Sharding& from, const Sharding& to, int step) {
  ASSIGN_OR_RETURN(const std::vector<ReshardStep> steps, Reshard(from, to));
  const Array& array = block_.arrays[static_cast<std::size_t>(key.array)];
  const std::string name = (key.gradient ? "d" : "") + array.name;
  for (const ReshardStep& s : steps) {
    if (s.op == ReshardStep::Op::kSlice) continue;
    const double bytes = TransferBytes(s, context_, Load(key.array) * ElementBytes(key));
    const bool scatter = s.op == ReshardStep::Op::kReduceScatter;
    const bool copies = context_.plan->kernels.dtensor && IsOverLaterDim(s);
    const auto copy = [&] {
      step = Compute(name + " copy", context_.compute->Elementwise(Bytes(2 * bytes)), Flops(),
                     {step}, false, Bytes(2 * bytes));
    };
    if (copies && scatter) copy();
    step = Transfer(name, CollectiveOf(s.op), s.axes, bytes, {step}, IsRouted(key.array));
    if (copies && !scatter) copy();
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
                          const std::vector<int>& after, bool experts, const Copies& copies) {
  BlockStep step{.name = name};
  step.transfer =
      context_.transfers->Intern({collective, axes, Role::kActivations, bytes, experts, copies});
  for (const int s : after) {
    if (s == kInput) step.needs_input = true;
    if (s >= 0) step.after.push_back(s);
  }
  pass_.steps.push_back(std::move(step));
  return static_cast<int>(pass_.steps.size()) - 1;
}

int PassBuilder::LastKernel() const {
  for (std::size_t i = pass_.steps.size(); i-- > 0;) {
    if (pass_.steps[i].transfer < 0) return static_cast<int>(i);
  }
  return kReady;
}

void PassBuilder::CountLaunches(int first, double extra) {
  host_ops_ += extra;
  if (first == steps()) return;
  pass_.steps[static_cast<std::size_t>(first)].host_ops += std::exchange(host_ops_, 0);
}

void PassBuilder::LaunchAtOnce(int first, bool begins) {
  for (int i = first; i < steps(); ++i) {
    pass_.steps[static_cast<std::size_t>(i)].host_ops = 0;
  }
  CountLaunches(first, begins ? 1 : 0);
}

void PassBuilder::HostReadsBefore(int step, int kernel) {
  for (int i = kernel - 1; i >= 0; --i) {
    if (pass_.steps[static_cast<std::size_t>(i)].transfer >= 0) continue;
    pass_.steps[static_cast<std::size_t>(step)].host_after = i;
    return;
  }
}

BlockPass PassBuilder::Take(int output) {
  if (!pass_.steps.empty()) pass_.steps.back().host_ops += std::exchange(host_ops_, 0);
  pass_.output = output;
  return std::move(pass_);
}

}  // namespace meshstep
