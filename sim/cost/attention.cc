#include "sim/cost/attention.h"

#include <algorithm>
#include <cmath>

namespace meshstep {
namespace {

// Blocks of a unit, beyond the first, from which on what is left of a running block is spread as at any
// time.
constexpr double kStationary = 0.5;

double Padded(double size, double array) { return std::ceil(size / array) * array; }

double FlopsPerScore(const AttentionShape& shape, const AttentionBlocks& kernel) {
  const double h = Padded(shape.head_dim, kernel.array);
  const double h_v = Padded(shape.value_dim, kernel.array);
  if (!shape.backward) return 2 * h + 2 * h_v;
  return kernel.fused_backward ? 6 * h + 4 * h_v : 8 * h + 6 * h_v;
}

}  // namespace

double ExecutedScores(const AttentionShape& shape, double block) {
  const double square = shape.queries * shape.keys;
  return std::min(square, shape.visible * square + shape.edges * shape.queries * block / 2);
}

double BusyUnits(const AttentionShape& shape, double heads, const AttentionTiles& tiles,
                 double units) {
  const double side = shape.backward ? tiles.keys : tiles.queries;
  const double rows = std::max(1.0, (shape.backward ? shape.keys : shape.queries) / side);
  // 2 under a causal mask, 1 without a mask or with a window that slides.
  const double longest = 1 + std::max(0.0, 1 - std::abs(shape.edges - 1));
  const double left = longest * (0.5 - (longest - 1) / 6);
  const double each = heads * rows / units;  // blocks of a unit
  if (each <= 1) return each / longest;
  const double more = longest - 1 + (1 - left) * std::min(1.0, (each - 1) / kStationary);
  return each / (each + more);
}

Seconds BlockedAttention(const AttentionShape& shape, const AttentionDevice& device,
                         const AttentionBlocks& kernel) {
  const double side = shape.backward ? kernel.backward_block : kernel.block;
  const double block = std::min({side, shape.queries, shape.keys});
  const double scores = shape.batch * shape.heads * ExecutedScores(shape, block);
  const Seconds start = shape.backward ? kernel.backward_block_start : kernel.block_start;
  const Seconds products =
      Flops(scores * FlopsPerScore(shape, kernel)) / (device.peak * kernel.matmul_fraction);
  const Seconds softmax(shape.backward ? 0 : scores / (kernel.scores_per_s * device.share));
  return start * (scores / (block * block) / device.units) + std::max(products, softmax);
}

}  // namespace meshstep
