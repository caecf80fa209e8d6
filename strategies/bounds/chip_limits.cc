#include "strategies/bounds/chip_limits.h"

namespace meshstep {

ChipLimits LimitsOf(const Chip& chip, RateSet set, Dtype dtype) {
  const Rates& rates = chip.rates(set);
  const Interconnect& network = chip.interconnect;
  const bool torus = network.kind == Interconnect::Kind::kTorus;
  ChipLimits limits;
  limits.flops_per_s = rates.peak(dtype).value();
  limits.hbm_bytes = rates.hbm.value();
  limits.hbm_bytes_per_s = rates.hbm_rate.value();
  limits.link_one_way_bytes_per_s = rates.link.value();
  // A ring sends both ways along its axis; a full mesh has a link to every other chip.
  const double links = torus                                           ? 2
                       : network.kind == Interconnect::Kind::kFullMesh ? network.domain_chips - 1
                                                                       : 1;
  limits.link_bytes_per_s = links * rates.link.value();
  limits.host_bytes_per_s = rates.host.value();
  limits.scale_out_bytes_per_s = rates.scale_out.value();
  limits.full_mesh = network.kind == Interconnect::Kind::kFullMesh;
  limits.axes = torus ? network.dimensions : 1;
  limits.domain_chips = torus ? 1 : network.domain_chips;
  if (torus) {
    for (const int size : network.host) limits.domain_chips *= size;
  }
  limits.pod_chips = torus ? 1 : network.domain_chips;
  if (torus) {
    for (const int size : network.pod) limits.pod_chips *= size;
  }
  return limits;
}

double ScaleOutAlpha(const ChipLimits& chip, bool is_switch) {
  return chip.flops_per_s / (is_switch ? chip.node_bytes_per_s() : chip.scale_out_bytes_per_s);
}

}  // namespace meshstep
