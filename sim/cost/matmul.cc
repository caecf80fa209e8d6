#include "sim/cost/matmul.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace meshstep {
namespace {

struct Tile {
  int m, n;
};
// The shapes that fit a unit's registers and shared memory and that libraries ship.
constexpr std::array<Tile, 7> kTiles = {
    {{256, 256}, {256, 128}, {128, 256}, {128, 128}, {128, 64}, {64, 128}, {64, 64}}};
constexpr int kMostParts = 16;
constexpr double kLeastSplitK = 256;  // a shorter part is all pipeline fill
constexpr Bytes kPartialResult{4};    // partial sums are kept in fp32

// 0 is "no limit".
Seconds OrNothing(Bytes bytes, BytesPerSecond rate) {
  return rate.value() > 0 ? bytes / rate : Seconds(0);
}

Seconds TileWaves(const MatmulShape& shape, const MatmulDevice& device, const MatmulCalibration& c,
                  Tile tile, int parts) {
  const double k = std::ceil(shape.k / parts);
  const double tiles =
      shape.batch * std::ceil(shape.m / tile.m) * std::ceil(shape.n / tile.n) * parts;
  const double waves = std::ceil(tiles / device.units);
  const double area = static_cast<double>(tile.m) * tile.n;
  const Seconds compute = Flops(2 * area * k) / (device.peak * (c.peak_fraction / device.units));
  const Seconds load = OrNothing((tile.m + tile.n) * k * device.operand, c.load);
  const Seconds store = OrNothing(area * (parts > 1 ? kPartialResult : device.result), c.store);
  return waves * (c.tile_start + std::max(compute, load) + store);
}

// Traffic beyond what the cache holds, at the reachable rate.
Seconds HbmTime(Bytes bytes, const MatmulDevice& device, const MatmulCalibration& c) {
  return std::max(bytes - c.cache, Bytes(0)) / (device.hbm * c.hbm_fraction);
}

Seconds FastestTile(const MatmulShape& shape, const MatmulDevice& device,
                    const MatmulCalibration& c) {
  const Bytes weight = shape.WeightSize(device.operand);
  const Bytes bytes =
      shape.batch * (shape.m * shape.k * device.operand + shape.k * shape.n * weight +
                     shape.m * shape.n * device.result);
  const Seconds memory = HbmTime(bytes, device, c);
  if (!c.choose_tile) {
    return std::max(memory, TileWaves(shape, device, c, {c.tile_m, c.tile_n}, 1));
  }
  Seconds best(std::numeric_limits<double>::infinity());
  for (const Tile& tile : kTiles) {
    best = std::min(best, std::max(memory, TileWaves(shape, device, c, tile, 1)));
    if (c.split.value() <= 0) continue;
    for (int parts = 2; parts <= kMostParts && shape.k / parts >= kLeastSplitK; parts *= 2) {
      best = std::min(best, std::max(memory, TileWaves(shape, device, c, tile, parts)) + c.split);
    }
  }
  return best;
}

Seconds Relayout(const MatmulShape& shape, const MatmulDevice& device, const MatmulCalibration& c) {
  if (c.relayout.value() <= 0) return Seconds(0);
  const Bytes moved = 2 * shape.batch * shape.k * shape.n * device.operand;
  return std::max(moved / c.relayout, HbmTime(moved, device, c));
}

}  // namespace

Seconds CalibratedMatmul(const MatmulShape& shape, const MatmulDevice& device,
                         const MatmulCalibration& calibration) {
  return calibration.launch +
         std::max(Relayout(shape, device, calibration), FastestTile(shape, device, calibration));
}

Seconds CalibratedMatmulInPlace(const MatmulShape& shape, const MatmulDevice& device,
                                const MatmulCalibration& calibration) {
  return calibration.launch + FastestTile(shape, device, calibration);
}

}  // namespace meshstep
