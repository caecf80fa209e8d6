#include "strategies/passes/pass_builder.h"

#include <algorithm>
#include <utility>

#include "strategies/block/block_view.h"

namespace meshstep {

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
  if (!op.big_matmul || precision.IsWide(op.role)) return;
  if (from <= SizeOf(precision.compute).value()) return;
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
    const Bytes bytes = TransferBytes(s, context_, Load(key.array) * ElementBytes(key));
    const bool scatter = s.op == ReshardStep::Op::kReduceScatter;
    const bool copies = context_.plan->kernels.dtensor && IsOverLaterDim(s);
    const auto copy = [&] {
      step = Compute(name + " copy", context_.compute->Elementwise(2 * bytes), Flops(), {step},
                     false, 2 * bytes);
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
                          const std::vector<AxisId>& axes, Bytes bytes,
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
