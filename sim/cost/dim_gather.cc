#include "sim/cost/dim_gather.h"

#include <utility>

#include "sim/base/check.h"

namespace meshstep {
namespace {

// Chunks that `rank` holds of the block that starts at position `j` of the dim: any coordinate in
// the dims gathered before, its own in those to come.
std::vector<int> Block(const RankGrid& grid, const DimGather& gather, int rank, int j,
                       const MessageSchedule& schedule, int first_piece, int pieces) {
  std::vector<int> chunks = {grid.WithDigit(rank, gather.dim, j)};
  for (int e = 0; e < grid.dims(); ++e) {
    if (!gather.gathered[static_cast<std::size_t>(e)]) continue;
    const std::size_t before = chunks.size();
    for (int k = 0; k < grid.size(e); ++k) {
      for (std::size_t i = 0; i < before; ++i) {
        const int chunk = grid.WithDigit(chunks[i], e, k);
        if (k == grid.Digit(rank, e)) {
          chunks[i] = chunk;
        } else {
          chunks.push_back(chunk);
        }
      }
    }
  }
  std::vector<int> ids;
  ids.reserve(chunks.size() * static_cast<std::size_t>(pieces));
  for (const int chunk : chunks) {
    for (int p = 0; p < pieces; ++p) ids.push_back(chunk * schedule.splits + first_piece + p);
  }
  return ids;
}

}  // namespace

GatherPattern NaturalPattern(const Group::Dim& dim) {
  switch (dim.kind) {
    case Level::Kind::kTorus:
      return dim.ring ? GatherPattern::kBidirectional : GatherPattern::kLine;
    case Level::Kind::kFullMesh:
      return GatherPattern::kDirect;
    case Level::Kind::kSwitch:
    case Level::Kind::kNetwork:
      return GatherPattern::kRing;
  }
  return GatherPattern::kRing;
}

BytesPerSecond LinkBandwidth(const Group::Dim& dim) {
  if (dim.kind != Level::Kind::kFullMesh) return dim.bandwidth;
  return dim.bandwidth / (dim.extent - 1);
}

int GatherSteps(const Group::Dim& dim, GatherPattern pattern) {
  switch (pattern) {
    case GatherPattern::kRing:
    case GatherPattern::kLine:
      return dim.size - 1;
    case GatherPattern::kBidirectional:
      return dim.size / 2;
    case GatherPattern::kDirect:
      return 1;
  }
  return 0;
}

Seconds GatherLatency(const Group::Dim& dim, GatherPattern pattern) {
  return GatherSteps(dim, pattern) * dim.latency;
}

Seconds GatherDrain(const Group::Dim& dim, GatherPattern pattern, Bytes v) {
  const double x = dim.size;
  const BytesPerSecond b = LinkBandwidth(dim);
  if (pattern == GatherPattern::kBidirectional && dim.size > 2) return v * (x - 1) / x / (2 * b);
  if (pattern == GatherPattern::kDirect && dim.kind == Level::Kind::kFullMesh) return v / x / b;
  return v * (x - 1) / x / b;
}

void AppendGatherFlows(const RankGrid& grid, int dim, GatherPattern pattern, Bytes v,
                       std::vector<RankFlow>* flows) {
  const int x = grid.size(dim);
  const Bytes block = v / x;
  for (int rank = 0; rank < grid.ranks(); ++rank) {
    const int i = grid.Digit(rank, dim);
    switch (pattern) {
      case GatherPattern::kRing:
        flows->push_back({rank, grid.Shift(rank, dim, 1), block * (x - 1)});
        break;
      case GatherPattern::kBidirectional:
        flows->push_back({rank, grid.Shift(rank, dim, 1), block * (x - 1) / 2});
        flows->push_back({rank, grid.Shift(rank, dim, -1), block * (x - 1) / 2});
        break;
      case GatherPattern::kLine:
        if (i + 1 < x) flows->push_back({rank, grid.Shift(rank, dim, 1), block * (i + 1)});
        if (i > 0) flows->push_back({rank, grid.Shift(rank, dim, -1), block * (x - i)});
        break;
      case GatherPattern::kDirect:
        for (int j = 1; j < x; ++j) flows->push_back({rank, grid.Shift(rank, dim, j), block});
        break;
    }
  }
}

namespace {

void AppendStep(const RankGrid& grid, const DimGather& gather, int s, int rank,
                MessageSchedule* schedule) {
  const int x = grid.size(gather.dim);
  const int i = grid.Digit(rank, gather.dim);
  const auto send = [&](int to, int block, int first_piece, int pieces) {
    schedule->messages.push_back(
        {gather.first_step + s, rank, grid.Shift(rank, gather.dim, to),
         Block(grid, gather, rank, ((block % x) + x) % x, *schedule, first_piece, pieces), false});
  };
  switch (gather.pattern) {
    case GatherPattern::kRing:
      send(1, i - s, gather.first_piece, gather.pieces);
      break;
    case GatherPattern::kBidirectional: {
      CHECK_EQ(gather.pieces, 2);
      // The block half-way around comes half from each side.
      const bool halves = x % 2 == 0 && s == x / 2 - 1;
      send(1, i - s, gather.first_piece, halves ? 1 : 2);
      send(-1, i + s, gather.first_piece + (halves ? 1 : 0), halves ? 1 : 2);
      break;
    }
    case GatherPattern::kLine:
      if (i >= s && i + 1 < x) send(1, i - s, gather.first_piece, gather.pieces);
      if (i + s < x && i > 0) send(-1, i + s, gather.first_piece, gather.pieces);
      break;
    case GatherPattern::kDirect:
      for (int j = 1; j < x; ++j) send(j, i, gather.first_piece, gather.pieces);
      break;
  }
}

}  // namespace

void AppendGatherMessages(const RankGrid& grid, const DimGather& gather,
                          MessageSchedule* schedule) {
  int steps = gather.pattern == GatherPattern::kDirect ? 1 : grid.size(gather.dim) - 1;
  if (gather.pattern == GatherPattern::kBidirectional) steps = grid.size(gather.dim) / 2;
  for (int s = 0; s < steps; ++s) AppendGatherStep(grid, gather, s, schedule);
}

void AppendGatherStep(const RankGrid& grid, const DimGather& gather, int s,
                      MessageSchedule* schedule) {
  for (int rank = 0; rank < grid.ranks(); ++rank) AppendStep(grid, gather, s, rank, schedule);
}

}  // namespace meshstep
