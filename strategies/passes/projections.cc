#include "strategies/passes/projections.h"

#include "strategies/block/block_context.h"
#include "strategies/passes/pass_builder.h"

namespace meshstep {

bool RunsSeparately(const Op& op, const Plan& plan) {
  return op.kind == Op::Kind::kMatmul && op.weights.size() > 1 && plan.kernels.separate_projections;
}

std::vector<MatmulShape> ProductsOf(const Op& op, const MatmulShape& joined,
                                    const std::vector<double>& widths, const Plan& plan) {
  if (!RunsSeparately(op, plan)) return {joined};
  std::vector<MatmulShape> products;
  for (const double width : widths) {
    products.push_back(joined);
    products.back().n = width;
  }
  return products;
}

std::vector<MatmulShape> InputGradients(const std::vector<MatmulShape>& products) {
  std::vector<MatmulShape> dx;
  dx.reserve(products.size());
  for (const MatmulShape& one : products) {
    dx.push_back({.batch = one.batch,
                  .m = one.m,
                  .n = one.k,
                  .k = one.n,
                  .grouped = one.grouped,
                  .precise = true});
  }
  return dx;
}

std::vector<MatmulShape> WeightGradients(const std::vector<MatmulShape>& products) {
  std::vector<MatmulShape> dw;
  dw.reserve(products.size());
  for (const MatmulShape& one : products) {
    dw.push_back({.batch = one.batch,
                  .m = one.k,
                  .n = one.n,
                  .k = one.m,
                  .grouped = one.grouped,
                  .sums_rows = one.grouped,
                  .precise = true});
  }
  return dw;
}

int AddProduct(const Op& op, const Sharding& gradient, bool leaves, int part, PassBuilder* pass) {
  const BlockContext& context = pass->context();
  const Bytes array(pass->LocalBytes(op.inputs[0], gradient));
  const bool kernel = leaves || context.plan->kernels.separate_sums;
  const Bytes bytes = kernel ? 3 * array : array;
  Time time = context.compute->Elementwise(bytes);
  if (!kernel) time = time - context.compute->Elementwise(Bytes(0));
  return pass->Compute(op.name + " dx sum", time, Flops(), {part}, false, bytes);
}

Op WithProducts(const Op& op, const std::set<ArrayId>& made) {
  if (op.kind != Op::Kind::kMatmul || op.outputs.size() != op.weights.size()) return op;
  Op rest = op;
  rest.weights.clear();
  rest.outputs.clear();
  rest.biases.clear();
  for (std::size_t i = 0; i < op.outputs.size(); ++i) {
    if (!made.contains(op.outputs[i])) continue;
    rest.weights.push_back(op.weights[i]);
    rest.outputs.push_back(op.outputs[i]);
    if (op.biases.size() == op.outputs.size()) rest.biases.push_back(op.biases[i]);
  }
  return rest;
}

}  // namespace meshstep
