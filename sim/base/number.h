// Numbers as people write them: "4096", "1e9", "8Ki", "70B", "2*4096*8192", "2^17", "1600*8/3".

#ifndef MESHSTEP_SIM_BASE_NUMBER_H_
#define MESHSTEP_SIM_BASE_NUMBER_H_

#include <optional>
#include <span>
#include <string_view>

namespace meshstep {

struct NumberSuffix {
  std::string_view name;
  double factor;
};

// Of counts: k, K, M, G or B, T, P, E are powers of 1000; Ki, Mi, Gi of 1024.
std::span<const NumberSuffix> CountSuffixes();
// Of bytes: B, kB or KB, MB, GB, TB are powers of 1000; KiB, MiB, GiB, TiB of 1024, and so are K, M
// and G as nccl-tests has them.
std::span<const NumberSuffix> ByteSuffixes();

// Factors joined by *, x or /, left to right, each NUMBER or NUMBER^POWER, spaces, and one of
// `suffixes` or none. None: it is not that, or not finite. The locale plays no part.
std::optional<double> ParseNumber(std::string_view text, std::span<const NumberSuffix> suffixes);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_BASE_NUMBER_H_
