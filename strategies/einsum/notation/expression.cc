#include "strategies/einsum/notation/expression.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/strings/str_format.h"

namespace meshstep::einsum {
namespace {

bool Contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::string Number(double value) {
  if (value == std::floor(value) && std::abs(value) < 1e18) {
    return std::to_string(static_cast<long>(value));
  }
  return absl::StrFormat("%.6g", value);
}

std::string AxisList(const std::vector<AxisId>& axes, const MeshShape& mesh) {
  // An array of one unnamed dimension prints its axes as a subscript: "[_XY]".
  const std::string text = ToString(Sharding{{{"", axes}}, {}}, mesh.Names());
  return text.substr(2, text.size() - 3);
}

std::string Join(const std::vector<std::string>& names) {
  std::string joined;
  for (const std::string& name : names) joined += (joined.empty() ? "" : ",") + name;
  return joined;
}

std::string CollectiveName(const Statement& statement, const MeshShape& mesh) {
  std::string text = std::string(NameOf(statement.op)) + "_" + AxisList(statement.axes, mesh);
  if (statement.op == ReshardStep::Op::kReduceScatter) text += "," + statement.to;
  if (statement.op == ReshardStep::Op::kAllToAll) {
    text += ":" + statement.from + "->" + statement.to;
  }
  return text;
}

std::string ArrayWithSizes(const ShardedArray& array, const Expression& expression) {
  std::string text = ToString(array, expression.mesh);
  for (const ShardedDim& dim : array.sharding.dims) {
    const double size = SizeOf(dim.name, expression.sizes);
    const std::string name = Written(dim.name);
    if (!std::isnan(size) && Number(size) != name) text += " " + name + "=" + Number(size);
  }
  if (array.dtype) text += " " + std::string(NameOf(*array.dtype));
  return text;
}

// Dimensions both operands begin with: the batch dimensions of a chain whose output keeps them.
std::vector<std::string> LeadingBatch(const ShardedArray& left, const ShardedArray& right,
                                      const ShardedArray* final_output) {
  std::vector<std::string> batch;
  const std::size_t n = std::min(left.sharding.dims.size(), right.sharding.dims.size());
  for (std::size_t d = 0; d < n; ++d) {
    const std::string& name = left.sharding.dims[d].name;
    if (right.sharding.dims[d].name != name || final_output == nullptr ||
        final_output->sharding.Find(name) < 0) {
      break;
    }
    batch.push_back(name);
  }
  return batch;
}

Status CheckContraction(const ShardedArray& left, const ShardedArray& right,
                        const Contraction& contraction, const ShardedArray* output) {
  if (!contraction) return absl::OkStatus();
  for (const std::string& dim : *contraction) {
    for (const ShardedArray* operand : {&left, &right}) {
      if (operand->sharding.Find(dim) < 0) {
        return InvalidInput("dim " + dim + " of the contraction is not in " + operand->name +
                            ": contract a dimension that both operands have");
      }
    }
    if (output != nullptr && output->sharding.Find(dim) >= 0) {
      return InvalidInput("dim " + dim + " is contracted by its operator but is in the output " +
                          output->name + ": remove it from one of the two");
    }
  }
  return absl::OkStatus();
}

// The dimensions of a product whose output was not written: free and batch dimensions of the left
// operand, then the free ones of the right.
std::vector<std::string> NaturalDims(const ShardedArray& left, const ShardedArray& right,
                                     const std::vector<std::string>& contracted) {
  std::vector<std::string> out;
  for (const ShardedArray* operand : {&left, &right}) {
    for (const ShardedDim& dim : operand->sharding.dims) {
      if (!Contains(contracted, dim.name) && !Contains(out, dim.name)) out.push_back(dim.name);
    }
  }
  return out;
}

}  // namespace

std::string Written(const std::string& dim) { return dim.substr(0, dim.find('\'')); }

std::string ToString(const ShardedArray& array, const MeshShape& mesh) {
  Sharding written = array.sharding;
  for (ShardedDim& dim : written.dims) dim.name = Written(dim.name);
  return array.name + ToString(written, mesh.Names());
}

std::string ToString(const Statement& statement, const Expression& expression) {
  const MeshShape& mesh = expression.mesh;
  std::string text;
  switch (statement.kind) {
    case Statement::Kind::kMesh:
      return ToString(mesh);
    case Statement::Kind::kArray:
      return ArrayWithSizes(statement.inputs[0], expression);
    case Statement::Kind::kCollective:
      text = CollectiveName(statement, mesh) + "(" + ToString(statement.inputs[0], mesh) + ")";
      break;
    case Statement::Kind::kReshard:
    case Statement::Kind::kProduct:
      for (const ShardedArray& input : statement.inputs) {
        text += (text.empty() ? "" : " . ") + ToString(input, mesh);
      }
  }
  return text + " -> " + ToString(*statement.output, mesh);
}

std::string ToString(const Expression& expression) {
  std::string text;
  for (const Statement& statement : expression.statements) {
    text += (text.empty() ? "" : "; ") + ToString(statement, expression);
  }
  return text;
}

std::vector<std::string> BinaryProduct::Dims() const {
  std::vector<std::string> dims;
  for (const ShardedArray* operand : {&left, &right}) {
    for (const ShardedDim& dim : operand->sharding.dims) {
      if (!Contains(dims, dim.name)) dims.push_back(dim.name);
    }
  }
  return dims;
}

namespace {

// Dimensions are matched by name, and equal sizes without names match in no one way.
Status CheckNamed(const ShardedArray& operand) {
  for (const ShardedDim& dim : operand.sharding.dims) {
    if (dim.name == Written(dim.name)) continue;
    return InvalidInput(operand.name + " has more than one dim of " + Written(dim.name) +
                        ", and a product matches dims by their names: write letters and their "
                        "sizes, as " +
                        operand.name + "[I,J] with I=" + Written(dim.name));
  }
  return absl::OkStatus();
}

}  // namespace

StatusOr<BinaryProduct> Resolve(const ShardedArray& left, const ShardedArray& right,
                                const Contraction& contraction, const ProductContext& context,
                                std::vector<std::string>* notes) {
  RETURN_IF_ERROR(CheckNamed(left));
  RETURN_IF_ERROR(CheckNamed(right));
  RETURN_IF_ERROR(CheckContraction(left, right, contraction, context.output));
  BinaryProduct product{left, right, {}, {}};
  std::vector<std::string> shared;
  for (const ShardedDim& dim : left.sharding.dims) {
    if (right.sharding.Find(dim.name) >= 0) shared.push_back(dim.name);
  }
  if (context.output != nullptr) {
    for (const ShardedDim& dim : context.output->sharding.dims) product.out.push_back(dim.name);
  } else {
    std::vector<std::string> contracted = contraction.value_or(shared);
    if (!contraction) {
      const std::vector<std::string> batch = LeadingBatch(left, right, context.final_output);
      if (batch.size() < shared.size()) {
        std::erase_if(contracted, [&](const std::string& d) { return Contains(batch, d); });
      }
      if (contracted.size() > 1) {
        notes->push_back("the product of " + left.name + " and " + right.name + " contracts " +
                         Join(contracted) + "; write the operator as ._" + contracted.back() +
                         " to contract only that");
      }
    }
    product.out = NaturalDims(left, right, contracted);
  }
  for (const std::string& dim : product.out) {
    if (left.sharding.Find(dim) < 0 && right.sharding.Find(dim) < 0) {
      return InvalidInput("output dim " + dim + " absent from inputs " + left.name + " and " +
                          right.name + ": every dimension of the output is one of an input");
    }
  }
  for (const std::string& dim : product.Dims()) {
    if (Contains(product.out, dim)) continue;
    product.contracted.push_back(dim);
    if (!Contains(shared, dim)) {
      notes->push_back("dim " + dim + " is in one input only and not in the output: it is summed");
    }
  }
  return product;
}

double SizeOf(const std::string& dim, const std::map<std::string, double>& sizes) {
  const auto found = sizes.find(dim);
  return found == sizes.end() ? std::numeric_limits<double>::quiet_NaN() : found->second;
}

double TheoreticalFlops(const BinaryProduct& product, const std::map<std::string, double>& sizes) {
  double flops = product.contracted.empty() ? 1 : 2;
  for (const std::string& dim : product.Dims()) flops *= SizeOf(dim, sizes);
  return flops;
}

double LocalElements(const Sharding& sharding, const MeshShape& mesh,
                     const std::map<std::string, double>& sizes) {
  double elements = 1;
  for (const ShardedDim& dim : sharding.dims) {
    double shards = 1;
    for (AxisId axis : dim.axes) shards *= mesh.axes[static_cast<std::size_t>(axis)].size;
    elements *= std::ceil(SizeOf(dim.name, sizes) / shards);
  }
  return elements;
}

Status CheckSizes(const Expression& expression, bool pad, std::vector<std::string>* notes) {
  for (const auto& [dim, size] : expression.sizes) {
    if (!(size >= 1 && size <= kMaxDimension) || size != std::floor(size)) {
      return InvalidInput("dim " + dim + " has size " + Number(size) +
                          ", expected a whole number from 1 to 2^53");
    }
  }
  auto check = [&](const ShardedArray& array) -> Status {
    for (const ShardedDim& dim : array.sharding.dims) {
      const double size = SizeOf(dim.name, expression.sizes);
      const Sharding only{{dim}, {}};
      const double shards = ShardCount(only, expression.mesh.Sizes());
      if (std::isnan(size) || std::fmod(size, shards) == 0) continue;
      const double padded = std::ceil(size / shards) * shards;
      std::string axes;
      for (AxisId axis : dim.axes) {
        const MeshShape::Axis& a = expression.mesh.axes[static_cast<std::size_t>(axis)];
        axes += (axes.empty() ? "" : ",") + a.name + ":" + std::to_string(a.size);
      }
      const std::string problem =
          "dim " + dim.name + "=" + Number(size) + " not divisible by " + axes;
      if (!pad) {
        return InvalidInput(problem + " (pad to " + Number(padded) +
                            " or reject): change the size" + " of " + dim.name + " in " +
                            array.name + ", or allow it with --pad");
      }
      const std::string note = problem + ": padded to " + Number(padded);
      if (!Contains(*notes, note)) notes->push_back(note);
    }
    return absl::OkStatus();
  };
  for (const Statement& statement : expression.statements) {
    for (const ShardedArray& input : statement.inputs) RETURN_IF_ERROR(check(input));
    if (statement.output) RETURN_IF_ERROR(check(*statement.output));
  }
  return absl::OkStatus();
}

std::vector<std::string> MissingSizes(const Expression& expression) {
  std::vector<std::string> missing;
  auto add = [&](const ShardedArray& array) {
    for (const ShardedDim& dim : array.sharding.dims) {
      if (!expression.sizes.count(dim.name) && !Contains(missing, dim.name)) {
        missing.push_back(dim.name);
      }
    }
  };
  for (const Statement& statement : expression.statements) {
    for (const ShardedArray& input : statement.inputs) add(input);
    if (statement.output) add(*statement.output);
  }
  return missing;
}

}  // namespace meshstep::einsum
