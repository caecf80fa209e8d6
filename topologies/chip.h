// One accelerator as a value: what topologies/chips/*.textproto says, checked.
// Source of the numbers: the `sources` field of each file.

#ifndef MESHSTEP_TOPOLOGIES_CHIP_H_
#define MESHSTEP_TOPOLOGIES_CHIP_H_

#include <array>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sim/base/dtype.h"
#include "sim/base/units.h"

namespace meshstep {

// Which of the two rate sets of a chip file is meant.
enum class RateSet { kDatasheet, kBook };

// Kernels of attention that a chip's tables and a plan may name.
inline constexpr std::array<const char*, 6> kAttentionKernels = {
    "flash-1", "flash-2", "cudnn-2024", "splash-1", "splash-2", "splash-3"};

// kIdeal: data-sheet rates and link latency. kCalibrated: measured efficiencies as well.
enum class Fidelity { kIdeal, kCalibrated };

// How far the numbers of a file can be trusted, best first; see chip.proto.
enum class Confidence { kMeasured, kDataSheet, kAnnounced };

// Peak rates of one chip. Unknown rates are 0.
struct Rates {
  std::array<FlopsPerSecond, kDtypes> matmul;  // by Dtype; 0: the chip has no such format
  FlopsPerSecond vector;
  Bytes hbm;                 // capacity
  BytesPerSecond hbm_rate;   // reads and writes together
  BytesPerSecond link;       // torus, full mesh: one link, one way; switch: all links of a chip
  BytesPerSecond host;       // one way
  BytesPerSecond scale_out;  // one way, per chip

  FlopsPerSecond peak(Dtype dtype) const { return matmul[static_cast<std::size_t>(dtype)]; }
};

struct Interconnect {
  enum class Kind { kNone, kTorus, kSwitch, kFullMesh };
  enum class Wraparound { kNever, kFullAxis, kWholeCubes, kAlways };
  Kind kind = Kind::kNone;
  int dimensions = 0;
  Wraparound wraparound = Wraparound::kNever;
  int full_axis = 0;
  double usable_fraction = 1;
  Seconds latency{1e-6};  // one message, one hop
  int domain_chips = 1;
  std::vector<int> pod, host;  // chips per dimension
  int largest_job_chips = 0;   // of one slice; 0: the pod
  double scale_out_usable_fraction = 1;
  bool in_network_reduction = false;
  BytesPerSecond die_to_die;
};

// Constants of sim/cost/matmul.h; the fields of the proto, defaults filled in.
struct MatmulCalibration {
  Seconds launch;
  double peak_fraction = 1, hbm_fraction = 1;
  int tile_m = 1, tile_n = 1;
  bool choose_tile = false;
  BytesPerSecond load, store;  // of one unit; 0: no limit
  Seconds tile_start;
  Seconds split;  // 0: k is never split
  Bytes cache;
  BytesPerSecond relayout;  // 0: no operand is transposed
  double sustained_fraction = 1;
  double grouped_fraction = 1;  // the same for grouped matmuls
  double exposed_results = 0;   // of the HBM time of results beyond two bytes
  double precise_fraction = 1;
};

struct AttentionCalibration {
  int head_dim = 0;
  bool causal = false, backward = false;
  int sequence_length = 0;
  double peak_fraction = 0;
  double heads = 0;  // of the measurement, all sequences; 0: as AttentionTiles say
};

// Blocks that a kernel of `attention` gives to compute units one by one; see chip.proto.
struct AttentionTiles {
  int queries = 1, keys = 1;
  // Heads times sequences of the measurement: so many, or as many as make these tokens x head size.
  double heads = 0, tokens_times_width = 0;
};

// A kernel that computes attention in square blocks; see chip.proto and sim/cost/attention.h.
struct AttentionBlocks {
  int block = 1, backward_block = 1;
  int array = 1;
  double matmul_fraction = 1;
  double scores_per_s = 0;  // of a chip
  Seconds block_start, backward_block_start;
  bool fused_backward = true;  // 5 products, else 7
};

struct ComputeCalibration {
  // Kernels that a plan can name; "": what "flash" means. One goes before points of the same name.
  std::map<std::string, AttentionBlocks> blocks_by_kernel;
  std::optional<AttentionBlocks> attention_blocks;  // of the plan's kernel
  // Points of kernels that a plan can name, besides `attention`.
  std::map<std::string, std::vector<AttentionCalibration>> attention_by_kernel;
  std::array<MatmulCalibration, kDtypes> matmul;  // every format the chip has is filled
  std::vector<AttentionCalibration> attention;
  std::map<std::string, AttentionTiles> tiles_by_kernel;
  std::optional<AttentionTiles> attention_tiles;  // of the plan's kernel
  double strided_elements_per_s = 0;              // 0: no limit
  double hbm_fraction = 0.85;
  double permutation_fraction = 1;  // of kernels that permute rows; at most hbm_fraction counts
  Seconds elementwise_launch{4.5e-6};
  double host_fraction = 0.87;
  double speed_spread = 0;      // standard deviation of the speed among chips, over the mean
  double collective_units = 0;  // compute units that one collective occupies
  Seconds host_dispatch{0};     // of one operation of an eager framework by the chip's host
};

// Time of one collective by one algorithm on p chips of one domain; see chip.proto.
struct CollectiveCalibration {
  enum class Ranks { kAny, kPowersOfTwo, kOthers };
  struct Group {
    int ranks;
    Seconds latency;
    std::vector<BytesPerSecond> rates;  // one per size
  };
  std::string collective, algorithm;
  std::string dispatcher;  // of routed tokens; "": the library of collectives
  Ranks ranks = Ranks::kAny;
  int min_ranks = 2, max_ranks = 1 << 30;
  std::vector<Bytes> sizes;   // ascending; at least one
  std::vector<Group> groups;  // by ranks, ascending; at least one

  bool Holds(int p) const;
  Seconds Latency(int p) const;
  // Through one port, one way, of p chips at the size `bytes`.
  BytesPerSecond PortRateAt(int p, Bytes bytes) const;
};

// Time of one collective by one algorithm and protocol across nodes; see chip.proto.
struct NetworkCalibration {
  std::string collective, algorithm, dispatcher;
  Seconds base, rank, node, doubling;
  double node_fraction = 1, network_fraction = 1;

  // Of p ranks in `nodes` nodes, where a message between nodes takes alpha.
  Seconds Latency(int p, int nodes, Seconds alpha) const;
};

// What a collective takes on a torus beyond hops and bytes; see chip.proto.
struct TorusCollective {
  std::string collective;  // "": any without an entry of its own
  Seconds launch;          // once
  Seconds axis;            // of every axis, in each of the two passes of an all-reduce
  Seconds network_launch;  // once, where it crosses slices
  double link_fraction = 1;
};

// Rate under a limit of the power, over that at the data sheet's.
struct PowerPoint {
  double watts = 0, rate = 1;
};

struct Chip {
  std::string name, vendor;
  int year = 0;
  Confidence confidence = Confidence::kDataSheet;
  int devices_per_chip = 1;
  int compute_units = 1;
  Bytes system_hbm;                        // of the chip, kept from programs
  bool narrow_matmuls_one_layout = false;  // transposed 8-bit operands are copies
  Rates datasheet, book;
  Interconnect interconnect;
  ComputeCalibration calibration;
  std::vector<CollectiveCalibration> collectives;
  std::vector<NetworkCalibration> across_nodes;
  std::vector<TorusCollective> torus_collectives;
  double power_watts = 0;               // of the data sheet; 0: not known
  std::vector<PowerPoint> power_curve;  // ascending in watts

  // What programs of one device can fill.
  Bytes device_memory() const { return (datasheet.hbm - system_hbm) / devices_per_chip; }
  const Rates& rates(RateSet set) const { return set == RateSet::kBook ? book : datasheet; }
};

}  // namespace meshstep

#endif  // MESHSTEP_TOPOLOGIES_CHIP_H_
