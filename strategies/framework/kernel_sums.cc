#include "strategies/framework/kernel_sums.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <optional>

#include "sim/base/dtype.h"
#include "strategies/block/block_context.h"
#include "strategies/block/block_view.h"

namespace meshstep {
namespace {

using Operand = KernelOperand::Array;
using Unit = KernelRow::Unit;

struct ArraySize {
  double elements = 0;
  double element_bytes = 0;  // of its own type
};
// nullopt: there is no such operand.
using SizeFunction = std::function<std::optional<ArraySize>(const KernelOperand&)>;

double BytesOf(const KernelOperand& operand, const ArraySize& size, const Precision& precision) {
  double type = size.element_bytes;
  switch (operand.type) {
    case KernelOperand::Type::kOwn:
      break;
    case KernelOperand::Type::kActivations:
      type = SizeOf(precision.activations).value();
      break;
    case KernelOperand::Type::kGradients:
      type = SizeOf(precision.gradients).value();
      break;
    case KernelOperand::Type::kReduce:
      type = SizeOf(precision.reduce).value();
      break;
    case KernelOperand::Type::kFp32:
      type = kFp32Bytes;
      break;
    case KernelOperand::Type::kBf16:
      type = SizeOf(Dtype::kBf16).value();
      break;
    case KernelOperand::Type::kByte:
      type = 1;
      break;
  }
  return operand.factor * size.elements * type;
}

// nullopt: an operand is missing.
std::optional<double> BytesOf(const std::vector<KernelOperand>& operands, const SizeFunction& size,
                              const Precision& precision) {
  double bytes = 0;
  for (const KernelOperand& operand : operands) {
    const std::optional<ArraySize> one = size(operand);
    if (!one) return std::nullopt;
    bytes += BytesOf(operand, *one, precision);
  }
  return bytes;
}

bool OfOneType(const std::vector<KernelOperand>& operands, const SizeFunction& size,
               const Precision& precision) {
  const auto type = [&](const KernelOperand& operand) {
    return BytesOf({.type = operand.type}, {1, size(operand)->element_bytes}, precision);
  };
  return type(operands.front()) == type(operands.back());
}

// nullopt: it does not run.
std::optional<KernelSum> SumOf(const RowKernel& kernel, const SizeFunction& size, double experts,
                               const Precision& precision) {
  const std::optional<double> bytes = BytesOf(kernel.operands, size, precision);
  if (!bytes || (kernel.cast && OfOneType(kernel.operands, size, precision))) return std::nullopt;
  KernelSum sum{.bytes = kernel.times * *bytes,
                .kernels = kernel.times * (kernel.each_expert ? experts : 1)};
  sum.fixed = sum.kernels * kernel.fixed;
  if (!kernel.strided) return sum;
  sum.strided_bytes = sum.bytes;
  for (const KernelOperand& operand : kernel.operands) {
    sum.strided_elements =
        std::max(sum.strided_elements, kernel.times * operand.factor * size(operand)->elements);
  }
  return sum;
}

void Add(const KernelSum& more, double times, KernelSum* sum) {
  sum->bytes += times * more.bytes;
  sum->strided_bytes += times * more.strided_bytes;
  sum->strided_elements += times * more.strided_elements;
  sum->fixed += times * more.fixed;
  sum->kernels += times * more.kernels;
  sum->host_ops += times * more.host_ops;
}

std::optional<ArraySize> Stored(const std::vector<ArrayId>& list, std::size_t index,
                                const BlockView& pass) {
  if (index >= list.size()) return std::nullopt;
  const double type = pass.ElementBytes({list[index], false});
  return ArraySize{pass.StoredBytes(list[index]) / type, type};
}

std::optional<ArraySize> Used(const std::vector<ArrayId>& list, const BlockView& pass) {
  if (list.empty()) return std::nullopt;
  const ArrayId array = list[0];
  return ArraySize{pass.context().LocalElements(pass.Used(array)) * pass.Load(array),
                   pass.ElementBytes({array, false})};
}

// unit: which result or parameter `y` or `w` is.
std::optional<ArraySize> SizeFor(const KernelOperand& operand, const Op& op, std::size_t unit,
                                 Unit per, const BlockView& pass) {
  switch (operand.array) {
    case Operand::kInput:
      return Stored(op.inputs, operand.index, pass);
    case Operand::kInputUsed:
      return Used(op.inputs, pass);
    case Operand::kResult:
      return Stored(op.outputs, per == Unit::kOutput ? unit : operand.index, pass);
    case Operand::kResultUsed:
      return Used(op.outputs, pass);
    case Operand::kResults: {
      ArraySize all;
      for (std::size_t i = 0; i < op.outputs.size(); ++i) {
        const ArraySize one = *Stored(op.outputs, i, pass);
        all = {all.elements + one.elements, one.element_bytes};
      }
      return all;
    }
    case Operand::kWeight: {
      if (unit >= op.weights.size()) return std::nullopt;
      const double type = SizeOf(pass.context().plan->precision.activations).value();
      return ArraySize{pass.context().LocalElements(pass.Used(op.weights[unit])), type};
    }
    case Operand::kRows:
      return ArraySize{};
    case Operand::kBias:
      return op.biases.empty() ? std::nullopt : std::optional(ArraySize{});
  }
  return std::nullopt;
}

double UnitsOf(Unit per, const Op& op, const BlockView& pass) {
  switch (per) {
    case Unit::kOp:
      return 1;
    case Unit::kOutput:
      return static_cast<double>(op.outputs.size());
    case Unit::kWeight:
      return static_cast<double>(op.weights.size());
    case Unit::kOtherWeight:
      return std::max(0.0, static_cast<double>(op.weights.size()) - 1);
    case Unit::kBias:
      return static_cast<double>(op.biases.size());
    case Unit::kBiased:
      return op.biases.empty() ? 0 : 1;
    case Unit::kExpert:
      return LocalExperts(pass);
    case Unit::kOtherCast:
      return pass.context().plan->precision.quantised() ? pass.CastsOf(op) - 1 : 0;
    case Unit::kParameter:
      break;
  }
  return 0;
}

// By role and direction.
std::vector<const KernelRow*> RowsOf(const Plan& plan, OpRole role, bool backward) {
  std::vector<const KernelRow*> rows;
  for (const KernelRow& row : *plan.kernel_table) {
    if (!(backward ? row.backward : row.forward)) continue;
    if (std::find(row.roles.begin(), row.roles.end(), role) != row.roles.end()) {
      rows.push_back(&row);
    }
  }
  return rows;
}

// Megatron-LM's fused softmax (megatron/model/fused_softmax.py is_kernel_available).
bool SoftmaxIsFused(const Op& op, const BlockView& pass) {
  const BlockContext& context = pass.context();
  Sharding heads = pass.Used(op.inputs[0]);
  std::erase_if(heads.dims, [](const ShardedDim& d) { return d.name != "B" && d.name != "N"; });
  return std::fmod(context.LocalElements(heads), 4) == 0 && context.DimSize("T") <= 2048;
}

bool HoldIn(const LayerConditions& asked, const Op& op, const BlockView& pass) {
  const Model& model = *pass.context().model;
  const auto is = [](std::optional<bool> wanted, const auto& fact) {
    return !wanted || *wanted == fact();
  };
  return is(asked.grouped_queries, [&] { return !model.mla && model.kv_heads < model.heads; }) &&
         is(asked.plain_heads, [&] { return !model.rotary && !model.qk_norm && !model.mla; }) &&
         is(asked.mlp_bias, [&] { return model.mlp_bias; }) &&
         is(asked.several_experts, [&] { return LocalExperts(pass) > 1; }) &&
         is(asked.fused_softmax, [&] { return SoftmaxIsFused(op, pass); });
}

bool Waits(const KernelRow* row) { return row->host_waits; }

}  // namespace

std::vector<const KernelRow*> RowsOf(const Op& op, bool backward, const BlockView& pass) {
  std::vector<const KernelRow*> rows = RowsOf(*pass.context().plan, op.role, backward);
  std::erase_if(rows, [&](const KernelRow* row) { return !HoldIn(row->layer, op, pass); });
  return rows;
}

double LocalExperts(const BlockView& pass) {
  return pass.context().LocalElements(Apply(pass.context().plan->rules.experts, {"E"}));
}

std::vector<KernelSum> KernelsOf(const KernelRow& row, const Op& op, const BlockView& pass) {
  const Precision& precision = pass.context().plan->precision;
  const double experts = op.kind == Op::Kind::kExperts ? LocalExperts(pass) : 1;
  const double units = UnitsOf(row.per, op, pass);
  const bool alike = row.per != Unit::kOutput && row.per != Unit::kWeight;
  std::vector<KernelSum> kernels;
  for (const RowKernel& kernel : row.kernels) {
    KernelSum sum{.for_weights = kernel.writes_weights, .makes_results = kernel.writes_results};
    for (std::size_t unit = 0; unit < (alike ? 1 : static_cast<std::size_t>(units)); ++unit) {
      const auto size = [&](const KernelOperand& operand) {
        return SizeFor(operand, op, unit, row.per, pass);
      };
      const std::optional<KernelSum> one = SumOf(kernel, size, experts, precision);
      if (one) Add(*one, alike ? units : 1, &sum);
    }
    if (sum.kernels == 0) continue;
    if (!row.host_ops) sum.host_ops = sum.kernels;
    kernels.push_back(sum);
  }
  if (row.host_ops && !kernels.empty()) kernels.front().host_ops = *row.host_ops * units;
  return kernels;
}

KernelSum SumOf(const KernelRow& row, const Op& op, const BlockView& pass) {
  KernelSum sum;
  for (const KernelSum& kernel : KernelsOf(row, op, pass)) Add(kernel, 1, &sum);
  if (row.kernels.empty()) sum.host_ops = row.host_ops.value_or(0) * UnitsOf(row.per, op, pass);
  return sum;
}

KernelSum KernelsInstead(const Op& op, bool backward, const BlockView& pass) {
  KernelSum sum;
  for (const KernelRow* row : RowsOf(op, backward, pass)) {
    if (row->place == KernelRow::Place::kInstead) Add(SumOf(*row, op, pass), 1, &sum);
  }
  return sum;
}

double ExtraHostOps(const Op& op, bool backward, const BlockView& pass) {
  double ops = 0;
  for (const KernelRow* row : RowsOf(op, backward, pass)) {
    if (row->kernels.empty()) ops += SumOf(*row, op, pass).host_ops;
  }
  return std::max(0.0, ops);
}

double HeldBytes(const Op& op, const BlockView& pass) {
  double bytes = 0;
  for (const KernelRow* row : RowsOf(op, false, pass)) {
    const auto size = [&](const KernelOperand& operand) {
      return SizeFor(operand, op, 0, Unit::kOp, pass);
    };
    bytes += BytesOf(row->holds, size, pass.context().plan->precision).value_or(0);
  }
  return bytes;
}

bool HostWaitsBefore(const Op& op, const BlockView& pass) {
  const std::vector<const KernelRow*> rows = RowsOf(op, false, pass);
  return std::any_of(rows.begin(), rows.end(), Waits);
}

bool HostWaitsBefore(const Plan& plan, OpRole role) {
  const std::vector<const KernelRow*> rows = RowsOf(plan, role, false);
  return std::any_of(rows.begin(), rows.end(), Waits);
}

KernelSum SumOf(const Plan& plan, OpRole role, double elements, double element_bytes) {
  const SizeFunction size = [&](const KernelOperand& operand) {
    if (operand.array == Operand::kRows) return std::optional(ArraySize{});
    return operand.array == Operand::kInput && operand.index == 0
               ? std::optional(ArraySize{elements, element_bytes})
               : std::nullopt;
  };
  KernelSum sum;
  for (const KernelRow* row : RowsOf(plan, role, false)) {
    for (const RowKernel& kernel : row->kernels) {
      Add(SumOf(kernel, size, 1, plan.precision).value_or(KernelSum()), 1, &sum);
    }
  }
  return sum;
}

double HostOpsOf(const Plan& plan, OpRole role, double parameters) {
  double ops = 0;
  for (const KernelRow* row : RowsOf(plan, role, false)) {
    ops += row->host_ops.value_or(0) * (row->per == Unit::kParameter ? parameters : 1);
  }
  return ops;
}

Time TimeOf(const KernelSum& sum, const ComputeModel& compute) {
  if (sum.kernels == 0) return Time();
  if (sum.strided_bytes == 0 && sum.fixed == Seconds(0)) {
    return compute.Elementwise(Bytes(sum.bytes)) +
           compute.Elementwise(Bytes(0)) * static_cast<std::int64_t>(sum.kernels - 1);
  }
  return compute.Streamed(
             {Bytes(sum.bytes), Bytes(sum.strided_bytes), sum.strided_elements, sum.fixed}) +
         compute.Elementwise(Bytes(0)) * static_cast<std::int64_t>(sum.kernels);
}

}  // namespace meshstep
