// The rates of one chip that roofline arithmetic uses, and the intensities at which they balance.
//
// Symbols of "How To Scale Your Model": C FLOP/s, W bytes/s; alpha = C / W. On a torus W is one
// axis both ways; on a switch what one chip sends into it. Source: chapters 1, 2, 5 and the GPU
// chapter.
//
//   const ChipLimits v5p = LimitsOf(chip, RateSet::kBook, Dtype::kBf16);
//   v5p.alpha();  // 4.59e14 / 1.8e11 = 2550

#ifndef MESHSTEP_STRATEGIES_BOUNDS_CHIP_LIMITS_H_
#define MESHSTEP_STRATEGIES_BOUNDS_CHIP_LIMITS_H_

#include "sim/base/dtype.h"
#include "topologies/chip.h"

namespace meshstep {

struct ChipLimits {
  double flops_per_s = 0;
  double hbm_bytes = 0, hbm_bytes_per_s = 0;
  double link_bytes_per_s = 0;  // one axis both ways, or egress into the switch
  double link_one_way_bytes_per_s = 0;
  double host_bytes_per_s = 0;
  double scale_out_bytes_per_s = 0;  // one chip, one way
  double axes = 1;                   // of the torus; 1 on a switch
  bool full_mesh = false;            // a link to every chip of the domain
  double domain_chips = 1;           // joined by one switch; chips of a host on a torus
  double pod_chips = 1;

  // Of VMEM on a TPU: 22 times HBM's ("How To Scale Your Model" ch. 2).
  double vmem_bytes_per_s() const { return 22 * hbm_bytes_per_s; }
  double hbm_intensity() const { return flops_per_s / hbm_bytes_per_s; }
  double alpha() const { return flops_per_s / link_bytes_per_s; }
  double node_bytes_per_s() const { return scale_out_bytes_per_s * domain_chips; }
};

// `dtype` chooses the matmul peak; 0 where the chip does not have it.
ChipLimits LimitsOf(const Chip& chip, RateSet rates, Dtype dtype);

// Whether collectives of different chips of a node share the node's NICs (a switch) or each chip
// has its own way out (a torus).
double ScaleOutAlpha(const ChipLimits& chip, bool is_switch);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_BOUNDS_CHIP_LIMITS_H_
