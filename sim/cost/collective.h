// Collectives as algorithms on a group of a fabric.
//
// One algorithm is one file in sim/cost/collectives/. It says, for p ranks and `bytes` (the
// nccl-tests size: full vector for all-reduce, full gathered or unreduced vector for all-gather and
// reduce-scatter, per-rank send buffer for all-to-all, the message for broadcast, reduce, permute;
// both messages of an exchange):
//   Traffic   what each ordered pair of ranks sends in total, by phase, and the fixed latency;
//   Messages  every message with its chunks, for proofs and for --stepwise;
//   ClosedForm its alpha-beta cost on an idle fabric.
// Traffic must equal the sum of Messages; the registry tests check it.

#ifndef MESHSTEP_SIM_COST_COLLECTIVE_H_
#define MESHSTEP_SIM_COST_COLLECTIVE_H_

#include <string>
#include <string_view>
#include <vector>

#include "sim/base/status.h"
#include "sim/base/units.h"
#include "sim/cost/copies.h"
#include "topologies/mesh.h"

namespace meshstep {

enum class Collective {
  kAllGather,
  kReduceScatter,
  kAllReduce,
  kAllToAll,
  kBroadcast,
  kReduce,
  kPermute,   // rank i sends `bytes` to rank i + 1; the last to the first
  kExchange,  // rank i sends half of `bytes` to rank i + 1 and half to i - 1, around a ring
};

// "all-gather", ... as in `meshstep list collectives`.
std::string_view NameOf(Collective collective);
StatusOr<Collective> ParseCollective(std::string_view name);

// What switches do with flows on their way: kReduce adds up those to one destination wherever they
// share a link, kMulticast copies one flow from a source to many destinations.
enum class Combine { kNone, kReduce, kMulticast };

struct RankFlow {
  int src, dst;  // ranks
  Bytes bytes;
  Combine combine = Combine::kNone;
};

// A phase starts when all members are there, waits `latency`, then drains its flows together.
struct TrafficPhase {
  Seconds latency;
  std::vector<RankFlow> flows;
  // True: `flows` are those sent by rank 0 only, and every rank r sends the same pattern shifted
  // along each dim of the group (all dims rings or switches).
  bool shifted = false;
  // True: ranks that the symmetry of the fabric makes alike do not send alike (trees, chains, the
  // carry of a flat ring), so that links of one class carry different loads.
  bool uneven = false;
};

// One message of one step. Chunks are numbered so that a test can follow them: for all-gather and
// broadcast chunk c is the data of rank c (root 0); for reduce-scatter, all-reduce and reduce it is
// the c-th of p equal parts of the vector; for all-to-all chunk c = src * p + dst. An algorithm may
// split each into `splits` equal pieces (chunk = c * splits + piece).
struct Message {
  int step;  // messages of step s may use what arrived in steps < s
  int src, dst;
  std::vector<int> chunks;
  bool reduce;                       // the receiver adds, rather than stores
  Combine combine = Combine::kNone;  // with the other messages of the step to (from) one rank
};

// Bytes of one chunk.
Bytes ChunkBytes(Collective collective, Bytes bytes, int ranks);

struct MessageSchedule {
  int splits = 1;
  std::vector<double> fractions;  // of a chunk, per piece; empty: 1 / splits each
  std::vector<Message> messages;  // by step
};

class CollectiveAlgorithm {
 public:
  virtual ~CollectiveAlgorithm() = default;
  virtual std::string_view name() const = 0;
  virtual bool Supports(Collective collective, const Group& group) const = 0;
  // An all-to-all passes through the nodes of its ranks and joins copies there.
  virtual bool JoinsCopies() const { return false; }
  // "auto" never chooses it.
  virtual bool ByNameOnly() const { return false; }
  virtual std::vector<TrafficPhase> Traffic(Collective collective, Bytes bytes,
                                            const Group& group) const = 0;
  virtual MessageSchedule Messages(Collective collective, const Group& group) const = 0;
  virtual Seconds ClosedForm(Collective collective, Bytes bytes, const Group& group) const = 0;
};

}  // namespace meshstep

#endif  // MESHSTEP_SIM_COST_COLLECTIVE_H_
