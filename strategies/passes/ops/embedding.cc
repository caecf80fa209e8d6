#include "strategies/block/block_view.h"
#include "strategies/passes/ops/composite.h"
#include "strategies/passes/pass_builder.h"

namespace meshstep {
namespace {

// Axes that shard the rows of the table.
std::vector<AxisId> RowAxes(const Op& op, const BlockView& pass) {
  const Sharding table = pass.Used(op.weights[0]);
  const int v = table.Find("V");
  return v < 0 ? std::vector<AxisId>{} : table.dims[static_cast<std::size_t>(v)].axes;
}

// The lookup reads a row and writes it; its size is that of the result before it is scattered.
Bytes Traffic(const Op& op, const BlockView& pass) {
  return Bytes(2 * pass.LocalBytes(op.outputs[0], pass.Used(op.outputs[0])));
}

}  // namespace

Status EmbeddingForward(const Op& op, PassBuilder* pass) {
  const int step = pass->Compute(op.name, pass->context().compute->Elementwise(Traffic(op, *pass)),
                                 Flops(), {}, true, Traffic(op, *pass));
  Sharding natural = pass->Used(op.outputs[0]);
  natural.unreduced = RowAxes(op, *pass);
  return pass->Finish({op.outputs[0], false}, natural, step);
}

Status EmbeddingBackward(const Op& op, PassBuilder* pass) {
  ASSIGN_OR_RETURN(const int incoming,
                   pass->Bring({op.outputs[0], true}, pass->Used(op.outputs[0])));
  const Bytes bytes = Traffic(op, *pass);
  pass->MarkForWeights(pass->Compute(op.name + " backward",
                                     pass->context().compute->Elementwise(bytes), Flops(),
                                     {incoming}, false, bytes));
  return absl::OkStatus();
}

}  // namespace meshstep
