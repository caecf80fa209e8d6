#include "strategies/passes/optimizer_state.h"

#include <algorithm>
#include <string>
#include <vector>

#include "strategies/block/block_context.h"

namespace meshstep {
namespace {

using Matrices = OptimizerKind::Matrices;

const Op* ProductOf(const Block& block, ArrayId weight) {
  for (const Op& op : block.ops) {
    const bool product = op.kind == Op::Kind::kMatmul || op.kind == Op::Kind::kExperts;
    if (product && std::find(op.weights.begin(), op.weights.end(), weight) != op.weights.end()) {
      return &op;
    }
  }
  return nullptr;
}

// The dimensions of a weight that its product contracts are one side of the matrix, the others the
// other; experts are matrices of their own.
MatrixUpdate MatrixOf(const BlockView& pass, ArrayId weight, const Op& op,
                      const Sharding& updated) {
  const BlockContext& context = pass.context();
  const std::vector<std::string>& contracted = pass.DimsOf(op.inputs[0]);
  MatrixUpdate matrix;
  matrix.experts = pass.IsRouted(weight);
  for (const ShardedDim& dim : updated.dims) {
    const double size = context.DimSize(dim.name);
    if (dim.name == "E" && op.kind == Op::Kind::kExperts) {
      matrix.count = context.LocalElements({{dim}, {}});
      continue;
    }
    const bool in = std::find(contracted.begin(), contracted.end(), dim.name) != contracted.end();
    (in ? matrix.in : matrix.out) *= size;
    std::vector<AxisId>& axes = in ? matrix.in_axes : matrix.out_axes;
    axes.insert(axes.end(), dim.axes.begin(), dim.axes.end());
  }
  return matrix;
}

// Rows and columns of the part of a matrix, or of those of experts, that a device updates. Of what no
// product reads the first dimension is one side.
double Sides(const BlockView& pass, const Op* op, const Sharding& updated) {
  const BlockContext& context = pass.context();
  double count = 1, in = 1, out = 1;
  for (std::size_t d = 0; d < updated.dims.size(); ++d) {
    const ShardedDim& dim = updated.dims[d];
    const double size = context.LocalElements({{dim}, {}});
    bool is_in = d == 0;
    if (op != nullptr) {
      const std::vector<std::string>& contracted = pass.DimsOf(op->inputs[0]);
      is_in = std::find(contracted.begin(), contracted.end(), dim.name) != contracted.end();
    }
    const bool expert = op != nullptr && op->kind == Op::Kind::kExperts && dim.name == "E";
    (expert ? count : is_in ? in : out) *= size;
  }
  return count * (in + out);
}

}  // namespace

void CountOptimizer(const BlockView& pass, ArrayId parameter, LoweredBlock* lowered) {
  const BlockContext& context = pass.context();
  const Precision& precision = context.plan->precision;
  const Sharding updated = pass.Updated(parameter);
  const double elements = context.LocalElements(updated);
  const Matrices kind = precision.optimizer_kind().matrices;
  const Op* const product = ProductOf(pass.block(), parameter);
  const bool layer = pass.block().input >= 0 && pass.block().output >= 0;
  const bool matrix = kind == Matrices::kAll      ? updated.dims.size() >= 2
                      : kind == Matrices::kHidden ? layer && product != nullptr
                                                  : false;
  lowered->optimizer_bytes += elements * precision.StateBytes(matrix);
  if (!matrix) return;
  lowered->matrix_elements += elements;
  if (kind == Matrices::kAll) {
    lowered->optimizer_bytes += kFp32Bytes * Sides(pass, product, updated);
  } else {
    lowered->matrices.push_back(MatrixOf(pass, parameter, *product, updated));
  }
}

}  // namespace meshstep
