#include "strategies/einsum/formula.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_format.h"
#include "strategies/einsum/notation/axes_by_dim.h"

namespace meshstep::einsum {
namespace {

// coefficient x the product of `up` / the product of `down`. Letters are written side by side.
std::string Monomial(double coefficient, const std::vector<std::string>& up,
                     const std::vector<std::string>& down) {
  auto is_letter = [](const std::string& s) { return s.size() == 1; };
  auto joined = [&](const std::vector<std::string>& factors) {
    const bool letters = std::all_of(factors.begin(), factors.end(), is_letter);
    std::string text;
    for (const std::string& factor : factors) {
      text += (text.empty() || letters ? "" : "·") + factor;
    }
    return text;
  };
  const std::string number = absl::StrFormat("%g", coefficient);
  const std::string top = joined(up);
  const bool beside = top.empty() || std::all_of(up.begin(), up.end(), is_letter);
  std::string text = coefficient == 1 && !top.empty() ? top : number + (beside ? "" : "·") + top;
  if (down.empty()) return text;
  return text + "/" + (down.size() == 1 ? down[0] : "(" + joined(down) + ")");
}

std::vector<std::string> DimNames(const Sharding& sharding) {
  std::vector<std::string> names;
  for (const ShardedDim& dim : sharding.dims) names.push_back(Written(dim.name));
  return names;
}

// Axes of more than one chip that shard the array, without `except`.
std::vector<std::string> AxisNames(const Sharding& sharding, const MeshShape& mesh,
                                   const Axes& except) {
  std::vector<std::string> names;
  for (const ShardedDim& dim : sharding.dims) {
    for (AxisId axis : dim.axes) {
      const MeshShape::Axis& a = mesh.axes[static_cast<std::size_t>(axis)];
      if (a.size > 1 && !Contains(except, axis)) names.push_back(a.name);
    }
  }
  return names;
}

std::string ProductFormula(const BinaryProduct& product, const MeshShape& mesh, bool per_chip) {
  Sharding all = product.left.sharding;
  for (const ShardedDim& dim : product.right.sharding.dims) {
    if (all.Find(dim.name) < 0) all.dims.push_back(dim);
  }
  return Monomial(product.contracted.empty() ? 1 : 2, DimNames(all),
                  per_chip ? AxisNames(all, mesh, {}) : std::vector<std::string>());
}

std::string AxesText(const Axes& axes, const MeshShape& mesh) {
  const std::string text = ToString(Sharding{{{"", axes}}, {}}, mesh.Names());
  return text.substr(2, text.size() - 3);
}

std::string ContractedCase(const BinaryProduct& p, const std::string& dim, const MeshShape& mesh) {
  if (p.left.sharding.Find(dim) < 0 || p.right.sharding.Find(dim) < 0) return "";
  const Axes left = AxesOf(p.left.sharding, dim), right = AxesOf(p.right.sharding, dim);
  if (left.empty() && right.empty()) return "";
  if (left == right) {
    return "case 3: the contracted " + dim + " is sharded over " + AxesText(left, mesh) +
           " in both " + p.left.name + " and " + p.right.name +
           ", so each chip has a partial sum {U_" + AxesText(left, mesh) + "}";
  }
  if (left.empty() || right.empty()) {
    const ShardedArray& one = left.empty() ? p.right : p.left;
    return "case 2: the contracted " + dim + " is sharded over " +
           AxesText(left.empty() ? right : left, mesh) + " in " + one.name +
           " only: gather it there, or slice the other operand and sum";
  }
  return "case 2: the contracted " + dim + " is sharded over " + AxesText(left, mesh) + " in " +
         p.left.name + " and over " + AxesText(right, mesh) + " in " + p.right.name +
         ": the blocks do not line up";
}

}  // namespace

std::string LocalBytesFormula(const ShardedArray& array, Dtype dtype, const MeshShape& mesh) {
  return Monomial(meshstep::SizeOf(dtype).value(), DimNames(array.sharding),
                  AxisNames(array.sharding, mesh, {}));
}

std::string AmountFormula(const Step& step, const MeshShape& mesh) {
  if (step.is_product) return ProductFormula(step.product, mesh, true);
  if (step.reshard.op == ReshardStep::Op::kSlice) return "";
  return Monomial(meshstep::SizeOf(step.dtype).value(), DimNames(step.reshard.before),
                  AxisNames(step.reshard.before, mesh, step.axes));
}

std::string FlopsFormula(const std::vector<Step>& steps, const MeshShape& mesh, bool per_chip) {
  std::string sum;
  for (const Step& step : steps) {
    if (!step.is_product) continue;
    sum += (sum.empty() ? "" : " + ") + ProductFormula(step.product, mesh, per_chip);
  }
  return sum;
}

std::vector<std::string> Cases(const BinaryProduct& product, const MeshShape& mesh) {
  std::vector<std::string> cases;
  for (const std::string& dim : product.contracted) {
    const std::string sentence = ContractedCase(product, dim, mesh);
    if (!sentence.empty()) cases.push_back(sentence);
  }
  for (const ShardedDim& left : product.left.sharding.dims) {
    for (const ShardedDim& right : product.right.sharding.dims) {
      if (left.name == right.name) continue;
      for (AxisId axis : left.axes) {
        if (!Contains(right.axes, axis)) continue;
        cases.push_back("case 4: axis " + mesh.axes[static_cast<std::size_t>(axis)].name +
                        " is on " + left.name + " of " + product.left.name + " and on " +
                        right.name + " of " + product.right.name +
                        ", and a chip cannot be at two places of one axis: one of the two gives "
                        "it up");
      }
    }
  }
  if (cases.empty()) {
    cases.push_back(
        "case 1: no contracted dimension is sharded and no axis is on both operands, so "
        "each chip multiplies its blocks without communication");
  }
  return cases;
}

}  // namespace meshstep::einsum
