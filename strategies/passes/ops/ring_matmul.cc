#include "strategies/passes/ops/ring_matmul.h"

#include "strategies/block/block_context.h"
#include "strategies/block/block_view.h"
#include "strategies/passes/pass_builder.h"

namespace meshstep {
namespace {

MatmulRing RingOf(ReshardStep::Op collective, const Op& op, ArrayKey key, const Sharding& from,
                  const Sharding& to, const BlockView& pass) {
  const BlockContext& context = pass.context();
  if (!context.plan->async_tensor || op.kind != Op::Kind::kMatmul) return {};
  const StatusOr<std::vector<ReshardStep>> steps = Reshard(from, to);
  if (!steps.ok() || steps->size() != 1 || steps->front().op != collective) return {};
  MatmulRing ring;
  ring.axes = steps->front().axes;
  for (const AxisId axis : ring.axes) ring.parts *= context.plan->axis_size(axis);
  ring.part_bytes = TransferBytes(steps->front(), context, pass.ElementBytes(key)) / ring.parts;
  ring.array =
      (key.gradient ? "d" : "") + pass.block().arrays[static_cast<std::size_t>(key.array)].name;
  return ring;
}

int Part(const MatmulKernel& kernel, int parts, const std::vector<int>& after, PassBuilder* pass) {
  Time time;
  Flops flops;
  Bytes bytes;
  for (MatmulShape shape : kernel.shapes) {
    shape.m /= parts;
    time += pass->context().compute->Matmul(shape, kernel.dtype, kernel.result);
    flops += shape.flops();
    bytes += shape.bytes(kernel.dtype, kernel.result);
  }
  return pass->Compute(kernel.name, time, flops, after, true, bytes);
}

}  // namespace

MatmulRing GatherRing(const Op& op, ArrayKey key, const Sharding& used, const PassBuilder& pass) {
  key.narrow = pass.IsNarrow(op);
  if (pass.Holds(key, used)) return {};
  return RingOf(ReshardStep::Op::kAllGather, op, key, pass.Stored(key.array), used, pass);
}

MatmulRing ScatterRing(const Op& op, ArrayKey key, const Sharding& natural, const BlockView& pass) {
  return RingOf(ReshardStep::Op::kReduceScatter, op, key, natural, pass.Stored(key.array), pass);
}

int GatherMatmul(const MatmulKernel& kernel, const MatmulRing& ring, ArrayKey key,
                 const Sharding& used, const std::vector<int>& after, PassBuilder* pass) {
  int arrived = pass->StepOf(key), step = -1;
  for (int i = 0; i < ring.parts; ++i) {
    // Sent on before the product, which it must not wait for.
    const int next = i + 1 < ring.parts ? pass->Transfer(ring.array, Collective::kExchange,
                                                         ring.axes, ring.part_bytes, {arrived})
                                        : arrived;
    std::vector<int> needs = after;
    needs.push_back(arrived);
    step = Part(kernel, ring.parts, needs, pass);
    arrived = next;
  }
  pass->Define(key, used, arrived);
  return step;
}

int MatmulScatter(const MatmulKernel& kernel, const MatmulRing& ring, const std::vector<int>& after,
                  PassBuilder* pass) {
  int sent = PassBuilder::kReady;
  for (int i = 0; i < ring.parts; ++i) {
    const int step = Part(kernel, ring.parts, after, pass);
    if (i + 1 == ring.parts) break;
    sent =
        pass->Transfer(ring.array, Collective::kExchange, ring.axes, ring.part_bytes, {step, sent});
  }
  const Bytes bytes = (ring.parts + 1) * ring.part_bytes;
  return pass->Compute(kernel.name + " sum", pass->context().compute->Elementwise(bytes), Flops(),
                       {sent}, false, bytes);
}

}  // namespace meshstep
