// A step as tasks: every block of every stage, micro-batch by micro-batch, with its collectives.
//
// Folded, the devices of one pipeline stage are one unit: a symmetry of mesh and fabric maps them
// to each other, so they do the same at the same time and one stands for all. Unfolded, every
// device is a unit and every link its own. Both run the same phases and give the same picoseconds.

#ifndef MESHSTEP_STRATEGIES_STEP_STEP_GRAPH_H_
#define MESHSTEP_STRATEGIES_STEP_STEP_GRAPH_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "sim/base/status.h"
#include "sim/engine/engine.h"
#include "strategies/block/lowered_block.h"
#include "strategies/model/layer_ref.h"
#include "strategies/plan/plan.h"

namespace meshstep {

enum class TaskKind : std::uint8_t { kCompute, kTransfer, kOptimizer, kHost };
// kWeightGradients: the half of a split backward that comes later.
enum class Pass : std::uint8_t { kForward, kRecompute, kBackward, kWeightGradients, kUpdate };

struct TaskInfo {
  const std::string* name;  // of the op, or of the array that a collective moves
  std::int32_t transfer;    // index into StepGraph::transfers; -1: not a collective
  LayerRef layer;           // kNone: of no block
  std::int32_t micro_batch;
  TaskKind kind;
  Pass pass;
  // Of a kernel, on one device; the bytes are what it reads and writes in HBM at least.
  Flops flops = {};
  Bytes hbm_bytes = {};
};

struct StreamInfo {
  std::int32_t unit;
  std::string name;  // "compute", "activations over tensor"
};

struct UnitInfo {
  int stage;
  DeviceId device;       // itself, or one of its class
  std::int64_t devices;  // how many it stands for
};

enum class MemoryBucket : std::uint8_t {
  kParameters,
  kGradients,
  kOptimizer,
  kActivations,    // kept from forward to backward, or made again for backward
  kLogits,         // what is as wide as the vocabulary: logits, their fp32 softmax, gradients
  kCommunication,  // whole gradients on their way into shards
  kUnsharded,      // parameters as FSDP gathered them
  kWorkspace,      // other operands and results of the running op
  kKvCache
};
inline constexpr int kMemoryBuckets = 9;

// `bytes` are taken (or given back if negative) when `task` starts or ends.
struct MemoryEvent {
  TaskId task;
  bool at_end;
  std::int32_t unit;
  MemoryBucket bucket;
  double bytes;
};

struct StepTransfer {
  TransferSpec spec;
  std::string algorithm;
  double sent_bytes_per_device;
  std::vector<std::string> axes = {};  // what they are called, major first
};

// A link of the task graph: a class of links that are loaded alike, or one link when unfolded.
struct StepLink {
  std::string name;
  std::int64_t links;  // how many it stands for
};

struct StepGraph {
  TaskGraph graph;
  std::vector<TaskInfo> tasks;
  std::vector<StreamInfo> streams;
  std::vector<UnitInfo> units;
  std::vector<StreamId> compute_stream;  // per unit
  std::vector<StepTransfer> transfers;
  std::vector<StepLink> links;  // of `graph`
  // Which of them stands for a link: the axes that its class distinguishes, and by that class the
  // index; none: unfolded, by the link itself.
  std::vector<AxisId> distinguished;
  std::vector<int> link_of_class;
  std::vector<std::array<double, kMemoryBuckets>> resident;  // per unit: bytes held all step
  std::vector<MemoryEvent> memory;
  Flops hardware_flops;                             // all chips
  std::vector<std::unique_ptr<std::string>> names;  // what TaskInfo::name points to

  GraphNames Names() const;
};

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_STEP_STEP_GRAPH_H_
