// All-gather along one dim of a group, the part of which most collectives are made: a
// reduce-scatter is an all-gather run backwards, and an all-reduce is both.
//
// Symbols: X ranks along the dim; V bytes that every rank of the dim holds in the end; alpha
// latency of one step; B bandwidth of one link (or port), one way.
//
//   pattern         steps         drain                 source
//   kRing           X-1           V (X-1) / (X B)       P. Patarasuk, X. Yuan, JPDC 69(2), 2009
//   kBidirectional  ceil((X-1)/2) V (X-1) / (2 X B)     both halves of the ring at once
//   kLine           X-1           V (X-1) / (X B)       links next to the ends carry the most
//   kDirect         1             V (X-1) / (X B)       on a full mesh: V / (X B)
//
// Example: 8 ranks on a ring of TPU links, V = 1 GB, B = 90 GB/s: 4 alpha + 4.86 ms.

#ifndef MESHSTEP_SIM_COST_DIM_GATHER_H_
#define MESHSTEP_SIM_COST_DIM_GATHER_H_

#include <vector>

#include "sim/cost/collective.h"
#include "sim/cost/rank_grid.h"

namespace meshstep {

enum class GatherPattern { kRing, kBidirectional, kLine, kDirect };

// What suits the dim: both ways around a ring, a line, one way around on a switch or network, every
// link at once on a full mesh.
GatherPattern NaturalPattern(const Group::Dim& dim);

// One link (torus, full mesh) or port (switch, network) of the dim, one way.
BytesPerSecond LinkBandwidth(const Group::Dim& dim);

int GatherSteps(const Group::Dim& dim, GatherPattern pattern);
Seconds GatherLatency(const Group::Dim& dim, GatherPattern pattern);
// Time that V takes to drain.
Seconds GatherDrain(const Group::Dim& dim, GatherPattern pattern, Bytes v);

// Appends what every rank sends along `dim` to gather V.
void AppendGatherFlows(const RankGrid& grid, int dim, GatherPattern pattern, Bytes v,
                       std::vector<RankFlow>* flows);

// The messages of one gather among others of one schedule.
struct DimGather {
  int dim;
  GatherPattern pattern;
  std::vector<bool> gathered;  // per dim: gathered before
  int first_piece;             // of each chunk, `pieces` from here on are moved
  int pieces;                  // kBidirectional: 2 halves
  int first_step;
};
void AppendGatherMessages(const RankGrid& grid, const DimGather& gather, MessageSchedule* schedule);
// Those of its step s alone, of GatherSteps.
void AppendGatherStep(const RankGrid& grid, const DimGather& gather, int s,
                      MessageSchedule* schedule);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_COST_DIM_GATHER_H_
