#include "strategies/einsum/answer.h"

#include <algorithm>
#include <cmath>

#include "sim/base/check.h"

namespace meshstep::einsum {

using Op = ReshardStep::Op;

std::string NameOf(const Step& step, const MeshShape& mesh) {
  if (step.is_product) {
    return "Einsum(" + step.product.left.name + "," + step.product.right.name + ")";
  }
  // An array of one unnamed dimension prints its axes as a subscript: "[_XY]".
  const std::string axes = ToString(Sharding{{{"", step.axes}}, {}}, mesh.Names());
  std::string subscript = axes.substr(2, axes.size() - 3);
  if (step.reshard.op == Op::kReduceScatter) subscript = "{" + subscript + "," + step.dim + "}";
  if (step.reshard.op == Op::kAllToAll) subscript = "{" + subscript + ":" + step.dim + "}";
  if (step.reshard.op == Op::kSlice) subscript = "{" + subscript + "," + step.dim + "}";
  return std::string(NameOf(step.reshard.op)) + "_" + subscript + "(" + step.array + ")";
}

double ReplicationOf(const Derivation& derivation, const MeshShape& mesh) {
  double replication = 0;
  for (const Step& step : derivation.steps) {
    if (!step.is_product) continue;
    Sharding all = step.product.left.sharding;
    for (const ShardedDim& dim : step.product.right.sharding.dims) {
      if (all.Find(dim.name) < 0) all.dims.push_back(dim);
    }
    const double of_product = mesh.Chips() / ShardCount(all, mesh.Sizes());
    if (replication != 0 && replication != of_product) return std::nan("");
    replication = of_product;
  }
  return replication == 0 ? 1 : replication;
}

const Derivation& Answer::BookDerivation() const {
  CHECK(!derivations.empty());
  const auto found = std::find_if(derivations.begin(), derivations.end(),
                                  [](const Derivation& p) { return p.book; });
  return found == derivations.end() ? derivations[0] : *found;
}

}  // namespace meshstep::einsum
