#include "strategies/einsum/notation/collective_call.h"

#include <algorithm>
#include <vector>

#include "strategies/einsum/notation/spelling.h"

namespace meshstep::einsum {
namespace {

using Op = ReshardStep::Op;

// The dimension that `axis` shards, or -1.
int DimOf(const Sharding& sharding, AxisId axis) {
  for (std::size_t d = 0; d < sharding.dims.size(); ++d) {
    const std::vector<AxisId>& axes = sharding.dims[d].axes;
    if (std::find(axes.begin(), axes.end(), axis) != axes.end()) return static_cast<int>(d);
  }
  return -1;
}

std::string AxisName(const MeshShape& mesh, AxisId axis) {
  return mesh.axes[static_cast<std::size_t>(axis)].name;
}

Status NotSharded(const MeshShape& mesh, const Statement& call, AxisId axis) {
  return InvalidInput("axis " + AxisName(mesh, axis) + " does not shard " + call.inputs[0].name +
                      ", so there is nothing to " +
                      (call.op == Op::kAllGather ? "gather" : "exchange") + ": use an axis of " +
                      ToString(call.inputs[0], mesh));
}

Status DeriveGather(const MeshShape& mesh, Statement* call) {
  Sharding& out = call->output->sharding;
  bool several = false;
  for (AxisId axis : call->axes) {
    const int d = DimOf(out, axis);
    if (d < 0) return NotSharded(mesh, *call, axis);
    ShardedDim& dim = out.dims[static_cast<std::size_t>(d)];
    std::erase(dim.axes, axis);
    several = several || (!call->from.empty() && call->from != dim.name);
    call->from = dim.name;
  }
  if (several) call->from.clear();
  return absl::OkStatus();
}

Status DeriveExchange(const MeshShape& mesh, Statement* call) {
  Sharding& out = call->output->sharding;
  const std::string& name = call->inputs[0].name;
  const int to = out.Find(call->to);
  if (to < 0) {
    return InvalidInput("AllToAll of " + name + " moves an axis to dim " +
                        (call->to.empty() ? "?" : call->to) +
                        ", which it does not have: write it as AllToAll_{X,J}");
  }
  for (AxisId axis : call->axes) {
    const int d = DimOf(out, axis);
    if (d < 0) return NotSharded(mesh, *call, axis);
    ShardedDim& from = out.dims[static_cast<std::size_t>(d)];
    if (d == to || (!call->from.empty() && call->from != from.name)) {
      return InvalidInput("AllToAll of " + name + " moves axis " + AxisName(mesh, axis) +
                          " from dim " + (d == to ? call->to : call->from) + " to dim " + call->to +
                          ", but it is on dim " + from.name +
                          ": name the dimension it is on and another one");
    }
    call->from = from.name;
    std::erase(from.axes, axis);
    out.dims[static_cast<std::size_t>(to)].axes.push_back(axis);
  }
  return absl::OkStatus();
}

// The dimension a ReduceScatter scatters, if it was not named: the one the output shards by its
// axes, or the only one there is.
void InferScattered(const ShardedArray* wanted, Statement* call) {
  if (call->op != Op::kReduceScatter || !call->to.empty()) return;
  const Sharding& in = call->inputs[0].sharding;
  if (in.dims.size() == 1) call->to = in.dims[0].name;
  if (wanted == nullptr) return;
  for (AxisId axis : call->axes) {
    const int d = DimOf(wanted->sharding, axis);
    if (d >= 0) call->to = wanted->sharding.dims[static_cast<std::size_t>(d)].name;
  }
}

Status DeriveSum(const MeshShape& mesh, const ShardedArray* wanted, Statement* call) {
  InferScattered(wanted, call);
  ShardedArray& input = call->inputs[0];
  Sharding& out = call->output->sharding;
  const int to = out.Find(call->to);
  if (call->op == Op::kReduceScatter && to < 0) {
    return InvalidInput("ReduceScatter of " + input.name +
                        " does not say which dimension is scattered: write it as "
                        "ReduceScatter_{Y,J} or give the output");
  }
  for (AxisId axis : call->axes) {
    std::vector<AxisId>& open = input.sharding.unreduced;
    if (std::find(open.begin(), open.end(), axis) == open.end()) {
      if (input.sharding.Uses(axis)) {
        const std::string name = AxisName(mesh, axis);
        return InvalidInput("nothing is partially summed over " + name + " in " + input.name +
                            ", which is sharded over " + name + ": reduce over the axes of {U}");
      }
      open.push_back(axis);  // "AllReduce_X(C[I,K])" leaves out the {U_X} that it needs
    }
    std::erase(out.unreduced, axis);
    if (to >= 0) out.dims[static_cast<std::size_t>(to)].axes.push_back(axis);
  }
  return absl::OkStatus();
}

// What separates the axes of a subscript from its dimensions.
bool AtSeparator(const TokenStream& tokens) {
  return tokens.IsSymbol(',') || tokens.IsSymbol(':') || tokens.Peek().kind == Token::Kind::kArrow;
}

}  // namespace

std::optional<Op> CollectiveOf(const std::string& name) {
  const std::string plain = Plain(name);
  if (plain == "allgather") return Op::kAllGather;
  if (plain == "reducescatter") return Op::kReduceScatter;
  if (plain == "allreduce") return Op::kAllReduce;
  if (plain == "alltoall") return Op::kAllToAll;
  return std::nullopt;
}

Status ParseCallSubscript(TokenStream* tokens, const ArrayParser& arrays, Statement* call) {
  const bool braces = tokens->Take('{');
  const bool names_dims = call->op == Op::kReduceScatter || call->op == Op::kAllToAll;
  std::vector<std::string> dims;
  bool after_axes = false;
  while (tokens->IsName() || (braces && tokens->Take('_'))) {
    if (!tokens->IsName()) continue;
    const std::string name = tokens->Next().text;
    if (after_axes) {
      dims.push_back(name);
    } else {
      ASSIGN_OR_RETURN(const std::vector<AxisId> axes, arrays.SplitAxes(name));
      call->axes.insert(call->axes.end(), axes.begin(), axes.end());
    }
    // "AllGather_X : A[..]" ends its subscript before the colon.
    const bool more =
        AtSeparator(*tokens) && tokens->IsName(1) &&
        (braces || tokens->IsSymbol('(', 2) || tokens->Peek(2).kind == Token::Kind::kArrow);
    if (more) {
      const bool lists_axes = tokens->IsSymbol(',') && !names_dims;
      after_axes = after_axes || !lists_axes;
      tokens->Next();
    } else if (!braces) {
      break;
    }
  }
  if (braces && !tokens->Take('}')) return tokens->Expected("} of a collective's subscript");
  if (dims.size() > 2) {
    return InvalidInput(std::string(NameOf(call->op)) +
                        " names more than two dimensions; write it as AllToAll_{X:I->J}");
  }
  if (!dims.empty()) call->to = dims.back();
  if (dims.size() == 2) call->from = dims.front();
  return absl::OkStatus();
}

Status DeriveOutput(const MeshShape& mesh, const ShardedArray* wanted, Statement* call) {
  const Sharding& in = call->inputs[0].sharding;
  const bool sums = call->op == Op::kAllReduce || call->op == Op::kReduceScatter;
  if (call->axes.empty() && sums) call->axes = in.unreduced;
  if (call->axes.empty() && call->op == Op::kAllGather) {
    for (const ShardedDim& dim : in.dims) {
      call->axes.insert(call->axes.end(), dim.axes.begin(), dim.axes.end());
    }
  }
  if (call->axes.empty()) {
    const std::string op(NameOf(call->op));
    return InvalidInput(op + " of " + call->inputs[0].name + " names no axis; write it as " + op +
                        "_X");
  }
  call->output = call->inputs[0];
  if (call->op == Op::kAllGather) return DeriveGather(mesh, call);
  if (call->op == Op::kAllToAll) return DeriveExchange(mesh, call);
  return DeriveSum(mesh, wanted, call);
}

}  // namespace meshstep::einsum
