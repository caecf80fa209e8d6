// The kernel table of a plan: what its framework runs beside products, attention and collectives.
//
// The problem. An ideal compiler leaves one kernel for an elementwise op and none around the rest.
// Frameworks run others: casts, copies, sums in kernels of their own, operations of a host that may
// be late.
//
// A row says for some roles (strategies/model/op_role.h) and one direction which kernels run before
// the op, after it or instead of its fused kernel, what they read and write, and how many operations
// the host issues for them. A plan holds the rows whose conditions hold
// (proto/meshstep/v1/framework.proto, OpRow); what an op costs is the sum over its rows
// (strategies/framework/kernel_sums.h).

#ifndef MESHSTEP_STRATEGIES_PLAN_KERNEL_TABLE_H_
#define MESHSTEP_STRATEGIES_PLAN_KERNEL_TABLE_H_

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "sim/base/units.h"
#include "strategies/model/op_role.h"

namespace meshstep {

// An array that a kernel reads or writes, `factor` times.
struct KernelOperand {
  enum class Array { kInput, kInputUsed, kResult, kResultUsed, kResults, kWeight, kRows, kBias };
  enum class Type { kOwn, kActivations, kGradients, kReduce, kFp32, kBf16, kByte };
  Array array = Array::kInput;
  std::size_t index = 0;  // of kInput, kResult
  Type type = Type::kOwn;
  double factor = 1;
};

struct RowKernel {
  std::vector<KernelOperand> operands;
  bool writes_weights = false;  // nothing but gradients of parameters
  bool writes_results = false;
  double times = 1;
  bool each_expert = false;
  bool cast = false;     // does not run where its operands are of one type
  bool strided = false;  // computes where each element lies
  Seconds fixed = {};    // that it takes beside
};

// What a row asks of the layer that its op is in; unset: nothing.
struct LayerConditions {
  std::optional<bool> grouped_queries, plain_heads, mlp_bias, several_experts;
  std::optional<bool> fused_softmax;
};

struct KernelRow {
  enum class Place { kAfter, kBefore, kInstead };
  enum class Unit {
    kOp,
    kOutput,
    kWeight,
    kOtherWeight,
    kBias,
    kBiased,
    kExpert,
    kOtherCast,
    kParameter
  };
  std::vector<OpRole> roles;
  bool forward = true, backward = true;
  Place place = Place::kAfter;
  std::vector<RowKernel> kernels;
  std::optional<double> host_ops;  // unset: one for each kernel
  Unit per = Unit::kOp;
  bool host_waits = false;
  std::vector<KernelOperand> holds;
  LayerConditions layer;
  std::string label;
  std::string name;  // of the kernels, for people; empty: the label
};

using KernelTable = std::vector<KernelRow>;

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_PLAN_KERNEL_TABLE_H_
